//! The best of several contenders without flattery: picked on odd rounds, reported from even ones.

use super::within::{centres, series_of};
use crate::plan::SeriesKind;
use crate::record::{Record, Series};

/// Which rounds of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Rounds 1, 3, 5, ...: what a best contender is picked on.
    Odd,
    /// Rounds 0, 2, 4, ...: what it is reported from.
    Even,
}

/// The samples of `series` in one half of its rounds.
pub fn half(series: &Series, which: Half) -> Series {
    let parity = u32::from(which == Half::Odd);
    let kept: Vec<usize> = (0..series.ns.len()).filter(|&s| series.round[s] % 2 == parity).collect();
    fn pick<T: Copy>(column: &[T], kept: &[usize]) -> Vec<T> {
        kept.iter().map(|&sample| column[sample]).collect()
    }
    Series {
        ns: pick(&series.ns, &kept),
        start: pick(&series.start, &kept),
        round: pick(&series.round, &kept),
        run_delay_ns: pick(&series.run_delay_ns, &kept),
        steal_ns: pick(&series.steal_ns, &kept),
        probe_rate: pick(&series.probe_rate, &kept),
        ..series.clone()
    }
}

/// The fastest of several records, picked on odd rounds; compare its even ones ([`half`]), because the
/// rounds that made it look best flatter it. None where no record has the series in odd rounds.
pub fn best_of<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    kind: SeriesKind,
) -> Option<(&'a Record, Series)> {
    records
        .into_iter()
        .filter_map(|record| {
            let series = series_of(record, kind)?;
            let (odd, even) = (half(series, Half::Odd), half(series, Half::Even));
            Some((centres(&odd)?.mean(), record, centres(&even).map(|_| even)?))
        })
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, record, even)| (record, even))
}
