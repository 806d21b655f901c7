//! Suites: TOML files of cases, and the grammar of their sweeps.

use serde::{Deserialize, Serialize};

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
