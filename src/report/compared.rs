//! What comparing two runs gave, in words, for the page and for the terminal.

use super::scene::Numbers;
use crate::compare::{Call, Comparison, Shift};
use crate::host::plain;
use crate::units::significant;

/// Longest fact that is shown whole.
const LONGEST: usize = 60;

/// Long facts, such as lists of flags, are shown by their beginning, inert.
pub fn short(value: &str) -> String {
    let text: String = plain(value).chars().take(LONGEST).collect();
    if value.chars().count() > LONGEST { text + "..." } else { text }
}

/// What a probe said about the machine's own speed.
pub fn machine(shift: &Shift) -> String {
    let probe = format!("{:?}", shift.probe).to_lowercase();
    let Shift { threads, groups, .. } = shift;
    let speed = shift.rate * 100.0;
    let seen = format!(
        "the {probe} probe at {threads} threads ran at {speed:.1} % of A's rate in B ({groups} groups)"
    );
    match shift.corrected == 1.0 {
        true => format!("{seen}: within its own error"),
        false => format!("{seen}: times are multiplied by {:.3}", shift.corrected),
    }
}

/// Up to which difference cells are the same, and why.
pub fn margin(comparison: &Comparison) -> String {
    let percent = |share: f64| significant(share * 100.0, 2);
    let floor = match comparison.floor.pairs {
        0 => "no twins were measured".to_string(),
        pairs => format!("{pairs} pairs of twins differ by up to {} %", percent(comparison.floor.value)),
    };
    let moves = match comparison.between_runs {
        0.0 => String::new(),
        moves => format!("; from run to run a cell moves by {} %", percent(moves)),
    };
    format!("m = {} % ({floor}{moves})", percent(comparison.margin))
}

/// One row a cell, what is called different first.
pub fn cells(comparison: &Comparison) -> Numbers {
    let mut cells: Vec<_> = comparison.cells.iter().collect();
    let rank = |call| match call {
        Call::Slower => 0,
        Call::Faster => 1,
        Call::CannotTell => 2,
        Call::Same => 3,
    };
    cells.sort_by_key(|cell| rank(cell.call));
    let row = |cell: &&crate::compare::Compared| {
        let kind = serde_json::to_value(cell.id.kind).unwrap_or_default();
        let words: Vec<&str> =
            ["scope", "sync", "load", "temperature"].iter().filter_map(|part| kind[part].as_str()).collect();
        vec![
            cell.call.to_string(),
            format!("{:.3}", cell.ratio.centre),
            format!("{:.3} to {:.3}", cell.ratio.low, cell.ratio.high),
            plain(&cell.id.group),
            plain(&cell.id.contender.to_string()),
            words.join(" "),
        ]
    };
    let columns = ["call", "B / A", "90 % interval", "group", "contender", "series"];
    Numbers { columns: columns.map(String::from).into(), rows: cells.iter().map(row).collect() }
}

/// How many cells have each call, and what is missing on either side.
pub fn summary(comparison: &Comparison) -> String {
    let counts = [Call::Slower, Call::Faster, Call::Same, Call::CannotTell]
        .map(|call| format!("{} {call}", comparison.count(call)))
        .join(", ");
    let mut text = format!("{counts} of {} cells", comparison.cells.len());
    if !comparison.lost.is_empty() {
        text += &format!("; {} lost", comparison.lost.len());
    }
    if comparison.alone != [0, 0] {
        let [a, b] = comparison.alone;
        text += &format!("; {a} only in A, {b} only in B");
    }
    if comparison.is_inconclusive() {
        let limit = significant(comparison.max_unknown * 100.0, 2);
        text += &format!(". Over {limit} % cannot be told: give each side more runs, joined by commas");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_hostile_facts_are_cut_and_inert() {
        assert_eq!(short("\u{1b}[31mred"), "?[31mred");
        assert_eq!(short(&"x".repeat(100)).chars().count(), 63);
    }
}
