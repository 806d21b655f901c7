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
/// Each of several times, of which the middle one counts, is as long as this, or one execution.
const LONG: Duration = Duration::from_millis(30);
const TIMES: usize = 7;
/// Of what takes longer than this, few times do.
const SLOW: Duration = Duration::from_secs(1);
const FEW: usize = 3;

/// How often a program and its ops are timed; the middle ratio counts.
const ROUNDS: usize = 5;

/// BERT-base's head alone on cached features against a full step: how far the measured ratio is from the one that their
/// ops predict, each measured alone, all in one process and in turn.
pub(crate) fn features() -> Measured {
    let (full, head) = (bert("train")?, bert("features")?);
    let lane = Lane { threads: host::facts().usable_cores(), packing: Packing::Plain };
    let mut device = backends::open(OWN, &lane).map_err(|error| error.to_string())?;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let (full, head) = (Times::of(&mut *device, &full)?, Times::of(&mut *device, &head)?);
        eprintln!("full step {full:?}\nhead {head:?}");
        ratios.push(full.whole / head.whole / (full.by_ops / head.by_ops));
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ROUNDS / 2];
    Ok(BTreeMap::from([("train.features", 100.0 * ratio.max(1.0 / ratio) - 100.0)]))
}

fn bert(mode: &str) -> Result<Program, String> {
    let text = |word: &str| Param::Text(word.to_string());
    let words =
        [("size", text("base")), ("mode", text(mode)), ("batch", Param::Int(8)), ("length", Param::Int(128))];
    let params: Params = words.into_iter().map(|(axis, value)| (axis.to_string(), value)).collect();
    let bert = workloads::find("bert").ok_or("there is no workload `bert`")?;
    bert.program(&params).map_err(|error| error.to_string())
}

/// Nanoseconds of a program.
#[derive(Debug)]
struct Times {
    /// As one.
    whole: f64,
    /// By its ops: one step of each kind is timed as a program of its own, and counts as often as there are such steps.
    by_ops: f64,
}

impl Times {
    /// In a program that exceeds the last cache, steps find their values cold.
    fn of(device: &mut dyn Device, program: &Program) -> Result<Self, String> {
        let cache = host::facts().last_level_bytes().map_or(32 << 20, |bytes| bytes.0);
        let is_large = program.total_bytes(1) > cache;
        let before = nanoseconds(device, program, 1)?;
        let mut by_ops = 0.0;
        for kind in program.kinds() {
            let alone = alone(program, &program.steps[kind.first])?;
            let sets = if is_large { cold_sets(&alone, cache).min(MOST_SETS) } else { 1 };
            by_ops += kind.count as f64 * nanoseconds(device, &alone, sets)?;
        }
        let after = nanoseconds(device, program, 1)?;
        Ok(Self { whole: (before + after) / 2.0, by_ops })
    }
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
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
