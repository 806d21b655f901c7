//! From a suite to the cells that a run will measure, each with its fate. Pure.

use crate::backends::Lane;
use crate::program::Program;
use crate::suite::{Load, Scope, Sync, Temperature};
use crate::workloads::Params;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A backend at a lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Contender {
    /// Name of the backend: `cpu/native`.
    pub backend: String,
    /// How it is set up.
    pub lane: Lane,
    /// A second copy with starts of its own, for the A/A floor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub twin: bool,
}

impl std::fmt::Display for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}:{}{}", self.backend, self.lane, if self.twin { "#twin" } else { "" })
    }
}

/// What kinds of series a case wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesKind {
    /// What the clock covers.
    pub scope: Scope,
    /// How executions follow one another.
    pub sync: Sync,
    /// How samples are spread.
    pub load: Load,
    /// State of the caches.
    pub temperature: Temperature,
}

/// What becomes of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is measured.
    Run,
    /// It is not, for this reason.
    Skip(String),
}

/// A point with one contender.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Who computes.
    pub contender: Contender,
    /// The program as this backend runs it, fused ops it lacks expanded.
    pub program: Arc<Program>,
    /// Names of the ops that were expanded.
    pub expanded: Vec<String>,
    /// What becomes of it.
    pub fate: Fate,
}

/// All contenders at one point of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// `suite/case/point`, unique in the plan: `matmul/square/m=512,n=512,k=512`.
    pub id: String,
    /// Name of the suite.
    pub suite: String,
    /// Name of the case.
    pub case: String,
    /// Why the case exists.
    pub why: String,
    /// Name of the workload.
    pub workload: String,
    /// The point.
    pub point: Params,
    /// The program as the workload wrote it.
    pub program: Arc<Program>,
    /// Series wanted of each cell.
    pub series: Vec<SeriesKind>,
    /// Contenders.
    pub cells: Vec<Cell>,
    /// Larger is kept longer when time is short.
    pub priority: i64,
    /// Expected duration.
    pub estimate: Duration,
}

/// What a run will do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Groups in the order they run.
    pub groups: Vec<Group>,
    /// Groups left out to fit the budget: id and reason.
    pub dropped: Vec<(String, String)>,
}
