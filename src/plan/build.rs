//! Expands suites into groups of cells.

use super::cells;
use super::point::{Solved, Unsolved, bytes, solve};
use super::size::Size;
use super::{Fate, Group, Options, Plan, PlanError, SeriesKind, estimate, fit};
use crate::host::Facts;
use crate::nearest;
use crate::program::{Program, State};
use crate::suite::{Case, Load, Point, Suite, SuiteError, check_backend, point_name};
use crate::units::Bytes;
use crate::workloads::{self, Workload};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Most cells of one plan.
const MAX_CELLS: u64 = 1_000_000;

/// The plan of one or more suites on a machine. Pure: what there is to compute on comes in `options`.
pub fn build(suites: &[Suite], facts: &Facts, options: &Options) -> Result<Plan, PlanError> {
    check(suites, options)?;
    let mut places = Vec::new();
    for suite in suites {
        for case in &suite.cases {
            let workload = workload(suite, case)?;
            places.extend(case.sweep.points().into_iter().map(|point| Place {
                suite,
                case,
                workload,
                point,
            }));
        }
    }
    // Points have nothing to do with one another, and those of a model take long.
    let expanded: Vec<_> = places.par_iter().map(|place| place.expand(facts, options)).collect();
    let mut plan = Plan::default();
    let mut seen = BTreeSet::new();
    for expanded in expanded {
        match expanded? {
            Expanded::Group(group) if seen.insert(group.id.clone()) => plan.groups.push(*group),
            Expanded::Group(_) | Expanded::Unwanted => {}
            Expanded::Dropped(id, reason) => plan.dropped.push((id, reason)),
        }
    }
    refuse_if_nothing_fits(&plan, facts)?;
    fit::only(&mut plan, &options.only)?;
    fit::shard(&mut plan, options.shard);
    fit::trim(&mut plan, suites, options.minutes);
    Ok(plan)
}

fn check(suites: &[Suite], options: &Options) -> Result<(), PlanError> {
    for pattern in options.backends.iter().flatten() {
        check_backend(pattern).map_err(PlanError::Request)?;
    }
    if let Some(minutes) = options.minutes.filter(|minutes| !(minutes.is_finite() && *minutes > 0.0)) {
        return Err(PlanError::Request(format!("{minutes} minutes are no duration: give more than 0")));
    }
    if let Some((part, parts)) = options.shard.filter(|(part, parts)| *part == 0 || part > parts) {
        return Err(PlanError::Request(format!(
            "there is no part {part} of {parts}: parts are 1 to {parts}"
        )));
    }
    let per_point = |case: &Case| {
        let threads = options.threads.as_ref().unwrap_or(&case.threads).len();
        (options.available.backends.len() * threads * case.packing.len()) as u64
    };
    let cells = suites.iter().flat_map(|suite| &suite.cases);
    let cells =
        cells.fold(0u64, |sum, case| sum.saturating_add(case.sweep.count().saturating_mul(per_point(case))));
    if cells > MAX_CELLS { Err(PlanError::TooManyCells { cells, limit: MAX_CELLS }) } else { Ok(()) }
}

/// The workload that a case names.
fn workload(suite: &Suite, case: &Case) -> Result<&'static Workload, PlanError> {
    workloads::find(&case.workload).ok_or_else(|| {
        let hint = nearest::hint(&case.workload, workloads::WORKLOADS.iter().map(|workload| workload.name));
        wrong(suite, case, format!("no workload is called `{}`{hint}", case.workload))
    })
}

fn wrong(suite: &Suite, case: &Case, message: String) -> PlanError {
    PlanError::Suite(SuiteError { file: suite.file.clone(), line: case.line, message })
}

/// One point of a case.
struct Place<'a> {
    suite: &'a Suite,
    case: &'a Case,
    workload: &'static Workload,
    point: Point,
}

/// What a point comes to.
enum Expanded {
    Group(Box<Group>),
    /// The sweep does not admit it.
    Unwanted,
    /// The machine lacks what it is relative to: its name, and why.
    Dropped(String, String),
}

impl Place<'_> {
    fn expand(&self, facts: &Facts, options: &Options) -> Result<Expanded, PlanError> {
        let Self { suite, case, workload, point } = self;
        let solved = match solve(workload, point, facts) {
            Ok(solved) => solved,
            Err(Unsolved::Wrong(message)) => {
                let name = point_name(workload.axes, &point.params);
                return Err(wrong(suite, case, format!("case `{}` at {name}: {message}", case.name)));
            }
            Err(Unsolved::NotHere(reason)) => {
                let size = point.footprint.as_ref().map(|(_, size)| size.to_string()).unwrap_or_default();
                return Ok(Expanded::Dropped(format!("{}/{}/{size}", suite.name, case.name), reason));
            }
        };
        if !case.sweep.admits(&solved.params) {
            return Ok(Expanded::Unwanted);
        }
        Ok(Expanded::Group(Box::new(self.group(solved, facts, options))))
    }

    fn group(&self, solved: Solved, facts: &Facts, options: &Options) -> Group {
        let Self { suite, case, workload, .. } = self;
        let mut id = format!("{}/{}", suite.name, case.name);
        let name = point_name(workload.axes, &solved.params);
        if !name.is_empty() {
            id = format!("{id}/{name}");
        }
        let size = Size::of(&solved.program);
        let cells = cells::cells(case, &solved.program, &size, facts, options);
        let mut group = Group {
            id,
            suite: suite.name.clone(),
            case: case.name.clone(),
            why: case.why.clone(),
            label: solved.label,
            workload: case.workload.clone(),
            point: solved.params,
            program: solved.program,
            series: series(case),
            cells,
            priority: case.priority,
            effort: options.effort.unwrap_or(suite.effort),
            memory: case.memory,
            limit: case.limit,
            max_memory: case.max_memory,
            estimate: std::time::Duration::ZERO,
            first: std::time::Duration::ZERO,
        };
        (group.estimate, group.first) = estimate::group(&group, &size, &options.rates);
        group
    }
}

/// Every scope, sync and temperature in short slices; one long window for a sustained load, with the
/// first of each, since a window tells about heat and power and not about transfers.
fn series(case: &Case) -> Vec<SeriesKind> {
    let mut kinds = Vec::new();
    for &load in &case.loads {
        for &scope in &case.scopes {
            for &sync in &case.syncs {
                for &temperature in &case.temperatures {
                    kinds.push(SeriesKind { scope, sync, load, temperature });
                }
            }
        }
    }
    let mut windows = 0;
    kinds.retain(|kind| {
        windows += usize::from(kind.load == Load::Sustained);
        kind.load == Load::Burst || windows == 1
    });
    kinds
}

/// A plan of which not one point fits into memory is a mistake, not a list of skips.
fn refuse_if_nothing_fits(plan: &Plan, facts: &Facts) -> Result<(), PlanError> {
    let Some(have) = facts.memory_limit() else { return Ok(()) };
    // What runs fits, and counting bytes takes long.
    if plan.groups.iter().flat_map(|group| &group.cells).any(|cell| cell.fate == Fate::Run) {
        return Ok(());
    }
    let need = |group: &Group| Bytes(bytes(&group.program));
    let smallest = plan.groups.iter().min_by_key(|group| need(group));
    let Some(group) = smallest.filter(|group| need(group) > have) else { return Ok(()) };
    Err(PlanError::TooMuchMemory {
        group: group.id.clone(),
        need: need(group),
        states: states(&group.program),
        have,
        advice: advice(group, have),
    })
}

/// `parameter 438 MB, activation 1.2 GB`.
fn states(program: &Program) -> String {
    let shown =
        |(state, bytes): (State, u64)| format!("{} {}", format!("{state:?}").to_lowercase(), Bytes(bytes));
    program.bytes_by_state().into_iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// What would fit in the place of a group.
fn advice(group: &Group, have: Bytes) -> String {
    let smaller = "choose smaller sizes".to_string();
    let workload = workloads::find(&group.workload);
    let Some(workload) = workload.filter(|workload| workload.axes.iter().any(|axis| axis.name == "batch"))
    else {
        return smaller;
    };
    match workloads::largest_batch(workload, &group.point, have.0, bytes) {
        Ok(Some(batch)) => format!("the largest batch that fits is {batch}"),
        Ok(None) => format!("not even the smallest batch fits, so {smaller}"),
        Err(_) => smaller,
    }
}
