//! `cutgpu list`: shows what would run.

use super::look::{self, Seen};
use super::select::{Selected, Selection};
use super::table::table;
use super::{exit, look::Hello};
use crate::host::{self, plain};
use crate::plan::{self, Available, Fate, Rates};
use crate::suite::{self, Case};
use crate::workloads::{Axis, Default, WORKLOADS};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

/// What would run is told by a plan's outline.
type Plan = plan::Plan<()>;
type Group = plan::Group<()>;
type Cell = plan::Cell<()>;

/// Version of the JSON: keys are added under it, never renamed or removed.
const SCHEMA: &str = "1.0";

/// Arguments of `cutgpu list`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cutgpu list\n  cutgpu list matmul --backend cpu/native,cpu/openblas\n  \
                        cutgpu list gemm m=64..1024*2,n==m,k==m --minutes 2"
)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Open every backend in a process of its own first, and remember what they said.
    #[arg(long)]
    probe: bool,
    /// Show workloads with their parameters instead.
    #[arg(long, conflicts_with = "probe")]
    workloads: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Shows what would run.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let text = if args.workloads { workloads(args.json) } else { plans(args)? };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(exit::OK)
}

fn plans(args: &Args) -> anyhow::Result<String> {
    let names: Vec<_> = suite::names().collect();
    let look = || (host::facts(), Available::look());
    let (selected, (facts, mut available)) = rayon::join(|| args.selection.suites(&names), look);
    let selected = selected?;
    let kept = Seen::kept();
    let mut seen = kept.clone().unwrap_or_default();
    if args.probe {
        seen.hellos = look::hellos(&look::staff()?, &available, &facts);
        seen.keep();
    }
    seen.correct(&mut available);
    let rates = seen.rates();
    let suites: Vec<_> = selected.iter().map(|selected| selected.suite.clone()).collect();
    let plan = plan::outline(&suites, &facts, &args.selection.options(available.clone(), rates))?;
    let probed = args.probe || kept.is_some_and(|seen| !seen.hellos.is_empty());
    if args.json {
        return Ok(format!("{:#}\n", as_json(&selected, &plan, &available, &seen, rates)));
    }
    // Everything there is gets its cases; what was asked for by name gets its points too.
    let points = !args.selection.what.is_empty();
    let mut text = as_tree(&selected, &plan, &available, points);
    if args.probe {
        text += &backends(&available, &seen.hellos);
    }
    text += &footer(&plan, &available, rates, probed);
    // The process ends here: taking a hundred thousand small allocations apart would be a tenth of its time.
    std::mem::forget(plan);
    Ok(text)
}

fn as_tree(selected: &[Selected], plan: &Plan, available: &Available, points: bool) -> String {
    let mut text = String::new();
    for Selected { suite, .. } in selected {
        let groups: Vec<_> = plan.groups.iter().filter(|group| group.suite == suite.name).collect();
        let total = groups.iter().map(|group| group.estimate).sum();
        let _ = writeln!(text, "{}: {} About {}.", suite.name, plain(&suite.about), roughly(total));
        for case in &suite.cases {
            let groups: Vec<_> = groups.iter().filter(|group| group.case == case.name).copied().collect();
            let prefix = format!("{}/{}/", suite.name, case.name);
            let left_out = plan.dropped.iter().filter(|(id, _)| id.starts_with(&prefix)).count();
            text += &case_tree(case, (&groups, left_out), available, points);
        }
        text.push('\n');
    }
    text
}

/// A case: its groups that would run, how many others were left out, and who gives nothing to it.
fn case_tree(
    case: &Case,
    (groups, left_out): (&[&Group], usize),
    available: &Available,
    points: bool,
) -> String {
    let mut text = String::new();
    let total = groups.iter().map(|group| group.estimate).sum();
    let (name, workload, count) = (&case.name, &case.workload, groups.len());
    let points_of = plural(count, "point");
    let left_out = if left_out == 0 { String::new() } else { format!(" and {left_out} left out") };
    let _ = writeln!(text, "  {name}  {workload}, {count} {points_of}{left_out}, about {}", roughly(total));
    let _ = writeln!(text, "    why: {}", plain(&case.why));
    for group in groups.iter().filter(|_| points) {
        let (_, point) = group.id.rsplit_once('/').unwrap_or_default();
        let label =
            if group.label.is_empty() { String::new() } else { format!("  ({})", plain(&group.label)) };
        let running = running(&group.cells);
        let _ = writeln!(text, "    {point}{label}  about {}\n      {running}", roughly(group.estimate));
    }
    for (reason, names, count) in skipped(groups, available) {
        let cells = plural(count, "cell");
        let _ = writeln!(text, "    skip {} ({count} {cells}): {}", names.join(", "), plain(&reason));
    }
    text
}

/// Ops that a backend lacks, each once: ` (expands add_layer_norm 25 times, gelu)`; nothing where it has them all.
fn expansion(names: &[String]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for name in names {
        match counts.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let said = counts.iter().map(|(name, count)| match count {
        1 => (*name).to_string(),
        _ => format!("{name} {count} times"),
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() { String::new() } else { format!(" (expands {})", said.join(", ")) }
}

/// Contenders that run: `cpu/native t1 t2 t2+packed · cpu/gemm t2`.
fn running(cells: &[Cell]) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.fate == Fate::Run) {
        let twin = if cell.contender.twin { " (twin)" } else { "" };
        let lane = format!(" {}{twin}{}", cell.contender.lane, expansion(&cell.expanded));
        match lines.iter_mut().find(|(backend, _)| *backend == cell.contender.backend) {
            Some((_, lanes)) => lanes.push_str(&lane),
            None => lines.push((cell.contender.backend.clone(), lane)),
        }
    }
    if lines.is_empty() {
        return "nothing runs".to_string();
    }
    let parts: Vec<_> = lines.iter().map(|(backend, lanes)| format!("{}{lanes}", plain(backend))).collect();
    parts.join(" · ")
}

/// Each reason once, with the backends that give it and how many cells it empties. Backends that are not
/// here at all are named once, at the end.
fn skipped(groups: &[&Group], available: &Available) -> Vec<(String, Vec<String>, usize)> {
    let mut reasons: Vec<(String, Vec<String>, usize)> = Vec::new();
    let is_here = |name: &str| {
        available.backends.iter().all(|backend| backend.name != name || backend.missing.is_none())
    };
    for cell in groups.iter().flat_map(|group| &group.cells) {
        let Fate::Skip(reason) = &cell.fate else { continue };
        if !is_here(&cell.contender.backend) {
            continue;
        }
        let name = plain(&cell.contender.backend);
        match reasons.iter_mut().find(|(known, ..)| known == reason) {
            Some((_, names, count)) => {
                *count += 1;
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            None => reasons.push((reason.clone(), vec![name], 1)),
        }
    }
    reasons
}

/// What each backend said when it was opened.
fn backends(available: &Available, hellos: &[Hello]) -> String {
    let mut table = table(&["backend", "what", "version", "opened in"]);
    for backend in &available.backends {
        let hello = hellos.iter().find(|hello| hello.backend == backend.name);
        let identity = hello.and_then(|hello| hello.identity.as_ref());
        let what = match (&backend.missing, identity) {
            (Some(_), _) => "not here".to_string(),
            (None, Some(identity)) => identity.name.clone(),
            (None, None) => String::new(),
        };
        let version = identity.map(|identity| identity.version.clone()).unwrap_or_default();
        let took = hello.map(|hello| format!("{:.0} ms", hello.ms)).unwrap_or_default();
        table.add_row([plain(&backend.name), plain(&what), plain(&version), took]);
    }
    format!("{table}\n\n")
}

fn footer(plan: &Plan, available: &Available, rates: Rates, probed: bool) -> String {
    let mut text = String::new();
    for (id, reason) in &plan.dropped {
        let _ = writeln!(text, "left out {}: {}", plain(id), plain(reason));
    }
    for backend in &available.backends {
        let cells = plan.groups.iter().flat_map(|group| &group.cells);
        let count = cells.filter(|cell| cell.contender.backend == backend.name).count();
        if let Some(reason) = backend.missing.as_ref().filter(|_| count > 0) {
            let (name, cells) = (plain(&backend.name), plural(count, "cell"));
            let _ = writeln!(text, "not here: {name} ({count} {cells}): {}", plain(reason));
        }
    }
    let (runs, skips) = plan.counts();
    let groups = plural(plan.groups.len(), "group");
    let _ = write!(text, "{} {groups}, {runs} cells would run, {skips} skipped", plan.groups.len());
    if !plan.dropped.is_empty() {
        let _ = write!(text, ", {} {} left out", plan.dropped.len(), plural(plan.dropped.len(), "group"));
    }
    let source = if rates.measured { "rates measured on this machine" } else { "assumed rates" };
    let _ = writeln!(text, ", about {} (an estimate from {source}).", roughly(plan.estimate()));
    if !probed {
        text += "Backends are not probed: `cutgpu list --probe` or `cutgpu doctor` opens each of them.\n";
    }
    text
}

fn as_json(selected: &[Selected], plan: &Plan, available: &Available, seen: &Seen, rates: Rates) -> Value {
    let suites = selected.iter().map(|Selected { suite, .. }| {
        let cases = suite.cases.iter().map(|case| {
            json!({ "name": case.name, "workload": case.workload, "why": case.why, "priority": case.priority })
        });
        let budget = suite.budget.map(|budget| budget.as_secs_f64());
        json!({ "name": suite.name, "about": suite.about, "budget_s": budget, "cases": cases.collect::<Vec<_>>() })
    });
    let backends = available.backends.iter().map(|backend| {
        let hello = seen.hellos.iter().find(|hello| hello.backend == backend.name);
        let identity = hello.and_then(|hello| hello.identity.as_ref());
        json!({ "name": backend.name, "kind": backend.kind, "missing": backend.missing, "identity": identity })
    });
    let dropped = plan.dropped.iter().map(|(id, reason)| json!({ "id": id, "reason": reason }));
    let (runs, skips) = plan.counts();
    json!({
        "schema": SCHEMA,
        "suites": suites.collect::<Vec<_>>(),
        "groups": plan.groups.iter().map(group_json).collect::<Vec<_>>(),
        "dropped": dropped.collect::<Vec<_>>(),
        "backends": backends.collect::<Vec<_>>(),
        "cells": { "run": runs, "skip": skips },
        "estimate_s": plan.estimate().as_secs_f64(),
        "rates": { "operations": rates.operations, "bytes": rates.bytes, "measured": rates.measured },
    })
}

fn group_json(group: &Group) -> Value {
    let cells = group.cells.iter().map(|cell| {
        let reason = match &cell.fate {
            Fate::Run => None,
            Fate::Skip(reason) => Some(reason),
        };
        json!({
            "contender": cell.contender.to_string(),
            "backend": cell.contender.backend,
            "lane": cell.contender.lane,
            "twin": cell.contender.twin,
            "run": reason.is_none(),
            "reason": reason,
            "expanded": cell.expanded,
        })
    });
    json!({
        "id": group.id,
        "suite": group.suite,
        "case": group.case,
        "label": group.label,
        "workload": group.workload,
        "point": group.point,
        "priority": group.priority,
        "effort": group.effort,
        "series": group.series,
        "work": group.work,
        "estimate_s": group.estimate.as_secs_f64(),
        "cells": cells.collect::<Vec<_>>(),
    })
}

fn workloads(as_json: bool) -> String {
    if as_json {
        let axis = |axis: &Axis| json!({ "name": axis.name, "about": axis.about, "default": default(axis) });
        let workloads = WORKLOADS.iter().map(|workload| {
            let axes: Vec<_> = workload.axes.iter().map(axis).collect();
            json!({ "name": workload.name, "about": workload.about, "axes": axes })
        });
        return format!("{:#}\n", Value::Array(workloads.collect()));
    }
    let mut text = String::new();
    for workload in WORKLOADS {
        let _ = writeln!(text, "{}: {}", workload.name, workload.about);
        for axis in workload.axes {
            let default =
                default(axis).map_or_else(|| "must be given".to_string(), |value| format!("default {value}"));
            let _ = writeln!(text, "  {:<12} {} ({default})", axis.name, axis.about);
        }
    }
    text
}

/// What an axis is where nothing is given: `f32, or bf16, f16`.
fn default(axis: &Axis) -> Option<String> {
    Some(match axis.default? {
        Default::Int(value) => value.to_string(),
        Default::Like(other) => format!("that of {other}"),
        Default::OneOf([only]) => only.to_string(),
        Default::OneOf([first, rest @ ..]) => format!("{first}, or {}", rest.join(", ")),
        Default::OneOf([]) => return None,
    })
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_string() } else { format!("{word}s") }
}

/// A duration as a person says it.
fn roughly(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 10.0 => format!("{seconds:.1} s"),
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_op_that_is_expanded_often_is_named_once() {
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        assert_eq!(expansion(&[]), "");
        assert_eq!(expansion(&names(&["gelu"])), " (expands gelu)");
        assert_eq!(expansion(&names(&["norm", "gelu", "norm"])), " (expands norm 2 times, gelu)");
    }
}
