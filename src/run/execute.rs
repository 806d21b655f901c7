//! Measures the groups of a plan one after another and keeps each cell's record at once.

use super::RunError;
use super::deadline::{Pending, SLACK, overdue};
use super::folder::Folder;
use super::resume::Finished;
use super::row::{self, Occasion};
use crate::measure::evidence::{Conditions, Outcome};
use crate::measure::group::{self, Bench};
use crate::measure::settings::Settings;
use crate::measure::staff::Staff;
use crate::plan::{Group, Plan};
use crate::record::Record;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Share of free memory that one worker may fill.
const OF_FREE: f64 = 0.75;

/// What every group of a run shares.
pub struct Context<'a> {
    /// This program, which serves as a worker too.
    pub program: PathBuf,
    /// Variables for every worker.
    pub environment: Vec<(String, String)>,
    /// Hash of this build.
    pub build: String,
    /// Hash of the machine's facts.
    pub host: String,
    /// What a judge of the numbers must know.
    pub conditions: Conditions,
    /// Bytes of the last-level cache; none where unknown.
    pub last_level_cache: Option<u64>,
    /// Bytes of memory that are free now; none where unknown.
    pub free_memory: &'a dyn Fn() -> Option<u64>,
    /// Seed of inputs and order.
    pub seed: u64,
    /// How often everything is measured.
    pub repeat: u32,
    /// How long the run was meant to take; none for as long as it takes.
    pub allowed: Option<Duration>,
    /// Set when the user wants to stop.
    pub interrupted: &'a AtomicBool,
    /// Told how the run goes.
    pub watcher: &'a dyn Watcher,
}

/// Whoever shows how a run goes.
pub trait Watcher {
    /// A group begins; `number` counts from 0 over all repetitions.
    fn begins(&self, number: usize, group: &Group);
    /// Where the group stands, in a few words.
    fn stands(&self, what: &str);
    /// A group ended with these records, or was finished before and had none.
    fn ended(&self, group: &Group, records: &[Record]);
}

/// How a run went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// New records, in order.
    pub records: Vec<Record>,
    /// The user stopped it.
    pub interrupted: bool,
    /// Groups that time did not allow, by id.
    pub left_out: Vec<String>,
}

impl Summary {
    /// Cells that failed or gave a wrong answer.
    pub fn failures(&self) -> usize {
        let failed =
            |record: &&Record| matches!(record.outcome, Outcome::Failed { .. } | Outcome::Wrong { .. });
        self.records.iter().filter(failed).count()
    }
}

/// Measures what is not finished yet. A cell's failure is its record; an error is the folder's.
pub fn execute(
    plan: &Plan,
    folder: &mut Folder,
    finished: &Finished,
    context: &Context,
) -> Result<Summary, RunError> {
    let scratch = folder.scratch()?;
    let mut summary = Summary::default();
    let mut schedule = Schedule::new(plan, context);
    while let Some((number, repeat)) = schedule.next(&mut summary) {
        let group = &plan.groups[number];
        context.watcher.begins(repeat as usize * plan.groups.len() + number, group);
        let mut records = Vec::new();
        if !finished.holds(group, repeat) {
            let begin = Instant::now();
            let Some(measured) = measure(group, repeat, scratch.path(), context) else {
                summary.interrupted = true;
                return Ok(summary);
            };
            records = measured;
            schedule.took(group, begin.elapsed());
        }
        for record in &records {
            folder.append(record)?;
        }
        context.watcher.ended(group, &records);
        summary.records.extend(records);
    }
    summary.interrupted = context.interrupted.load(Ordering::Relaxed);
    Ok(summary)
}

/// Groups that are still to be measured, and how long the others took.
struct Schedule<'a> {
    plan: &'a Plan,
    /// Groups by their number in the plan, with their repetition, the next one last.
    pending: Vec<(usize, u32)>,
    begin: Instant,
    allowed: Option<Duration>,
    expected: Duration,
    real: Duration,
}

impl<'a> Schedule<'a> {
    fn new(plan: &'a Plan, context: &Context) -> Self {
        let of = |repeat| (0..plan.groups.len()).map(move |number| (number, repeat));
        let mut pending: Vec<_> = (0..context.repeat).flat_map(of).collect();
        pending.reverse();
        let (expected, real) = (Duration::ZERO, Duration::ZERO);
        Self { plan, pending, begin: Instant::now(), allowed: context.allowed, expected, real }
    }

    fn took(&mut self, group: &Group, real: Duration) {
        self.expected += group.estimate;
        self.real += real;
    }

    /// The next group; leaves out first what the time does not allow any more.
    fn next(&mut self, summary: &mut Summary) -> Option<(usize, u32)> {
        if let Some(allowed) = self.allowed {
            let estimate = |&(number, _): &(usize, u32)| {
                let Group { priority, estimate, .. } = self.plan.groups[number];
                Pending { priority, estimate }
            };
            let pending: Vec<Pending> = self.pending.iter().map(estimate).collect();
            let pace = self.real.as_secs_f64() / self.expected.as_secs_f64().max(1e-9);
            let left = allowed.mul_f64(SLACK).saturating_sub(self.begin.elapsed());
            let mut out = overdue(&pending, pace, left);
            out.sort_unstable();
            for number in out.into_iter().rev() {
                let (group, _) = self.pending.remove(number);
                summary.left_out.push(self.plan.groups[group].id.clone());
            }
        }
        self.pending.pop()
    }
}

/// One record a cell; none if the user stopped it.
fn measure(group: &Group, repeat: u32, scratch: &Path, context: &Context) -> Option<Vec<Record>> {
    let free_memory = (context.free_memory)();
    let settings = Settings::of_group(group, context.seed);
    let quick = settings.quick;
    let staff = Staff {
        program: context.program.clone(),
        scratch: scratch.to_path_buf(),
        environment: context.environment.clone(),
        memory_limit: group
            .max_memory
            .map(|limit| limit.0)
            .or_else(|| free_memory.map(|free| (free as f64 * OF_FREE) as u64)),
    };
    let bench = Bench {
        settings,
        hire: &staff,
        last_level_cache: context.last_level_cache,
        free_memory,
        interrupted: context.interrupted,
        progress: &|what| context.watcher.stands(what),
    };
    let occasion = Occasion { started: SystemTime::now(), repeat, quick };
    let evidence = group::measure(group, &bench).ok()?;
    let cells = group.cells.iter().zip(evidence);
    Some(cells.map(|(cell, evidence)| row::record(group, cell, evidence, &occasion, context)).collect())
}
