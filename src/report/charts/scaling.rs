//! Rate over size, one panel a workload.

use super::super::model::{Contest, Model};
use super::super::scene::{Axis, Format, Numbers, Panel, Plot, Point, Roof, Scale, Scene, Series};
use super::super::text;
use super::source;
use crate::plan::SeriesKind;
use crate::workloads::{Param, Params};
use std::collections::BTreeMap;

/// Most panels.
const PANELS: usize = 6;
/// Fewest sizes that make a curve.
const SIZES: usize = 2;
/// Most sizes in one panel.
const MOST: usize = 12;

/// One workload swept over one size.
struct Sweep<'a> {
    title: String,
    axis: String,
    contests: Vec<(f64, &'a Contest)>,
}

/// Panels of the workloads with the most sizes, in the order measured.
pub(super) fn scaling(model: &Model) -> Vec<Scene> {
    let mut sweeps = sweeps(model);
    let all = sweeps.len();
    let mut lengths: Vec<usize> = sweeps.iter().map(|sweep| sweep.contests.len()).collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    let least = lengths.get(PANELS - 1).copied().unwrap_or(0);
    sweeps.retain(|sweep| sweep.contests.len() >= least);
    sweeps.truncate(PANELS);
    if sweeps.is_empty() {
        return Vec::new();
    }
    let mut table = Numbers {
        columns: ["workload", "size", "contender", "rate", "share of measured peak"].map(String::from).into(),
        rows: Vec::new(),
    };
    let panels = sweeps.iter().map(|sweep| panel(sweep, &mut table)).collect();
    let about = format!(
        "Rate of each contender at its best number of threads. The grey line is the probe that ran beside the \
         fastest one: what the machine gave at that size. Whiskers: 95 % intervals, where they are wider than the \
         marker.{}",
        if all > sweeps.len() { " Workloads with fewer sizes are in the table." } else { "" }
    );
    vec![Scene {
        name: "scaling".to_string(),
        finding: finding(&sweeps),
        about,
        source: source(model),
        plot: Plot::Panels(panels),
        table,
    }]
}

fn sweeps(model: &Model) -> Vec<Sweep<'_>> {
    type Key<'a> = (usize, usize, &'a str, SeriesKind, Vec<(&'a str, &'a str)>);
    let mut kinds: BTreeMap<Key, (usize, Vec<&Contest>)> = BTreeMap::new();
    for (number, contest) in model.contests.iter().enumerate().filter(|(_, contest)| contest.repeat == 0) {
        let words = contest.params.iter().filter_map(|(axis, value)| match value {
            Param::Text(text) => Some((axis.as_str(), text.as_str())),
            Param::Int(_) => None,
        });
        let key = (contest.run, contest.machine, &*contest.workload, contest.kind, words.collect());
        kinds.entry(key).or_insert((number, Vec::new())).1.push(contest);
    }
    let mut found: Vec<(usize, Sweep)> =
        kinds.into_values().filter_map(|(first, contests)| Some((first, sweep(model, &contests)?))).collect();
    found.sort_by_key(|(first, _)| *first);
    found.into_iter().map(|(_, sweep)| sweep).collect()
}

/// The points at which one size varies, or several together: those of the first axis that gives most.
fn sweep<'a>(model: &Model, contests: &[&'a Contest]) -> Option<Sweep<'a>> {
    let sizes: Vec<BTreeMap<&str, u64>> = contests.iter().map(|contest| sizes(&contest.params)).collect();
    let first = sizes.first()?;
    let varying: Vec<&str> = first
        .keys()
        .copied()
        .filter(|axis| sizes.iter().any(|other| other.get(axis) != first.get(axis)))
        .collect();
    // All together, as in a cube; or one alone, the others as they are most often.
    let together = (
        varying.join(" = "),
        points(contests, &sizes, |size| {
            let lead = size.get(varying.first()?)?;
            varying.iter().all(|axis| size.get(axis) == Some(lead)).then_some(*lead)
        }),
    );
    let alone = varying.iter().map(|axis| {
        let rest = |size: &BTreeMap<&str, u64>| -> Vec<(String, u64)> {
            size.iter()
                .filter(|(other, _)| *other != axis)
                .map(|(name, value)| (name.to_string(), *value))
                .collect()
        };
        let mut counts: BTreeMap<Vec<(String, u64)>, usize> = BTreeMap::new();
        sizes.iter().for_each(|size| *counts.entry(rest(size)).or_default() += 1);
        let usual = counts.into_iter().max_by_key(|(_, count)| *count).map(|(rest, _)| rest);
        (
            axis.to_string(),
            points(contests, &sizes, |size| (Some(rest(size)) == usual).then(|| size.get(axis).copied())?),
        )
    });
    let all: Vec<(String, Vec<(f64, &Contest)>)> = std::iter::once(together).chain(alone).collect();
    let most = all.iter().map(|(_, points)| points.len()).max()?;
    let (axis, points) = all.into_iter().find(|(_, points)| points.len() == most)?;
    let kept = points.first()?.1;
    let machine = if model.machines.len() > 1 {
        format!(" · {}", model.machines.get(kept.machine)?.name)
    } else {
        String::new()
    };
    let order = if axis == "k = m = n" { "m = n = k".to_string() } else { axis };
    (points.len() >= SIZES).then(|| Sweep {
        title: format!("{}{}{machine}", kept.workload, unusual(kept)),
        axis: order,
        contests: points,
    })
}

fn sizes(params: &Params) -> BTreeMap<&str, u64> {
    let int = |value: &Param| if let Param::Int(value) = value { Some(*value) } else { None };
    params.iter().filter_map(|(axis, value)| Some((axis.as_str(), int(value)?))).collect()
}

/// Contests with the size that `of` gives them, in order, thinned to [`MOST`].
fn points<'a>(
    contests: &[&'a Contest],
    sizes: &[BTreeMap<&str, u64>],
    of: impl Fn(&BTreeMap<&str, u64>) -> Option<u64>,
) -> Vec<(f64, &'a Contest)> {
    let mut points: Vec<(f64, &Contest)> =
        sizes.iter().zip(contests).filter_map(|(size, contest)| Some((of(size)? as f64, *contest))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points.dedup_by(|a, b| a.0 == b.0);
    let step = points.len().div_ceil(MOST).max(1);
    points.into_iter().step_by(step).collect()
}

/// What sets a contest's parameters and clock apart, for titles.
fn unusual(contest: &Contest) -> String {
    let words = contest.params.iter().filter_map(|(axis, value)| match value {
        Param::Text(text) if axis == "dtype" => Some(text.clone()),
        _ => None,
    });
    let clock =
        text::conditions(contest.kind).into_iter().filter(|word| !["resident", "throughput"].contains(word));
    let all: Vec<String> = words.chain(clock.map(str::to_string)).collect();
    if all.is_empty() { String::new() } else { format!(", {}", all.join(", ")) }
}

fn panel(sweep: &Sweep, table: &mut Numbers) -> Panel {
    let mut series: BTreeMap<String, Series> = BTreeMap::new();
    let mut roof = Vec::new();
    let mut unit = "FLOP/s";
    for (size, contest) in &sweep.contests {
        for (place, entrant) in contest.entrants.iter().filter(|entrant| entrant.is_sound()).enumerate() {
            unit = entrant.rate.unit;
            let name = match entrant.contender.lane.packing {
                crate::backends::Packing::Plain => entrant.contender.backend.clone(),
                crate::backends::Packing::Packed => format!("{} packed", entrant.contender.backend),
            };
            let share = entrant.share.map_or(String::new(), |share| text::interval_percent(&share));
            table.rows.push(vec![
                sweep.title.clone(),
                contest.point.clone(),
                entrant.name(),
                text::interval_with_unit(&entrant.rate.value, unit),
                share,
            ]);
            if let (0, Some(share)) = (place, entrant.share) {
                roof.push((*size, entrant.rate.value.centre / share.centre));
            }
            let entry = series.entry(name.clone()).or_insert_with(|| Series {
                label: name,
                look: entrant.look,
                joined: true,
                points: Vec::new(),
            });
            entry.points.push(Point {
                x: *size,
                y: entrant.rate.value.centre,
                interval: text::ends(&entrant.rate.value),
                label: String::new(),
            });
        }
    }
    let roofs = if roof.len() > 1 {
        vec![Roof { label: "measured peak".to_string(), points: roof, measured: true }]
    } else {
        Vec::new()
    };
    let x_format = if sweep.axis == "bytes" { Format::Binary } else { Format::Plain };
    Panel {
        title: sweep.title.clone(),
        x: Axis { label: sweep.axis.clone(), scale: Scale::Log, format: x_format, include: Vec::new() },
        y: Axis {
            label: format!("rate, {unit}"),
            scale: Scale::Log,
            format: Format::Prefix,
            include: Vec::new(),
        },
        series: series.into_values().collect(),
        roofs,
        bands: Vec::new(),
    }
}

/// From which size on the first workload's winner has nine tenths of its best share.
fn finding(sweeps: &[Sweep]) -> String {
    let Some(sweep) = sweeps.first() else { return String::new() };
    let best = |contest: &Contest| {
        contest.entrants.iter().find(|entrant| entrant.is_sound()).map(|entrant| entrant.rate.value.centre)
    };
    let rates: Vec<(f64, f64)> =
        sweep.contests.iter().filter_map(|(size, contest)| Some((*size, best(contest)?))).collect();
    let top = rates.iter().map(|rate| rate.1).fold(0.0, f64::max);
    match rates.iter().find(|rate| rate.1 >= 0.9 * top) {
        Some((size, _)) if rates.len() > 2 => format!(
            "{}: nine tenths of the best rate are reached from {} = {size} on",
            sweep.title, sweep.axis
        ),
        _ => "How the rate changes with the size of the work".to_string(),
    }
}
