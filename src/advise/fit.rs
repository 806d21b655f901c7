//! Batches of a job: what each needs of memory, and which of them a device does the job at.

use super::TimeBasis;
use super::job::{Job, Unit};
use super::predict::{Task, Timed};
use crate::program::State;
use crate::workloads::{ParamError, largest_batch};
use serde::Serialize;
use std::collections::BTreeMap;

/// Largest batch that is looked at: beyond it nothing becomes cheaper, and a step of training learns less.
const LARGEST: u64 = 256;

/// A batch with its program.
pub(super) struct Batch {
    pub count: u64,
    pub task: Task,
    pub units: f64,
    pub states: BTreeMap<State, u64>,
    pub needs: u64,
}

/// What one device holds of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// Id of the device.
    pub device: String,
    /// Its name.
    pub name: String,
    /// Bytes that it has for the job; none where nobody confirms its memory.
    pub holds: Option<u64>,
    /// Bytes that the job needs at its smallest batch, or at the one that was asked for, by state.
    pub needs: BTreeMap<State, u64>,
    /// The largest batch that fits; none where not even the smallest does, or where it cannot be told.
    pub largest: Option<u64>,
}

impl Fit {
    /// Bytes of all states.
    pub fn total(&self) -> u64 {
        self.needs.values().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// Whether the job fits; none where it cannot be told.
    pub fn fits(&self) -> Option<bool> {
        Some(self.total() <= self.holds?)
    }
}

/// The batches that are tried: the one that was asked for, or powers of two.
pub(super) fn batches(job: &Job) -> Result<Vec<Batch>, ParamError> {
    let step = match job.params.get("parts") {
        Some(crate::workloads::Param::Int(parts)) => (*parts).max(1),
        _ => 1,
    };
    let counts: Vec<u64> = match job.batch {
        Some(batch) => vec![batch],
        None => (0..).map(|power| step << power).take_while(|count| *count <= LARGEST.max(step)).collect(),
    };
    counts.into_iter().map(|count| batch(job, count)).collect()
}

fn batch(job: &Job, count: u64) -> Result<Batch, ParamError> {
    let point = job.at(count);
    let program = (job.workload.build)(&point)?;
    let liveness = program.liveness();
    let units = match job.unit {
        Unit::Example(_) => count as f64,
        Unit::Yielded(_) => job.units(count, &program),
    };
    let (states, needs) = (liveness.by_state(), liveness.total());
    Ok(Batch { count, task: Task::new(point, &program), units, states, needs })
}

/// The largest batch of the job that `bytes` hold.
pub(super) fn largest(job: &Job, bytes: u64) -> Option<u64> {
    if !job.params.contains_key("batch") {
        return None;
    }
    largest_batch(job.workload, &job.params, bytes, |program| program.liveness().total()).ok().flatten()
}

/// Why no batch is possible on a device.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refusal {
    /// Not even the smallest fits.
    Memory,
    /// Every one takes longer than is allowed; the least seconds that any takes.
    Latency(f64),
    /// The seconds can be told at no batch.
    Unknown(String),
}

/// The batch at which a unit takes least, of those that fit and are quick enough: cost is time at a price. A batch
/// that was measured stands before an estimate unless the estimate's interval is wholly better.
pub(super) fn cheapest(
    batches: &[Batch],
    holds: Option<u64>,
    latency: Option<f64>,
    time: impl Fn(&Task) -> Result<Timed, String>,
) -> Result<(&Batch, Timed), Refusal> {
    let mut best: Option<(&Batch, Timed)> = None;
    let (mut quickest, mut unknown, mut fits) = (f64::INFINITY, None, false);
    for batch in batches.iter().filter(|batch| holds.is_none_or(|holds| batch.needs <= holds)) {
        fits = true;
        let timed = match time(&batch.task) {
            Ok(timed) => timed,
            Err(why) => {
                unknown = Some(why);
                continue;
            }
        };
        quickest = quickest.min(timed.seconds.centre);
        // What is quick enough at the centre only is kept, and its interval shows that it may not be.
        if latency.is_some_and(|limit| timed.seconds.centre > limit) {
            continue;
        }
        if best.as_ref().is_none_or(|(known, seconds)| is_better((batch, &timed), (known, seconds))) {
            best = Some((batch, timed));
        }
    }
    match (best, unknown) {
        (Some(best), _) => Ok(best),
        (None, Some(why)) if quickest == f64::INFINITY => Err(Refusal::Unknown(why)),
        (None, _) if fits => Err(Refusal::Latency(quickest)),
        (None, _) => Err(Refusal::Memory),
    }
}

/// Whether a unit takes less at one batch than at another.
fn is_better((batch, timed): (&Batch, &Timed), (known, other): (&Batch, &Timed)) -> bool {
    let each = |batch: &Batch, seconds: f64| seconds / batch.units;
    let centres = each(batch, timed.seconds.centre) < each(known, other.seconds.centre);
    match (timed.basis == TimeBasis::Measured, other.basis == TimeBasis::Measured) {
        (true, false) => each(known, other.seconds.high) >= each(batch, timed.seconds.centre),
        (false, true) => each(batch, timed.seconds.high) < each(known, other.seconds.centre),
        _ => centres,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advise::Demand;
    use crate::compare::Interval;
    use crate::workloads::Params;

    fn timed(low: f64, high: f64, basis: TimeBasis) -> Timed {
        let seconds = Interval { low, centre: (low * high).sqrt(), high };
        Timed { seconds, basis, note: String::new() }
    }

    #[test]
    fn what_was_measured_stands_before_an_estimate_that_may_be_worse() {
        let job = Job::new("bert-tiny", &Params::new(), Demand::parse("1/day").unwrap(), 1.0).unwrap();
        let [small, large] = [8, 16].map(|count| batch(&job, count).unwrap());
        let measured = timed(0.8, 0.8, TimeBasis::Measured);
        for (low, high, wins) in [(0.5, 4.0, false), (0.5, 1.0, true), (2.0, 4.0, false)] {
            let guess = timed(low, high, TimeBasis::MeasuredRoofs);
            assert_eq!(is_better((&large, &guess), (&small, &measured)), wins, "{low} to {high}");
            assert_eq!(is_better((&small, &measured), (&large, &guess)), !wins, "{low} to {high}");
        }
    }
}
