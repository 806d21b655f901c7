//! The columns: names with units, what they mean, and how a row fills them. Adding a column is adding one row here.

use crate::judged::Row;
use cutgpu::date::Date;
use cutgpu::record::{Outcome, Series};
use serde::Serialize;

/// A column of a table.
pub(crate) struct Column {
    /// Name, with the unit where there is one.
    pub name: &'static str,
    /// What it holds.
    pub about: &'static str,
    /// How it is filled; null where a row has no value.
    pub value: Value,
}

/// How a column is filled, by what it holds.
pub(crate) enum Value {
    /// UTF-8.
    Text(fn(&Row) -> Option<String>),
    /// Milliseconds since 1970, UTC.
    Moment(fn(&Row) -> Option<i64>),
    /// A whole number.
    Whole(fn(&Row) -> Option<u64>),
    /// A number.
    Real(fn(&Row) -> Option<f64>),
    /// Yes or no.
    Flag(fn(&Row) -> Option<bool>),
}

impl Value {
    /// Its type, as DuckDB names it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "VARCHAR",
            Self::Moment(_) => "TIMESTAMP",
            Self::Whole(_) => "BIGINT",
            Self::Real(_) => "DOUBLE",
            Self::Flag(_) => "BOOLEAN",
        }
    }
}

/// Columns of a table with one row a series.
pub(crate) fn of_series() -> Vec<&'static Column> {
    WHICH.iter().chain(SERIES).collect()
}

/// Columns of a table with one row a sample.
pub(crate) fn of_samples() -> Vec<&'static Column> {
    WHICH.iter().chain(SAMPLES).collect()
}

const fn column(name: &'static str, about: &'static str, value: Value) -> Column {
    Column { name, about, value }
}

use Value::{Flag, Moment, Real, Text, Whole};

/// What tells a series from the others.
const WHICH: &[Column] = &[
    column("run", "name of the run's folder or archive", Text(|row| Some(row.judged.run.name.clone()))),
    column(
        "key",
        "hash of group, point, contender, program and build",
        Text(|row| Some(row.judged.record.key.clone())),
    ),
    column(
        "repeat",
        "repetition of the cell within the run, from 0",
        Whole(|row| Some(row.judged.record.repeat.into())),
    ),
    column("suite", "suite", Text(|row| Some(row.judged.record.suite.clone()))),
    column("case", "case of the suite", Text(|row| Some(row.judged.record.case.clone()))),
    column("workload", "workload", Text(|row| Some(row.judged.record.workload.clone()))),
    column("point", "setting of the case's sweep, such as k=512 m=512", Text(|row| Some(point(row)))),
    column(
        "group",
        "suite/case/point: all contenders of a group did the same",
        Text(|row| Some(row.judged.record.group.clone())),
    ),
    column("backend", "who computed", Text(|row| Some(row.judged.record.contender.backend.clone()))),
    column("threads", "threads that computed", Whole(|row| whole(row.judged.record.contender.lane.threads))),
    column(
        "packing",
        "plain, or packed: parameters laid out anew at load",
        Text(|row| word(&row.judged.record.contender.lane.packing)),
    ),
    column(
        "twin",
        "a second copy, for the A/A floor: leave it out of rankings",
        Flag(|row| Some(row.judged.record.contender.twin)),
    ),
    column("machine", "hash of the machine's facts", Text(|row| Some(row.judged.record.host.clone()))),
    column("processor", "marketing name of the processor; null without host.json", Text(processor)),
    column("build", "hash of the build that measured", Text(|row| Some(row.judged.record.build.clone()))),
    column("started", "start of the measurement", Moment(|row| millis(&row.judged.record.started))),
    column(
        "scope",
        "device, resident or end_to_end: what the clock covered",
        Text(|row| word(&series(row)?.kind.scope)),
    ),
    column(
        "sync",
        "each or batch: how executions followed one another",
        Text(|row| word(&series(row)?.kind.sync)),
    ),
    column("load", "burst or sustained", Text(|row| word(&series(row)?.kind.load))),
    column("temperature", "hot or cold caches", Text(|row| word(&series(row)?.kind.temperature))),
];

/// What is concluded from a series, and what it was taken under.
const SERIES: &[Column] = &[
    column("outcome", "measured, skipped, failed or wrong", Text(|row| Some(outcome(row).0.to_string()))),
    column("message", "why it was not measured", Text(|row| outcome(row).1)),
    column("validity", "VALID, SUSPECT or INVALID", Text(|row| Some(row.judged.validity.word.to_string()))),
    column("reasons", "codes of what speaks against it, by spaces", Text(reasons)),
    column(
        "time_ns",
        "nanoseconds of one execution",
        Real(|row| Some(row.judged.estimate.as_ref()?.ns.centre)),
    ),
    column(
        "time_low_ns",
        "lower end of its 95 % interval; null where starts are too few",
        Real(|row| end(row, |ns| ns.low)),
    ),
    column("time_high_ns", "upper end of it", Real(|row| end(row, |ns| ns.high))),
    column("starts", "fresh processes", Whole(|row| whole(row.judged.estimate.as_ref()?.starts))),
    column("samples", "samples", Whole(|row| whole(series(row)?.ns.len()))),
    column(
        "discarded",
        "samples taken again because they had waited for a core",
        Whole(|row| Some(series(row)?.discarded.into())),
    ),
    column("noisy", "samples kept although they had waited", Whole(|row| Some(series(row)?.noisy.into()))),
    column("stop", "settled or budget: why sampling ended", Text(|row| Some(series(row)?.stop.clone()))),
    column("latency_p50_ns", "median latency of single executions", Real(|row| latency(row, 0))),
    column("latency_p90_ns", "its 90th percentile", Real(|row| latency(row, 1))),
    column("latency_p99_ns", "its 99th percentile", Real(|row| latency(row, 2))),
    column(
        "flops",
        "arithmetic operations of one execution, on paper",
        Whole(|row| Some(row.judged.record.work.flops)),
    ),
    column(
        "bytes_read",
        "bytes that one execution must read, on paper",
        Whole(|row| Some(row.judged.record.work.bytes_read)),
    ),
    column(
        "bytes_written",
        "bytes that it must write",
        Whole(|row| Some(row.judged.record.work.bytes_written)),
    ),
    column("yield_unit", "what an execution yields", Text(|row| Some(row.judged.record.yields.unit.clone()))),
    column("yield_amount", "how many of them", Real(|row| Some(row.judged.record.yields.amount))),
    column("probe", "ceiling that was measured beside the samples", Text(|row| word(&series(row)?.probe?))),
    column(
        "probe_rate_per_s",
        "its median rate, in operations or bytes a second",
        Real(|row| probe_rate(series(row)?)),
    ),
    column(
        "memory_peak_bytes",
        "high-water mark of a fresh process over its baseline",
        Whole(|row| Some(row.judged.record.memory.value()?.peak)),
    ),
    column("energy_j", "joules of one execution", Real(|row| row.judged.record.energy_j.value().copied())),
    column(
        "error_share",
        "largest error over the allowed one; null where it is not finite",
        Real(|row| Some(row.judged.record.verification.as_ref()?.worst)),
    ),
    column("quick", "short windows were asked for", Flag(|row| Some(row.judged.record.quick))),
    column(
        "interleaved",
        "in turns with the group's other contenders",
        Flag(|row| Some(row.judged.record.interleaved)),
    ),
    column("device", "cpu, gpu, software_gpu or null", Text(|row| word(&row.judged.record.device?))),
    column(
        "library",
        "name of the library or device",
        Text(|row| Some(row.judged.record.identity.as_ref()?.name.clone())),
    ),
    column(
        "library_version",
        "its version",
        Text(|row| Some(row.judged.record.identity.as_ref()?.version.clone())),
    ),
    column("format", "version of the record's format", Text(|row| Some(row.judged.record.schema.clone()))),
];

/// One sample.
const SAMPLES: &[Column] = &[
    column(
        "start",
        "fresh process, from 0",
        Whole(|row| Some((*series(row)?.start.get(row.sample)?).into())),
    ),
    column(
        "round",
        "interleaved pass, from 0",
        Whole(|row| Some((*series(row)?.round.get(row.sample)?).into())),
    ),
    column("iters", "executions in the sample", Whole(iters)),
    column("ns", "nanoseconds of one execution", Real(|row| series(row)?.ns.get(row.sample).copied())),
    column(
        "run_delay_ns",
        "waited for a core, by all threads together",
        Whole(|row| series(row)?.run_delay_ns.get(row.sample).copied()),
    ),
    column(
        "steal_ns",
        "taken by the hypervisor",
        Whole(|row| series(row)?.steal_ns.get(row.sample).copied()),
    ),
    column(
        "probe_rate_per_s",
        "rate of the probe just before; null where it did not run",
        Real(|row| ran(*series(row)?.probe_rate.get(row.sample)?)),
    ),
];

fn series<'a>(row: &Row<'a>) -> Option<&'a Series> {
    row.judged.series
}

fn whole(count: usize) -> Option<u64> {
    u64::try_from(count).ok()
}

/// A unit variant as JSON names it.
fn word(value: &impl Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_string)
}

fn point(row: &Row) -> String {
    let settings = row.judged.record.point.iter().map(|(axis, value)| format!("{axis}={value}"));
    settings.collect::<Vec<_>>().join(" ")
}

fn processor(row: &Row) -> Option<String> {
    let name = row.judged.run.host.as_ref()?.pointer("/facts/cpu/model/value")?;
    name.as_str().map(str::to_string)
}

fn outcome(row: &Row) -> (&'static str, Option<String>) {
    match &row.judged.record.outcome {
        Outcome::Measured => ("measured", None),
        Outcome::Skipped { reason } => ("skipped", Some(reason.clone())),
        Outcome::Failed { kind, message } => ("failed", Some(format!("{kind}: {message}"))),
        Outcome::Wrong { message } => ("wrong", Some(message.clone())),
    }
}

fn reasons(row: &Row) -> Option<String> {
    let codes: Vec<String> = row.judged.validity.reasons.iter().map(|reason| reason.code.name()).collect();
    (!codes.is_empty()).then(|| codes.join(" "))
}

/// An end of the interval; none where it has no ends.
fn end(row: &Row, of: fn(&cutgpu::compare::Interval) -> f64) -> Option<f64> {
    let ns = row.judged.estimate.as_ref()?.ns;
    (ns.low > 0.0 && ns.high.is_finite()).then(|| of(&ns))
}

fn latency(row: &Row, which: usize) -> Option<f64> {
    series(row)?.latency_ns.map(|latency| latency[which])
}

fn iters(row: &Row) -> Option<u64> {
    let series = series(row)?;
    let start = *series.start.get(row.sample)?;
    series.iters.get(start as usize).copied()
}

/// A rate; none where the probe did not run.
fn ran(rate: f64) -> Option<f64> {
    (rate > 0.0).then_some(rate)
}

fn probe_rate(series: &Series) -> Option<f64> {
    let mut rates: Vec<f64> = series.probe_rate.iter().copied().filter_map(ran).collect();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied()
}

/// Milliseconds since 1970 of `2026-11-23T12:00:00Z`.
fn millis(started: &str) -> Option<i64> {
    let (day, time) = started.strip_suffix('Z')?.split_once('T')?;
    let mut parts = time.splitn(3, ':');
    let mut next = || parts.next()?.parse::<f64>().ok().filter(|part| (0.0..61.0).contains(part));
    let seconds = next()? * 3600.0 + next()? * 60.0 + next()?;
    Some(Date::parse(day).ok()?.first_day() * 86_400_000 + (seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct_lower_case_and_explained() {
        for columns in [of_series(), of_samples()] {
            let names: BTreeSet<&str> = columns.iter().map(|column| column.name).collect();
            assert_eq!(names.len(), columns.len());
            let plain =
                |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            assert!(columns.iter().all(|column| plain(column.name) && !column.about.is_empty()));
        }
    }

    #[test]
    fn moments_count_from_1970() {
        for (text, want) in [
            ("2000-01-01T00:00:00Z", Some(946_684_800_000)),
            ("2026-11-23T12:34:56.5Z", Some(1_795_437_296_500)),
            ("2026-11-23", None),
            ("2026-11-23T12:00Z", None),
            ("2026-13-23T12:00:00Z", None),
            ("2026-11-23T99:00:00Z", None),
        ] {
            assert_eq!(millis(text), want, "{text}");
        }
    }
}
