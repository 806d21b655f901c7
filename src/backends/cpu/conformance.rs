//! Test support: whether a device's answers are within the bounds of the ops' references.

use crate::backends::{Device, Family, LoadOptions};
use crate::ops::{Arg, Gemm, GemmI8, Op};
use crate::program::{Phase, Program, State};
use crate::tensor::{DType, ValueSpec};

/// A program of one step. Inputs are as the op wants them; `states` gives each argument's, batch where it
/// is short.
pub(crate) fn single(op: Op, args: &[ValueSpec], states: &[State]) -> Program {
    let mut program = Program::default();
    let ids: Vec<_> = args
        .iter()
        .enumerate()
        .map(|(number, spec)| {
            let state = states.get(number).copied().unwrap_or(State::Batch);
            program.input(&format!("x{number}"), spec.clone(), state, op.operation().fill(number, spec))
        })
        .collect();
    program.outputs = program.push(op, &ids, Phase::Forward, State::Activation).unwrap();
    program
}

/// Loads `program`, a single step, with two input sets, executes each twice, and compares every element
/// of every output.
pub(crate) fn check(device: &mut dyn Device, program: &Program) {
    let options = LoadOptions { seed: 7, sets: 2, keep_all: false };
    let mut loaded = device.load(program, &options).unwrap();
    let step = &program.steps[0];
    let specs = program.specs(&step.args);
    let operation = step.op.operation();
    loaded.reset().unwrap();
    for _ in 0..2 {
        (0..2).for_each(|set| loaded.enqueue(set).unwrap());
    }
    loaded.wait().unwrap();
    loaded.intact().unwrap();
    for set in 0..2 {
        let data: Vec<Vec<f64>> = step
            .args
            .iter()
            .map(|&id| program.input_data(id, 7, set))
            .map(|array| array.to_f64(0..array.len()))
            .collect();
        let args: Vec<Arg> = specs.iter().zip(&data).map(|(spec, data)| Arg::whole(spec, data)).collect();
        for unit in 0..operation.units(&specs) {
            let expected = operation.reference(&args, unit);
            for (out, (range, expected)) in
                operation.writes(&specs, unit).into_iter().zip(expected).enumerate()
            {
                let got = loaded.read(step.outs[out], set, range.clone()).unwrap();
                for (index, (got, want)) in got.to_f64(0..got.len()).into_iter().zip(expected).enumerate() {
                    let error = (got - want.value).abs();
                    assert!(
                        error <= want.allow,
                        "{:?} of {specs:?}: element {} of set {set} is {got}, not {} +- {}",
                        step.op,
                        range.start + index,
                        want.value,
                        want.allow
                    );
                }
            }
        }
    }
}

const EXTENTS: [(usize, usize, usize); 6] =
    [(1, 1, 1), (7, 5, 3), (1, 33, 65), (31, 1, 17), (64, 48, 80), (17, 129, 257)];
const TRANSPOSES: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

/// Every extent with every transpose, and a number to vary the rest by.
fn shapes() -> impl Iterator<Item = (usize, (usize, usize, usize), (bool, bool))> {
    let pairs = EXTENTS.into_iter().flat_map(|extents| TRANSPOSES.map(|trans| (extents, trans)));
    pairs.enumerate().map(|(number, (extents, trans))| (number, extents, trans))
}

/// Products that meet every edge: odd extents, one row, one column, transposes, batches, C.
pub(crate) fn products(dtype: DType, output: DType) -> Vec<(Op, Vec<ValueSpec>)> {
    let product = |(number, (m, n, k), trans): (usize, _, (bool, bool))| {
        // Periods without a common divisor with the four transposes meet all combinations.
        let (batch, shared_b) = [(1, true), (3, false), (3, true)][number % 3];
        let (alpha, beta) = [(1.0, 0.0), (1.0, 0.0), (-0.5, 2.0), (2.0, 0.0), (1.0, 1.0)][number % 5];
        let op = Gemm { trans_a: trans.0, trans_b: trans.1, alpha, beta, ..Gemm::plain(output) };
        let c = (beta != 0.0).then(|| spec(batch, m, n, output));
        let operands = operands((m, n, k), trans, (batch, shared_b), [dtype, dtype]);
        (Op::Gemm(op), operands.into_iter().chain(c).collect())
    };
    shapes().map(product).collect()
}

/// Products of 8-bit integers with these zero points in turn.
pub(crate) fn integer_products(a: DType, zeros: &[(i32, i32)]) -> Vec<(Op, Vec<ValueSpec>)> {
    let product = |(number, extents, trans): (usize, _, (bool, bool))| {
        let (zero_a, zero_b) = zeros[number % zeros.len()];
        let op = GemmI8 { trans_a: trans.0, trans_b: trans.1, zero_a, zero_b };
        (Op::GemmI8(op), operands(extents, trans, (1, true), [a, DType::I8]))
    };
    shapes().map(product).collect()
}

fn spec(batch: usize, rows: usize, columns: usize, dtype: DType) -> ValueSpec {
    let lead: &[usize] = if batch > 1 { &[batch] } else { &[] };
    ValueSpec::new(&[lead, &[rows, columns]].concat(), dtype)
}

fn operands(
    (m, n, k): (usize, usize, usize),
    (trans_a, trans_b): (bool, bool),
    (batch, shared_b): (usize, bool),
    [a, b]: [DType; 2],
) -> Vec<ValueSpec> {
    let (rows, columns) = if trans_a { (k, m) } else { (m, k) };
    let a = spec(batch, rows, columns, a);
    let (rows, columns) = if trans_b { (n, k) } else { (k, n) };
    vec![a, spec(if shared_b { 1 } else { batch }, rows, columns, b)]
}

/// Whether `family` has a device here. Its absence is said, and is a failure where the variable
/// REQUIRE_BACKENDS lists its name.
pub(crate) fn is_present(family: &dyn Family) -> bool {
    let present = !family.devices().is_empty();
    let required = std::env::var("REQUIRE_BACKENDS").unwrap_or_default();
    assert!(
        present || !required.split(',').any(|name| name == family.id()),
        "{} is required and not on this machine",
        family.id()
    );
    if !present {
        eprintln!("skipped: {} is not on this machine", family.id());
    }
    present
}
