//! Measures every goal of `tests/goals.toml` and prints a line each:
//! `goal NAME VALUE UNIT BOUND ok|short|absent SECONDS REASON`. Exit 1 if one is short.
//!
//! A measure is a function that runs real commands and returns a value a goal; nothing here knows a
//! bound, and a goal that its measure does not return is short.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod aa;
mod buyer;
mod clone;
mod commands;
mod compose;
mod cpu;
mod cuda;
mod gpu;
mod phases;
mod steps;
mod tests;
mod train;
mod truth;
mod wgpu;

use serde::Deserialize;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

/// One row of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Goal {
    name: String,
    /// For readers of the table.
    #[serde(rename = "about")]
    _about: String,
    unit: String,
    bound: String,
    #[serde(default)]
    needs: Vec<String>,
    measure: String,
    /// For readers of the table: what the measure runs.
    #[serde(rename = "command")]
    _command: String,
}

#[derive(Deserialize)]
struct Table {
    goal: Vec<Goal>,
}

/// Values by goal, or why there are none.
pub(crate) type Measured = Result<BTreeMap<&'static str, f64>, String>;

/// What measures some goals at once.
type Measure = fn() -> Measured;

/// Every measure by name, in the order they run: the quick ones first.
const MEASURES: &[(&str, Measure)] = &[
    ("build", commands::build),
    ("start", commands::start),
    ("exchange", commands::exchange),
    ("page", commands::page),
    ("buyer_claims", buyer::claims),
    ("buyer_money", buyer::money),
    ("buyer_script", buyer::script),
    ("buyer_import", tests::foreign),
    ("buyer_page", buyer::page),
    ("buyer_axe", buyer::axe),
    ("buyer_predict", buyer::predict),
    ("buyer_predict_machine", buyer::predict_machine),
    ("planted", tests::planted),
    ("fuzz", tests::fuzz),
    ("killed", tests::killed),
    ("cuda_compile", cuda::compile),
    ("cuda_emulated", cuda::emulated),
    ("cuda_mutants", cuda::mutants),
    ("wgpu_shaders", wgpu::shaders),
    ("wgpu_conformance", wgpu::conformance),
    ("wgpu_dispatch", wgpu::dispatch),
    ("wgpu_absent", wgpu::absent),
    ("wgpu_products", wgpu::products),
    ("wgpu_cubek", wgpu::cubek),
    ("train_gradients", tests::gradients),
    ("train_check", train::check),
    ("train_phases", phases::phases),
    ("train_features", compose::features),
    ("train_steps", steps::steps),
    ("train_large", steps::large),
    ("truth", truth::truth),
    ("clone", clone::clone),
    ("cpu", cpu::cpu),
    ("cuda_host", gpu::host),
    ("cuda_hardware", gpu::hardware),
    ("cuda_torch", gpu::torch),
    ("wgpu_hardware", wgpu::hardware),
    ("aa", aa::aa),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.starts_with(word.as_str()));
    let table: Table =
        toml::from_str(include_str!("../goals.toml")).expect("tests/goals.toml is well formed");
    let wanted: Vec<Goal> = table.goal.into_iter().filter(|goal| is_wanted(&goal.name)).collect();
    assert!(!wanted.is_empty(), "no goal begins with {}", words.join(" or "));
    let mut short = 0;
    for (name, measure) in MEASURES {
        let rows: Vec<&Goal> = wanted.iter().filter(|goal| goal.measure == *name).collect();
        if !rows.is_empty() {
            short += report(&rows, *measure);
        }
    }
    for goal in wanted.iter().filter(|goal| MEASURES.iter().all(|(name, _)| *name != goal.measure)) {
        println!(
            "goal {} - {} {} short 0 no measure is called `{}`",
            goal.name,
            goal.unit,
            compact(&goal.bound),
            goal.measure
        );
        short += 1;
    }
    println!("goals: {} measured, {short} short", wanted.len());
    std::process::exit(i32::from(short > 0));
}

/// Runs one measure and prints its goals; returns how many are short.
fn report(rows: &[&Goal], measure: Measure) -> usize {
    let missing = rows.iter().flat_map(|goal| &goal.needs).find(|need| !is_here(need));
    if let Some(need) = missing {
        for goal in rows {
            println!(
                "goal {} - {} {} absent 0 this machine has no {need}",
                goal.name,
                goal.unit,
                compact(&goal.bound)
            );
        }
        return 0;
    }
    let clock = Instant::now();
    let measured = measure();
    let seconds = clock.elapsed().as_secs();
    let mut short = 0;
    for goal in rows {
        let value = measured.as_ref().map_err(String::clone).and_then(|values| {
            values.get(goal.name.as_str()).copied().ok_or("its measure gave no value".to_string())
        });
        let (shown, met, reason) = match value {
            Ok(value) => (cutgpu::units::significant(value, 4), holds(&goal.bound, value), String::new()),
            Err(reason) => ("-".to_string(), false, reason.replace('\n', " ")),
        };
        let word = if met { "ok" } else { "short" };
        println!(
            "goal {} {shown} {} {} {word} {seconds} {reason}",
            goal.name,
            goal.unit,
            compact(&goal.bound)
        );
        short += usize::from(!met);
    }
    short
}

/// A bound without its space, so that every field of a line is one word.
fn compact(bound: &str) -> String {
    bound.replace(' ', "")
}

fn holds(bound: &str, value: f64) -> bool {
    let (sign, limit) = bound.split_once(' ').expect("a bound is a sign and a number");
    let limit: f64 = limit.parse().expect("a bound is a sign and a number");
    match sign {
        "<=" => value <= limit,
        ">=" => value >= limit,
        other => panic!("a bound begins with <= or >=, not {other}"),
    }
}

/// Whether the machine has what a goal needs.
fn is_here(need: &str) -> bool {
    match need {
        "nvidia" => std::path::Path::new("/dev/nvidiactl").exists(),
        "vulkan" => !cutgpu::backends::family_of("wgpu").is_none_or(|family| family.devices().is_empty()),
        "torch-cuda" => {
            cutgpu::backends::family_of("peer/torch-cuda").is_some_and(|family| !family.devices().is_empty())
        }
        "javascript" => is_browser_here() || starts("node"),
        "browser" => is_browser_here(),
        "axe" => {
            let fetched = commands::run(Command::new("sh").args(["peers/fetch.sh", "axe"]));
            fetched.is_ok() && commands::root().join(".peers/pip/axe-playwright-python/axe.min.js").exists()
        }
        "cubek" => commands::run(Command::new("make").arg("cubek")).is_ok(),
        "hosts>=3" => buyer::machines() >= 3,
        other => panic!("no rule says how to find the need `{other}`"),
    }
}

fn starts(program: &str) -> bool {
    commands::run(Command::new(program).arg("--version")).is_ok()
}

fn is_browser_here() -> bool {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().any(starts)
}
