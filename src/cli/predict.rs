//! `cutgpu predict`: how far predicted times are off where they were not fitted.

use super::table::table;
use super::{advise, exit};
use crate::advise::predict::{Held, MACHINES, Split, Splits, machines, splits};
use crate::host::plain;
use crate::units::{Nanos, significant};
use anyhow::bail;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// Cells of each split that are off the most.
const WORST: usize = 5;

/// Arguments of `cutgpu predict`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Cells are left out by size, by workload and by machine, and guessed by what is left; what was \
                        fitted is frozen before. INVALID cells count nowhere.\n\n\
                        Example: cutgpu predict results/*"
)]
pub(super) struct Args {
    /// Folders of runs, or their run.jsonl; runs/quick where it is there.
    #[arg(value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Show every cell, not only the worst.
    #[arg(long)]
    all: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Predicts and compares.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let runs = advise::runs(&args.runs)?;
    let Some(splits) = splits(&runs) else {
        bail!("no run measured an op alone on a processor: name runs, or make one by `make bench`");
    };
    let machines = machines(&runs).len();
    let text = match args.json {
        true => {
            let each: Vec<_> = splits.iter().map(|split| summary(split, machines)).collect();
            format!("{:#}\n", json!({ "machines": machines, "splits": each }))
        }
        false => page(&splits, machines, args.all),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(exit::OK)
}

/// Whether a split says nothing for want of machines.
fn is_absent(split: &Splits, machines: usize) -> bool {
    split.split == Split::Machine && machines < MACHINES
}

fn summary(split: &Splits, machines: usize) -> serde_json::Value {
    json!({
        "split": split.split, "absent": is_absent(split, machines), "cells": split.cells,
        "median": split.median(), "p90": split.p90(),
        "constant_share_median": split.constant(), "constant_time_median": split.constant_time(),
    })
}

fn page(splits: &[Splits], machines: usize, all: bool) -> String {
    let header = [
        "left out",
        "cells",
        "median error",
        "nine of ten within",
        "constant share of the roof",
        "constant time",
    ];
    let mut drawn = table(&header);
    for split in splits {
        let percent = |share: f64| {
            if share.is_finite() { format!("{} %", significant(share * 100.0, 3)) } else { "-".to_string() }
        };
        drawn.add_row([
            split.split.label().to_string(),
            split.cells.len().to_string(),
            percent(split.median()),
            percent(split.p90()),
            percent(split.constant()),
            percent(split.constant_time()),
        ]);
    }
    let mut text = format!(
        "absolute errors of predicted times over measured ones; a constant is the geometric mean of the cells that were \
         not left out: of their shares of the roof, or of their times\n{drawn}\n"
    );
    for split in splits {
        let _ = writeln!(text, "\n{}{}", split.split.label(), if all { "" } else { ", the worst" });
        if is_absent(split, machines) {
            let _ = writeln!(
                text,
                "  absent: these runs are of {machines} machine{}, and {MACHINES} are needed; the row above is what \
                 {} say of each other",
                if machines == 1 { "" } else { "s" },
                if machines == 1 { "none" } else { "they" }
            );
        }
        let mut cells: Vec<&Held> = split.cells.iter().collect();
        cells.sort_by(|a, b| b.error().total_cmp(&a.error()));
        for held in cells.iter().take(if all { usize::MAX } else { WORST }) {
            let _ = writeln!(text, "  {}", line(held));
        }
    }
    text
}

fn line(held: &Held) -> String {
    format!(
        "{} with {}: {} predicted, {} measured, {:+.1} %",
        plain(&held.subject),
        plain(&held.contender),
        Nanos::from_seconds(held.predicted),
        Nanos::from_seconds(held.seconds),
        (held.predicted / held.seconds - 1.0) * 100.0
    )
}
