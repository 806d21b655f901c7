//! Where the values of a program lie while it is loaded: which share memory, and which swap it from
//! execution to execution because one is carried into the other.

use super::Fault;
use crate::ops::in_parallel;
use crate::program::{Carry, Program, State, Value, ValueId};
use crate::tensor::{DType, ValueSpec};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

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

/// How results that only steps of one execution read share memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reuse {
    /// Not at all.
    None,
    /// One after another, each alone in a memory: for a backend where two parts of a memory cannot be bound apart.
    Turns,
    /// In parts of one memory for each type.
    Pool,
}

/// Which place of a memory a value has.
#[derive(Debug)]
pub(super) struct Layout {
    /// By turn (0 and 1) and value, within a set.
    places: [Vec<usize>; 2],
    /// By value, its first element in its place.
    offsets: Vec<usize>,
    /// Which value each place of a set was made for: the largest of those that share it.
    pub(super) owners: Vec<ValueId>,
    /// What each place of a set has room for.
    pub(super) rooms: Vec<ValueSpec>,
    /// Whether the turns differ, because produced and carried values swap memory.
    swaps: bool,
}

impl Layout {
    /// A layout in which the pairs of `shared` are one memory each; every other carried pair swaps.
    pub(super) fn new(program: &Program, shared: &[Carry], reuse: Reuse) -> Result<Self, Fault> {
        let is_shared = |id| shared.iter().any(|carry: &Carry| carry.produced == id);
        let count = program.values.len();
        let Homes { homes, offsets, elements } = match reuse {
            Reuse::None => Homes::alone(program, (0..count).collect()),
            Reuse::Turns => Homes::alone(program, turns(program)),
            Reuse::Pool => pool(program),
        };
        let owns = |id: &ValueId| homes[*id] == *id && !is_shared(*id);
        let owners: Vec<ValueId> = (0..count).filter(owns).collect();
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
        Ok(Self { places: [first, second], offsets, owners, rooms, swaps: !swapped.is_empty() })
    }

    /// Executions after which every value is back where it was: 1 or 2.
    pub(super) fn turns(&self) -> usize {
        if self.swaps { 2 } else { 1 }
    }

    /// The place of `value`, among those of all sets.
    pub(super) fn place(&self, set: usize, turn: usize, value: ValueId) -> usize {
        set * self.owners.len() + self.places[turn][value]
    }

    /// The first element of `value` in its place.
    pub(super) fn offset(&self, value: ValueId) -> usize {
        self.offsets[value]
    }

    /// Bytes of a set's places by state: of a pool as its values are there when most of it is needed, and what lies
    /// between them as workspace.
    pub(super) fn by_state(&self, program: &Program) -> BTreeMap<State, u64> {
        let mut bytes: BTreeMap<State, u64> = BTreeMap::new();
        let lives = lives(program);
        for (place, (&owner, room)) in self.owners.iter().zip(&self.rooms).enumerate() {
            let Value { spec, state, .. } = &program.values[owner];
            if room == spec {
                *bytes.entry(*state).or_default() += room.bytes();
                continue;
            }
            let parts = lives.iter().enumerate().filter(|(id, _)| self.places[0][*id] == place);
            let parts: Vec<_> =
                parts.filter_map(|(id, life)| Some((&program.values[id], (*life)?))).collect();
            let at =
                |step: usize| parts.iter().filter(move |(_, [first, last])| (*first..=*last).contains(&step));
            let needed = |step: usize| at(step).map(|(value, _)| value.spec.bytes()).sum::<u64>();
            let busiest = parts.iter().map(|(_, [first, _])| *first).max_by_key(|&step| needed(step));
            for (value, _) in busiest.into_iter().flat_map(at) {
                *bytes.entry(value.state).or_default() += value.spec.bytes();
            }
            let between = room.bytes() - busiest.map_or(0, needed);
            *bytes.entry(State::Workspace).or_default() += between;
        }
        bytes
    }
}

/// Where values lie: for each the one whose memory it has, its first element in it, and by owner how many elements that
/// memory holds.
struct Homes {
    homes: Vec<ValueId>,
    offsets: Vec<usize>,
    elements: Vec<usize>,
}

impl Homes {
    /// Every value begins where its memory does, which was made for the largest.
    fn alone(program: &Program, homes: Vec<ValueId>) -> Self {
        let elements = program.values.iter().map(|value| value.spec.elements()).collect();
        Self { offsets: vec![0; homes.len()], homes, elements }
    }
}

/// Memory of one type, and the lives of the values that have it in turn: from the step that makes a value to the last
/// that reads it.
struct Memory {
    owner: ValueId,
    /// Last steps by first ones.
    lives: BTreeMap<usize, usize>,
}

impl Memory {
    /// Since which step it is left, where no life in it meets this one.
    fn left_for(&self, [first, last]: [usize; 2]) -> Option<usize> {
        let before = self.lives.range(..=first).next_back();
        let after = self.lives.range(first..).next();
        let is_free =
            before.is_none_or(|(_, end)| *end < first) && after.is_none_or(|(start, _)| *start > last);
        is_free.then(|| before.map_or(0, |(_, end)| end + 1))
    }
}

/// For each value the one whose memory it has. Results that only steps of one execution read share memory where no two
/// are needed at once: the largest first, each in the smallest that is left meanwhile (Pisarchyk and Lee, "Efficient
/// memory management for deep neural net inference", 2020, section 4), of several alike in the one that was left last,
/// since a cache may still hold it.
fn turns(program: &Program) -> Vec<ValueId> {
    let elements = |id: ValueId| program.values[id].spec.elements();
    let mut homes: Vec<ValueId> = (0..program.values.len()).collect();
    let mut memories: HashMap<DType, Vec<Memory>> = HashMap::new();
    for (id, life) in largest_first(program) {
        let of_type = memories.entry(program.values[id].spec.dtype).or_default();
        let free = of_type.iter_mut().filter_map(|memory| Some((memory.left_for(life)?, memory)));
        let best = free.max_by_key(|(left, memory)| (Reverse(elements(memory.owner)), *left));
        let [first, last] = life;
        match best {
            Some((_, memory)) => {
                memory.lives.insert(first, last);
                homes[id] = memory.owner;
            }
            None => of_type.push(Memory { owner: id, lives: BTreeMap::from([life.into()]) }),
        }
    }
    homes
}

/// Bytes that parts of a pool begin at multiples of, and those of large ones.
const PART: usize = 64;
const PAGE: usize = 4096;

/// The parts of a pool that are taken: where each begins and ends, and the life of its value.
type Taken = Vec<(Range<usize>, [usize; 2])>;

/// One memory for each type, in which results lie where no other lies that is needed at once: the largest first, each
/// in the smallest gap that holds it (Pisarchyk and Lee, section 5).
fn pool(program: &Program) -> Homes {
    let mut homes = Homes::alone(program, (0..program.values.len()).collect());
    let mut pools: HashMap<DType, (ValueId, Taken)> = HashMap::new();
    for (number, (id, life)) in largest_first(program).into_iter().enumerate() {
        let spec = &program.values[id].spec;
        let (owner, taken) = pools.entry(spec.dtype).or_insert_with(|| (id, Taken::new()));
        let bytes = spec.bytes() as usize;
        // Two streams at the same offset modulo 4 KiB make loads wait for unrelated stores.
        let (size, shift) = match bytes < PAGE {
            true => (bytes.next_multiple_of(PART), 0),
            false => (bytes.next_multiple_of(PAGE) + PAGE, number % 7 * 9 * PART),
        };
        let start = gap(taken, life, size);
        let place = taken.partition_point(|(part, _)| part.start < start);
        taken.insert(place, (start..start + size, life));
        let end = (start + size) / spec.dtype.size();
        (homes.homes[id], homes.offsets[id]) = (*owner, (start + shift) / spec.dtype.size());
        homes.elements[*owner] = homes.elements[*owner].max(end);
    }
    homes
}

/// Where the smallest gap of `size` begins between the parts that a life meets, else where they end.
fn gap(taken: &Taken, [first, last]: [usize; 2], size: usize) -> usize {
    let (mut end, mut best) = (0, None);
    for (part, _) in taken.iter().filter(|(_, life)| life[0] <= last && first <= life[1]) {
        let room = part.start.saturating_sub(end);
        if room >= size && best.is_none_or(|(least, _)| room < least) {
            best = Some((room, end));
        }
        end = end.max(part.end);
    }
    best.map_or(end, |(_, start)| start)
}

/// Results that only steps of one execution read, with their lives: the largest first, then the earliest.
fn largest_first(program: &Program) -> Vec<(ValueId, [usize; 2])> {
    let lives = lives(program).into_iter().enumerate();
    let mut results: Vec<_> = lives.filter_map(|(id, life)| Some((id, life?))).collect();
    results.sort_by_key(|&(id, life)| (Reverse(program.values[id].spec.bytes()), life));
    results
}

/// First and last steps that need each result which nobody but steps of one execution reads.
fn lives(program: &Program) -> Vec<Option<[usize; 2]>> {
    let mut lives = program.lifetimes();
    program.outputs.iter().for_each(|&id| lives[id] = None);
    lives
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
            assert_eq!(turns(&program), want, "{pairs:?}");
            let layout = Layout::new(&program, &[], Reuse::Turns).unwrap();
            let owners: Vec<_> = (0..want.len()).filter(|&id| want[id] == id).collect();
            assert_eq!(layout.owners, owners);
            for (id, home) in want.iter().enumerate() {
                assert_eq!(layout.place(0, 0, id), layout.place(0, 0, *home));
            }
            assert_eq!(Layout::new(&program, &[], Reuse::None).unwrap().owners.len(), want.len());
        }
    }

    #[test]
    fn a_carried_result_never_shares_and_the_largest_makes_room_for_the_rest() {
        let mut program = sums(&[[0, 1], [2, 1]], &[]);
        let wide = ValueSpec::new(&[7], DType::F32);
        let input = program.input("wide", wide, State::Parameter, Fill::UNIT);
        program.push(Op::Add(Add {}), &[input, input], Phase::Update, State::Parameter).unwrap();
        program.push(Op::Add(Add {}), &[3, 3], Phase::Update, State::Parameter).unwrap();
        program.carry(6, 0);
        assert_eq!(turns(&program), [0, 1, 5, 3, 4, 5, 6]);
        let owners = Layout::new(&program, &[], Reuse::Turns).unwrap().owners;
        assert_eq!(owners, [0, 1, 3, 4, 5, 6]);
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
        let taken = |reuse| {
            let layout = Layout::new(&program, &shared, reuse).unwrap();
            let rooms = layout.rooms.iter().map(ValueSpec::bytes).sum::<u64>();
            assert_eq!(layout.by_state(&program).values().sum::<u64>(), rooms, "{reuse:?}");
            rooms as f64
        };
        let least = program.liveness().total() as f64;
        for (reuse, most) in [(Reuse::Turns, 1.1), (Reuse::Pool, 1.02)] {
            println!("{reuse:?}: {:.3} of what is alive at once", taken(reuse) / least);
            assert!(taken(reuse) <= most * least, "{reuse:?}: {} for {least}", taken(reuse));
        }
        overlap_only_apart(&program);
    }

    /// No two parts of a pool overlap that are needed at once, and each is whole.
    fn overlap_only_apart(program: &Program) {
        let layout = Layout::new(program, &[], Reuse::Pool).unwrap();
        let lives = lives(program);
        let part = |id: ValueId| {
            let elements = program.values[id].spec.elements();
            (layout.place(0, 0, id), layout.offset(id)..layout.offset(id) + elements)
        };
        for (id, life) in lives.iter().enumerate() {
            let (place, range) = part(id);
            assert!(range.end <= layout.rooms[place].elements(), "{id}");
            for other in (id + 1..lives.len()).filter(|&other| part(other).0 == place) {
                let theirs = part(other).1;
                let meets = range.start < theirs.end && theirs.start < range.end;
                let (Some(a), Some(b)) = (life, lives[other]) else {
                    panic!("{id} and {other} share a place")
                };
                assert!(!meets || a[1] < b[0] || b[1] < a[0], "{id} and {other}");
            }
        }
    }

    #[test]
    fn a_part_takes_the_smallest_gap_that_holds_it() {
        let taken: Taken = vec![(0..64, [0, 9]), (192..256, [0, 9]), (256..512, [7, 9]), (320..448, [0, 3])];
        for (life, size, want) in
            [([1, 2], 64, 256), ([1, 2], 100, 64), ([1, 2], 192, 448), ([8, 8], 64, 64), ([4, 5], 192, 256)]
        {
            assert_eq!(gap(&taken, life, size), want, "{life:?} {size}");
        }
        assert_eq!(gap(&Taken::new(), [0, 0], 64), 0);
    }
}
