//! Rates over arithmetic intensity, under the roofs that the probes measured (Williams, Waterman,
//! Patterson, "Roofline", CACM 2009).

use super::super::model::{Contest, Model};
use super::super::scene::{Axis, Format, Numbers, Panel, Plot, Point, Roof, Scale, Scene, Series};
use super::super::text;
use super::share::may_be_above;
use super::source;
use crate::compare::{Interval, counts_operations};
use crate::measure::protocol::ProbeKind;
use std::collections::BTreeMap;

/// Most contests in one panel.
const POINTS: usize = 16;

/// One panel a machine.
pub(super) fn roofline(model: &Model) -> Vec<Scene> {
    let mut table = Numbers {
        columns: ["point", "contender", "FLOP per byte", "rate"].map(String::from).into(),
        rows: Vec::new(),
    };
    let machines = 0..model.machines.len();
    let panels: Vec<Panel> = machines.filter_map(|machine| panel(model, machine, &mut table)).collect();
    if panels.is_empty() {
        return Vec::new();
    }
    for ceiling in (0..model.machines.len()).flat_map(|machine| measured(model, machine)) {
        table.rows.push(vec![
            probe_name(ceiling.probe).to_string(),
            text::threads(ceiling.threads),
            "roof".to_string(),
            roof_text(&ceiling),
        ]);
    }
    let all: Vec<&Contest> = model.contests.iter().collect();
    let about = format!(
        "Each point is a contender at its best number of threads: arithmetic over time, against arithmetic \
                 over compulsory bytes (each input and output byte once). Lines are roofs that probes measured in the \
                 same run. Programs whose data fits into a cache are left out unless arithmetic limits them.{}",
        may_be_above(&all)
    );
    vec![Scene {
        name: "roofline".to_string(),
        finding: finding(model),
        about,
        source: source(model),
        plot: Plot::Panels(panels),
        table,
    }]
}

/// Name of a probe for readers.
pub(in crate::report) fn probe_name(probe: ProbeKind) -> &'static str {
    match probe {
        ProbeKind::Fma => "f32 arithmetic",
        ProbeKind::Vnni => "8-bit arithmetic",
        ProbeKind::Bf16 => "bf16 arithmetic",
        ProbeKind::Read => "read",
        ProbeKind::Copy => "copy",
        ProbeKind::Triad => "triad",
        ProbeKind::Adam => "AdamW streams",
    }
}

fn roof_text(ceiling: &Ceil) -> String {
    let unit = if counts_operations(ceiling.probe) { "FLOP/s" } else { "B/s" };
    text::with_unit(ceiling.rate, unit)
}

fn flop_rate(contest: &Contest, time: &Interval) -> Interval {
    time.inverse().times(contest.work.flops as f64 * 1e9)
}

fn intensity(contest: &Contest) -> f64 {
    contest.work.flops as f64 / contest.work.bytes().max(1) as f64
}

/// A roof worth a line.
#[derive(Clone, Copy)]
struct Ceil {
    probe: ProbeKind,
    threads: usize,
    rate: f64,
}

/// What a machine was measured to give: by probes of their own where the run began with them, else by
/// the probes beside its samples.
fn measured(model: &Model, machine: usize) -> Vec<Ceil> {
    let rows = model.machines.get(machine).map_or(&[][..], |machine| &machine.peaks.rows);
    let own = rows.iter().filter(|peak| ["registers", "memory"].contains(&peak.place.as_str()));
    let own: Vec<Ceil> = own
        .filter_map(|peak| Some(Ceil { probe: peak.probe, threads: peak.threads, rate: *peak.rate.value()? }))
        .collect();
    if !own.is_empty() {
        return own;
    }
    let beside = model.ceilings.iter().filter(|(at, _)| *at == machine);
    beside.map(|(_, found)| Ceil { probe: found.probe, threads: found.threads, rate: found.rate }).collect()
}

/// f32 arithmetic on the most threads, then on one; and memory on the most threads.
fn roofs_of(model: &Model, machine: usize) -> (Vec<Ceil>, Option<Ceil>) {
    let all = measured(model, machine);
    let highest = |fits: &dyn Fn(&&Ceil) -> bool| {
        let order = |a: &&Ceil, b: &&Ceil| a.threads.cmp(&b.threads).then(a.rate.total_cmp(&b.rate));
        all.iter().filter(fits).max_by(order).copied()
    };
    let arithmetic = highest(&|ceil| ceil.probe == ProbeKind::Fma);
    let single = all.iter().find(|ceil| ceil.probe == ProbeKind::Fma && ceil.threads == 1).copied();
    let single = single.filter(|one| arithmetic.is_some_and(|top| top.threads > one.threads));
    let memory = highest(&|ceil| ceil.probe == ProbeKind::Triad)
        .or_else(|| highest(&|ceil| !counts_operations(ceil.probe)));
    (arithmetic.into_iter().chain(single).collect(), memory)
}

fn panel(model: &Model, machine: usize, table: &mut Numbers) -> Option<Panel> {
    let all: Vec<&Contest> = model
        .contests
        .iter()
        .filter(|contest| contest.machine == machine && contest.repeat == 0 && contest.work.flops > 0)
        .filter(|contest| is_f32(contest))
        .filter(|contest| is_of_memory(model, contest))
        .collect();
    let step = all.len().div_ceil(POINTS).max(1);
    let mut series: BTreeMap<String, Series> = BTreeMap::new();
    for contest in all.into_iter().step_by(step) {
        for (place, entrant) in contest.entrants.iter().filter(|entrant| entrant.is_sound()).enumerate() {
            let rate = flop_rate(contest, &entrant.time);
            let name = entrant.contender.backend.clone();
            table.rows.push(vec![
                contest.name(),
                entrant.name(),
                crate::units::significant(intensity(contest), 3),
                text::interval_with_unit(&rate, "FLOP/s"),
            ]);
            let entry = series.entry(name.clone()).or_insert_with(|| Series {
                label: name,
                look: entrant.look,
                joined: false,
                points: Vec::new(),
            });
            entry.points.push(Point {
                x: intensity(contest),
                y: rate.centre,
                interval: text::ends(&rate),
                label: if place == 0 { short_name(contest) } else { String::new() },
            });
        }
    }
    let (arithmetic, memory) = roofs_of(model, machine);
    let title = if model.machines.len() > 1 { model.machines[machine].name.clone() } else { String::new() };
    // Room at the right for the names of the roofs.
    let furthest = series.values().flat_map(|series| &series.points).map(|point| point.x).fold(0.0, f64::max);
    let x = axis("arithmetic intensity, FLOP per compulsory byte", Format::Plain);
    (!series.is_empty()).then(|| Panel {
        title,
        x: Axis { include: vec![furthest * 20.0], ..x },
        y: axis("rate, FLOP/s", Format::Prefix),
        series: series.into_values().collect(),
        roofs: lines(&arithmetic, memory),
        bands: Vec::new(),
    })
}

/// Whether the roof of f32 arithmetic is the one above a contest.
fn is_f32(contest: &Contest) -> bool {
    // Blocks of 8 bits may be widened: the unit says whether f32 was added up.
    let is_integer = contest.entrants.first().is_some_and(|entrant| entrant.rate.unit == "op/s");
    matches!(contest.precision(), "f32" | "q8") && !is_integer
}

/// Whether a contest is bound by arithmetic or too large for the caches: the roof of main memory says
/// nothing about what stays in a cache.
fn is_of_memory(model: &Model, contest: &Contest) -> bool {
    let counts_bytes = contest.entrants.first().is_some_and(|entrant| entrant.rate.unit == "B/s");
    let machine = model.machines.get(contest.machine);
    !counts_bytes || machine.and_then(|machine| machine.caches_hold(contest.footprint())) != Some(true)
}

fn axis(label: &str, format: Format) -> Axis {
    Axis { label: label.to_string(), scale: Scale::Log, format, include: Vec::new() }
}

/// `512` for a cube, the case's name for what has no extents.
fn short_name(contest: &Contest) -> String {
    let extents: Vec<&str> = contest.point.split(',').next().unwrap_or_default().split(" × ").collect();
    match extents.as_slice() {
        [first, rest @ ..] if !rest.is_empty() && rest.iter().all(|other| other == first) => {
            first.to_string()
        }
        [_, _, ..] => extents.join("×"),
        _ => contest.workload.clone(),
    }
}

/// Roofs from far left to far right, meeting at the highest one's ridge.
fn lines(arithmetic: &[Ceil], memory: Option<Ceil>) -> Vec<Roof> {
    const FAR: f64 = 1e9;
    let ridge = |ceiling: &Ceil| memory.map_or(1.0 / FAR, |memory| ceiling.rate / memory.rate);
    let flat = |ceiling: &Ceil| Roof {
        label: format!(
            "{}, {}: {}",
            probe_name(ceiling.probe),
            text::threads(ceiling.threads),
            roof_text(ceiling)
        ),
        points: vec![(ridge(ceiling), ceiling.rate), (FAR, ceiling.rate)],
        measured: true,
    };
    let mut roofs: Vec<Roof> = arithmetic.iter().map(flat).collect();
    if let Some(memory) = memory {
        let end = arithmetic.first().map_or(FAR, ridge);
        roofs.push(Roof {
            label: format!("memory, {}: {}", probe_name(memory.probe), roof_text(&memory)),
            points: vec![(1.0 / FAR, memory.rate / FAR), (end, end * memory.rate)],
            measured: true,
        });
    }
    roofs
}

fn finding(model: &Model) -> String {
    let machine = model.contests.first().map_or(0, |contest| contest.machine);
    match roofs_of(model, machine) {
        (arithmetic, Some(memory)) if !arithmetic.is_empty() => {
            let ridge = arithmetic[0].rate / memory.rate;
            format!(
                "Arithmetic peaks at {} and memory at {}: below {} FLOP per byte memory decides",
                roof_text(&arithmetic[0]),
                roof_text(&memory),
                crate::units::significant(ridge, 2)
            )
        }
        _ => "What the contenders reach over their arithmetic intensity".to_string(),
    }
}
