//! Our own kernels beside the best peer, case by case: a chart for each number of threads.

use super::super::model::Model;
use super::super::palette::Role;
use super::super::scene::{Axis, Band, Bar, BarGroup, Bars, Fill, Format, Key, Part, Plot, Scale, Scene};
use super::super::standing;
use super::super::text;
use super::source;
use crate::backends::Packing;
use crate::compare::{self, LEAST_MARGIN, OWN, Overall, Standing};
use std::collections::BTreeSet;

/// How a packing is drawn.
const PACKINGS: [(Packing, &str, Role); 2] = [
    (Packing::Packed, "packed weights", Role::Series(0)),
    (Packing::Plain, "plain weights", Role::Series(1)),
];

/// Geometric means of the ratios of each case.
pub(super) fn peers(model: &Model) -> Vec<Scene> {
    let counts: BTreeSet<usize> = model.standings.iter().map(|(_, one)| one.lane.threads).collect();
    counts.into_iter().filter_map(|threads| chart(model, threads)).collect()
}

fn chart(model: &Model, threads: usize) -> Option<Scene> {
    let met = || model.standings.iter().map(|(_, one)| one).filter(|one| one.lane.threads == threads);
    let cases = compare::overall(met());
    let groups = groups(&cases);
    let about = format!(
        "Speed of {OWN} over the fastest other contender with {}: the geometric mean of the case's points, \
         whiskers from the least to the largest. The best peer is picked on odd rounds and judged on even ones; \
         packed and plain weights never share a ranking. A point is behind where its whole 95 % interval is below 1.",
        text::threads(threads)
    );
    (!groups.is_empty()).then(|| Scene {
        name: format!("peers-t{threads}"),
        finding: finding(&cases, threads, met()),
        about,
        source: source(model),
        plot: Plot::Bars(Bars {
            axis: Axis {
                label: "times as fast as the best peer (logarithmic)".to_string(),
                scale: Scale::Log,
                format: Format::Times,
                include: vec![1.0 - LEAST_MARGIN, 1.0 + LEAST_MARGIN],
            },
            origin: Some(1.0),
            groups,
            lines: Vec::new(),
            bands: vec![Band {
                from: 1.0 / (1.0 + LEAST_MARGIN),
                to: 1.0 + LEAST_MARGIN,
                label: "within 2 %".to_string(),
            }],
            legend: PACKINGS
                .map(|(_, label, role)| Key { label: label.to_string(), role, fill: Fill::Solid })
                .into(),
        }),
        table: standing::cases(&cases),
    })
}

/// One group a case, with a bar for each packing and clock.
fn groups(cases: &[Overall]) -> Vec<BarGroup> {
    let mut groups: Vec<BarGroup> = Vec::new();
    for case in cases {
        let Some((bar, share)) = bar(case).zip(Some(case.share)) else { continue };
        if groups.last().is_none_or(|group| group.label != case.case) {
            let note =
                share.map_or(String::new(), |share| format!("{} of the probe or more", text::percent(share)));
            groups.push(BarGroup { label: case.case.clone(), note, bars: Vec::new() });
        }
        if let Some(group) = groups.last_mut() {
            group.bars.push(bar);
        }
    }
    groups
}

fn bar(case: &Overall) -> Option<Bar> {
    let (ratio, (least, largest)) = (case.ratio?, case.range?);
    let (_, _, role) = PACKINGS.into_iter().find(|(packing, _, _)| *packing == case.lane.packing)?;
    let behind = if case.behind > 0 { format!(", {} behind", case.behind) } else { String::new() };
    let packing = if case.lane.packing == Packing::Packed { "packed" } else { "plain" };
    let points = text::plural(case.compared, "point");
    let clock: Vec<&str> =
        text::conditions(case.kind).into_iter().filter(|word| *word == "latency").collect();
    Some(Bar {
        label: [&[packing][..], &clock, &[&points]].concat().join(", "),
        value: format!("{}{behind}", text::times(ratio)),
        parts: vec![Part { until: ratio, role, fill: Fill::Solid }],
        interval: (case.compared > 1).then_some((least, largest)),
    })
}

fn finding<'a>(cases: &[Overall], threads: usize, met: impl Iterator<Item = &'a Standing>) -> String {
    let ratios: Vec<f64> = met.filter_map(|one| Some(one.against.as_ref()?.ratio.centre)).collect();
    let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len().max(1) as f64).exp();
    let behind: usize = cases.iter().map(|case| case.behind).sum();
    format!(
        "With {}, {OWN} is {} as fast as the best peer in the geometric mean of {}, and behind it at {behind}",
        text::threads(threads),
        text::times(mean),
        text::plural(ratios.len(), "point")
    )
}
