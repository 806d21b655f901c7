//! Two runs side by side: first what differs around them, then what differs between their cells.

use super::builder::Html;
use super::figure::first_numbers;
use crate::report::compared as words;
use crate::report::model::{Model, Versus};
use crate::report::scene::Numbers;

/// Most facts, and most cells.
const ROWS: usize = 60;

/// Writes the comparison, where the page is of two runs.
pub(super) fn compared(html: &mut Html, model: &Model) {
    let (Some(versus), [a, b]) = (&model.versus, model.runs.as_slice()) else { return };
    super::open(html, "compared", "The two runs compared");
    html.raw("<p class=\"lead\">A is ").text(&a.name).raw(", B is ").text(&b.name);
    html.raw(". A ratio says something only as far as everything else was the same: so what differs comes first.</p>");
    differences(html, versus);
    match &versus.outcome {
        Err(why) => {
            html.raw("<h3>Their cells cannot be compared</h3><p>").text(why).raw(".</p>");
        }
        Ok(comparison) => {
            html.element("h3", "", &words::summary(comparison));
            html.raw("<p class=\"about\">SLOWER and FASTER: the whole interval of B's time over A's lies beyond the margin, ");
            html.text(&words::margin(comparison)).raw(", corrected for the number of cells. ");
            for shift in &comparison.machine {
                html.text(&words::machine(shift)).raw(". ");
            }
            html.raw("</p>");
            first_numbers(html, &words::cells(comparison), "Cells of both runs", ROWS);
            for lost in comparison.lost.iter().take(ROWS) {
                html.raw("<p class=\"source\">Lost in B: ").text(&lost.id.group).raw(" ");
                html.text(&lost.id.contender.to_string()).raw(": ").text(&lost.why).raw("</p>");
            }
        }
    }
    html.raw("</section>\n");
}

fn differences(html: &mut Html, versus: &Versus) {
    html.raw("<h3>What differs around them</h3>");
    if versus.differences.is_empty() {
        html.raw("<p>Nothing that the records tell: the same machine, build and libraries.</p>");
        return;
    }
    let rows = versus.differences.iter().map(|difference| {
        let [first, second] = [&difference.first, &difference.second].map(|fact| words::short(fact));
        vec![difference.what.clone(), first, second]
    });
    let columns = ["fact", "A", "B"].map(String::from).into();
    first_numbers(html, &Numbers { columns, rows: rows.collect() }, "What differs around the runs", ROWS);
}
