//! The table of all cells, and the cells without a number.

use super::builder::Html;
use crate::compare::Word;
use crate::report::model::{Empty, Model, Row};
use crate::report::text;
use crate::units::{Nanos, significant};
use std::collections::BTreeMap;

/// Most rows in the page; the others are in the file beside it.
pub(super) const ROWS: usize = 1000;

/// Name of a column, whether it holds numbers, and its text. `assets/report.css` sets the numbers to the
/// right by their distance from the last column.
type Column = (&'static str, bool, fn(&Row) -> String);

/// Columns before the last one, which is the validity.
const COLUMNS: [Column; 9] = [
    ("Case", false, |row| row.case.clone()),
    ("Point", false, |row| row.point.clone()),
    ("Contender", false, |row| row.contender.to_string()),
    ("Rate", true, |row| text::with_unit(row.rate.value.centre, row.rate.unit)),
    ("Of peak", true, |row| row.share.map_or(String::new(), |share| text::percent(share.centre))),
    ("Speed-up", true, |row| row.speedup.map_or(String::new(), |gain| text::times(gain.centre))),
    ("Time", true, |row| Nanos(row.time.centre).to_string()),
    ("± 95 %", true, half_width),
    ("Clock", false, clock),
];

/// Points that are named for each reason.
const NAMED: usize = 4;

/// Writes the table of timed cells.
pub(super) fn cells(html: &mut Html, model: &Model) {
    let several = model.machines.len() > 1;
    html.raw("<div id=\"tools\" hidden><label>Filter <input id=\"filter\" type=\"search\" placeholder=\"gemm native valid\"></label>");
    html.raw(" <button id=\"copy\" type=\"button\">Copy as CSV</button> <span id=\"shown\" role=\"status\"></span></div>");
    html.raw("<div class=\"scroll tall\" tabindex=\"0\" role=\"region\" aria-label=\"Timed cells\"><table id=\"cells\"><thead><tr>");
    if several {
        html.raw("<th scope=\"col\">Machine");
    }
    for (name, is_number, _) in COLUMNS {
        html.raw(if is_number { "<th scope=\"col\" class=\"r\">" } else { "<th scope=\"col\">" }).raw(name);
    }
    html.raw("<th scope=\"col\">Validity<tbody>\n");
    let mut last = "";
    for row in model.rows.iter().take(ROWS) {
        let is_same = row.group == last;
        html.raw(if is_same { "<tr>" } else { "<tr class=\"g\">" });
        last = &row.group;
        if several {
            html.raw("<td>").text(model.machines.get(row.machine).map_or("", |machine| &machine.name));
        }
        write_row(html, row, is_same);
    }
    html.raw("</table></div>");
    let baseline = model.baseline.as_deref().unwrap_or("none");
    html.raw("<p class=\"source\">Speed-up is over ").text(baseline).raw(
        " in the same rounds. The clock covers many iterations with data already in place, unless it says so. ",
    );
    if model.rows.len() > ROWS {
        let (shown, all) = (text::grouped(ROWS), text::grouped(model.rows.len()));
        html.text(&format!("The first {shown} of {all} rows are shown; all are in the file. "));
    }
    html.raw("<a href=\"cells.csv\">cells.csv</a></p>\n");
}

/// First columns that a row leaves empty where they are those of the row above it; the script fills them in.
const NAMES: usize = 2;

fn write_row(html: &mut Html, row: &Row, is_same: bool) {
    for (place, (_, _, text)) in COLUMNS.iter().enumerate() {
        html.raw("<td>");
        if !(is_same && place < NAMES) {
            html.text(&text(row));
        }
    }
    html.raw(match row.validity.word {
        Word::Valid => "<td>VALID",
        Word::Suspect => "<td class=\"warn\">SUSPECT",
        Word::Invalid => "<td class=\"bad\">INVALID",
    });
    for reason in &row.validity.reasons {
        html.raw(" ").text(&reason.code.name());
    }
    html.raw("\n");
}

/// What the clock covered; that the data was already there and that one wait ended many iterations goes
/// without saying.
fn clock(row: &Row) -> String {
    let said = |word: &&str| !["resident", "throughput"].contains(word);
    let words = text::conditions(row.kind).into_iter().filter(said);
    words.collect::<Vec<_>>().join(", ")
}

fn half_width(row: &Row) -> String {
    match text::is_bounded(&row.time) {
        true => format!("{} %", significant(row.time.relative_half_width() * 100.0, 2)),
        false => "unknown".to_string(),
    }
}

/// A word of trust as a badge.
pub(super) fn word(html: &mut Html, word: Word) {
    html.raw(match word {
        Word::Valid => "<b class=\"good\">VALID</b>",
        Word::Suspect => "<b class=\"warn\">SUSPECT</b>",
        Word::Invalid => "<b class=\"bad\">INVALID</b>",
    });
}

/// Writes cells without a number, one row a reason.
pub(super) fn empties(html: &mut Html, model: &Model) {
    let mut reasons: BTreeMap<(&str, String, &str), Vec<&Empty>> = BTreeMap::new();
    for empty in &model.empties {
        let who = empty.contender.backend.clone();
        reasons.entry((empty.outcome, who, &empty.reason)).or_default().push(empty);
    }
    if reasons.is_empty() {
        html.raw("<p>Every cell of the plan gave a number.</p>\n");
        return;
    }
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Cells without a number\"><table><thead><tr>");
    html.raw("<th scope=\"col\">What<th scope=\"col\">Contender<th scope=\"col\">Why<th scope=\"col\" class=\"r\">Cells<th scope=\"col\">Where<tbody>");
    for ((outcome, who, reason), cells) in reasons {
        html.raw("<tr><td>").raw(match outcome {
            "skipped" => "<b>skipped</b>",
            "failed" => "<b class=\"warn\">failed</b>",
            _ => "<b class=\"bad\">wrong</b>",
        });
        html.raw("<td>").text(&who).raw("<td class=\"w\">").text(reason);
        html.raw("<td class=\"r\">").text(&text::grouped(cells.len()));
        let mut places: Vec<String> =
            cells.iter().map(|cell| format!("{} {}", cell.case, cell.point)).collect();
        places.dedup();
        let left = places.len().saturating_sub(NAMED);
        places.truncate(NAMED);
        html.raw("<td class=\"w\">").text(&places.join("; "));
        if left > 0 {
            html.text(&format!(" and {left} more"));
        }
    }
    html.raw("</table></div>\n");
}
