//! Whole models beside PyTorch and ONNX Runtime, phase by phase, and the memory that they take.
//!
//! Runs that are there already are used again where `CUTGPU_TRAIN_KEEP` is set.

use super::Measured;
use super::commands::{failure, program, root, run};
use cutgpu::compare::{self, OWN};
use cutgpu::measure::protocol::ProbeKind;
use cutgpu::ops::Work;
use cutgpu::program::{Phase, Program, State};
use cutgpu::record::{Record, Run};
use cutgpu::workloads;
use std::path::Path;
use std::process::Command;

/// Cases of the suite `peers` that are whole models, and the one whose probe moves bytes as AdamW does.
const PEERS: &str = "peers/bert-inference,peers/bert-step,peers/vgg16-step,peers/adamw-memory";

/// PyTorch op by op, and by its compiler.
const EAGER: &str = "peer/torch";
const COMPILED: &str = "peer/torch-compiled";

/// Steps so large that memory is the question.
const LARGE: &str = "train/gpt2-step/mode=train,train/bert-large-step";

/// Time of whole models, and BERT-base's memory.
pub(crate) fn steps() -> Measured {
    let cutgpu = program()?;
    run(Command::new("make").args(["--silent", "peers"]))?;
    let peers = measured(&cutgpu, "peers", &["peers", "--only", PEERS])?;
    let ratio = |case: &str, without: &str| ratios(&peers, case, without).into_iter().reduce(f64::min);
    let step = own(&peers, "bert-step");
    let values = [
        ("train.bert_step", ratio("bert-step", COMPILED)),
        ("train.bert_step_compiled", ratio("bert-step", EAGER)),
        ("train.vgg16_step", ratio("vgg16-step", COMPILED)),
        ("train.bert_inference", ratio("bert-inference", "")),
        ("train.bert_forward", step.and_then(|record| arithmetic_share(record, Phase::Forward))),
        ("train.bert_backward", step.and_then(|record| arithmetic_share(record, Phase::Backward))),
        ("train.adamw", step.and_then(|record| update_share(record, &peers))),
        ("train.memory", step.and_then(memory_error)),
    ];
    Ok(values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// Memory of the largest steps.
pub(crate) fn large() -> Measured {
    let cutgpu = program()?;
    let run = measured(&cutgpu, "large", &["train", "--only", LARGE, "--backend", OWN, "--quick"])?;
    let error = |case: &str| own(&run, case).and_then(memory_error);
    let values =
        [("train.gpt2_memory", error("gpt2-step")), ("train.bert_large_memory", error("bert-large-step"))];
    Ok(values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// A run in `target/train/NAME`.
fn measured(cutgpu: &Path, name: &str, words: &[&str]) -> Result<Run, String> {
    let folder = root().join("target/train").join(name);
    if std::env::var_os("CUTGPU_TRAIN_KEEP").is_none() {
        let _ = std::fs::remove_dir_all(&folder);
    }
    if !folder.exists() {
        let mut command = Command::new(cutgpu);
        command.arg("run").args(words).arg("--out").arg(&folder);
        let output = command.current_dir(root()).output().map_err(|error| error.to_string())?;
        // A cell that failed or was wrong ends it with 1; the others are measured.
        if !matches!(output.status.code(), Some(0 | 1)) || !folder.join("run.jsonl").exists() {
            return Err(failure(&command, &output));
        }
    }
    cutgpu::record::read(&folder).map_err(|error| error.to_string())
}

/// Ratios to the best peer but `without` at each point of a case, whatever the packing.
fn ratios(run: &Run, case: &str, without: &str) -> Vec<f64> {
    let of_case = |record: &&Record| record.case == case && record.contender.backend != without;
    let records: Vec<Record> = run.records.iter().filter(of_case).cloned().collect();
    let standings = compare::standings(&records, &compare::Noise::of(&records));
    standings.iter().filter_map(|standing| Some(standing.against.as_ref()?.ratio.centre)).collect()
}

fn own<'a>(run: &'a Run, case: &str) -> Option<&'a Record> {
    run.records.iter().find(|record| record.case == case && record.contender.backend == OWN)
}

fn program_of(record: &Record) -> Option<Program> {
    workloads::find(&record.workload)?.program(&record.point).ok()
}

/// Work of a phase on paper.
fn work(program: &Program, phase: Phase) -> Work {
    let steps = program.steps.iter().filter(|step| step.phase == phase);
    steps.fold(Work::default(), |sum, step| sum + step.op.operation().work(&program.specs(&step.args)))
}

/// A phase's part of an execution, by steps that were timed one by one.
fn part(record: &Record, phase: Phase) -> Option<f64> {
    let phases = &record.phases.value()?.ns;
    Some(phases.get(&phase)? / phases.values().sum::<f64>())
}

/// Share of the multiply-add probe that a phase reaches, in per cent: each sample gives the phase its part of the time,
/// and is held against the probe beside it.
fn arithmetic_share(record: &Record, phase: Phase) -> Option<f64> {
    let series = record.series.first().filter(|series| series.probe == Some(ProbeKind::Fma))?;
    let flops = work(&program_of(record)?, phase).flops as f64 / part(record, phase)?;
    let beside = series.ns.iter().zip(&series.probe_rate).filter(|(_, probe)| **probe > 0.0);
    middle(beside.map(|(ns, probe)| 100.0 * flops / (ns * 1e-9) / probe).collect())
}

/// Share of the probe that reads 4 streams and writes 3 which the update reaches, in per cent.
fn update_share(record: &Record, run: &Run) -> Option<f64> {
    let ns = middle(record.series.first()?.ns.clone())? * part(record, Phase::Update)?;
    let threads = record.contender.lane.threads;
    let ceilings = compare::ceilings(&run.records);
    let probe = ceilings.iter().find(|one| one.probe == ProbeKind::Adam && one.threads == threads)?;
    Some(100.0 * work(&program_of(record)?, Phase::Update).bytes() as f64 / (ns * 1e-9) / probe.rate)
}

fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some((values[last / 2] + values[values.len() / 2]) / 2.0)
}

/// How far the high-water mark of a fresh process is from what liveness over the program says, scratch and packed
/// copies included, in per cent.
fn memory_error(record: &Record) -> Option<f64> {
    let peak = record.memory.value()?;
    let workspace = peak.held.get(&State::Workspace).copied().unwrap_or(0);
    let modelled = (program_of(record)?.liveness().total() + workspace) as f64;
    Some(100.0 * (peak.peak as f64 / modelled - 1.0).abs())
}
