//! Every implementation of the worker protocol keeps `docs/worker-protocol.md`: this program's own on
//! several backends, and the one in Python.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod common;

use common::{LANE, LIMIT, SEED, is_gone, launch, product, soon, update, wrong};
use cutgpu::host::process::members;
use cutgpu::measure::crash::CrashKind;
use cutgpu::measure::protocol::{Ask, PROTOCOL, ProbeKind, Reply, Sampled};
use cutgpu::measure::worker::{Launch, Worker};
use cutgpu::ops::Op;
use cutgpu::program::{Program, State, ValueId};
use cutgpu::suite::{Scope, Sync};
use cutgpu::tensor::HostArray;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// Implementations that must agree.
const BACKENDS: [&str; 5] = ["null", "cpu/naive", "peer/numpy", "peer/torch", "peer/ort"];

/// A worker spoken to line by line, so that bad lines can be sent too.
struct Line {
    child: Child,
    asks: Option<ChildStdin>,
    replies: Receiver<String>,
    scratch: PathBuf,
}

impl Line {
    fn open(launch: &Launch) -> Self {
        let mut command = Command::new(&launch.program);
        command.arg("worker");
        cutgpu::host::child::set_all(&mut command, &launch.environment);
        if let Some(external) = &launch.external {
            command.arg("--exec").args(external);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, replies) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|l| sender.send(l)));
        let asks = child.stdin.take();
        Self { child, asks, replies, scratch: launch.scratch.clone() }
    }

    fn raw(&mut self, line: &[u8]) -> Reply {
        let asks = self.asks.as_mut().unwrap();
        asks.write_all(line).unwrap();
        asks.write_all(b"\n").unwrap();
        asks.flush().unwrap();
        let reply = self.replies.recv_timeout(LIMIT).expect("one answer to every line");
        serde_json::from_str(&reply).unwrap_or_else(|error| panic!("{error}: {reply}"))
    }

    fn ask(&mut self, ask: &Ask) -> Reply {
        let reply = self.raw(&serde_json::to_vec(ask).unwrap());
        assert!(reply.answers(ask), "{ask:?}: {reply:?}");
        reply
    }

    fn refuses(&mut self, ask: &Ask) {
        let reply = self.ask(ask);
        assert!(matches!(reply, Reply::Refused { .. }), "{ask:?}: {reply:?}");
    }

    fn load(&mut self, program: &Program, sets: usize) -> Reply {
        self.ask(&Ask::Load { program: program.clone(), seed: SEED, sets, keep_all: false })
    }

    fn sample(&mut self, scope: Scope, sync: Sync, iters: u64) -> Sampled {
        match self.ask(&Ask::Sample { scope, sync, iters }) {
            Reply::Sample(sampled) => sampled,
            reply => panic!("{reply:?}"),
        }
    }

    fn read_ask(&self, value: ValueId, set: usize, range: Range<usize>) -> Ask {
        let path = self.scratch.join("value").to_string_lossy().into_owned();
        Ask::Read { value, set, offset: range.start, len: range.len(), path }
    }

    fn read(&mut self, program: &Program, value: ValueId, set: usize, range: Range<usize>) -> HostArray {
        let ask = self.read_ask(value, set, range.clone());
        assert_eq!(self.ask(&ask), Reply::Done);
        let bytes = std::fs::read(self.scratch.join("value")).unwrap();
        let dtype = program.values[value].spec.dtype;
        assert_eq!(bytes.len(), range.len() * dtype.size());
        HostArray::from_le_bytes(dtype, &bytes)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hello(protocol: u32, backend: &str) -> Ask {
    Ask::Hello { protocol, backend: backend.to_string(), lane: LANE }
}

#[test]
fn every_implementation_keeps_the_protocol() {
    for backend in BACKENDS {
        let folder = tempfile::tempdir().unwrap();
        let Some(launch) = launch(backend, folder.path()) else { continue };
        let mut line = Line::open(&launch);
        refuses_what_makes_no_sense(&mut line);
        greets_once(&mut line, backend);
        refuses_bad_programs(&mut line);
        answers_and_refuses_reads(&mut line, folder.path());
        samples_in_every_way(&mut line);
        carries_are_restored(&mut line);
        tells_memory_and_probes(&mut line);
        frees_and_quits(&mut line);
    }
}

fn refuses_what_makes_no_sense(line: &mut Line) {
    let long = vec![b'x'; 1 << 20];
    let deep = vec![b'['; 100_000];
    let bad: [&[u8]; 12] = [
        b"",
        b"\xff\xfe\x00",
        b"{",
        b"null",
        b"7",
        b"[]",
        b"{\"ask\":\"dance\"}",
        b"{\"ask\":7}",
        b"{\"ask\":\"sample\",\"scope\":\"resident\"}",
        b"{\"ask\":\"sample\",\"scope\":\"resident\",\"sync\":\"batch\",\"iters\":-1}",
        &long,
        &deep,
    ];
    for raw in bad {
        let reply = line.raw(raw);
        let begin = String::from_utf8_lossy(&raw[..raw.len().min(80)]);
        assert!(matches!(reply, Reply::Refused { .. }), "{begin}: {reply:?}");
    }
    let load = Ask::Load { program: product(2, 2, 2), seed: 0, sets: 1, keep_all: false };
    for early in [load, Ask::Verify, Ask::Sample { scope: Scope::Resident, sync: Sync::Each, iters: 1 }] {
        line.refuses(&early);
    }
}

fn greets_once(line: &mut Line, backend: &str) {
    line.refuses(&hello(PROTOCOL + 1, backend));
    match line.ask(&hello(PROTOCOL, backend)) {
        Reply::Hello { protocol, pid, identity, clock_precision_ns } => {
            assert_eq!((protocol, pid), (PROTOCOL, line.child.id()));
            assert!(!identity.name.is_empty() && !identity.origin.is_empty(), "{identity:?}");
            assert!(clock_precision_ns > 0.0);
        }
        reply => panic!("{reply:?}"),
    }
    line.refuses(&hello(PROTOCOL, backend));
    line.refuses(&Ask::Verify);
}

fn refuses_bad_programs(line: &mut Line) {
    line.refuses(&Ask::Load { program: product(2, 2, 2), seed: 0, sets: 0, keep_all: false });
    let mut pointing_nowhere = product(2, 2, 2);
    pointing_nowhere.steps[0].args[1] = 99;
    line.refuses(&Ask::Load { program: pointing_nowhere, seed: 0, sets: 1, keep_all: false });
    let mut misfitting = product(2, 3, 4);
    misfitting.values[1].spec.shape = [5, 3][..].into();
    // Who does not check shapes at load notices when the step fails, and lives on.
    if let Reply::Loaded { .. } = line.load(&misfitting, 1) {
        let reply = line.ask(&Ask::Verify);
        assert!(matches!(reply, Reply::Refused { .. } | Reply::Fault(_)), "{reply:?}");
        assert_eq!(line.ask(&Ask::Free), Reply::Done);
    }
    for huge in [1 << 22, 1 << 40, usize::MAX] {
        let mut program = product(2, 2, 2);
        program.values[0].spec.shape = [huge, huge][..].into();
        program.values[1].spec.shape = [huge, huge][..].into();
        program.values[2].spec.shape = [huge, huge][..].into();
        let reply = line.load(&program, 1);
        assert!(matches!(reply, Reply::Refused { .. } | Reply::Fault(_)), "{huge}: {reply:?}");
    }
    line.refuses(&Ask::Verify);
}

fn answers_and_refuses_reads(line: &mut Line, folder: &Path) {
    let program = product(5, 3, 4);
    match line.load(&program, 2) {
        Reply::Loaded { bytes, .. } => {
            // Two sets of A [5, 4], and at least one of B.
            assert!(bytes[&State::Batch] >= 2 * 80 && bytes[&State::Parameter] >= 48, "{bytes:?}");
        }
        reply => panic!("{reply:?}"),
    }
    assert_eq!(line.ask(&Ask::Verify), Reply::Done);
    for set in 0..2 {
        let output = line.read(&program, 2, set, 0..15);
        assert_eq!(wrong(&program, set, 1, &output), None, "set {set}");
        assert_eq!(line.read(&program, 2, set, 7..9).to_f64(0..2), output.to_f64(7..9));
        for input in [0, 1] {
            let want = program.input_data(input, SEED, set);
            assert_eq!(line.read(&program, input, set, 0..want.len()), want, "input {input} of set {set}");
        }
    }
    for (value, set, range) in [(3, 0, 0..1), (2, 2, 0..1), (2, 0, 10..16), (2, 0, 16..16)] {
        let ask = line.read_ask(value, set, range);
        line.refuses(&ask);
    }
    let path = folder.join("no").join("such").join("folder").to_string_lossy().into_owned();
    line.refuses(&Ask::Read { value: 2, set: 0, offset: 0, len: 1, path: path.clone() });
    line.refuses(&Ask::Read { value: 2, set: 0, offset: usize::MAX, len: 2, path });
}

fn samples_in_every_way(line: &mut Line) {
    let program = product(5, 3, 4);
    for scope in [Scope::Resident, Scope::EndToEnd] {
        let batch = line.sample(scope, Sync::Batch, 6);
        assert!(batch.ns > 0.0 && batch.each_ns.is_empty(), "{batch:?}");
        let each = line.sample(scope, Sync::Each, 6);
        assert_eq!(each.each_ns.len(), 6);
        assert!((each.each_ns.iter().sum::<f64>() - each.ns).abs() <= 0.01 * each.ns, "{each:?}");
        // Outputs are those of an execution, on both sets.
        for set in 0..2 {
            assert_eq!(wrong(&program, set, 1, &line.read(&program, 2, set, 0..15)), None);
        }
        match line.ask(&Ask::Calibrate { scope, sync: Sync::Batch, min_ns: 200_000 }) {
            Reply::Calibrated { iters, each_ns } => assert!(iters >= 1 && each_ns > 0.0),
            reply => panic!("{reply:?}"),
        }
    }
    assert!((2049..=4096).contains(&line.sample(Scope::Resident, Sync::Each, 10_000).each_ns.len()));
    line.refuses(&Ask::Sample { scope: Scope::Resident, sync: Sync::Batch, iters: 0 });
    // Not every device has a clock of its own; who has none says so.
    let device = line.ask(&Ask::Sample { scope: Scope::Device, sync: Sync::Batch, iters: 1 });
    assert!(matches!(device, Reply::Sample(_) | Reply::Fault(_) | Reply::Refused { .. }));
}

fn carries_are_restored(line: &mut Line) {
    let program = update(3);
    assert!(matches!(line.load(&program, 1), Reply::Loaded { .. }));
    let output = program.outputs[0];
    assert_eq!(line.ask(&Ask::Verify), Reply::Done);
    assert_eq!(wrong(&program, 0, 1, &line.read(&program, output, 0, 0..9)), None);
    for _ in 0..2 {
        line.sample(Scope::Resident, Sync::Batch, 3);
        assert_eq!(wrong(&program, 0, 3, &line.read(&program, output, 0, 0..9)), None);
    }
}

fn tells_memory_and_probes(line: &mut Line) {
    for reset_peak in [false, true] {
        match line.ask(&Ask::Memory { reset_peak }) {
            Reply::Memory { bytes, resident, peak, .. } => {
                assert!(!bytes.is_empty() && resident > 1 << 16, "{bytes:?} {resident}");
                assert!(peak == 0 || peak > 1 << 16);
            }
            reply => panic!("{reply:?}"),
        }
    }
    let probe = line.ask(&Ask::Probe { probe: ProbeKind::Fma, threads: 1, footprint: 4096, ms: 1.0 });
    assert!(matches!(probe, Reply::Probed { .. } | Reply::Refused { .. } | Reply::Fault(_)), "{probe:?}");
}

fn frees_and_quits(line: &mut Line) {
    assert_eq!(line.ask(&Ask::Free), Reply::Done);
    line.refuses(&Ask::Verify);
    assert!(
        matches!(line.ask(&Ask::Memory { reset_peak: false }), Reply::Memory { bytes, .. } if bytes.is_empty())
    );
    assert_eq!(line.ask(&Ask::Quit), Reply::Done);
    assert!(line.child.wait().unwrap().success());
}

#[test]
fn the_page_about_the_protocol_is_true() {
    const PAGE: &str = include_str!("../docs/worker-protocol.md");
    let mut shown = BTreeSet::new();
    for line in PAGE.lines().filter(|line| line.starts_with('{')) {
        let name = if line.starts_with("{\"ask\"") {
            let ask: Ask = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if let Ask::Load { program, .. } = &ask {
                program.validate().unwrap();
            }
            serde_json::to_value(&ask).unwrap()["ask"].clone()
        } else {
            let reply: Reply = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            serde_json::to_value(&reply).unwrap()["reply"].clone()
        };
        shown.insert(name.as_str().unwrap().to_string());
    }
    let names = [
        "hello",
        "load",
        "verify",
        "calibrate",
        "sample",
        "profile",
        "profiled",
        "read",
        "probe",
        "ceilings",
        "memory",
        "free",
        "quit",
        "loaded",
        "calibrated",
        "probed",
        "done",
        "refused",
        "fault",
    ];
    assert_eq!(shown, names.map(String::from).into());
    for op in Op::NAMES {
        assert!(PAGE.contains(&format!("| `{op}` |")), "the op {op} has no row");
    }
    for kind in CrashKind::ALL {
        assert!(PAGE.contains(&format!("`{kind}`")), "the kind {kind} is not described");
    }
}

#[test]
fn a_worker_ends_when_its_requests_do() {
    for backend in BACKENDS {
        let folder = tempfile::tempdir().unwrap();
        let Some(launch) = launch(backend, folder.path()) else { continue };
        let mut line = Line::open(&launch);
        line.ask(&hello(PROTOCOL, backend));
        line.asks = None;
        let pid = line.child.id();
        assert!(soon(
            || matches!(std::fs::read_to_string(format!("/proc/{pid}/stat")), Ok(s) if s.contains(") Z"))
        ));
        assert!(line.child.wait().unwrap().success(), "{backend}");
    }
}

#[test]
fn the_client_asks_reads_pauses_and_leaves_nothing_behind() {
    for backend in BACKENDS {
        let folder = tempfile::tempdir().unwrap();
        let Some(launch) = launch(backend, folder.path()) else { continue };
        // The thread that starts a worker may end before it.
        let start = move || Worker::start(&Launch { memory_limit: Some(1 << 40), ..launch }, LIMIT);
        let mut worker = std::thread::spawn(start).join().unwrap().unwrap();
        assert!(!worker.identity().name.is_empty() && worker.clock_precision_ns() > 0.0);
        let program = product(5, 3, 4);
        let load = Ask::Load { program: program.clone(), seed: SEED, sets: 1, keep_all: true };
        worker.ask(&load, LIMIT).unwrap();
        worker.pause().unwrap();
        worker.pause().unwrap();
        assert!(is_stopped(worker.pid()), "{backend}");
        worker.resume().unwrap();
        assert_eq!(worker.ask(&Ask::Verify, LIMIT), Ok(Reply::Done));
        worker.pause().unwrap();
        assert_eq!(wrong(&program, 0, 1, &worker.read(2, 0, 0..15).unwrap()), None, "{backend}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{backend} left a file");
        for (value, range) in [(3, 0..1), (2, 0..16)] {
            assert_eq!(worker.read(value, 0, range).unwrap_err().kind, CrashKind::Refused);
        }
        assert!(worker.is_alive());
        let group = worker.pid();
        worker.pause().unwrap();
        worker.quit();
        assert!(is_gone(group), "{backend}");
    }
}

fn is_stopped(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    tasks
        .map(|task| std::fs::read_to_string(task.path().join("stat")).unwrap())
        .all(|stat| stat.contains(") T "))
}

#[test]
fn chatter_on_stdout_goes_to_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let worker = Worker::start(&launch("null", folder.path()).unwrap(), LIMIT).unwrap();
    let stream = |number: u32| std::fs::read_link(format!("/proc/{}/fd/{number}", worker.pid())).unwrap();
    assert_eq!(stream(1), stream(2));
    assert_eq!(stream(0), Path::new("/dev/null"));
    assert_eq!(members(worker.pid()), [worker.pid()]);
}
