//! Workers in Python against the f64 references: the programs of the conformance test, every lane. What is
//! not on this machine is said; REQUIRE_BACKENDS turns that into a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod common;
mod conformance_programs;

use common::{LIMIT, SEED, launch_in, start};
use conformance_programs::{Case, models, programs};
use cutgpu::backends::{Lane, Packing, family_of};
use cutgpu::measure::crash::Crash;
use cutgpu::measure::protocol::{Ask, Reply};
use cutgpu::measure::verify::{Answer, Values, Verifier, check_finite};
use cutgpu::measure::worker::Worker;
use cutgpu::ops::{Attention, Gemm, LayerNorm, Op, Softmax};
use cutgpu::program::{Phase, Program, State, ValueId};
use cutgpu::suite::{Scope, Sync};
use cutgpu::tensor::{DType, HostArray, ValueSpec};
use std::ops::Range;

/// Two input sets, so that one cannot pass for the other.
const SETS: usize = 2;

struct Remote<'a>(&'a mut Worker);

impl Values for Remote<'_> {
    type Error = Crash;
    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Crash> {
        self.0.read(value, set, range)
    }
}

fn ask(worker: &mut Worker, ask: &Ask, name: &str) -> Reply {
    worker.ask(ask, LIMIT).unwrap_or_else(|crash| panic!("{name}: {crash}"))
}

fn load(worker: &mut Worker, case: &Case, keep_all: bool) -> Reply {
    let load = Ask::Load { program: case.program.clone(), seed: SEED, sets: SETS, keep_all };
    ask(worker, &load, &case.name)
}

/// As a cell is proved: each step of a load that keeps everything, then a load as it is timed, before and
/// after samples.
fn check(worker: &mut Worker, case: &Case, verifier: &mut Verifier) {
    let Case { name, program } = case;
    load(worker, case, true);
    ask(worker, &Ask::Verify, name);
    let mut answers = vec![];
    for set in 0..SETS {
        let checked = verifier.check_steps(program, set, &mut Remote(worker));
        checked.unwrap_or_else(|failure| panic!("{name}: set {set}: {failure:?}"));
        answers.push(Answer::of(program, set, &mut Remote(worker)).unwrap());
    }
    load(worker, case, false);
    for (scope, sync) in
        [(Scope::Resident, Sync::Batch), (Scope::Resident, Sync::Each), (Scope::EndToEnd, Sync::Batch)]
    {
        ask(worker, &Ask::Sample { scope, sync, iters: 5 }, name);
        for set in 0..SETS {
            check_finite(program, set, &mut Remote(worker))
                .unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
        }
    }
    ask(worker, &Ask::Verify, name);
    for answer in answers {
        let same = answer.check(program, &mut Remote(worker));
        same.unwrap_or_else(|failure| panic!("{name}: as it is timed: {failure:?}"));
    }
}

/// What no workload has: f64, more leading axes, v of another width than k, integers copied.
fn unusual() -> Vec<Case> {
    let of = |dtype, shapes: &[&[usize]]| -> Vec<ValueSpec> {
        shapes.iter().map(|shape| ValueSpec::new(shape, dtype)).collect()
    };
    let f64s = |shapes| of(DType::F64, shapes);
    let f32s = |shapes| of(DType::F32, shapes);
    let exact = Gemm { accumulate: DType::F64, ..Gemm::plain(DType::F64) };
    let deep = Gemm { trans_b: true, alpha: -0.5, beta: 2.0, ..Gemm::plain(DType::F32) };
    let softmax = Softmax { scale: 0.5, causal: true, log_sum_exp: true, output: DType::F64 };
    let attention = |causal, log_sum_exp| Op::Attention(Attention { scale: 0.25, causal, log_sum_exp });
    [
        (Op::Gemm(exact), f64s(&[&[6, 9], &[9, 4]])),
        (Op::Gemm(deep), f32s(&[&[2, 3, 5, 7], &[2, 3, 4, 7], &[2, 3, 5, 4]])),
        (Op::Copy(Default::default()), of(DType::U8, &[&[3, 5]])),
        (Op::Copy(Default::default()), of(DType::I32, &[&[7]])),
        (Op::Softmax(softmax), f64s(&[&[2, 5, 7]])),
        (Op::LayerNorm(LayerNorm { eps: 1e-5 }), f64s(&[&[2, 3, 17], &[17], &[17]])),
        (attention(false, false), f32s(&[&[2, 9, 16], &[2, 1, 16], &[2, 1, 8]])),
        (attention(true, true), f32s(&[&[2, 9, 16], &[2, 11, 16], &[2, 11, 8]])),
        (attention(true, true), f64s(&[&[2, 2, 9, 16], &[2, 2, 11, 16], &[2, 2, 11, 16]])),
        (attention(true, false), f32s(&[&[9, 16], &[9, 16], &[9, 16]])),
    ]
    .into_iter()
    .map(|(op, args)| single(op, &args))
    .collect()
}

fn single(op: Op, args: &[ValueSpec]) -> Case {
    let mut program = Program::default();
    let fill = |number, spec: &ValueSpec| op.operation().fill(number, spec);
    let ids: Vec<_> = args
        .iter()
        .enumerate()
        .map(|(number, spec)| program.input("x", spec.clone(), State::Batch, fill(number, spec)))
        .collect();
    let name = format!("{op:?} of {args:?}");
    program.outputs = program.push(op, &ids, Phase::Forward, State::Activation).unwrap();
    Case { name, program }
}

/// Runs every program that `backend` serves at a lane, whole or expanded, if it is on this machine.
fn answers_like_the_references(backend: &str, lanes: &[(usize, Packing)], least: usize) {
    let cases = || programs().into_iter().chain(unusual()).collect();
    answers_these(backend, lanes, cases, least);
}

/// The same for these programs; at least so many must be served.
fn answers_these(backend: &str, lanes: &[(usize, Packing)], cases: impl Fn() -> Vec<Case>, least: usize) {
    answers_with(backend, lanes, cases, least, &[]);
}

/// The same, the worker with more variables.
fn answers_with(
    backend: &str,
    lanes: &[(usize, Packing)],
    cases: impl Fn() -> Vec<Case>,
    least: usize,
    variables: &[(&str, &str)],
) {
    let folder = tempfile::tempdir().unwrap();
    let Some(family) = family_of(backend) else {
        return eprintln!("{backend} is not tested: it is not in this build");
    };
    let mut verifier = Verifier::new(SEED, u64::MAX);
    for &(threads, packing) in lanes {
        let lane = Lane { threads, packing };
        let more = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let mut launch = launch_in(backend, &lane, folder.path());
        launch.iter_mut().for_each(|launch| launch.environment.extend(more.clone()));
        let Some(mut worker) = launch.as_ref().and_then(start) else { return };
        assert_eq!(worker.identity().threads, threads, "{backend}");
        let (mut ran, mut unsupported) = (0, 0);
        for case in cases() {
            let supports =
                |step: &_, program: &_| family.supports(&lane, step, program).map_err(|reason| reason.0);
            match case.program.expand_for(supports) {
                Ok(expanded) => {
                    check(&mut worker, &Case { program: expanded.program, ..case }, &mut verifier);
                    ran += 1;
                }
                Err(_) => unsupported += 1,
            }
        }
        println!("{backend} {lane}: {ran} programs, {unsupported} unsupported");
        assert!(ran >= if packing == Packing::Plain { least } else { 2 }, "{backend} {lane} ran {ran}");
        worker.quit();
    }
}

const PLAIN: (usize, Packing) = (1, Packing::Plain);
const PACKED: (usize, Packing) = (2, Packing::Packed);

#[test]
fn numpy_answers_like_the_references() {
    answers_like_the_references("peer/numpy", &[PLAIN, (2, Packing::Plain)], 50);
}

#[test]
fn torch_answers_like_the_references() {
    answers_like_the_references("peer/torch", &[PLAIN, PACKED], 100);
}

/// Its script on the processor: what a card alone has, its clock and its waits, is not proved here.
#[test]
fn torch_for_cards_answers_like_the_references() {
    let cases = || programs().into_iter().chain(unusual()).collect();
    answers_with("peer/torch-cuda/0", &[PLAIN], cases, 100, &[("CUTGPU_TORCH_DEVICE", "cpu")]);
}

#[test]
fn compiled_torch_answers_like_the_references() {
    answers_these("peer/torch-compiled", &[(2, Packing::Plain)], models, 2);
}

#[test]
fn ort_answers_like_the_references() {
    answers_like_the_references("peer/ort", &[PLAIN, PACKED], 100);
}

#[test]
fn tuned_ort_answers_like_the_references() {
    answers_like_the_references("peer/ort-tuned", &[(2, Packing::Plain), PACKED], 100);
}
