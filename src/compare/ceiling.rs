//! The measured roofs of a run: what the probes beside the samples reached.

use super::estimate::quantile;
use crate::measure::protocol::ProbeKind;
use crate::record::Record;
use serde::Serialize;
use std::collections::BTreeMap;

/// What one probe reached on one number of threads over a whole run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ceiling {
    /// Which probe.
    pub probe: ProbeKind,
    /// Threads that computed.
    pub threads: usize,
    /// Operations or bytes a second: the median of all its samples.
    pub rate: f64,
    /// 5 % and 95 % of its samples lie below these: how steady the machine was.
    pub range: (f64, f64),
    /// Bytes that its largest footprint touched; 0 for arithmetic.
    pub footprint: u64,
    /// Samples.
    pub samples: usize,
}

/// Whether a probe counts operations; the others count bytes.
pub fn counts_operations(probe: ProbeKind) -> bool {
    matches!(probe, ProbeKind::Fma | ProbeKind::Vnni | ProbeKind::Bf16)
}

/// Every probe that ran, by kind and threads. Of a memory probe only the samples beside the largest
/// footprint count (within a factor of two), since smaller ones measure a cache.
pub fn ceilings(records: &[Record]) -> Vec<Ceiling> {
    let mut found: BTreeMap<(ProbeKind, usize), Vec<(u64, f64)>> = BTreeMap::new();
    for record in records {
        let footprint = record.bytes.values().fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
        for series in &record.series {
            let Some(probe) = series.probe else { continue };
            let footprint = if counts_operations(probe) { 0 } else { footprint };
            let rates = series.probe_rate.iter().filter(|rate| **rate > 0.0);
            let kept = found.entry((probe, record.contender.lane.threads)).or_default();
            kept.extend(rates.map(|rate| (footprint, *rate)));
        }
    }
    found.into_iter().filter_map(|((probe, threads), samples)| ceiling(probe, threads, &samples)).collect()
}

fn ceiling(probe: ProbeKind, threads: usize, samples: &[(u64, f64)]) -> Option<Ceiling> {
    let footprint = samples.iter().map(|sample| sample.0).max()?;
    let mut rates: Vec<f64> =
        samples.iter().filter(|sample| sample.0 >= footprint / 2).map(|sample| sample.1).collect();
    rates.sort_by(f64::total_cmp);
    Some(Ceiling {
        probe,
        threads,
        rate: quantile(&rates, 0.5),
        range: (quantile(&rates, 0.05), quantile(&rates, 0.95)),
        footprint,
        samples: rates.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::State;
    use crate::record::example;

    fn probed(probe: ProbeKind, bytes: u64, rate: f64) -> Record {
        let mut record = example::measured();
        record.bytes = [(State::Batch, bytes)].into_iter().collect();
        record.series[0].probe = Some(probe);
        record.series[0].probe_rate = vec![rate; 12];
        record
    }

    #[test]
    fn memory_is_judged_by_its_largest_footprint_and_arithmetic_by_all() {
        let records = [
            probed(ProbeKind::Triad, 1 << 15, 9e10),
            probed(ProbeKind::Triad, 1 << 28, 2e10),
            probed(ProbeKind::Fma, 1 << 15, 1e11),
            probed(ProbeKind::Fma, 1 << 28, 3e11),
        ];
        let found = ceilings(&records);
        let of = |probe| *found.iter().find(|ceiling| ceiling.probe == probe).unwrap();
        assert_eq!((of(ProbeKind::Triad).rate, of(ProbeKind::Triad).samples), (2e10, 12));
        assert_eq!((of(ProbeKind::Fma).rate, of(ProbeKind::Fma).samples), (2e11, 24));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_probe_that_never_ran_is_no_ceiling() {
        assert!(ceilings(&[probed(ProbeKind::Read, 1, 0.0)]).is_empty());
    }
}
