//! The one `cargo bench` target: every point of the embedded suites is a criterion group, every contender
//! a function of it. criterion asks one live, verified worker for each sample, so that two libraries
//! never share a process and nothing of the harness lies inside the timed loop.
//!
//! `cargo bench -- gemm/512` runs what a name contains. Without a filter the quick suite runs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use cutgpu::measure::protocol::{Ask, Reply};
use cutgpu::measure::verify::{Answer, Values, Verifier};
use cutgpu::measure::worker::{Launch, Worker};
use cutgpu::plan::{self, Cell, Fate, Group};
use cutgpu::program::{Program, ValueId};
use cutgpu::suite::{Scope, Sync};
use cutgpu::tensor::HostArray;
use cutgpu::workloads::{Param, Params};
use cutgpu::{backends, host, suite};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SEED: u64 = 1;
const LIMIT: Duration = Duration::from_secs(120);
/// Reference work of one answer's check, in operations.
const CHECK: u64 = cutgpu::measure::verify::COMPLETE;

fn main() {
    let filter = filter();
    // Under `cargo test --benches` every function is to run once, which the conformance tests do better.
    if std::env::args().any(|word| word == "--test") {
        return;
    }
    // Its plots need fonts that this build leaves out.
    let mut criterion = Criterion::default().without_plots().configure_from_args().sample_size(10);
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let mut seen = BTreeSet::new();
    for group in groups(filter.is_some()) {
        let name = group_name(&group);
        let wanted = filter.as_ref().is_none_or(|text| group_is_wanted(&group, &name, text));
        if wanted && seen.insert(name.clone()) {
            bench(&mut criterion, &group, &name, scratch.path());
        }
    }
    criterion.final_summary();
}

/// The first word of the command line that is no option.
fn filter() -> Option<String> {
    std::env::args().skip(1).find(|word| !word.starts_with('-'))
}

/// Groups of the quick suite, or of every embedded suite where a filter will choose among them.
fn groups(all: bool) -> Vec<Group> {
    let names: Vec<&str> = if all { suite::names().collect() } else { vec!["quick"] };
    let parse = |name: &&str| {
        suite::parse(suite::embedded(name).unwrap_or_default(), name).expect("embedded suites are right")
    };
    let suites: Vec<_> = names.iter().map(parse).collect();
    let options = plan::Options {
        available: plan::Available::look(),
        twins: false,
        minutes: Some(1e6),
        ..plan::Options::default()
    };
    plan::build(&suites, &host::facts(), &options).expect("embedded suites make a plan").groups
}

fn group_is_wanted(group: &Group, name: &str, filter: &str) -> bool {
    name.contains(filter) || group.cells.iter().any(|cell| function_id(name, cell).contains(filter))
}

fn function_id(name: &str, cell: &Cell) -> String {
    format!("{name}/{}", cell.contender)
}

/// `gemm/512` for a square product, else the workload and its point.
fn group_name(group: &Group) -> String {
    format!("{}/{}", group.workload, short(&group.point))
}

/// The point without what is usual: one number for a square, the extents otherwise.
fn short(point: &Params) -> String {
    let extents: Vec<u64> = ["m", "n", "k"]
        .iter()
        .filter_map(|axis| match point.get(*axis) {
            Some(Param::Int(extent)) => Some(*extent),
            _ => None,
        })
        .collect();
    let square = extents.len() == 3 && extents.iter().all(|extent| *extent == extents[0]);
    let mut words: Vec<String> =
        if square { vec![extents[0].to_string()] } else { extents.iter().map(u64::to_string).collect() };
    let usual = ["same", "nn", "batch", "f32"];
    for (axis, value) in point.iter().filter(|(axis, _)| !["m", "n", "k"].contains(&axis.as_str())) {
        match value {
            Param::Text(text) if usual.contains(&text.as_str()) => {}
            Param::Int(1) => {}
            other => words.push(format!("{axis}={other}")),
        }
    }
    words.join("x")
}

fn bench(criterion: &mut Criterion, group: &Group, name: &str, scratch: &Path) {
    let mut benches = criterion.benchmark_group(name);
    let work = group.program.work();
    let is_arithmetic = work.flops > 8 * work.bytes();
    benches.throughput(if is_arithmetic {
        Throughput::Elements(work.flops)
    } else {
        Throughput::Bytes(work.bytes())
    });
    benches.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    for cell in group.cells.iter().filter(|cell| cell.fate == Fate::Run) {
        function(&mut benches, cell, scratch);
    }
    benches.finish();
}

/// One contender. Its worker starts when criterion first asks for a sample, so a name that the filter
/// leaves out costs nothing.
fn function(benches: &mut BenchmarkGroup<WallTime>, cell: &Cell, scratch: &Path) {
    let mut live = None;
    benches.bench_function(cell.contender.to_string(), |bencher| {
        bencher.iter_custom(|iters| {
            let worker = live.get_or_insert_with(|| ready(cell, scratch));
            let ask = Ask::Sample { scope: Scope::Resident, sync: Sync::Batch, iters };
            match worker.ask(&ask, LIMIT) {
                Ok(Reply::Sample(sample)) => Duration::from_nanos(sample.ns as u64),
                Ok(other) => panic!("{}: {other:?} is no sample", cell.contender),
                Err(crash) => panic!("{}: {crash}", cell.contender),
            }
        });
    });
}

/// A worker that has loaded the program and given the right answer on the buffers to be timed.
fn ready(cell: &Cell, scratch: &Path) -> Worker {
    let fail = |why: String| -> ! { panic!("{}: {why}", cell.contender) };
    let mut worker =
        Worker::start(&launch(cell, scratch), LIMIT).unwrap_or_else(|crash| fail(crash.to_string()));
    let execute = |worker: &mut Worker, keep_all| {
        let load = Ask::Load { program: Program::clone(&cell.program), seed: SEED, sets: 1, keep_all };
        for ask in [load, Ask::Verify] {
            worker.ask(&ask, LIMIT).unwrap_or_else(|crash| fail(crash.to_string()));
        }
    };
    // Every step is checked where every value can be read; what is timed must leave the same outputs.
    execute(&mut worker, true);
    let mut remote = Remote(&mut worker);
    let checked = Verifier::new(SEED, CHECK).check_steps(&cell.program, 0, &mut remote);
    checked.unwrap_or_else(|failure| fail(format!("{failure:?}")));
    let answer = Answer::of(&cell.program, 0, &mut remote).unwrap_or_else(|crash| fail(crash.to_string()));
    execute(&mut worker, false);
    answer
        .check(&cell.program, &mut Remote(&mut worker))
        .unwrap_or_else(|failure| fail(format!("{failure:?}")));
    worker
}

fn launch(cell: &Cell, scratch: &Path) -> Launch {
    let contender = &cell.contender;
    let family = backends::family_of(&contender.backend).expect("a planned backend exists");
    let external = family.external().and_then(Result::ok).map(|external| external.command);
    Launch {
        backend: contender.backend.clone(),
        lane: contender.lane.clone(),
        program: PathBuf::from(env!("CARGO_BIN_EXE_cutgpu")),
        external,
        environment: family.environment(&contender.lane),
        memory_limit: None,
        scratch: scratch.to_path_buf(),
    }
}

/// The values that a worker holds.
struct Remote<'a>(&'a mut Worker);

impl Values for Remote<'_> {
    type Error = cutgpu::measure::crash::Crash;
    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Self::Error> {
        self.0.read(value, set, range)
    }
}
