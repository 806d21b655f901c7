//! `cutgpu train-check`: whether training steps train, and agree with other backends and with PyTorch.

use super::table::table;
use super::{exit, select};
use crate::backends::family_of;
use crate::host::{self, plain};
use crate::plan::PlanError;
use crate::suite::Threads;
use crate::train::{self, Bar, Check, Settings, Verdict};
use crate::units::significant;
use anyhow::Context;
use std::io::Write;

/// Arguments of `cutgpu train-check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 1 where a check is SHORT, INVALID or FAILED. What is left out is said with the reason \
                        and is no pass.\n\nExamples:\n  cutgpu train-check\n  cutgpu train-check --backend cpu/naive \
                        --steps 50 --json"
)]
pub(super) struct Args {
    /// Backend under test.
    #[arg(long, value_name = "NAME", default_value = "cpu/native")]
    backend: String,
    /// Threads that compute.
    #[arg(long, value_name = "COUNT", default_value = "all", value_parser = select::threads)]
    threads: Threads,
    /// Training steps of each task instead of its own number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Seed of first parameters, examples and their order.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object a check.
    #[arg(long)]
    json: bool,
}

/// Runs every check.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let settings = settings(args)?;
    // A backend that is not here is no reason to leave everything out and pass.
    drop(train::open(&settings).with_context(|| format!("cannot check {}", settings.backend))?);
    let mut out = std::io::stdout();
    let checks = train::check(&settings, |check| {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(check)?)?;
        } else {
            eprintln!("{}: {}", check.name, word(&check.verdict));
        }
        anyhow::Ok(())
    })?;
    if !args.json {
        show(&settings, &checks)?;
    }
    let failed = checks.iter().any(|check| check.verdict.is_failure());
    Ok(if failed { exit::FAILED } else { exit::OK })
}

fn settings(args: &Args) -> Result<Settings, PlanError> {
    if family_of(&args.backend).is_none() {
        let name = &args.backend;
        return Err(PlanError::Request(format!(
            "no backend is called `{name}`; `cutgpu doctor` shows those that are here"
        )));
    }
    let threads = match args.threads {
        Threads::All => host::facts().usable_cores(),
        Threads::Count(count) => count,
    };
    let steps = args.steps.map(|steps| steps as usize);
    Ok(Settings { backend: args.backend.clone(), threads, steps, seed: args.seed })
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Short => "SHORT",
        Verdict::LeftOut(_) => "left out",
        Verdict::Invalid(_) => "INVALID",
        Verdict::Failed(_) => "FAILED",
    }
}

fn show(settings: &Settings, checks: &[Check]) -> std::io::Result<()> {
    let mut table = table(&["check", "measured", "bar", "", "s", "what"]);
    for check in checks {
        table.add_row(row(check).map(|text| plain(&text)));
    }
    let left_out = checks.iter().filter(|check| matches!(check.verdict, Verdict::LeftOut(_))).count();
    let mut out = std::io::stdout();
    writeln!(out, "{} on {} threads, seed {}\n{table}", settings.backend, settings.threads, settings.seed)?;
    if left_out > 0 {
        writeln!(out, "{left_out} of {} checks were left out, which proves nothing of them.", checks.len())?;
    }
    Ok(())
}

fn row(check: &Check) -> [String; 6] {
    let number = |x: f64| match check.unit {
        "" => format!("{x:.1e}"),
        unit => format!("{} {unit}", significant(x, 3)),
    };
    let bar = match check.bar {
        Bar::AtLeast(least) => format!(">= {}", number(least)),
        Bar::AtMost(most) => format!("<= {}", number(most)),
    };
    let what = match &check.verdict {
        Verdict::LeftOut(why) | Verdict::Invalid(why) | Verdict::Failed(why) => why,
        Verdict::Ok | Verdict::Short => check.about,
    };
    [
        check.name.to_string(),
        check.measured.map_or_else(String::new, number),
        bar,
        word(&check.verdict).to_string(),
        significant(check.seconds, 2),
        what.to_string(),
    ]
}
