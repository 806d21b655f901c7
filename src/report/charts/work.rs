//! What a unit of work costs: on this machine by measured times, on others by their datasheets at best.

use super::super::model::{Model, WorkCost};
use super::super::palette::Role;
use super::super::scene::{Axis, Bar, BarGroup, Bars, Fill, Format, Key, Numbers, Part, Plot, Scale, Scene};
use crate::catalog::PriceKind;
use crate::cost::{HourlyBasis, UnitCost};

/// Kinds of price that are drawn, each a ranking of its own; the others are in the table.
const KINDS: [PriceKind; 2] = [PriceKind::StreetNew, PriceKind::CloudOnDemand];
/// Most devices of one kind.
const DEVICES: usize = 4;

/// One chart a subject.
pub(super) fn cost_of_work(model: &Model) -> Vec<Scene> {
    model.money.work.iter().filter_map(|work| chart(model, work)).collect()
}

fn chart(model: &Model, work: &WorkCost) -> Option<Scene> {
    let drawn = || KINDS.iter().filter_map(|kind| Some((*kind, work.datasheet.get(kind)?)));
    let amounts: Vec<f64> = drawn()
        .flat_map(|(_, costs)| costs.iter().take(DEVICES))
        .chain(&work.measured)
        .map(|cost| cost.cost[1].amount)
        .collect();
    let least = amounts.iter().copied().reduce(f64::min)?;
    let mut groups: Vec<BarGroup> = vec![this_machine(work)];
    groups.extend(drawn().map(|(kind, costs)| datasheet_group(kind, costs)));
    let oldest = drawn().flat_map(|(_, costs)| costs).map(|cost| cost.hourly.date).min();
    let assumed = model.money.assumptions;
    let about = format!(
        "$ per {} of {} in {}. Solid: this machine, measured {}. Hatched: the least that the maker's peaks allow, which \
         no program reaches; never a measurement. Bought hardware is written off over {} years at {} % use, with {} $/kWh \
         × {} for cooling where watts are known; a card's host is not in its price.",
        work.unit,
        work.subject,
        work.precision,
        if work.sustained { "in a long window alone" } else { "in short slices (no long window in the run)" },
        assumed.years,
        assumed.utilisation * 100.0,
        assumed.energy_price,
        assumed.pue,
    );
    Some(Scene {
        name: format!("cost-{}", work.stem),
        finding: finding(work),
        about,
        source: oldest.map_or(String::new(), |oldest| {
            format!("{} Dated public prices and datasheets; oldest price: {oldest}.", super::source(model))
        }),
        plot: Plot::Bars(Bars {
            axis: Axis {
                label: format!("$ per {} (logarithmic)", work.unit),
                scale: Scale::Log,
                format: Format::Dollars,
                include: vec![least / 2.0],
            },
            origin: None,
            groups,
            lines: Vec::new(),
            bands: Vec::new(),
            legend: vec![
                Key { label: "measured here".to_string(), role: Role::Series(0), fill: Fill::Solid },
                Key {
                    label: "lower bound from a datasheet".to_string(),
                    role: Role::Series(1),
                    fill: Fill::Hatched,
                },
            ],
        }),
        table: numbers(work),
    })
}

fn this_machine(work: &WorkCost) -> BarGroup {
    let bar = |cost: &UnitCost| Bar {
        label: cost.name.clone(),
        value: cost.cost[1].to_string(),
        parts: vec![Part { until: cost.cost[1].amount, role: Role::Series(0), fill: Fill::Solid }],
        interval: (cost.cost[0].amount < cost.cost[2].amount)
            .then(|| (cost.cost[0].amount, cost.cost[2].amount)),
    };
    let note = match work.measured.first() {
        Some(cost) => format!("{} an hour by the user's price", cost.hourly.amount),
        None => "its price is not known: give --machine-price 1500 or --machine-price 0.25/h".to_string(),
    };
    BarGroup {
        label: "this machine, measured".to_string(),
        note,
        bars: work.measured.iter().map(bar).collect(),
    }
}

fn datasheet_group(kind: PriceKind, costs: &[UnitCost]) -> BarGroup {
    let bar = |cost: &UnitCost| Bar {
        label: cost.name.clone(),
        value: format!(
            "≥ {} · {}{}",
            cost.cost[1],
            cost.hourly.date,
            if cost.hourly.stale { " · stale" } else { "" }
        ),
        parts: vec![Part { until: cost.cost[1].amount, role: Role::Series(1), fill: Fill::Hatched }],
        interval: None,
    };
    let left = costs.len().saturating_sub(DEVICES);
    BarGroup {
        label: format!("at the datasheet's peak, price: {}", kind.label()),
        note: if left > 0 { format!("and {left} dearer in the numbers below") } else { String::new() },
        bars: costs.iter().take(DEVICES).map(bar).collect(),
    }
}

fn finding(work: &WorkCost) -> String {
    let datasheet = KINDS.iter().find_map(|kind| work.datasheet.get(kind)?.first());
    let measured = work.measured.iter().min_by(|a, b| a.cost[1].amount.total_cmp(&b.cost[1].amount));
    match (measured, datasheet) {
        (Some(here), Some(there)) => format!(
            "{} here for a {}; at its datasheet's peak a {} would need {}",
            here.cost[1], work.unit, there.name, there.cost[1]
        ),
        (None, Some(there)) => {
            format!(
                "A {} costs at least {} on {}, if it reached its datasheet",
                work.unit, there.cost[1], there.name
            )
        }
        (Some(here), None) => format!("{} here for a {}", here.cost[1], work.unit),
        (None, None) => format!("What a {} costs", work.unit),
    }
}

fn numbers(work: &WorkCost) -> Numbers {
    let basis = |cost: &UnitCost| match cost.hourly.basis {
        HourlyBasis::User => "the user's price".to_string(),
        HourlyBasis::Rent(kind) | HourlyBasis::Purchase(kind) => kind.label().to_string(),
    };
    let row = |cost: &UnitCost, rate: &str| {
        vec![
            cost.name.clone(),
            cost.cost[1].to_string(),
            rate.to_string(),
            cost.hourly.amount.to_string(),
            basis(cost),
            cost.hourly.date.to_string() + if cost.hourly.stale { " · stale" } else { "" },
        ]
    };
    let measured = work.measured.iter().map(|cost| row(cost, "measured"));
    let datasheet = work.datasheet.values().flatten().map(|cost| row(cost, "datasheet, lower bound"));
    Numbers {
        columns: ["device", "$ a unit", "rate", "$ an hour", "price", "date"].map(String::from).into(),
        rows: measured.chain(datasheet).collect(),
    }
}
