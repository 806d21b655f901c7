//! Suites: TOML files of cases, and the grammar of their sweeps.

mod embedded;
mod filter;
pub mod grammar;
mod parse;
mod read;
mod sweep;

pub use embedded::{embedded, names};
pub use filter::Filter;
pub(crate) use parse::check_backend;
pub use parse::parse;
pub use sweep::{CacheLevel, Footprint, MAX_POINTS, Point, Row, Sweep, Term, point_name};

use crate::backends::Packing;
use crate::units::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Version of the format: a newer one is refused.
pub const SCHEMA: i64 = 1;

/// What is wrong with a suite and where; the message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct SuiteError {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// One sentence or two.
    pub message: String,
}

/// A file of cases about one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    /// Short name: `matmul`.
    pub name: String,
    /// One sentence for `cutgpu list`.
    pub about: String,
    /// Name of the file, for messages.
    pub file: String,
    /// Longest time that a run of the whole suite may take; cases are dropped by priority to keep it.
    pub budget: Option<Duration>,
    /// How much is spent on each cell.
    pub effort: Effort,
    /// Cases, in the order of the file.
    pub cases: Vec<Case>,
}

/// How much time each cell is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// Intervals that settle.
    #[default]
    Full,
    /// Wider intervals in a fraction of the time.
    Quick,
}

/// How many threads a contender computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Threads {
    /// This many.
    Count(usize),
    /// Every core that this process may use.
    All,
}

/// A workload, its sweep, and why it is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Short name: `square`.
    pub name: String,
    /// Name of the workload.
    pub workload: String,
    /// Why it is measured, and where its shapes come from.
    pub why: String,
    /// Line of the case in its file.
    pub line: usize,
    /// Larger is kept longer when time is short.
    pub priority: i64,
    /// Points.
    pub sweep: Sweep,
    /// Names of backends, `*` at the end for any ending; none for every backend that measures.
    pub backends: Option<Vec<String>>,
    /// Thread counts.
    pub threads: Vec<Threads>,
    /// Layouts of parameters.
    pub packing: Vec<Packing>,
    /// What the clock covers.
    pub scopes: Vec<Scope>,
    /// How executions follow one another.
    pub syncs: Vec<Sync>,
    /// State of the caches.
    pub temperatures: Vec<Temperature>,
    /// How samples are spread over time.
    pub loads: Vec<Load>,
    /// Measure one contender of each group twice, for the A/A floor.
    pub twin: bool,
    /// Measure the peak memory of a fresh process.
    pub memory: bool,
    /// Longest time of one cell; none for the default.
    pub limit: Option<Duration>,
    /// Most memory of one process; none for what the machine has free.
    pub max_memory: Option<Bytes>,
}

/// Which calls a clock covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Device clock, kernels only. Explains a GPU number; never competes with a host-timed one.
    Device,
    /// Host clock; the data is already there and stays.
    Resident,
    /// Host clock; uploads the values of state batch and downloads the outputs.
    EndToEnd,
}

/// How executions follow one another inside a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    /// Waits after each: latency.
    Each,
    /// Waits once at the end: throughput.
    Batch,
}

/// How samples are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Short slices, interleaved with the other contenders of the group.
    Burst,
    /// One contiguous window alone: energy, throttling, cost.
    Sustained,
}

/// Whether inputs are in the cache when an execution starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Temperature {
    /// The same buffers again and again.
    Hot,
    /// Cycles through copies that together exceed the last-level cache.
    Cold,
}
