//! Who is best at each point, and our own kernels beside the best peer.

use super::builder::Html;
use super::figure::{first_numbers, numbers};
use crate::report::model::{Contest, Entrant, Model};
use crate::report::scene::Numbers;
use crate::report::{standing, text};

/// Most rows of the table: a page of a thousand cells stays below 500 kB, and the rest is in the files beside it.
const CONTENDERS: usize = 30;

/// Writes every contender of the points at which our own kernels met others.
pub(super) fn peers(html: &mut Html, model: &Model) {
    html.raw("<details><summary>Every contender, point by point</summary>");
    let table = standing::contenders(model.standings.iter().map(|(_, standing)| standing));
    first_numbers(html, &table, "Every contender, point by point", CONTENDERS);
    html.raw("</details><p class=\"source\"><a href=\"peers.csv\">peers.csv</a></p>\n");
}

/// Writes the number that stands for the machine at each point, with the name of who reached it.
pub(super) fn best(html: &mut Html, model: &Model) {
    html.raw(
        "<p class=\"lead\">The best of our own kernels and all libraries, over all numbers of threads: picked on odd \
         rounds, reported from even ones. Packed and plain weights are never ranked together.</p>",
    );
    let with_machine = model.machines.len() > 1;
    let row = |contest: &Contest, best: &Entrant| {
        let machine = model.machines.get(contest.machine).filter(|_| with_machine);
        let place = machine.map_or(contest.name(), |machine| format!("{}, {}", contest.name(), machine.name));
        vec![
            place,
            best.name(),
            text::interval_with_unit(&best.rate.value, best.rate.unit),
            best.share.map_or(String::new(), |share| text::interval_percent(&share)),
            best.validity.word.to_string(),
        ]
    };
    let rows =
        model.contests.iter().flat_map(|contest| contest.best.iter().map(move |best| row(contest, best)));
    let columns = ["point", "best", "rate", "share of probe", "validity"].map(String::from).into();
    numbers(html, &Numbers { columns, rows: rows.collect() }, "The best at each point");
}
