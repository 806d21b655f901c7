//! `cutgpu compare RUN --peers`: this project's kernels beside the best of the others.

use super::table::table;
use crate::compare::{self, OWN, Standing};
use crate::host::plain;
use crate::record::Run;
use crate::report::scene::Numbers;
use crate::report::{cases, contenders};
use anyhow::bail;
use serde_json::json;
use std::fmt::Write as _;

/// The tables of a run, as text or as JSON.
pub(super) fn page(run: &Run, as_json: bool) -> anyhow::Result<String> {
    let standings = compare::standings(&run.records);
    if !standings.iter().any(is_ours) {
        bail!(
            "{} has no timed cell of {OWN}: run `cutgpu run peers`, or another suite that names it",
            plain(&run.name)
        );
    }
    let overall = compare::overall(&standings);
    if as_json {
        let whole = json!({ "run": run.name, "standings": standings, "overall": overall });
        return Ok(format!("{whole:#}\n"));
    }
    let mut text = String::new();
    let all = contenders(standings.iter().filter(|standing| is_ours(standing)));
    let _ = writeln!(text, "{}\n\n{}", drawn(&all), drawn(&cases(&overall)));
    Ok(text)
}

fn is_ours(standing: &Standing) -> bool {
    standing.places.iter().any(|place| place.contender.backend == OWN)
}

fn drawn(numbers: &Numbers) -> String {
    let columns: Vec<&str> = numbers.columns.iter().map(String::as_str).collect();
    let mut drawn = table(&columns);
    for row in &numbers.rows {
        drawn.add_row(row.iter().map(|cell| plain(cell)));
    }
    drawn.to_string()
}
