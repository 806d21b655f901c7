//! Which group is visited next, and which are left out when time runs out.

use super::deadline::{Pending, SLACK, overdue};
use super::execute::{Context, Summary};
use super::resume::{Finished, Visit};
use crate::plan::{Pace, Plan};
use std::time::{Duration, Instant};

/// Starts of a cell below which more of them are worth more than another cell.
const STARTS: u32 = 3;

/// Visits that are still to be made, and how long the others took.
pub(super) struct Schedule<'a> {
    plan: &'a Plan,
    /// Groups by their number in the plan, with the visit, the next one last.
    pending: Vec<(usize, Visit)>,
    begin: Instant,
    allowed: Option<Duration>,
    expected: Duration,
    real: Duration,
}

impl<'a> Schedule<'a> {
    /// All visits that are not finished.
    pub(super) fn new(plan: &'a Plan, finished: &Finished, context: &Context) -> Self {
        let mut pending = finished.pending(plan, context.repeat);
        pending.reverse();
        let (expected, real) = (Duration::ZERO, Duration::ZERO);
        Self { plan, pending, begin: Instant::now(), allowed: context.allowed, expected, real }
    }

    /// A visit to the group of this number in the plan took so long.
    pub(super) fn took(&mut self, place: usize, visit: Visit, real: Duration) {
        self.expected += self.plan.groups[place].estimate_of(visit.number);
        self.real += real;
    }

    /// The next group and visit; leaves out first what the time does not allow any more.
    pub(super) fn next(&mut self, summary: &mut Summary) -> Option<(usize, Visit)> {
        if let Some(allowed) = self.allowed {
            let pending: Vec<Pending> = self.pending.iter().map(|&next| self.pending(next)).collect();
            let left = allowed.mul_f64(SLACK).saturating_sub(self.begin.elapsed());
            let mut out = overdue(&pending, self.pace(), left);
            out.sort_unstable();
            for number in out.into_iter().rev() {
                let (place, _) = self.pending.remove(number);
                *summary.left_out.entry(self.plan.groups[place].id.clone()).or_default() += 1;
            }
        }
        self.pending.pop()
    }

    /// How many times as long as estimated everything takes. The first visits say little about the rest, so
    /// the estimate counts as much as a tenth of the plan.
    fn pace(&self) -> f64 {
        let trust = self.plan.estimate().as_secs_f64() / 10.0;
        (self.real.as_secs_f64() + trust) / (self.expected.as_secs_f64() + trust).max(1e-9)
    }

    fn pending(&self, (place, visit): (usize, Visit)) -> Pending {
        let group = &self.plan.groups[place];
        let spare = visit.number * Pace::of(group.effort).starts >= STARTS;
        let estimate = group.estimate_of(visit.number);
        Pending { spare, number: visit.number, priority: group.priority, estimate }
    }
}
