//! The answers of a program by the ops' own references: slow, in f64, from the seed alone.

use crate::ops::Arg;
use crate::program::{Program, Step, ValueId};
use crate::tensor::{DType, HostArray};
use std::collections::BTreeMap;
use std::ops::Range;

/// What products are computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// The arguments as they are.
    Full,
    /// f32 arguments rounded to 10 bits of significand.
    Tf32,
}

/// Executions after which a program with carried values answers as if there had been no more: tests
/// look at the first few, and a reference takes its time.
const MOST_EXECUTIONS: u64 = 4;

/// Values of a program after a number of executions, computed when asked for.
pub struct Answers {
    program: Program,
    seed: u64,
    precision: Precision,
    /// By input set and execution.
    known: BTreeMap<(usize, u64), Vec<Option<HostArray>>>,
}

impl Answers {
    /// Nothing is computed yet.
    pub fn new(program: &Program, seed: u64, precision: Precision) -> Self {
        Self { program: program.clone(), seed, precision, known: BTreeMap::new() }
    }

    /// Elements `range` of `value` after `executions` executions on input set `set`, of which there was at
    /// least one. Inputs are as the last execution found them.
    pub fn read(&mut self, value: ValueId, set: usize, executions: u64, range: Range<usize>) -> HostArray {
        let last = if self.program.carries.is_empty() { 1 } else { executions.clamp(1, MOST_EXECUTIONS) };
        let key = (set, last);
        // A part of an output needs only its own units; everything else is kept whole.
        if self.known(key, value).is_none()
            && range.len() < self.program.values[value].spec.elements()
            && let Some((step, out)) = self.maker(value)
        {
            return self.part(key, step, out, range);
        }
        let whole = self.whole(key, value);
        HostArray::from_f64(whole.dtype(), whole.to_f64(range).into_iter())
    }

    fn known(&mut self, key: (usize, u64), value: ValueId) -> &mut Option<HostArray> {
        let count = self.program.values.len();
        &mut self.known.entry(key).or_insert_with(|| vec![None; count])[value]
    }

    /// The step that makes `value`, and as which output.
    fn maker(&self, value: ValueId) -> Option<(usize, usize)> {
        let output = |step: &Step| step.outs.iter().position(|&id| id == value);
        self.program.steps.iter().enumerate().find_map(|(number, step)| Some((number, output(step)?)))
    }

    fn whole(&mut self, key: (usize, u64), value: ValueId) -> HostArray {
        if let Some(known) = self.known(key, value) {
            return known.clone();
        }
        let (set, execution) = key;
        let carried =
            self.program.carries.iter().find(|carry| carry.input == value).filter(|_| execution > 1);
        let computed = match (carried, self.maker(value)) {
            (Some(carry), _) => self.whole((set, execution - 1), carry.produced),
            (None, Some((step, out))) => {
                let elements = self.program.values[value].spec.elements();
                self.part(key, step, out, 0..elements)
            }
            (None, None) => self.program.input_data(value, self.seed, set),
        };
        self.known(key, value).insert(computed).clone()
    }

    /// Elements `range` of output number `out` of a step.
    fn part(&mut self, key: (usize, u64), step: usize, out: usize, range: Range<usize>) -> HostArray {
        let Step { op, args, outs, .. } = self.program.steps[step].clone();
        let specs = self.program.specs(&args);
        let data: Vec<Vec<f64>> =
            args.iter().map(|&id| widened(&self.whole(key, id), self.precision)).collect();
        let args: Vec<Arg> = specs.iter().zip(&data).map(|(spec, data)| Arg::whole(spec, data)).collect();
        let operation = op.operation();
        let mut values = vec![0.0; range.len()];
        for unit in 0..operation.units(&specs) {
            let writes = &operation.writes(&specs, unit)[out];
            let overlap = writes.start.max(range.start)..writes.end.min(range.end);
            if overlap.is_empty() {
                continue;
            }
            let answer = &operation.reference(&args, unit)[out];
            for index in overlap {
                values[index - range.start] = answer[index - writes.start].value;
            }
        }
        HostArray::from_f64(self.program.values[outs[out]].spec.dtype, values.into_iter())
    }
}

fn widened(array: &HostArray, precision: Precision) -> Vec<f64> {
    let mut values = array.to_f64(0..array.len());
    if precision == Precision::Tf32 && array.dtype() == DType::F32 {
        values.iter_mut().for_each(|x| *x = to_tf32(*x));
    }
    values
}

/// `x`, an f32, rounded to 10 bits of significand, ties away from zero.
fn to_tf32(x: f64) -> f64 {
    let bits = (x as f32).to_bits();
    f64::from(f32::from_bits((bits + (1 << 12)) & !((1 << 13) - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Gemm, Op};
    use crate::program::{Phase, State};
    use crate::random::Fill;
    use crate::tensor::ValueSpec;

    fn doubled() -> Program {
        let mut program = Program::default();
        let p = program.input("p", ValueSpec::new(&[2, 2], DType::F32), State::Parameter, Fill::UNIT);
        let x = program.input(
            "x",
            ValueSpec::new(&[2, 2], DType::F32),
            State::Batch,
            Fill::Integers { low: 1, high: 1 },
        );
        let out = program
            .push(Op::Gemm(Gemm::plain(DType::F32)), &[p, x], Phase::Update, State::Parameter)
            .unwrap();
        program.carry(out[0], p);
        program.outputs = out;
        program
    }

    #[test]
    fn carried_values_advance() {
        let program = doubled();
        let p = program.input_data(0, 5, 0).to_f64(0..2);
        let mut answers = Answers::new(&program, 5, Precision::Full);
        // Each row becomes its sum in both columns; from then on it doubles.
        for (executions, factor) in [(1, 1.0), (2, 2.0), (3, 4.0), (1_000_000, 8.0)] {
            let got = answers.read(2, 0, executions, 0..1).to_f64(0..1)[0];
            assert!((got - factor * (p[0] + p[1])).abs() < 1e-5, "{executions}: {got}");
            let whole = answers.read(2, 0, executions, 0..4).to_f64(0..4);
            assert_eq!(whole[0], got);
        }
        assert_eq!(answers.read(0, 0, 1, 0..2).to_f64(0..2), p);
    }

    #[test]
    fn tf32_keeps_ten_bits() {
        let step = 2f64.powi(-10);
        for (x, want) in
            [(1.0, 1.0), (1.0 + step, 1.0 + step), (1.0 + 0.4 * step, 1.0), (-1.0 - 0.6 * step, -1.0 - step)]
        {
            assert_eq!(to_tf32(x), want);
        }
    }
}
