//! What one cell gave: one line of JSON, evidence only. Validity, ratios and money are computed from
//! records elsewhere, so that a later policy can judge an old run.

use crate::backends::Identity;
use crate::measure::protocol::ProbeKind;
use crate::ops::Work;
use crate::plan::{Contender, SeriesKind};
use crate::program::State;
use crate::workloads::{Params, Yield};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the format: a newer minor is read, a newer major refused.
pub const SCHEMA: &str = "1.0";

/// One cell of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `major.minor` of the format.
    pub schema: String,
    /// First 16 hex digits of the SHA-256 over case, point, contender, program and build.
    pub key: String,
    /// Which repetition of the cell within the run, from 0 (`run --repeat`).
    pub repeat: u32,
    /// Id of the group: `suite/case/point`.
    pub group: String,
    /// Name of the suite.
    pub suite: String,
    /// Name of the case.
    pub case: String,
    /// Name of the workload.
    pub workload: String,
    /// The point.
    pub point: Params,
    /// Who computed.
    pub contender: Contender,
    /// Hash of the program that ran.
    pub program: String,
    /// Ops that were expanded because the backend lacks them.
    pub expanded: Vec<String>,
    /// Hash of the build that measured.
    pub build: String,
    /// Hash of the host's facts in `host.json`.
    pub host: String,
    /// Start of the measurement, UTC, RFC 3339.
    pub started: String,
    /// Work on paper of one execution.
    pub work: Work,
    /// What one execution yields.
    pub yields: Yield,
    /// Bytes of the program's values by state, on paper.
    pub bytes: BTreeMap<State, u64>,
    /// Library and device.
    pub identity: Option<Identity>,
    /// What became of the cell.
    pub outcome: Outcome,
    /// The answer's check; none for a cell that was not run.
    pub verification: Option<Verification>,
    /// Making the program ready, one entry a start.
    pub loads: Vec<LoadCost>,
    /// Peak memory of a fresh process; the reason where it was not measured.
    pub memory: Reading<MemoryPeak>,
    /// Energy of one execution in joules; the reason where it was not measured.
    pub energy_j: Reading<f64>,
    /// Timings; empty unless the outcome is `measured`.
    pub series: Vec<Series>,
}

/// What became of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Verified and timed.
    Measured,
    /// Not tried.
    Skipped {
        /// Why, in one sentence.
        reason: String,
    },
    /// Tried and failed; other cells went on.
    Failed {
        /// `panic`, `abort`, `segfault`, `hang`, `out_of_memory`, `garbage`, `silent_exit`, `fault`, ...
        kind: String,
        /// What happened, in one sentence.
        message: String,
    },
    /// The answer was wrong; there is no timing.
    Wrong {
        /// The first element that is off, with what was wanted.
        message: String,
    },
}

/// A number or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// It was read.
    Value(T),
    /// It could not be; one sentence.
    Absent(String),
}

/// How an answer was checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Elements compared with the f64 reference.
    pub elements: u64,
    /// Every element was compared, not a sample.
    pub complete: bool,
    /// Largest |got - reference| / allowed.
    pub worst: f64,
    /// Median of |got - reference| / scale: tells a lower precision in disguise.
    pub median_relative: f64,
    /// The error is too large for the named precision although it is within the bound.
    pub fell_back_precision: bool,
    /// So many outputs are zero that the check proves little.
    pub mistrusted: bool,
}

/// Cost of making a program ready.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadCost {
    /// Whole load.
    pub load_ns: f64,
    /// Laying out parameters anew.
    pub packing_ns: f64,
    /// Extra bytes of packed copies.
    pub packing_bytes: u64,
}

/// Memory of a fresh worker that loads and executes once and never verifies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryPeak {
    /// Resident bytes before the load.
    pub baseline: u64,
    /// High-water mark over one execution, less the baseline.
    pub peak: u64,
    /// What the backend says that it holds, by state.
    pub held: BTreeMap<State, u64>,
}

/// Samples of one cell under one scope, sync, load and temperature. Columns of equal length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What kind.
    #[serde(flatten)]
    pub kind: SeriesKind,
    /// Executions in one sample, by start.
    pub iters: Vec<u64>,
    /// Nanoseconds per execution.
    pub ns: Vec<f64>,
    /// Start of each sample, from 0.
    pub start: Vec<u32>,
    /// Round of each sample, from 0, counted over the whole group.
    pub round: Vec<u32>,
    /// Nanoseconds that the worker's threads waited for a core during each sample.
    pub run_delay_ns: Vec<u64>,
    /// Nanoseconds stolen by the hypervisor during each sample.
    pub steal_ns: Vec<u64>,
    /// The adjacent probe.
    pub probe: Option<ProbeKind>,
    /// Its rate just before each sample, in operations or bytes a second; 0 where it did not run.
    pub probe_rate: Vec<f64>,
    /// Latencies of single executions (`sync: each`), pooled over samples: p50, p90, p99 in nanoseconds.
    pub latency_ns: Option<[f64; 3]>,
    /// Samples taken again because they had waited for a core.
    pub discarded: u32,
    /// Samples kept although they had waited, because no quieter one came.
    pub noisy: u32,
    /// Why sampling ended: `settled` or `budget`.
    pub stop: String,
}
