//! Cells that two runs share, and how much longer the second took.

use super::estimate::{Centres, median};
use super::noise::{Prior, Variance};
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

    /// One centre a start.
    pub(super) fn starts(&self) -> Centres {
        let mut starts: BTreeMap<(u32, u32, bool), Vec<f64>> = BTreeMap::new();
        for sample in &self.samples {
            let (session, start, _) = sample.moment;
            starts.entry((session, start, sample.twin)).or_default().push(sample.time);
        }
        let centre = |mut times: Vec<f64>| {
            times.sort_by(f64::total_cmp);
            undisturbed(&times)
        };
        Centres(starts.into_values().map(centre).collect())
    }

    /// Median of the probe's samples.
    pub(super) fn rate(&self) -> f64 {
        median(self.samples.iter().filter_map(|sample| sample.rate).collect())
    }
}

/// Mean of the lower two thirds of sorted logarithms.
///
/// On a shared machine disturbances only ever add time, so both ends are not equally trustworthy. With 6
/// normal samples this is 1.08 times as noisy as the mean, with 5 % of them disturbed 1.1 to 1.2 times where
/// the median is 1.2 to 1.4 times and the mean 1.3 to 3.4. It lies below the median, which does not matter
/// between two runs of one cell, and would between two contenders.
fn undisturbed(sorted: &[f64]) -> f64 {
    let kept = 2.0 / 3.0 * sorted.len() as f64;
    let weight = |place: usize| (kept - place as f64).clamp(0.0, 1.0);
    sorted.iter().enumerate().map(|(place, log)| weight(place) * log).sum::<f64>() / kept
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

    /// How much longer the second run took.
    pub(super) fn difference(&self) -> f64 {
        self.sides[1].starts().mean() - self.sides[0].starts().mean()
    }

    /// How much faster the probe was in the second run.
    pub(super) fn rate_change(&self) -> f64 {
        self.sides[1].rate() - self.sides[0].rate()
    }

    /// Variance of one start's centre, both sides together.
    pub(super) fn start(&self) -> Variance {
        let [a, b] = [&self.sides[0], &self.sides[1]].map(|side| side.starts().variance());
        let df = a.df + b.df;
        let sum = a.value * a.df + b.value * b.df;
        Variance { value: if df > 0.0 { sum / df } else { 0.0 }, df }
    }

    /// Variance of the difference, its starts shrunk towards those of all cells.
    pub(super) fn variance(&self, prior: &Prior) -> Variance {
        let start = prior.shrink(self.start());
        let weight: f64 = self.sides.iter().map(|side| 1.0 / side.starts().0.len() as f64).sum();
        Variance { value: start.value * weight, df: start.df }
    }
}
