//! `cutgpu list` and `cutgpu doctor` as a user starts them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn cutgpu(arguments: &[&str], home: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cutgpu"))
        .args(arguments)
        .env("XDG_CACHE_HOME", home)
        .env("HOME", home)
        .current_dir(home)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn json(arguments: &[&str], home: &Path) -> Value {
    let output = cutgpu(arguments, home);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

#[test]
fn every_suite_is_shown_with_its_reasons() {
    let home = tempfile::tempdir().unwrap();
    let output = cutgpu(&["list"], home.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for word in ["quick:", "matmul:", "memory:", "ops:", "why:", "an estimate from assumed rates"] {
        assert!(shown.contains(word), "{word} in\n{shown}");
    }
    assert!(shown.contains("Backends are not probed"), "{shown}");
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    // What drivers said, where there are any, is remembered: each was asked in a process of its own.
    let written = |folder: &Path| -> Vec<String> {
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    assert!(written(home.path()).iter().all(|name| name == "cutgpu"), "{:?}", written(home.path()));
    let cache = written(&home.path().join("cutgpu"));
    assert!(cache.iter().all(|name| name == "adapters.json"), "list writes nothing else: {cache:?}");
}

#[test]
fn json_holds_every_cell_with_its_fate() {
    let home = tempfile::tempdir().unwrap();
    let shown =
        json(&["list", "gemm", "m=64|128,n=64,k=64", "--backend", "cpu/naive", "--json"], home.path());
    let groups = shown["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[0]["id"], "adhoc/gemm/m=64,n=64,k=64");
    let cell = &groups[0]["cells"][0];
    assert_eq!((cell["contender"].as_str(), cell["run"].as_bool()), (Some("cpu/naive:t1"), Some(true)));
    assert_eq!(shown["rates"]["measured"], false);
    assert!(shown["estimate_s"].as_f64().unwrap() > 0.0);
    let workloads = json(&["list", "--workloads", "--json"], home.path());
    assert!(workloads.as_array().unwrap().iter().any(|workload| workload["name"] == "attention"));
}

#[test]
fn a_probe_is_remembered() {
    let home = tempfile::tempdir().unwrap();
    let point = ["list", "gemm", "m=8,n=8,k=8", "--json"];
    let probed = json(&[&point[..], &["--probe"]].concat(), home.path());
    let naive = |shown: &Value| -> Value {
        let backends = shown["backends"].as_array().unwrap();
        backends.iter().find(|backend| backend["name"] == "cpu/naive").unwrap()["identity"].clone()
    };
    assert!(naive(&probed)["name"].is_string(), "{probed}");
    assert_eq!(naive(&json(&point, home.path())), naive(&probed));
    let output = cutgpu(&point[..3], home.path());
    assert!(!text(&output.stdout).contains("not probed"));
}

#[test]
fn a_request_that_makes_no_sense_ends_with_2_and_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let bad = "schema = 1\nname = \"bad\"\nabout = \"x\"\n[[case]]\nnam = \"x\"\n";
    std::fs::write(home.path().join("bad.toml"), bad).unwrap();
    for (arguments, says) in [
        (&["list", "quik"][..], "did you mean `quick`?"),
        (&["list", "bad.toml"], "bad.toml:5: unknown key `nam` in [[case]]; did you mean `name`?"),
        (&["list", "gemm", "m=1000000,n=1000000,k=1000000"], "needs 12.0 TB of memory"),
        (&["list", "gemm", "m=1..1000+1,n=1..1000+1,k=1..1000+1"], "1000000000 points"),
        (&["list", "bert", "size=tiny,batch=1000000,length=512"], "the largest batch that fits is "),
        (&["list", "quick", "--backend", "cpu/nativ"], "no backend is called `cpu/nativ`"),
        (&["list", "quick", "--shard", "3/2"], "no part of a run"),
        (&["list", "quick", "--minutes", "nan"], "no duration"),
    ] {
        let output = cutgpu(arguments, home.path());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(says), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
    let missing = cutgpu(&["list", "none.toml"], home.path());
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("cannot read the suite none.toml"), "{}", text(&missing.stderr));
}

#[test]
fn what_no_time_is_left_for_is_said_beside_its_case() {
    let home = tempfile::tempdir().unwrap();
    let suite = "schema = 1\nname = \"s\"\nabout = \"x\"\n[[case]]\nname = \"c\"\nworkload = \"gemm\"\nwhy = \"x\"\n\
                 backends = [\"cpu/naive\"]\nsweep = { m = \"8..16*2\", n = \"=m\", k = \"=m\" }\n";
    std::fs::write(home.path().join("s.toml"), suite).unwrap();
    for (minutes, says) in
        [("0.0001", "gemm, 0 points and 2 left out, about"), ("60", "gemm, 2 points, about")]
    {
        let output = cutgpu(&["list", "s.toml", "--minutes", minutes], home.path());
        assert!(text(&output.stdout).contains(says), "{minutes}: {}", text(&output.stdout));
    }
}

#[test]
fn hostile_text_of_a_suite_is_inert() {
    let home = tempfile::tempdir().unwrap();
    let suite = "schema = 1\nname = \"s\"\nabout = \"a \\u001b[31mred\\u001b[0m \\u202e suite\"\n[[case]]\n\
                 name = \"c\"\nworkload = \"gemm\"\nwhy = \"\\u001b]0;title\\u0007 why\"\nbackends = [\"cpu/naive\"]\n\
                 points = [{ m = 1, n = 1, k = 1, label = \"\\u009b2J\" }]\n";
    std::fs::write(home.path().join("s.toml"), suite).unwrap();
    let output = cutgpu(&["list", "s.toml"], home.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let steers = |letter: char| (letter.is_control() && letter != '\n') || letter == '\u{202e}';
    assert!(!text(&output.stdout).contains(steers), "{}", text(&output.stdout));
    std::fs::write(home.path().join("t.toml"), suite.replace("why =", "\"\\u001b[31m\" =")).unwrap();
    let output = cutgpu(&["list", "t.toml"], home.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(!text(&output.stderr).contains(steers), "{}", text(&output.stderr));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = tempfile::tempdir().unwrap();
    let (program, home) = (env!("CARGO_BIN_EXE_cutgpu"), home.path());
    let script = format!("'{program}' list; echo $? >&2");
    let shell = format!("({script}) | true");
    let output = Command::new("bash").args(["-c", &shell]).env("XDG_CACHE_HOME", home).output().unwrap();
    assert_eq!(text(&output.stderr).trim(), "0");
}

#[test]
fn the_doctor_names_what_it_found_and_never_who_runs_it() {
    let home = tempfile::tempdir().unwrap();
    let output = cutgpu(&["doctor", "--json"], home.path());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let blocked = report["blockers"].as_u64().unwrap() > 0;
    assert_eq!(output.status.code(), Some(if blocked { 3 } else { 0 }));
    let checks = report["checks"].as_array().unwrap();
    for name in
        ["build", "clock", "quota", "governor", "load", "noise", "memory", "disk", "cpu/naive", "peaks"]
    {
        let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}"));
        assert!(["ok", "warn", "fail"].contains(&check["status"].as_str().unwrap()), "{check}");
        assert!(!check["found"].as_str().unwrap().is_empty(), "{check}");
        if check["status"] != "ok" {
            assert!(!check["cost"].as_str().unwrap().is_empty(), "{check}");
        }
    }
    // Every ceiling has a rate or a reason.
    for peak in report["peaks"].as_array().unwrap() {
        assert!(peak["rate"]["value"].is_number() || peak["rate"]["absent"].is_string(), "{peak}");
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let said = text(&output.stdout);
    assert!(host.trim().len() < 4 || !said.contains(host.trim()), "the host's name is nobody's business");
    assert!(!said.contains(home.path().to_str().unwrap()), "nor are paths");
    // What the doctor measured makes later estimates better.
    let measured = report["peaks"].as_array().unwrap().iter().any(|peak| peak["rate"]["value"].is_number());
    let shown = json(&["list", "gemm", "m=8,n=8,k=8", "--json"], home.path());
    assert_eq!(shown["rates"]["measured"].as_bool().unwrap(), measured);
}

#[test]
fn a_folder_that_cannot_be_written_blocks() {
    let home = tempfile::tempdir().unwrap();
    // Nobody can write there, root included.
    let output = cutgpu(&["doctor", "--out", "/proc/runs"], home.path());
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).contains("FAIL  disk"), "{}", text(&output.stdout));
}
