//! Where the values of a program lie while it is loaded: which share memory, and which swap it from
//! execution to execution because one is carried into the other.

use super::Fault;
use crate::program::{Carry, Program, ValueId};

/// What has happened to an input set since the last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SetState {
    /// Whether it was executed.
    pub(super) executed: bool,
    /// The turn of the last execution.
    pub(super) turn: usize,
}

impl SetState {
    /// Notes one more execution of a program whose layout has `turns` turns.
    pub(super) fn execute(&mut self, turns: usize) {
        if self.executed {
            // No remainder: a division would cost more than a null execution.
            self.turn = if self.turn + 1 == turns { 0 } else { self.turn + 1 };
        }
        self.executed = true;
    }
}

/// Which place of a memory a value has.
#[derive(Debug)]
pub(super) struct Layout {
    /// By turn (0 and 1) and value, within a set.
    places: [Vec<usize>; 2],
    /// Which value each place of a set was made for.
    pub(super) owners: Vec<ValueId>,
    /// Whether the turns differ, because produced and carried values swap memory.
    swaps: bool,
}

impl Layout {
    /// A layout in which the pairs of `shared` are one memory each; every other carried pair swaps.
    pub(super) fn new(program: &Program, shared: &[Carry]) -> Result<Self, Fault> {
        let mut first = vec![usize::MAX; program.values.len()];
        let is_shared = |id| shared.iter().any(|carry: &Carry| carry.produced == id);
        let owners: Vec<ValueId> = (0..program.values.len()).filter(|&id| !is_shared(id)).collect();
        for (place, &owner) in owners.iter().enumerate() {
            first[owner] = place;
        }
        for carry in shared {
            first[carry.produced] = first[carry.input];
        }
        let mut second = first.clone();
        let swapped: Vec<_> = program.carries.iter().filter(|carry| !shared.contains(carry)).collect();
        for Carry { produced, input } in &swapped {
            let once =
                program.carries.iter().filter(|c| c.produced == *produced || c.input == *input).count() == 1;
            if !once || program.values[*produced].input.is_some() {
                let name = &program.values[*produced].name;
                return Err(Fault::Unsupported(format!(
                    "{name} must be the result of a step and carried once"
                )));
            }
            second.swap(*produced, *input);
        }
        Ok(Self { places: [first, second], owners, swaps: !swapped.is_empty() })
    }

    /// Executions after which every value is back where it was: 1 or 2.
    pub(super) fn turns(&self) -> usize {
        if self.swaps { 2 } else { 1 }
    }

    /// The place of `value`, among those of all sets.
    pub(super) fn place(&self, set: usize, turn: usize, value: ValueId) -> usize {
        set * self.owners.len() + self.places[turn][value]
    }
}

/// The carries whose two values may be one memory: a step updates in place, and nobody else reads the old
/// elements. `in_place` gives the pairs (output, argument) that a step can compute in one memory.
pub(super) fn shared_carries(
    program: &Program,
    in_place: impl Fn(usize) -> &'static [(usize, usize)],
) -> Vec<Carry> {
    let mut shared: Vec<Carry> = Vec::new();
    for (number, step) in program.steps.iter().enumerate() {
        for &(out, arg) in in_place(number) {
            let carry = Carry { produced: step.outs[out], input: step.args[arg] };
            let read_once = step.args.iter().filter(|&&id| id == carry.input).count() == 1;
            let read_later = program.steps[number + 1..].iter().any(|step| step.args.contains(&carry.input));
            let taken =
                shared.iter().any(|other| other.input == carry.input || other.produced == carry.produced);
            let wanted = program.outputs.contains(&carry.input);
            if program.carries.contains(&carry) && read_once && !read_later && !taken && !wanted {
                shared.push(carry);
            }
        }
    }
    shared
}

/// What a reset restores: carried inputs, and every kept value that is no input.
pub(super) fn kept_or_carried(program: &Program) -> Vec<ValueId> {
    let is_carried = |id| program.carries.iter().any(|carry| carry.input == id);
    (0..program.values.len())
        .filter(|&id| is_carried(id) || (program.is_kept(id) && program.values[id].input.is_none()))
        .collect()
}
