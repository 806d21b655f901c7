//! `cutgpu export`: a run in other tools' formats.

use super::{exit, runs};
use crate::exchange;
use crate::record::{self, Run};
use std::io::Write as _;
use std::path::PathBuf;

/// Arguments of `cutgpu export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Parquet, for DuckDB and pandas, is written by `make parquet RUNS=runs/quick` in a clone of this \
    repository.\n\n\
    Examples:\n  cutgpu export runs/quick --format bencher > bmf.json\n  \
    cutgpu export runs/quick --format github-action > benchmark.json\n  \
    cutgpu export runs/quick --format csv > samples.csv"
)]
pub(super) struct Args {
    /// A folder that `cutgpu run` made, its run.jsonl, or an archive of it (.tar.gz).
    run: PathBuf,
    /// What to write to stdout.
    #[arg(long, value_enum)]
    format: Format,
}

/// Formats that are written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// One row a sample.
    Csv,
    /// Bencher's metric format: times with the ends of their intervals.
    Bencher,
    /// github-action-benchmark, customSmallerIsBetter.
    GithubAction,
}

/// Writes a run in another format.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let run = Run::merge(runs::read(&[&args.run], "cannot export")?);
    let mut out = std::io::stdout().lock();
    match args.format {
        Format::Csv => record::csv(&run.records, &mut out)?,
        Format::Bencher => writeln!(out, "{:#}", exchange::bencher(&run.records))?,
        Format::GithubAction => writeln!(out, "{:#}", exchange::github_action(&run.records))?,
    }
    Ok(exit::OK)
}
