//! What the page shows: every number here was computed by a lower layer, this one selects and names.

mod build;
mod contest;
mod headline;
mod machine;
mod money;
mod rows;
mod what_if;

pub use crate::cost::MachinePrice;
pub use build::build;
pub(in crate::report) use contest::is_named;
pub(in crate::report) use headline::ABOVE;
pub use headline::{Headline, KeyFigure};
pub use machine::Machine;
pub use money::{MoneyView, WorkCost};
pub use what_if::JobView;

use super::scene::Look;
use crate::claims::{self, Judgement};
use crate::compare::{
    Ceiling, Comparison, Difference, Floor, Growth, Interval, Narrow, Rate, Standing, Validity, Word,
};
use crate::date::Date;
use crate::ops::Work;
use crate::plan::{Contender, SeriesKind};
use crate::program::State;
use crate::record::{MemoryPeak, PhaseTimes, Reading};
use crate::workloads::{self, Params, Yield};
use std::collections::BTreeMap;

/// What kind of number a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Timed or counted on the named machine.
    Measured,
    /// Computed from measured numbers.
    Derived,
    /// A maker's figure, or computed from one.
    Datasheet,
    /// Entered by the user.
    User,
    /// No source confirmed it.
    Unverified,
}

/// What the user asked of the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Backend, perhaps with its lane, that speed-ups are over.
    pub baseline: Option<String>,
    /// What this machine costs.
    pub machine_price: Option<MachinePrice>,
    /// The day that prices are judged on; today where none.
    pub as_of: Option<Date>,
}

/// All that the page shows.
#[derive(Clone, Debug)]
pub struct Model {
    /// Version of the program that draws.
    pub version: String,
    /// The day that prices are judged on.
    pub as_of: Date,
    /// Machines, in order of appearance.
    pub machines: Vec<Machine>,
    /// Runs, in the order given.
    pub runs: Vec<RunNote>,
    /// The answer, and the figures it rests on.
    pub headline: Headline,
    /// Contenders at each point, in the order measured.
    pub contests: Vec<Contest>,
    /// What speed-ups are over.
    pub baseline: Option<String>,
    /// Timed cells, one row a series.
    pub rows: Vec<Row>,
    /// Cells without a number.
    pub empties: Vec<Empty>,
    /// Measured roofs, by machine.
    pub ceilings: Vec<(usize, Ceiling)>,
    /// Our own kernels beside the best peer, by machine, where both were timed.
    pub standings: Vec<(usize, Standing)>,
    /// Products and layers of fewer bits beside the same in f32.
    pub narrows: Vec<Narrow>,
    /// How time and memory grow where one extent does.
    pub growths: Vec<Growth>,
    /// Prices and costs.
    pub money: MoneyView,
    /// Work that the run measured, with what it costs on every candidate; the first is shown without the script.
    pub jobs: Vec<JobView>,
    /// The article's claims, tried by these runs and prices.
    pub claims: Vec<Judgement>,
    /// The claim of 200 times, spread out.
    pub matrix: Vec<claims::Row>,
    /// The second run beside the first, where there are two.
    pub versus: Option<Versus>,
    /// Cells by word and outcome.
    pub tally: Tally,
}

/// Two runs side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Versus {
    /// Facts that differ.
    pub differences: Vec<Difference>,
    /// What became of their cells, or why nothing can be said.
    pub outcome: Result<Comparison, String>,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunNote {
    /// Name of its folder.
    pub name: String,
    /// First and last start of a measurement, UTC.
    pub span: (String, String),
    /// Records.
    pub records: usize,
    /// Lines that are no records, with why.
    pub rejected: Vec<(usize, String)>,
    /// How far twins seemed to differ.
    pub floor: Floor,
    /// Windows were short.
    pub quick: bool,
}

/// How many cells ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub cells: usize,
    /// Timed and VALID.
    pub valid: usize,
    /// Timed and SUSPECT.
    pub suspect: usize,
    /// Timed and INVALID.
    pub invalid: usize,
    /// Not tried.
    pub skipped: usize,
    /// Tried and failed.
    pub failed: usize,
    /// Wrong answers.
    pub wrong: usize,
}

/// All contenders at one point of one run, each at its best number of threads.
#[derive(Clone, Debug)]
pub struct Contest {
    /// Index of the run.
    pub run: usize,
    /// Index of the machine.
    pub machine: usize,
    /// Which repetition, from 0.
    pub repeat: u32,
    /// Name of the suite.
    pub suite: String,
    /// Name of the case.
    pub case: String,
    /// Name of the workload.
    pub workload: String,
    /// What a reader calls the point.
    pub point: String,
    /// The point.
    pub params: Params,
    /// What was timed.
    pub kind: SeriesKind,
    /// Work on paper of one execution.
    pub work: Work,
    /// What one execution yields.
    pub yields: Yield,
    /// Bytes by state, on paper.
    pub bytes: BTreeMap<State, u64>,
    /// Fastest first.
    pub entrants: Vec<Entrant>,
    /// The number that stands for each kind of device in each packing: the best of all its contenders, picked
    /// on odd rounds and reported from even ones.
    pub best: Vec<Entrant>,
}

/// A contender at its best number of threads.
#[derive(Clone, Debug)]
pub struct Entrant {
    /// Who.
    pub contender: Contender,
    /// How it looks in every chart.
    pub look: Look,
    /// Nanoseconds of one execution.
    pub time: Interval,
    /// Seconds of one execution in a long window alone, where there was one.
    pub sustained: Option<Interval>,
    /// Work over time.
    pub rate: Rate,
    /// Share of what the adjacent probe reached.
    pub share: Option<Interval>,
    /// How many times as fast as the baseline.
    pub speedup: Option<Interval>,
    /// How many times as fast as plain loops on one thread.
    pub over_naive: Option<Interval>,
    /// May it be trusted?
    pub validity: Validity,
    /// Peak memory of a fresh process.
    pub memory: Reading<MemoryPeak>,
    /// Time by phase of a training step.
    pub phases: Reading<PhaseTimes>,
}

impl Contest {
    /// What a reader calls the contest: case, point, and what is unusual about the clock.
    pub fn name(&self) -> String {
        let unusual: Vec<&str> = super::text::conditions(self.kind)
            .into_iter()
            .filter(|word| !["resident", "throughput"].contains(word))
            .collect();
        let tail = if unusual.is_empty() { String::new() } else { format!(", {}", unusual.join(", ")) };
        format!("{} {}{tail}", self.case, self.point).trim().to_string()
    }

    /// Bytes of all values of its program, by every state.
    pub fn footprint(&self) -> u64 {
        self.bytes.values().sum()
    }

    /// Type of the operands.
    pub fn precision(&self) -> &str {
        workloads::precision(&self.workload, &self.params)
    }

    /// The entrant of a backend, whatever its lane.
    pub fn entrant(&self, backend: &str) -> Option<&Entrant> {
        self.entrants.iter().find(|entrant| entrant.contender.backend == backend)
    }
}

impl Entrant {
    /// `cpu/native packed, 2 threads`.
    pub fn name(&self) -> String {
        let threads = super::text::threads(self.contender.lane.threads);
        format!("{}, {threads}", contest::entry_name(&self.contender))
    }

    /// Whether a headline may rest on it.
    pub fn is_sound(&self) -> bool {
        self.validity.word != Word::Invalid
    }
}

/// A timed cell under one clock.
#[derive(Clone, Debug)]
pub struct Row {
    /// Index of the machine.
    pub machine: usize,
    /// Id of the group.
    pub group: String,
    /// Name of the case.
    pub case: String,
    /// What a reader calls the point.
    pub point: String,
    /// Who.
    pub contender: Contender,
    /// What was timed.
    pub kind: SeriesKind,
    /// Nanoseconds of one execution.
    pub time: Interval,
    /// Work over time.
    pub rate: Rate,
    /// Share of what the adjacent probe reached.
    pub share: Option<Interval>,
    /// How many times as fast as the baseline's cell.
    pub speedup: Option<Interval>,
    /// Starts and samples.
    pub counts: (usize, usize),
    /// p50, p90, p99 of single executions, in nanoseconds.
    pub latency: Option<[f64; 3]>,
    /// May it be trusted?
    pub validity: Validity,
    /// What measures the cell again.
    pub command: String,
}

/// A cell without a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Empty {
    /// Index of the machine.
    pub machine: usize,
    /// Id of the group.
    pub group: String,
    /// Name of the case.
    pub case: String,
    /// What a reader calls the point.
    pub point: String,
    /// Who.
    pub contender: Contender,
    /// `skipped`, `failed` or `wrong`.
    pub outcome: &'static str,
    /// Why.
    pub reason: String,
}
