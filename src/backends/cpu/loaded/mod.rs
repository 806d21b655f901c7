//! What every CPU backend has in common: values in host memory, carries, resets, and a list of
//! prepared kernels that an execution calls one after another.
//!
//! Adding a CPU library:
//! 1. a type that implements [`Library`]: who it is, and for each step a prepared [`Kernel`] or one
//!    sentence why there is none. `prepare` sees shapes, types and states, and does all that can be
//!    done once; `Kernel::run` gets addresses;
//! 2. a `Family` whose `supports` asks the same questions without opening the library, and whose `open`
//!    returns `Box::new(CpuDevice(library))`;
//! 3. its row in `backends::FAMILIES`.
//!
//! A kernel that updates in place says so ([`Kernel::in_place`]); one that lays out parameters anew does
//! it in [`Kernel::pack`], outside the clock. `cpu/naive` is the shortest example.

use super::buffer::{Arena, Content, View, ViewMut, fences};
use crate::backends::layout::{Layout, Reuse, SetState, kept_or_carried, shared_carries};
use crate::backends::{Device, Fault, Identity, LoadOptions, Loaded, Unsupported, written};
use crate::host::clock;
use crate::program::{Program, State, Step, ValueId};
use crate::tensor::HostArray;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

/// One step, ready to run on any input set.
pub trait Kernel {
    /// Computes `outs` from `args`, in the step's order of values. `set` numbers the input set, for
    /// what [`Self::pack`] kept. Allocates nothing.
    fn run(&mut self, set: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault>;

    /// Pairs (output, argument) that are one memory: on entry the output holds the argument, whose own
    /// view is empty.
    fn in_place(&self) -> &'static [(usize, usize)] {
        &[]
    }

    /// Lays out parameters of `set` for `run`; returns the bytes that the copies take. Called once a
    /// set, when the inputs hold their elements, and never again.
    fn pack(&mut self, set: usize, args: &[View]) -> Result<u64, Fault> {
        let _ = (set, args);
        Ok(0)
    }

    /// Scratch bytes held between runs, made now if they were not before. Steps that have scratch in common tell it
    /// once, so this is asked once, at load.
    fn workspace(&self) -> Result<u64, Fault> {
        Ok(0)
    }
}

/// A way of computing steps on the host's processor.
pub trait Library {
    /// Who computes.
    fn identity(&self) -> Identity;

    /// A kernel for `step`, or why there is none. `program` has the specs and states of its values.
    fn prepare(&self, step: &Step, program: &Program) -> Result<Box<dyn Kernel>, Unsupported>;
}

/// Whether `value` may be laid out anew at load: a parameter that the program does not update.
pub fn is_packable(program: &Program, value: ValueId) -> bool {
    program.values[value].state == State::Parameter
        && !program.carries.iter().any(|carry| carry.input == value)
}

/// A library as a device.
pub struct CpuDevice<L>(pub L);

impl<L: Library> Device for CpuDevice<L> {
    fn identity(&self) -> Identity {
        self.0.identity()
    }

    fn load(&mut self, program: &Program, options: &LoadOptions) -> Result<Box<dyn Loaded>, Fault> {
        let kernels: Result<Vec<_>, _> =
            program.steps.iter().map(|step| self.0.prepare(step, program)).collect();
        Ok(Box::new(CpuLoaded::new(program, options, kernels?)?))
    }
}

/// A step with its arguments of every set, for both turns of the carried values.
struct Bound {
    kernel: Box<dyn Kernel>,
    calls: Vec<Call>,
    /// Parameters that may lie in another layout, of which the kernel made a copy.
    packed: Vec<ValueId>,
}

/// Arguments of one call.
struct Call {
    args: Vec<View>,
    outs: Vec<ViewMut>,
    /// Output and argument: what an in-place kernel needs copied first.
    copies: Vec<(usize, View)>,
}

/// A program in host memory.
pub struct CpuLoaded {
    // The steps hold views of the arena, so they must go first.
    steps: Vec<Bound>,
    arena: Arena,
    layout: Layout,
    program: Program,
    seed: u64,
    sets: Vec<SetState>,
    packing: (f64, u64),
    /// Bytes of scratch.
    workspace: u64,
}

impl CpuLoaded {
    /// Allocates, fills and packs. One kernel a step.
    pub fn new(
        program: &Program,
        options: &LoadOptions,
        kernels: Vec<Box<dyn Kernel>>,
    ) -> Result<Self, Fault> {
        // Who wants every value back wants to see what a step read, so nothing is overwritten.
        let pairs = |step: usize| kernels[step].in_place();
        let shared = if options.keep_all { vec![] } else { shared_carries(program, pairs) };
        // Between the parts of a pool there is no page to close.
        let reuse = if options.keep_all || fences() { Reuse::None } else { Reuse::Pool };
        let layout = Layout::new(program, &shared, reuse)?;
        let sets = options.sets.max(1);
        let specs = std::iter::repeat_n(&layout.rooms, sets).flatten();
        let mut arena = Arena::new(specs)?;
        let steps = program
            .steps
            .iter()
            .zip(kernels)
            .map(|(step, kernel)| bind(program, step, kernel, sets, &layout, &mut arena));
        let mut loaded = Self {
            steps: steps.collect(),
            arena,
            layout,
            program: program.clone(),
            seed: options.seed,
            sets: vec![SetState::default(); sets],
            packing: (0.0, 0),
            workspace: 0,
        };
        for step in &loaded.steps {
            loaded.workspace += step.kernel.workspace()?;
        }
        loaded.fill(|_, _| true);
        loaded.pack()?;
        Ok(loaded)
    }

    /// Fills the values of each set that `chosen` picks: inputs from the seed, all others with the
    /// sentinel.
    fn fill(&mut self, chosen: impl Fn(usize, ValueId) -> bool) {
        let owners = &self.layout.owners;
        let mut what = Vec::new();
        for set in 0..self.sets.len() {
            for (place, &id) in owners.iter().enumerate().filter(|(_, id)| chosen(set, **id)) {
                let place = set * owners.len() + place;
                let is_input = self.program.values[id].input.is_some();
                what.push((place, if is_input { Content::Input(place) } else { Content::Sentinel }));
            }
        }
        let (program, seed) = (&self.program, self.seed);
        let input = |place: usize, range| {
            program.input_range(owners[place % owners.len()], seed, place / owners.len(), range)
        };
        self.arena.fill(&what, &input);
    }

    /// One execution; calls `after` each step.
    #[inline]
    fn execute(&mut self, set: usize, mut after: impl FnMut()) -> Result<(), Fault> {
        let turns = self.layout.turns();
        let Some(state) = self.sets.get_mut(set) else {
            return Err(Fault::Library(format!("no input set {set}")));
        };
        state.execute(turns);
        let turn = state.turn;
        for Bound { kernel, calls, .. } in &mut self.steps {
            let Call { args, outs, copies } = &mut calls[set * turns + turn];
            copies.iter().for_each(|(out, arg)| outs[*out].copy_from(arg));
            kernel.run(set, args, outs)?;
            after();
        }
        Ok(())
    }

    fn pack(&mut self) -> Result<(), Fault> {
        let (sets, turns) = (self.sets.len(), self.layout.turns());
        let start = Instant::now();
        for (step, Bound { kernel, calls, packed }) in self.program.steps.iter().zip(&mut self.steps) {
            let before = self.packing.1;
            for set in 0..sets {
                self.packing.1 += kernel.pack(set, &calls[set * turns].args)?;
            }
            if self.packing.1 > before {
                packed.extend(step.args.iter().filter(|id| is_packable(&self.program, **id)));
            }
        }
        if self.packing.1 > 0 {
            self.packing.0 = start.elapsed().as_nanos() as f64;
        }
        Ok(())
    }
}

fn bind(
    program: &Program,
    step: &Step,
    kernel: Box<dyn Kernel>,
    sets: usize,
    layout: &Layout,
    arena: &mut Arena,
) -> Bound {
    let mut calls = Vec::new();
    let part = |id: ValueId| (layout.offset(id), program.values[id].spec.elements());
    let at = |id: ValueId| (layout.place(0, 0, id), layout.offset(id));
    for (set, turn) in (0..sets).flat_map(|set| (0..layout.turns()).map(move |turn| (set, turn))) {
        let read = |&id: &ValueId| {
            let (offset, elements) = part(id);
            arena.view(layout.place(set, turn, id)).part(offset, elements)
        };
        let mut args: Vec<View> = step.args.iter().map(read).collect();
        let write = |&id: &ValueId| {
            let (offset, elements) = part(id);
            arena.view_mut(layout.place(set, turn, id)).part(offset, elements)
        };
        let outs = step.outs.iter().map(write).collect();
        let mut copies = Vec::new();
        for &(out, arg) in kernel.in_place() {
            let empty = View::empty(args[arg].dtype());
            let read = std::mem::replace(&mut args[arg], empty);
            if at(step.outs[out]) != at(step.args[arg]) {
                copies.push((out, read));
            }
        }
        calls.push(Call { args, outs, copies });
    }
    Bound { kernel, calls, packed: vec![] }
}

impl Loaded for CpuLoaded {
    fn reset(&mut self) -> Result<(), Fault> {
        let kept = kept_or_carried(&self.program);
        let touched: Vec<bool> = self.sets.iter().map(|set| set.is_touched()).collect();
        self.fill(|set, id| touched[set] && kept.contains(&id));
        self.sets.fill(SetState::default());
        Ok(())
    }

    fn enqueue(&mut self, set: usize) -> Result<(), Fault> {
        self.execute(set, || ())
    }

    fn steps(&mut self, set: usize) -> Result<Vec<f64>, Fault> {
        let mut ends = Vec::with_capacity(self.steps.len() + 1);
        ends.push(clock::now());
        self.execute(set, || ends.push(clock::now()))?;
        Ok(ends.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect())
    }

    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Fault> {
        let elements = self.program.values.get(value).map_or(0, |value| value.spec.elements());
        let Some(state) = self.sets.get(set).filter(|_| range.start <= range.end && range.end <= elements)
        else {
            return Err(Fault::Library(format!("no elements {range:?} of value {value} in set {set}")));
        };
        Ok(self.arena.read(self.layout.place(set, state.turn, value), range))
    }

    fn write(&mut self, value: ValueId, set: usize, start: usize, elements: &HostArray) -> Result<(), Fault> {
        written::check(&self.program, value, start, elements)?;
        if self.steps.iter().any(|step| step.packed.contains(&value)) {
            return Err(written::packed(&self.program, value));
        }
        let turns = self.layout.turns();
        let Some(state) = self.sets.get_mut(set) else {
            return Err(Fault::Library(format!("no input set {set}")));
        };
        state.written = true;
        self.arena.write(self.layout.place(set, state.next_turn(turns), value), start, elements);
        Ok(())
    }

    fn intact(&self) -> Result<(), Fault> {
        let Some(place) = self.arena.overrun() else { return Ok(()) };
        let owner = self.layout.owners[place % self.layout.owners.len()];
        Err(Fault::Library(format!("something was written beside {}", self.program.values[owner].name)))
    }

    fn memory(&self) -> BTreeMap<State, u64> {
        let mut bytes: BTreeMap<State, u64> = BTreeMap::new();
        for (state, room) in self.layout.by_state(&self.program) {
            *bytes.entry(state).or_default() += room * self.sets.len() as u64;
        }
        if self.workspace + self.packing.1 > 0 {
            *bytes.entry(State::Workspace).or_default() += self.workspace + self.packing.1;
        }
        bytes
    }

    fn packing_cost(&self) -> (f64, u64) {
        self.packing
    }
}

#[cfg(test)]
mod tests;
