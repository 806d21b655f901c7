//! What one cell gave: one line of JSON, evidence only. Validity, ratios and money are computed from
//! records elsewhere, so that a later policy can judge an old run.
//!
//! A run is a folder with `run.jsonl` (one [`Record`] a line, one line a cell and visit) and `host.json`
//! (the machine's facts).
//! `docs/record.schema.json` describes a line for other languages.

mod archive;
mod csv;
#[cfg(test)]
pub(crate) mod example;
mod fold;
mod gather;
mod key;
mod read;
#[cfg(test)]
mod schema;
mod write;

pub use csv::{csv, field};
pub use fold::fold;
pub use gather::{Gathered, gather};
pub use key::{digest, key};
pub use read::{RecordError, Rejected, Run, read, read_lines, read_visits};
pub use write::{Opened, Writer};

pub use crate::measure::evidence::{
    Conditions, LoadCost, MemoryPeak, Outcome, PhaseTimes, Reading, Series, Verification,
};

use crate::backends::{DeviceKind, Identity};
use crate::ops::Work;
use crate::plan::Contender;
use crate::program::State;
use crate::workloads::{Params, Yield};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Visits beyond this are none: samples are numbered by them.
const LAST_VISIT: u32 = 1000;

/// Version of the format: a newer minor is read, a newer major refused.
pub const SCHEMA: &str = "1.3";

/// One cell of one run: of one of its visits on a line of a file, of all of them after [`fold`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `major.minor` of the format.
    pub schema: String,
    /// First 16 hex digits of the SHA-256 over case, point, contender, program and build.
    pub key: String,
    /// Which repetition of the cell within the run, from 0 (`run --repeat`).
    pub repeat: u32,
    /// Which visit of the run to the group, from 0; the first one's where visits are folded.
    #[serde(default)]
    pub visit: u32,
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
    /// Start of the group's measurement, UTC, RFC 3339. Cells of a group that share it were measured
    /// together, so that their rounds are pairs.
    pub started: String,
    /// Seed of the inputs and of the order of contenders.
    pub seed: u64,
    /// Short windows were asked for: fewer and shorter samples, sustained windows of 3 s.
    pub quick: bool,
    /// Work on paper of one execution.
    pub work: Work,
    /// What one execution yields.
    pub yields: Yield,
    /// Bytes of the program's values by state, on paper.
    pub bytes: BTreeMap<State, u64>,
    /// Library and device.
    pub identity: Option<Identity>,
    /// What kind of device it was; none where that is unknown, as for a cell that was not tried.
    #[serde(default)]
    pub device: Option<DeviceKind>,
    /// The state of the machine meanwhile.
    #[serde(default)]
    pub conditions: Conditions,
    /// What became of the cell.
    pub outcome: Outcome,
    /// Measured in rounds with the other contenders of the group; false where memory did not hold all of
    /// them or the cell was alone.
    pub interleaved: bool,
    /// Data is in host memory, so that `end_to_end` equals `resident` and is recorded once; none where
    /// nothing was loaded.
    pub host_memory: Option<bool>,
    /// Smallest difference of two readings of the worker's clock that is not zero, in nanoseconds.
    pub clock_precision_ns: Option<f64>,
    /// The answer's check; none for a cell that was not run.
    pub verification: Option<Verification>,
    /// Making the program ready, one entry a start.
    pub loads: Vec<LoadCost>,
    /// Peak memory of a fresh process; the reason where it was not measured.
    pub memory: Reading<MemoryPeak>,
    /// Time by phase of a training step; the reason where it was not measured.
    #[serde(default = "not_asked_for")]
    pub phases: Reading<PhaseTimes>,
    /// Energy of one execution in joules; the reason where it was not measured.
    pub energy_j: Reading<f64>,
    /// Timings; empty unless the outcome is `measured`.
    pub series: Vec<Series>,
}

/// What a record from before there was such a reading has.
fn not_asked_for<T>() -> Reading<T> {
    Reading::absent("not asked for")
}

impl Record {
    /// Why the record contradicts itself, if it does.
    pub fn check(&self) -> Result<(), String> {
        if self.visit > LAST_VISIT {
            return Err(format!("`visit` is {}, and no run makes more than {LAST_VISIT}", self.visit));
        }
        self.series.iter().try_for_each(Series::check)
    }
}
