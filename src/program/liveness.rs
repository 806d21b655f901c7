//! How long each value is needed, and how many bytes are needed at once.

use super::{Program, State};
use std::collections::BTreeMap;

/// Bytes that an execution needs where memory is given back after the last reader.
///
/// Inputs are there all the time, and a carried result takes the place of its input. Every other result is there
/// from the step that makes it to the last step that reads it; outputs stay to the end. What a backend adds
/// (packed copies, scratch of its kernels) is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Liveness {
    /// Bytes of inputs, by state.
    pub resident: BTreeMap<State, u64>,
    /// Bytes of results while the most of them are there, by state.
    pub transient: BTreeMap<State, u64>,
    /// The first step at which that is so; 0 where there is none.
    pub step: usize,
}

impl Liveness {
    /// Bytes at the peak, by state.
    pub fn by_state(&self) -> BTreeMap<State, u64> {
        let mut bytes = self.resident.clone();
        for (&state, &transient) in &self.transient {
            add(&mut bytes, state, transient);
        }
        bytes
    }

    /// Bytes at the peak.
    pub fn total(&self) -> u64 {
        total(&self.resident).saturating_add(total(&self.transient))
    }
}

fn add(bytes: &mut BTreeMap<State, u64>, state: State, more: u64) {
    let sum = bytes.entry(state).or_default();
    *sum = sum.saturating_add(more);
}

fn total(bytes: &BTreeMap<State, u64>) -> u64 {
    bytes.values().fold(0, |sum, bytes| sum.saturating_add(*bytes))
}

impl Program {
    /// For each value the steps between which it is needed, both included: none for inputs, which are needed all
    /// the time, and for carried results, which take the place of one.
    pub fn lifetimes(&self) -> Vec<Option<[usize; 2]>> {
        let mut lifetimes: Vec<Option<[usize; 2]>> = vec![None; self.values.len()];
        for (number, step) in self.steps.iter().enumerate() {
            step.outs.iter().for_each(|&id| lifetimes[id] = Some([number, number]));
            for &id in &step.args {
                if let Some(lifetime) = &mut lifetimes[id] {
                    lifetime[1] = number;
                }
            }
        }
        let last = self.steps.len().saturating_sub(1);
        for &id in &self.outputs {
            lifetimes[id] = lifetimes[id].map(|[made, _]| [made, last]);
        }
        self.carries.iter().for_each(|carry| lifetimes[carry.produced] = None);
        lifetimes
    }

    /// Bytes that are needed at once. The program is valid.
    pub fn liveness(&self) -> Liveness {
        let mut resident = BTreeMap::new();
        for value in self.values.iter().filter(|value| value.input.is_some()) {
            add(&mut resident, value.state, value.spec.bytes());
        }
        let lifetimes = self.lifetimes();
        let mut ends = vec![vec![]; self.steps.len()];
        for (id, lifetime) in lifetimes.iter().enumerate() {
            if let Some([_, last]) = lifetime {
                ends[*last].push(id);
            }
        }
        let mut best = Liveness { resident, ..Liveness::default() };
        let (mut now, mut most) = (BTreeMap::new(), 0);
        for (number, step) in self.steps.iter().enumerate() {
            for &id in step.outs.iter().filter(|&&id| lifetimes[id].is_some()) {
                add(&mut now, self.values[id].state, self.values[id].spec.bytes());
            }
            if total(&now) > most {
                most = total(&now);
                (best.transient, best.step) = (now.clone(), number);
            }
            for &id in &ends[number] {
                let sum = now.entry(self.values[id].state).or_default();
                *sum = sum.saturating_sub(self.values[id].spec.bytes());
            }
        }
        best.transient.retain(|_, bytes| *bytes > 0);
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Add, Copied, Op, Triad};
    use crate::program::{Phase, ValueId};
    use crate::random::Fill;
    use crate::tensor::{DType, ValueSpec};

    /// x and p of 40 bytes; a = x + p, b = a, c = a + b, p' = p - c, and c is an output.
    fn program() -> Program {
        let mut program = Program::default();
        let spec = ValueSpec::new(&[10], DType::F32);
        let [x, p] = [("x", State::Batch), ("p", State::Parameter)]
            .map(|(name, state)| program.input(name, spec.clone(), state, Fill::UNIT));
        let mut push = |op, args: &[ValueId], phase, state| program.push(op, args, phase, state).unwrap()[0];
        let a = push(Op::Add(Add {}), &[x, p], Phase::Forward, State::Activation);
        let b = push(Op::Copy(Copied {}), &[a], Phase::Forward, State::Activation);
        let c = push(Op::Add(Add {}), &[a, b], Phase::Backward, State::Gradient);
        let new = push(Op::Triad(Triad { scale: -1.0 }), &[p, c], Phase::Update, State::Parameter);
        program.outputs = vec![c];
        program.carry(new, p);
        program
    }

    #[test]
    fn a_value_is_there_from_its_step_to_its_last_reader() {
        let program = program();
        program.validate().unwrap();
        let wanted = [None, None, Some([0, 2]), Some([1, 2]), Some([2, 3]), None];
        assert_eq!(program.lifetimes(), wanted);
    }

    #[test]
    fn the_peak_is_found_with_its_states() {
        let liveness = program().liveness();
        assert_eq!(liveness.step, 2);
        assert_eq!(liveness.transient, [(State::Activation, 80), (State::Gradient, 40)].into());
        assert_eq!(liveness.resident, [(State::Batch, 40), (State::Parameter, 40)].into());
        assert_eq!(liveness.total(), 200);
        assert_eq!(liveness.by_state().values().sum::<u64>(), 200);
    }

    #[test]
    fn what_nobody_reads_is_there_for_a_step() {
        let mut program = program();
        program.outputs = vec![2];
        assert_eq!(program.lifetimes()[2], Some([0, 3]));
        assert_eq!(Program::default().liveness(), Liveness::default());
    }
}
