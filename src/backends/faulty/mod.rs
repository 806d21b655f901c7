//! Faults on purpose: a device that fails at a chosen call of a chosen program, as drivers and libraries
//! do, so that tests can see what one costs. The variable [`VARIABLE`] plants one in any backend.

mod strike;
mod wrong;

use crate::backends::{Device, Fault, Identity, LoadOptions, Loaded, OnDevice, Telemetry, Unsupported};
use crate::program::{Program, State, ValueId};
use crate::tensor::HostArray;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// Environment variable that holds a [`Planted`] as JSON.
pub const VARIABLE: &str = "CUTGPU_FAULT";

/// A call that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Making the program ready.
    Load,
    /// Restoring carried inputs.
    Reset,
    /// Inputs to the device.
    Upload,
    /// Starting an execution.
    Enqueue,
    /// Waiting for its end.
    Wait,
    /// Outputs to the host.
    Download,
    /// Reading elements.
    Read,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A Rust panic.
    Panic,
    /// SIGABRT.
    Abort,
    /// A write to an address that is not mapped.
    Segfault,
    /// The call never returns.
    Hang,
    /// Memory is taken and touched until something stops it, at the latest three quarters of what is
    /// available; then the call hangs.
    OutOfMemory,
    /// Bytes that are no answer, on stdout and on every pipe that this process may write to.
    Garbage,
    /// The process ends as if all were well.
    SilentExit,
    /// The call returns an error.
    Error,
    /// One element of each output is off.
    WrongElement,
    /// Products are computed from factors rounded to 10 bits, as tensor cores do unless told not to.
    LowPrecision,
    /// The last row of each output is never written.
    SkippedRow,
    /// Nothing runs: outputs stay what they were.
    Stale,
}

impl Kind {
    /// Kinds that end or block the process, or make a call fail.
    pub const STRIKES: [Self; 8] = [
        Self::Panic,
        Self::Abort,
        Self::Segfault,
        Self::Hang,
        Self::OutOfMemory,
        Self::Garbage,
        Self::SilentExit,
        Self::Error,
    ];
    /// Kinds of wrong answer.
    pub const WRONG: [Self; 4] = [Self::WrongElement, Self::LowPrecision, Self::SkippedRow, Self::Stale];
}

/// A fault and where it waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planted {
    /// What goes wrong.
    pub kind: Kind,
    /// In which call; wrong answers ignore it.
    #[serde(default = "default_at")]
    pub at: Verb,
    /// In which of these calls for a program it strikes, from 1.
    #[serde(default = "default_nth")]
    pub nth: u64,
    /// Only programs whose first output has this first extent: m of a product, n of a vector.
    #[serde(default)]
    pub m: Option<usize>,
    /// Only this backend.
    #[serde(default)]
    pub backend: Option<String>,
}

fn default_at() -> Verb {
    Verb::Enqueue
}

fn default_nth() -> u64 {
    1
}

impl Planted {
    /// `kind` at the first execution of any program.
    pub fn new(kind: Kind) -> Self {
        Self { kind, at: default_at(), nth: default_nth(), m: None, backend: None }
    }

    fn concerns(&self, program: &Program) -> bool {
        let extent = program.outputs.first().and_then(|&id| program.values[id].spec.shape.first());
        self.m.is_none_or(|m| extent == Some(&m))
    }
}

/// `device` with the fault that the environment asks for in `backend`, if any.
pub(super) fn from_environment(
    backend: &str,
    device: Box<dyn Device>,
) -> Result<Box<dyn Device>, Unsupported> {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(device) };
    let planted: Planted = serde_json::from_str(&text)
        .map_err(|error| Unsupported(format!("{VARIABLE} does not describe a fault: {error}")))?;
    if planted.backend.as_deref().is_none_or(|wanted| wanted == backend) {
        return Ok(Box::new(FaultyDevice { inner: device, planted }));
    }
    Ok(device)
}

/// A device with a planted fault.
pub struct FaultyDevice {
    /// The device that would have been right.
    pub inner: Box<dyn Device>,
    /// Its fault.
    pub planted: Planted,
}

impl Device for FaultyDevice {
    fn identity(&self) -> Identity {
        let mut identity = self.inner.identity();
        identity.notes.insert("planted_fault".to_string(), format!("{:?}", self.planted.kind));
        identity
    }

    fn telemetry(&self) -> Option<Telemetry> {
        self.inner.telemetry()
    }

    fn on_device(&self, reset_peak: bool) -> Option<OnDevice> {
        self.inner.on_device(reset_peak)
    }

    fn load(&mut self, program: &Program, options: &LoadOptions) -> Result<Box<dyn Loaded>, Fault> {
        if !self.planted.concerns(program) {
            return self.inner.load(program, options);
        }
        let mut fuse = Fuse { planted: self.planted.clone(), calls: 0 };
        fuse.reach(Verb::Load)?;
        let inner = self.inner.load(program, options)?;
        Ok(Box::new(Faulty { inner, fuse, program: program.clone(), options: options.clone() }))
    }
}

/// Counts calls until it is time.
struct Fuse {
    planted: Planted,
    calls: u64,
}

impl Fuse {
    fn reach(&mut self, verb: Verb) -> Result<(), Fault> {
        if verb != self.planted.at {
            return Ok(());
        }
        self.calls += 1;
        if self.calls == self.planted.nth { strike::strike(self.planted.kind) } else { Ok(()) }
    }
}

struct Faulty {
    inner: Box<dyn Loaded>,
    fuse: Fuse,
    program: Program,
    options: LoadOptions,
}

impl Loaded for Faulty {
    fn reset(&mut self) -> Result<(), Fault> {
        self.fuse.reach(Verb::Reset)?;
        self.inner.reset()
    }

    fn upload(&mut self, set: usize) -> Result<(), Fault> {
        self.fuse.reach(Verb::Upload)?;
        self.inner.upload(set)
    }

    fn enqueue(&mut self, set: usize) -> Result<(), Fault> {
        self.fuse.reach(Verb::Enqueue)?;
        if self.fuse.planted.kind == Kind::Stale {
            return Ok(());
        }
        self.inner.enqueue(set)
    }

    fn steps(&mut self, set: usize) -> Result<Vec<f64>, Fault> {
        self.fuse.reach(Verb::Enqueue)?;
        self.inner.steps(set)
    }

    fn wait(&mut self) -> Result<(), Fault> {
        self.fuse.reach(Verb::Wait)?;
        self.inner.wait()
    }

    fn download(&mut self, set: usize) -> Result<(), Fault> {
        self.fuse.reach(Verb::Download)?;
        self.inner.download(set)
    }

    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Fault> {
        self.fuse.reach(Verb::Read)?;
        let right = self.inner.read(value, set, range.clone())?;
        if self.program.values[value].input.is_some() {
            return Ok(right);
        }
        let context = wrong::Context { program: &self.program, options: &self.options, value, set };
        Ok(wrong::instead_of(right, self.fuse.planted.kind, &context, range))
    }

    fn write(&mut self, value: ValueId, set: usize, start: usize, elements: &HostArray) -> Result<(), Fault> {
        self.inner.write(value, set, start, elements)
    }

    fn intact(&self) -> Result<(), Fault> {
        self.inner.intact()
    }

    fn now(&self) -> u64 {
        self.inner.now()
    }

    fn use_device_clock(&mut self, on: bool) {
        self.inner.use_device_clock(on);
    }

    fn device_time(&mut self) -> Option<f64> {
        self.inner.device_time()
    }

    fn notes(&self) -> BTreeMap<String, String> {
        self.inner.notes()
    }

    fn memory(&self) -> BTreeMap<State, u64> {
        self.inner.memory()
    }

    fn packing_cost(&self) -> (f64, u64) {
        self.inner.packing_cost()
    }

    fn is_host_memory(&self) -> bool {
        self.inner.is_host_memory()
    }
}
