//! numpy's answers, by the ops' own references. Says so where there is no numpy; REQUIRE_BACKENDS turns
//! that into a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod common;

use common::{LANE, LIMIT, SEED, launch};
use cutgpu::backends::family_of;
use cutgpu::measure::protocol::{Ask, Reply};
use cutgpu::measure::worker::Worker;
use cutgpu::ops::{
    Adamw, Add, Arg, Attention, BiasAdd, Copied, Expected, Gelu, GeluForm, Gemm, LayerNorm, Op, Softmax,
    Triad,
};
use cutgpu::program::{Phase, Program, State};
use cutgpu::suite::{Scope, Sync};
use cutgpu::tensor::{DType, HostArray, ValueSpec};

fn single(op: Op, args: &[ValueSpec]) -> Program {
    let mut program = Program::default();
    let fill = |number, spec: &ValueSpec| op.operation().fill(number, spec);
    let ids: Vec<_> = args
        .iter()
        .enumerate()
        .map(|(number, spec)| program.input("x", spec.clone(), State::Batch, fill(number, spec)))
        .collect();
    program.outputs = program.push(op, &ids, Phase::Forward, State::Activation).unwrap();
    program
}

fn f32s(shapes: &[&[usize]]) -> Vec<ValueSpec> {
    shapes.iter().map(|shape| ValueSpec::new(shape, DType::F32)).collect()
}

/// A case or more for every op of the script.
fn programs() -> Vec<Program> {
    let gemm = |trans_a, trans_b, alpha, beta| {
        Op::Gemm(Gemm { trans_a, trans_b, alpha, beta, ..Gemm::plain(DType::F32) })
    };
    let softmax =
        |scale, causal, log_sum_exp| Op::Softmax(Softmax { scale, causal, log_sum_exp, output: DType::F32 });
    let attention = |causal| Op::Attention(Attention { scale: 0.25, causal });
    let bytes = vec![ValueSpec::new(&[3, 5], DType::U8)];
    let halves = vec![ValueSpec::new(&[3, 5], DType::Bf16)];
    let wide = vec![ValueSpec::new(&[6, 9], DType::F64), ValueSpec::new(&[9, 4], DType::F64)];
    let exact = Gemm { accumulate: DType::F64, ..Gemm::plain(DType::F64) };
    let weights: [&[usize]; 3] = [&[7, 33], &[33], &[33]];
    let mut programs: Vec<Program> = [
        (gemm(false, false, 1.0, 0.0), f32s(&[&[17, 33], &[33, 9]])),
        (gemm(true, false, 2.0, 0.0), f32s(&[&[33, 17], &[33, 9]])),
        (gemm(false, true, -0.5, 2.0), f32s(&[&[17, 33], &[9, 33], &[17, 9]])),
        (gemm(false, false, 1.0, 1.0), f32s(&[&[3, 17, 33], &[33, 9], &[3, 17, 9]])),
        (gemm(true, true, 1.0, 0.0), f32s(&[&[3, 33, 17], &[3, 9, 33]])),
        (gemm(true, false, 1.0, 0.0), f32s(&[&[3, 33, 17], &[33, 9]])),
        (Op::Gemm(exact), wide),
        (Op::Copy(Copied {}), bytes),
        (Op::Copy(Copied {}), halves),
        (Op::Triad(Triad { scale: 3.0 }), f32s(&[&[1001], &[1001]])),
        (Op::Add(Add {}), f32s(&[&[7, 5], &[7, 5]])),
        (Op::BiasAdd(BiasAdd {}), f32s(&[&[7, 5], &[5]])),
        (Op::Gelu(Gelu { form: GeluForm::Tanh }), f32s(&[&[999]])),
        (softmax(1.0, false, false), f32s(&[&[5, 77]])),
        (softmax(0.5, true, true), f32s(&[&[2, 5, 7]])),
        (Op::LayerNorm(LayerNorm { eps: 1e-5 }), f32s(&weights)),
        (attention(false), f32s(&[&[2, 9, 16], &[2, 1, 16], &[2, 1, 8]])),
        (attention(false), f32s(&[&[2, 9, 16], &[2, 11, 16], &[2, 11, 8]])),
        (attention(true), f32s(&[&[2, 9, 16], &[2, 11, 16], &[2, 11, 8]])),
    ]
    .into_iter()
    .map(|(op, args)| single(op, &args))
    .collect();
    for p16 in [false, true] {
        let shape: &[usize] = &[1000];
        let mut program = single(Op::Adamw(Adamw { p16, ..Adamw::default() }), &f32s(&[shape; 4]));
        for (number, input) in [0, 2, 3].into_iter().enumerate() {
            program.carry(program.outputs[number], input);
        }
        programs.push(program);
    }
    programs
}

/// The outputs after `executions`, carried values rounded as they are stored.
fn reference(program: &Program, executions: usize) -> Vec<Vec<Expected>> {
    let step = &program.steps[0];
    let specs = program.specs(&step.args);
    let operation = step.op.operation();
    let input = |&id: &usize| program.input_data(id, SEED, 0);
    let mut args: Vec<Vec<f64>> = step.args.iter().map(|id| input(id).to_f64(0..input(id).len())).collect();
    let mut outputs: Vec<Vec<Expected>> = Vec::new();
    for _ in 0..executions {
        let views: Vec<Arg> = specs.iter().zip(&args).map(|(spec, data)| Arg::whole(spec, data)).collect();
        outputs = vec![Vec::new(); step.outs.len()];
        for unit in 0..operation.units(&specs) {
            let answer = operation.reference(&views, unit);
            outputs.iter_mut().zip(answer).for_each(|(output, answer)| output.extend(answer));
        }
        for carry in &program.carries {
            let from = step.outs.iter().position(|&id| id == carry.produced).unwrap();
            let to = step.args.iter().position(|&id| id == carry.input).unwrap();
            args[to] = outputs[from].iter().map(|element| f64::from(element.value as f32)).collect();
        }
    }
    outputs
}

/// Compares every output; errors of an earlier execution are passed on, so each gets one more bound.
fn compare(program: &Program, executions: usize, mut read: impl FnMut(usize, usize) -> HostArray) {
    for (number, expected) in reference(program, executions).iter().enumerate() {
        let got = read(program.steps[0].outs[number], expected.len());
        for (index, (got, want)) in got.to_f64(0..got.len()).iter().zip(expected).enumerate() {
            let allowed = executions as f64 * want.allow;
            assert!(
                (got - want.value).abs() <= allowed,
                "{:?}: element {index} of output {number} is {got}, not {} +- {allowed}",
                program.steps[0].op,
                want.value
            );
        }
    }
}

#[test]
fn numpy_answers_like_the_references() {
    let folder = tempfile::tempdir().unwrap();
    let Some(launch) = launch("peer/numpy", folder.path()) else { return };
    let mut worker = Worker::start(&launch, LIMIT).unwrap();
    let family = family_of("peer/numpy").unwrap();
    for program in programs() {
        family.supports(&LANE, &program.steps[0], &program).unwrap();
        let load = Ask::Load { program: program.clone(), seed: SEED, sets: 1, keep_all: false };
        assert!(matches!(worker.ask(&load, LIMIT), Ok(Reply::Loaded { .. })), "{:?}", program.steps[0].op);
        worker.ask(&Ask::Verify, LIMIT).unwrap();
        compare(&program, 1, |value, len| worker.read(value, 0, 0..len).unwrap());
        let sample = Ask::Sample { scope: Scope::Resident, sync: Sync::Batch, iters: 3 };
        worker.ask(&sample, LIMIT).unwrap();
        let executions = if program.carries.is_empty() { 1 } else { 3 };
        compare(&program, executions, |value, len| worker.read(value, 0, 0..len).unwrap());
    }
    worker.quit();
}
