//! What proves the CUDA kernels without a card, from the lines that their tests print: a test that left
//! something out prints none, and its goal has no value.

use super::Measured;
use super::commands::{printed, run};
use std::collections::BTreeMap;
use std::process::Command;

fn test(name: &str, settings: &[(&str, &str)]) -> Result<String, String> {
    let mut command = Command::new("cargo");
    command.args(["test", "--quiet", "--test", "cuda_on_cpu", "--", "--nocapture", name]);
    let output = run(command.envs(settings.iter().copied()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// All kernels for all architectures.
pub(crate) fn compile() -> Measured {
    let said = test("every_kernel_compiles", &[])?;
    Ok(BTreeMap::from([("cuda.compile_seconds", printed(&said, "compiled for cards, seconds: ")?)]))
}

/// All kernels on the processor.
pub(crate) fn emulated() -> Measured {
    let said = test("every_kernel_answers_right", &[])?;
    Ok(BTreeMap::from([("cuda.emulated_minutes", printed(&said, "emulated, minutes: ")?)]))
}

/// All mutants.
pub(crate) fn mutants() -> Measured {
    let said = test("a_kernel_without", &[("CUTGPU_MUTANTS", "all")])?;
    Ok(BTreeMap::from([("cuda.mutants_killed", printed(&said, "mutants killed, per cent: ")?)]))
}
