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

/// The fastest of several records, picked on odd rounds; compare its even ones ([`half()`]), because the
/// rounds that made it look best flatter it. None where no record has the series in odd rounds.
pub fn best_of<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    kind: SeriesKind,
) -> Option<(&'a Record, Series)> {
    let odd = |record: &'a Record| {
        let series = series_of(record, kind)?;
        Some((centres(&half(series, Half::Odd))?.mean(), record, series))
    };
    let mut picked: Vec<(f64, &Record, &Series)> = records.into_iter().filter_map(odd).collect();
    picked.sort_by(|a, b| a.0.total_cmp(&b.0));
    picked.into_iter().find_map(|(_, record, series)| {
        let even = half(series, Half::Even);
        centres(&even).is_some().then_some((record, even))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::example;

    #[test]
    fn halves_share_no_round() {
        let series = example::series(1e6);
        let (odd, even) = (half(&series, Half::Odd), half(&series, Half::Even));
        assert!(
            odd.round.iter().all(|round| round % 2 == 1) && even.round.iter().all(|round| round % 2 == 0)
        );
        assert_eq!(odd.ns.len() + even.ns.len(), series.ns.len());
        assert!(odd.check().is_ok() && even.check().is_ok());
    }

    #[test]
    fn the_winner_of_odd_rounds_is_reported_from_even_ones() {
        let mut records = [example::measured(), example::measured()];
        // The second is faster in odd rounds only.
        for sample in (1..12).step_by(2) {
            records[1].series[0].ns[sample] = 0.5e6;
        }
        records[1].contender.lane.threads = 1;
        let kind = records[0].series[0].kind;
        let (best, even) = best_of(&records, kind).unwrap();
        assert_eq!(best.contender.lane.threads, 1);
        assert!(even.ns.iter().all(|ns| *ns > 0.9e6));
        assert!(best_of(&[], kind).is_none());
    }

    #[test]
    fn a_record_with_one_round_cannot_win() {
        let mut record = example::measured();
        record.series[0].round.fill(4);
        assert!(best_of([&record], record.series[0].kind).is_none());
    }
}
