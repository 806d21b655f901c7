//! Machines, runs, prices in full, and how to measure again.

use super::builder::Html;
use super::figure::numbers;
use crate::compare::counts_operations;
use crate::record::Reading;
use crate::report::charts::probe_name;
use crate::report::model::{Model, Row};
use crate::report::scene::Numbers;
use crate::report::text;
use std::collections::BTreeMap;

/// Most commands in the page.
const COMMANDS: usize = 40;

/// Writes what is known of each machine, its measured roofs, and the runs.
pub(super) fn machines(html: &mut Html, model: &Model) {
    for machine in &model.machines {
        html.element("h3", "", &machine.name).raw("<dl class=\"facts\">");
        for (name, fact) in &machine.facts {
            html.raw("<div>").element("dt", "", name);
            match fact {
                Reading::Value(value) => html.element("dd", "", value),
                Reading::Absent(why) => html.element("dd", "absent", why),
            };
            html.raw("</div>");
        }
        html.raw("</dl>\n");
    }
    let peaks = peaks(model);
    if !peaks.rows.is_empty() {
        html.raw("<h3>Ceilings measured before the run</h3>");
        numbers(html, &peaks, "Ceilings measured before the run");
    }
    html.raw("<h3>Probes beside the samples</h3>");
    numbers(html, &roofs(model), "Probes beside the samples");
    html.raw("<h3>Runs</h3>");
    numbers(html, &runs(model), "Runs");
}

/// Without the column of machines where there is only one.
fn for_machines(model: &Model, mut table: Numbers) -> Numbers {
    if model.machines.len() < 2 {
        table.columns.remove(0);
        table.rows.iter_mut().for_each(|row| drop(row.remove(0)));
    }
    table
}

fn peaks(model: &Model) -> Numbers {
    let all =
        model.machines.iter().flat_map(|machine| machine.peaks.rows.iter().map(move |peak| (machine, peak)));
    let row = |(machine, peak): (&crate::report::model::Machine, &crate::measure::peaks::Peak)| {
        let unit = if counts_operations(peak.probe) { "op/s" } else { "B/s" };
        let rate = match &peak.rate {
            Reading::Value(rate) => text::with_unit(*rate, unit),
            Reading::Absent(why) => format!("none: {why}"),
        };
        vec![
            machine.name.clone(),
            probe_name(peak.probe).to_string(),
            peak.place.clone(),
            peak.threads.to_string(),
            rate,
        ]
    };
    let columns = ["machine", "probe", "where", "threads", "best rate"].map(String::from).into();
    for_machines(model, Numbers { columns, rows: all.map(row).collect() })
}

fn roofs(model: &Model) -> Numbers {
    let row = |(machine, ceiling): &(usize, crate::compare::Ceiling)| {
        let unit = if counts_operations(ceiling.probe) { "op/s" } else { "B/s" };
        vec![
            model.machines.get(*machine).map_or(String::new(), |machine| machine.name.clone()),
            probe_name(ceiling.probe).to_string(),
            ceiling.threads.to_string(),
            text::with_unit(ceiling.rate, unit),
            format!(
                "{} to {}",
                text::with_unit(ceiling.range.0, unit),
                text::with_unit(ceiling.range.1, unit)
            ),
            text::grouped(ceiling.samples),
        ]
    };
    let columns = ["machine", "probe", "threads", "median", "5 % to 95 % of samples", "samples"];
    let columns = columns.map(String::from).into();
    for_machines(model, Numbers { columns, rows: model.ceilings.iter().map(row).collect() })
}

fn runs(model: &Model) -> Numbers {
    let row = |run: &crate::report::model::RunNote| {
        let lines = match run.rejected.as_slice() {
            [] => "none".to_string(),
            [(line, why), rest @ ..] => format!("{}: line {line}: {why}", 1 + rest.len()),
        };
        vec![
            run.name.clone(),
            format!("{} to {}", run.span.0, run.span.1),
            text::grouped(run.records),
            if run.quick { "short windows" } else { "full windows" }.to_string(),
            format!(
                "±{} % of {}",
                crate::units::significant(run.floor.value * 100.0, 2),
                text::plural(run.floor.pairs, "pair")
            ),
            lines,
        ]
    };
    let columns = ["run", "measured (UTC)", "records", "effort", "A/A floor", "lines that are no records"];
    Numbers { columns: columns.map(String::from).into(), rows: model.runs.iter().map(row).collect() }
}

/// Writes every known price of memory, one row an observation.
pub(super) fn prices(html: &mut Html, model: &Model) {
    let money = |money: Option<crate::catalog::Money>| money.map_or(String::new(), |money| money.to_string());
    let rows = model.money.memory.iter().flat_map(|(kind, prices)| {
        prices.iter().map(move |price| {
            let marks = [(price.stale, " · stale"), (price.unverified, " · unverified")];
            let marks: String = marks.into_iter().filter(|(set, _)| *set).map(|(_, mark)| mark).collect();
            let per = if kind.is_rent() { " an hour" } else { "" };
            vec![
                price.name.clone(),
                format!("{}{per}", kind.label()),
                money(price.per_gb),
                money(price.per_gb_s),
                format!("{}{marks}", price.date),
                price.source.clone(),
            ]
        })
    });
    let table = Numbers {
        columns: ["device", "kind of price", "$/GB", "$/(GB/s)", "date", "source"].map(String::from).into(),
        rows: rows.collect(),
    };
    if !table.rows.is_empty() {
        html.raw("<details><summary>Every price and its source</summary>");
        super::figure::all_numbers(html, &table, "Every price and its source");
        html.raw("</details>\n");
    }
}

/// Writes one command a group of cells.
pub(super) fn commands(html: &mut Html, model: &Model) {
    let mut groups: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    let mut order = Vec::new();
    for row in &model.rows {
        let rows = groups.entry(&row.group).or_default();
        if rows.is_empty() {
            order.push(row.group.as_str());
        }
        rows.push(row);
    }
    html.raw("<p>Each point again, with all of its contenders. Timed windows and order of contenders come from the suite.</p>");
    html.raw("<details><summary>Commands</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Commands\"><pre>");
    for group in order.iter().take(COMMANDS) {
        let Some(first) = groups.get(group).and_then(|rows| rows.first()) else { continue };
        html.text(&first.command).raw("\n");
    }
    html.raw("</pre></div>");
    if order.len() > COMMANDS {
        html.raw("<p class=\"source\">The command of every row is in cells.csv.</p>");
    }
    html.raw("</details>\n");
}
