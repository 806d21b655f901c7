//! Whole runs: what one failure costs, how runs end and go on, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]
#![cfg(target_os = "linux")]

mod bench;

use bench::{Bench, assert_no_duplicates, names, said, within, workers_of};
use cutgpu::plan::Pace;
use cutgpu::record::{self, Outcome, Record};
use cutgpu::suite::Effort;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

/// Kinds of failure, by the name that a record gives them.
const FAULTS: [(&str, &str); 8] = [
    ("panic", "panic"),
    ("abort", "abort"),
    ("segfault", "segfault"),
    ("hang", "hang"),
    ("out_of_memory", "out_of_memory"),
    ("garbage", "garbage"),
    ("silent_exit", "silent_exit"),
    ("error", "fault"),
];

/// Limits that a hung or greedy worker meets soon.
const LIMITS: &str = "limit = \"3s\"\nmax_memory = \"600MB\"";

/// How often a short run comes to each group.
fn visits() -> usize {
    Pace::of(Effort::Quick).visits as usize
}

fn outcome<'r>(records: &'r [Record], contender: &str) -> &'r Outcome {
    &records.iter().find(|record| record.contender.backend == contender).unwrap().outcome
}

fn assert_failed(outcome: &Outcome, wanted: &str) {
    match outcome {
        Outcome::Failed { kind, message } => {
            assert_eq!(kind, wanted, "{message}");
            assert!(!message.is_empty());
        }
        other => panic!("{wanted} was wanted: {other:?}"),
    }
}

#[test]
fn each_of_eight_faults_costs_one_cell_of_a_group() {
    let mut script = json!({ "null/right": {}, "null/wrong": { "fault": { "kind": "wrong_element" } } });
    for (fault, _) in FAULTS {
        script[format!("null/{fault}")] = json!({ "fault": { "kind": fault, "nth": 3 } });
    }
    let bench = Bench::products("[4]", "[\"null/*\"]", LIMITS).script(script);
    let (code, text) = said(&bench.measure());
    assert_eq!(code, 1, "{text}");
    let records = bench.records();
    assert_eq!(records.len(), 10);
    for (fault, kind) in FAULTS {
        assert_failed(outcome(&records, &format!("null/{fault}")), kind);
    }
    assert_eq!(*outcome(&records, "null/right"), Outcome::Measured);
    assert!(matches!(outcome(&records, "null/wrong"), Outcome::Wrong { .. }), "{text}");
}

#[test]
fn each_of_eight_faults_costs_one_cell_of_a_real_backend() {
    for (fault, kind) in FAULTS {
        let planted = json!({ "kind": fault, "m": 8, "nth": 2, "backend": "cpu/naive" });
        let bench =
            Bench::products("[7, 8, 9]", "[\"cpu/naive\"]", LIMITS).with("CUTGPU_FAULT", planted.to_string());
        let (code, text) = said(&bench.measure());
        assert_eq!(code, 1, "{fault}: {text}");
        let records = bench.records();
        let outcomes: Vec<&Outcome> = records.iter().map(|record| &record.outcome).collect();
        assert_eq!((outcomes[0], outcomes[2]), (&Outcome::Measured, &Outcome::Measured), "{fault}: {text}");
        assert_failed(outcomes[1], kind);
        assert!(records[1].series.is_empty());
        // A cell that failed is not tried again.
        assert_eq!(bench.visits().len(), 2 * visits() + 1, "{fault}");
    }
}

#[test]
fn wrong_answers_have_no_timing_on_any_backend() {
    for backend in ["null", "cpu/naive"] {
        for fault in ["wrong_element", "low_precision", "skipped_row", "stale"] {
            let planted = json!({ "kind": fault }).to_string();
            let bench = Bench::products("[40]", &format!("[{backend:?}]"), "").with("CUTGPU_FAULT", planted);
            let (code, text) = said(&bench.measure());
            assert_eq!(code, 1, "{backend} {fault}: {text}");
            let record = &bench.records()[0];
            assert!(
                matches!(record.outcome, Outcome::Wrong { .. }),
                "{backend} {fault}: {:?}",
                record.outcome
            );
            assert!(record.series.is_empty());
        }
    }
}

#[test]
fn a_run_resumes_after_any_interruption_with_every_cell_once() {
    let bench = || {
        Bench::products("[4, 5, 6, 7, 8, 9]", "[\"null*\"]", "twin = true")
            .script(json!({ "null/a": {}, "null/b": { "ns": 2000.0 } }))
    };
    let whole = bench();
    assert_eq!(said(&whole.measure()).0, 0);
    let wanted = names(&whole.visits());
    assert_eq!((whole.records().len(), wanted.len()), (18, 18 * visits()));
    for way in ["kill", "interrupt", "torn", "foreign", "lost"] {
        let bench = bench();
        match way {
            "kill" | "interrupt" => stop_in_the_middle(&bench, way),
            _ => {
                assert_eq!(said(&bench.measure()).0, 0);
                spoil(&bench, way);
            }
        }
        let (code, text) = said(&bench.cutgpu(&["run", "--resume", "RUN"]));
        assert_eq!(code, 0, "{way}: {text}");
        assert_no_duplicates(&bench.visits());
        assert_eq!(names(&bench.visits()), wanted, "{way}");
        let (code, text) = said(&bench.cutgpu(&["run", "--resume", "RUN"]));
        assert!(code == 0 && text.contains("0 visits to groups are still to be made"), "{way}: {text}");
    }
}

/// Lets some groups be finished, then stops the run.
fn stop_in_the_middle(bench: &Bench, way: &str) {
    let mut child = bench.command(&["run", "SUITE", "--out", "RUN"]).spawn().unwrap();
    let path = bench.run_folder().join("run.jsonl");
    let lines = || fs::read_to_string(&path).unwrap_or_default().lines().count();
    assert!(within(Duration::from_secs(60), || lines() >= 4));
    let pid = rustix::process::Pid::from_child(&child);
    let signal = match way {
        "kill" => rustix::process::Signal::KILL,
        _ => rustix::process::Signal::INT,
    };
    rustix::process::kill_process(pid, signal).unwrap();
    let id = child.id();
    let code = child.wait().unwrap().code();
    assert_eq!(code, (way == "interrupt").then_some(130));
    assert!(lines() < 18 * visits(), "it was too fast to be stopped");
    assert!(within(Duration::from_secs(2), || workers_of(id).is_empty()));
}

/// Damages the end of a finished run's records.
fn spoil(bench: &Bench, way: &str) {
    let path = bench.run_folder().join("run.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let spoilt = match way {
        "torn" => text[..text.len() - 40].to_string(),
        "foreign" => format!("{}\nsomething else\n", lines[..17].join("\n")),
        _ => format!("{}\n", lines[..7].join("\n")),
    };
    fs::write(&path, spoilt).unwrap();
}

#[test]
fn shards_together_are_the_whole() {
    let bench = Bench::products("[4, 5, 6, 7, 8]", "[\"null\"]", "");
    assert_eq!(said(&bench.measure()).0, 0);
    let mut parts = Vec::new();
    for part in ["1/3", "2/3", "3/3"] {
        let output =
            bench.cutgpu(&["run", "SUITE", "--shard", part, "--json", "--out", &part.replace('/', "-")]);
        let text = String::from_utf8(output.stdout).unwrap();
        parts.extend(text.lines().map(|line| serde_json::from_str::<Record>(line).unwrap()));
    }
    assert_eq!(names(&parts), names(&bench.records()));
}

#[test]
fn repetitions_are_counted_and_added() {
    let bench = Bench::products("[4, 5]", "[\"null\"]", "");
    let (code, text) = said(&bench.cutgpu(&["run", "SUITE", "--repeat", "2", "--out", "RUN"]));
    assert_eq!((code, bench.records().len()), (0, 4), "{text}");
    assert_eq!(said(&bench.cutgpu(&["run", "--resume", "RUN", "--repeat", "3"])).0, 0);
    let records = bench.records();
    assert_no_duplicates(&records);
    assert_eq!(records.iter().map(|record| record.repeat).collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2]);
}

#[test]
fn two_runs_in_one_folder_are_refused() {
    let bench = Bench::products("[4, 5, 6, 7]", "[\"null\"]", "");
    let mut first = bench.command(&["run", "SUITE", "--out", "RUN"]).spawn().unwrap();
    assert!(within(Duration::from_secs(20), || bench.run_folder().join("plan.json").exists()));
    let (code, text) = said(&bench.cutgpu(&["run", "--resume", "RUN"]));
    assert_eq!(code, 1);
    assert!(text.contains("in use") && text.contains(&first.id().to_string()), "{text}");
    assert!(first.wait().unwrap().success());
    let (code, text) = said(&bench.measure());
    assert_eq!(code, 1);
    assert!(text.contains("--resume"), "{text}");
}

#[test]
fn another_suite_build_or_machine_is_refused() {
    let bench = Bench::products("[4, 5]", "[\"null\"]", "");
    assert_eq!(said(&bench.measure()).0, 0);
    let (code, text) = said(&bench.cutgpu(&["run", "quick", "--resume", "RUN"]));
    assert_eq!(code, 1);
    assert!(text.contains("tiny") && text.contains("quick"), "{text}");

    let plan = bench.run_folder().join("plan.json");
    let mut request: Value = serde_json::from_str(&fs::read_to_string(&plan).unwrap()).unwrap();
    request["build"] = "0123456789abcdef".into();
    fs::write(&plan, request.to_string()).unwrap();
    let (code, text) = said(&bench.cutgpu(&["run", "--resume", "RUN"]));
    assert_eq!(code, 1);
    assert!(text.contains("another build") && text.contains("--mix"), "{text}");
    assert_eq!(said(&bench.cutgpu(&["run", "--resume", "RUN", "--mix"])).0, 0);
    assert_eq!(bench.records().len(), 2);

    let host = bench.run_folder().join("host.json");
    let mut facts: Value = serde_json::from_str(&fs::read_to_string(&host).unwrap()).unwrap();
    facts["hash"] = "0123456789abcdef".into();
    fs::write(&host, facts.to_string()).unwrap();
    let (code, text) = said(&bench.cutgpu(&["run", "--resume", "RUN", "--mix"]));
    assert_eq!(code, 1);
    assert!(text.contains("another machine"), "{text}");
}

#[test]
fn a_folder_that_takes_nothing_is_an_error_that_says_what_to_do() {
    let bench = Bench::products("[4]", "[\"null\"]", "");
    let (code, text) = said(&bench.cutgpu(&["run", "SUITE", "--out", "tiny.toml/run"]));
    assert_eq!(code, 1);
    assert!(text.contains("--out"), "{text}");

    fs::create_dir(bench.run_folder()).unwrap();
    std::os::unix::fs::symlink("/dev/full", bench.run_folder().join("run.jsonl")).unwrap();
    let (code, text) = said(&bench.measure());
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("free some space"), "{text}");

    let (code, text) = said(&bench.cutgpu(&["run", "--resume", "nowhere"]));
    assert_eq!(code, 1);
    assert!(text.contains("holds no run"), "{text}");
}

#[test]
fn a_second_interrupt_ends_everything_at_once() {
    let hang = json!({ "null": { "fault": { "kind": "hang", "nth": 2 } } });
    let bench = Bench::products("[4]", "[\"null\"]", "limit = \"60s\"").script(hang);
    let mut child = bench.command(&["run", "SUITE", "--out", "RUN"]).spawn().unwrap();
    let id = child.id();
    assert!(within(Duration::from_secs(20), || !workers_of(id).is_empty()));
    let pid = rustix::process::Pid::from_child(&child);
    for _ in 0..2 {
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(within(Duration::from_secs(2), || workers_of(id).is_empty()));
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn data_goes_to_stdout_and_the_rest_to_stderr() {
    let bench = Bench::products("[4]", "[\"null\"]", "sync = [\"batch\", \"each\"]\ntwin = true");
    let output = bench.cutgpu(&["run", "SUITE", "--json", "--out", "RUN"]);
    let records: Vec<Record> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records, bench.records());
    assert_eq!(records.iter().map(|record| record.contender.twin).collect::<Vec<_>>(), [false, true]);
    let record = &records[0];
    assert_eq!(record.series.len(), 2);
    assert_eq!(record.series[1].latency_ns, Some([1000.0; 3]));
    assert!(record.loads.len() == visits() && record.verification.as_ref().unwrap().complete);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains(&format!("[1/{}] tiny/small/", visits())) && said.contains("2 of 2 measured"),
        "{said}"
    );
}

#[test]
fn runs_of_the_same_second_have_folders_of_their_own() {
    let bench = Bench::products("[4]", "[\"null\"]", "");
    let begun: Vec<_> = (0..3).map(|_| bench.command(&["run", "SUITE"]).spawn().unwrap()).collect();
    for mut run in begun {
        assert!(run.wait().unwrap().success());
    }
    let folders = fs::read_dir(bench.folder.path().join("runs")).unwrap();
    let folders: Vec<_> = folders.flatten().map(|entry| entry.path()).collect();
    assert_eq!(folders.len(), 3);
    assert!(folders.iter().all(|folder| record::read(folder).unwrap().records.len() == 1), "{folders:?}");
}

#[test]
fn requests_that_make_no_sense_are_usage_errors() {
    let bench = Bench::products("[4]", "[\"null\"]", "");
    for (arguments, words) in [
        (&["run", "qick"][..], "quick"),
        (&["run", "gemm", "m=0,n=1,k=1", "--backend", "null"], "m"),
        (&["run", "SUITE", "--backend", "nul"], "null"),
        (&["run", "SUITE", "--shard", "4/3"], "1/3"),
        (&["run", "SUITE", "--scope", "all"], "resident"),
        (&["run", "SUITE", "--repeat", "0"], "repeat"),
        (&["run", "gemm", "m=1..100000+1,n=1..100000+1,k=1", "--backend", "null"], "point"),
        (&["run", "--mix"], "--resume"),
        (&["run", "SUITE", "--out", "a", "--resume", "b"], "--resume"),
    ] {
        let (code, text) = said(&bench.cutgpu(arguments));
        assert_eq!(code, 2, "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
    assert!(!bench.folder.path().join("runs").exists());
}

#[test]
fn verify_checks_and_times_nothing() {
    let script = json!({ "null/right": {}, "null/wrong": { "fault": { "kind": "skipped_row" } } });
    let bench = Bench::products("[4, 5]", "[\"null/*\"]", "").script(script);
    let (code, text) = said(&bench.cutgpu(&["verify", "SUITE"]));
    assert_eq!(code, 1);
    assert_eq!((text.matches("right").count(), text.matches("WRONG").count()), (4, 2), "{text}");
    let (code, text) = said(&bench.cutgpu(&["verify", "SUITE", "--backend", "null/right", "--json"]));
    assert_eq!((code, text.lines().count()), (0, 2), "{text}");
}
