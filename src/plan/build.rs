//! Expands suites into groups of cells.

use super::cells::{self, Variants};
use super::point::{Solved, Unsolved, bytes, solve};
use super::{Fate, Group, Options, Plan, PlanError, SeriesKind, estimate, fit};
use crate::host::Facts;
use crate::nearest;
use crate::program::{Program, State};
use crate::suite::{Case, Load, Point, Suite, SuiteError, check_backend, point_name};
use crate::units::Bytes;
use crate::workloads::{self, Params, Workload};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most cells of one plan.
const MAX_CELLS: u64 = 1_000_000;

/// The plan of one or more suites on a machine. Pure: what there is to compute on comes in `options`.
pub fn build(suites: &[Suite], facts: &Facts, options: &Options) -> Result<Plan, PlanError> {
    made(suites, facts, options, |group| group)
}

/// The same plan without its programs: an overview needs none, and those of models are most of what a plan holds.
pub fn outline(suites: &[Suite], facts: &Facts, options: &Options) -> Result<Plan<()>, PlanError> {
    made(suites, facts, options, |group| group.map(|_| ()))
}

fn made<P: Send>(
    suites: &[Suite],
    facts: &Facts,
    options: &Options,
    finish: impl Fn(Group) -> Group<P> + Sync,
) -> Result<Plan<P>, PlanError> {
    check(suites, options)?;
    let places = places(suites)?;
    let found: Vec<_> = places.par_iter().map(|place| place.find(facts)).collect();
    let mut groups = groups(&places, &found, facts, options, &finish);
    let mut plan = Plan::default();
    let mut seen = BTreeSet::new();
    for (number, found) in found.into_iter().enumerate() {
        match found? {
            Found::Unwanted => {}
            Found::Dropped(id, reason) => plan.dropped.push((id, reason)),
            Found::Solved(_) => {
                let Some(group) = groups.remove(&number).transpose()? else { continue };
                if seen.insert(group.id.clone()) {
                    plan.groups.push(group);
                }
            }
        }
    }
    refuse_if_nothing_fits(&plan, facts)?;
    fit::only(&mut plan, &options.only)?;
    fit::shard(&mut plan, options.shard);
    fit::trim(&mut plan, suites, options.minutes);
    Ok(plan)
}

/// Every point of every case.
fn places(suites: &[Suite]) -> Result<Vec<Place<'_>>, PlanError> {
    let mut places = Vec::new();
    for suite in suites {
        for case in &suite.cases {
            let workload = workload(suite, case)?;
            let points = case.sweep.points().into_iter();
            places.extend(points.map(|point| Place { suite, case, workload, point }));
        }
    }
    Ok(places)
}

/// The groups of places by number. Programs have nothing to do with one another, and those of models take long: each
/// is made once, however many cases ask for it.
fn groups<P: Send>(
    places: &[Place],
    found: &[Result<Found, PlanError>],
    facts: &Facts,
    options: &Options,
    finish: &(impl Fn(Group) -> Group<P> + Sync),
) -> BTreeMap<usize, Result<Group<P>, PlanError>> {
    let mut wanted: BTreeMap<(&str, &Params), Vec<Asked>> = BTreeMap::new();
    for (number, (place, found)) in places.iter().zip(found).enumerate() {
        if let Ok(Found::Solved(solved)) = found {
            let key = (place.workload.name, &solved.params);
            wanted.entry(key).or_default().push((place, solved, number));
        }
    }
    let wanted: Vec<_> = wanted.into_values().collect();
    let of_program = |alike: &Vec<Asked>| -> Vec<(usize, Result<Group<P>, PlanError>)> {
        let (first, solved, _) = alike[0];
        let mut variants = first.workload.program(&solved.params).map(Variants::new);
        let group = |&(place, solved, number): &Asked| match &mut variants {
            Ok(variants) => (number, Ok(finish(place.group(solved, variants, facts, options)))),
            Err(error) => (number, Err(place.wrong(&error.to_string()))),
        };
        alike.iter().map(group).collect()
    };
    wanted.par_iter().with_max_len(1).flat_map_iter(of_program).collect()
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

/// A place with its parameters and its number among the places.
type Asked<'a> = (&'a Place<'a>, &'a Solved, usize);

/// What a point comes to.
enum Found {
    /// All that a program needs.
    Solved(Solved),
    /// The sweep does not admit it.
    Unwanted,
    /// The machine lacks what it is relative to: its name, and why.
    Dropped(String, String),
}

impl Place<'_> {
    fn find(&self, facts: &Facts) -> Result<Found, PlanError> {
        let Self { suite, case, workload, point } = self;
        match solve(workload, point, facts) {
            Ok(solved) if case.sweep.admits(&solved.params) => Ok(Found::Solved(solved)),
            Ok(_) => Ok(Found::Unwanted),
            Err(Unsolved::Wrong(message)) => Err(self.wrong(&message)),
            Err(Unsolved::NotHere(reason)) => {
                let size = point.footprint.as_ref().map(|(_, size)| size.to_string()).unwrap_or_default();
                Ok(Found::Dropped(format!("{}/{}/{size}", suite.name, case.name), reason))
            }
        }
    }

    fn wrong(&self, message: &str) -> PlanError {
        let Self { suite, case, workload, point } = self;
        let name = point_name(workload.axes, &point.params);
        wrong(suite, case, format!("case `{}` at {name}: {message}", case.name))
    }

    fn group(&self, solved: &Solved, variants: &mut Variants, facts: &Facts, options: &Options) -> Group {
        let Self { suite, case, workload, .. } = self;
        let mut id = format!("{}/{}", suite.name, case.name);
        let name = point_name(workload.axes, &solved.params);
        if !name.is_empty() {
            id = format!("{id}/{name}");
        }
        let cells = cells::cells(case, variants, facts, options);
        let mut group = Group {
            id,
            suite: suite.name.clone(),
            case: case.name.clone(),
            why: case.why.clone(),
            label: solved.label.clone(),
            workload: case.workload.clone(),
            point: solved.params.clone(),
            program: variants.whole.program.clone(),
            work: variants.whole.size.work,
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
        let size = |program: &Arc<Program>| variants.size_of(program);
        (group.estimate, group.first) = estimate::group(&group, size, &options.rates);
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
fn refuse_if_nothing_fits<P>(plan: &Plan<P>, facts: &Facts) -> Result<(), PlanError> {
    let Some(have) = facts.memory_limit() else { return Ok(()) };
    // What runs fits, and counting bytes takes long.
    if plan.groups.iter().flat_map(|group| &group.cells).any(|cell| cell.fate == Fate::Run) {
        return Ok(());
    }
    let made = plan.groups.iter().filter_map(|group| {
        let program = workloads::find(&group.workload)?.program(&group.point).ok()?;
        Some((Bytes(bytes(&program)), group, program))
    });
    let Some((need, group, program)) = made.min_by_key(|(need, ..)| *need).filter(|(need, ..)| *need > have)
    else {
        return Ok(());
    };
    Err(PlanError::TooMuchMemory {
        group: group.id.clone(),
        need,
        states: states(&program),
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
fn advice<P>(group: &Group<P>, have: Bytes) -> String {
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
