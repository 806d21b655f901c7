//! What a run measured, at a glance.

use crate::cli::table::table;
use crate::compare::{self, Noise};
use crate::host::plain;
use crate::measure::evidence::{Outcome, Series};
use crate::record::Record;
use crate::units::{Nanos, si};
use comfy_table::CellAlignment;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// Prints the records: a table, or one JSON object a line.
pub(super) fn print(records: &[Record], json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        for record in records {
            writeln!(out, "{}", serde_json::to_string(record)?)?;
        }
        return Ok(());
    }
    if records.is_empty() {
        return Ok(());
    }
    let mut table = table(&["group", "contender", "time", "rate", "of peak", ""]);
    for column in 2..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let noise = Noise::of(records);
    for record in records {
        for row in rows(record, &noise) {
            table.add_row(row.map(|text| plain(&text)));
        }
    }
    if table.row_iter().next().is_some() {
        writeln!(out, "{table}")?;
    }
    for line in skipped(records) {
        writeln!(out, "{}", plain(&line))?;
    }
    Ok(())
}

/// A line for each reason why cells were skipped.
fn skipped(records: &[Record]) -> Vec<String> {
    let mut reasons: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for record in records {
        if let Outcome::Skipped { reason } = &record.outcome {
            let (count, backends) = reasons.entry(reason).or_default();
            *count += 1;
            backends.insert(&record.contender.backend);
        }
    }
    let line = |(reason, (count, backends)): (&str, (usize, BTreeSet<&str>))| {
        let backends = backends.into_iter().collect::<Vec<_>>().join(", ");
        format!("skipped {count} of {backends}: {reason}")
    };
    reasons.into_iter().map(line).collect()
}

/// One row a series; one for a cell that failed, none for one that was skipped.
fn rows(record: &Record, noise: &Noise) -> Vec<[String; 6]> {
    let (group, contender) = (record.group.clone(), record.contender.to_string());
    if matches!(record.outcome, Outcome::Skipped { .. }) {
        return Vec::new();
    }
    if record.series.is_empty() {
        let [time, rate, share] = [(); 3].map(|()| String::new());
        return vec![[group, contender, time, rate, share, outcome(&record.outcome)]];
    }
    let row = |series: &Series| {
        let time = compare::estimate_with(series, &noise.times).map(|estimate| estimate.ns.centre);
        let share = compare::share(record, series, noise);
        [
            group.clone(),
            contender.clone(),
            time.map(|ns| Nanos(ns).to_string()).unwrap_or_default(),
            time.map(|ns| rate(record, ns)).unwrap_or_default(),
            share.map(|share| format!("{:.0} %", share.centre * 100.0)).unwrap_or_default(),
            remark(record, series, noise),
        ]
    };
    record.series.iter().map(row).collect()
}

/// Arithmetic where there is more of it than of traffic, else traffic.
fn rate(record: &Record, ns: f64) -> String {
    let (flops, bytes) = (record.work.flops as f64, record.work.bytes() as f64);
    match flops > 4.0 * bytes {
        true => format!("{}FLOP/s", si(flops * 1e9 / ns)),
        false => format!("{}B/s", si(bytes * 1e9 / ns)),
    }
}

/// What kind of series it is where it is not the usual one, and what speaks against it.
fn remark(record: &Record, series: &Series, noise: &Noise) -> String {
    use crate::suite::{Load, Scope, Sync, Temperature};
    let kind = series.kind;
    let mut words = Vec::new();
    words.extend((kind.scope != Scope::Resident).then_some(match kind.scope {
        Scope::Device => "device",
        Scope::Resident | Scope::EndToEnd => "end to end",
    }));
    words.extend((kind.sync == Sync::Each).then_some("each"));
    words.extend((kind.load == Load::Sustained).then_some("sustained"));
    words.extend((kind.temperature == Temperature::Cold).then_some("cold"));
    let mut text = words.join(", ");
    let validity = compare::validity(record, Some(series), noise);
    if !validity.reasons.is_empty() {
        let codes: Vec<String> = validity.reasons.iter().map(|reason| reason.code.name()).collect();
        let sep = if text.is_empty() { "" } else { "; " };
        text = format!("{text}{sep}{}: {}", validity.word, codes.join(", "));
    }
    text
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Measured => "nothing was sampled".to_string(),
        Outcome::Skipped { reason } => format!("skipped: {reason}"),
        Outcome::Failed { kind, message } => format!("FAILED ({kind}): {message}"),
        Outcome::Wrong { message } => format!("WRONG: {message}"),
    }
}
