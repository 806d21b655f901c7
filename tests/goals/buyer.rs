//! Goals of the buyer's answer: claims judged from records, and a cost model that three programs agree on.

use super::Measured;
use super::commands::{printed, program, run};
use super::tests::{one, test};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// The article's claims by the recorded runs.
pub(crate) fn claims() -> Measured {
    let said = test("claims", &[])?;
    Ok(BTreeMap::from([
        ("buyer.claims", printed(&said, "claims judged: ")?),
        ("buyer.claims_measured", printed(&said, "claims with an interval: ")?),
        ("buyer.claims_processor", printed(&said, "claims of a processor with an interval: ")?),
        ("buyer.claims_constant", printed(&said, "claims by a constant: ")?),
    ]))
}

/// The cost model in Rust, and cases computed by hand.
pub(crate) fn money() -> Measured {
    let said = test("money", &[])?;
    Ok(BTreeMap::from([
        ("buyer.vectors", printed(&said, "vectors: ")?),
        ("buyer.vectors_rust", printed(&said, "vectors missed by Rust: ")?),
        ("buyer.tco", printed(&said, "cases to the cent: ")?),
    ]))
}

/// The page's cost model in whatever runs JavaScript here.
pub(crate) fn script() -> Measured {
    let said = test("money", &[])?;
    Ok(BTreeMap::from([("buyer.vectors_script", printed(&said, "vectors missed by the script: ")?)]))
}

/// How long a reader of a large page waits.
pub(crate) fn page() -> Measured {
    let said = one("browser", "a_reader_does_not_wait")?;
    Ok(BTreeMap::from([
        ("buyer.page_interactive_ms", printed(&said, "page interactive, ms: ")?),
        ("buyer.page_slider_ms", printed(&said, "slider to redraw, ms: ")?),
    ]))
}

/// Accessibility rules that the page breaks, as long as a page that breaks some is noticed.
pub(crate) fn axe() -> Measured {
    let said = one("browser", "no_rule_of_axe_is_broken")?;
    if printed(&said, "axe violations of a broken page: ")? < 1.0 {
        return Err("a page that is broken on purpose was not noticed".to_string());
    }
    Ok(BTreeMap::from([("buyer.axe_violations", printed(&said, "axe violations: ")?)]))
}

/// Folders of the recorded runs.
fn recorded() -> Result<Vec<PathBuf>, String> {
    let folders = std::fs::read_dir("results").map_err(|error| error.to_string())?;
    let mut folders: Vec<PathBuf> = folders.flatten().map(|entry| entry.path()).collect();
    folders.retain(|folder| folder.join("run.jsonl").is_file());
    folders.sort();
    Ok(folders)
}

/// What `cutgpu predict` says of the recorded runs.
fn said() -> Result<Value, String> {
    let output = run(Command::new(program()?).arg("predict").args(recorded()?).arg("--json"))?;
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// Machines among the recorded runs.
pub(crate) fn machines() -> u64 {
    said().ok().and_then(|said| said["machines"].as_u64()).unwrap_or(0)
}

/// A number of a split, in percent.
fn percent(said: &Value, split: &str, number: &str) -> Result<f64, String> {
    let splits = said["splits"].as_array().into_iter().flatten();
    let found = splits.filter(|row| row["split"] == split).find_map(|row| row[number].as_f64());
    found.map(|share| share * 100.0).ok_or_else(|| format!("no split `{split}` has a number `{number}`"))
}

/// How far predicted times are off, and over a constant predictor's.
pub(crate) fn predict() -> Measured {
    let said = said()?;
    let of = |split, number| percent(&said, split, number);
    let over = |split| Ok::<f64, String>(of(split, "median")? / of(split, "constant_share_median")?);
    Ok(BTreeMap::from([
        ("buyer.predict_size_median", of("size", "median")?),
        ("buyer.predict_size_p90", of("size", "p90")?),
        ("buyer.predict_size_constant", over("size")?),
        ("buyer.predict_workload_median", of("workload", "median")?),
        ("buyer.predict_workload_p90", of("workload", "p90")?),
        ("buyer.predict_workload_constant", over("workload")?),
    ]))
}

/// The same with a machine left out.
pub(crate) fn predict_machine() -> Measured {
    Ok(BTreeMap::from([("buyer.predict_machine", percent(&said()?, "machine", "median")?)]))
}
