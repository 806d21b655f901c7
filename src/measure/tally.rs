//! Samples of one series as they come in.

use super::evidence::Series;
use super::protocol::{ProbeKind, Sampled};
use super::rounds::Position;
use super::stop::{Stop, Stopped, median};
use crate::plan::SeriesKind;
use crate::units::Nanos;

/// A sample that is kept, with what stood beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Turn {
    /// What the worker said.
    pub(super) sampled: Sampled,
    /// Rate of the probe just before; 0 where it did not run.
    pub(super) probe_rate: f64,
    /// Samples thrown away before this one.
    pub(super) discarded: u32,
    /// It waited for a core too.
    pub(super) noisy: bool,
    /// Time of the whole turn.
    pub(super) spent: Nanos,
}

/// One series under construction.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    series: Series,
    latencies: Vec<f64>,
    /// Nanoseconds per execution in this start.
    here: Vec<f64>,
    spent: Nanos,
    decision: Option<Stopped>,
    all_settled: bool,
}

impl Tally {
    pub(super) fn new(kind: SeriesKind) -> Self {
        let series = Series {
            kind,
            iters: Vec::new(),
            ns: Vec::new(),
            start: Vec::new(),
            round: Vec::new(),
            run_delay_ns: Vec::new(),
            steal_ns: Vec::new(),
            probe: None,
            probe_rate: Vec::new(),
            latency_ns: None,
            discarded: 0,
            noisy: 0,
            stop: String::new(),
        };
        let (latencies, here) = (Vec::new(), Vec::new());
        Self { series, latencies, here, spent: Nanos(0.0), decision: None, all_settled: true }
    }

    /// What is being sampled.
    pub(super) fn kind(&self) -> SeriesKind {
        self.series.kind
    }

    /// A fresh process begins with `iters` executions a sample.
    pub(super) fn begin(&mut self, iters: u64, probe: Option<ProbeKind>) {
        self.series.iters.push(iters);
        self.series.probe = probe;
        self.here.clear();
        (self.spent, self.decision) = (Nanos(0.0), None);
    }

    /// Executions in one sample of this start.
    pub(super) fn iters(&self) -> u64 {
        self.series.iters.last().copied().unwrap_or(1)
    }

    /// Adds a sample of a round.
    pub(super) fn push(&mut self, turn: Turn, position: Position, stop: &Stop) {
        self.spent.0 += turn.spent.0;
        self.extend(turn, position);
        self.decision = self.decision.or_else(|| stop.decide(&self.here, self.spent));
    }

    /// Adds a sample of a window, whose end nothing but time decides.
    pub(super) fn extend(&mut self, turn: Turn, position: Position) {
        let each = turn.sampled.ns / self.iters() as f64;
        let series = &mut self.series;
        series.ns.push(each);
        series.start.push(position.start);
        series.round.push(position.round);
        series.run_delay_ns.push(turn.sampled.run_delay_ns);
        series.steal_ns.push(turn.sampled.steal_ns);
        series.probe_rate.push(turn.probe_rate);
        series.discarded += turn.discarded;
        series.noisy += u32::from(turn.noisy);
        self.latencies.extend(turn.sampled.each_ns);
        self.here.push(each);
    }

    /// Why this start has enough samples; none while it has not.
    pub(super) fn decision(&self) -> Option<Stopped> {
        self.decision
    }

    /// Whether this start may not take another sample, not even to keep a slower contender company.
    pub(super) fn is_exhausted(&self, stop: &Stop) -> bool {
        let used_up = self.spent.0 >= stop.budget.0 || self.here.len() >= stop.max_rounds;
        self.decision.is_some() && used_up
    }

    /// The process ends.
    pub(super) fn end(&mut self) {
        self.all_settled &= self.decision == Some(Stopped::Settled);
    }

    /// The finished series; none if it has no sample.
    pub(super) fn finish(mut self) -> Option<Series> {
        let stop = if self.all_settled { Stopped::Settled } else { Stopped::Budget };
        self.series.stop = stop.name().to_string();
        self.series.latency_ns = quantiles(self.latencies);
        (!self.series.ns.is_empty()).then_some(self.series)
    }
}

/// p50, p90 and p99: the median, and the smallest value that this share does not exceed.
fn quantiles(mut latencies: Vec<f64>) -> Option<[f64; 3]> {
    latencies.sort_by(f64::total_cmp);
    let centre = median(&latencies)?;
    let at = |share: f64| latencies[((share * latencies.len() as f64).ceil() as usize).max(1) - 1];
    Some([centre, at(0.9), at(0.99)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{Load, Scope, Sync, Temperature};

    const KIND: SeriesKind = SeriesKind {
        scope: Scope::Resident,
        sync: Sync::Each,
        load: Load::Burst,
        temperature: Temperature::Hot,
    };
    const STOP: Stop = Stop { min_rounds: 6, max_rounds: 8, half_width: 0.01, budget: Nanos(1e9) };

    fn turn(ns: f64) -> Turn {
        let sampled = Sampled { ns, each_ns: vec![ns / 4.0; 4], ..Sampled::default() };
        Turn { sampled, spent: Nanos(1.0), ..Turn::default() }
    }

    #[test]
    fn a_settled_start_may_keep_company_and_one_restless_start_unsettles_the_series() {
        let mut tally = Tally::new(KIND);
        tally.begin(4, None);
        for round in 0..6 {
            assert_eq!(tally.decision(), None);
            tally.push(turn(400.0), Position { start: 0, round }, &STOP);
        }
        assert_eq!((tally.decision(), tally.is_exhausted(&STOP)), (Some(Stopped::Settled), false));
        tally.end();
        assert_eq!(tally.clone().finish().unwrap().stop, "settled");
        tally.begin(4, None);
        for round in 6..14 {
            assert!(!tally.is_exhausted(&STOP));
            tally.push(turn(400.0 * f64::from(round)), Position { start: 1, round }, &STOP);
        }
        assert!(tally.is_exhausted(&STOP));
        tally.end();
        let series = tally.finish().unwrap();
        assert_eq!((series.stop.as_str(), series.iters.len(), series.ns.len()), ("budget", 2, 14));
        assert_eq!(series.ns[0], 100.0);
        series.check().unwrap();
    }

    #[test]
    fn quantiles_are_of_single_executions() {
        let latencies: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantiles(latencies), Some([50.5, 90.0, 99.0]));
        assert_eq!(quantiles(vec![7.0]), Some([7.0, 7.0, 7.0]));
        assert_eq!(quantiles(vec![]), None);
    }
}
