//! How time and memory grow with one extent: the exponent of a power law through a contender's points.
//!
//! log y = a + e log x by least squares, with Student's interval of e from how far the points lie from the line
//! (Draper and Smith, Applied Regression Analysis, 1998, section 1.4). A law with a small constant part bends at
//! its short end: the interval widens, and the exponent of the last two points says where it tends.

use super::estimate::{ALPHA, estimate_with};
use super::student;
use super::within::{Noise, series_of};
use crate::plan::{Contender, SeriesKind};
use crate::record::{Outcome, Reading, Record};
use crate::workloads::{Param, Params};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Fewest points that make a law.
const FEWEST: usize = 3;

/// An exponent with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Exponent {
    /// Lower end.
    pub low: f64,
    /// Of the line through all points.
    pub centre: f64,
    /// Upper end.
    pub high: f64,
    /// Of the last two points alone.
    pub last: f64,
}

/// One contender at the points of a case that differ in one extent only.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Growth {
    /// `suite/case`.
    pub case: String,
    /// The parameters that stay the same.
    pub fixed: Params,
    /// The one that grows: its axis, or several that have one value, as `k = m = n`.
    pub extent: String,
    /// Its least and largest value.
    pub range: (u64, u64),
    /// How many points were timed.
    pub points: usize,
    /// Who.
    pub contender: Contender,
    /// What was timed.
    pub kind: SeriesKind,
    /// Of the time of one execution.
    pub time: Exponent,
    /// Of the peak bytes of a fresh process; none where they were not measured at enough points.
    pub bytes: Option<Exponent>,
}

/// Every law of a run, in the order of case and contender; `noise` is that of these records.
pub fn growths(records: &[Record], noise: &Noise) -> Vec<Growth> {
    let mut lines: BTreeMap<Key, Vec<(u64, &Record)>> = BTreeMap::new();
    let timed = |record: &&Record| record.outcome == Outcome::Measured && !record.contender.twin;
    let extents = growing(records);
    for record in records.iter().filter(timed) {
        let case = format!("{}/{}", record.suite, record.case);
        for extent in extents.get(&case).into_iter().flatten() {
            let Some(Param::Int(value)) = record.point.get(&extent[0]) else { continue };
            let shown =
                fixed(&record.point, extent).iter().map(|(axis, value)| format!("{axis}={value},")).collect();
            let name = record.contender.to_string();
            let key = (case.clone(), extent.clone(), shown, record.repeat, record.host.clone(), name);
            lines.entry(key).or_default().push((*value, record));
        }
    }
    lines.into_iter().flat_map(|((case, extent, ..), line)| laws(&case, &extent, line, noise)).collect()
}

/// Case, extent, what stays the same, repeat, host, contender.
type Key = (String, Extent, String, u32, String, String);

/// Axes of a workload that have the same value at every point of a case, and so grow as one.
type Extent = Vec<String>;

/// The parameters beside an extent.
fn fixed(point: &Params, extent: &Extent) -> Params {
    point
        .iter()
        .filter(|(axis, _)| !extent.contains(axis))
        .map(|(axis, x)| (axis.clone(), x.clone()))
        .collect()
}

/// The extents of each case that take enough values.
fn growing(records: &[Record]) -> BTreeMap<String, Vec<Extent>> {
    let mut values: BTreeMap<String, BTreeMap<&str, Vec<u64>>> = BTreeMap::new();
    for record in records {
        let case = values.entry(format!("{}/{}", record.suite, record.case)).or_default();
        for (axis, value) in &record.point {
            if let Param::Int(value) = value {
                case.entry(axis).or_default().push(*value);
            }
        }
    }
    let of_case = |axes: BTreeMap<&str, Vec<u64>>| {
        let mut alike: BTreeMap<Vec<u64>, Extent> = BTreeMap::new();
        for (axis, values) in axes {
            alike.entry(values).or_default().push(axis.to_string());
        }
        let grows = |values: &Vec<u64>| values.iter().collect::<BTreeSet<_>>().len() >= FEWEST;
        alike.into_iter().filter(|(values, _)| grows(values)).map(|(_, extent)| extent).collect()
    };
    values.into_iter().map(|(case, axes)| (case, of_case(axes))).collect()
}

fn laws(case: &str, extent: &Extent, mut line: Vec<(u64, &Record)>, noise: &Noise) -> Vec<Growth> {
    line.sort_by_key(|(value, _)| *value);
    line.dedup_by_key(|(value, _)| *value);
    let Some(((least, first), (most, _))) = line.first().zip(line.last()) else { return vec![] };
    let kinds: BTreeSet<SeriesKind> = first.series.iter().map(|series| series.kind).collect();
    let bytes: Vec<(u64, f64)> =
        line.iter().filter_map(|(value, record)| Some((*value, peak(record)?))).collect();
    let of_kind = |kind: SeriesKind| {
        let time = |record: &Record| Some(estimate_with(series_of(record, kind)?, &noise.times)?.ns.centre);
        let times: Vec<(u64, f64)> =
            line.iter().filter_map(|(value, record)| Some((*value, time(record)?))).collect();
        Some(Growth {
            case: case.to_string(),
            fixed: fixed(&first.point, extent),
            extent: extent.join(" = "),
            range: (*least, *most),
            points: times.len(),
            contender: first.contender.clone(),
            kind,
            time: exponent(&times)?,
            bytes: exponent(&bytes),
        })
    };
    kinds.into_iter().filter_map(of_kind).collect()
}

fn peak(record: &Record) -> Option<f64> {
    match &record.memory {
        Reading::Value(memory) => Some(memory.peak as f64),
        Reading::Absent(_) => None,
    }
}

/// The exponent through points of rising x; none of fewer than three, or where a y is not above zero.
fn exponent(points: &[(u64, f64)]) -> Option<Exponent> {
    if points.len() < FEWEST || points.iter().any(|(x, y)| *x == 0 || *y <= 0.0) {
        return None;
    }
    let logs: Vec<[f64; 2]> = points.iter().map(|(x, y)| [(*x as f64).ln(), y.ln()]).collect();
    let count = logs.len() as f64;
    let mean = |axis: usize| logs.iter().map(|point| point[axis]).sum::<f64>() / count;
    let (x_mean, y_mean) = (mean(0), mean(1));
    let spread: f64 = logs.iter().map(|[x, _]| (x - x_mean).powi(2)).sum();
    let centre = logs.iter().map(|[x, y]| (x - x_mean) * (y - y_mean)).sum::<f64>() / spread;
    let off: f64 = logs.iter().map(|[x, y]| (y - y_mean - centre * (x - x_mean)).powi(2)).sum();
    let df = count - 2.0;
    let half = student::critical(ALPHA, df) * (off / df / spread).sqrt();
    let [.., [x, y], [x_last, y_last]] = logs.as_slice() else { return None };
    Some(Exponent { low: centre - half, centre, high: centre + half, last: (y_last - y) / (x_last - x) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{MemoryPeak, example};

    fn at(queries: u64, ns: f64, peak: u64) -> Record {
        let mut record = example::measured();
        record.point =
            [("queries".to_string(), Param::Int(queries)), ("heads".to_string(), Param::Int(12))].into();
        record.series = vec![example::series(ns)];
        let Reading::Value(memory) = record.memory else { panic!("an example has its memory") };
        record.memory = Reading::Value(MemoryPeak { peak, ..memory });
        record
    }

    #[test]
    fn a_square_has_the_exponent_2_and_a_constant_part_bends_it() {
        let square = |queries: u64| (queries * queries) as f64;
        let records = [128u64, 256, 512, 1024].map(|queries| {
            let ns = square(queries) * 10.0;
            at(queries, ns, 1_000_000 + 4 * queries * queries)
        });
        let growths = growths(&records, &Noise::of(&records));
        let [growth] = growths.as_slice() else { panic!("{growths:?}") };
        assert_eq!((growth.extent.as_str(), growth.range, growth.points), ("queries", (128, 1024), 4));
        let Exponent { low, centre, high, last } = growth.time;
        assert!((centre - 2.0).abs() < 1e-9 && (last - 2.0).abs() < 1e-9 && high - low < 1e-6, "{growth:?}");
        let bytes = growth.bytes.unwrap();
        assert!(bytes.centre < 1.0 && bytes.last > bytes.centre && bytes.high - bytes.low > 0.5, "{bytes:?}");
        assert_eq!(growth.fixed.len(), 1);
    }

    #[test]
    fn the_interval_holds_the_truth_for_noisy_points() {
        // Times of x^1.5 that are off by 10 % either way: t(2 df) = 4.303.
        let points: Vec<(u64, f64)> = [(1u64, 1.1), (2, 0.9), (4, 1.1), (8, 0.9)]
            .map(|(x, off)| (x, off * (x as f64).powf(1.5)))
            .into();
        let exponent = exponent(&points).unwrap();
        assert!(exponent.low < 1.5 && exponent.high > 1.5, "{exponent:?}");
        let half = (exponent.high - exponent.low) / 2.0;
        let off = (1.1f64 / 0.9).ln() / 2.0;
        // The alternation has a slope of -0.4 off / ln 2, which leaves 4 off^2 (1 - 0.2) of squares.
        let expected =
            4.302_65 * (4.0 * off * off * 0.8 / 2.0 / (5.0 * std::f64::consts::LN_2.powi(2))).sqrt();
        assert!((half / expected - 1.0).abs() < 1e-4, "{half} {expected}");
    }

    #[test]
    fn axes_of_one_value_grow_as_one() {
        let mut records = [128u64, 256, 512].map(|queries| at(queries, (queries * queries) as f64, 1));
        for record in &mut records {
            let queries = record.point["queries"].clone();
            record.point.insert("keys".to_string(), queries);
        }
        let growths = growths(&records, &Noise::of(&records));
        let [growth] = growths.as_slice() else { panic!("{growths:?}") };
        assert_eq!(growth.extent, "keys = queries");
        assert!((growth.time.centre - 2.0).abs() < 1e-9 && growth.fixed.len() == 1);
    }

    #[test]
    fn two_points_and_twins_make_no_law() {
        assert!(growths(&[at(128, 1e3, 1), at(256, 4e3, 1)], &Noise::default()).is_empty());
        let mut records = [128, 256, 512].map(|queries| at(queries, 1e3, 1));
        records.iter_mut().for_each(|record| record.contender.twin = true);
        assert!(growths(&records, &Noise::of(&records)).is_empty());
        assert!(exponent(&[(1, 1.0), (2, 0.0), (4, 1.0)]).is_none());
    }
}
