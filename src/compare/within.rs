//! Ratios between contenders of one run, paired by round: what disturbs the machine during a round
//! disturbs both.

use super::estimate::{Centres, Interval, by_start, interval, quantile};
use super::noise::{Prior, Variance};
use crate::plan::SeriesKind;
use crate::record::{Record, Series};
use std::collections::BTreeMap;

/// How much starts of a run differ, for single times and for ratios; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    /// Of a contender's time.
    pub times: Prior,
    /// Of the ratio of two contenders in the same rounds.
    pub ratios: Prior,
}

impl Noise {
    /// Learns from all cells of a run; ratios from each group's cells over the group's first.
    pub fn of(records: &[Record]) -> Self {
        let times: Vec<Variance> = records
            .iter()
            .flat_map(|record| &record.series)
            .filter_map(|series| Some(centres(series)?.variance()))
            .collect();
        let mut first: BTreeMap<(&str, SeriesKind), &Series> = BTreeMap::new();
        let mut ratios = Vec::new();
        for (record, series) in
            records.iter().flat_map(|record| record.series.iter().map(move |s| (record, s)))
        {
            match first.get(&(record.group.as_str(), series.kind)) {
                Some(base) => ratios.extend(paired(base, series).map(|centres| centres.variance())),
                None => drop(first.insert((&record.group, series.kind), series)),
            }
        }
        Self { times: Prior::fit(&times), ratios: Prior::fit(&ratios) }
    }
}

/// Centres of a series' starts.
pub(super) fn centres(series: &Series) -> Option<Centres> {
    Centres::of(by_start(series, |sample| series.ns[sample]).values())
}

/// The series of `record` of this kind.
pub fn series_of(record: &Record, kind: SeriesKind) -> Option<&Series> {
    record.series.iter().find(|series| series.kind == kind)
}

/// How many times as long as `base` `other` takes: above 1 where `other` is slower. None where either
/// lacks the series.
pub fn ratio_within(base: &Record, other: &Record, kind: SeriesKind, noise: &Noise) -> Option<Interval> {
    ratio(series_of(base, kind)?, series_of(other, kind)?, noise)
}

/// [`ratio_within`] of two series.
pub fn ratio(base: &Series, other: &Series, noise: &Noise) -> Option<Interval> {
    if let Some(pairs) = paired(base, other) {
        return Some(pairs.interval(&noise.ratios));
    }
    let (base, other) = (centres(base)?, centres(other)?);
    let mean = other.mean() - base.mean();
    let parts = [&base, &other].map(|side| {
        let variance = noise.times.shrink(side.variance());
        Variance { value: variance.value / side.0.len() as f64, df: variance.df }
    });
    let (error, df) = satterthwaite(parts);
    Some(interval(mean, error, df))
}

/// Centres, by start, of log(other / base) of the rounds that both have; none unless every start of
/// either has such a round.
fn paired(base: &Series, other: &Series) -> Option<Centres> {
    let key = |series: &Series, sample: usize| (series.start[sample], series.round[sample]);
    let times: BTreeMap<(u32, u32), f64> =
        (0..base.ns.len()).map(|sample| (key(base, sample), base.ns[sample])).collect();
    let pairs = by_start(other, |sample| match times.get(&key(other, sample)) {
        Some(time) => other.ns[sample] / time,
        None => 0.0,
    });
    let distinct = |series: &Series| series.start.iter().collect::<std::collections::BTreeSet<_>>().len();
    let whole = pairs.len() == distinct(base) && pairs.len() == distinct(other);
    if whole { Centres::of(pairs.values()) } else { None }
}

/// Standard error of a sum of independent parts and its degrees of freedom (Satterthwaite 1946).
pub(super) fn satterthwaite<const N: usize>(parts: [Variance; N]) -> (f64, f64) {
    let sum: f64 = parts.iter().map(|part| part.value).sum();
    if parts.iter().any(|part| part.df <= 0.0) {
        return (sum.sqrt(), 0.0);
    }
    let weights: f64 = parts.iter().map(|part| part.value * part.value / part.df).sum();
    let df = if weights > 0.0 { sum * sum / weights } else { parts.iter().map(|part| part.df).sum() };
    (sum.sqrt(), df)
}
