//! From words to requests. Data goes to stdout, everything else to stderr.

mod advise;
mod again;
mod claims;
mod compare;
mod completions;
mod doctor;
mod export;
mod fit;
mod import;
mod libraries;
mod list;
mod look;
mod market;
mod predict;
mod prices;
mod profile;
mod report;
mod run;
mod runs;
mod select;
mod signals;
mod table;
mod train_check;
mod tune;
mod verify;
mod within;
mod worker;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Exit codes, one meaning each. 2 is clap's own for a command line that makes no sense.
pub mod exit {
    /// All went well.
    pub const OK: u8 = 0;
    /// A cell failed or was wrong, or a file could not be read or written.
    pub const FAILED: u8 = 1;
    /// The request makes no sense.
    pub const USAGE: u8 = 2;
    /// `doctor` found something that must be mended first.
    pub const BLOCKED: u8 = 3;
    /// `compare` found a cell that is slower.
    pub const REGRESSION: u8 = 4;
    /// `compare` could not tell for too many cells.
    pub const UNKNOWN: u8 = 5;
    /// Interrupted; finished cells are kept.
    pub const INTERRUPTED: u8 = 130;
}

/// How much GPU does this machine-learning work really need?
#[derive(Debug, Parser)]
#[command(name = "cutgpu", version, about, max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check this machine: what can be measured, what would spoil it, how to mend that.
    Doctor(doctor::Args),
    /// Show what would run, what would be skipped and why, and how long it would take.
    List(list::Args),
    /// Measure a suite, or one workload named on the command line.
    Run(run::Args),
    /// Check every answer of a suite without timing anything.
    Verify(verify::Args),
    /// Show what a workload needs of memory, and how large it may get in how much.
    Fit(fit::Args),
    /// Show where the time of a program goes, step by step.
    Profile(profile::Args),
    /// Check that training steps train, and agree with other backends and with PyTorch.
    TrainCheck(train_check::Args),
    /// Try the forms that a GPU backend's kernels come in, and keep the best.
    Tune(tune::Args),
    /// Draw the page and its charts from one or more runs.
    Report(report::Args),
    /// Call each cell of two runs FASTER, SLOWER, SAME or CANNOT TELL.
    Compare(compare::Args),
    /// Try the article's claims by the runs and prices at hand.
    Claims(claims::Args),
    /// Say what can do a job, what that costs over its months, and what would change the answer.
    Advise(advise::Args),
    /// Show how far predicted times are off where they were not fitted.
    Predict(predict::Args),
    /// Show, check or add dated prices.
    Prices(prices::Args),
    /// Write a run for another tool.
    Export(export::Args),
    /// Show what runs of other machines, or files of other tools, hold.
    Import(import::Args),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// Serve one contender to a parent process (docs/worker-protocol.md).
    #[command(hide = true)]
    Worker(worker::Args),
}

/// Parses the process's arguments, does what they ask, and says how it went.
pub fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Doctor(args) => doctor::main(&args),
        Verb::List(args) => list::main(&args),
        Verb::Run(args) => run::main(&args),
        Verb::Verify(args) => verify::main(&args),
        Verb::Fit(args) => fit::main(&args),
        Verb::Profile(args) => profile::main(&args),
        Verb::TrainCheck(args) => train_check::main(&args),
        Verb::Tune(args) => tune::main(&args),
        Verb::Report(args) => report::main(&args),
        Verb::Compare(args) => compare::main(&args),
        Verb::Claims(args) => claims::main(&args),
        Verb::Advise(args) => advise::main(&args),
        Verb::Predict(args) => predict::main(&args),
        Verb::Prices(args) => prices::main(&args),
        Verb::Export(args) => export::main(&args),
        Verb::Import(args) => import::main(&args),
        Verb::Completions(args) => completions::main(&args),
        Verb::Worker(args) => worker::main(&args),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cutgpu: {}", crate::host::plain(&message(&error)));
            ExitCode::from(if select::is_usage(&error) { exit::USAGE } else { exit::FAILED })
        }
    }
}

/// An error and its causes; a cause that its error has quoted already is not said again.
fn message(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Whether the reader of stdout went away, as in `cutgpu list | head -1`: no failure of ours.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_cause_is_said_once() {
        let gone = || std::io::Error::other("gone");
        let quoted = Err::<(), _>(gone()).context("f: gone; look elsewhere").context("cannot compare");
        assert_eq!(message(&quoted.unwrap_err()), "cannot compare: f: gone; look elsewhere");
        assert_eq!(message(&anyhow::Error::new(gone()).context("f")), "f: gone");
    }
}
