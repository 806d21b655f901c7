//! `cutgpu export` and `cutgpu import`: other tools' formats.

use super::exit;
use super::table::table;
use crate::catalog::{Catalog, Price, check};
use crate::date::Date;
use crate::exchange::{self, Foreign, Offers};
use crate::host::plain;
use crate::record;
use crate::units::significant;
use anyhow::Context;
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

/// Arguments of `cutgpu export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cutgpu export runs/quick --format bencher > bmf.json\n  \
    cutgpu export runs/quick --format github-action > benchmark.json\n  \
    cutgpu export runs/quick --format csv > samples.csv")]
pub(super) struct ExportArgs {
    /// A folder that `cutgpu run` made, or its run.jsonl.
    run: PathBuf,
    /// What to write to stdout.
    #[arg(long, value_enum)]
    format: Ours,
}

/// Formats that are written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Ours {
    /// One row a sample.
    Csv,
    /// Bencher's metric format: times with the ends of their intervals.
    Bencher,
    /// github-action-benchmark, customSmallerIsBetter.
    GithubAction,
}

/// Arguments of `cutgpu import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is imported is shown with the tool that measured it and enters no run and no ranking.\n\n\
    Examples:\n  cutgpu import bench.json --format llama-bench\n  \
    cutgpu import vms.csv --format skypilot --source lambda --date 2026-11-20 --json"
)]
pub(super) struct ImportArgs {
    /// A file of another tool.
    file: PathBuf,
    /// Which tool's.
    #[arg(long, value_enum)]
    format: Theirs,
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
enum Theirs {
    /// llama.cpp's llama-bench, `-o json` or `-o jsonl`.
    LlamaBench,
    /// PyTorch's benchmark database.
    Pytorch,
    /// NVIDIA's nvbench, `--json`.
    Nvbench,
    /// A price catalogue of SkyPilot.
    Skypilot,
}

/// Writes a run in another format.
pub(super) fn export(args: &ExportArgs) -> anyhow::Result<u8> {
    let run = record::read(&args.run).with_context(|| "cannot export")?;
    for line in &run.rejected {
        eprintln!("{}, line {}, is left out: {}", args.run.display(), line.line, plain(&line.why));
    }
    let mut out = std::io::stdout().lock();
    match args.format {
        Ours::Csv => record::csv(&run.records, &mut out)?,
        Ours::Bencher => writeln!(out, "{:#}", exchange::bencher(&run.records))?,
        Ours::GithubAction => writeln!(out, "{:#}", exchange::github_action(&run.records))?,
    }
    Ok(exit::OK)
}

/// Shows what a file of another tool holds.
pub(super) fn import(args: &ImportArgs) -> anyhow::Result<u8> {
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    let rows = match args.format {
        Theirs::LlamaBench => exchange::llama_bench(&text)?,
        Theirs::Pytorch => exchange::pytorch(&text)?,
        Theirs::Nvbench => exchange::nvbench(&text)?,
        Theirs::Skypilot => return offers(&text, args),
    };
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{:#}", json!(rows))?,
        false => writeln!(out, "{}", measurements(&rows))?,
    }
    Ok(exit::OK)
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
fn offers(text: &str, args: &ImportArgs) -> anyhow::Result<u8> {
    let date = args.date.unwrap_or_else(Date::today);
    let Offers { prices, rejected } =
        exchange::skypilot(text, args.source.as_deref().unwrap_or_default(), date)?;
    for (line, why) in &rejected {
        eprintln!("{}, line {line}, is left out: {}", args.file.display(), plain(why));
    }
    let mut catalog = Catalog::embedded()?;
    let before = check(&catalog, date);
    catalog.prices.extend(prices.clone());
    let found: Vec<_> =
        check(&catalog, date).into_iter().filter(|finding| !before.contains(finding)).collect();
    for finding in &found {
        eprintln!("{}: {}", plain(&finding.subject), plain(&finding.message));
    }
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{:#}", json!({ "prices": prices, "left_out": rejected.len() }))?,
        false => writeln!(out, "{}", rents(&prices))?,
    }
    let wrong = found.iter().any(|finding| finding.severity == crate::catalog::Severity::Error);
    Ok(if wrong { exit::FAILED } else { exit::OK })
}

fn rents(prices: &[Price]) -> comfy_table::Table {
    let mut drawn = table(&["device", "$/h each", "kind", "region", "source"]);
    for price in prices {
        let amount = price.each().to_string();
        drawn.add_row(
            [price.device.as_str(), &amount, price.kind.label(), &price.region, &price.source].map(plain),
        );
    }
    drawn
}
