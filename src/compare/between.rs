//! Cells that two runs share, and how much longer the second took.

use super::centre::{Centre, Change, undisturbed};
use super::estimate::median;
use crate::measure::protocol::ProbeKind;
use crate::plan::{Contender, SeriesKind};
use crate::record::{Outcome, Record, Series};
use crate::suite::Load;
use serde::Serialize;
use std::collections::BTreeMap;

/// What must be the same for two records to be about the same thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CellId {
    /// Id of the group.
    pub group: String,
    /// Who computed; a twin's starts count as more starts of its first copy.
    pub contender: Contender,
    /// What was timed.
    pub kind: SeriesKind,
}

/// When a sample was taken: session, start, round. Contenders of a group with the same moment were
/// measured within one round, since cells of a group that began together are of one session.
pub(super) type Moment = (u32, u32, u32);

/// One sample of a cell, in logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) moment: Moment,
    /// A twin is a process of its own.
    twin: bool,
    /// Nanoseconds of one execution.
    pub(super) time: f64,
    /// Rate of the adjacent probe; none where it did not run.
    pub(super) rate: Option<f64>,
}

/// A cell's samples in one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Side {
    pub(super) samples: Vec<Sample>,
    probe: Option<ProbeKind>,
}

/// The measured cells of `records` under the loads that `wanted` accepts.
pub(super) fn sides<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    wanted: impl Fn(Load) -> bool,
) -> BTreeMap<CellId, Side> {
    let mut sides: BTreeMap<CellId, Side> = BTreeMap::new();
    let mut sessions: BTreeMap<(u32, &str), u32> = BTreeMap::new();
    for record in records.into_iter().filter(|record| record.outcome == Outcome::Measured) {
        let contender = Contender { twin: false, ..record.contender.clone() };
        let number = sessions.len() as u32;
        let session = *sessions.entry((record.repeat, &record.started)).or_insert(number);
        for series in record.series.iter().filter(|series| wanted(series.kind.load)) {
            let id = CellId { group: record.group.clone(), contender: contender.clone(), kind: series.kind };
            sides.entry(id).or_default().add(session, record.contender.twin, series);
        }
    }
    sides.retain(|_, side| !side.samples.is_empty());
    sides
}

impl Side {
    fn add(&mut self, session: u32, twin: bool, series: &Series) {
        let log = |value: f64| Some(value.ln()).filter(|log| log.is_finite());
        let samples = (0..series.ns.len()).filter_map(|sample| {
            let moment = (session, series.start[sample], series.round[sample]);
            let rate = log(series.probe_rate[sample]);
            Some(Sample { moment, twin, time: log(series.ns[sample])?, rate })
        });
        self.samples.extend(samples);
        self.probe = series.probe;
    }

    /// Which machine resource the probe watched; none unless it ran beside every sample.
    fn watched(&self) -> Option<ProbeKind> {
        self.probe.filter(|_| self.samples.iter().all(|sample| sample.rate.is_some()))
    }

    /// Centre of the side.
    fn centre(&self) -> Centre {
        let mut starts: BTreeMap<(u32, u32, bool), Vec<f64>> = BTreeMap::new();
        for sample in &self.samples {
            let (session, start, _) = sample.moment;
            starts.entry((session, start, sample.twin)).or_default().push(sample.time);
        }
        Centre::of(starts.into_values().map(undisturbed).collect())
    }

    /// Median of the probe's samples.
    pub(super) fn rate(&self) -> f64 {
        median(self.samples.iter().filter_map(|sample| sample.rate).collect())
    }
}

/// The centre of one series by itself.
pub(super) fn centre(series: &Series) -> Option<Centre> {
    let mut side = Side::default();
    side.add(0, false, series);
    (!side.samples.is_empty()).then(|| side.centre())
}

/// A cell in both runs, in logarithms.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) id: CellId,
    /// Number of the group.
    pub(super) group: usize,
    pub(super) sides: [Side; 2],
    /// The probe that ran beside every sample of both sides.
    pub(super) probe: Option<ProbeKind>,
}

impl Pair {
    pub(super) fn new(id: &CellId, group: usize, [a, b]: [&Side; 2]) -> Self {
        let probe = a.watched().filter(|kind| b.watched() == Some(*kind));
        Self { id: id.clone(), group, sides: [a.clone(), b.clone()], probe }
    }

    /// Cells that one change of one library would move together.
    pub(super) fn family(&self) -> &str {
        &self.id.contender.backend
    }

    /// How much longer the second run took, with what starts say about the error.
    pub(super) fn difference(&self) -> Change {
        let [a, b] = [&self.sides[0], &self.sides[1]].map(Side::centre);
        Change::of(&a, &b)
    }

    /// How much faster the probe was in the second run.
    pub(super) fn rate_change(&self) -> f64 {
        self.sides[1].rate() - self.sides[0].rate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::simulate::TYPICAL;
    use crate::record::example;

    #[test]
    fn twins_add_starts_and_failures_add_none() {
        let mut records = TYPICAL.run(1, |_, _| 1.0).records;
        let measured = sides(&records, |_| true);
        assert_eq!(measured.len(), TYPICAL.groups * TYPICAL.contenders);
        for (id, side) in &measured {
            let starts =
                side.samples.iter().map(|s| (s.moment.1, s.twin)).collect::<std::collections::BTreeSet<_>>();
            assert_eq!(starts.len(), if id.contender.backend == "cpu/0" { 6 } else { 3 });
        }
        records.iter_mut().for_each(|r| r.outcome = Outcome::Wrong { message: String::new() });
        assert!(sides(&records, |_| true).is_empty());
        assert!(sides(&[example::measured()], |load| load == Load::Sustained).is_empty());
    }
}
