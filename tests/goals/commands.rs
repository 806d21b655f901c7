//! Measures of single commands: start-up, exchanges, the page, the build.

use super::Measured;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The optimised program, built if it is not.
pub(crate) fn program() -> Result<PathBuf, String> {
    run(Command::new("cargo").args(["build", "--release", "--quiet"]))?;
    Ok(root().join("target/release/cutgpu"))
}

/// Runs a command in the repository to its end; the error holds what it said last.
pub(crate) fn run(command: &mut Command) -> Result<Output, String> {
    let output =
        command.current_dir(root()).stdin(Stdio::null()).output().map_err(|error| {
            format!("{} cannot be started: {error}", command.get_program().to_string_lossy())
        })?;
    if output.status.success() { Ok(output) } else { Err(failure(command, &output)) }
}

/// One line about a command that failed.
pub(crate) fn failure(command: &Command, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said.lines().rev().take(3).collect();
    format!("{:?} ended with {}: {}", command, output.status, last.join(" / "))
}

/// Middle of the values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Median seconds of `times` runs of the program with `words`.
fn seconds(program: &Path, words: &[&str], times: usize) -> Result<f64, String> {
    let one = || {
        let clock = Instant::now();
        run(Command::new(program).args(words))?;
        Ok(clock.elapsed().as_secs_f64())
    };
    Ok(median((0..times).map(|_| one()).collect::<Result<Vec<f64>, String>>()?))
}

/// Crates of the default build.
pub(crate) fn build() -> Measured {
    let tree = run(Command::new("cargo").args(["tree", "-e", "normal,build", "--prefix", "none"]))?;
    let text = String::from_utf8_lossy(&tree.stdout).replace(" (*)", "");
    let crates: std::collections::BTreeSet<&str> = text.lines().collect();
    let count = crates.len() as f64;
    Ok(BTreeMap::from([("first.crates", count), ("wgpu.crates", count)]))
}

/// `list`, `list --probe` and `doctor`, start to end.
pub(crate) fn start() -> Measured {
    let program = program()?;
    seconds(&program, &["list"], 3)?;
    let list = 1e3 * seconds(&program, &["list"], 21)?;
    Ok(BTreeMap::from([
        ("first.list", list),
        ("wgpu.list", list),
        ("first.list_probe", seconds(&program, &["list", "--probe"], 5)?),
        ("first.doctor", seconds(&program, &["doctor"], 5)?),
    ]))
}

/// Value behind `name` in a command's output; a test runner's own marks may stand before it.
pub(crate) fn printed(text: &str, name: &str) -> Result<f64, String> {
    text.lines()
        .filter_map(|line| line.split_once(name))
        .find_map(|(_, rest)| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| format!("no line of the output has a number behind `{name}`"))
}

/// What the harness itself costs beside what it measures.
pub(crate) fn exchange() -> Measured {
    let output = run(Command::new(program()?).args(["worker", "--overhead"]))?;
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(BTreeMap::from([
        ("first.exchange", printed(&said, "exchange_us ")? / 1e3),
        ("first.enqueue", printed(&said, "enqueue_ns ")?),
    ]))
}

/// A page from 20,000 records: those of the recorded run, again and again under other keys.
pub(crate) fn page() -> Measured {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let records = recorded()?;
    let text: String = (0..RECORDS)
        .map(|number| {
            let mut record = records[number % records.len()].clone();
            let (copy, case) =
                (number / records.len(), record["case"].as_str().unwrap_or_default().to_string());
            record["key"] = serde_json::json!(format!("{number:016x}"));
            record["group"] =
                serde_json::json!(format!("{}#{copy}", record["group"].as_str().unwrap_or_default()));
            record["case"] = serde_json::json!(format!("{case}#{copy}"));
            format!("{record}\n")
        })
        .collect();
    std::fs::write(folder.path().join("run.jsonl"), text).map_err(|error| error.to_string())?;
    let mut command = Command::new(program()?);
    command.args(["report", "--no-png"]).arg(folder.path()).stdout(Stdio::null());
    let clock = Instant::now();
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut peak = 0;
    let status = loop {
        // The kernel's own high-water mark, read until the process is gone.
        peak = cutgpu::host::process::resident(Some(child.id())).map_or(peak, |memory| peak.max(memory.peak));
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    let seconds = clock.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("report ended with {status}"));
    }
    Ok(BTreeMap::from([("first.page_seconds", seconds), ("first.page_memory", peak as f64 / 1e6)]))
}

const RECORDS: usize = 20_000;

/// Records of the recorded run, as JSON.
fn recorded() -> Result<Vec<serde_json::Value>, String> {
    let results = std::fs::read_dir(root().join("results")).map_err(|error| error.to_string())?;
    let runs = results.flatten().filter_map(|run| cutgpu::record::read(&run.path()).ok());
    let records: Vec<_> = runs
        .flat_map(|run| run.records.into_iter().filter_map(|record| serde_json::to_value(record).ok()))
        .collect();
    if records.is_empty() { Err("results/ holds no recorded run".to_string()) } else { Ok(records) }
}
