//! Expands suites into groups of cells.

use super::cells::{self, memory_needed};
use super::point::{Unsolved, bytes, solve};
use super::{Fate, Group, Options, Plan, PlanError, SeriesKind, estimate, fit};
use crate::host::Facts;
use crate::nearest;
use crate::program::{Program, State};
use crate::suite::{Case, Load, Suite, SuiteError, check_backend, point_name};
use crate::units::Bytes;
use crate::workloads::{self, Workload};
use std::collections::BTreeSet;

/// Most cells of one plan.
const MAX_CELLS: u64 = 1_000_000;

/// The plan of one or more suites on a machine. Pure: what there is to compute on comes in `options`.
pub fn build(suites: &[Suite], facts: &Facts, options: &Options) -> Result<Plan, PlanError> {
    check(suites, options)?;
    let mut plan = Plan::default();
    let mut seen = BTreeSet::new();
    for suite in suites {
        for case in &suite.cases {
            expand(suite, case, facts, options, &mut plan, &mut seen)?;
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

fn expand(
    suite: &Suite,
    case: &Case,
    facts: &Facts,
    options: &Options,
    plan: &mut Plan,
    seen: &mut BTreeSet<String>,
) -> Result<(), PlanError> {
    let workload = workload(suite, case)?;
    for point in case.sweep.points() {
        let solved = match solve(workload, &point, facts) {
            Ok(solved) => solved,
            Err(Unsolved::Wrong(message)) => {
                let name = point_name(workload.axes, &point.params);
                return Err(wrong(suite, case, format!("case `{}` at {name}: {message}", case.name)));
            }
            Err(Unsolved::NotHere(reason)) => {
                let size = point.footprint.map(|(_, size)| size.to_string()).unwrap_or_default();
                plan.dropped.push((format!("{}/{}/{size}", suite.name, case.name), reason));
                continue;
            }
        };
        let mut id = format!("{}/{}", suite.name, case.name);
        let name = point_name(workload.axes, &solved.params);
        if !name.is_empty() {
            id = format!("{id}/{name}");
        }
        if !case.sweep.admits(&solved.params) || !seen.insert(id.clone()) {
            continue;
        }
        let cells = cells::cells(case, &solved.program, facts, options);
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
        (group.estimate, group.first) = estimate::group(&group, &options.rates);
        plan.groups.push(group);
    }
    Ok(())
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
    let smallest = plan.groups.iter().min_by_key(|group| memory_needed(&group.program));
    let Some(group) = smallest.filter(|group| memory_needed(&group.program) > have) else { return Ok(()) };
    debug_assert!(group.cells.iter().all(|cell| cell.fate != Fate::Run));
    Err(PlanError::TooMuchMemory {
        group: group.id.clone(),
        need: memory_needed(&group.program),
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
