//! Steps that are alike. A model repeats its layers, so what a backend is asked about a step, and what the step
//! costs on paper, need be asked for one of a dozen.

use super::{Program, Step, ValueId};
use crate::tensor::ValueSpec;

/// Steps that differ in nothing but which values they name, and what those are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Number of the first of them.
    pub first: usize,
    /// How many there are.
    pub count: u64,
}

impl Program {
    /// The kinds of steps, in the order of their first.
    pub fn kinds(&self) -> Vec<Kind> {
        let carried = self.carried();
        let mut marks: Vec<u64> = Vec::new();
        let mut kinds: Vec<Kind> = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            let mark = self.mark_of(step);
            let mut alike = marks.iter().zip(&mut kinds).filter(|(other, _)| **other == mark);
            let known = alike.find(|(_, kind)| self.are_alike(&self.steps[kind.first], step, &carried));
            if let Some((_, kind)) = known {
                kind.count += 1;
            } else {
                marks.push(mark);
                kinds.push(Kind { first: number, count: 1 });
            }
        }
        kinds
    }

    /// For each value, whether it is handed from one execution to the next: made for it, or replaced by it.
    fn carried(&self) -> Vec<[bool; 2]> {
        let mut carried = vec![[false; 2]; self.values.len()];
        for carry in &self.carries {
            carried[carry.produced][0] = true;
            carried[carry.input][1] = true;
        }
        carried
    }

    /// Equal for steps that are alike, and mostly for no others: sizes and types of the arguments, mixed as by
    /// FxHash.
    fn mark_of(&self, step: &Step) -> u64 {
        let mix =
            |mark: u64, word: usize| (mark.rotate_left(5) ^ word as u64).wrapping_mul(0x517c_c1b7_2722_0a95);
        let of_spec =
            |mark, spec: &ValueSpec| spec.shape.iter().copied().fold(mix(mark, spec.dtype as usize), mix);
        step.args.iter().fold(step.args.len() as u64, |mark, &id| of_spec(mark, &self.values[id].spec))
    }

    fn are_alike(&self, one: &Step, other: &Step, carried: &[[bool; 2]]) -> bool {
        let like = |a: &ValueId, b: &ValueId| {
            let (x, y) = (&self.values[*a], &self.values[*b]);
            x.spec == y.spec
                && x.state == y.state
                && x.input.is_some() == y.input.is_some()
                && carried[*a] == carried[*b]
        };
        let all_like =
            |a: &[ValueId], b: &[ValueId]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| like(a, b));
        one.op == other.op
            && (one.phase, one.place) == (other.phase, other.place)
            && all_like(&one.args, &other.args)
            && all_like(&one.outs, &other.outs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Add, Op, Relu};
    use crate::program::{Phase, State};
    use crate::random::Fill;
    use crate::tensor::DType;

    #[test]
    fn steps_differ_by_op_sizes_states_and_what_is_carried() {
        let mut program = Program::default();
        let spec = |n: usize| ValueSpec::new(&[n], DType::F32);
        let mut input = |n, state| program.input("x", spec(n), state, Fill::UNIT);
        let [a, b] = [State::Batch, State::Batch].map(|state| input(4, state));
        let (c, d, e) = (input(4, State::Parameter), input(8, State::Batch), input(4, State::Batch));
        let mut push =
            |op, args: &[ValueId]| program.push(op, args, Phase::Forward, State::Activation).unwrap()[0];
        push(Op::Relu(Relu {}), &[a]);
        push(Op::Relu(Relu {}), &[b]);
        push(Op::Relu(Relu {}), &[c]);
        push(Op::Relu(Relu {}), &[d]);
        push(Op::Add(Add {}), &[a, a]);
        push(Op::Add(Add {}), &[a, b]);
        let next = push(Op::Relu(Relu {}), &[e]);
        program.push(Op::Relu(Relu {}), &[a], Phase::Backward, State::Activation).unwrap();
        program.carry(next, e);
        let kinds: Vec<_> = program.kinds().iter().map(|kind| (kind.first, kind.count)).collect();
        assert_eq!(kinds, [(0, 2), (2, 1), (3, 1), (4, 2), (6, 1), (7, 1)]);
    }
}
