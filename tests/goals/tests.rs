//! Goals that are tests run for longer: kills, mutations, planted faults. What a test prints is read
//! from its own line, so that a test that did nothing has no value.

use super::Measured;
use super::commands::{printed, run};
use std::collections::BTreeMap;
use std::process::Command;

/// What a test program prints.
pub(crate) fn test(name: &str, settings: &[(&str, &str)]) -> Result<String, String> {
    // Every test's name holds an empty text.
    some(name, "", settings)
}

/// What one test prints, also one that is left out where nobody measures.
pub(crate) fn one(name: &str, test: &str) -> Result<String, String> {
    some(name, test, &[])
}

/// What those tests of a program print whose names hold `filter`; of those that only measure, if it names them.
fn some(name: &str, filter: &str, settings: &[(&str, &str)]) -> Result<String, String> {
    let mut command = Command::new("cargo");
    command.args(["test", "--release", "--quiet", "--test", name, "--", "--nocapture", filter]);
    if !filter.is_empty() {
        command.arg("--include-ignored");
    }
    let output = run(command.envs(settings.iter().copied()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// A thousand kills of the parent.
pub(crate) fn killed() -> Measured {
    let said = test("killed", &[("CUTGPU_KILLS", "1000")])?;
    let kills = printed(&said, "kills: ")?;
    if kills < 1000.0 {
        return Err(format!("only {kills} kills were tried"));
    }
    Ok(BTreeMap::from([
        ("first.killed_cells", printed(&said, "cells lost or doubled: ")?),
        ("first.killed_workers", printed(&said, "workers left: ")?),
    ]))
}

/// A million mutations of each kind of file.
pub(crate) fn fuzz() -> Measured {
    let mut panics = 0.0;
    for kind in ["suites", "records", "prices"] {
        panics += mutated(kind, &[kind], 1e6)?;
    }
    Ok(BTreeMap::from([("first.fuzz_panics", panics)]))
}

/// A hundred thousand of each foreign format.
pub(crate) fn foreign() -> Measured {
    let panics = mutated("foreign", &["llama-bench", "pytorch", "nvbench", "skypilot"], 1e5)?;
    Ok(BTreeMap::from([("buyer.import_panics", panics)]))
}

/// Panics of so many mutations of each of these kinds, which the test called `name` feeds.
fn mutated(name: &str, kinds: &[&str], least: f64) -> Result<f64, String> {
    let said = some("fuzz", name, &[("CUTGPU_FUZZ", &least.to_string())])?;
    let mut panics = 0.0;
    for kind in kinds {
        let line = format!("fuzz {kind}: ");
        if printed(&said, &line)? < least {
            return Err(format!("fewer than {least} {kind} were tried"));
        }
        let rest = said.lines().find_map(|text| Some(text.split_once(&line)?.1)).unwrap_or_default();
        let count = rest.split(", ").nth(2).and_then(|part| part.split(' ').next()?.parse::<f64>().ok());
        panics += count.ok_or(format!("no count of panics for {kind}"))?;
    }
    Ok(panics)
}

/// Planted wrong answers on every backend.
pub(crate) fn planted() -> Measured {
    let said = test("conformance", &[])?;
    let planted = printed(&said, "planted faults: ")?;
    if planted < 1.0 {
        return Err("no fault was planted".to_string());
    }
    Ok(BTreeMap::from([("first.planted_missed", printed(&said, "planted faults missed: ")?)]))
}

/// Gradients against differences, and published counts of parameters.
pub(crate) fn gradients() -> Measured {
    let mut command = Command::new("cargo");
    command.args(["test", "--release", "--quiet", "--lib", "workloads::models::tests", "--", "--nocapture"]);
    let output = run(&mut command)?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok(BTreeMap::from([
        ("train.gradients", printed(&said, "gradients, worst: ")?),
        ("train.kinks", printed(&said, "gradients, kinks skipped, per cent: ")?),
        ("train.parameters", printed(&said, "parameter counts that differ: ")?),
    ]))
}
