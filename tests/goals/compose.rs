//! What a program should take by what its ops take alone.

use super::Measured;
use cutgpu::backends::{self, Device, Lane, LoadOptions, Loaded, Packing};
use cutgpu::compare::OWN;
use cutgpu::host;
use cutgpu::measure::memory::cold_sets;
use cutgpu::program::{Program, State, Step, ValueId};
use cutgpu::workloads::{self, Param, Params};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Most copies of a step's values: smaller ones are no matter.
const MOST_SETS: usize = 1024;
/// Each of several times is as long as this, or one execution. The least counts: disturbances only add.
const LONG: Duration = Duration::from_millis(5);
const TIMES: usize = 20;
/// Of what takes longer than this, few times do.
const SLOW: Duration = Duration::from_secs(1);
const FEW: usize = 3;

/// How often programs and their ops are timed, in turn.
const ROUNDS: usize = 3;

/// BERT-base's head alone on cached features against a full step: how far the measured ratio is from the one that their
/// ops predict, each measured alone, all in one process. On one core: on two, the head's steps of a microsecond took an
/// eighth to a quarter longer within the program than alone, and what its ops take alone cannot tell that.
pub(crate) fn features() -> Measured {
    let programs = [bert("train")?, bert("features")?];
    let lane = Lane { threads: 1, packing: Packing::Plain };
    let mut device = backends::open(OWN, &lane).map_err(|error| error.to_string())?;
    let mut least = [Times::NONE; 2];
    for _ in 0..ROUNDS {
        for (least, program) in least.iter_mut().zip(&programs) {
            let times = Times::of(&mut *device, program)?;
            eprintln!("{times:?}");
            *least = least.least(&times);
        }
    }
    let [full, head] = least;
    let ratio = full.whole / head.whole / (full.by_ops / head.by_ops);
    Ok(BTreeMap::from([("train.features", 100.0 * ratio.max(1.0 / ratio) - 100.0)]))
}

pub(crate) fn bert(mode: &str) -> Result<Program, String> {
    let text = |word: &str| Param::Text(word.to_string());
    let words =
        [("size", text("base")), ("mode", text(mode)), ("batch", Param::Int(8)), ("length", Param::Int(128))];
    let params: Params = words.into_iter().map(|(axis, value)| (axis.to_string(), value)).collect();
    let bert = workloads::find("bert").ok_or("there is no workload `bert`")?;
    bert.program(&params).map_err(|error| error.to_string())
}

/// Nanoseconds of a program.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// As one.
    whole: f64,
    /// By its ops: one step of each kind is timed as a program of its own, and counts as often as there are such steps.
    by_ops: f64,
}

impl Times {
    const NONE: Self = Self { whole: f64::INFINITY, by_ops: f64::INFINITY };

    /// The shorter of each.
    fn least(&self, other: &Self) -> Self {
        Self { whole: self.whole.min(other.whole), by_ops: self.by_ops.min(other.by_ops) }
    }

    /// A step finds what was touched lately in the last cache, and fetches the rest from memory: it is timed both ways,
    /// and each counts by the bytes that it reads of either.
    fn of(device: &mut dyn Device, program: &Program) -> Result<Self, String> {
        let cache = host::facts().last_level_bytes().map_or(32 << 20, |bytes| bytes.0);
        let warm = warm(program, cache);
        let before = nanoseconds(device, program, 1)?;
        let mut by_ops = 0.0;
        for kind in program.kinds() {
            let (alone, warm) = (alone(program, &program.steps[kind.first])?, warm[kind.first]);
            let mut times = |sets: usize, part: f64| match part {
                0.0 => Ok(0.0),
                part => nanoseconds(device, &alone, sets).map(|ns| part * ns),
            };
            let cold = times(cold_sets(&alone, cache).min(MOST_SETS), 1.0 - warm)?;
            by_ops += kind.count as f64 * (times(1, warm)? + cold);
        }
        let after = nanoseconds(device, program, 1)?;
        Ok(Self { whole: before.min(after), by_ops })
    }
}

/// For each step of a program that is executed again and again: the part of the bytes it reads that are still in the
/// last cache, which holds what was touched within the last `cache` bytes.
fn warm(program: &Program, cache: u64) -> Vec<f64> {
    // What is carried lies where its input does.
    let mut place: Vec<ValueId> = (0..program.values.len()).collect();
    program.carries.iter().for_each(|carry| place[carry.produced] = carry.input);
    let (mut clock, mut touched) = (0u64, vec![None; place.len()]);
    let mut execution = || -> Vec<f64> {
        let step = |step: &Step| {
            let [mut read, mut warm] = [0u64; 2];
            for &id in &step.args {
                let bytes = program.values[id].spec.bytes();
                read += bytes;
                let is_there = touched[place[id]].is_some_and(|then: u64| clock - then + bytes <= cache);
                warm += if is_there { bytes } else { 0 };
            }
            for &id in step.args.iter().chain(&step.outs) {
                clock += program.values[id].spec.bytes();
                touched[place[id]] = Some(clock);
            }
            warm as f64 / read.max(1) as f64
        };
        program.steps.iter().map(step).collect()
    };
    execution();
    execution()
}

/// A step as a program: what it reads are inputs, and what it updates in place stays so.
fn alone(program: &Program, step: &Step) -> Result<Program, String> {
    let (mut alone, specs) = (Program::default(), program.specs(&step.args));
    let mut inputs: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    for (number, &id) in step.args.iter().enumerate() {
        let (state, fill) = (program.values[id].state, step.op.operation().input(&specs, number));
        let state = if matches!(state, State::Parameter | State::Optimizer) { state } else { State::Batch };
        let declared = || alone.input(format!("x{number}"), specs[number].clone(), state, fill);
        inputs.entry(id).or_insert_with(declared);
    }
    let args: Vec<ValueId> = step.args.iter().map(|id| inputs[id]).collect();
    let outs = alone.push(step.op.clone(), &args, step.phase, State::Activation);
    alone.outputs = outs.map_err(|error| error.to_string())?;
    let made = step.outs.iter().zip(alone.outputs.clone());
    for (&id, out) in made {
        let carry = program.carries.iter().find(|carry| carry.produced == id);
        if let Some(&input) = carry.and_then(|carry| inputs.get(&carry.input)) {
            alone.carry(out, input);
        }
    }
    Ok(alone)
}

/// Nanoseconds of an execution, sets in turn.
fn nanoseconds(device: &mut dyn Device, program: &Program, sets: usize) -> Result<f64, String> {
    let options = LoadOptions { seed: 1, sets, keep_all: false };
    let mut loaded = device.load(program, &options).map_err(|error| error.to_string())?;
    let mut next = 0;
    let mut execute = |loaded: &mut dyn Loaded, count: u32| -> Result<Duration, String> {
        let start = Instant::now();
        for _ in 0..count {
            loaded.enqueue(next % sets).map_err(|error| error.to_string())?;
            next += 1;
        }
        loaded.wait().map_err(|error| error.to_string())?;
        Ok(start.elapsed())
    };
    // Every set once, so that pages are there and caches as they will be.
    let first = execute(&mut *loaded, sets as u32)? / sets as u32;
    let is_slow = first > SLOW;
    let once = if is_slow { first } else { execute(&mut *loaded, 4)? / 4 };
    let count = (LONG.as_secs_f64() / once.as_secs_f64().max(1e-8)).clamp(1.0, 1e6) as u32;
    let mut times = Vec::new();
    for _ in 0..if is_slow { FEW } else { TIMES } {
        times.push(execute(&mut *loaded, count)?.as_secs_f64() * 1e9 / f64::from(count));
    }
    Ok(times.into_iter().fold(f64::INFINITY, f64::min))
}
