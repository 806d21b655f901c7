//! What a machine can do at best: measured by the probes beside the samples.

use crate::compare::counts_operations;
use crate::measure::protocol::ProbeKind;
use crate::record::{Record, Series};
use std::collections::BTreeMap;

/// Octaves over which a bandwidth measured at one size says something of another.
const OCTAVES: f64 = 1.0;

/// Measured rates of a machine, or of a part of its records.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Roofs {
    /// Operations a second, by probe and threads: the median of all samples.
    operations: BTreeMap<(ProbeKind, usize), f64>,
    /// Bytes a second by the bytes that were touched, by probe and threads.
    bytes: BTreeMap<(ProbeKind, usize), Rates>,
}

impl Roofs {
    /// Of all these records.
    pub(super) fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut operations: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        let mut roofs = Self::default();
        for record in records {
            for series in &record.series {
                let rates: Vec<f64> = series.probe_rate.iter().copied().filter(|rate| *rate > 0.0).collect();
                let (Some(probe), false) = (series.probe, rates.is_empty()) else { continue };
                let key = (probe, record.contender.lane.threads);
                match counts_operations(probe) {
                    true => operations.entry(key).or_default().extend(rates),
                    false => roofs.bytes.entry(key).or_default().add(touched(record), median(rates)),
                }
            }
        }
        roofs.operations = operations.into_iter().map(|(key, rates)| (key, median(rates))).collect();
        roofs
    }

    /// The same, with what `other` knows where nothing is known here.
    pub(super) fn or(mut self, other: &Self) -> Self {
        for (key, rate) in &other.operations {
            self.operations.entry(*key).or_insert(*rate);
        }
        for (key, rates) in &other.bytes {
            self.bytes.entry(*key).or_insert_with(|| rates.clone());
        }
        self
    }

    /// How fast the machine was while `series` was sampled, over these roofs: what the probe beside it reached.
    pub(super) fn then(&self, record: &Record, series: &Series) -> f64 {
        let rates: Vec<f64> = series.probe_rate.iter().copied().filter(|rate| *rate > 0.0).collect();
        let (Some(probe), false) = (series.probe, rates.is_empty()) else { return 1.0 };
        let key = (probe, record.contender.lane.threads);
        let usual = match counts_operations(probe) {
            true => self.operations.get(&key).copied(),
            false => self.bytes.get(&key).map(|rates| rates.near(touched(record).log2())),
        };
        usual.map_or(1.0, |usual| (median(rates) / usual).clamp(0.5, 2.0))
    }

    /// The most threads that anything was measured on.
    pub(super) fn threads(&self) -> usize {
        let all = self.operations.keys().chain(self.bytes.keys());
        all.map(|(_, threads)| *threads).max().unwrap_or(1)
    }

    /// Operations a second of the unit that computes in `precision`; that of f32 where there is no probe of its own.
    pub(super) fn operations(&self, precision: &str, threads: usize) -> Option<f64> {
        let rate = |probe| self.operations.get(&(probe, threads)).copied();
        let own = match precision {
            "bf16" => rate(ProbeKind::Bf16),
            "i8" => rate(ProbeKind::Vnni),
            _ => None,
        };
        own.or_else(|| rate(ProbeKind::Fma))
    }

    /// Bytes a second where `touched` bytes are gone through again and again, read only or written too.
    pub(super) fn bytes(&self, writes: bool, threads: usize, touched: f64) -> Option<f64> {
        use ProbeKind as P;
        let order = if writes {
            [P::Adam, P::Triad, P::Copy, P::Read]
        } else {
            [P::Read, P::Copy, P::Triad, P::Adam]
        };
        let wanted = touched.max(1.0).log2();
        // The best probe of those that touched about as much.
        let found = order.iter().filter_map(|probe| self.bytes.get(&(*probe, threads)));
        let found: Vec<(f64, &Rates)> = found.map(|rates| (rates.nearest(wanted), rates)).collect();
        let close = found.iter().find(|(nearest, _)| *nearest <= 2.0 * OCTAVES);
        let best = close.or_else(|| found.iter().min_by(|a, b| a.0.total_cmp(&b.0)))?;
        Some(best.1.near(wanted))
    }
}

/// Bytes of all values of a record.
fn touched(record: &Record) -> f64 {
    record.bytes.values().fold(0u64, |sum, bytes| sum.saturating_add(*bytes)).max(1) as f64
}

/// Rates of a probe at many sizes: those of a sixteenth of an octave are one, so that a fleet's records cost no more than
/// a run's.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rates(BTreeMap<i64, Bin>);

/// Rates at nearly one size: how many, and the sums of their logarithms.
#[derive(Clone, Debug, Default, PartialEq)]
struct Bin {
    count: f64,
    octaves: f64,
    logs: f64,
}

impl Bin {
    /// Mean size, in octaves.
    fn size(&self) -> f64 {
        self.octaves / self.count
    }
}

impl Rates {
    fn add(&mut self, touched: f64, rate: f64) {
        let octaves = touched.log2();
        let bin = self.0.entry((octaves * 16.0).round() as i64).or_default();
        bin.count += 1.0;
        bin.octaves += octaves;
        bin.logs += rate.ln();
    }

    /// Octaves to the nearest size.
    fn nearest(&self, wanted: f64) -> f64 {
        self.0.values().map(|bin| (bin.size() - wanted).abs()).fold(f64::INFINITY, f64::min)
    }

    /// The geometric mean of rates near a size, weighted by nearness; of the nearest where none is near.
    fn near(&self, wanted: f64) -> f64 {
        let nearest = self.nearest(wanted);
        let (mut weights, mut sum) = (0.0, 0.0);
        for bin in self.0.values() {
            let away = (bin.size() - wanted).abs() - nearest;
            let weight = (-(away / OCTAVES).powi(2) / 2.0).exp();
            weights += weight * bin.count;
            sum += weight * bin.logs;
        }
        (sum / weights).exp()
    }
}

/// Median of values of which there is at least one.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::State;
    use crate::record::example;

    fn probed(probe: ProbeKind, bytes: u64, rate: f64) -> Record {
        let mut record = example::measured();
        record.bytes = [(State::Batch, bytes)].into();
        record.series[0].probe = Some(probe);
        record.series[0].probe_rate = vec![rate; 12];
        record
    }

    #[test]
    fn a_roof_of_memory_depends_on_what_is_touched() {
        let records = [
            probed(ProbeKind::Fma, 1, 3e11),
            probed(ProbeKind::Read, 1 << 16, 2e11),
            probed(ProbeKind::Read, 1 << 28, 3e10),
            probed(ProbeKind::Adam, 1 << 28, 4e10),
        ];
        let roofs = Roofs::of(&records);
        let at = |writes, touched| roofs.bytes(writes, 2, touched).unwrap();
        assert!((at(false, 3e5) / 2e11 - 1.0).abs() < 0.01);
        assert!((at(false, 1e9) / 3e10 - 1.0).abs() < 0.01);
        // Nothing that writes was measured in a cache.
        assert!((at(true, 1e9) / 4e10 - 1.0).abs() < 0.01 && (at(true, 6e4) / 2e11 - 1.0).abs() < 0.01);
        assert_eq!(roofs.bytes(false, 1, 1e9), None);
        assert_eq!((roofs.operations("bf16", 2), roofs.operations("f32", 1)), (Some(3e11), None));
        assert_eq!(roofs.threads(), 2);
    }

    #[test]
    fn a_fleet_of_probes_is_no_longer_than_the_range_of_their_sizes() {
        let mut rates = Rates::default();
        for number in 0..10_000 {
            rates.add(1e6 * (1.0 + f64::from(number) / 1e4), 2e10);
            rates.add(1e9, 1e10);
        }
        assert!(rates.0.len() <= 18, "{}", rates.0.len());
        assert!((rates.near(1e6f64.log2()) / 2e10 - 1.0).abs() < 1e-9);
        assert!((rates.near(40.0) / 1e10 - 1.0).abs() < 1e-9 && rates.nearest(1e9f64.log2()) < 1e-9);
    }

    #[test]
    fn what_is_unknown_here_is_taken_from_elsewhere() {
        let here = Roofs::of(&[probed(ProbeKind::Fma, 1, 1e11)]);
        let there = Roofs::of(&[probed(ProbeKind::Fma, 1, 2e11), probed(ProbeKind::Bf16, 1, 5e11)]);
        let both = here.or(&there);
        assert_eq!((both.operations("f32", 2), both.operations("bf16", 2)), (Some(1e11), Some(5e11)));
    }
}
