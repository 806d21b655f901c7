//! What a job costs elsewhere: controls, the answer as the page opens, and what the script needs to answer again.

use super::builder::Html;
use crate::advise::what_if::Costs;
use crate::advise::{Candidate, PriceBasis, TimeBasis};
use crate::compare::Interval;
use crate::report::model::{JobView, Model};
use crate::report::{text, what_if};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most sentences on what is left out.
const LEFT_OUT: usize = 6;

/// One slider: its id, its name, least, most, step.
type Slider = (&'static str, &'static str, f64, f64, f64);

/// All but the volume, whose ends are the job's.
const SLIDERS: [Slider; 4] = [
    ("kwh", "Electricity, $ per kWh", 0.0, 1.0, 0.01),
    ("utilisation", "Hours with work, %", 1.0, 100.0, 1.0),
    ("years", "Years of use", 1.0, 10.0, 0.5),
    ("price", "Price of B, % of today's", 5.0, 300.0, 5.0),
];

/// Writes the controls, the answer, and the table of candidates, above the section's charts.
pub(super) fn above(html: &mut Html, model: &Model) {
    let Some(job) = model.jobs.first() else { return };
    controls(html, model, job);
    html.raw("<p id=\"verdict\" role=\"status\">")
        .text(&job.verdict())
        .raw("</p><dl class=\"figures\" id=\"duel\">");
    for figure in job.figures() {
        html.raw("<div data-q=\"").raw(figure.id).raw("\"").raw(" data-v=\"");
        html.text(&figure.answer.as_ref().map_or(String::new(), numbers)).raw("\">");
        html.element("dt", "", &figure.label).element("dd", "value", &figure.value);
        html.element("dd", "note", &figure.note).raw("</div>");
    }
    html.raw("</dl>\n");
    candidates(html, job);
}

/// Low, centre and high in full, for whoever checks the script.
fn numbers(interval: &Interval) -> String {
    let number = |value: f64| if value.is_infinite() { "never".to_string() } else { value.to_string() };
    [interval.low, interval.centre, interval.high].map(number).join(" ")
}

/// Hidden until the script is there, with the data that it works on.
fn controls(html: &mut Html, model: &Model, job: &JobView) {
    let jobs: Vec<Value> = model.jobs.iter().map(data).collect();
    html.raw("<form id=\"turn\" hidden data-jobs=").json(&json!(jobs)).raw(">");
    for (id, name) in [("job", "Work"), ("a", "A: what there is"), ("b", "B: what might be better")] {
        html.raw("<p><label for=\"").raw(id).raw("\">").raw(name).raw("</label><select id=\"").raw(id);
        html.raw("\"></select></p>");
    }
    let power = job.settings.volume.log10();
    let volume = ("volume", "Volume of a month", job.ends.0, job.ends.1, 0.05);
    let now = [job.settings.kwh, job.settings.utilisation * 100.0, job.settings.years, 100.0, power];
    for ((id, name, least, most, step), value) in SLIDERS.into_iter().chain([volume]).zip(now) {
        html.raw("<p><label for=\"").raw(id).raw("\">").raw(name).raw("</label><input type=\"range\" id=\"");
        html.raw(id).raw("\"");
        for (attribute, number) in
            [(" min=\"", least), (" max=\"", most), (" step=\"", step), (" value=\"", value)]
        {
            html.raw(attribute).text(&crate::units::round_to(number, 9).to_string()).raw("\"");
        }
        html.raw("><output for=\"").raw(id).raw("\"></output></p>");
    }
    html.raw("<p><button type=\"button\" id=\"reset\">Back to where the page opened</button></p></form>");
}

/// What the script needs of a job.
fn data(job: &JobView) -> Value {
    let candidate = |each: &Candidate| {
        let swing = |swing: &crate::cost::Swing| json!({ "factor": swing.factor, "low": swing.low, "high": swing.high });
        json!({
            "name": crate::host::plain(&each.name),
            "basis": each.time.label(),
            "offer": each.offer,
            "swings": each.swings.iter().map(swing).collect::<Vec<_>>(),
            "cells": fixed(each),
        })
    };
    let settings = job.settings;
    json!({
        "subject": crate::host::plain(&job.subject),
        "unit": crate::host::plain(&job.unit),
        "units": crate::host::plain(&what_if::plural(&job.unit)),
        "per": job.per,
        "perUnit": crate::host::plain(&job.per_unit()),
        "currency": job.currency,
        "a": job.a,
        "b": job.b,
        "ends": job.ends,
        "settings": {
            "kwh": settings.kwh, "utilisation": settings.utilisation, "years": settings.years,
            "price": settings.price, "volume": settings.volume,
        },
        "assumed": assumed(job).iter().map(|sentence| crate::host::plain(sentence)).collect::<Vec<_>>(),
        "candidates": job.candidates.iter().map(candidate).collect::<Vec<_>>(),
    })
}

/// Cells of a candidate that nothing turns: time of an execution, where it comes from, the price's basis.
fn fixed(candidate: &Candidate) -> [String; 3] {
    let seconds = text::interval_with_unit(&candidate.seconds, "s");
    let price = match &candidate.price {
        PriceBasis::User => "the user's".to_string(),
        PriceBasis::Catalog { kind, date, stale } => {
            format!("{}, {date}{}", kind.label(), if *stale { " · stale" } else { "" })
        }
    };
    [seconds, candidate.time.label().to_string(), price]
}

/// Each thing that was assumed, once, with those that it is about where these are not all; then who is left out.
fn assumed(job: &JobView) -> Vec<String> {
    let mut about: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for candidate in &job.candidates {
        for sentence in &candidate.assumed {
            about.entry(sentence).or_default().push(&candidate.name);
        }
    }
    let all = job.candidates.len();
    let said = |(sentence, names): (&str, Vec<&str>)| match names.len() == all {
        true => sentence.to_string(),
        false => format!("{}: {sentence}", names.join("; ")),
    };
    let kept = job.left_out.iter().take(LEFT_OUT).map(|sentence| format!("Left out: {sentence}"));
    let more = job.left_out.len().saturating_sub(LEFT_OUT);
    let more = (more > 0).then(|| format!("Left out: {more} more; `cutgpu advise` says why"));
    about.into_iter().map(said).chain(kept).chain(more).collect()
}

fn candidates(html: &mut Html, job: &JobView) {
    html.raw("<div class=\"scroll tall\" tabindex=\"0\" role=\"region\" aria-label=\"Candidates\"><table id=\"candidates\"><thead><tr>");
    html.raw("<th scope=\"col\">Side<th scope=\"col\">Candidate<th scope=\"col\">$ per ")
        .text(&job.per_unit());
    html.raw(
        "<th scope=\"col\">$ a month<th scope=\"col\" class=\"r\">Machines<th scope=\"col\">One execution",
    );
    html.raw("<th scope=\"col\">Its time is<th scope=\"col\">Price<tbody>");
    for (place, (candidate, costs)) in job.candidates.iter().zip(&job.costs).enumerate() {
        candidate_row(html, job, place, candidate, costs);
    }
    html.raw("</table></div>\n");
    notes(html, job);
}

fn candidate_row(html: &mut Html, job: &JobView, place: usize, candidate: &Candidate, costs: &Costs) {
    html.raw("<tr><td>").raw(match place {
        _ if place == job.a => "A",
        _ if place == job.b => "B",
        _ => "",
    });
    html.raw("<td>").text(&candidate.name);
    for (interval, shown) in
        [(&costs.unit, job.unit_cost(&costs.unit)), (&costs.month, job.amount(&costs.month))]
    {
        html.raw("<td data-v=\"").text(&numbers(interval)).raw("\">").text(&shown);
    }
    html.raw("<td class=\"r\">").text(&what_if::count(costs.machines));
    for (number, cell) in fixed(candidate).iter().enumerate() {
        html.raw("<td>");
        match (number, candidate.time) {
            (1, TimeBasis::Measured) => html.raw("<b class=\"b measured\">measured</b>"),
            (1, _) => html.element("b", "b datasheet", cell),
            _ => html.text(cell),
        };
    }
}

/// What was assumed, and who is not in the table.
fn notes(html: &mut Html, job: &JobView) {
    html.raw("<details><summary>What was assumed, and who is left out</summary><ul class=\"prose\" id=\"assumed\">");
    for sentence in assumed(job) {
        html.raw("<li>").text(&sentence);
    }
    html.raw("</ul></details>\n");
}

/// Says how this machine comes among the candidates, where it is not.
pub(super) fn without_this_machine(html: &mut Html, model: &Model) {
    if model.money.machine_price.is_none() {
        html.raw(
            "<p class=\"source\">This machine is not among the candidates, because its price is not known: \
             <code>cutgpu report RUN --machine-price 1500</code> (bought) or <code>--machine-price 0.25/h</code> (rented) \
             adds it.</p>\n",
        );
    }
}
