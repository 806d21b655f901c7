//! Which group is visited next, and which are left out when time runs out.

use super::deadline::{Pending, SLACK, overdue};
use super::execute::Summary;
use super::resume::Visit;
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
    /// Of these visits, in this order, within `allowed` if there is a limit.
    pub(super) fn new(plan: &'a Plan, mut pending: Vec<(usize, Visit)>, allowed: Option<Duration>) -> Self {
        pending.reverse();
        let (expected, real) = (Duration::ZERO, Duration::ZERO);
        Self { plan, pending, begin: Instant::now(), allowed, expected, real }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;
    use crate::plan::{Available, Options, ad_hoc, build};
    use crate::run::Finished;
    use crate::suite::Effort;

    /// Two groups in short visits; the second matters more.
    fn plan() -> Plan {
        let available = Available::look();
        let backends = Some(vec!["null".to_string()]);
        let options = Options { backends, available, effort: Some(Effort::Quick), ..Options::default() };
        let suite = ad_hoc("gemm", "m=4|5,n=4,k=4").unwrap();
        let mut plan = build(&[suite], &host::facts(), &options).unwrap();
        plan.groups[1].priority = plan.groups[0].priority + 1;
        plan
    }

    /// How often each group is visited, and what is left out, where visits take `slow` times their estimate
    /// and the run may take `share` of the plan's.
    fn visits(share: f64, slow: f64) -> ([u32; 2], u32) {
        let plan = plan();
        let pending = Finished::default().pending(&plan, 1);
        // The clock that the test looks at stands still: what a visit took is taken from what is allowed.
        let mut schedule = Schedule::new(&plan, pending, Some(plan.estimate().mul_f64(share / SLACK)));
        let (mut summary, mut visits) = (Summary::default(), [0, 0]);
        while let Some((place, visit)) = schedule.next(&mut summary) {
            let took = plan.groups[place].estimate_of(visit.number).mul_f64(slow);
            schedule.took(place, visit, took);
            schedule.allowed = schedule.allowed.map(|left| left.saturating_sub(took.div_f64(SLACK)));
            visits[place] += 1;
        }
        (visits, summary.left_out.values().sum())
    }

    #[test]
    fn short_time_costs_spare_visits_before_groups_and_the_less_important_first() {
        assert_eq!(visits(1.5, 1.0), ([5, 5], 0));
        assert_eq!(visits(0.85, 1.0), ([3, 5], 2));
        assert_eq!(visits(0.65, 1.0), ([3, 3], 4));
        let (short, left_out) = visits(0.35, 1.0);
        assert_eq!((short, left_out), ([0, 3], 7));
        // Slower than planned: what is spare goes while the run is under way.
        let (slow, left_out) = visits(1.1, 2.0);
        assert!(slow[0] <= slow[1] && slow[1] >= 3 && slow[0] + slow[1] + left_out == 10, "{slow:?}");
    }
}
