//! Where the values of a program lie while it is loaded: which share memory, and which swap it from
//! execution to execution because one is carried into the other.

use super::Fault;
use crate::ops::in_parallel;
use crate::program::{Carry, Program, ValueId};
use crate::tensor::{DType, ValueSpec};
use std::collections::HashMap;

/// What has happened to an input set since the last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SetState {
    /// Whether it was executed.
    pub(super) executed: bool,
    /// The turn of the last execution.
    pub(super) turn: usize,
    /// Whether an input was written from outside.
    pub(super) written: bool,
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

    /// The turn of the next execution of a program whose layout has `turns` turns.
    pub(super) fn next_turn(mut self, turns: usize) -> usize {
        self.execute(turns);
        self.turn
    }

    /// Whether a reset has something to restore.
    pub(super) fn is_touched(self) -> bool {
        self.executed || self.written
    }
}

/// Which place of a memory a value has.
#[derive(Debug)]
pub(super) struct Layout {
    /// By turn (0 and 1) and value, within a set.
    places: [Vec<usize>; 2],
    /// Which value each place of a set was made for.
    pub(super) owners: Vec<ValueId>,
    /// What each place of a set has room for: the largest of the values that have it in turn.
    pub(super) rooms: Vec<ValueSpec>,
    /// Whether the turns differ, because produced and carried values swap memory.
    swaps: bool,
}

impl Layout {
    /// A layout in which the pairs of `shared` are one memory each; every other carried pair swaps. Where it
    /// `reuses` memory, a result that only steps of one execution read takes over what another left.
    pub(super) fn new(program: &Program, shared: &[Carry], reuses: bool) -> Result<Self, Fault> {
        let is_shared = |id| shared.iter().any(|carry: &Carry| carry.produced == id);
        let Homes { homes, elements } = if reuses { homes(program) } else { Homes::of_each(program) };
        let owns = |id: &ValueId| homes[*id] == *id && !is_shared(*id);
        let owners: Vec<ValueId> = (0..program.values.len()).filter(owns).collect();
        let room = |&id: &ValueId| match &program.values[id].spec {
            spec if spec.elements() == elements[id] => spec.clone(),
            spec => ValueSpec::new(&[elements[id]], spec.dtype),
        };
        let rooms = owners.iter().map(room).collect();
        let mut first = vec![usize::MAX; program.values.len()];
        for (place, &owner) in owners.iter().enumerate() {
            first[owner] = place;
        }
        for (id, &home) in homes.iter().enumerate() {
            first[id] = first[home];
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
        Ok(Self { places: [first, second], owners, rooms, swaps: !swapped.is_empty() })
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

/// For each value the first one that has its memory, and how many elements that memory has to hold.
struct Homes {
    homes: Vec<ValueId>,
    /// By the first value of a memory.
    elements: Vec<usize>,
}

impl Homes {
    /// Every value has a memory of its own.
    fn of_each(program: &Program) -> Self {
        let elements = program.values.iter().map(|value| value.spec.elements()).collect();
        Self { homes: (0..program.values.len()).collect(), elements }
    }
}

/// A step's results take over the memory of values of their type that no later step reads, and that the caller does
/// not want: the smallest that holds them, of several the last that was left, else the largest, which grows.
fn homes(program: &Program) -> Homes {
    let mut last_read = vec![0; program.values.len()];
    let mut passes: Vec<bool> = program.values.iter().map(|value| value.input.is_none()).collect();
    for (number, step) in program.steps.iter().enumerate() {
        step.args.iter().for_each(|&id| last_read[id] = number);
    }
    let produced = program.carries.iter().map(|carry| &carry.produced);
    program.outputs.iter().chain(produced).for_each(|&id| passes[id] = false);
    let Homes { mut homes, mut elements } = Homes::of_each(program);
    let mut left: HashMap<DType, Vec<ValueId>> = HashMap::new();
    for (number, step) in program.steps.iter().enumerate() {
        for &id in step.outs.iter().filter(|id| passes[**id]) {
            let spec = &program.values[id].spec;
            let free = left.entry(spec.dtype).or_default();
            if let Some(home) = best(free, &elements, spec.elements()).map(|place| free.remove(place)) {
                homes[id] = home;
                elements[home] = elements[home].max(spec.elements());
            }
        }
        // Results that nobody reads are done with, too.
        let mut done: Vec<_> = step.args.iter().chain(&step.outs).copied().collect();
        done.sort_unstable();
        done.dedup();
        for id in done.into_iter().filter(|&id| passes[id] && last_read[id] <= number) {
            left.entry(program.values[id].spec.dtype).or_default().push(homes[id]);
        }
    }
    Homes { homes, elements }
}

/// Which of the memories that were left should hold `wanted` elements.
fn best(free: &[ValueId], elements: &[usize], wanted: usize) -> Option<usize> {
    let sized = || free.iter().enumerate().map(|(place, &home)| (place, elements[home]));
    let holds = sized().filter(|(_, size)| *size >= wanted);
    let smallest = holds.min_by_key(|&(place, size)| (size, std::cmp::Reverse(place)));
    smallest.or_else(|| sized().max_by_key(|&(place, size)| (size, place))).map(|(place, _)| place)
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

/// Elements of an input as the device stores them, made on every core.
pub(super) fn input_bytes(program: &Program, id: ValueId, seed: u64, set: usize) -> Vec<u8> {
    const CHUNK: usize = 1 << 18;
    let elements = program.values[id].spec.elements();
    let chunks: Vec<usize> = (0..elements.div_ceil(CHUNK)).collect();
    let make = |chunk: usize| {
        let range = chunk * CHUNK..((chunk + 1) * CHUNK).min(elements);
        program.input_range(id, seed, set, range).to_le_bytes()
    };
    in_parallel(&chunks, make).concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Add, Op};
    use crate::program::{Phase, State};
    use crate::random::Fill;
    use crate::tensor::{DType, ValueSpec};

    /// Sums of pairs of values, by their numbers, after two inputs.
    fn sums(pairs: &[[ValueId; 2]], outputs: &[ValueId]) -> Program {
        let mut program = Program::default();
        for name in ["x", "y"] {
            program.input(name, ValueSpec::new(&[5], DType::F32), State::Batch, Fill::UNIT);
        }
        for pair in pairs {
            program.push(Op::Add(Add {}), pair, Phase::Forward, State::Activation).unwrap();
        }
        program.outputs = outputs.to_vec();
        program
    }

    #[test]
    fn results_that_nobody_reads_any_more_leave_their_memory() {
        type Row = (&'static [[ValueId; 2]], &'static [ValueId], &'static [ValueId]);
        let rows: [Row; 4] = [
            // Each reads the last: two memories in turn, and one of its own for what is wanted.
            (&[[0, 1], [2, 1], [3, 1], [4, 1]], &[5], &[0, 1, 2, 3, 2, 5]),
            // What is read late stays.
            (&[[0, 1], [2, 1], [3, 1], [4, 2], [5, 0]], &[6], &[0, 1, 2, 3, 4, 3, 6]),
            // Never read, and read twice by one step.
            (&[[0, 1], [0, 0], [1, 1], [4, 4], [5, 5]], &[6], &[0, 1, 2, 2, 2, 5, 6]),
            // Wanted in the middle.
            (&[[0, 1], [2, 2], [3, 3], [4, 4]], &[2, 5], &[0, 1, 2, 3, 4, 5]),
        ];
        for (pairs, outputs, want) in rows {
            let program = sums(pairs, outputs);
            assert_eq!(homes(&program).homes, want, "{pairs:?}");
            let layout = Layout::new(&program, &[], true).unwrap();
            let owners: Vec<_> = (0..want.len()).filter(|&id| want[id] == id).collect();
            assert_eq!(layout.owners, owners);
            for (id, home) in want.iter().enumerate() {
                assert_eq!(layout.place(0, 0, id), layout.place(0, 0, *home));
            }
            assert_eq!(Layout::new(&program, &[], false).unwrap().owners.len(), want.len());
        }
    }

    #[test]
    fn a_carried_result_never_shares_and_a_larger_one_makes_room() {
        let mut program = sums(&[[0, 1], [2, 1]], &[]);
        let wide = ValueSpec::new(&[7], DType::F32);
        let input = program.input("wide", wide, State::Parameter, Fill::UNIT);
        program.push(Op::Add(Add {}), &[input, input], Phase::Update, State::Parameter).unwrap();
        program.push(Op::Add(Add {}), &[3, 3], Phase::Update, State::Parameter).unwrap();
        program.carry(6, 0);
        let Homes { homes, elements } = homes(&program);
        assert_eq!(homes, [0, 1, 2, 3, 4, 2, 6]);
        assert_eq!(elements[2], 7);
        let rooms = Layout::new(&program, &[], true).unwrap().rooms;
        assert_eq!(rooms.iter().map(ValueSpec::elements).collect::<Vec<_>>(), [5, 5, 7, 5, 7, 5]);
    }

    #[test]
    fn memory_that_holds_a_value_is_taken_before_any_grows() {
        for (free, wanted, want) in [
            (&[0, 1, 2][..], 4, Some(1)),
            (&[0, 1, 2], 8, Some(2)),
            (&[0, 1, 2], 9, Some(2)),
            // Of two alike the last that was left.
            (&[1, 3], 5, Some(1)),
            (&[], 1, None),
        ] {
            assert_eq!(best(free, &[3, 5, 8, 5], wanted), want, "{free:?} {wanted}");
        }
    }

    /// What a model's values need at least, as liveness sees it, beside what their places take.
    #[test]
    fn places_of_a_training_step_take_little_more_than_lives_at_once() {
        use crate::workloads::{self, Param};
        let text = |text: &str| Param::Text(text.to_string());
        let point = [
            ("size", text("base")),
            ("mode", text("train")),
            ("batch", Param::Int(8)),
            ("length", Param::Int(128)),
        ];
        let point = point.into_iter().map(|(axis, value)| (axis.to_string(), value)).collect();
        let program = workloads::find("bert").unwrap().program(&point).unwrap();
        let shared = shared_carries(&program, |step| match &program.steps[step].op {
            Op::Adamw(_) => &[(0, 0), (1, 2), (2, 3)],
            _ => &[],
        });
        let rooms = Layout::new(&program, &shared, true).unwrap().rooms;
        let (taken, least) = (rooms.iter().map(ValueSpec::bytes).sum::<u64>(), program.liveness().total());
        println!(
            "places {taken}, liveness {least}, {:.1} % more",
            100.0 * (taken as f64 / least as f64 - 1.0)
        );
        assert!(taken as f64 <= 1.05 * least as f64, "{taken} for {least}");
    }
}
