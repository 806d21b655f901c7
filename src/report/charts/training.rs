//! Training beside inference and beside fine-tuning: bytes held by state, and time by phase.

use super::super::model::{Contest, Entrant, Model};
use super::super::palette::Role;
use super::super::scene::{Axis, Bar, BarGroup, Bars, Fill, Format, Key, Numbers, Part, Plot, Scale, Scene};
use super::super::text;
use super::memory::STATES;
use super::{GROUPS, mark, marks, source};
use crate::program::Phase;
use crate::workloads::{Param, Params};
use std::collections::BTreeMap;

/// Parameters that say how a model is used; models that differ in nothing else stand in one group.
const USES: [&str; 6] = ["mode", "last", "rank", "optimizer", "parts", "recompute"];

const PHASES: [(Phase, &str, u8); 4] = [
    (Phase::Forward, "forward", 0),
    (Phase::Backward, "backward", 3),
    (Phase::Update, "update", 5),
    (Phase::Transfer, "transfer", 4),
];

/// One use of a model on one contender.
struct Use<'a> {
    contest: &'a Contest,
    entrant: &'a Entrant,
    name: String,
}

/// The uses of one model by one backend on one machine, as large as each other.
struct Uses<'a> {
    title: String,
    uses: Vec<Use<'a>>,
}

fn said<'a>(params: &'a Params, axis: &str) -> Option<&'a str> {
    match params.get(axis)? {
        Param::Text(text) => Some(text),
        Param::Int(_) => None,
    }
}

/// `train`, `last 3 layers`, `lora, rank 8`, `train, recomputed`.
fn name_of(params: &Params) -> String {
    let number = |axis: &str| params.get(axis).map(Param::to_string).unwrap_or_default();
    let mode = said(params, "mode").unwrap_or_default();
    let mut name = match mode {
        "last" if number("last") == "1" => "last layer".to_string(),
        "last" => format!("last {} layers", number("last")),
        "lora" => format!("lora, rank {}", number("rank")),
        "features" => "head on cached features".to_string(),
        other => other.to_string(),
    };
    if said(params, "optimizer").is_some_and(|rule| rule != "adamw") && mode != "infer" {
        name += &format!(", {}", said(params, "optimizer").unwrap_or_default());
    }
    if said(params, "recompute") == Some("yes") {
        name += ", recomputed";
    }
    if !["", "1"].contains(&&*number("parts")) {
        name += &format!(", in {} parts", number("parts"));
    }
    name
}

/// Models that were trained and used in another way too, each by each backend.
fn models(model: &Model) -> Vec<Uses<'_>> {
    let mut found: BTreeMap<(usize, String, String), Vec<Use>> = BTreeMap::new();
    let mut order = Vec::new();
    for contest in model.contests.iter().filter(|contest| contest.repeat == 0) {
        if said(&contest.params, "mode").is_none() {
            continue;
        }
        let rest = contest.params.iter().filter(|(axis, _)| !USES.contains(&&***axis));
        let size: Vec<String> = rest.map(|(axis, value)| format!("{axis} {value}")).collect();
        for entrant in contest.entrants.iter().filter(|entrant| entrant.is_sound()) {
            let title = format!("{}, {}", contest.workload, size.join(", "));
            let key = (contest.machine, title, entrant.name());
            if !found.contains_key(&key) {
                order.push(key.clone());
            }
            let uses = found.entry(key).or_default();
            let name = name_of(&contest.params);
            if uses.iter().all(|other| other.name != name) {
                uses.push(Use { contest, entrant, name });
            }
        }
    }
    let several = |key: &(usize, String, String)| {
        let uses = found.remove(key)?;
        let trained = uses.iter().any(|each| said(&each.contest.params, "mode") == Some("train"));
        let place = model.machines.get(key.0).filter(|_| model.machines.len() > 1);
        let place = place.map(|machine| format!(", {}", machine.name)).unwrap_or_default();
        (trained && uses.len() > 1).then(|| Uses { title: format!("{} on {}{place}", key.1, key.2), uses })
    };
    order.iter().filter_map(several).collect()
}

impl Uses<'_> {
    /// The plain use in a mode: in one part, nothing computed twice.
    fn plain(&self, mode: &str) -> Option<&Use<'_>> {
        let is_plain = |each: &&Use| {
            let params = &each.contest.params;
            let is_one = params.get("parts").is_none_or(|parts| *parts == Param::Int(1));
            said(params, "mode") == Some(mode) && said(params, "recompute") != Some("yes") && is_one
        };
        self.uses.iter().filter(is_plain).min_by_key(|each| each.name.len())
    }

    /// How many times as much of `measure` a full step takes as the use in a mode.
    fn ratio(&self, mode: &str, measure: impl Fn(&Use) -> Option<f64> + Copy) -> Option<f64> {
        Some(measure(self.plain("train")?)? / measure(self.plain(mode)?)?)
    }
}

/// The largest group with a ratio, and the ratio.
fn told<'a, 'b>(
    all: &'b [Uses<'a>],
    mode: &str,
    measure: impl Fn(&Use) -> Option<f64> + Copy,
) -> Option<(&'b Uses<'a>, f64)> {
    let ratios = all.iter().filter_map(|uses| Some((uses, uses.ratio(mode, measure)?)));
    ratios.max_by_key(|(uses, _)| uses.uses.iter().map(|each| each.contest.work.flops).max())
}

fn held(each: &Use) -> Option<f64> {
    let held = &each.entrant.memory.value()?.held;
    Some(held.values().sum::<u64>() as f64)
}

fn time(each: &Use) -> Option<f64> {
    Some(each.entrant.time.centre)
}

/// A chart of stacked bars, one group a model.
fn scene(
    model: &Model,
    all: &[Uses],
    [name, finding, about]: [String; 3],
    axis: &str,
    legend: Vec<Key>,
    bar: impl Fn(&Use, &mut Vec<Vec<String>>) -> Option<Bar>,
) -> Option<Scene> {
    let columns = ["model", "use", "part", axis].map(String::from).into();
    let mut table = Numbers { columns, rows: Vec::new() };
    let group = |uses: &Uses| {
        let mut rows = Vec::new();
        let bars: Vec<Bar> = uses.uses.iter().filter_map(|each| bar(each, &mut rows)).collect();
        let head = |row: Vec<String>| [vec![uses.title.clone()], row].concat();
        table.rows.extend(rows.into_iter().map(head));
        (bars.len() > 1).then(|| BarGroup { label: uses.title.clone(), note: String::new(), bars })
    };
    let groups: Vec<BarGroup> = all.iter().filter_map(group).take(GROUPS).collect();
    if groups.is_empty() {
        return None;
    }
    let contests: Vec<&Contest> =
        all.iter().flat_map(|uses| uses.uses.iter().map(|each| each.contest)).collect();
    let about = format!("{about}{}", marks(&contests));
    let plot = Plot::Bars(Bars {
        axis: Axis {
            label: axis.to_string(),
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
    Some(Scene { name, finding, about, source: source(model), plot, table })
}

/// Bytes held by state, for each use of a model.
pub(super) fn memory_by_use(model: &Model) -> Vec<Scene> {
    let all = models(model);
    let finding = match told(&all, "infer", held) {
        Some((uses, ratio)) => {
            format!("A training step holds {} the memory of inference ({})", text::times(ratio), uses.title)
        }
        None => "What each use of a model holds, by state".to_string(),
    };
    let about = "The claim: inference needs much less GPU than training. Bytes that the backend held while a fresh \
                 process executed once: memory whose last reader is past is used again. In brackets, the process's own \
                 high-water mark."
        .to_string();
    let key = |(_, name, number): &(_, &str, u8)| Key {
        label: name.to_string(),
        role: Role::Series(*number),
        fill: Fill::Solid,
    };
    let legend = STATES.iter().map(key).collect();
    let bar = |each: &Use, rows: &mut Vec<Vec<String>>| {
        let peak = each.entrant.memory.value()?;
        let (mut until, mut parts) = (0.0, Vec::new());
        for (state, what, number) in STATES {
            let Some(bytes) = peak.held.get(&state) else { continue };
            until += *bytes as f64;
            parts.push(Part { until, role: Role::Series(number), fill: Fill::Solid });
            rows.push(vec![each.name.clone(), what.to_string(), crate::units::Bytes(*bytes).to_string()]);
        }
        if let Some(bytes) = peak.driver {
            let what = "all, as the device's driver counts it".to_string();
            rows.push(vec![each.name.clone(), what, crate::units::Bytes(bytes).to_string()]);
        }
        let value = format!("{} ({})", crate::units::Bytes(until as u64), crate::units::Bytes(peak.peak));
        Some(Bar { label: each.name.clone(), value, parts, interval: None })
    };
    let words = ["training-memory".to_string(), finding, about];
    scene(model, &all, words, "bytes", legend, bar).into_iter().collect()
}

/// Time by phase, for each use of a model.
pub(super) fn time_by_use(model: &Model) -> Vec<Scene> {
    let all = models(model);
    let against = |modes: &[&str]| {
        modes.iter().find_map(|mode| {
            let (uses, ratio) = told(&all, mode, time)?;
            Some((uses, format!("{} as long as “{}”", text::times(ratio), uses.plain(mode)?.name)))
        })
    };
    let live = against(&["last", "head", "lora"]);
    let least = against(&["features", "infer"]);
    let finding = match (live, least) {
        (Some((uses, live)), Some((others, least))) if uses.title == others.title => {
            format!("A full step takes {live}, {least} ({})", uses.title)
        }
        (Some((uses, ratio)), _) | (None, Some((uses, ratio))) => {
            format!("A full step takes {ratio} ({})", uses.title)
        }
        (None, None) => "Where the time of each use goes, by phase".to_string(),
    };
    let about = "The claim: fine-tuning the final layers is cheap. The length of a bar is the time of one execution, \
                 measured in rounds; its parts are in the proportion of the phases, which were timed step by step in a \
                 process of their own."
        .to_string();
    let key = |(_, name, number): &(_, &str, u8)| Key {
        label: name.to_string(),
        role: Role::Series(*number),
        fill: Fill::Solid,
    };
    let legend = PHASES[..3].iter().map(key).collect();
    let bar = |each: &Use, rows: &mut Vec<Vec<String>>| {
        let total = each.entrant.time.centre * 1e-9;
        let shares = shares(each)?;
        let (mut until, mut parts) = (0.0, Vec::new());
        for (share, (_, what, number)) in shares.into_iter().zip(PHASES).filter(|(share, _)| *share > 0.0) {
            until += share * total;
            parts.push(Part { until, role: Role::Series(number), fill: Fill::Solid });
            rows.push(vec![
                each.name.clone(),
                what.to_string(),
                format!("{}s", crate::units::si(share * total)),
            ]);
        }
        let value = format!("{}s{}", crate::units::si(total), mark(each.entrant));
        Some(Bar { label: each.name.clone(), value, parts, interval: None })
    };
    let words = ["training-time".to_string(), finding, about];
    scene(model, &all, words, "seconds", legend, bar).into_iter().collect()
}

/// Shares of the phases; inference is all forward. None where they were not measured.
fn shares(each: &Use) -> Option<[f64; 4]> {
    if said(&each.contest.params, "mode").is_some_and(|mode| ["infer", "decode"].contains(&mode)) {
        return Some([1.0, 0.0, 0.0, 0.0]);
    }
    let phases = each.entrant.phases.value()?;
    let total: f64 = phases.ns.values().sum();
    let share = |(phase, ..): (Phase, &str, u8)| phases.ns.get(&phase).copied().unwrap_or(0.0) / total;
    (total > 0.0).then(|| PHASES.map(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_called_by_what_sets_it_apart() {
        let params = |pairs: &[(&str, &str)]| -> Params {
            let value = |text: &str| text.parse().map_or_else(|_| Param::Text(text.to_string()), Param::Int);
            pairs.iter().map(|(axis, text)| (axis.to_string(), value(text))).collect()
        };
        let plain =
            [("optimizer", "adamw"), ("parts", "1"), ("recompute", "no"), ("last", "3"), ("rank", "8")];
        for (more, name) in [
            (vec![("mode", "train")], "train"),
            (vec![("mode", "last")], "last 3 layers"),
            (vec![("mode", "last"), ("last", "1")], "last layer"),
            (vec![("mode", "lora")], "lora, rank 8"),
            (vec![("mode", "train"), ("recompute", "yes"), ("parts", "4")], "train, recomputed, in 4 parts"),
            (vec![("mode", "train"), ("optimizer", "sgd")], "train, sgd"),
        ] {
            let mut all = params(&plain);
            all.extend(params(&more));
            assert_eq!(name_of(&all), name);
        }
    }
}
