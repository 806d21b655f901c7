//! The article's claims with their findings, and the one of 200 times spread out.

use super::builder::Html;
use super::figure::first_numbers;
use crate::claims::{Finding, Judgement};
use crate::report::claims as words;
use crate::report::model::Model;

/// Most rows of the matrix.
const ROWS: usize = 40;

/// Writes each claim, what its source measured, both baselines and the finding.
pub(super) fn claims(html: &mut Html, model: &Model) {
    if model.claims.is_empty() {
        return;
    }
    super::open(html, "claims", "Claims");
    html.raw(
        "<p class=\"lead\">What “Cut GPU from machine learning” says, tried by these runs and by dated prices: over the \
         claim's own baseline and over an honest one. Whole intervals decide.</p>",
    );
    for claim in &model.claims {
        one(html, claim);
    }
    if !model.matrix.is_empty() {
        html.raw("<h3>Up to 200 times, spread out</h3><p class=\"about\">Times as fast, with 95 % intervals, over three \
                  baselines of a processor. ");
        if !model.matrix.iter().any(|row| row.gpu) {
            html.raw("These runs have no graphics card: the factors are of the processor over itself, which shows how much \
                      of such a factor is no graphics card at all.");
        }
        html.raw("</p>");
        first_numbers(html, &words::spread(&model.matrix), "Up to 200 times, spread out", ROWS);
    }
    html.raw("</section>\n");
}

fn one(html: &mut Html, claim: &Judgement) {
    html.raw("<div class=\"claim\"><h3>").raw(match claim.finding {
        Finding::Reproduced => "<b class=\"good\">REPRODUCED</b>",
        Finding::Partial => "<b class=\"warn\">PARTIAL</b>",
        Finding::BaselineDependent => "<b class=\"warn\">BASELINE-DEPENDENT</b>",
        Finding::NotReproduced => "<b class=\"bad\">NOT REPRODUCED</b>",
        Finding::NotTestable => "<b>NOT TESTABLE HERE</b>",
    });
    html.raw(" ").text(claim.id).raw(": ").text(claim.sentence).raw("</h3><dl class=\"facts\">");
    let sides = [("Over its own baseline", &claim.own), ("Over an honest one", &claim.honest)];
    let mut fact = |name: &str, text: &str| {
        html.raw("<div>").element("dt", "", name).element("dd", "", text).raw("</div>");
    };
    fact("Claimed", &words::promised(&claim.promise));
    fact("Its source", claim.source);
    for (name, side) in sides {
        fact(name, &format!("{}: {}", side.baseline, words::shown(side)));
    }
    if let Some(reason) = &claim.reason {
        fact("Note", reason);
    }
    html.raw("</dl></div>\n");
}
