//! Scripted answers on a scripted clock, for tests of everything above a device.
//!
//! The variable [`VARIABLE`] holds a [`Script`] as JSON: which backends there are, how long their
//! executions take, how they fail. Answers are right, by the ops' own references, unless the script
//! plants something else. Without a script there is one well-behaved `null`.

mod clock;

use crate::backends::answers::{Answers, Precision};
use crate::backends::faulty::{FaultyDevice, Planted};
use crate::backends::*;
use clock::Clock;
use std::fs::OpenOptions;
use std::io::Write;

/// Environment variable that holds a [`Script`].
pub const VARIABLE: &str = "CUTGPU_NULL";

/// Multiply-adds and other operations of one step beyond which a reference takes too long to wait for.
const MOST_FLOPS: u64 = 1 << 32;

/// Backends by name; each name is `null` or begins with `null/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Script(pub BTreeMap<String, Behaviour>);

impl Default for Script {
    fn default() -> Self {
        Self(BTreeMap::from([(Null.id().to_string(), Behaviour::default())]))
    }
}

impl Script {
    /// What the environment says, or what is wrong with it.
    pub fn from_environment() -> Result<Self, Unsupported> {
        let Ok(text) = std::env::var(VARIABLE) else { return Ok(Self::default()) };
        let wrong = |why: String| Unsupported(format!("{VARIABLE} is no script: {why}"));
        let script: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        match script.0.iter().find(|(name, behaviour)| {
            !(*name == "null" || name.starts_with("null/")) || behaviour.ns.is_nan() || behaviour.ns <= 0.0
        }) {
            Some((name, _)) => Err(wrong(format!("`{name}` must begin with `null` and take more than 0 ns"))),
            None => Ok(script),
        }
    }
}

/// How a scripted backend behaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Nanoseconds of an execution, whatever it computes.
    pub ns: f64,
    /// Nanoseconds more for each operation of the program.
    pub ns_per_flop: f64,
    /// Nanoseconds more for each compulsory byte.
    pub ns_per_byte: f64,
    /// Standard deviation of an execution's time, relative.
    pub noise: f64,
    /// Standard deviation of the whole process's pace, relative: starts differ.
    pub start_noise: f64,
    /// Relative change of the time of an execution per scripted second.
    pub drift: f64,
    /// Seed of both noises.
    pub seed: u64,
    /// Nanoseconds of an upload. The memory is the host's where this and `download_ns` are 0.
    pub upload_ns: f64,
    /// Nanoseconds of a download.
    pub download_ns: f64,
    /// Share of an execution that the device's own clock sees, if it has one.
    pub device_share: Option<f64>,
    /// What goes wrong.
    pub fault: Option<Planted>,
    /// A file that gets one line a sample: process, first extent of the first output, executions.
    pub log: Option<String>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            ns: 1000.0,
            ns_per_flop: 0.0,
            ns_per_byte: 0.0,
            noise: 0.0,
            start_noise: 0.0,
            drift: 0.0,
            seed: 0,
            upload_ns: 0.0,
            download_ns: 0.0,
            device_share: None,
            fault: None,
            log: None,
        }
    }
}

/// The family.
pub struct Null;

impl Family for Null {
    fn id(&self) -> &'static str {
        "null"
    }

    fn devices(&self) -> Vec<Found> {
        let script = Script::from_environment().unwrap_or_default();
        let about = "scripted: measures nothing";
        let found = |backend: String| Found { backend, kind: DeviceKind::Null, about: about.to_string() };
        script.0.into_keys().map(found).collect()
    }

    fn supports(&self, _: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        let flops = step.op.operation().work(&program.specs(&step.args)).flops;
        if flops > MOST_FLOPS {
            return Err(Unsupported(format!(
                "null answers steps of up to {MOST_FLOPS} operations, not {flops}"
            )));
        }
        Ok(())
    }

    fn open(&self, backend: &str, lane: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        let script = Script::from_environment()?;
        let unknown = || Unsupported(format!("{VARIABLE} does not mention `{backend}`"));
        let behaviour = script.0.get(backend).ok_or_else(unknown)?.clone();
        Ok(open(behaviour, lane))
    }
}

/// A device that behaves like this.
pub fn open(behaviour: Behaviour, lane: &Lane) -> Box<dyn Device> {
    let planted = behaviour.fault.clone();
    let device = Box::new(Scripted { behaviour, threads: lane.threads });
    match planted {
        Some(planted) => Box::new(FaultyDevice { inner: device, planted }),
        None => device,
    }
}

struct Scripted {
    behaviour: Behaviour,
    threads: usize,
}

impl Device for Scripted {
    fn identity(&self) -> Identity {
        Identity {
            name: "null".to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            origin: "crate".to_string(),
            threads: self.threads,
            ..Identity::default()
        }
    }

    fn load(&mut self, program: &Program, options: &LoadOptions) -> Result<Box<dyn Loaded>, Fault> {
        let sets = options.sets.max(1);
        let mut memory = program.bytes_by_state();
        memory.values_mut().for_each(|bytes| *bytes *= sets as u64);
        Ok(Box::new(ScriptedLoaded {
            clock: Clock::new(&self.behaviour, program.work()),
            behaviour: self.behaviour.clone(),
            answers: Answers::new(program, options.seed, Precision::Full),
            program: program.clone(),
            executions: vec![0; sets],
            unlogged: false,
            device_ns: 0.0,
            memory,
        }))
    }
}

struct ScriptedLoaded {
    clock: Clock,
    behaviour: Behaviour,
    answers: Answers,
    program: Program,
    /// Since the last reset, by set.
    executions: Vec<u64>,
    unlogged: bool,
    device_ns: f64,
    memory: BTreeMap<State, u64>,
}

impl ScriptedLoaded {
    /// Called at the first wait after a reset: once a sample.
    fn log(&mut self) {
        self.unlogged = false;
        let Some(path) = &self.behaviour.log else { return };
        let output = self.program.outputs.first().map(|&id| &self.program.values[id].spec);
        let m = output.and_then(|spec| spec.shape.first()).copied().unwrap_or(1);
        let executions: u64 = self.executions.iter().sum();
        let line = format!("{} {m} {executions}\n", std::process::id());
        // A log that cannot be written is missed by the test that reads it.
        let _ = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut f| f.write_all(line.as_bytes()));
    }
}

impl Loaded for ScriptedLoaded {
    fn reset(&mut self) -> Result<(), Fault> {
        self.executions.fill(0);
        self.unlogged = true;
        Ok(())
    }

    fn upload(&mut self, _: usize) -> Result<(), Fault> {
        self.clock.advance(self.behaviour.upload_ns);
        Ok(())
    }

    fn enqueue(&mut self, set: usize) -> Result<(), Fault> {
        let Some(executions) = self.executions.get_mut(set) else {
            return Err(Fault::Library(format!("no input set {set}")));
        };
        *executions += 1;
        self.device_ns += self.clock.execute();
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Fault> {
        if self.unlogged {
            self.log();
        }
        Ok(())
    }

    fn download(&mut self, _: usize) -> Result<(), Fault> {
        self.clock.advance(self.behaviour.download_ns);
        Ok(())
    }

    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Fault> {
        let elements = self.program.values.get(value).map_or(0, |value| value.spec.elements());
        let Some(&executions) =
            self.executions.get(set).filter(|_| range.start <= range.end && range.end <= elements)
        else {
            return Err(Fault::Library(format!("no elements {range:?} of value {value} in set {set}")));
        };
        let spec = &self.program.values[value];
        if executions == 0 && spec.input.is_none() {
            let nothing = if spec.spec.dtype.is_float() { f64::NAN } else { f64::MIN };
            return Ok(HostArray::from_f64(spec.spec.dtype, std::iter::repeat_n(nothing, range.len())));
        }
        Ok(self.answers.read(value, set, executions, range))
    }

    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn device_time(&mut self) -> Option<f64> {
        let seen = std::mem::take(&mut self.device_ns);
        self.behaviour.device_share.map(|share| share * seen)
    }

    fn memory(&self) -> BTreeMap<State, u64> {
        self.memory.clone()
    }

    fn is_host_memory(&self) -> bool {
        self.behaviour.upload_ns == 0.0 && self.behaviour.download_ns == 0.0
    }
}

#[cfg(test)]
mod tests;
