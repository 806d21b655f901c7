//! What goes wrong in a worker costs that worker, is called by its name, and leaves no process behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod common;

use common::{CUTGPU, LIMIT, SEED, is_gone, plain_launch, product, wrong};
use cutgpu::backends::faulty;
use cutgpu::host::process::members;
use cutgpu::measure::crash::{Crash, CrashKind};
use cutgpu::measure::protocol::{Ask, Reply};
use cutgpu::measure::worker::{Launch, Worker};
use cutgpu::suite::{Scope, Sync};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The scripted backend and a real one.
const BACKENDS: [&str; 2] = ["null", "cpu/naive"];
/// Too short to be waited for, longer than a small program takes.
const SHORT: Duration = Duration::from_millis(1500);

fn load() -> Ask {
    Ask::Load { program: product(5, 3, 4), seed: SEED, sets: 1, keep_all: false }
}

/// A worker of `backend` with a program loaded and a fault planted in its first execution.
fn faulty_worker(backend: &str, kind: &str, scratch: &Path) -> Worker {
    let planted = (faulty::VARIABLE.to_string(), format!("{{\"kind\":\"{kind}\"}}"));
    let launch = Launch {
        environment: vec![planted],
        memory_limit: Some(600 << 20),
        ..plain_launch(backend, scratch)
    };
    let mut worker = Worker::start(&launch, LIMIT).unwrap();
    worker.ask(&load(), LIMIT).unwrap();
    worker
}

#[test]
fn each_fault_is_called_by_its_name_and_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    for backend in BACKENDS {
        for (kind, want, said) in [
            ("panic", CrashKind::Panic, "a planted panic"),
            ("abort", CrashKind::Abort, "aborted"),
            ("segfault", CrashKind::Segfault, "memory that it must not"),
            ("hang", CrashKind::Hang, "no answer within 1.5 s"),
            ("out_of_memory", CrashKind::OutOfMemory, "over its limit of 629 MB"),
            ("garbage", CrashKind::Garbage, "this is no answer"),
            ("silent_exit", CrashKind::SilentExit, "exit code 0"),
            ("error", CrashKind::Fault, "a planted error"),
        ] {
            let mut worker = faulty_worker(backend, kind, folder.path());
            let limit = if kind == "hang" { SHORT } else { LIMIT };
            let begin = Instant::now();
            let crash = worker.ask(&Ask::Verify, limit).unwrap_err();
            assert_eq!(crash.kind, want, "{backend}: {crash}");
            assert!(crash.message.contains(said), "{backend}: {crash}");
            assert!(begin.elapsed() < LIMIT / 2, "{backend}: {kind} was noticed late");
            // Only an error that the library reported itself leaves a worker that can be asked again.
            assert_eq!(worker.is_alive(), kind == "error", "{backend}: {kind}");
            let group = worker.pid();
            let after = worker.ask(&Ask::Verify, LIMIT);
            assert_eq!(after.is_ok(), kind == "error", "{backend}: {kind}: {after:?}");
            drop(worker);
            assert!(is_gone(group), "{backend}: {kind} left a process");
        }
    }
}

#[test]
fn a_wrong_answer_crosses_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for backend in BACKENDS {
        for kind in ["wrong_element", "low_precision", "skipped_row", "stale"] {
            let mut worker = faulty_worker(backend, kind, folder.path());
            worker.ask(&Ask::Verify, LIMIT).unwrap();
            let output = worker.read(2, 0, 0..15).unwrap();
            assert!(wrong(&product(5, 3, 4), 0, 1, &output).is_some(), "{backend}: {kind}");
        }
    }
}

/// What becomes of the greeting when the worker is this shell script, which has read the greeting.
fn script(text: &str, limit: Duration) -> Result<Worker, Crash> {
    let folder = tempfile::tempdir().unwrap();
    let external = Some(["sh", "-c", &format!("read l; {text}")].map(String::from).to_vec());
    Worker::start(&Launch { external, ..plain_launch("peer/script", folder.path()) }, limit)
}

const HELLO: &str = r#"{"reply":"hello","protocol":1,"pid":1,"identity":{"name":"x","version":"","origin":"","hash":"","threads":1,"notes":{}},"clock_precision_ns":1.0}"#;

#[test]
fn a_stranger_that_misbehaves_is_ended() {
    let other_version = HELLO.replace("\"protocol\":1", "\"protocol\":2");
    let (hello, second) = (format!("echo '{HELLO}'"), format!("echo '{other_version}'"));
    for (text, kind) in [
        ("exit 0", CrashKind::SilentExit),
        ("exec no-such-program-anywhere", CrashKind::SilentExit),
        ("echo 'Traceback (most recent call last):' >&2; exit 1", CrashKind::Panic),
        ("kill -ABRT $$", CrashKind::Abort),
        ("kill -TERM $$", CrashKind::Signal),
        ("echo nonsense; sleep 1000", CrashKind::Garbage),
        ("echo '{\"reply\":\"done\"}'; sleep 1000", CrashKind::Garbage),
        ("printf 'no end of line'; sleep 1000", CrashKind::Hang),
        ("head -c 20000000 /dev/zero; sleep 1000", CrashKind::Garbage),
        ("exec >&-; sleep 1000", CrashKind::SilentExit),
        ("exec <&-; sleep 1000", CrashKind::Hang),
        ("trap '' TERM INT HUP; sleep 1000 & wait", CrashKind::Hang),
        (&second, CrashKind::Refused),
    ] {
        let limit = if kind == CrashKind::Hang { Duration::from_millis(300) } else { LIMIT };
        let crash = script(text, limit).unwrap_err();
        assert_eq!(crash.kind, kind, "{text}: {crash}");
    }
    // Speaking before being asked spoils the order of answers from the second request on.
    let mut hasty = script(&format!("{hello}; {hello}; sleep 1000"), LIMIT).unwrap();
    assert_eq!(hasty.ask(&Ask::Verify, LIMIT).unwrap_err().kind, CrashKind::Garbage);
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = Launch { program: "/no/such/cutgpu".into(), ..plain_launch("null", folder.path()) };
    let crash = Worker::start(&nothing, LIMIT).unwrap_err();
    assert_eq!(crash.kind, CrashKind::Start, "{crash}");
    let external = Some(vec!["no-such-peer".to_string()]);
    let crash =
        Worker::start(&Launch { external, ..plain_launch("peer/x", folder.path()) }, LIMIT).unwrap_err();
    assert!(crash.message.contains("cannot run `no-such-peer`"), "{crash}");
    let crash = Worker::start(&plain_launch("cpu/nothing", folder.path()), LIMIT).unwrap_err();
    assert_eq!(crash.kind, CrashKind::Unsupported, "{crash}");
}

#[test]
fn a_log_that_nobody_reads_and_a_request_that_nobody_takes_block_nothing() {
    let chatty = format!("head -c 3000000 /dev/zero >&2; echo '{HELLO}'; read l; echo the end >&2; exit 5");
    let mut worker = script(&chatty, LIMIT).unwrap();
    let crash = worker.ask(&Ask::Verify, LIMIT).unwrap_err();
    assert!(crash.message.contains("exit code 5") && crash.message.ends_with("the end"), "{crash}");

    let mut deaf = script(&format!("echo '{HELLO}'; sleep 1000"), LIMIT).unwrap();
    let mut program = product(5, 3, 4);
    program.values[0].name = "x".repeat(1 << 20);
    let large = Ask::Load { program, seed: SEED, sets: 1, keep_all: false };
    assert_eq!(deaf.ask(&large, Duration::from_millis(300)).unwrap_err().kind, CrashKind::Hang);
    assert!(is_gone(deaf.pid()));
}

#[test]
fn a_worker_that_dies_between_requests_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    for signal in ["-KILL", "-ABRT"] {
        let mut worker = Worker::start(&plain_launch("null", folder.path()), LIMIT).unwrap();
        worker.ask(&load(), LIMIT).unwrap();
        let kill = Command::new("kill").args([signal, &worker.pid().to_string()]).status().unwrap();
        assert!(kill.success() && common::soon(|| !worker.is_alive()));
        let crash = worker.ask(&Ask::Verify, LIMIT).unwrap_err();
        let want = if signal == "-KILL" { CrashKind::Signal } else { CrashKind::Abort };
        assert_eq!(crash.kind, want, "{crash}");
    }
}

/// Set in the process that plays the parent.
const PARENT: &str = "CUTGPU_TEST_PARENT";

/// Not a test of its own: the parent that the next test kills.
#[test]
fn play_the_parent() {
    let Ok(folder) = std::env::var(PARENT) else { return };
    let start = |backend: &str| Worker::start(&plain_launch(backend, Path::new(&folder)), LIMIT).unwrap();
    let [idle, mut stopped] = ["null", "cpu/naive"].map(start);
    stopped.pause().unwrap();
    let external = Some(
        ["sh", "-c", &format!("read l; echo '{HELLO}'; trap '' HUP TERM; while :; do sleep .1; done")]
            .map(String::from)
            .to_vec(),
    );
    let launch = Launch { external, ..plain_launch("peer/script", Path::new(&folder)) };
    // Started by a thread that is gone when the parent dies.
    let stranger = std::thread::spawn(move || Worker::start(&launch, LIMIT).unwrap()).join().unwrap();
    let mut busy = start("cpu/naive");
    busy.ask(&load(), LIMIT).unwrap();
    println!("\ngroups {} {} {} {}", idle.pid(), stopped.pid(), stranger.pid(), busy.pid());
    let endless = Ask::Sample { scope: Scope::Resident, sync: Sync::Batch, iters: u64::MAX };
    let answer: Result<Reply, Crash> = busy.ask(&endless, Duration::from_secs(600));
    panic!("{answer:?}");
}

#[test]
fn no_worker_outlives_a_parent_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "play_the_parent", "--nocapture"]).env(PARENT, folder.path());
    let mut parent = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let groups = lines.find_map(|line| line.strip_prefix("groups ").map(String::from)).unwrap();
    let groups: Vec<u32> = groups.split(' ').map(|group| group.parse().unwrap()).collect();
    assert!(groups.len() == 4 && groups.iter().all(|&group| !members(group).is_empty()));
    // Let the sample begin.
    std::thread::sleep(Duration::from_millis(100));
    parent.kill().unwrap();
    for group in groups {
        assert!(is_gone(group), "{:?} of {CUTGPU} still lives", members(group));
    }
    parent.wait().unwrap();
}
