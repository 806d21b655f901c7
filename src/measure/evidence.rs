//! What measuring a cell leaves behind: evidence only, no judgement. Records are made of these.

use crate::measure::protocol::ProbeKind;
use crate::plan::SeriesKind;
use crate::program::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
