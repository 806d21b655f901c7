//! `cutgpu verify`: checks answers and times nothing.

use super::libraries::Libraries;
use super::select::Selection;
use super::table::table;
use super::{exit, look, signals};
use crate::host::{self, plain};
use crate::measure::evidence::{Evidence, Outcome, Verification};
use crate::measure::group::{self, Bench, Interrupted};
use crate::measure::settings::Settings;
use crate::measure::staff::Staff;
use crate::plan::{Cell, Group};
use crate::run::Scratch;
use crate::suite::Effort;
use crate::units::significant;
use serde_json::json;
use std::io::Write;
use std::sync::atomic::AtomicBool;

/// Arguments of `cutgpu verify`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cutgpu verify quick\n  cutgpu verify gemm m=64..512*2,n==m,k==m --backend 'cpu/*'"
)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    libraries: Libraries,
    /// Seed of the inputs.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object a cell.
    #[arg(long)]
    json: bool,
}

/// Checks answers.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    args.libraries.announce()?;
    let plan = look::planned(&args.selection, &["quick"], &host::facts(), |_| ())?;
    let scratch = Scratch::temporary()?;
    let staff = Staff { scratch: scratch.path().to_path_buf(), ..look::staff()? };
    let mut shown = Shown { table: table(&["group", "contender", "answer", ""]), json: args.json };
    let interrupted = signals::interrupted()?;
    let mut failures = 0;
    for group in &plan.groups {
        let Ok(cells) = check(group, &staff, args.seed, &interrupted) else {
            return Ok(exit::INTERRUPTED);
        };
        for (cell, evidence) in group.cells.iter().zip(&cells) {
            failures +=
                usize::from(matches!(evidence.outcome, Outcome::Failed { .. } | Outcome::Wrong { .. }));
            shown.add(group, cell, evidence)?;
        }
    }
    if !args.json {
        writeln!(std::io::stdout(), "{}", shown.table)?;
    }
    Ok(if failures > 0 { exit::FAILED } else { exit::OK })
}

/// Checks the cells of a group on inputs of `seed`.
pub(super) fn check(
    group: &Group,
    staff: &Staff,
    seed: u64,
    interrupted: &AtomicBool,
) -> Result<Vec<Evidence>, Interrupted> {
    let bench = Bench {
        settings: Settings::of(Effort::Full, seed),
        hire: staff,
        last_level_cache: None,
        free_memory: None,
        interrupted,
        progress: &|_| {},
    };
    group::check(group, &bench)
}

/// What has been found so far.
struct Shown {
    table: comfy_table::Table,
    json: bool,
}

impl Shown {
    fn add(&mut self, group: &Group, cell: &Cell, evidence: &Evidence) -> std::io::Result<()> {
        let Evidence { outcome, verification, identity, .. } = evidence;
        if self.json {
            let (group, contender) = (&group.id, &cell.contender);
            let line = json!({
                "group": group, "contender": contender, "outcome": outcome,
                "verification": verification, "identity": identity,
            });
            return writeln!(std::io::stdout(), "{line}");
        }
        let (word, remark) = match (outcome, verification) {
            (Outcome::Measured, Some(verification)) => ("right", remark(verification)),
            (Outcome::Measured, None) => ("not checked", String::new()),
            (Outcome::Skipped { reason }, _) => ("skipped", reason.clone()),
            (Outcome::Failed { kind, message }, _) => ("FAILED", format!("{kind}: {message}")),
            (Outcome::Wrong { message }, _) => ("WRONG", message.clone()),
        };
        let row = [group.id.clone(), cell.contender.to_string(), word.to_string(), remark];
        self.table.add_row(row.map(|text| plain(&text)));
        Ok(())
    }
}

fn remark(verification: &Verification) -> String {
    let Verification { elements, complete, worst, fell_back_precision, mistrusted, .. } = verification;
    let what = if *complete { "all" } else { "a sample of" };
    let mut text = format!(
        "{what} {elements} elements; the worst used {} % of its bound",
        significant(worst * 100.0, 2)
    );
    if *fell_back_precision {
        text += "; a lower precision in disguise";
    }
    if *mistrusted {
        text += "; nearly all zeros, which proves little";
    }
    text
}
