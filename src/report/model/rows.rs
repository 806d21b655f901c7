//! One row a timed series, one entry a cell without a number.

use super::contest::Bases;
use super::{Empty, Row};
use crate::compare::{self, Interval, Noise};
use crate::record::{Outcome, Record, Series};
use crate::report::text;

/// An interval whose middle is a positive number.
pub(super) fn usable(interval: Interval) -> Option<Interval> {
    (interval.centre > 0.0 && interval.centre.is_finite()).then_some(interval)
}

/// The rows of a timed record.
pub(super) fn rows(record: &Record, machine: usize, bases: &Bases, noise: &Noise) -> Vec<Row> {
    let speedup = |series: &Series| -> Option<Interval> {
        let (base, base_series) = bases.get(&series.kind)?;
        (base.contender != record.contender).then(|| compare::ratio_paired(series, base_series, noise))?
    };
    let row = |series: &Series| {
        let estimate = compare::estimate_with(series, &noise.times)?;
        let time = usable(estimate.ns)?;
        Some(Row {
            machine,
            group: record.group.clone(),
            case: record.case.clone(),
            point: text::point(record),
            contender: record.contender.clone(),
            kind: series.kind,
            time,
            rate: compare::rate(record, series, &time),
            share: compare::share(record, series, noise),
            speedup: speedup(series),
            counts: (estimate.starts, estimate.samples),
            latency: series.latency_ns,
            validity: compare::validity(record, Some(series), noise),
            command: command(record),
        })
    };
    record.series.iter().filter_map(row).collect()
}

/// The command that measures a cell again.
pub(super) fn command(record: &Record) -> String {
    let point = record.group.splitn(3, '/').nth(2).unwrap_or_default();
    let lane = &record.contender.lane;
    format!(
        "cutgpu run {} {point} --backend {} --threads {}",
        record.workload, record.contender.backend, lane.threads
    )
}

/// A cell without a number.
pub(super) fn empty(record: &Record, machine: usize) -> Option<Empty> {
    let (outcome, reason) = match &record.outcome {
        Outcome::Measured => return None,
        Outcome::Skipped { reason } => ("skipped", reason.clone()),
        Outcome::Failed { kind, message } => ("failed", format!("{kind}: {message}")),
        Outcome::Wrong { message } => ("wrong", message.clone()),
    };
    Some(Empty {
        machine,
        group: record.group.clone(),
        case: record.case.clone(),
        point: text::point(record),
        contender: record.contender.clone(),
        outcome,
        reason,
    })
}
