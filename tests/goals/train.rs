//! Whether training trains: what `cutgpu train-check` measures, on all cores.

use super::Measured;
use super::commands::{program, run};
use serde_json::Value;
use std::process::Command;

/// Goals by the checks that give them: the worst of several.
const ROWS: &[(&str, &[&str])] = &[
    ("train.digits_accuracy", &["digits_accuracy"]),
    ("train.tiny_accuracy", &["tiny_accuracy"]),
    ("train.gradient_cosine_torch", &["mlp_torch_gradients", "tiny_torch_gradients"]),
    ("train.loss_torch", &["mlp_torch_loss", "tiny_torch_loss"]),
    ("train.parameters_torch", &["mlp_torch_parameters", "tiny_torch_parameters"]),
    ("train.loss_agreement", &["mlp_losses", "tiny_losses"]),
];

/// Everything that the command checks.
pub(crate) fn check() -> Measured {
    run(Command::new("make").args(["--silent", "peers"]))?;
    // A check that is short ends it with 1, and its number is what is wanted.
    let output = Command::new(program()?).args(["train-check", "--json"]).output();
    let said = String::from_utf8_lossy(&output.map_err(|error| error.to_string())?.stdout).into_owned();
    let checks: Result<Vec<Value>, _> = said.lines().map(serde_json::from_str).collect();
    let checks = checks.map_err(|error| error.to_string())?;
    Ok(ROWS.iter().filter_map(|(name, rows)| Some((*name, worst(&checks, rows)?))).collect())
}

/// The largest number of these checks; none where one has none.
fn worst(checks: &[Value], names: &[&str]) -> Option<f64> {
    let of = |name: &&str| checks.iter().find(|check| check["name"] == **name)?["measured"].as_f64();
    let numbers: Option<Vec<f64>> = names.iter().map(of).collect();
    numbers?.into_iter().reduce(f64::max)
}
