//! Writes runs of cutgpu as one Parquet file: a row a series, or a row a sample.

mod columns;
mod judged;
mod table;
#[cfg(test)]
mod tests;

use anyhow::Context as _;
use clap::Parser;
use columns::Column;
use cutgpu::host::plain;
use cutgpu::record::{self, Gathered};
use judged::{Judged, Row};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Writes runs of cutgpu as Parquet.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Examples:\n  export-parquet runs/quick seven.tar.gz --out fleet.parquet\n  \
    export-parquet runs/quick --samples --out samples.parquet\n  \
    duckdb -c \"SELECT machine, backend, min(time_ns) FROM 'fleet.parquet' GROUP BY ALL\""
)]
struct Cli {
    /// Folders of runs, their run.jsonl, or archives of them (.tar.gz).
    #[arg(required_unless_present = "columns", value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The file to write.
    #[arg(long, value_name = "FILE", required_unless_present = "columns")]
    out: Option<PathBuf>,
    /// One row a sample instead of one a series.
    #[arg(long)]
    samples: bool,
    /// Print what the columns are, and write nothing.
    #[arg(long)]
    columns: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("export-parquet: {}", plain(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let columns: Vec<&Column> = if cli.samples { columns::of_samples() } else { columns::of_series() };
    let Some(out) = cli.out.as_ref().filter(|_| !cli.columns) else {
        return print(&columns);
    };
    let Gathered { runs, remarks } = record::gather(&cli.runs)?;
    for remark in remarks {
        eprintln!("export-parquet: {}", plain(&remark));
    }
    let judged: Vec<Judged> = runs.iter().flat_map(judged::judged).collect();
    let rows: Vec<Row> = match cli.samples {
        true => judged.iter().flat_map(judged::samples).collect(),
        false => judged.iter().map(|judged| Row { judged, sample: 0 }).collect(),
    };
    let place = || format!("cannot write {}: choose another place with --out", out.display());
    let file = File::create(out).with_context(place)?;
    table::write(&columns, &rows, file).with_context(place)?;
    eprintln!("{}: {} rows of {} columns", out.display(), rows.len(), columns.len());
    Ok(())
}

fn print(columns: &[&Column]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for column in columns {
        writeln!(out, "{:<22} {:<10} {}", column.name, column.value.kind(), column.about)?;
    }
    Ok(())
}
