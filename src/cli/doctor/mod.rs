//! `cutgpu doctor`: checks this machine.

mod checks;
mod libraries;
mod noise;

use super::exit;
use super::look::{self, Seen};
use super::table::table;
use crate::backends::DeviceKind;
use crate::host::{self, plain};
use crate::measure::peaks::Peaks;
use crate::measure::protocol::ProbeKind;
use crate::plan::Available;
use crate::units::{Reading, si};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// Milliseconds given to each peak probe.
const PROBE_MS: f64 = 30.0;

/// Version of the JSON: keys are added under it, never renamed or removed.
const SCHEMA: &str = "1.0";

/// Arguments of `cutgpu doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 3 says that something must be mended first.\nExample: cutgpu doctor --json"
)]
pub(super) struct Args {
    /// Folder that runs are going to be written to.
    #[arg(long, value_name = "FOLDER", default_value = "runs")]
    out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// Nothing to do.
    Ok,
    /// Numbers suffer, or some are missing.
    Warn,
    /// Numbers would mean nothing: mend this first.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Check {
    /// Short name.
    name: String,
    /// How it came out.
    status: Status,
    /// What was found.
    found: String,
    /// What it costs; empty where all is well.
    cost: String,
    /// How to mend it; empty where there is nothing to mend, or no way.
    fix: String,
}

impl Check {
    fn ok(name: &str, found: impl Into<String>) -> Self {
        let none = String::new;
        Self { name: name.to_string(), status: Status::Ok, found: found.into(), cost: none(), fix: none() }
    }

    fn warn(name: &str, found: impl Into<String>, cost: &str, fix: &str) -> Self {
        let (cost, fix) = (cost.to_string(), fix.to_string());
        Self { name: name.to_string(), status: Status::Warn, found: found.into(), cost, fix }
    }

    fn fail(name: &str, found: impl Into<String>, cost: &str, fix: &str) -> Self {
        Self { status: Status::Fail, ..Self::warn(name, found, cost, fix) }
    }
}

/// Checks this machine.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let facts = host::facts();
    let build = host::build();
    // Before anything of ours keeps the cores busy.
    let noise = noise::listen(facts.usable_cores());
    let staff = look::staff()?;
    let available = Available::look();
    let hellos = look::hellos(&staff, &available, &facts);
    let mut peaks = Peaks::measure(&staff, &facts, PROBE_MS);
    peaks.add_devices(&staff, gpus(&available, &hellos));
    let mut checks = checks::of_machine(&facts, &build, &args.out);
    checks.push(checks::noise(&noise));
    checks.extend(libraries::checks(&available, &hellos, &facts));
    checks.push(checks::peaks(&peaks));
    let seen = Seen { hellos, peaks };
    seen.keep();
    let blockers = checks.iter().filter(|check| check.status == Status::Fail).count();
    let text = if args.json {
        let object = json!({
            "schema": SCHEMA, "checks": checks, "blockers": blockers, "facts": facts, "build": build, "hellos": seen.hellos,
            "peaks": seen.peaks.rows, "device_ceilings": seen.peaks.devices,
        });
        format!("{object:#}\n")
    } else {
        format!(
            "{}\n{}{}{}",
            as_lines(&checks),
            peak_table(&seen.peaks),
            device_table(&seen.peaks),
            verdict(&checks)
        )
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(if blockers > 0 { exit::BLOCKED } else { exit::OK })
}

/// GPUs that opened.
fn gpus<'a>(available: &'a Available, hellos: &'a [look::Hello]) -> impl Iterator<Item = &'a str> {
    let opened = hellos.iter().filter(|hello| hello.identity.is_some()).map(|hello| hello.backend.as_str());
    let is_gpu = |name: &&str| {
        available.backends.iter().any(|backend| backend.name == *name && backend.kind == DeviceKind::Gpu)
    };
    opened.filter(is_gpu)
}

/// Ceilings of devices with memory of their own; nothing where there are none.
fn device_table(peaks: &Peaks) -> String {
    if peaks.devices.is_empty() {
        return String::new();
    }
    let mut table = table(&["device", "ceiling", "measured"]);
    for device in &peaks.devices {
        for ceiling in &device.ceilings {
            let rate = match &ceiling.rate {
                Reading::Value(rate) => format!("{}{}", si(*rate), ceiling.unit),
                Reading::Absent(reason) => format!("- ({reason})"),
            };
            table.add_row([plain(&device.backend), plain(&ceiling.name), plain(&rate)]);
        }
    }
    format!("{table}\n\n")
}

fn as_lines(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let word = match check.status {
            Status::Ok => "ok  ",
            Status::Warn => "warn",
            Status::Fail => "FAIL",
        };
        let _ = writeln!(text, "{word}  {:<16} {}", plain(&check.name), plain(&check.found));
        for (title, line) in [("costs", &check.cost), ("mend", &check.fix)] {
            if !line.is_empty() {
                let _ = writeln!(text, "      {:<16} {title}: {}", "", plain(line));
            }
        }
    }
    text
}

/// Measured ceilings: a row each, a column for each number of threads.
fn peak_table(peaks: &Peaks) -> String {
    let mut counts: Vec<usize> = peaks.rows.iter().map(|peak| peak.threads).collect();
    counts.sort_unstable();
    counts.dedup();
    let titles: Vec<_> = counts.iter().map(|count| format!("{count} threads")).collect();
    let mut header = vec!["measured peak", "in"];
    header.extend(titles.iter().map(|title| if title == "1 threads" { "1 thread" } else { title.as_str() }));
    let mut table = table(&header);
    for first in peaks.rows.iter().filter(|peak| Some(&peak.threads) == counts.first()) {
        let mut row = vec![name(first.probe).to_string(), first.place.clone()];
        for &count in &counts {
            let same = |peak: &&crate::measure::peaks::Peak| {
                peak.probe == first.probe && peak.place == first.place && peak.threads == count
            };
            let rate = peaks.rows.iter().find(same).map(|peak| &peak.rate);
            row.push(match rate {
                Some(Reading::Value(rate)) => format!("{}{}", si(*rate), unit(first.probe)),
                _ => "-".to_string(),
            });
        }
        table.add_row(row);
    }
    format!("{table}\n\n")
}

fn name(probe: ProbeKind) -> &'static str {
    match probe {
        ProbeKind::Fma => "f32 multiply-add",
        ProbeKind::Vnni => "u8 x i8 dot product",
        ProbeKind::Bf16 => "bf16 dot product",
        ProbeKind::Read => "read",
        ProbeKind::Copy => "copy",
        ProbeKind::Triad => "triad",
        ProbeKind::Adam => "4 read, 3 written",
    }
}

fn unit(probe: ProbeKind) -> &'static str {
    match probe {
        ProbeKind::Fma => "FLOP/s",
        ProbeKind::Vnni | ProbeKind::Bf16 => "op/s",
        ProbeKind::Read | ProbeKind::Copy | ProbeKind::Triad | ProbeKind::Adam => "B/s",
    }
}

fn verdict(checks: &[Check]) -> String {
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    match (count(Status::Fail), count(Status::Warn)) {
        (0, 0) => "Ready to measure.\n".to_string(),
        (0, warnings) => format!("Ready to measure; {warnings} warnings stand above.\n"),
        (blockers, _) => format!("Not ready: {blockers} of the checks above must be mended first.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_the_cost_and_the_mending() {
        let checks = [
            Check::ok("clock", "1 ns"),
            Check::warn("load", "\u{1b}[31m2.5", "samples are taken again", "end other work"),
        ];
        let text = as_lines(&checks);
        assert!(text.contains("ok    clock") && text.contains("warn  load"), "{text}");
        assert!(text.contains("costs: samples") && text.contains("mend: end other work"), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert!(verdict(&checks).starts_with("Ready to measure; 1"));
        let blocked = [Check::fail("build", "debug", "all", "build it")];
        assert!(verdict(&blocked).starts_with("Not ready: 1"));
    }
}
