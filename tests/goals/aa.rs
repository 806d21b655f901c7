//! Does `compare` tell a difference from noise? Equal runs of `quick` on real backends, every cell with
//! starts of its own, and runs in which a real kernel does 5 % more work.
//!
//! `CUTGPU_AA_RUNS` sets how many equal runs there are (10 by default: 45 comparisons, of which 40
//! count), `CUTGPU_AA_SLOW` how many slow ones (3).

use super::Measured;
use super::commands::{failure, program, root, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Comparisons of equal runs that count.
const COMPARISONS: usize = 40;
/// Extra work of the slow runs, as a fraction.
const EXTRA: &str = "0.05";

/// What one comparison said.
struct Compared {
    calls: Vec<String>,
    exit: i32,
    margin: f64,
}

/// Runs all of it and prints what the goals do not hold: m, and the share of cells that could not be told.
pub(crate) fn aa() -> Measured {
    let cutgpu = program()?;
    run(Command::new("make").args(["--silent", "libs"]))?;
    let folder = root().join("target/aa");
    let _ = std::fs::remove_dir_all(&folder);
    let equal = runs(&cutgpu, &folder, "equal", count("CUTGPU_AA_RUNS", 10), None)?;
    let slow = runs(&cutgpu, &folder, "slow", count("CUTGPU_AA_SLOW", 3), Some(EXTRA))?;

    // Pairs of cells must not share a run, or one odd run would count many times.
    let mut disjoint = Vec::new();
    for pair in equal.chunks_exact(2) {
        disjoint.extend(compare(&cutgpu, &pair[0], &pair[1])?.calls);
    }
    let every = (0..equal.len()).flat_map(|a| (a + 1..equal.len()).map(move |b| (a, b))).take(COMPARISONS);
    let mut compared = Vec::new();
    for (a, b) in every {
        compared.push(compare(&cutgpu, &equal[a], &equal[b])?);
    }
    let mut slowed = Vec::new();
    let mut margins = Vec::new();
    for (a, b) in equal.iter().zip(&slow) {
        let one = compare(&cutgpu, a, b)?;
        margins.push(one.margin);
        slowed.extend(one.calls);
    }

    let share = |calls: &[String], word: &[&str]| {
        100.0 * calls.iter().filter(|call| word.contains(&call.as_str())).count() as f64
            / calls.len().max(1) as f64
    };
    let alarms = compared.iter().filter(|one| one.exit == 4).count();
    let all: Vec<String> = compared.iter().flat_map(|one| one.calls.iter().cloned()).collect();
    println!("aa equal runs: {} runs, {} comparisons, {alarms} with exit 4", equal.len(), compared.len());
    println!(
        "aa equal cells: SAME {:.1} %, CANNOT TELL {:.1} %, of {}",
        share(&all, &["SAME"]),
        share(&all, &["CANNOT TELL"]),
        all.len()
    );
    println!(
        "aa disjoint pairs: {}, called different {:.2} %",
        disjoint.len(),
        share(&disjoint, &["FASTER", "SLOWER"])
    );
    println!(
        "aa slow cells: {}, SLOWER {:.1} %, m {:.2} %",
        slowed.len(),
        share(&slowed, &["SLOWER"]),
        100.0 * super::commands::median(margins)
    );
    if compared.len() < COMPARISONS {
        return Err(format!("only {} comparisons of equal runs", compared.len()));
    }
    Ok(BTreeMap::from([
        ("first.aa_pairs", disjoint.len() as f64),
        ("first.aa_different", share(&disjoint, &["FASTER", "SLOWER"])),
        ("first.aa_runs", alarms as f64),
        ("first.slow_found", share(&slowed, &["SLOWER"])),
        ("first.slow_unknown", share(&slowed, &["CANNOT TELL"])),
    ]))
}

fn count(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs `quick` `times` times; with extra work, only the backend whose kernels can do it.
fn runs(
    cutgpu: &Path,
    folder: &Path,
    name: &str,
    times: usize,
    extra: Option<&str>,
) -> Result<Vec<PathBuf>, String> {
    let mut folders = Vec::new();
    for number in 0..times {
        let out = folder.join(format!("{name}-{number}"));
        let mut command = Command::new(cutgpu);
        command.args(["run", "quick", "--seed", &number.to_string(), "--out"]).arg(&out);
        if let Some(extra) = extra {
            command.env("CUTGPU_EXTRA_WORK", extra).args(["--backend", "cpu/native"]);
        }
        run(&mut command)?;
        eprintln!("aa: {name} run {} of {times}", number + 1);
        folders.push(out);
    }
    Ok(folders)
}

fn compare(cutgpu: &Path, a: &Path, b: &Path) -> Result<Compared, String> {
    let mut command = Command::new(cutgpu);
    let output =
        command.args(["compare", "--json"]).arg(a).arg(b).output().map_err(|error| error.to_string())?;
    let exit = output.status.code().unwrap_or(-1);
    if ![0, 4, 5].contains(&exit) {
        return Err(failure(&command, &output));
    }
    let said: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let cells = said["cells"].as_array().ok_or("compare --json has no cells")?;
    let calls = cells.iter().filter_map(|cell| cell["call"].as_str().map(str::to_string)).collect();
    Ok(Compared { calls, exit, margin: said["margin"].as_f64().unwrap_or(f64::NAN) })
}
