//! Does `compare` tell a difference from noise? Equal runs of `quick` on real backends, every cell with
//! starts of its own; and one run in which real kernels stand beside themselves with 5 % more work.
//!
//! `CUTGPU_AA_RUNS` sets how many equal runs there are (10 by default: 45 comparisons, of which 40 count).
//! Runs that are there already are used again where `CUTGPU_AA_KEEP` is set.

use super::Measured;
use super::commands::{failure, median, program, root, run};
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
    if std::env::var_os("CUTGPU_AA_KEEP").is_none() {
        let _ = std::fs::remove_dir_all(&folder);
    }
    let mut values = slow(&cutgpu, &folder)?;
    values.extend(equal(&cutgpu, &folder)?);
    Ok(values)
}

/// Equal runs: how often cells and whole runs are called different.
fn equal(cutgpu: &Path, folder: &Path) -> Measured {
    let runs = equal_runs(cutgpu, folder, count("CUTGPU_AA_RUNS", 10))?;
    // Pairs of cells must not share a run, or one odd run would count many times.
    let mut disjoint = Vec::new();
    for pair in runs.chunks_exact(2) {
        disjoint.extend(compare(cutgpu, &[&pair[0], &pair[1]], &[])?.calls);
    }
    let every = (0..runs.len()).flat_map(|a| (a + 1..runs.len()).map(move |b| (a, b))).take(COMPARISONS);
    let (mut alarms, mut compared, mut all, mut margins) = (0, 0, Vec::new(), Vec::new());
    for (a, b) in every {
        let one = compare(cutgpu, &[&runs[a], &runs[b]], &[])?;
        (alarms, compared) = (alarms + usize::from(one.exit == 4), compared + 1);
        all.extend(one.calls);
        margins.push(one.margin);
    }
    let mut twins = Vec::new();
    for run in &runs {
        twins.extend(compare(cutgpu, &[run], &["cpu/native", "cpu/native"])?.calls);
    }
    println!("aa equal runs: {} runs, {compared} comparisons, {alarms} with exit 4", runs.len());
    println!("aa equal cells: {}, m {:.2} %", words(&all), 100.0 * median(margins));
    println!("aa disjoint pairs: {}", words(&disjoint));
    println!("aa twins within runs: {}", words(&twins));
    if compared < COMPARISONS {
        return Err(format!("only {compared} comparisons of equal runs"));
    }
    Ok(BTreeMap::from([
        ("first.aa_pairs", (disjoint.len() + twins.len()) as f64),
        ("first.aa_different", share(&[disjoint, twins].concat(), &["FASTER", "SLOWER"])),
        ("first.aa_runs", f64::from(alarms as u32)),
    ]))
}

/// One run of kernels beside themselves with extra work.
fn slow(cutgpu: &Path, folder: &Path) -> Measured {
    let out = folder.join("slow");
    if !out.exists() {
        let mut command = Command::new(cutgpu);
        command.args(["run", "tests/goals/slow.toml", "--out"]).arg(&out);
        run(command.env("CUTGPU_EXTRA_WORK", EXTRA))?;
    }
    let slowed = compare(cutgpu, &[&out], &["cpu/native", "cpu/native/extra-work"])?;
    let twins = compare(cutgpu, &[&out], &["cpu/native", "cpu/native"])?;
    println!("aa 5 % more work: {}, m {:.2} %", words(&slowed.calls), 100.0 * slowed.margin);
    println!("aa twins beside it: {}", words(&twins.calls));
    Ok(BTreeMap::from([
        ("first.slow_found", share(&slowed.calls, &["SLOWER"])),
        ("first.slow_unknown", share(&slowed.calls, &["CANNOT TELL"])),
    ]))
}

/// Per cent of the calls that are one of `words`.
fn share(calls: &[String], words: &[&str]) -> f64 {
    let found = calls.iter().filter(|call| words.contains(&call.as_str())).count();
    100.0 * found as f64 / calls.len().max(1) as f64
}

/// How many calls there are, and the share of each word.
fn words(calls: &[String]) -> String {
    let shares = ["SLOWER", "FASTER", "SAME", "CANNOT TELL"]
        .map(|word| format!("{word} {:.1} %", share(calls, &[word])))
        .join(", ");
    format!("{} cells, {shares}", calls.len())
}

fn count(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs `quick` `times` times, each with another seed.
fn equal_runs(cutgpu: &Path, folder: &Path, times: usize) -> Result<Vec<PathBuf>, String> {
    let mut folders = Vec::new();
    for number in 0..times {
        let out = folder.join(format!("equal-{number}"));
        if !out.exists() {
            let mut command = Command::new(cutgpu);
            command.args(["run", "quick", "--seed", &number.to_string(), "--out"]).arg(&out);
            run(&mut command)?;
        }
        eprintln!("aa: run {} of {times}", number + 1);
        folders.push(out);
    }
    Ok(folders)
}

/// Compares two runs, or two contenders of one.
fn compare(cutgpu: &Path, runs: &[&PathBuf], contenders: &[&str]) -> Result<Compared, String> {
    let mut command = Command::new(cutgpu);
    command.args(["compare", "--json"]).args(runs);
    if !contenders.is_empty() {
        command.arg("--contenders").args(contenders);
    }
    let output = command.output().map_err(|error| error.to_string())?;
    let exit = output.status.code().unwrap_or(-1);
    if ![0, 4, 5].contains(&exit) {
        return Err(failure(&command, &output));
    }
    let said: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let cells = said["cells"].as_array().ok_or("compare --json has no cells")?;
    let calls = cells.iter().filter_map(|cell| cell["call"].as_str().map(str::to_string)).collect();
    Ok(Compared { calls, exit, margin: said["margin"].as_f64().unwrap_or(f64::NAN) })
}
