//! The page: one file that loads nothing, readable without its script.

mod builder;
mod cells;
mod claims;
mod compared;
mod facts;
mod figure;
mod policy;
mod prose;
mod standing;
mod what_if;

use super::charts::Section;
use super::draw::{DrawError, classes};
use super::model::{Basis, Headline, KeyFigure, Model};
use super::palette::{self, Theme};
use super::scene::Scene;
use super::text;
use builder::Html;

const STYLE: &str = include_str!("../../../assets/report.css");
/// Parts of the one script: the table, the cost model, what is turned, its drawings, the controls.
const SCRIPTS: [&str; 5] = [
    include_str!("../../../assets/report.js"),
    include_str!("../../../assets/cost.js"),
    include_str!("../../../assets/what-if.js"),
    include_str!("../../../assets/draw.js"),
    include_str!("../../../assets/controls.js"),
];
const REGULAR: &[u8] = include_bytes!("../../../assets/fonts/Inter-Regular.woff2");
const SEMIBOLD: &[u8] = include_bytes!("../../../assets/fonts/Inter-SemiBold.woff2");

/// Text from anywhere, made inert for markup: for content and for values in double quotes.
pub(super) fn inert(text: &str) -> String {
    let mut html = Html::default();
    html.text(text);
    html.finish()
}

/// Sections with charts: anchor, title, and what stands above the charts.
const SECTIONS: [(Section, &str, &str, &str); 8] = [
    (
        Section::WhatIf,
        "what-if",
        "What if",
        "What this work costs here and elsewhere, and what would change the answer. Turn what only you know.",
    ),
    (
        Section::Speedup,
        "speed-up",
        "Speed-up",
        "Every speed-up names its baseline and says how good that was.",
    ),
    (
        Section::Peers,
        "peers",
        "Beside the libraries",
        "This project's kernels and the best of the others, point by point. Packed and plain weights, and \
         numbers of threads, never share a ranking.",
    ),
    (Section::Roofline, "roofline", "Roofline", "How near to what this machine can do, by its own measure."),
    (Section::Scaling, "scaling", "Scaling", "How the rate grows with the size of the work."),
    (Section::Cost, "cost", "Cost", "Dated prices. Kinds of price are never mixed in one ranking."),
    (
        Section::Training,
        "training",
        "Training",
        "The loop of forward pass, backward pass and update, and what is left of it when less is trained.",
    ),
    (Section::Memory, "memory", "Memory", "What the work holds, and what a process needs for it."),
];

/// The finished page of a model with its charts. `with_png` links the pictures.
pub fn page(model: &Model, charts: &[(Section, Vec<Scene>)], with_png: bool) -> Result<String, DrawError> {
    let (style, script) = (style(), script());
    let mut html = Html::default();
    head(&mut html, model, charts, [&style, &script]);
    html.raw("<main>\n");
    answer(&mut html, model);
    for (section, anchor, title, about) in SECTIONS {
        let scenes: Vec<&Scene> = scenes_of(charts, section).collect();
        if scenes.is_empty() {
            continue;
        }
        open(&mut html, anchor, title);
        html.element("p", "lead", about);
        if section == Section::WhatIf {
            what_if::above(&mut html, model);
        }
        for scene in scenes {
            figure::figure(&mut html, scene, with_png)?;
        }
        match section {
            Section::WhatIf => what_if::without_this_machine(&mut html, model),
            Section::Cost => facts::prices(&mut html, model),
            Section::Peers => standing::peers(&mut html, model),
            _ => {}
        }
        html.raw("</section>\n");
    }
    tendencies(&mut html, model);
    claims::claims(&mut html, model);
    compared::compared(&mut html, model);
    tables(&mut html, model);
    html.raw("</main><footer>No network, no tracking: this file holds all that it shows.</footer>\n<script>");
    html.asset(&script).raw("</script>\n</body></html>\n");
    Ok(html.finish())
}

/// Most rows of each table of tendencies: `cutgpu compare` prints them all.
const TENDENCIES: usize = 30;

/// What fewer bits give and how work grows, where a run tells.
fn tendencies(html: &mut Html, model: &Model) {
    let bits = (
        "fewer-bits",
        "Fewer bits",
        "Products and layers beside the same in f32. Roofs say what the machine would allow; the error is of a \
         layer's answers from numbers of many digits.",
        super::tables::fewer_bits(&model.narrows),
    );
    let growth = (
        "growth",
        "How time and memory grow",
        "Power laws through each contender's points, with 95 % intervals; at the end: of the last two points.",
        super::tables::laws(&model.growths),
    );
    for (anchor, title, about, table) in [bits, growth] {
        if !table.rows.is_empty() {
            open(html, anchor, title);
            html.element("p", "lead", about);
            figure::first_numbers(html, &table, title, TENDENCIES);
            html.raw("</section>\n");
        }
    }
}

/// Everything below the charts.
fn tables(html: &mut Html, model: &Model) {
    type Part = fn(&mut Html, &Model);
    let parts: [(&'static str, &'static str, Part); 8] = [
        ("best", "The best at each point", standing::best),
        ("cells-section", "Every timed cell", cells::cells),
        ("empty", "Cells without a number", cells::empties),
        ("machine", "Machine and runs", facts::machines),
        ("method", "Method", prose::method),
        ("marks", "What the marks mean", prose::marks),
        ("limits", "Limits", prose::limits),
        ("commands", "Measure again", facts::commands),
    ];
    for (anchor, title, part) in parts {
        open(html, anchor, title);
        part(html, model);
        html.raw("</section>\n");
    }
}

fn open(html: &mut Html, anchor: &'static str, title: &'static str) {
    html.raw("<section id=\"").raw(anchor).raw("\"><h2>").raw(title).raw("</h2>\n");
}

/// The one style: fonts, colours of both themes, layout.
fn style() -> String {
    let face = |weight: u32, bytes: &[u8]| {
        format!(
            "@font-face{{font-family:Inter;font-weight:{weight};font-display:block;\
             src:url(data:font/woff2;base64,{}) format(\"woff2\")}}\n",
            policy::base64(bytes)
        )
    };
    let light = palette::variables(Theme::Light);
    let dark = palette::variables(Theme::Dark);
    let colours = format!(
        ":root{{color-scheme:light dark;{light}}}\n\
         @media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    );
    [face(400, REGULAR), face(600, SEMIBOLD), colours, classes(), STYLE.to_string()].concat()
}

/// The one script, without its comments and indents.
fn script() -> String {
    let lines = SCRIPTS.iter().flat_map(|part| part.lines()).map(str::trim_start);
    let kept: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with("//")).collect();
    kept.join("\n")
}

fn head(html: &mut Html, model: &Model, charts: &[(Section, Vec<Scene>)], [style, script]: [&str; 2]) {
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    html.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"");
    // The policy's quotes are single ones, which need no escape inside double ones.
    html.asset(&policy::policy(style, script)).raw("\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<title>cutgpu: ");
    html.text(&machines(model)).raw("</title>\n<style>").asset(style).raw("</style></head>\n<body>");
    html.raw("<a class=\"skip\" href=\"#answer\">Skip to the answer</a><header><p class=\"brand\">cutgpu</p><nav aria-label=\"Sections\"><ul>");
    let charts = SECTIONS.iter().filter(|(section, ..)| scenes_of(charts, *section).next().is_some());
    let charts = charts.map(|(_, anchor, title, _)| (*anchor, *title));
    let more = [
        (!model.claims.is_empty(), "claims", "Claims"),
        (model.versus.is_some(), "compared", "Compared"),
        (true, "cells-section", "Cells"),
        (true, "machine", "Machine"),
        (true, "method", "Method"),
        (true, "limits", "Limits"),
    ];
    let more = more.into_iter().filter(|(is_there, ..)| *is_there).map(|(_, anchor, name)| (anchor, name));
    for (anchor, name) in charts.chain(more) {
        html.raw("<li><a href=\"#").raw(anchor).raw("\">").raw(name).raw("</a>");
    }
    html.raw("</ul></nav></header>\n");
}

/// The scenes of a section.
fn scenes_of(charts: &[(Section, Vec<Scene>)], section: Section) -> impl Iterator<Item = &Scene> {
    charts.iter().filter(move |(at, _)| *at == section).flat_map(|(_, scenes)| scenes)
}

fn machines(model: &Model) -> String {
    model.machines.iter().map(|machine| machine.name.as_str()).collect::<Vec<_>>().join("; ")
}

/// The answer first.
fn answer(html: &mut Html, model: &Model) {
    let Headline { answer, beside, figures } = &model.headline;
    let runs: Vec<&str> = model.runs.iter().map(|run| run.name.as_str()).collect();
    let day = |moment: &str| moment.split('T').next().unwrap_or_default().to_string();
    let when = model.runs.first().map_or(String::new(), |run| day(&run.span.0));
    html.raw("<section id=\"answer\"><p class=\"kicker\">");
    html.text(
        &[text::plural(model.tally.cells, "cell"), when, format!("run {}", runs.join(", "))].join(" · "),
    );
    html.raw("</p>").element("h1", "", answer).raw("<ul class=\"beside\">");
    for sentence in beside {
        html.raw("<li>").text(sentence);
    }
    html.raw("</ul><dl class=\"figures\">");
    for figure in figures {
        key_figure(html, figure);
    }
    html.raw("</dl></section>\n");
}

fn key_figure(html: &mut Html, figure: &KeyFigure) {
    html.raw("<div>").element("dt", "", &figure.label).element("dd", "value", &figure.value);
    html.element("dd", "note", &figure.note).raw("<dd>").raw(match figure.basis {
        Basis::Measured => "<b class=\"b measured\">measured</b>",
        Basis::Derived => "<b class=\"b derived\">derived</b>",
        Basis::Datasheet => "<b class=\"b datasheet\">datasheet</b>",
        Basis::User => "<b class=\"b user\">user</b>",
        Basis::Unverified => "<b class=\"b unverified\">unverified</b>",
    });
    if let Some(word) = figure.word {
        html.raw(" ");
        cells::word(html, word);
    }
    html.raw("</dd></div>");
}
