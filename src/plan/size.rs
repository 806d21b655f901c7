//! What a program takes, counted once for every cell that runs it.

use super::point::bytes;
use crate::ops::Work;
use crate::program::{Kind, Program, State};

/// Sizes of one execution of a program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Size {
    /// Work on paper.
    pub work: Work,
    /// Bytes of all values, a carried pair counted once.
    pub bytes: u64,
    /// Bytes that are reset before a sample: outputs, and inputs that were carried.
    pub reset: u64,
    /// It has parameters that stay as they are, so that packing them ahead pays.
    pub packable: bool,
}

impl Size {
    /// Counts; `kinds` are the program's.
    pub(super) fn of(program: &Program, kinds: &[Kind]) -> Self {
        let mut carried = vec![false; program.values.len()];
        program.carries.iter().for_each(|carry| carried[carry.input] = true);
        let kept = program.outputs.iter().copied().chain(program.carries.iter().map(|carry| carry.input));
        let fixed = |&id: &usize| program.values[id].state == State::Parameter && !carried[id];
        Self {
            work: kinds.iter().fold(Work::default(), |sum, kind| {
                sum + program.work_of(&program.steps[kind.first]).times(kind.count)
            }),
            bytes: bytes(program),
            reset: kept.fold(0, |sum, id| program.values[id].spec.bytes().saturating_add(sum)),
            packable: program.inputs().any(|id| fixed(&id)),
        }
    }
}
