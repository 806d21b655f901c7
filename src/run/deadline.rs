//! Keeps a run within its time when the plan's estimates were wrong.

use std::cmp::Reverse;
use std::time::Duration;

/// How much longer than planned a run may take before groups are left out.
pub(super) const SLACK: f64 = 1.25;

/// A visit that is still to be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pending {
    /// Its cells have starts enough without it: it goes before any that is not spare.
    pub(super) spare: bool,
    /// Number of the visit: what only the first measures must not be lost while others stay.
    pub(super) number: u32,
    /// Larger is kept longer.
    pub(super) priority: i64,
    /// The plan's estimate.
    pub(super) estimate: Duration,
}

/// Numbers of the pending visits to leave out, so that the rest fits into `left` although everything
/// takes `pace` times its estimate: spare ones first, of these the lowest priority, of one priority the last,
/// and of these the longest.
pub(super) fn overdue(pending: &[Pending], pace: f64, left: Duration) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pending.len()).collect();
    order.sort_by_key(|&number| {
        let Pending { spare, number, priority, estimate } = pending[number];
        (!spare, priority, Reverse(number), Reverse(estimate))
    });
    let mut needed: f64 = pending.iter().map(|group| group.estimate.as_secs_f64() * pace).sum();
    let excess = |number: &usize| {
        let is_over = needed > left.as_secs_f64();
        needed -= pending[*number].estimate.as_secs_f64() * pace;
        is_over
    };
    order.into_iter().take_while(excess).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_go_first_and_no_more_than_must() {
        let group = |priority, seconds| {
            let estimate = Duration::from_secs(seconds);
            Pending { spare: false, number: 0, priority, estimate }
        };
        let pending = [group(2, 10), group(1, 10), group(1, 20), group(3, 10)];
        for (pace, left, out) in [
            (1.0, 50, vec![]),
            (1.0, 49, vec![2]),
            (1.0, 29, vec![2, 1]),
            (2.0, 50, vec![2, 1]),
            (1.0, 0, vec![2, 1, 0, 3]),
        ] {
            assert_eq!(overdue(&pending, pace, Duration::from_secs(left)), out, "{pace} {left}");
        }
        let spare = pending.map(|visit| Pending { spare: visit.priority == 3, ..visit });
        assert_eq!(overdue(&spare, 1.0, Duration::from_secs(30)), [3, 2]);
        let later = pending.map(|visit| Pending { number: visit.estimate.as_secs() as u32 % 4, ..visit });
        assert_eq!(overdue(&later, 1.0, Duration::from_secs(30)), [1, 2]);
        assert!(overdue(&[], 1.0, Duration::ZERO).is_empty());
    }
}
