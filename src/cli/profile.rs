//! `cutgpu profile`: where the time of a program goes, step by step.

use super::libraries::Libraries;
use super::select::Selection;
use super::table::table;
use super::{exit, look, signals, verify};
use crate::backends::{DeviceKind, F32_UNIT, Identity, cuda_card, family_of};
use crate::compare::profile::{Balance, Limit, Roofs, Spent, by_op, steps};
use crate::host::{self, plain};
use crate::measure::evidence::Outcome;
use crate::measure::group::Interrupted;
use crate::measure::peaks::Peaks;
use crate::measure::profile::{Effort, Profile, profile};
use crate::measure::staff::Staff;
use crate::plan::{Cell, Contender, Fate, Group, Plan};
use crate::report::profile::{TrainingLoop, flame, stacks, trace, training_loops, word};
use crate::run::Scratch;
use crate::units::{Bytes, si, significant};
use anyhow::Context;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Milliseconds of each probe of the machine's roofs.
const PROBE_MS: f64 = 60.0;
/// Rows of a table by step or by op.
const ROWS: usize = 40;
/// How far the sum of steps may be from the whole, as a share of it, before the table says so.
const CLOSE: f64 = 0.03;

/// Arguments of `cutgpu profile`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cutgpu profile conv3x3 height=56,in=64,out=64\n  \
                  cutgpu profile mlp_block tokens=128,width=768 --threads 1 --steps --out runs/profile")]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    libraries: Libraries,
    /// Seed of the inputs.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// One row a step instead of one an op.
    #[arg(long)]
    steps: bool,
    /// Time answers that have not been checked first.
    #[arg(long)]
    unchecked: bool,
    /// Folder for a trace (Perfetto, speedscope), folded stacks and a flame graph of each program, and for the
    /// training loops drawn side by side.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON object a program.
    #[arg(long)]
    json: bool,
}

/// Profiles every cell of the selection.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    args.libraries.announce()?;
    let facts = host::facts();
    let plan = look::planned(&args.selection, &["quick"], &facts, |options| {
        options.twins = false;
        options.backends.get_or_insert_with(|| vec!["cpu/native".to_string()]);
    })?;
    let scratch = Scratch::temporary()?;
    let staff = Staff { scratch: scratch.path().to_path_buf(), ..look::staff()? };
    let mut peaks = Peaks::measure(&staff, &facts, PROBE_MS);
    peaks.add_devices(&staff, devices(&plan).iter().map(String::as_str));
    let interrupted = signals::interrupted()?;
    let (mut failures, mut loops) = (0, Vec::new());
    for group in &plan.groups {
        for number in 0..group.cells.len() {
            let cell = &group.cells[number];
            if let Fate::Skip(reason) = &cell.fate {
                eprintln!("{} {}: skipped: {}", group.id, cell.contender, plain(reason));
                continue;
            }
            let checked = match args.unchecked {
                true => Ok(true),
                false => is_right(group, number, &staff, args.seed, &interrupted),
            };
            let Ok(checked) = checked else { return Ok(exit::INTERRUPTED) };
            let done = if checked { one(args, group, cell, &staff, &peaks)? } else { None };
            failures += usize::from(done.is_none());
            loops.extend(done);
        }
    }
    if let Some(folder) = args.out.as_ref().filter(|_| !loops.is_empty()) {
        let file = folder.join("loop.svg");
        std::fs::write(&file, training_loops(&loops))
            .with_context(|| format!("cannot write {}", file.display()))?;
        eprintln!("the loops, side by side, are in {}", file.display());
    }
    if loops.is_empty() && failures == 0 {
        eprintln!("cutgpu: there was nothing to profile");
        failures = 1;
    }
    Ok(if failures > 0 { exit::FAILED } else { exit::OK })
}

/// Whose ceilings are wanted beside the processor's: devices with memory of their own that run a cell.
fn devices(plan: &Plan) -> BTreeSet<String> {
    let cells = plan.groups.iter().flat_map(|group| &group.cells).filter(|cell| cell.fate == Fate::Run);
    let has_own_memory = |backend: &&str| {
        let kind = family_of(backend).map(|family| family.kind());
        !matches!(kind, None | Some(DeviceKind::Cpu | DeviceKind::Null))
    };
    cells.map(|cell| cell.contender.backend.as_str()).filter(has_own_memory).map(measured_by).collect()
}

/// Whether the answer of one cell is right; says what is wrong with it. A wrong answer has no timing.
fn is_right(
    group: &Group,
    number: usize,
    staff: &Staff,
    seed: u64,
    interrupted: &AtomicBool,
) -> Result<bool, Interrupted> {
    let alone = Group { cells: vec![group.cells[number].clone()], ..group.clone() };
    let evidence = verify::check(&alone, staff, seed, interrupted)?;
    let why = match evidence.first().map(|evidence| &evidence.outcome) {
        Some(Outcome::Wrong { message } | Outcome::Failed { message, .. }) => message,
        Some(Outcome::Skipped { reason }) => reason,
        Some(Outcome::Measured) | None => return Ok(true),
    };
    eprintln!("{} {}: {}", group.id, alone.cells[0].contender, plain(why));
    Ok(false)
}

/// The roofs over a cell. Those of the processor stand over nothing that another device does.
fn roofs(cell: &Cell, identity: &Identity, peaks: &Peaks) -> Roofs {
    let Contender { backend, lane, .. } = &cell.contender;
    if family_of(backend).is_some_and(|family| family.kind() == DeviceKind::Cpu) {
        let roofs = Roofs::of(peaks, lane.threads);
        return if identity.notes.contains_key(F32_UNIT) { roofs.with_limbs() } else { roofs };
    }
    let own = peaks.devices.iter().find(|device| device.backend == measured_by(backend));
    own.map_or_else(Roofs::default, |device| Roofs::of_device(&device.ceilings))
}

/// Whose kernels measure the ceilings of a backend's device: this program's own, where it has some for it.
fn measured_by(backend: &str) -> String {
    cuda_card(backend).map_or_else(|| backend.to_string(), |card| format!("cuda/native/{card}"))
}

/// What is shown of one cell.
struct Shown<'a> {
    group: &'a Group,
    cell: &'a Cell,
    profile: Profile,
    steps: Vec<Spent>,
    balance: Balance,
}

/// Profiles and shows one cell; nothing where its worker failed.
fn one(
    args: &Args,
    group: &Group,
    cell: &Cell,
    staff: &Staff,
    peaks: &Peaks,
) -> anyhow::Result<Option<TrainingLoop>> {
    let profile = match profile(staff, cell, args.seed, Effort::Usual) {
        Ok(profile) => profile,
        Err(crash) => {
            eprintln!("{} {}: {}", group.id, cell.contender, plain(&crash.to_string()));
            return Ok(None);
        }
    };
    let roofs = roofs(cell, &profile.identity, peaks);
    let steps = steps(&cell.program, &profile.steps_ns, &roofs);
    let balance = Balance::of(&profile.whole_ns, &profile.steps_ns);
    let shown = Shown { group, cell, profile, steps, balance };
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{}", shown.json(args.steps))?;
    } else {
        shown.print(&mut out, args.steps)?;
    }
    if let Some(folder) = &args.out {
        shown.write(folder)?;
    }
    let title = format!("{} on {}", shown.name(), cell.contender);
    Ok(Some(TrainingLoop::of(title, &shown.profile.bytes, &shown.steps)))
}

/// What taking the steps one by one costs, or misses, with its interval.
fn cost(balance: &Balance) -> String {
    let Some(ratio) = balance.ratio else { return String::new() };
    let percent =
        |ratio: f64| if ratio.is_finite() { significant(100.0 * (ratio - 1.0), 2) } else { "?".into() };
    let remark = if balance.is_beyond(CLOSE) {
        ": more than the 3 % that waiting may cost"
    } else if balance.is_within(CLOSE) {
        ""
    } else {
        ": too noisy to tell from the 3 % that waiting may cost"
    };
    let [low, centre, high] = [ratio.low, ratio.centre, ratio.high].map(percent);
    format!(", {centre} % ({low} to {high} %) from the whole right before{remark}")
}

impl Shown<'_> {
    /// What a reader calls the program.
    fn name(&self) -> &str {
        let Group { label, workload, .. } = self.group;
        if label.is_empty() { workload } else { label }
    }

    fn rows(&self, by_step: bool) -> Vec<Spent> {
        if by_step { self.steps.clone() } else { by_op(&self.steps) }
    }

    fn about(&self) -> Value {
        json!({
            "group": self.group.id, "contender": self.cell.contender.to_string(),
            "identity": self.profile.identity, "point": self.group.point, "bytes": self.profile.bytes,
            "executions": self.profile.whole_ns.len(), "times": "of each step, the median over executions",
        })
    }

    fn json(&self, by_step: bool) -> Value {
        let mut shown = self.about();
        shown["whole_ns"] = json!(self.balance.whole_ns);
        shown["sum_ns"] = json!(self.balance.sum_ns);
        shown["sum_over_whole"] = json!(self.balance.ratio);
        shown["rows"] = json!(self.rows(by_step));
        shown
    }

    fn print(&self, out: &mut impl Write, by_step: bool) -> std::io::Result<()> {
        let Self { group, cell, balance, profile, .. } = self;
        writeln!(out, "{} on {}", plain(&group.id), cell.contender)?;
        let mut rows = self.rows(by_step);
        let left_out = rows.len().saturating_sub(ROWS);
        if by_step && left_out > 0 {
            rows.sort_by(|a, b| b.ns.total_cmp(&a.ns));
        }
        let mut table =
            table(&["phase", "op", "steps", "time", "share", "GFLOP/s", "GB/s", "of roof", "limit"]);
        for row in rows.iter().take(ROWS) {
            table.add_row(self.row(row));
        }
        writeln!(out, "{table}")?;
        if left_out > 0 {
            writeln!(out, "{left_out} more rows are shorter; --json prints all.")?;
        }
        let held: Vec<String> = profile
            .bytes
            .iter()
            .map(|(state, bytes)| format!("{state:?} {}", Bytes(*bytes)).to_lowercase())
            .collect();
        writeln!(
            out,
            "whole {}s, median of {}; steps one by one {}s{}; memory: {}\n",
            si(balance.whole_ns / 1e9),
            profile.whole_ns.len(),
            si(balance.sum_ns / 1e9),
            cost(balance),
            held.join(", "),
        )
    }

    fn row(&self, spent: &Spent) -> [String; 9] {
        let seconds = spent.ns / 1e9;
        let rate = |amount: u64| {
            if seconds > 0.0 { significant(amount as f64 / seconds / 1e9, 3) } else { String::new() }
        };
        let limit = match spent.limit {
            Some(Limit::Compute) => "compute",
            Some(Limit::Memory) => "memory",
            None => "",
        };
        let op = if spent.steps == 1 { format!("{} {}", spent.op, spent.what) } else { spent.op.clone() };
        [
            word(spent.phase).to_string(),
            plain(&op),
            spent.steps.to_string(),
            format!("{}s", si(seconds)),
            format!("{} %", significant(100.0 * spent.ns / self.balance.sum_ns, 2)),
            rate(spent.work.flops),
            rate(spent.work.bytes()),
            match spent.share() {
                Some(share) => format!("{} %", significant(100.0 * share, 2)),
                None if spent.is_above_roof() => "probe low".to_string(),
                None => String::new(),
            },
            limit.to_string(),
        ]
    }

    /// `trace.json`, `stacks.txt` and `flame.svg` in a folder of the cell's own.
    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let name = format!("{}-{}", self.group.id, self.cell.contender);
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "=.-".contains(c) { c } else { '_' })
            .collect();
        let folder = folder.join(name.chars().take(MOST_NAME).collect::<String>());
        let cannot = || format!("cannot write to {}", folder.display());
        std::fs::create_dir_all(&folder).with_context(cannot)?;
        let workload = format!("{} on {}", self.group.id, self.cell.contender);
        let trace = serde_json::to_string(&trace(&workload, &self.steps, &self.about()))?;
        let files = [
            ("trace.json", trace),
            ("stacks.txt", stacks(&workload, &self.steps)),
            ("flame.svg", flame(&workload, &self.steps)),
        ];
        for (file, text) in files {
            std::fs::write(folder.join(file), text).with_context(cannot)?;
        }
        eprintln!("trace.json, stacks.txt and flame.svg are in {}", folder.display());
        Ok(())
    }
}

/// Letters of a folder's name.
const MOST_NAME: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steps_cost_is_said_as_far_as_it_is_known() {
        let said = |by: &[f64]| {
            let steps: Vec<Vec<f64>> = by.iter().map(|by| vec![60.0 * by, 40.0 * by]).collect();
            cost(&Balance::of(&vec![100.0; by.len()], &steps))
        };
        // Pairs that do not differ at all are taken to vary by a ten-thousandth.
        assert_eq!(said(&[1.01; 5]), ", 1.0 % (0.98 to 1.0 %) from the whole right before");
        for (by, says) in [
            (&[1.05, 1.051, 1.05][..], ": more than the 3 % that waiting may cost"),
            (&[0.95, 0.951, 0.95], ": more than the 3 % that waiting may cost"),
            (&[1.0, 1.2, 0.9], ": too noisy to tell from the 3 % that waiting may cost"),
            (&[1.5], "(-100 to ? %) from the whole right before: too noisy to tell"),
        ] {
            assert!(said(by).contains(says), "{by:?}: {}", said(by));
        }
        assert_eq!(said(&[]), "");
    }
}
