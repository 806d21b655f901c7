//! The charts of the page. A new chart is its file and its row in [`CHARTS`].

mod history;
mod memory;
mod peers;
mod price;
mod roofline;
mod scaling;
mod share;
mod speedup;
mod training;
mod what_if;
mod work;

pub(super) use roofline::probe_name;

use super::model::{Contest, Entrant, Model};
use super::scene::Scene;
use super::text;
use crate::compare::Word;
use std::collections::BTreeMap;

/// Part of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What the reader can turn.
    WhatIf,
    /// How many times as fast.
    Speedup,
    /// Our own kernels beside libraries.
    Peers,
    /// Against the measured roofs.
    Roofline,
    /// Over size.
    Scaling,
    /// Money.
    Cost,
    /// Training beside inference and fine-tuning.
    Training,
    /// Bytes.
    Memory,
}

/// A chart of the page.
pub struct Chart {
    /// Where it stands.
    pub section: Section,
    /// Its scenes; none where the runs have nothing to show.
    pub scenes: fn(&Model) -> Vec<Scene>,
}

/// Every chart, in the order of the page.
pub const CHARTS: &[Chart] = &[
    Chart { section: Section::WhatIf, scenes: what_if::against_volume },
    Chart { section: Section::WhatIf, scenes: what_if::against_speed },
    Chart { section: Section::WhatIf, scenes: what_if::sensitivities },
    Chart { section: Section::Speedup, scenes: speedup::over_baseline },
    Chart { section: Section::Speedup, scenes: speedup::over_naive },
    Chart { section: Section::Peers, scenes: peers::peers },
    Chart { section: Section::Roofline, scenes: roofline::roofline },
    Chart { section: Section::Roofline, scenes: share::share },
    Chart { section: Section::Scaling, scenes: scaling::scaling },
    Chart { section: Section::Cost, scenes: work::cost_of_work },
    Chart { section: Section::Cost, scenes: price::capacity },
    Chart { section: Section::Cost, scenes: price::bandwidth },
    Chart { section: Section::Cost, scenes: history::over_time },
    Chart { section: Section::Cost, scenes: price::claim },
    Chart { section: Section::Training, scenes: training::time_by_use },
    Chart { section: Section::Training, scenes: training::memory_by_use },
    Chart { section: Section::Memory, scenes: memory::by_state },
];

/// Most groups of bars in one chart.
const GROUPS: usize = 12;
/// Most bars in one chart; the first groups may exceed it.
const ALL_BARS: usize = 20;
/// Most bars in one group.
const BARS: usize = 8;

/// Who measured, when, and with what.
fn source(model: &Model) -> String {
    let machines: Vec<&str> = model.machines.iter().map(|machine| machine.name.as_str()).collect();
    let day = |moment: &str| moment.split('T').next().unwrap_or_default().to_string();
    let first = model.runs.iter().map(|run| day(&run.span.0)).filter(|day| !day.is_empty()).min();
    let last = model.runs.iter().map(|run| day(&run.span.1)).max();
    let when = match (first, last) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (Some(first), _) => first,
        _ => "at an unknown time".to_string(),
    };
    format!("Measured {when} on {}; cutgpu {}.", machines.join(" and "), model.version)
}

/// What a group of bars is called: the machine comes first where there are several.
fn head(model: &Model, contest: &Contest) -> String {
    match model.machines.get(contest.machine) {
        Some(machine) if model.machines.len() > 1 => format!("{} · {}", contest.name(), machine.name),
        _ => contest.name(),
    }
}

/// Up to [`GROUPS`] contests that `wanted` accepts, with about [`ALL_BARS`] entrants: of each case and
/// machine in turn the largest, then the smallest, then those between; in the order measured.
fn representative(model: &Model, wanted: impl Fn(&Contest) -> bool) -> Vec<&Contest> {
    let mut cases: BTreeMap<(usize, &str, &str), Vec<usize>> = BTreeMap::new();
    for (number, contest) in model.contests.iter().enumerate() {
        if contest.repeat == 0 && wanted(contest) {
            cases.entry((contest.machine, &contest.suite, &contest.case)).or_default().push(number);
        }
    }
    let size = |number: &usize| {
        let contest = &model.contests[*number];
        contest.work.flops.max(contest.work.bytes())
    };
    let ordered = cases.into_values().map(|mut numbers| {
        numbers.sort_by_key(|number| std::cmp::Reverse(size(number)));
        ends_first(numbers)
    });
    let queues: Vec<Vec<usize>> = ordered.collect();
    let longest = queues.iter().map(Vec::len).max().unwrap_or(0);
    let mut bars = 0;
    let mut chosen: Vec<usize> = (0..longest)
        .flat_map(|turn| queues.iter().filter_map(move |queue| queue.get(turn).copied()))
        .take(GROUPS)
        .take_while(|number| {
            let has_room = bars < ALL_BARS;
            bars += model.contests[*number].entrants.len().min(BARS);
            has_room
        })
        .collect();
    chosen.sort_unstable();
    chosen.into_iter().map(|number| &model.contests[number]).collect()
}

/// The first, the last, the middle, then the rest.
fn ends_first(mut numbers: Vec<usize>) -> Vec<usize> {
    if numbers.len() > 2 {
        let last = numbers.remove(numbers.len() - 1);
        let middle = numbers.remove(numbers.len() / 2);
        numbers.splice(1..1, [last, middle]);
    }
    numbers
}

/// How many contests a chart shows of how many, where it does not show all.
fn shown_of(shown: usize, all: usize) -> String {
    if shown < all {
        format!(" Shown: {shown} of {}; all are in the table.", text::plural(all, "point"))
    } else {
        String::new()
    }
}

/// What stands behind a value whose record is not simply valid.
fn mark(entrant: &Entrant) -> &'static str {
    match entrant.validity.word {
        Word::Valid => "",
        Word::Suspect => " △",
        Word::Invalid => " invalid",
    }
}

/// What a mark means, where one of the contests' entrants has one.
fn marks(contests: &[&Contest]) -> &'static str {
    let mut entrants = contests.iter().flat_map(|contest| &contest.entrants);
    match entrants.any(|entrant| entrant.validity.word == Word::Suspect) {
        true => " △ SUSPECT: the table of cells says why.",
        false => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_case_come_first() {
        assert_eq!(ends_first(vec![9, 7, 5, 3, 1]), [9, 1, 5, 7, 3]);
        assert_eq!(ends_first(vec![2, 1]), [2, 1]);
        assert_eq!(ends_first(vec![]), Vec::<usize>::new());
    }
}
