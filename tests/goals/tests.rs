//! Goals that are tests run for longer: kills, mutations, planted faults. What a test prints is read
//! from its own line, so that a test that did nothing has no value.

use super::Measured;
use super::commands::{printed, run};
use std::collections::BTreeMap;
use std::process::Command;

fn test(name: &str, settings: &[(&str, &str)]) -> Result<String, String> {
    let mut command = Command::new("cargo");
    command.args(["test", "--release", "--quiet", "--test", name, "--", "--nocapture"]);
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
    let said = test("fuzz", &[("CUTGPU_FUZZ", "1000000")])?;
    let mut panics = 0.0;
    for kind in ["suites", "records", "prices"] {
        let line = format!("fuzz {kind}: ");
        if printed(&said, &line)? < 1e6 {
            return Err(format!("fewer than 10^6 {kind} were tried"));
        }
        let rest = said.lines().find_map(|text| Some(text.split_once(&line)?.1)).unwrap_or_default();
        let count = rest.split(", ").nth(2).and_then(|part| part.split(' ').next()?.parse::<f64>().ok());
        panics += count.ok_or(format!("no count of panics for {kind}"))?;
    }
    Ok(BTreeMap::from([("first.fuzz_panics", panics)]))
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
