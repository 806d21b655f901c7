//! `cutgpu compare RUN --peers`, `--narrow` and `--growth`: tables of one run.

use super::table::table;
use crate::compare::{self, Noise, OWN, Standing};
use crate::host::plain;
use crate::record::Run;
use crate::report::scene::Numbers;
use crate::report::{cases, contenders, fewer_bits, laws};
use anyhow::bail;
use serde_json::json;
use std::fmt::Write as _;

/// This project's kernels beside the best of the others, as text or as JSON.
pub(super) fn peers(run: &Run, as_json: bool) -> anyhow::Result<String> {
    let standings = compare::standings(&run.records, &Noise::of(&run.records));
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

/// Fewer bits beside f32, as text or as JSON.
pub(super) fn narrow(run: &Run, as_json: bool) -> anyhow::Result<String> {
    let narrows = compare::narrows(&run.records, &Noise::of(&run.records));
    if narrows.is_empty() {
        let name = plain(&run.name);
        bail!("{name} has no product or layer both in f32 and in fewer bits: run `cutgpu run int8`");
    }
    if as_json {
        return Ok(format!("{:#}\n", json!({ "run": run.name, "narrow": narrows })));
    }
    Ok(format!("{}\n", drawn(&fewer_bits(&narrows))))
}

/// Exponents of time and memory, as text or as JSON.
pub(super) fn growth(run: &Run, as_json: bool) -> anyhow::Result<String> {
    let growths = compare::growths(&run.records, &Noise::of(&run.records));
    if growths.is_empty() {
        let name = plain(&run.name);
        bail!("{name} has no case with three sizes of one extent: run `cutgpu run attention`, or a sweep");
    }
    if as_json {
        return Ok(format!("{:#}\n", json!({ "run": run.name, "growth": growths })));
    }
    Ok(format!("{}\n", drawn(&laws(&growths))))
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
