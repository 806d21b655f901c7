//! A program on an adapter: its values in buffers, its steps bound to them, its transfers and its clock.

use super::arena::{Arena, USES, WORD, mapped};
use super::calls::{Call, Recorder, numbers};
use super::gpu::{Gpu, Memory};
use super::launch::{self, Binding, Launch, Plan};
use crate::backends::layout::{Layout, Reuse, SetState, input_bytes, kept_or_carried, shared_carries};
use crate::backends::{CLOCK_DOUBT, Fault, LoadOptions, Loaded, written};
use crate::ops::{Copied, Op};
use crate::program::{Program, State, Step, ValueId};
use crate::tensor::HostArray;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::ops::Range;
use std::rc::Rc;
use std::time::Instant;
use wgpu::{BufferBinding, BufferUsages, CommandEncoderDescriptor};

/// Uniforms begin at multiples of this, which is enough everywhere.
const ALIGNMENT: usize = 256;
/// Bytes of what stands in for a buffer that nobody reads.
const NOTHING: u64 = 256;

/// A step's launches and the place of each launch's numbers in the uniform buffer.
struct Prepared {
    plan: Plan,
    numbers: Vec<Range<u64>>,
}

/// Memory beside the values.
struct Beside {
    scratch: Vec<Memory>,
    uniforms: Option<Memory>,
    /// Stand-ins for what is not there: read ones are never written, so that one serves all.
    no_input: Memory,
    no_outputs: Vec<Memory>,
}

/// A program on an adapter.
pub(super) struct GpuLoaded {
    // In the order in which they must go: whoever uses memory before the memory.
    recorder: Recorder,
    /// By set and turn, and by step.
    calls: Vec<Vec<Vec<Call>>>,
    /// What the host sends in each upload, by set: values of state batch.
    batch: Vec<Vec<(ValueId, Vec<u8>)>>,
    /// Where outputs arrive, and where they lie in it.
    arrivals: Option<Memory>,
    arrived: Vec<u8>,
    expects: bool,
    arena: Arena,
    beside: Beside,
    layout: Layout,
    program: Program,
    sets: Vec<SetState>,
    /// Carried inputs as they were made, by set and value.
    pristine: BTreeMap<(usize, ValueId), Vec<u8>>,
    notes: BTreeMap<String, String>,
    /// Something ran since the guards were last looked at.
    unchecked: std::cell::Cell<bool>,
    gpu: Rc<Gpu>,
}

impl GpuLoaded {
    /// Compiles, allocates and fills.
    pub(super) fn new(gpu: &Rc<Gpu>, program: &Program, options: &LoadOptions) -> Result<Self, Fault> {
        let before = gpu.compiled();
        let pairs = |step: usize| launch::in_place(&program.steps[step].op);
        // Who wants every value back wants to see what a step read, so nothing is overwritten.
        let shared = if options.keep_all { vec![] } else { shared_carries(program, pairs) };
        let reuse = if options.keep_all { Reuse::None } else { Reuse::Turns };
        let layout = Layout::new(program, &shared, reuse)?;
        let prepared = prepare(gpu, program, &layout)?;
        let sets = options.sets.max(1);
        let specs = std::iter::repeat_n(&layout.rooms, sets).flatten();
        let arena = Arena::new(gpu, specs)?;
        let beside = Beside::new(gpu, &prepared)?;
        let (pristine, batch) = fill(program, options.seed, sets, &layout, &arena)?;
        let calls = bind(gpu, program, &prepared, &layout, sets, &arena, &beside)?;
        let out_bytes = program.outputs.iter().map(|&id| out_bytes(program, id)).sum();
        let arrivals = gpu.buffer(out_bytes, BufferUsages::COPY_DST | BufferUsages::MAP_READ);
        let loaded = Self {
            recorder: Recorder::new(gpu)?,
            calls,
            batch,
            arrivals: (out_bytes > 0).then_some(arrivals).transpose()?,
            arrived: vec![0; out_bytes as usize],
            expects: false,
            arena,
            beside,
            layout,
            program: program.clone(),
            sets: vec![SetState::default(); sets],
            pristine,
            notes: notes(gpu, before),
            unchecked: false.into(),
            gpu: gpu.clone(),
        };
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
        self.arrive()
    }

    /// Everything that was handed to the queue has arrived.
    fn arrive(&self) -> Result<(), Fault> {
        self.gpu.queue.submit([]);
        self.gpu.wait()
    }

    fn set(&self, set: usize) -> Result<SetState, Fault> {
        self.sets.get(set).copied().ok_or_else(|| Fault::Library(format!("no input set {set}")))
    }

    /// The calls of the next execution of a set.
    fn execute(&mut self, set: usize) -> Result<usize, Fault> {
        self.set(set)?;
        let turns = self.layout.turns();
        let state = &mut self.sets[set];
        state.execute(turns);
        self.unchecked.set(true);
        Ok(set * turns + state.turn)
    }
}

/// Bytes of an output on its way to the host, in whole words.
fn out_bytes(program: &Program, id: ValueId) -> u64 {
    program.values[id].spec.bytes().next_multiple_of(4)
}

fn notes(gpu: &Gpu, before: super::gpu::Compiled) -> BTreeMap<String, String> {
    let after = gpu.compiled();
    let (count, time) = (after.pipelines - before.pipelines, after.time.saturating_sub(before.time));
    let tile = format!("{}, {}", gpu.can.tile, if gpu.tuned { "tuned" } else { "not tuned" });
    let pipelines = format!("{count} in {:.1} ms", time.as_secs_f64() * 1e3);
    [("pipelines", pipelines), ("tile", tile)].map(|(key, value)| (key.to_string(), value)).into()
}

/// What is to be said of the adapter's clock. Looking at it takes a fifth of a second, which is no part of a load.
fn clock_notes(gpu: &Rc<Gpu>) -> impl Iterator<Item = (String, String)> {
    let (clock, doubt) = match gpu.clock() {
        Some(Ok(seen)) => (
            format!(
                "time stamps of passes, in steps of {:.0} ns; {:.3} of the host's time over {:.0} ms",
                seen.quantum_ns,
                seen.share,
                seen.batch_ns / 1e6
            ),
            seen.doubt(),
        ),
        Some(Err(fault)) => (
            "time stamps of passes, which failed when they were looked at".to_string(),
            Some(fault.to_string()),
        ),
        None => ("the host's: this adapter has no time stamps".to_string(), None),
    };
    let notes = [("clock", Some(clock)), (CLOCK_DOUBT, doubt)];
    notes.into_iter().filter_map(|(key, value)| Some((key.to_string(), value?)))
}

/// The plan of each step; where an op works in place on what is not one memory, it is copied first.
fn prepare(gpu: &Rc<Gpu>, program: &Program, layout: &Layout) -> Result<Vec<Prepared>, Fault> {
    let mut end = 0;
    let mut steps = Vec::new();
    for step in &program.steps {
        let plan = plan(gpu, program, step, layout)?;
        let place = |launch: &Launch| {
            let start = end;
            end = (start + 4 * launch.numbers.len()).next_multiple_of(ALIGNMENT);
            start as u64..(start + 4 * launch.numbers.len()) as u64
        };
        let numbers = plan.launches.iter().map(place).collect();
        steps.push(Prepared { plan, numbers });
    }
    Ok(steps)
}

fn plan(gpu: &Gpu, program: &Program, step: &Step, layout: &Layout) -> Result<Plan, Fault> {
    let (args, outs) = (program.specs(&step.args), program.specs(&step.outs));
    let mut plan = launch::launches(&step.op, &args, &outs, &gpu.can)?;
    let apart = |&&(out, arg): &&(usize, usize)| {
        layout.place(0, 0, step.outs[out]) != layout.place(0, 0, step.args[arg])
    };
    let mut copies = Vec::new();
    for &(out, arg) in launch::in_place(&step.op).iter().filter(apart) {
        let spec = std::slice::from_ref(&args[arg]);
        let mut copy = launch::launches(&Op::Copy(Copied {}), spec, spec, &gpu.can)?.launches;
        for binding in copy.iter_mut().flat_map(|launch| &mut launch.bindings) {
            match binding {
                Binding::Input(number) => *number = arg,
                Binding::Output(number) => *number = out,
                Binding::Scratch(_) | Binding::NoInput | Binding::NoOutput => {}
            }
        }
        copies.append(&mut copy);
    }
    plan.launches.splice(0..0, copies);
    plan.launches.retain(|launch| launch.groups > 0);
    Ok(plan)
}

impl Beside {
    fn new(gpu: &Rc<Gpu>, steps: &[Prepared]) -> Result<Self, Fault> {
        // Steps run one after another, so they share the scratch memory.
        let mut sizes: Vec<u64> = Vec::new();
        for (number, &bytes) in steps.iter().flat_map(|step| step.plan.scratch.iter().enumerate()) {
            sizes.resize(sizes.len().max(number + 1), 0);
            sizes[number] = sizes[number].max(bytes.next_multiple_of(4).max(4));
        }
        let scratch: Result<_, Fault> = sizes.iter().map(|&bytes| gpu.buffer(bytes, USES)).collect();
        let launches = || steps.iter().flat_map(|step| step.plan.launches.iter().zip(&step.numbers));
        let end = launches().map(|(_, range)| range.end).max().unwrap_or(0);
        let uniforms = match end {
            0 => None,
            end => Some(gpu.buffer(
                end.next_multiple_of(ALIGNMENT as u64),
                BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            )?),
        };
        if let Some(uniforms) = &uniforms {
            for (launch, range) in launches().filter(|(_, range)| !range.is_empty()) {
                gpu.queue.write_buffer(&uniforms.raw, range.start, &numbers(launch));
            }
        }
        let absent =
            |launch: &Launch| launch.bindings.iter().filter(|binding| **binding == Binding::NoOutput).count();
        let most_absent = launches().map(|(launch, _)| absent(launch)).max().unwrap_or(0);
        let no_outputs: Result<_, Fault> = (0..most_absent).map(|_| gpu.buffer(NOTHING, USES)).collect();
        Ok(Self {
            scratch: scratch?,
            uniforms,
            no_input: gpu.buffer(NOTHING, USES)?,
            no_outputs: no_outputs?,
        })
    }

    fn scratch_bytes(&self) -> u64 {
        self.scratch.iter().map(|memory| memory.raw.size()).sum()
    }
}

/// Carried inputs as they were made, and the bytes of each upload, by set.
type Filled = (BTreeMap<(usize, ValueId), Vec<u8>>, Vec<Vec<(ValueId, Vec<u8>)>>);

/// Puts the inputs into every set.
fn fill(program: &Program, seed: u64, sets: usize, layout: &Layout, arena: &Arena) -> Result<Filled, Fault> {
    let mut pristine = BTreeMap::new();
    let mut batch = vec![Vec::new(); sets];
    for (set, batch) in batch.iter_mut().enumerate() {
        for &id in layout.owners.iter().filter(|id| program.values[**id].input.is_some()) {
            let mut bytes = input_bytes(program, id, seed, set);
            // In whole words, so that an upload has nothing to read back first.
            bytes.resize(bytes.len().next_multiple_of(WORD as usize), 0);
            arena.write(layout.place(set, 0, id), 0, &bytes)?;
            if program.carries.iter().any(|carry| carry.input == id) {
                pristine.insert((set, id), bytes);
            } else if program.values[id].state == State::Batch {
                batch.push((id, bytes));
            }
        }
    }
    Ok((pristine, batch))
}

/// Every launch of an execution, for each set and turn.
fn bind(
    gpu: &Rc<Gpu>,
    program: &Program,
    steps: &[Prepared],
    layout: &Layout,
    sets: usize,
    arena: &Arena,
    beside: &Beside,
) -> Result<Vec<Vec<Vec<Call>>>, Fault> {
    let mut bound = Vec::new();
    for (set, turn) in (0..sets).flat_map(|set| (0..layout.turns()).map(move |turn| (set, turn))) {
        let of_step = |(step, prepared): (&Step, &Prepared)| -> Result<Vec<Call>, Fault> {
            let at = |id: ValueId| arena.places[layout.place(set, turn, id)].binding();
            let work = step.op.operation().work(&program.specs(&step.args));
            let launches = prepared.plan.launches.iter().zip(&prepared.numbers);
            let share = prepared.plan.launches.len().max(1) as f64;
            let work = (work.flops as f64 + work.bytes() as f64) / share;
            launches.map(|(launch, range)| call(gpu, launch, range, step, &at, beside, work)).collect()
        };
        let calls: Result<Vec<_>, Fault> = program.steps.iter().zip(steps).map(of_step).collect();
        bound.push(calls?);
    }
    gpu.check()?;
    Ok(bound)
}

fn call<'a>(
    gpu: &Rc<Gpu>,
    launch: &Launch,
    range: &Range<u64>,
    step: &Step,
    at: &impl Fn(ValueId) -> BufferBinding<'a>,
    beside: &'a Beside,
    work: f64,
) -> Result<Call, Fault> {
    let whole = |memory: &'a Memory| memory.raw.as_entire_buffer_binding();
    let mut absent = beside.no_outputs.iter();
    let mut resources = Vec::new();
    for binding in &launch.bindings {
        let unknown = || Fault::Library(format!("a launch binds {binding:?}, which its op does not have"));
        resources.push(match binding {
            Binding::Input(number) => at(*step.args.get(*number).ok_or_else(unknown)?),
            Binding::Output(number) => at(*step.outs.get(*number).ok_or_else(unknown)?),
            Binding::Scratch(number) => whole(beside.scratch.get(*number).ok_or_else(unknown)?),
            Binding::NoInput => whole(&beside.no_input),
            Binding::NoOutput => whole(absent.next().ok_or_else(unknown)?),
        });
    }
    if let Some(uniforms) = beside.uniforms.as_ref().filter(|_| !range.is_empty()) {
        let size = NonZeroU64::new(range.end - range.start);
        resources.push(BufferBinding { buffer: &uniforms.raw, offset: range.start, size });
    }
    Call::new(gpu, launch, resources, work)
}

impl Loaded for GpuLoaded {
    fn reset(&mut self) -> Result<(), Fault> {
        self.recorder.wait()?;
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
        self.arrive()
    }

    fn upload(&mut self, set: usize) -> Result<(), Fault> {
        self.set(set)?;
        // What is written takes its turn behind what was submitted.
        self.recorder.flush();
        for (id, bytes) in &self.batch[set] {
            self.arena.write(self.layout.place(set, 0, *id), 0, bytes)?;
        }
        Ok(())
    }

    fn enqueue(&mut self, set: usize) -> Result<(), Fault> {
        let calls = self.execute(set)?;
        for call in self.calls[calls].iter().flatten() {
            self.recorder.launch(call)?;
        }
        Ok(())
    }

    fn steps(&mut self, set: usize) -> Result<Vec<f64>, Fault> {
        let calls = self.execute(set)?;
        let recorder = &mut self.recorder;
        recorder.switch(true);
        let time = |step: &Vec<Call>| -> Result<f64, Fault> {
            let start = Instant::now();
            step.iter().try_for_each(|call| recorder.launch(call))?;
            recorder.wait()?;
            let host = start.elapsed().as_secs_f64() * 1e9;
            Ok(recorder.take_time()?.unwrap_or(host))
        };
        let times = self.calls[calls].iter().map(time).collect();
        recorder.switch(false);
        times
    }

    fn wait(&mut self) -> Result<(), Fault> {
        self.recorder.wait()?;
        let Some(arrivals) = self.arrivals.as_ref().filter(|_| std::mem::take(&mut self.expects)) else {
            return Ok(());
        };
        mapped(&self.gpu, arrivals, |bytes| self.arrived.copy_from_slice(bytes))
    }

    fn download(&mut self, set: usize) -> Result<(), Fault> {
        let turn = self.set(set)?.turn;
        self.recorder.flush();
        let Some(arrivals) = &self.arrivals else { return Ok(()) };
        let mut encoder = self.gpu.device.create_command_encoder(&CommandEncoderDescriptor::default());
        let mut end = 0;
        for &id in &self.program.outputs {
            let bytes = out_bytes(&self.program, id);
            let from = self.arena.places[self.layout.place(set, turn, id)].binding();
            if bytes > 0 {
                encoder.copy_buffer_to_buffer(from.buffer, from.offset, &arrivals.raw, end, bytes);
            }
            end += bytes;
        }
        self.gpu.queue.submit([encoder.finish()]);
        self.expects = true;
        Ok(())
    }

    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Fault> {
        let turn = self.set(set)?.turn;
        let elements = self.program.values.get(value).map_or(0, |value| value.spec.elements());
        if range.start > range.end || range.end > elements {
            return Err(Fault::Library(format!("no elements {range:?} of value {value} in set {set}")));
        }
        self.recorder.flush();
        self.arena.read(self.layout.place(set, turn, value), range)
    }

    fn write(&mut self, value: ValueId, set: usize, start: usize, elements: &HostArray) -> Result<(), Fault> {
        written::check(&self.program, value, start, elements)?;
        let turn = self.set(set)?.next_turn(self.layout.turns());
        let offset = start * elements.dtype().size();
        let bytes = elements.to_le_bytes();
        self.recorder.wait()?;
        for (_, kept) in self.batch[set].iter_mut().filter(|(id, _)| *id == value) {
            kept[offset..offset + bytes.len()].copy_from_slice(&bytes);
        }
        self.sets[set].written = true;
        self.arena.write(self.layout.place(set, turn, value), offset as u64, &bytes)
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
        self.recorder.switch(on);
    }

    fn device_time(&mut self) -> Option<f64> {
        // A clock that fails is no device without one: what it gives is seen to be no time.
        self.recorder.take_time().unwrap_or(Some(f64::NAN))
    }

    fn memory(&self) -> BTreeMap<State, u64> {
        let mut bytes: BTreeMap<State, u64> = BTreeMap::new();
        for (state, room) in self.layout.by_state(&self.program) {
            *bytes.entry(state).or_default() += room * self.sets.len() as u64;
        }
        if self.beside.scratch_bytes() > 0 {
            *bytes.entry(State::Workspace).or_default() += self.beside.scratch_bytes();
        }
        bytes
    }

    fn notes(&self) -> BTreeMap<String, String> {
        self.notes.clone().into_iter().chain(clock_notes(&self.gpu)).collect()
    }

    fn is_host_memory(&self) -> bool {
        false
    }
}
