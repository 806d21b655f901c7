//! `cutgpu compare` as a program: calls, exit codes, bad input.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A number in (-1, 1) that depends on all of `parts` (Knuth's multiplicative hash).
fn noise(parts: &[u64]) -> f64 {
    let mixed = parts.iter().fold(0x9E37_79B9_7F4A_7C15u64, |hash, part| {
        let next = (hash ^ part).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        next ^ (next >> 32)
    });
    (mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// A record of 3 starts x 6 rounds with noise of about `spread`, `factor` times as long as 1 ms.
fn record(run: u64, group: u64, backend: &str, factor: f64, spread: f64) -> Value {
    let samples: Vec<(u64, u64)> = (0..18).map(|sample| (sample / 6, sample)).collect();
    let name = backend.bytes().map(u64::from).sum::<u64>();
    let ns = samples.iter().map(|(start, round)| {
        let noise = spread * (noise(&[run, group, name, *start]) + noise(&[run, group, name, 99, *round]));
        1e6 * factor * (1.0 + noise)
    });
    let series = json!({
        "scope": "resident", "sync": "batch", "load": "burst", "temperature": "hot",
        "iters": [10, 10, 10], "ns": ns.collect::<Vec<f64>>(),
        "start": samples.iter().map(|(start, _)| *start).collect::<Vec<_>>(),
        "round": samples.iter().map(|(_, round)| *round).collect::<Vec<_>>(),
        "run_delay_ns": vec![0; 18], "steal_ns": vec![0; 18], "probe": null,
        "probe_rate": vec![0.0; 18], "latency_ns": null, "discarded": 0, "noisy": 0, "stop": "settled",
    });
    json!({
        "schema": "1.0", "key": format!("{group:08x}{name:08x}"), "repeat": 0,
        "group": format!("s/c/n={group}"), "suite": "s", "case": "c", "workload": "gemm",
        "point": {"n": group}, "contender": {"backend": backend, "lane": {"threads": 1}},
        "program": "p", "expanded": [], "build": format!("b{run}"), "host": "h",
        "started": format!("2026-11-23T12:00:{run:02}Z"), "seed": 0, "quick": true,
        "work": {"flops": 1_000_000, "bytes_read": 8, "bytes_written": 8},
        "yields": {"unit": "GFLOP", "amount": 0.001}, "bytes": {"batch": 16}, "identity": null,
        "outcome": "measured", "interleaved": true, "host_memory": true, "clock_precision_ns": 20.0,
        "verification": null, "loads": [], "memory": {"absent": "no"}, "energy_j": {"absent": "no"},
        "series": [series],
    })
}

/// Ten groups of two backends; `factor` is that of `cpu/b`.
fn records(run: u64, factor: f64, spread: f64) -> Vec<Value> {
    let group =
        |group| [record(run, group, "cpu/a", 1.0, spread), record(run, group, "cpu/b", factor, spread)];
    (0..10).flat_map(group).collect()
}

struct Runs(TempDir);

impl Runs {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
        fs::write(self.path(name).join("run.jsonl"), text).unwrap();
    }

    fn add(&self, name: &str, records: &[Value]) {
        self.write(name, &records.iter().map(|record| format!("{record}\n")).collect::<String>());
        fs::write(self.path(name).join("host.json"), json!({"hash": "h"}).to_string()).unwrap();
    }

    fn compare(&self, a: &str, b: &str, options: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_cutgpu"))
            .current_dir(self.0.path())
            .args(["compare", a, b])
            .args(options)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }
}

const QUIET: f64 = 0.002;
const LOUD: f64 = 0.1;

#[test]
fn each_outcome_has_its_exit_code() {
    let runs = Runs::new();
    for (name, run, factor, spread) in [
        ("base", 1, 1.0, QUIET),
        ("equal", 2, 1.0, QUIET),
        ("slow", 3, 1.05, QUIET),
        ("fast", 4, 0.9, QUIET),
        ("loud", 5, 1.0, LOUD),
    ] {
        runs.add(name, &records(run, factor, spread));
    }
    for (b, options, code, said) in [
        ("equal", &[][..], 0, "0 SLOWER, 0 FASTER, 20 SAME, 0 CANNOT TELL of 20 cells"),
        ("slow", &[], 4, "10 SLOWER, 0 FASTER, 10 SAME"),
        ("fast", &[], 0, "0 SLOWER, 10 FASTER, 10 SAME"),
        ("loud", &[], 5, "cannot be told"),
        ("loud", &["--max-unknown", "100"], 0, "CANNOT TELL"),
        ("slow", &["--margin", "10%"], 0, "0 SLOWER, 0 FASTER, 20 SAME"),
    ] {
        let (got, stdout, stderr) = runs.compare("base", b, options);
        assert_eq!(got, code, "{b} {options:?}: {stdout}{stderr}");
        assert!(stdout.contains(said), "{b} {options:?}: {stdout}");
        assert_eq!(stderr, "");
    }
}

#[test]
fn json_holds_calls_intervals_and_what_differs() {
    let runs = Runs::new();
    runs.add("base", &records(1, 1.0, QUIET));
    runs.add("slow", &records(3, 1.05, QUIET));
    let (code, stdout, _) = runs.compare("base/run.jsonl", "slow", &["--json"]);
    let said: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, said["cells"].as_array().unwrap().len()), (4, 20));
    for cell in said["cells"].as_array().unwrap() {
        let slow = cell["contender"]["backend"] == "cpu/b";
        assert_eq!(cell["call"], if slow { "SLOWER" } else { "SAME" });
        let truth = if slow { 1.05 } else { 1.0 };
        let ratio = &cell["ratio"];
        assert!((ratio["centre"].as_f64().unwrap() / truth - 1.0).abs() < 0.01);
        assert!(ratio["low"].as_f64() < ratio["centre"].as_f64());
    }
    assert_eq!(said["margin"], 0.02);
    assert_eq!(said["differences"][0], json!({"what": "build", "first": "b1", "second": "b3"}));
}

#[test]
fn several_runs_of_a_side_add_their_starts() {
    let runs = Runs::new();
    for run in 0..8 {
        runs.add(&format!("r{run}"), &records(run, 1.0, 0.012));
    }
    let unknown = |a: &str, b: &str| {
        let (_, stdout, _) = runs.compare(a, b, &["--json"]);
        serde_json::from_str::<Value>(&stdout).unwrap()["unknown"].as_f64().unwrap()
    };
    let (single, pooled) = (unknown("r0", "r1"), unknown("r0,r2,r4,r6", "r1,r3,r5,r7"));
    assert!(pooled < single && pooled < 0.1, "{single} {pooled}");
}

#[test]
fn a_cell_that_was_lost_is_named_and_counts_as_not_told() {
    let runs = Runs::new();
    runs.add("base", &records(1, 1.0, QUIET));
    let mut broken = records(2, 1.0, QUIET);
    for record in &mut broken[..6] {
        record["outcome"] = json!({"failed": {"kind": "segfault", "message": "signal 11 \u{1b}[31m"}});
        record["series"] = json!([]);
    }
    runs.add("broken", &broken);
    let (code, stdout, _) = runs.compare("base", "broken", &[]);
    assert_eq!(code, 5, "{stdout}");
    assert!(
        stdout.contains("s/c/n=0 cpu/a:t1: segfault: signal 11") && stdout.contains("6 lost"),
        "{stdout}"
    );
    assert!(!stdout.contains('\u{1b}'));
}

#[test]
fn bad_input_is_named_with_what_to_do() {
    let runs = Runs::new();
    let good = records(1, 1.0, QUIET);
    runs.add("base", &good);
    runs.write("empty", "");
    runs.write("newer", &format!("{}\n{{\"schema\": \"9.0\"}}\n", good[0]));
    let mut other = records(2, 1.0, QUIET);
    other.iter_mut().for_each(|record| record["group"] = json!("other/c/n=1"));
    runs.add("other", &other);
    for (b, said) in [
        ("nowhere", "name a folder that `cutgpu run` made"),
        ("empty", "share no measured cell: base has 20, empty has 0"),
        ("newer", "line 2: its format is 9.0, and this cutgpu reads 1.x only"),
        ("other", "compare runs of the same suite"),
    ] {
        let (code, stdout, stderr) = runs.compare("base", b, &[]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{b}");
        assert!(stderr.contains(said), "{b}: {stderr}");
    }
    assert_eq!(runs.compare("base", "base", &["--margin", "much"]).0, 2);
}

#[test]
fn a_torn_line_is_said_and_the_rest_is_compared() {
    let runs = Runs::new();
    runs.add("base", &records(1, 1.0, QUIET));
    let path: &Path = &runs.path("torn");
    runs.add("torn", &records(2, 1.0, QUIET));
    let text = fs::read_to_string(path.join("run.jsonl")).unwrap();
    runs.write("torn", &text[..text.len() - 100]);
    let (code, stdout, stderr) = runs.compare("base", "torn", &[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("torn, line 20, is left out: it is cut short"), "{stderr}");
    assert!(stdout.contains("19 SAME") && stdout.contains("1 only in A, 0 only in B"), "{stdout}");
}
