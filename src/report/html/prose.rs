//! What does not depend on the numbers: how they were made, and what they cannot say.

use super::builder::Html;
use super::cells::word;
use crate::compare::{Code, POLICY};
use crate::report::model::Model;
use std::collections::BTreeSet;

/// Writes how a number is made.
pub(super) fn method(html: &mut Html, model: &Model) {
    html.raw(
        "<ul class=\"prose\">\
         <li><b>Right before fast.</b> Every answer is checked against a double-precision reference within a stated \
         bound, on the very buffers that are timed. A wrong answer has no time.\
         <li><b>The unit of replication is a start</b>: a fresh process, at least three of them for a cell, since where \
         pages and threads land changes from start to start by more than samples do. Short suites visit every cell \
         several times, minutes apart. Each start gives the median of its samples; of five starts or more a fifth is \
         trimmed at either end; intervals are Student's over starts at 95 %, with what all cells of the run say about \
         how much starts differ.\
         <li><b>Contenders take turns</b> in rounds of shuffled order, and ratios are taken round by round: what \
         disturbs one disturbs the other.\
         <li><b>The A/A floor</b> comes from identical contenders with separate starts in the same run. A smaller \
         difference, or one under 2 %, is not called one.\
         <li><b>The best number of threads</b> is picked on odd rounds and reported from even ones, so that luck is not \
         counted as speed.\
         <li><b>Shares of the peak</b> are of what a probe reached just before each sample, on as many threads: the \
         machine as it was then. Samples that waited for a core were taken again, and are counted.\
         <li><b>Work is counted on paper</b>: a multiply-add is two operations; each input and output byte counts once.\
         <li><b>Outliers are counted and never dropped.</b></ul>",
    );
    html.raw("<p class=\"source\">Rules of validity: version ").text(&POLICY.to_string()).raw(". ");
    html.raw("Drawn by cutgpu ").text(&model.version).raw("; prices as known on ");
    html.text(&model.as_of.to_string()).raw(".</p>\n");
}

/// Writes the badges, and the reason codes that occur on this page.
pub(super) fn marks(html: &mut Html, model: &Model) {
    html.raw("<dl class=\"facts marks\">");
    let badges: [(&'static str, &'static str); 5] = [
        ("<b class=\"b measured\">measured</b>", "timed or counted on the named machine"),
        ("<b class=\"b derived\">derived</b>", "computed from measured numbers"),
        (
            "<b class=\"b datasheet\">datasheet</b>",
            "a maker's figure or a public price, or computed from them; hatched in charts",
        ),
        ("<b class=\"b user\">user</b>", "entered or assumed; change it and see"),
        ("<b class=\"b unverified\">unverified</b>", "no source confirms it; outlined in charts"),
    ];
    for (badge, meaning) in badges {
        html.raw("<div><dt>").raw(badge).raw("</dt><dd>").raw(meaning).raw("</dd></div>");
    }
    let reasons = model.rows.iter().flat_map(|row| &row.validity.reasons);
    let codes: BTreeSet<Code> = reasons.map(|reason| reason.code).collect();
    for code in codes {
        html.raw("<div><dt>");
        word(html, code.word());
        html.raw(" ").text(&code.name()).raw("</dt><dd>").raw(meaning(code)).raw("</dd></div>");
    }
    html.raw("</dl>\n");
}

/// What a reason code means to a reader.
fn meaning(code: Code) -> &'static str {
    match code {
        Code::Skipped => "not tried",
        Code::Failed => "tried and failed",
        Code::Wrong => "the answer was wrong",
        Code::Mistrusted => "so many outputs are zero that the check proves little",
        Code::FellBack => "something else than the backend that was named did the work",
        Code::FellBackPrecision => "a lower precision than the one that was named",
        Code::SoftwareAdapter => "a graphics interface that a CPU serves",
        Code::Scripted => "a scripted device, which measures nothing",
        Code::DebugBuild => "cutgpu was built without optimisation",
        Code::Throttled => "the device lowered its clock",
        Code::PowerCapped => "the device's power limit is below its default",
        Code::ForeignProcess => "others used the device",
        Code::ForeignUnknown => "whether others used the device could not be read",
        Code::Oversubscribed => "more threads than cores",
        Code::Quota => "more threads than the container's quota grants",
        Code::NoisyHost => "samples waited for a core, or the hypervisor took time",
        Code::Unconverged => "the budget ended before the interval was narrow",
        Code::FewStarts => "too few starts to know how much they differ",
        Code::CoarseClock => "samples too short for the clock",
        Code::ClockDoubt => "the device's clock and the host's disagree over long batches",
        Code::ProbeLow => "faster than its own probe: the peak is set too low",
    }
}

/// Writes what the page cannot say.
pub(super) fn limits(html: &mut Html, model: &Model) {
    html.raw("<ul class=\"prose\">");
    if model.runs.iter().any(|run| run.quick) {
        html.raw("<li>The windows of this run were short. Intervals are wider, and sustained numbers are of seconds, not of an hour of heat.");
    }
    if model.runs.iter().any(|run| run.floor.pairs == 0) {
        html.raw("<li>A run without twins has no A/A floor of its own: 2 % stands in for it.");
    }
    if model.machines.len() == 1 {
        html.raw("<li>One machine on one day. Another machine of the same model may differ by more than any interval here.");
    }
    html.raw(
        "<li>Lower bounds from datasheets assume that a device reaches its peak, which no program does. They say what is \
         impossible, not what is likely.\
         <li>Prices are observations with a date, and most of them are old. Memory prices moved by a factor of three within \
         eight months of 2026. Look up today's price before you buy.\
         <li>A card needs a host, a processor needs memory modules; neither is in a device's own price.\
         <li>Synthetic inputs of one distribution: sparsity, denormals or repeated values may run faster or slower.\
         <li>Energy is shown only where a counter could be read.</ul>\n",
    );
}
