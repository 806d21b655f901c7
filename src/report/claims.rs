//! The article's claims in words, for the page and for the terminal.

use super::scene::Numbers;
use crate::claims::{BASELINES, Promise, Row, Side};
use crate::compare::Interval;
use crate::units::significant;

/// `10 times as much`.
pub fn promised(promise: &Promise) -> String {
    format!("{} {}", promise.factor, promise.unit)
}

/// A ratio with its interval; an end that is not known is `?`.
pub fn ratio(ratio: &Interval) -> String {
    let number = |value: f64| if value.is_finite() { significant(value, 3) } else { "?".to_string() };
    match ratio.low == ratio.high {
        true => number(ratio.centre),
        false => format!("{} ({} to {})", number(ratio.centre), number(ratio.low), number(ratio.high)),
    }
}

/// What was measured over a baseline, with a mark where the cell that counts is SUSPECT; `-` where nothing was.
pub fn measured(side: &Side) -> String {
    side.ratio.as_ref().map_or("-".to_string(), ratio) + mark(side)
}

fn mark(side: &Side) -> &'static str {
    if side.cell.as_ref().is_some_and(|cell| cell.suspect) { " SUSPECT" } else { "" }
}

/// The same with the cell that it rests on. Names come from records: whoever shows them makes them inert.
pub fn shown(side: &Side) -> String {
    if side.ratio.is_none() {
        return "not measured".to_string();
    }
    let Some(cell) = &side.cell else { return measured(side) };
    let range = side.range.map_or(String::new(), |(low, high)| match side.cells {
        1 => String::new(),
        cells => format!("; {cells} cells from {} to {}", significant(low, 3), significant(high, 3)),
    });
    format!(
        "{}, {} over {} at {} of {}{range}",
        measured(side),
        cell.subject,
        cell.baseline,
        cell.group,
        cell.run
    )
}

/// The claim of 200 times spread out: a row an operation, size, subject, precision and clock, with the factor over each
/// baseline; `-` where that was not measured beside it.
pub fn spread(rows: &[Row]) -> Numbers {
    let columns = [&["op", "size", "subject", "precision", "clock"][..], &BASELINES].concat();
    let row = |row: &Row| {
        let scope = serde_json::to_value(row.scope).unwrap_or_default();
        let clock = scope.as_str().unwrap_or("-").replace('_', " ");
        let fixed = [row.op.clone(), row.size.clone(), row.subject.clone(), row.precision.clone(), clock];
        let over =
            row.over.iter().map(|over| over.as_ref().map_or("-".to_string(), |over| ratio(&over.ratio)));
        fixed.into_iter().chain(over).collect()
    };
    Numbers { columns: columns.into_iter().map(String::from).collect(), rows: rows.iter().map(row).collect() }
}
