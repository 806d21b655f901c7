//! From what measuring left to the record that is kept.

use super::execute::Context;
use crate::backends::{DeviceKind, family_of};
use crate::date::Date;
use crate::measure::evidence::{Evidence, Outcome};
use crate::plan::{Cell, Group};
use crate::program::Program;
use crate::record::{self, Record, SCHEMA};
use crate::workloads::{self, Yield};
use std::time::SystemTime;

/// What the records of one measurement of a group share.
pub(super) struct Occasion {
    /// When it began.
    pub(super) started: SystemTime,
    /// Which repetition it is.
    pub(super) repeat: u32,
    /// Which visit of it.
    pub(super) visit: u32,
    /// Windows were short.
    pub(super) quick: bool,
}

/// The record of a cell.
pub(super) fn record(
    group: &Group,
    cell: &Cell,
    evidence: Evidence,
    occasion: &Occasion,
    context: &Context,
) -> Record {
    let program = hash(&cell.program);
    let tried = !matches!(evidence.outcome, Outcome::Skipped { .. });
    Record {
        schema: SCHEMA.to_string(),
        key: record::key(&group.id, &group.point, &cell.contender, &program, &context.build),
        repeat: occasion.repeat,
        visit: occasion.visit,
        group: group.id.clone(),
        suite: group.suite.clone(),
        case: group.case.clone(),
        workload: group.workload.clone(),
        point: group.point.clone(),
        contender: cell.contender.clone(),
        program,
        expanded: cell.expanded.clone(),
        build: context.build.clone(),
        host: context.host.clone(),
        started: rfc3339(occasion.started),
        seed: context.seed,
        quick: occasion.quick,
        work: cell.program.work(),
        yields: yields(group),
        bytes: cell.program.bytes_by_state(),
        identity: evidence.identity,
        device: if tried { device(&cell.contender.backend) } else { None },
        conditions: context.conditions.clone().on(evidence.device),
        outcome: evidence.outcome,
        interleaved: evidence.interleaved,
        host_memory: evidence.host_memory,
        clock_precision_ns: evidence.clock_precision_ns,
        verification: evidence.verification,
        loads: evidence.loads,
        memory: evidence.memory,
        phases: evidence.phases,
        energy_j: evidence.energy_j,
        series: evidence.series,
    }
}

/// Hash of what a program computes.
fn hash(program: &Program) -> String {
    // Numbers and names only: it always has a text.
    record::digest(&serde_json::to_vec(program).unwrap_or_default())
}

fn yields(group: &Group) -> Yield {
    let nothing = || Yield { unit: "execution".to_string(), amount: 1.0 };
    workloads::find(&group.workload)
        .map_or_else(nothing, |workload| (workload.yields)(&group.point, &group.program))
}

fn device(backend: &str) -> Option<DeviceKind> {
    let found = family_of(backend)?.devices();
    found.into_iter().find(|found| found.backend == backend).map(|found| found.kind)
}

fn rfc3339(moment: SystemTime) -> String {
    let (date, [hours, minutes, seconds]) = Date::at(moment);
    format!("{date}T{hours:02}:{minutes:02}:{seconds:02}Z")
}
