//! Records as a table: one row a sample, for spreadsheets and data frames.

use super::{Outcome, Record, Series};
use std::io::{self, Write};

/// Names of the columns.
const COLUMNS: [&str; 27] = [
    "key",
    "repeat",
    "group",
    "suite",
    "case",
    "workload",
    "point",
    "backend",
    "lane",
    "twin",
    "started",
    "build",
    "host",
    "flops",
    "bytes",
    "outcome",
    "message",
    "scope",
    "sync",
    "load",
    "temperature",
    "start",
    "round",
    "ns",
    "run_delay_ns",
    "steal_ns",
    "probe_rate",
];

/// Writes a header and one row a sample; a cell without samples has one row with its outcome.
///
/// A text that a spreadsheet would take for a formula is preceded by an apostrophe.
pub fn csv<'a>(records: impl IntoIterator<Item = &'a Record>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))?;
    for record in records {
        let head = head(record);
        if record.series.is_empty() {
            writeln!(out, "{head},,,,,,,,,,")?;
        }
        for series in &record.series {
            samples(&head, series, out)?;
        }
    }
    Ok(())
}

/// The columns that all samples of a record share.
fn head(record: &Record) -> String {
    let (outcome, message) = outcome(&record.outcome);
    let point: Vec<String> = record.point.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
    let contender = &record.contender;
    let texts = [
        field(&record.key),
        record.repeat.to_string(),
        field(&record.group),
        field(&record.suite),
        field(&record.case),
        field(&record.workload),
        field(&point.join(" ")),
        field(&contender.backend),
        field(&contender.lane.to_string()),
        contender.twin.to_string(),
        field(&record.started),
        field(&record.build),
        field(&record.host),
        record.work.flops.to_string(),
        record.work.bytes().to_string(),
        outcome.to_string(),
        field(&message),
    ];
    texts.join(",")
}

fn samples(head: &str, series: &Series, out: &mut impl Write) -> io::Result<()> {
    let kind = series.kind;
    let words = [word(&kind.scope), word(&kind.sync), word(&kind.load), word(&kind.temperature)].join(",");
    for sample in 0..series.ns.len() {
        writeln!(
            out,
            "{head},{words},{},{},{},{},{},{}",
            series.start[sample],
            series.round[sample],
            series.ns[sample],
            series.run_delay_ns[sample],
            series.steal_ns[sample],
            series.probe_rate[sample],
        )?;
    }
    Ok(())
}

fn outcome(outcome: &Outcome) -> (&'static str, String) {
    match outcome {
        Outcome::Measured => ("measured", String::new()),
        Outcome::Skipped { reason } => ("skipped", reason.clone()),
        Outcome::Failed { kind, message } => ("failed", format!("{kind}: {message}")),
        Outcome::Wrong { message } => ("wrong", message.clone()),
    }
}

/// A unit variant as JSON names it, without the quotes.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default().trim_matches('"').to_string()
}

/// A text field: inert in a spreadsheet, quoted where a comma, a quote or a control character asks for
/// it (RFC 4180).
pub fn field(text: &str) -> String {
    let formula = text.trim_start().starts_with(['=', '+', '-', '@']) || text.starts_with(['\t', '\r']);
    let inert = if formula { format!("'{text}") } else { text.to_string() };
    match inert.contains(|c: char| c == ',' || c == '"' || c == ';' || c.is_control()) {
        true => format!("\"{}\"", inert.replace('"', "\"\"")),
        false => inert,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::example;

    fn table(records: &[Record]) -> String {
        let mut out = Vec::new();
        csv(records, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_row_has_every_column() {
        let text = table(&example::every_outcome());
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows.len(), 1 + 12 + 3);
        // The group's id holds two commas inside quotes.
        for row in &rows[1..] {
            assert_eq!(row.split(',').count(), COLUMNS.len() + 2, "{row}");
        }
        assert!(rows[1].contains(",resident,batch,burst,hot,0,0,1000000,0,0,300000000000"));
    }

    #[test]
    fn text_is_inert_in_a_spreadsheet() {
        for (text, shown) in [
            ("plain", "plain"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            (" @SUM(A1)", "' @SUM(A1)"),
            ("\t=1", "\"'\t=1\""),
            ("a,b", "\"a,b\""),
            ("=\"x\"", "\"'=\"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(field(text), shown);
        }
    }
}
