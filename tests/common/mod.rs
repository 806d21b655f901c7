//! What the tests of workers share.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part")]

use cutgpu::backends::{self, Lane, Packing};
use cutgpu::host::process::members;
use cutgpu::measure::crash::{Crash, CrashKind};
use cutgpu::measure::worker::{Launch, Worker};
use cutgpu::ops::{Arg, Gemm, Op};
use cutgpu::program::{Phase, Program, State, ValueId};
use cutgpu::random::Fill;
use cutgpu::tensor::{DType, HostArray, ValueSpec};
use std::path::Path;
use std::time::{Duration, Instant};

/// The program under test.
pub(crate) const CUTGPU: &str = env!("CARGO_BIN_EXE_cutgpu");
/// Longer than anything takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// Seed of every input.
pub(crate) const SEED: u64 = 11;
/// One thread, nothing packed.
pub(crate) const LANE: Lane = Lane { threads: 1, packing: Packing::Plain };

/// How to start `backend`; none, with the reason printed, where it cannot run here. The variable
/// `REQUIRE_BACKENDS` (names separated by commas) turns that into a failure.
pub(crate) fn launch(backend: &str, scratch: &Path) -> Option<Launch> {
    let launch = launch_in(backend, &LANE, scratch)?;
    start(&launch).map(|_| launch)
}

/// A worker, or none, with the reason printed, where its library cannot be loaded.
pub(crate) fn start(launch: &Launch) -> Option<Worker> {
    match Worker::start(launch, LIMIT) {
        Err(Crash { kind: CrashKind::Unsupported, message }) => absent(&launch.backend, &message),
        Err(crash) => panic!("{}: {crash}", launch.backend),
        Ok(worker) => Some(worker),
    }
}

/// How to start `backend` at a lane, which may still fail.
pub(crate) fn launch_in(backend: &str, lane: &Lane, scratch: &Path) -> Option<Launch> {
    let Some(family) = backends::family_of(backend) else {
        return absent(backend, "it is not in this build");
    };
    let external = match family.external() {
        Some(Err(why)) => return absent(backend, &why.to_string()),
        Some(Ok(external)) => Some(external.command),
        None => None,
    };
    let environment = family.environment(lane);
    Some(Launch { lane: lane.clone(), external, environment, ..plain_launch(backend, scratch) })
}

/// Says why a backend is not tested.
fn absent<T>(backend: &str, why: &str) -> Option<T> {
    let required = std::env::var("REQUIRE_BACKENDS").unwrap_or_default();
    assert!(!required.split(',').any(|name| name == backend), "{backend} is required: {why}");
    eprintln!("{backend} is not tested: {why}");
    None
}

/// How to start a backend of this program.
pub(crate) fn plain_launch(backend: &str, scratch: &Path) -> Launch {
    Launch {
        backend: backend.to_string(),
        lane: LANE,
        program: CUTGPU.into(),
        external: None,
        environment: Vec::new(),
        memory_limit: None,
        scratch: scratch.to_path_buf(),
    }
}

/// D = A B with A `[m, k]` and B `[k, n]`.
pub(crate) fn product(m: usize, n: usize, k: usize) -> Program {
    let mut program = Program::default();
    let a = program.input("a", ValueSpec::new(&[m, k], DType::F32), State::Batch, Fill::UNIT);
    let b = program.input("b", ValueSpec::new(&[k, n], DType::F32), State::Parameter, Fill::UNIT);
    let op = Op::Gemm(Gemm::plain(DType::F32));
    program.outputs = program.push(op, &[a, b], Phase::Forward, State::Activation).unwrap();
    program
}

/// P = P X, which an execution updates in place.
pub(crate) fn update(n: usize) -> Program {
    let mut program = Program::default();
    let p = program.input("p", ValueSpec::new(&[n, n], DType::F32), State::Parameter, Fill::UNIT);
    let x = program.input("x", ValueSpec::new(&[n, n], DType::F32), State::Batch, Fill::UNIT);
    let op = Op::Gemm(Gemm::plain(DType::F32));
    program.outputs = program.push(op, &[p, x], Phase::Update, State::Parameter).unwrap();
    program.carry(program.outputs[0], p);
    program
}

/// Why `got` is not the output of a program of one step after `executions` of input set `set`.
pub(crate) fn wrong(program: &Program, set: usize, executions: usize, got: &HostArray) -> Option<String> {
    let step = &program.steps[0];
    let specs = program.specs(&step.args);
    let operation = step.op.operation();
    let input = |id: ValueId| program.input_data(id, SEED, set);
    let mut args: Vec<Vec<f64>> = step.args.iter().map(|&id| input(id).to_f64(0..input(id).len())).collect();
    let mut expected = Vec::new();
    for _ in 0..executions {
        let views: Vec<Arg> = specs.iter().zip(&args).map(|(spec, data)| Arg::whole(spec, data)).collect();
        let units = 0..operation.units(&specs);
        expected = units.flat_map(|unit| operation.reference(&views, unit).swap_remove(0)).collect();
        if !program.carries.is_empty() {
            args[0] = expected.iter().map(|element| f64::from(element.value as f32)).collect();
        }
    }
    let got = got.to_f64(0..got.len());
    // Errors of earlier executions are passed on: three of them stay within ten times one's bound.
    let far = |(got, want): &(&f64, &cutgpu::ops::Expected)| {
        (*got - want.value).abs() > 10.0 * want.allow || got.is_nan()
    };
    got.iter().zip(&expected).find(far).map(|(got, want)| format!("{got} instead of {}", want.value))
}

/// Whether `is_so` becomes so within two seconds.
pub(crate) fn soon(is_so: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    while !is_so() {
        if begin.elapsed() > Duration::from_secs(2) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Whether no process of a group is left, within two seconds.
pub(crate) fn is_gone(group: u32) -> bool {
    soon(|| members(group).is_empty())
}
