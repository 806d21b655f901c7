//! Visits the groups of a plan one after another, several times, and keeps each cell's record at once.

use super::RunError;
use super::folder::Folder;
use super::resume::{Finished, Visit};
use super::row::{self, Occasion};
use super::schedule::Schedule;
use crate::measure::evidence::{Conditions, Outcome};
use crate::measure::group::{self, Bench};
use crate::measure::settings::Settings;
use crate::measure::staff::Staff;
use crate::plan::{Group, Plan};
use crate::record::{self, Record};
use std::collections::BTreeMap;
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
    /// A visit to a group begins.
    fn begins(&self, group: &Group, visit: Visit);
    /// Where the group stands, in a few words.
    fn stands(&self, what: &str);
    /// It ended with these records.
    fn ended(&self, group: &Group, visit: Visit, records: &[Record]);
}

/// How a run went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// New records, one a cell, in order.
    pub records: Vec<Record>,
    /// The user stopped it.
    pub interrupted: bool,
    /// Visits that time did not allow, by the group's id.
    pub left_out: BTreeMap<String, u32>,
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
    let mut finished = finished.clone();
    let mut schedule = Schedule::new(plan, finished.pending(plan, context.repeat), context.allowed);
    while let Some((place, visit)) = schedule.next(&mut summary) {
        let Some(group) = finished.rest(&plan.groups[place], visit) else { continue };
        context.watcher.begins(&group, visit);
        let begin = Instant::now();
        let Some(records) = measure(&group, visit, scratch.path(), context) else {
            summary.interrupted = true;
            break;
        };
        schedule.took(place, visit, begin.elapsed());
        for record in &records {
            folder.append(record)?;
            finished.note(record);
        }
        context.watcher.ended(&group, visit, &records);
        summary.records.extend(records);
    }
    summary.records = record::fold(summary.records);
    summary.interrupted |= context.interrupted.load(Ordering::Relaxed);
    Ok(summary)
}

/// One record a cell; none if the user stopped it.
fn measure(group: &Group, visit: Visit, scratch: &Path, context: &Context) -> Option<Vec<Record>> {
    let free_memory = (context.free_memory)();
    let settings = Settings::of_visit(group, visit.number, context.seed);
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
    let occasion = Occasion { started: SystemTime::now(), repeat: visit.repeat, visit: visit.number, quick };
    let evidence = group::measure(group, &bench).ok()?;
    let cells = group.cells.iter().zip(evidence);
    Some(cells.map(|(cell, evidence)| row::record(group, cell, evidence, &occasion, context)).collect())
}
