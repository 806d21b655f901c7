//! All rows of the page as a table for spreadsheets; raw samples are in the run itself.

use super::model::{Empty, Model, Row};
use super::text;
use crate::compare::Interval;
use std::io::{self, Write};

const COLUMNS: [&str; 24] = [
    "machine",
    "group",
    "case",
    "point",
    "contender",
    "clock",
    "ns",
    "ns_low",
    "ns_high",
    "rate",
    "rate_unit",
    "share_of_peak",
    "share_low",
    "share_high",
    "speedup",
    "speedup_low",
    "speedup_high",
    "starts",
    "samples",
    "p50_ns",
    "p99_ns",
    "validity",
    "reasons",
    "command",
];

/// Writes a header, one row a timed series, and one row a cell without a number.
pub fn csv(model: &Model, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))?;
    let machine = |number: usize| model.machines.get(number).map_or("", |machine| machine.name.as_str());
    for row in &model.rows {
        writeln!(out, "{}", line(&timed(row, machine(row.machine))))?;
    }
    for empty in &model.empties {
        writeln!(out, "{}", line(&untimed(empty, machine(empty.machine))))?;
    }
    Ok(())
}

fn timed(row: &Row, machine: &str) -> Vec<String> {
    let reasons: Vec<String> = row
        .validity
        .reasons
        .iter()
        .map(|reason| format!("{}: {}", reason.code.name(), reason.sentence))
        .collect();
    let latency = |place: usize| row.latency.map_or(String::new(), |latency| number(latency[place]));
    let mut fields: Vec<String> =
        vec![machine.into(), row.group.clone(), row.case.clone(), row.point.clone()];
    fields.extend([row.contender.to_string(), text::conditions(row.kind).join(" ")]);
    fields.extend(interval(Some(row.time)));
    fields.extend([number(row.rate.value.centre), row.rate.unit.to_string()]);
    fields.extend(interval(row.share));
    fields.extend(interval(row.speedup));
    fields.extend([row.counts.0.to_string(), row.counts.1.to_string(), latency(0), latency(2)]);
    fields.extend([row.validity.word.to_string(), reasons.join("; "), row.command.clone()]);
    fields
}

fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:.6e}") } else { String::new() }
}

/// Centre and ends; empty where there are none.
pub(super) fn interval(interval: Option<Interval>) -> [String; 3] {
    let ends = interval.as_ref().and_then(text::ends);
    let of = |value: Option<f64>| value.map_or(String::new(), number);
    [of(interval.map(|interval| interval.centre)), of(ends.map(|ends| ends.0)), of(ends.map(|ends| ends.1))]
}

fn untimed(empty: &Empty, machine: &str) -> Vec<String> {
    let mut fields = vec![String::new(); COLUMNS.len()];
    let named = [machine, &empty.group, &empty.case, &empty.point, &empty.contender.to_string()];
    for (field, text) in fields.iter_mut().zip(named) {
        *field = text.to_string();
    }
    fields[COLUMNS.len() - 3] = empty.outcome.to_string();
    fields[COLUMNS.len() - 2] = empty.reason.clone();
    fields
}

/// A row.
pub(super) fn line(fields: &[String]) -> String {
    fields.iter().map(|text| crate::record::field(text)).collect::<Vec<_>>().join(",")
}
