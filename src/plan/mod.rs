//! From a suite to the cells that a run will measure, each with its fate. Pure.

mod adhoc;
mod build;
mod cells;
mod estimate;
mod fit;
mod point;
mod size;

pub use adhoc::{COMMAND_LINE, ad_hoc, ad_hoc_text};
pub use build::{build, outline};
pub use cells::{Available, Backend};
pub use estimate::{Pace, Rates};

use crate::backends::Lane;
use crate::ops::Work;
use crate::program::Program;
use crate::suite::{Effort, Load, Scope, SuiteError, Sync, Temperature, Threads};
use crate::units::Bytes;
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

/// A point with one contender. `P` is a program, or nothing in an outline of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell<P = Arc<Program>> {
    /// Who computes.
    pub contender: Contender,
    /// The program as this backend runs it, fused ops it lacks expanded.
    pub program: P,
    /// Names of the ops that were expanded.
    pub expanded: Vec<String>,
    /// What becomes of it.
    pub fate: Fate,
}

/// All contenders at one point of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Group<P = Arc<Program>> {
    /// `suite/case/point`, unique in the plan: `matmul/square/m=512,n=512,k=512`.
    pub id: String,
    /// Name of the suite.
    pub suite: String,
    /// Name of the case.
    pub case: String,
    /// Why the case exists.
    pub why: String,
    /// What a reader calls the point; empty where its parameters say enough.
    pub label: String,
    /// Name of the workload.
    pub workload: String,
    /// The point, every parameter of the workload present.
    pub point: Params,
    /// The program as the workload wrote it.
    pub program: P,
    /// Its work on paper.
    pub work: Work,
    /// Series wanted of each cell.
    pub series: Vec<SeriesKind>,
    /// Contenders.
    pub cells: Vec<Cell<P>>,
    /// Larger is kept longer when time is short.
    pub priority: i64,
    /// How much is spent on each cell.
    pub effort: Effort,
    /// Measure the peak memory of a fresh process for each cell.
    pub memory: bool,
    /// Longest time of one cell in one visit; none for the default.
    pub limit: Option<Duration>,
    /// Most resident memory of one process; none for the default.
    pub max_memory: Option<Bytes>,
    /// Expected duration: an estimate, never a measurement.
    pub estimate: Duration,
    /// Expected duration of the first visit: an estimate.
    pub first: Duration,
}

impl<P> Group<P> {
    /// The same with `of` each program.
    fn map<Q>(self, of: impl Fn(P) -> Q) -> Group<Q> {
        let cell = |cell: Cell<P>| {
            let Cell { contender, program, expanded, fate } = cell;
            Cell { contender, program: of(program), expanded, fate }
        };
        Group {
            cells: self.cells.into_iter().map(cell).collect(),
            program: of(self.program),
            id: self.id,
            suite: self.suite,
            case: self.case,
            why: self.why,
            label: self.label,
            workload: self.workload,
            point: self.point,
            work: self.work,
            series: self.series,
            priority: self.priority,
            effort: self.effort,
            memory: self.memory,
            limit: self.limit,
            max_memory: self.max_memory,
            estimate: self.estimate,
            first: self.first,
        }
    }

    /// How often a run comes back to it.
    pub fn visits(&self) -> u32 {
        Pace::of(self.effort).visits
    }
    /// Expected duration of a visit, the `number`-th from 0: an estimate.
    pub fn estimate_of(&self, number: u32) -> Duration {
        match number {
            0 => self.first,
            _ => self.estimate.saturating_sub(self.first) / (self.visits() - 1).max(1),
        }
    }
}

/// What a run will do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<P = Arc<Program>> {
    /// Groups in the order they run.
    pub groups: Vec<Group<P>>,
    /// Groups left out: id and reason.
    pub dropped: Vec<(String, String)>,
}

impl<P> Default for Plan<P> {
    fn default() -> Self {
        Self { groups: vec![], dropped: vec![] }
    }
}

impl<P> Plan<P> {
    /// Expected duration of all groups: an estimate.
    pub fn estimate(&self) -> Duration {
        self.groups.iter().map(|group| group.estimate).sum()
    }
    /// Number of cells that will run, and of those that will be skipped.
    pub fn counts(&self) -> (usize, usize) {
        let cells = || self.groups.iter().flat_map(|group| &group.cells);
        let runs = cells().filter(|cell| cell.fate == Fate::Run).count();
        (runs, cells().count() - runs)
    }
}

/// What a user may ask of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Backends instead of those that the cases name; `*` at the end stands for any ending.
    pub backends: Option<Vec<String>>,
    /// Thread counts instead of those that the cases name.
    pub threads: Option<Vec<Threads>>,
    /// Only groups whose id contains one of these; all where empty.
    pub only: Vec<String>,
    /// Effort instead of that of the suites.
    pub effort: Option<Effort>,
    /// Longest duration in minutes, instead of the suites' own budgets.
    pub minutes: Option<f64>,
    /// Which part of the groups, from 1, and of how many.
    pub shard: Option<(usize, usize)>,
    /// Keep the twins that measure the A/A floor.
    pub twins: bool,
    /// What there is to compute on.
    pub available: Available,
    /// How fast it is, for estimates.
    pub rates: Rates,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backends: None,
            threads: None,
            only: Vec::new(),
            effort: None,
            minutes: None,
            shard: None,
            twins: true,
            available: Available::default(),
            rates: Rates::default(),
        }
    }
}

/// Why a request makes no plan; the message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A suite or a point on the command line is wrong.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// A part of the request is wrong.
    #[error("{0}")]
    Request(String),
    /// More cells than a run could ever end.
    #[error("the plan has {cells} cells, and at most {limit} are allowed: choose fewer points or backends")]
    TooManyCells {
        /// How many.
        cells: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// Not one point fits into memory.
    #[error("{group} needs {need} of memory ({states}), and this machine has {have}: {advice}")]
    TooMuchMemory {
        /// The smallest group.
        group: String,
        /// What it needs.
        need: Bytes,
        /// What of it is parameters, activations and so on.
        states: String,
        /// What there is.
        have: Bytes,
        /// What would fit.
        advice: String,
    },
}
