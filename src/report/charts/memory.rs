//! Bytes by state, on paper, and what a fresh process was measured to need.

use super::super::model::{Contest, Model};
use super::super::palette::Role;
use super::super::scene::{Axis, Bar, BarGroup, Bars, Fill, Format, Key, Numbers, Part, Plot, Scale, Scene};
use super::super::text;
use super::{head, representative, shown_of, source};
use crate::program::State;
use crate::record::Reading;
use crate::units::Bytes;
use std::collections::BTreeMap;

/// Most contenders whose measured peak is shown at one point.
const PEAKS: usize = 2;

/// Each state, what it is called, and its colour.
pub(super) const STATES: [(State, &str, u8); 6] = [
    (State::Batch, "batch", 0),
    (State::Parameter, "parameters", 1),
    (State::Activation, "activations", 2),
    (State::Gradient, "gradients", 3),
    (State::Optimizer, "optimizer", 5),
    (State::Workspace, "workspace", 4),
];

/// Stacked bars, one group a point.
pub(super) fn by_state(model: &Model) -> Vec<Scene> {
    // A point under one clock stands for the point under all of them.
    let mut seen = std::collections::BTreeSet::new();
    let firsts: Vec<(&str, &str)> =
        model.contests.iter().map(|contest| (contest.case.as_str(), contest.point.as_str())).collect();
    let is_first: Vec<bool> = firsts.iter().map(|key| seen.insert(*key)).collect();
    let largest: BTreeMap<&str, u64> = model.contests.iter().fold(BTreeMap::new(), |mut largest, contest| {
        let entry = largest.entry(contest.case.as_str()).or_default();
        *entry = contest.footprint().max(*entry);
        largest
    });
    let place = |wanted: &Contest| model.contests.iter().position(|contest| std::ptr::eq(contest, wanted));
    let worth = |contest: &Contest| {
        contest.footprint() > 0
            && largest.get(contest.case.as_str()) == Some(&contest.footprint())
            && place(contest).is_some_and(|place| is_first[place])
    };
    let contests = representative(model, worth);
    if contests.is_empty() {
        return Vec::new();
    }
    let mut table =
        Numbers { columns: ["point", "what", "bytes", "basis"].map(String::from).into(), rows: Vec::new() };
    let groups: Vec<BarGroup> = contests.iter().map(|contest| group(model, contest, &mut table)).collect();
    let used = |state: &State| contests.iter().any(|contest| contest.bytes.contains_key(state));
    let mut legend: Vec<Key> = STATES
        .iter()
        .filter(|(state, ..)| used(state))
        .map(|(_, name, number)| Key {
            label: name.to_string(),
            role: Role::Series(*number),
            fill: Fill::Hatched,
        })
        .collect();
    let is_measured = |contest: &&Contest| contest.entrants.iter().any(|e| e.memory.value().is_some());
    let peaks = if contests.iter().any(is_measured) {
        let label = "measured peak of a process".to_string();
        legend.push(Key { label, role: Role::Axis, fill: Fill::Solid });
        "Solid: the high-water mark of a fresh process over one execution, less what it held before loading; packed \
         copies and workspace are in it."
    } else {
        "What a process needs beyond them was not measured in this run."
    };
    let about = format!(
        "Hatched: bytes of the program's values by state, on paper. {peaks} The largest point of each case.{}",
        shown_of(contests.len(), largest.len())
    );
    let plot = Plot::Bars(Bars {
        axis: Axis {
            label: "bytes".to_string(),
            scale: Scale::Linear,
            format: Format::Prefix,
            include: vec![0.0],
        },
        origin: Some(0.0),
        groups,
        lines: Vec::new(),
        bands: Vec::new(),
        legend,
    });
    vec![Scene {
        name: "memory".to_string(),
        finding: finding(&contests),
        about,
        source: source(model),
        plot,
        table,
    }]
}

fn group(model: &Model, contest: &Contest, table: &mut Numbers) -> BarGroup {
    let mut until = 0.0;
    let mut parts = Vec::new();
    for (state, name, number) in STATES {
        let Some(bytes) = contest.bytes.get(&state) else { continue };
        until += *bytes as f64;
        parts.push(Part { until, role: Role::Series(number), fill: Fill::Hatched });
        let row = [head(model, contest), name.to_string(), Bytes(*bytes).to_string(), "on paper".to_string()];
        table.rows.push(row.into());
    }
    let value = Bytes(contest.footprint()).to_string();
    let mut bars = vec![Bar { label: "values, on paper".to_string(), value, parts, interval: None }];
    for entrant in contest.entrants.iter().filter(|entrant| entrant.is_sound()) {
        match &entrant.memory {
            Reading::Value(peak) if bars.len() <= PEAKS => {
                let value = Bytes(peak.peak).to_string();
                table.rows.push(vec![
                    head(model, contest),
                    entrant.name(),
                    value.clone(),
                    "measured".to_string(),
                ]);
                let part = Part { until: peak.peak as f64, role: Role::Axis, fill: Fill::Solid };
                bars.push(Bar { label: entrant.name(), value, parts: vec![part], interval: None });
            }
            Reading::Value(_) | Reading::Absent(_) => {}
        }
    }
    BarGroup { label: head(model, contest), note: String::new(), bars }
}

fn finding(contests: &[&Contest]) -> String {
    let worst = contests
        .iter()
        .flat_map(|contest| contest.entrants.iter().map(move |entrant| (contest, entrant)))
        .filter_map(|(contest, entrant)| {
            let peak = entrant.memory.value()?.peak as f64;
            let paper = contest.footprint() as f64;
            Some((peak / paper, contest, entrant))
        })
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match worst {
        Some((ratio, contest, entrant)) if ratio >= 1.05 => format!(
            "A process needs up to {} its values on paper ({}, {})",
            text::times(ratio),
            entrant.contender.backend,
            contest.case
        ),
        Some(_) => "Processes need what the values take on paper, and little more".to_string(),
        None => "What the values of each program take on paper, by state".to_string(),
    }
}
