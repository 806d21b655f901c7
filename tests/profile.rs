//! `cutgpu profile` on the built program: the table, the files, and what it does with what cannot be profiled.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use serde_json::Value;
use std::process::{Command, Output};

fn profile(arguments: &[&str]) -> Output {
    let cache = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutgpu"));
    command.arg("profile").args(arguments).env("XDG_CACHE_HOME", cache.path()).output().unwrap()
}

#[test]
fn every_step_has_a_time_and_the_files_open() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let output = profile(&[
        "mlp_block",
        "tokens=24,width=32",
        "--backend",
        "cpu/naive",
        "--threads",
        "1",
        "--json",
        "--steps",
        "--out",
        out,
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let profile: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    let rows = profile["rows"].as_array().unwrap();
    assert!(rows.len() >= 3, "{profile}");
    let sum: f64 = rows.iter().map(|row| row["ns"].as_f64().unwrap()).sum();
    let whole = profile["whole_ns"].as_f64().unwrap();
    assert!(rows.iter().all(|row| row["ns"].as_f64().unwrap() > 0.0));
    // Medians of steps against the median of the whole, on a machine that does other things meanwhile.
    assert!((0.3..3.0).contains(&(sum / whole)), "{sum} {whole}");
    let read = |file: &str| {
        let mut folders = std::fs::read_dir(folder.path()).unwrap().flatten();
        let own = folders.find(|entry| entry.path().is_dir()).unwrap().path();
        std::fs::read_to_string(own.join(file)).unwrap()
    };
    let trace: Value = serde_json::from_str(&read("trace.json")).unwrap();
    let slices = trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X");
    // The program, its one phase, and its steps.
    assert_eq!(slices.count(), rows.len() + 2);
    assert_eq!(read("stacks.txt").lines().count(), rows.len());
    assert!(read("flame.svg").starts_with("<svg"));
    assert!(std::fs::read_to_string(folder.path().join("loop.svg")).unwrap().contains("parameters"));
}

#[test]
fn what_cannot_be_profiled_says_why() {
    let cases: [(&[&str], i32, &str); 3] = [
        (&["gemm", "m=8,n=8,k=8", "--backend", "cuda/native/7"], 1, "nothing to profile"),
        (&["gemm", "m=8,n=8,k=8", "--backend", "cpu/nothing"], 2, "cpu/nothing"),
        (&["dance"], 2, "dance"),
    ];
    for (arguments, code, text) in cases {
        let output = profile(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(text), "{arguments:?}: {said}");
    }
}
