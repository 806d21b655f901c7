//! Library variants on devices: the only place with cargo features and vendor names.
//!
//! Design choices:
//! - **A family finds devices, a device loads programs, a loaded program runs.** Two GPUs are two
//!   backends of one family.
//! - **Holding a value proves the capability.** `open` returns a device that works or one sentence that
//!   says why not; there is no `is_available` that could go stale.
//! - **An empty cell is an answer.** A backend matches the ops it has and ends with
//!   `_ => Err(Unsupported)`; it never falls back in silence.
//! - **Backends never time themselves**, except by a clock that the host does not have: the harness
//!   decides which calls a clock covers, so a scope means the same everywhere.
#![allow(unsafe_code)]

pub mod answers;
pub mod cpu;
pub mod cubek;
pub mod cuda;
pub mod faulty;
// What only one of the GPUs' backends asks of it.
#[cfg_attr(not(all(feature = "cuda", feature = "wgpu")), allow(dead_code))]
mod layout;
pub mod null;
pub mod peer;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(feature = "wgpu")]
pub mod wgpu;
mod written;

pub use cuda::pack_cubins;
#[cfg(feature = "wgpu")]
pub use wgpu::{adapters_json, nothing as device_of_nothing};

use crate::program::{Program, State, Step, ValueId};
use crate::tensor::HostArray;
use crate::units::Reading;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// The adapters that wgpu sees, as JSON: a build without it sees none.
#[cfg(not(feature = "wgpu"))]
pub fn adapters_json() -> String {
    "[]".to_string()
}

/// A device behind wgpu that does nothing: a build without wgpu has none.
#[cfg(not(feature = "wgpu"))]
pub fn device_of_nothing() -> Result<Box<dyn Device>, Unsupported> {
    Err(Unsupported("this build has no wgpu".to_string()))
}

/// Every family in this build, in the order reports show them. The only list that names them.
pub const FAMILIES: &[&dyn Family] = &[
    &cpu::native::Native,
    &cpu::gemm::GemmCrate,
    &cpu::matrixmultiply::Matrixmultiply,
    &cpu::blas::OPENBLAS,
    &cpu::blas::BLIS,
    &cpu::blas::MKL,
    &cpu::onednn::OneDnn,
    &cpu::blas::USER,
    &cpu::naive::Naive,
    #[cfg(feature = "cuda")]
    &cuda::NATIVE,
    #[cfg(feature = "cuda")]
    &cuda::CUBLASLT,
    #[cfg(feature = "cuda")]
    &cuda::CUBLAS,
    #[cfg(feature = "wgpu")]
    &wgpu::Wgpu,
    &cubek::Cubek,
    &peer::NUMPY,
    &peer::TORCH,
    &peer::TORCH_COMPILED,
    #[cfg(feature = "cuda")]
    &peer::TORCH_CUDA,
    &peer::ORT,
    &peer::ORT_TUNED,
    &null::Null,
];

/// Why a cell is empty, in one sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(transparent)]
#[error("{0}")]
pub struct Unsupported(pub String);

/// What went wrong in a device that had been working.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "fault", content = "message", rename_all = "snake_case")]
pub enum Fault {
    /// The program, or one of its sizes, cannot run here.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// No memory for it.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// The library or the driver reported an error.
    #[error("{0}")]
    Library(String),
    /// The device is gone; only a new process can help.
    #[error("device lost: {0}")]
    DeviceLost(String),
}

impl From<Unsupported> for Fault {
    fn from(reason: Unsupported) -> Self {
        Self::Unsupported(reason.0)
    }
}

/// What a device is, for the rule that a CPU in disguise is never shown as a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// The host's processor.
    Cpu,
    /// A graphics processor.
    Gpu,
    /// A graphics interface that a CPU serves.
    SoftwareGpu,
    /// Scripted: measures nothing.
    Null,
}

/// A device that a family can open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Name of the backend: `cpu/native`, `wgpu/<adapter>`.
    pub backend: String,
    /// What it is.
    pub kind: DeviceKind,
    /// One line for `doctor`: which library, where it was looked for.
    pub about: String,
}

/// Whether parameters were laid out anew at load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// Parameters stay as they are.
    #[default]
    Plain,
    /// Parameters are laid out for the kernel at load, outside the clock.
    Packed,
}

/// How a backend is set up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lane {
    /// Threads that compute.
    pub threads: usize,
    /// Layout of parameters.
    #[serde(default)]
    pub packing: Packing,
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "t{}", self.threads)?;
        if self.packing == Packing::Packed { write!(f, "+packed") } else { Ok(()) }
    }
}

/// Who computed: enough for a reader to judge a number, nothing that names a person or a place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Marketing name of the device, or of the library on a CPU.
    pub name: String,
    /// Version of the library or driver.
    pub version: String,
    /// Where it came from: `crate`, `system:soname`, `pip:package/file`, `user:file name`.
    pub origin: String,
    /// First 16 hex digits of the SHA-256 of the library's file; empty for what is compiled in.
    pub hash: String,
    /// Threads it says that it uses.
    pub threads: usize,
    /// Anything else worth keeping: chosen core type, instruction set, algorithm.
    pub notes: BTreeMap<String, String>,
}

/// Note of an identity: what products of f32 are made by, where that is not the unit of [`ProbeKind::Fma`], which is no
/// ceiling for them then.
pub const F32_UNIT: &str = "f32";

/// Products of bf16 that one of f32 is made of, where it is: [`F32_UNIT`].
pub const LIMB_PRODUCTS: u32 = 6;

/// Note of an identity: why the device's own clock is not to be believed, in one sentence.
pub const CLOCK_DOUBT: &str = "clock_doubt";

/// What the worker of a backend runs, where that is not this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// Program and arguments.
    pub command: Vec<String>,
}

/// A measured ceiling of the processor or its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// f32 multiply-adds in registers; operations a second.
    Fma,
    /// u8 x i8 dot products in registers, by the best unit that kernels may use (AMX, else VNNI); operations a
    /// second.
    Vnni,
    /// bf16 dot products in registers, by the best unit that kernels may use (AMX, else AVX-512 BF16);
    /// operations a second.
    Bf16,
    /// One stream read; bytes a second.
    Read,
    /// a = b, the better of normal and non-temporal stores; bytes a second, both streams counted.
    Copy,
    /// a = b + s c, the better of normal and non-temporal stores; bytes a second, three streams counted.
    Triad,
    /// Four streams read, three of them written: AdamW's traffic; bytes a second, seven counted.
    Adam,
}

/// A way of computing, on whatever devices it finds.
pub trait Family: Sync {
    /// Stable name: `cpu/native`, `wgpu`, `cuda/cublas`.
    fn id(&self) -> &'static str;

    /// What its devices are.
    fn kind(&self) -> DeviceKind {
        DeviceKind::Cpu
    }

    /// Devices that might open. Cheap for CPU families: no library is loaded.
    fn devices(&self) -> Vec<Found>;

    /// Whether a step has an implementation at this lane, without opening anything: planning asks.
    fn supports(&self, lane: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported>;

    /// Opens a device by the name [`Self::devices`] gave it.
    fn open(&self, backend: &str, lane: &Lane) -> Result<Box<dyn Device>, Unsupported>;

    /// Variables that the worker's environment needs before it starts; an empty one must not be there.
    fn environment(&self, lane: &Lane) -> Vec<(String, String)> {
        let _ = lane;
        Vec::new()
    }

    /// The most threads that it computes with; a plan asks for no more.
    fn max_threads(&self) -> usize {
        usize::MAX
    }

    /// The layouts of parameters that this family can make, best known first.
    fn packings(&self) -> &'static [Packing] {
        &[Packing::Plain]
    }

    /// What loading a program may take beyond the usual time, for a family that compiles it first.
    fn compiling(&self, program: &Program) -> Duration {
        let _ = program;
        Duration::ZERO
    }

    /// Drivers that were found and cannot be used, each with its reason.
    fn left_out(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether its kernels come in forms of which [`Self::tune`] keeps the best.
    fn is_tunable(&self) -> bool {
        false
    }

    /// Times the forms that kernels come in on a device, and keeps the best for later processes.
    fn tune(&self, backend: &str) -> Result<Vec<Tried>, Fault> {
        Err(Fault::Unsupported(format!("{backend} has nothing to tune")))
    }

    /// The worker's command, where it is not this program: `open` is never called then.
    fn external(&self) -> Option<Result<External, Unsupported>> {
        None
    }
}

/// The family whose device is called `backend`.
pub fn family_of(backend: &str) -> Option<&'static dyn Family> {
    let rest = |family: &&&dyn Family| backend.strip_prefix(family.id());
    let named =
        |family: &&&dyn Family| rest(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    FAMILIES.iter().find(named).copied()
}

/// The number of the card, in the order of the bus, that a backend by way of CUDA computes on: `0` of
/// `cuda/native/0/pageable`.
pub fn cuda_card(backend: &str) -> Option<&str> {
    let family = family_of(backend)?.id();
    let on_cuda = family.starts_with("cuda/") || family == "peer/torch-cuda";
    backend.strip_prefix(family)?.split('/').nth(1).filter(|_| on_cuda)
}

/// Opens `backend` at `lane`, or says in one sentence why not.
pub fn open(backend: &str, lane: &Lane) -> Result<Box<dyn Device>, Unsupported> {
    let unknown =
        || Unsupported(format!("no backend is called `{backend}`; `cutgpu list` shows those that are"));
    let device = family_of(backend).ok_or_else(unknown)?.open(backend, lane)?;
    faulty::from_environment(backend, device)
}

/// Tunes `backend`, or says in one sentence why not.
pub fn tune(backend: &str) -> Result<Vec<Tried>, Fault> {
    let unknown =
        || Unsupported(format!("no backend is called `{backend}`; `cutgpu list` shows those that are"));
    family_of(backend).ok_or_else(unknown)?.tune(backend)
}

/// A form of kernels that was timed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Its name.
    pub name: String,
    /// Operations a second, or why there are none.
    pub rate: Reading<f64>,
    /// Whether it is the best, which later processes use.
    pub is_kept: bool,
}

/// How to load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadOptions {
    /// Seed of the inputs.
    pub seed: u64,
    /// Independent copies of every value, for measurements that keep caches cold.
    pub sets: usize,
    /// Every value must be readable after an execution, not only the outputs.
    pub keep_all: bool,
}

/// Bytes of a device's own memory that this process holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnDevice {
    /// Now.
    pub now: u64,
    /// At most, since the mark was reset.
    pub peak: u64,
    /// What the driver says that all programs on the device hold; none where it cannot be asked.
    pub taken: Option<u64>,
}

/// The state of a device as it tells it. What it does not tell is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telemetry {
    /// Clock of the multiprocessors in MHz.
    pub sm_mhz: Option<u32>,
    /// Why the clock is not higher, as the bits of NVML's nvmlClocksThrottleReason.
    pub reasons: Option<u64>,
    /// Temperature of the core in degrees Celsius.
    pub temperature_c: Option<u32>,
    /// Power in milliwatts.
    pub milliwatts: Option<u32>,
    /// The limit of power stands below its default.
    pub power_capped: Option<bool>,
    /// Energy since the driver was loaded, in millijoules.
    pub energy_mj: Option<u64>,
    /// Generation and lanes of the link to the host, as it is now.
    pub pcie: Option<[u32; 2]>,
    /// Processes that compute on it and are none of this run's.
    pub foreign: Option<u32>,
}

/// What a device can do at best, measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// What of.
    pub name: String,
    /// Unit of the rate: `op/s`, `B/s`, `s`.
    pub unit: String,
    /// The rate, or why there is none.
    pub rate: Reading<f64>,
    /// Bytes that a level of memory holds; none for the last level, and for what is no memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<u64>,
}

/// An open device.
pub trait Device {
    /// What it is.
    fn identity(&self) -> Identity;

    /// Memory of its own, where it has some; `reset_peak` restarts the mark. None on the host's memory.
    fn on_device(&self, reset_peak: bool) -> Option<OnDevice> {
        let _ = reset_peak;
        None
    }

    /// Its state now; none where nothing tells. Outside the clock.
    fn telemetry(&self) -> Option<Telemetry> {
        None
    }

    /// Its ceilings, measured now; none where it is held against the processor's.
    fn ceilings(&mut self) -> Result<Vec<Ceiling>, Fault> {
        Ok(Vec::new())
    }

    /// Compiles, packs and allocates everything, so that `enqueue` does neither. The program has been
    /// expanded to steps that the family supports.
    fn load(&mut self, program: &Program, options: &LoadOptions) -> Result<Box<dyn Loaded>, Fault>;
}

/// A program ready to run, with its buffers.
pub trait Loaded {
    /// Restores carried inputs of every set from the seed and overwrites every kept value with a sentinel
    /// (NaN; the smallest value of an integer type), so that a stale output cannot pass a check.
    /// Outside the clock.
    fn reset(&mut self) -> Result<(), Fault>;

    /// Copies the values of state batch of `set` from host to device. Nothing to do on a host's memory.
    fn upload(&mut self, set: usize) -> Result<(), Fault> {
        let _ = set;
        Ok(())
    }

    /// Starts one execution on input set `set` and may return before it ends. Allocates nothing.
    fn enqueue(&mut self, set: usize) -> Result<(), Fault>;

    /// Blocks until every started execution, upload and download has ended.
    fn wait(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// One execution on input set `set` that waits after each step of the program: nanoseconds of each, by the
    /// device's clock where it has one. What lies between steps is in none of them.
    fn steps(&mut self, set: usize) -> Result<Vec<f64>, Fault> {
        let _ = set;
        Err(Fault::Unsupported("this backend does not time its steps".to_string()))
    }

    /// Copies the declared outputs of `set` to the host, after the executions of that set that were
    /// started before; may return before it has, `wait` waits for it too. Nothing to do on a host's memory.
    fn download(&mut self, set: usize) -> Result<(), Fault> {
        let _ = set;
        Ok(())
    }

    /// Elements of a value of `set`: an input, a kept value (output or carried result), or any value of a
    /// keep-all load.
    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Fault>;

    /// Writes elements of an input of `set`, from element `start` on: what the next execution reads, in place of
    /// what the seed made or an earlier execution handed on. Waits for what was started before. A reset restores
    /// carried inputs from the seed and leaves the others as they were written. Outside the clock.
    ///
    /// Fails on anything but an input, on elements of another type or beyond its end, on numbers that would name
    /// places beyond another value, and on a parameter that was laid out anew at load.
    fn write(&mut self, value: ValueId, set: usize, start: usize, elements: &HostArray) -> Result<(), Fault> {
        let _ = (value, set, start, elements);
        Err(Fault::Unsupported("this backend takes no inputs from outside".to_string()))
    }

    /// Whether nothing was written beside the values, where the backend can tell: a kernel that overruns
    /// its output may have spoilt another.
    fn intact(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// Nanoseconds on the clock that samples are read from. Only a scripted device has its own.
    fn now(&self) -> u64 {
        crate::host::clock::now()
    }

    /// Whether the device's own clock is going to time the executions that follow: a device may then keep
    /// them from starting until enough of them are queued, so that its clock sees no launches.
    fn use_device_clock(&mut self, on: bool) {
        let _ = on;
    }

    /// Device-side nanoseconds of the executions since the last `wait`, where the device has a clock.
    fn device_time(&mut self) -> Option<f64> {
        None
    }

    /// What was chosen at load and is worth keeping: the algorithm of a product, how time is taken.
    fn notes(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Bytes held by state, packed copies and workspace included.
    fn memory(&self) -> BTreeMap<State, u64>;

    /// Nanoseconds and extra bytes that packing took at load.
    fn packing_cost(&self) -> (f64, u64) {
        (0.0, 0)
    }

    /// Whether inputs and outputs are in host memory, so that `end_to_end` equals `resident`.
    fn is_host_memory(&self) -> bool {
        true
    }
}
