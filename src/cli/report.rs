//! `cutgpu report`: draws the page from one or more runs.

use super::market::Market;
use super::{exit, runs};
use crate::host::plain;
use crate::report::model::{MachinePrice, Model, Options, build};
use crate::report::{Destination, Written, write};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `cutgpu report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: cutgpu report runs/quick --machine-price 0.09/h --baseline cpu/openblas")]
pub(super) struct Args {
    /// Folders of runs, their run.jsonl, or archives of them (.tar.gz); several are shown together.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Folder of the page; `report` inside the first run by default.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder of the charts; that of the page by default.
    #[arg(long, value_name = "DIR")]
    charts: Option<PathBuf>,
    /// Leave out the PNG pictures.
    #[arg(long)]
    no_png: bool,
    #[command(flatten)]
    market: Market,
    /// What this machine costs in US dollars: 1500 bought, 0.25/h rented.
    #[arg(long, value_name = "USD", value_parser = MachinePrice::parse)]
    machine_price: Option<MachinePrice>,
    /// What speed-ups are over: a backend (cpu/openblas), perhaps with its lane (cpu/openblas:t2).
    #[arg(long, value_name = "CONTENDER")]
    baseline: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Draws the page.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let catalog = args.market.catalog()?;
    let runs = runs::read(&args.runs, "cannot report")?;
    let options = Options {
        baseline: args.baseline.clone(),
        machine_price: args.machine_price,
        as_of: args.market.as_of,
    };
    let model = build(&runs, &catalog, &options);
    if let Some(baseline) = args.baseline.as_deref().filter(|name| !is_known(&model, name)) {
        anyhow::bail!(
            "no timed cell is of `{}`: name a contender of the table, such as cpu/openblas or cpu/openblas:t2",
            plain(baseline)
        );
    }
    let written = write(&model, &destination(args))?;
    drop(runs);
    print(&model, &written, args.json)?;
    Ok(exit::OK)
}

fn is_known(model: &Model, baseline: &str) -> bool {
    let named = |row: &crate::report::model::Row| {
        row.contender.backend == baseline || row.contender.to_string() == baseline
    };
    model.rows.iter().any(named)
}

/// Beside the first run unless the user names a folder.
fn destination(args: &Args) -> Destination {
    let beside = args.runs.first().map(|run| match run.is_dir() {
        true => run.join("report"),
        false => run.with_file_name("report"),
    });
    let page = args.out.clone().or(beside).unwrap_or_else(|| PathBuf::from("report"));
    let charts = args.charts.clone().unwrap_or_else(|| page.clone());
    Destination { page, charts, png: !args.no_png }
}

fn print(model: &Model, written: &Written, as_json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let headline = &model.headline;
    if as_json {
        let tally = model.tally;
        let figures: Vec<_> = headline
            .figures
            .iter()
            .map(|figure| json!({ "value": figure.value, "label": figure.label, "note": figure.note }))
            .collect();
        let value = json!({
            "answer": headline.answer, "beside": headline.beside, "figures": figures,
            "cells": {
                "all": tally.cells, "valid": tally.valid, "suspect": tally.suspect, "invalid": tally.invalid,
                "skipped": tally.skipped, "failed": tally.failed, "wrong": tally.wrong,
            },
            "page": written.page, "files": written.files,
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?;
        return Ok(());
    }
    writeln!(out, "{}", plain(&headline.answer))?;
    for sentence in &headline.beside {
        writeln!(out, "{}", plain(sentence))?;
    }
    writeln!(out, "page: {}", written.page.display())?;
    Ok(())
}
