//! `cutgpu claims`: the article's claims with their findings.

use super::table::table;
use super::{exit, prices};
use crate::claims::{BASELINES, Judgement, Promise, Row, Side, judge, matrix};
use crate::compare::Interval;
use crate::date::Date;
use crate::host::plain;
use crate::units::significant;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// Arguments of `cutgpu claims`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each claim is REPRODUCED, PARTIAL, BASELINE-DEPENDENT, NOT REPRODUCED or NOT TESTABLE HERE, by \
    the whole interval of what was measured over its own baseline and over an honest one.\n\n\
    Examples:\n  cutgpu claims runs/quick\n  cutgpu claims runs/peers runs/gpu --json\n  \
    cutgpu claims runs/gpu --matrix"
)]
pub(super) struct Args {
    /// Folders of runs, or their run.jsonl; without any only prices are judged.
    #[arg(value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Spread out the claim of 200 times: operation, size, precision and clock, over three baselines.
    #[arg(long)]
    matrix: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Prices of your own (TOML, as in catalog/prices.toml), in addition.
    #[arg(long, value_name = "FILE")]
    prices: Vec<PathBuf>,
    /// Devices of your own (TOML, as in catalog/devices.toml), in addition.
    #[arg(long, value_name = "FILE")]
    devices: Vec<PathBuf>,
    /// The day that prices are judged on; later ones do not exist yet.
    #[arg(long, value_name = "DATE", value_parser = Date::parse)]
    as_of: Option<Date>,
}

/// Judges the claims.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let runs = super::runs::read(&args.runs, "cannot judge claims")?;
    let text = if args.matrix {
        let rows = matrix(&runs);
        if rows.is_empty() {
            anyhow::bail!("no run that was named has an operation beside a baseline: run `cutgpu run quick`");
        }
        if args.json {
            format!("{:#}\n", json!({ "baselines": BASELINES, "rows": rows }))
        } else {
            spread(&rows)
        }
    } else {
        let day = args.as_of.unwrap_or_else(Date::today);
        let judgements = judge(&runs, &prices::load_catalog(&args.devices, &args.prices)?, day);
        if args.json {
            format!("{:#}\n", json!({ "as_of": day, "claims": judgements }))
        } else {
            page(&judgements)
        }
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(exit::OK)
}

/// The findings as a table, then what each rests on.
fn page(judgements: &[Judgement]) -> String {
    let mut rows = table(&["claim", "finding", "claimed", "over its own baseline", "over an honest one"]);
    for claim in judgements {
        rows.add_row([
            claim.id.to_string(),
            claim.finding.to_string(),
            promised(&claim.promise),
            measured(&claim.own),
            measured(&claim.honest),
        ]);
    }
    let mut text = format!("{rows}\n");
    for claim in judgements {
        let _ = writeln!(text, "\n{}  {}: {}", claim.id, claim.finding, claim.sentence);
        let _ = writeln!(text, "    source    {}", claim.source);
        for (name, side) in [("own", &claim.own), ("honest", &claim.honest)] {
            let _ = writeln!(text, "    {name:<9} {}: {}", side.baseline, shown(side));
        }
        if let Some(reason) = &claim.reason {
            let _ = writeln!(text, "    note      {}", plain(reason));
        }
    }
    text
}

fn promised(promise: &Promise) -> String {
    format!("{} {}", promise.factor, promise.unit)
}

/// A ratio with its interval.
fn interval(ratio: &Interval) -> String {
    let number = |value: f64| if value.is_finite() { significant(value, 3) } else { "?".to_string() };
    match ratio.low == ratio.high {
        true => number(ratio.centre),
        false => format!("{} ({} to {})", number(ratio.centre), number(ratio.low), number(ratio.high)),
    }
}

/// With a mark where the cell that counts is SUSPECT.
fn measured(side: &Side) -> String {
    side.ratio.as_ref().map_or("-".to_string(), interval) + mark(side)
}

fn mark(side: &Side) -> &'static str {
    if side.cell.as_ref().is_some_and(|cell| cell.suspect) { " SUSPECT" } else { "" }
}

/// A side with the cell that it rests on.
fn shown(side: &Side) -> String {
    let Some(ratio) = &side.ratio else { return "not measured".to_string() };
    let Some(cell) = &side.cell else { return interval(ratio) };
    let range = side.range.map_or(String::new(), |(low, high)| match side.cells {
        1 => String::new(),
        cells => format!("; {cells} cells from {} to {}", significant(low, 3), significant(high, 3)),
    });
    format!(
        "{}{}, {} over {} at {} of {}{range}",
        interval(ratio),
        mark(side),
        plain(&cell.subject),
        plain(&cell.baseline),
        plain(&cell.group),
        plain(&cell.run)
    )
}

/// The matrix as a table.
fn spread(rows: &[Row]) -> String {
    let header = [&["op", "size", "subject", "precision", "clock"][..], &BASELINES].concat();
    let mut drawn = table(&header);
    for row in rows {
        let scope = serde_json::to_value(row.scope).unwrap_or_default();
        let fixed = [
            row.op.clone(),
            plain(&row.size),
            plain(&row.subject),
            plain(&row.precision),
            scope.as_str().unwrap_or("-").replace('_', " "),
        ];
        let over =
            row.over.iter().map(|over| over.as_ref().map_or("-".to_string(), |over| interval(&over.ratio)));
        drawn.add_row(fixed.into_iter().chain(over));
    }
    let cards = rows.iter().filter(|row| row.gpu).count();
    let without = match cards {
        0 => "\nno run that was named has a graphics card: these are factors of the processor over itself",
        _ => "",
    };
    format!("times as fast, 95 % intervals\n{drawn}{without}\n")
}
