//! How the time of a training step is divided among forward pass, backward pass and update.

use super::crash::Crash;
use super::evidence::{PhaseTimes, Reading};
use super::peer::Hire;
use super::profile::{Effort, profile};
use crate::plan::Cell;
use crate::program::{Phase, Step};
use std::collections::BTreeMap;

/// The phases of `cell`'s program in a fresh worker; why not, where it has but one or its backend does not tell.
pub(super) fn times(hire: &dyn Hire, cell: &Cell, seed: u64) -> Reading<PhaseTimes> {
    let steps = &cell.program.steps;
    if steps.iter().all(|step| Some(step.phase) == steps.first().map(|first| first.phase)) {
        return Reading::absent("the program has one phase");
    }
    match profile(hire, cell, seed, Effort::Few) {
        Ok(profile) => Reading::Value(divided(steps, &profile.whole_ns, &profile.steps_ns)),
        Err(Crash { message, .. }) => Reading::Absent(message),
    }
}

/// Medians over executions of what all steps of a phase took, and of whole executions.
fn divided(steps: &[Step], whole_ns: &[f64], steps_ns: &[Vec<f64>]) -> PhaseTimes {
    let mut each: BTreeMap<Phase, Vec<f64>> = BTreeMap::new();
    for execution in steps_ns {
        let mut sums: BTreeMap<Phase, f64> = BTreeMap::new();
        for (step, ns) in steps.iter().zip(execution) {
            *sums.entry(step.phase).or_default() += ns;
        }
        sums.into_iter().for_each(|(phase, ns)| each.entry(phase).or_default().push(ns));
    }
    let ns = each.into_iter().map(|(phase, times)| (phase, median(&times))).collect();
    PhaseTimes { whole_ns: median(whole_ns), ns }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        len if len % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Add, Op};
    use crate::program::{Place, ValueIds};

    #[test]
    fn steps_of_a_phase_are_added_up_before_the_median_is_taken() {
        let step = |phase| Step {
            op: Op::Add(Add {}),
            args: ValueIds::new(),
            outs: ValueIds::new(),
            phase,
            place: Place::Device,
        };
        let steps = [step(Phase::Forward), step(Phase::Backward), step(Phase::Backward)];
        let times =
            divided(&steps, &[12.0, 10.0], &[vec![1.0, 5.0, 1.0], vec![3.0, 1.0, 5.0], vec![2.0, 9.0, 9.0]]);
        assert_eq!(times.whole_ns, 11.0);
        assert_eq!(times.ns, BTreeMap::from([(Phase::Forward, 2.0), (Phase::Backward, 6.0)]));
    }
}
