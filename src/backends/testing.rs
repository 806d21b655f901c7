//! What the tests of backends share.

use super::Family;
use crate::ops::Op;
use crate::program::{Phase, Program, State};
use crate::tensor::{DType, ValueSpec};

/// A program of one step. Inputs are as the op wants them, of state batch where `states` is short.
pub(crate) fn single(op: Op, args: &[ValueSpec], states: &[State]) -> Program {
    let mut program = Program::default();
    let mut input = |(number, spec): (usize, &ValueSpec)| {
        let state = states.get(number).copied().unwrap_or(State::Batch);
        program.input(format!("x{number}"), spec.clone(), state, op.operation().input(args, number))
    };
    let ids: Vec<_> = args.iter().enumerate().map(&mut input).collect();
    program.outputs = program.push(op, &ids, Phase::Forward, State::Activation).unwrap();
    program
}

/// Specs of 4 x 4 matrices.
pub(crate) fn squares(dtypes: &[DType]) -> Vec<ValueSpec> {
    dtypes.iter().map(|&dtype| ValueSpec::new(&[4, 4], dtype)).collect()
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
