//! `cutgpu import`: what another machine's run holds, or another tool's file.

use super::table::table;
use super::{exit, runs};
use crate::catalog::{Catalog, Price, Severity, check};
use crate::date::Date;
use crate::exchange::{self, Foreign, Offers};
use crate::host::plain;
use crate::record::{self, Outcome, Record, Run};
use crate::units::significant;
use anyhow::Context;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Arguments of `cutgpu import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Runs of other machines need no import: report, compare, claims and export read their folders and \
    archives as they are. This says whether they arrived whole.\n\
    What other tools measured is shown with the tool's name and enters no run and no ranking.\n\n\
    Examples:\n  cutgpu import seven.tar.gz eight.tar.gz\n  \
    cutgpu import bench.json --format llama-bench\n  \
    cutgpu import vms.csv --format skypilot --source lambda --date 2026-11-20 --json"
)]
pub(super) struct Args {
    /// Folders or archives (.tar.gz) of runs; files of another tool with --format.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What wrote them.
    #[arg(long, value_enum, default_value = "cutgpu")]
    format: Format,
    /// Whose prices they are: the cloud of a SkyPilot catalogue.
    #[arg(long, value_name = "NAME", required_if_eq("format", "skypilot"))]
    source: Option<String>,
    /// The day of the prices: a SkyPilot catalogue does not say it.
    #[arg(long, value_name = "DATE", value_parser = Date::parse, required_if_eq("format", "skypilot"))]
    date: Option<Date>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Formats that are read.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// This program on another machine.
    Cutgpu,
    /// llama.cpp's llama-bench, `-o json` or `-o jsonl`.
    LlamaBench,
    /// PyTorch's benchmark database.
    Pytorch,
    /// NVIDIA's nvbench, `--json`.
    Nvbench,
    /// A price catalogue of SkyPilot.
    Skypilot,
}

/// Shows what the files hold.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let read: fn(&str) -> Result<Vec<Foreign>, exchange::ExchangeError> = match args.format {
        Format::Cutgpu => return ours(args),
        Format::Skypilot => return offers(args),
        Format::LlamaBench => exchange::llama_bench,
        Format::Pytorch => exchange::pytorch,
        Format::Nvbench => exchange::nvbench,
    };
    let mut rows = Vec::new();
    for file in &args.files {
        rows.extend(read(&text(file)?).with_context(|| file.display().to_string())?);
    }
    for doubt in exchange::fell_back(&rows, &Catalog::embedded()?) {
        eprintln!("{}: {}", plain(&doubt.subject), plain(&doubt.message));
    }
    if rows.is_empty() {
        eprintln!("cutgpu: nothing was measured in what was named");
    }
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{:#}", json!(rows))?,
        false => writeln!(out, "{}", measurements(&rows))?,
    }
    Ok(exit::OK)
}

fn text(file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    String::from_utf8(bytes)
        .with_context(|| format!("{} is no text: unpack it first if it is packed", file.display()))
}

/// Runs of this program: each by itself, so that one that is damaged does not hide the others; exit 1 where one is.
fn ours(args: &Args) -> anyhow::Result<u8> {
    let (mut whole, mut broken) = (Vec::new(), false);
    for file in &args.files {
        match record::read(file) {
            Ok(_) => whole.push(file),
            Err(error) => {
                broken = true;
                eprintln!("cutgpu: {}", plain(&error.to_string()));
            }
        }
    }
    let runs = runs::read(&whole, "cannot import")?;
    let rows: Vec<Value> = runs.iter().map(arrived).collect();
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{:#}", json!(rows))?,
        false => writeln!(out, "{}", arrivals(&rows))?,
    }
    Ok(if broken { exit::FAILED } else { exit::OK })
}

/// What a run holds.
fn arrived(run: &Run) -> Value {
    let count = |is: fn(&Outcome) -> bool| run.records.iter().filter(|record| is(&record.outcome)).count();
    let each = |fact: fn(&Record) -> &str| run.records.iter().map(fact).collect::<BTreeSet<_>>();
    let fact = |path: &str| run.host.as_ref().and_then(|host| host.pointer(path).cloned());
    json!({
        "run": run.name,
        "machines": each(|record| &record.host),
        "processor": fact("/facts/cpu/model/value"),
        "cores": fact("/facts/cpu/allowed"),
        "cells": {
            "measured": count(|outcome| *outcome == Outcome::Measured),
            "skipped": count(|outcome| matches!(outcome, Outcome::Skipped { .. })),
            "failed": count(|outcome| matches!(outcome, Outcome::Failed { .. })),
            "wrong": count(|outcome| matches!(outcome, Outcome::Wrong { .. })),
        },
        "lines_left_out": run.rejected.len(),
        "formats": each(|record| &record.schema),
        "builds": each(|record| &record.build),
        "from": run.span.as_ref().map(|span| &span.0),
        "to": run.span.as_ref().map(|span| &span.1),
    })
}

fn arrivals(rows: &[Value]) -> comfy_table::Table {
    let mut drawn =
        table(&["run", "machine", "processor", "measured", "skipped", "failed", "wrong", "format", "from"]);
    let shown = |value: &Value| match value {
        Value::String(text) => plain(text),
        Value::Array(items) => plain(&items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")),
        Value::Null => "-".to_string(),
        other => other.to_string(),
    };
    for row in rows {
        let cells = &row["cells"];
        let columns = [
            &row["run"],
            &row["machines"],
            &row["processor"],
            &cells["measured"],
            &cells["skipped"],
            &cells["failed"],
            &cells["wrong"],
            &row["formats"],
            &row["from"],
        ];
        drawn.add_row(columns.map(shown));
    }
    drawn
}

fn measurements(rows: &[Foreign]) -> comfy_table::Table {
    let mut drawn = table(&["tool", "name", "device", "settings", "middle", "unit", "values"]);
    for row in rows {
        let settings: Vec<String> =
            row.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let settings = settings.join(" ");
        let mut sorted = row.values.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.get(sorted.len() / 2).map(|value| significant(*value, 4));
        let shown = middle.or_else(|| row.skipped.clone()).unwrap_or_default();
        let cells = [row.tool, row.name.as_str(), &row.device, &settings, &shown, &row.unit];
        drawn.add_row(cells.into_iter().map(plain).chain([row.values.len().to_string()]));
    }
    drawn
}

/// Prices with what the catalogue's rules say of them; exit 1 where one is an error.
fn offers(args: &Args) -> anyhow::Result<u8> {
    let date = args.date.unwrap_or_else(Date::today);
    let mut all = Offers::default();
    for file in &args.files {
        let Offers { prices, rejected } =
            exchange::skypilot(&text(file)?, args.source.as_deref().unwrap_or_default(), date)
                .with_context(|| file.display().to_string())?;
        for (line, why) in &rejected {
            eprintln!("{}, line {line}, is left out: {}", file.display(), plain(why));
        }
        all.prices.extend(prices);
        all.rejected.extend(rejected);
    }
    let Offers { prices, rejected } = all;
    let mut catalog = Catalog::embedded()?;
    // Judged on today: a price of a day that has not come is found so.
    let before = check(&catalog, Date::today());
    catalog.prices.extend(prices.clone());
    let found: Vec<_> =
        check(&catalog, Date::today()).into_iter().filter(|finding| !before.contains(finding)).collect();
    for finding in &found {
        eprintln!("{}: {}", plain(&finding.subject), plain(&finding.message));
    }
    let stale = prices.iter().filter(|price| price.is_stale(Date::today())).count();
    if stale > 0 {
        eprintln!("{stale} of {} prices are stale: they are of {date}", prices.len());
    }
    let mut out = std::io::stdout().lock();
    match args.json {
        true => {
            writeln!(out, "{:#}", json!({ "prices": prices, "left_out": rejected.len(), "stale": stale }))?
        }
        false => writeln!(out, "{}", rents(&prices))?,
    }
    let wrong = found.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if wrong { exit::FAILED } else { exit::OK })
}

fn rents(prices: &[Price]) -> comfy_table::Table {
    let mut drawn = table(&["device", "$/h each", "kind", "region", "source", "note"]);
    for price in prices {
        let amount = price.each().to_string();
        let Price { device, kind, region, source, note, .. } = price;
        drawn.add_row([device.as_str(), &amount, kind.label(), region, source, note].map(plain));
    }
    drawn
}
