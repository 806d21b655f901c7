//! A program on a GPU: its values in one arena, its steps bound to addresses, its transfers and its clock.

use super::arena::Arena;
use super::clock::{DeviceClock, time};
use super::driver::Address;
use super::engine::{Call, Engine, Recipe};
use super::gpu::{Buffer, Gpu, Stream};
use super::transfer::Transfers;
use crate::backends::layout::{Layout, Reuse, SetState, input_bytes, kept_or_carried, shared_carries};
use crate::backends::{Fault, LoadOptions, Loaded, written};
use crate::program::{Program, State, Step, ValueId};
use crate::tensor::HostArray;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// Scratch buffers begin at multiples of this.
const ALIGNMENT: u64 = 256;

/// A program on a GPU.
pub(super) struct GpuLoaded {
    // In the order in which they must go: whoever uses memory before the memory, the stream last.
    clock: DeviceClock,
    calls: Vec<Vec<Box<dyn Call>>>,
    transfers: Transfers,
    arena: Arena,
    /// Held for its memory.
    _scratch: Buffer,
    scratch_bytes: u64,
    layout: Layout,
    program: Program,
    sets: Vec<SetState>,
    /// Carried inputs as they were made, by set and value.
    pristine: BTreeMap<(usize, ValueId), Vec<u8>>,
    /// What was chosen at load, for the record.
    notes: BTreeMap<String, String>,
    /// Something ran since the guards were last looked at.
    unchecked: std::cell::Cell<bool>,
    stream: Rc<Stream>,
}

impl GpuLoaded {
    /// Compiles, allocates and fills.
    pub(super) fn new(
        gpu: &Rc<Gpu>,
        engine: &mut dyn Engine,
        program: &Program,
        options: &LoadOptions,
        pageable: bool,
    ) -> Result<Self, Fault> {
        let recipes: Result<Vec<_>, Fault> =
            program.steps.iter().map(|step| prepare(engine, step, program)).collect();
        let recipes = recipes?;
        let pairs = |step: usize| engine.in_place(&program.steps[step].op);
        // Who wants every value back wants to see what a step read, so nothing is overwritten.
        let shared = if options.keep_all { vec![] } else { shared_carries(program, pairs) };
        let reuse = if options.keep_all { Reuse::None } else { Reuse::Pool };
        let layout = Layout::new(program, &shared, reuse)?;
        let sets = options.sets.max(1);
        let stream = Stream::new(gpu)?;
        let specs = std::iter::repeat_n(&layout.rooms, sets).flatten();
        let arena = Arena::new(gpu, &stream, specs)?;
        let scratch_bytes = recipes.iter().map(|recipe| total(recipe.scratch())).max().unwrap_or(0);
        let scratch = Buffer::new(gpu, scratch_bytes)?;
        let mut transfers = Transfers::new(&stream, program, sets, pageable)?;
        let pristine = fill(program, options.seed, sets, &layout, &arena, &mut transfers)?;
        let calls = bind(program, &recipes, &layout, sets, &arena, scratch.address, &stream)?;
        let notes = notes(program, &recipes);
        let loaded = Self {
            clock: DeviceClock::new(&stream),
            calls,
            transfers,
            arena,
            _scratch: scratch,
            scratch_bytes,
            layout,
            program: program.clone(),
            sets: vec![SetState::default(); sets],
            pristine,
            notes,
            unchecked: false.into(),
            stream,
        };
        // After the steps were bound, which may have tried algorithms on them.
        loaded.spoil()?;
        Ok(loaded)
    }

    /// Puts the sentinel into everything that is no input.
    fn spoil(&self) -> Result<(), Fault> {
        for set in 0..self.sets.len() {
            for &id in self.layout.owners.iter().filter(|id| self.program.values[**id].input.is_none()) {
                self.arena.spoil(self.layout.place(set, 0, id))?;
            }
        }
        Ok(self.stream.wait()?)
    }

    fn set(&self, set: usize) -> Result<SetState, Fault> {
        self.sets.get(set).copied().ok_or_else(|| Fault::Library(format!("no input set {set}")))
    }
}

fn prepare(engine: &mut dyn Engine, step: &Step, program: &Program) -> Result<Box<dyn Recipe>, Fault> {
    engine.prepare(&step.op, &program.specs(&step.args), &program.specs(&step.outs))
}

/// Puts the inputs into every set; returns those that are carried, to be put back by a reset.
fn fill(
    program: &Program,
    seed: u64,
    sets: usize,
    layout: &Layout,
    arena: &Arena,
    transfers: &mut Transfers,
) -> Result<BTreeMap<(usize, ValueId), Vec<u8>>, Fault> {
    let mut pristine = BTreeMap::new();
    for set in 0..sets {
        for &id in layout.owners.iter().filter(|id| program.values[**id].input.is_some()) {
            let bytes = input_bytes(program, id, seed, set);
            arena.write(layout.place(set, 0, id), 0, &bytes)?;
            transfers.keep(set, id, 0, &bytes);
            if program.carries.iter().any(|carry| carry.input == id) {
                pristine.insert((set, id), bytes);
            }
        }
    }
    Ok(pristine)
}

/// What was chosen for each step, by the step's name and number.
fn notes(program: &Program, recipes: &[Box<dyn Recipe>]) -> BTreeMap<String, String> {
    let mut notes = BTreeMap::new();
    for (number, (step, recipe)) in program.steps.iter().zip(recipes).enumerate() {
        let name = format!("{} {number}", step.op.operation().name());
        notes.extend(recipe.note().map(|note| (name, note)));
    }
    notes
}

/// Bytes of scratch buffers laid out one behind the other.
fn total(scratch: &[u64]) -> u64 {
    scratch.iter().map(|bytes| bytes.next_multiple_of(ALIGNMENT)).sum()
}

/// Every launch of an execution, for each set and turn.
fn bind(
    program: &Program,
    recipes: &[Box<dyn Recipe>],
    layout: &Layout,
    sets: usize,
    arena: &Arena,
    scratch: Address,
    stream: &Stream,
) -> Result<Vec<Vec<Box<dyn Call>>>, Fault> {
    let mut bound = Vec::new();
    for (set, turn) in (0..sets).flat_map(|set| (0..layout.turns()).map(move |turn| (set, turn))) {
        let mut calls = Vec::new();
        for (step, recipe) in program.steps.iter().zip(recipes) {
            let at = |ids: &[ValueId]| -> Vec<Address> {
                let offset = |id: ValueId| (layout.offset(id) * program.values[id].spec.dtype.size()) as u64;
                ids.iter().map(|&id| arena.address(layout.place(set, turn, id)) + offset(id)).collect()
            };
            // Steps run one after another, so they share the scratch memory.
            let starts = recipe.scratch().iter().scan(scratch, |next, bytes| {
                let start = *next;
                *next += bytes.next_multiple_of(ALIGNMENT);
                Some(start)
            });
            let starts: Vec<Address> = starts.collect();
            calls.extend(recipe.bind(&at(&step.args), &at(&step.outs), &starts, stream)?);
        }
        bound.push(calls);
    }
    Ok(bound)
}

impl Loaded for GpuLoaded {
    fn reset(&mut self) -> Result<(), Fault> {
        let kept = kept_or_carried(&self.program);
        for set in (0..self.sets.len()).filter(|&set| self.sets[set].is_touched()) {
            for &id in kept.iter().filter(|id| self.layout.owners.contains(id)) {
                let place = self.layout.place(set, 0, id);
                match self.pristine.get(&(set, id)) {
                    Some(bytes) => self.arena.write(place, 0, bytes)?,
                    None => self.arena.spoil(place)?,
                }
            }
        }
        self.sets.fill(SetState::default());
        Ok(self.stream.wait()?)
    }

    fn upload(&mut self, set: usize) -> Result<(), Fault> {
        self.set(set)?;
        let place = |id| self.arena.address(self.layout.place(set, 0, id));
        Ok(self.transfers.upload(&self.stream, set, place)?)
    }

    fn enqueue(&mut self, set: usize) -> Result<(), Fault> {
        self.set(set)?;
        let turns = self.layout.turns();
        let state = &mut self.sets[set];
        state.execute(turns);
        self.unchecked.set(true);
        for call in &mut self.calls[set * turns + state.turn] {
            self.clock.before_launch()?;
            call.queue(&self.stream)?;
        }
        Ok(())
    }

    fn steps(&mut self, set: usize) -> Result<Vec<f64>, Fault> {
        self.set(set)?;
        let turns = self.layout.turns();
        let state = &mut self.sets[set];
        state.execute(turns);
        self.unchecked.set(true);
        let stream = &self.stream;
        let calls = &mut self.calls[set * turns + state.turn];
        calls.iter_mut().map(|call| time(stream, || call.queue(stream))).collect()
    }

    fn wait(&mut self) -> Result<(), Fault> {
        self.clock.end_segment()?;
        Ok(self.stream.wait()?)
    }

    fn download(&mut self, set: usize) -> Result<(), Fault> {
        let turn = self.set(set)?.turn;
        let place = |id| self.arena.address(self.layout.place(set, turn, id));
        Ok(self.transfers.download(&self.stream, place)?)
    }

    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Fault> {
        let turn = self.set(set)?.turn;
        let elements = self.program.values.get(value).map_or(0, |value| value.spec.elements());
        if range.start > range.end || range.end > elements {
            return Err(Fault::Library(format!("no elements {range:?} of value {value} in set {set}")));
        }
        self.clock.end_segment()?;
        Ok(self.arena.read(self.layout.place(set, turn, value), range)?)
    }

    fn write(&mut self, value: ValueId, set: usize, start: usize, elements: &HostArray) -> Result<(), Fault> {
        written::check(&self.program, value, start, elements)?;
        let turn = self.set(set)?.next_turn(self.layout.turns());
        let offset = start * elements.dtype().size();
        let bytes = elements.to_le_bytes();
        self.clock.end_segment()?;
        // What was queued before may still read the host's copy.
        self.stream.wait()?;
        self.transfers.keep(set, value, offset, &bytes);
        self.sets[set].written = true;
        Ok(self.arena.write(self.layout.place(set, turn, value), offset as u64, &bytes)?)
    }

    fn intact(&self) -> Result<(), Fault> {
        if !self.unchecked.replace(false) {
            return Ok(());
        }
        let Some(place) = self.arena.overrun()? else { return Ok(()) };
        self.unchecked.set(true);
        let owner = self.layout.owners[place % self.layout.owners.len()];
        Err(Fault::Library(format!("something was written beside {}", self.program.values[owner].name)))
    }

    fn use_device_clock(&mut self, on: bool) {
        self.clock.switch(on);
    }

    fn device_time(&mut self) -> Option<f64> {
        // A clock that fails is no device without one: what it gives is seen to be no time.
        self.clock.take().unwrap_or(Some(f64::NAN))
    }

    fn memory(&self) -> BTreeMap<State, u64> {
        let mut bytes: BTreeMap<State, u64> = BTreeMap::new();
        for (state, room) in self.layout.by_state(&self.program) {
            *bytes.entry(state).or_default() += room * self.sets.len() as u64;
        }
        if self.scratch_bytes > 0 {
            *bytes.entry(State::Workspace).or_default() += self.scratch_bytes;
        }
        bytes
    }

    fn notes(&self) -> BTreeMap<String, String> {
        let mut notes = self.notes.clone();
        let gate =
            if self.clock.hides_launches() { "hidden behind a gate" } else { "seen by the device's clock" };
        notes.insert("launches".to_string(), gate.to_string());
        notes
    }

    fn is_host_memory(&self) -> bool {
        false
    }
}
