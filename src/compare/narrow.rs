//! Products and layers of fewer bits beside the same in f32: how many times as fast and as small, what explains
//! it, and what it costs in right answers.

use super::best::best_of;
use super::ceiling::counts_operations;
use super::estimate::{Interval, median};
use super::within::{Noise, ratio_between, series_of};
use crate::accuracy::layer_error;
use crate::backends::Lane;
use crate::plan::{Contender, SeriesKind};
use crate::program::State;
use crate::record::{Outcome, Record, Series};
use crate::suite::{Load, Scope};
use crate::workloads::{Param, Params};
use serde::Serialize;
use std::collections::BTreeMap;

/// What sets the pace of a cell, by the probe that stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Operations.
    Arithmetic,
    /// Bytes.
    Memory,
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.pad(match self {
            Self::Arithmetic => "arithmetic",
            Self::Memory => "memory",
        })
    }
}

/// One cell of fewer bits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Narrow {
    /// Name of the case.
    pub case: String,
    /// Its point.
    pub point: Params,
    /// Who computed it.
    pub contender: Contender,
    /// What was timed.
    pub kind: SeriesKind,
    /// Times as fast as the same library in f32, where it has that.
    pub over_own: Option<Interval>,
    /// Times as fast as the best library in f32, and which.
    pub over_best: Option<(Interval, String)>,
    /// Bytes of the parameters over those in f32.
    pub size: f64,
    /// What sets the pace.
    pub bound: Option<Bound>,
    /// Times as fast as f32 by the roofs alone: the probes' rates of arithmetic, or the bytes that move. None
    /// where the two are bound by different things.
    pub roofs: Option<f64>,
    /// Error of the answer ([`layer_error`]); 0 for products of integers, whose sums are exact.
    pub error: Option<f64>,
    /// The instructions that multiplied, where the library tells.
    pub instructions: Option<String>,
}

/// Every cell of a run that has the same product or layer in f32 in the same lane, in the order measured; `noise` is that
/// of these records.
pub fn narrows(records: &[Record], noise: &Noise) -> Vec<Narrow> {
    let mut wide: BTreeMap<Key, Vec<&Record>> = BTreeMap::new();
    let timed = |record: &&Record| record.outcome == Outcome::Measured && !record.contender.twin;
    for record in records.iter().filter(timed) {
        if let Some((key, true)) = key(record) {
            wide.entry(key).or_default().push(record);
        }
    }
    // Many cells have the same answers, and are beside the same best.
    let (mut errors, mut bests) = (BTreeMap::new(), BTreeMap::new());
    let beside = |record: &'_ Record| {
        let (key, is_wide) = key(record)?;
        let wide = wide.get(&key).filter(|_| !is_wide)?;
        let kinds = record.series.iter().map(|series| series.kind);
        let burst = kinds.filter(|kind| kind.load == Load::Burst && kind.scope == Scope::Resident);
        let error = match record.workload == "gemm_i8" {
            true => Some(0.0),
            false => *errors
                .entry((record.workload.clone(), record.point.clone()))
                .or_insert_with(|| layer_error(&record.workload, &record.point)),
        };
        let cell = |kind| {
            let best =
                bests.entry((key.clone(), kind)).or_insert_with(|| best_of(wide.iter().copied(), kind));
            Some(Narrow { error, ..narrow(record, wide, best.as_ref(), kind, noise)? })
        };
        Some(burst.filter_map(cell).collect::<Vec<_>>())
    };
    records.iter().filter(timed).filter_map(beside).flatten().collect()
}

/// Machine, repeat, whether a layer, extents, lane: what a cell shares with its form in f32.
type Key = (String, u32, bool, [u64; 3], Lane);

/// The key of a product or layer, and whether it is one in f32.
fn key(record: &Record) -> Option<(Key, bool)> {
    let (is_layer, narrow) = match record.workload.as_str() {
        "gemm" => (false, false),
        "gemm_i8" | "gemm_q8" => (false, true),
        "linear" => (true, false),
        "linear_i8" | "linear_q8" => (true, true),
        _ => return None,
    };
    let extent = |axis: &str| match record.point.get(axis) {
        Some(Param::Int(extent)) => Some(*extent),
        _ => None,
    };
    let is_f32 = !matches!(record.point.get("dtype"), Some(Param::Text(dtype)) if dtype != "f32");
    let extents = [extent("m")?, extent("n")?, extent("k")?];
    let key = (record.host.clone(), record.repeat, is_layer, extents, record.contender.lane.clone());
    Some((key, is_f32 && !narrow))
}

fn narrow(
    record: &Record,
    wide: &[&Record],
    best: Option<&(&Record, Series)>,
    kind: SeriesKind,
    noise: &Noise,
) -> Option<Narrow> {
    let series = series_of(record, kind)?;
    let over = |base: &Record| ratio_between(series, series_of(base, kind)?, noise);
    let own = wide.iter().find(|base| base.contender.backend == record.contender.backend);
    let base = own.copied().or_else(|| best.map(|(base, _)| *base))?;
    Some(Narrow {
        case: record.case.clone(),
        point: record.point.clone(),
        contender: record.contender.clone(),
        kind,
        over_own: own.and_then(|own| over(own)),
        over_best: best.and_then(|(base, even)| {
            Some((ratio_between(series, even, noise)?, base.contender.backend.clone()))
        }),
        size: parameters(record) / parameters(base),
        bound: bound(record, kind),
        roofs: roofs(record, base, kind),
        error: None,
        instructions: instructions(record),
    })
}

fn parameters(record: &Record) -> f64 {
    let bytes = |state: State| record.bytes.get(&state).copied().unwrap_or_default() as f64;
    // A product whose factors are both new each time has none.
    if bytes(State::Parameter) > 0.0 { bytes(State::Parameter) } else { bytes(State::Batch) }
}

fn bound(record: &Record, kind: SeriesKind) -> Option<Bound> {
    let counts = counts_operations(series_of(record, kind)?.probe?);
    Some(if counts { Bound::Arithmetic } else { Bound::Memory })
}

fn roofs(record: &Record, base: &Record, kind: SeriesKind) -> Option<f64> {
    let pace = bound(record, kind)?;
    if bound(base, kind)? != pace {
        return None;
    }
    let probe = |record: &Record| Some(median(series_of(record, kind)?.probe_rate.clone()));
    match pace {
        Bound::Arithmetic => Some(probe(record)? / probe(base)?),
        Bound::Memory => Some(base.work.bytes() as f64 / record.work.bytes() as f64),
    }
}

/// What the library's notes say of the type that it multiplied.
fn instructions(record: &Record) -> Option<String> {
    let note = match record.point.get("dtype") {
        None => "int8",
        Some(Param::Text(dtype)) if dtype == "bf16" => "bf16",
        Some(_) => return None,
    };
    record.identity.as_ref()?.notes.get(note).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::protocol::ProbeKind;
    use crate::record::example;

    fn cell(workload: &str, words: &[(&str, &str)], ns: f64, bytes: u64) -> Record {
        let mut record = example::measured();
        record.workload = workload.to_string();
        record
            .point
            .extend(words.iter().map(|(axis, text)| (axis.to_string(), Param::Text(text.to_string()))));
        record.bytes = [(State::Parameter, bytes)].into();
        record.series = vec![example::series(ns)];
        record
    }

    #[test]
    fn a_cell_of_fewer_bits_stands_beside_f32_in_its_lane() {
        let mut fast = cell("gemm", &[("dtype", "f32")], 2e6, 4096);
        fast.contender.backend = "cpu/onednn".to_string();
        let mut bytes = cell("gemm_i8", &[], 1e6, 1024);
        bytes.series[0].probe = Some(ProbeKind::Vnni);
        bytes.series[0].probe_rate.fill(12e11);
        bytes.identity.as_mut().unwrap().notes.insert("int8".to_string(), "vpdpbusd".to_string());
        let mut other_lane = cell("gemm_i8", &[], 1e6, 1024);
        other_lane.contender.lane.threads = 1;
        let records = [cell("gemm", &[("dtype", "f32")], 4e6, 4096), fast, bytes, other_lane];
        let narrows = narrows(&records, &Noise::of(&records));
        let [narrow] = narrows.as_slice() else { panic!("{narrows:?}") };
        assert!((narrow.over_own.unwrap().centre - 4.0).abs() < 1e-6);
        let (over_best, best) = narrow.over_best.as_ref().unwrap();
        assert!((over_best.centre - 2.0).abs() < 0.01 && best == "cpu/onednn", "{narrow:?}");
        assert_eq!((narrow.size, narrow.bound, narrow.error), (0.25, Some(Bound::Arithmetic), Some(0.0)));
        assert!((narrow.roofs.unwrap() - 4.0).abs() < 1e-9);
        assert_eq!(narrow.instructions.as_deref(), Some("vpdpbusd"));
    }

    #[test]
    fn layers_are_not_compared_with_products_and_pay_for_what_they_round() {
        let records = [
            cell("gemm", &[("dtype", "f32")], 4e6, 4096),
            cell("linear", &[("dtype", "f32")], 5e6, 4096),
            cell("linear_i8", &[("mode", "dynamic")], 2e6, 1028),
            cell("linear", &[("dtype", "bf16")], 2.5e6, 2048),
        ];
        let narrows = narrows(&records, &Noise::of(&records));
        let [bytes, half] = narrows.as_slice() else { panic!("{narrows:?}") };
        assert!((bytes.over_own.unwrap().centre - 2.5).abs() < 1e-6);
        assert!((half.over_own.unwrap().centre - 2.0).abs() < 1e-6 && half.size == 0.5);
        assert!(bytes.error.unwrap() > half.error.unwrap() && half.error.unwrap() > 1e-4);
    }

    #[test]
    fn roofs_explain_only_what_they_both_bound() {
        let wide = cell("gemm", &[("dtype", "f32")], 4e6, 4096);
        let mut streamed = cell("gemm_q8", &[("activations", "f32")], 1e6, 1088);
        streamed.series[0].probe = Some(ProbeKind::Read);
        let first = |records: &[Record]| narrows(records, &Noise::of(records)).remove(0);
        assert_eq!(first(&[wide.clone(), streamed.clone()]).roofs, None);
        let mut read = wide;
        read.series[0].probe = Some(ProbeKind::Read);
        let narrow = first(&[read, streamed]);
        assert_eq!((narrow.bound, narrow.roofs), (Some(Bound::Memory), Some(1.0)));
    }
}
