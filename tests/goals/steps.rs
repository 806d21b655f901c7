//! Whole models beside PyTorch and ONNX Runtime, and the memory that they take.
//!
//! Runs that are there already are used again where `CUTGPU_TRAIN_KEEP` is set.

use super::Measured;
use super::commands::{failure, program, root, run};
use cutgpu::compare::{self, OWN};
use cutgpu::program::{Program, State};
use cutgpu::record::{Record, Run};
use cutgpu::workloads;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Cases of the suite `peers` that are whole models.
const PEERS: &str = "peers/bert-inference,peers/bert-step,peers/vgg16-step";

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
    let values = [
        ("train.bert_step", ratio("bert-step", COMPILED)),
        ("train.bert_step_compiled", ratio("bert-step", EAGER)),
        ("train.vgg16_step", ratio("vgg16-step", COMPILED)),
        ("train.bert_inference", ratio("bert-inference", "")),
        ("train.memory", own(&peers, "bert-step").and_then(memory_error)),
    ];
    Ok(values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// Memory of the largest steps, which the first visit of each tells: the run, of an hour, is ended then.
pub(crate) fn large() -> Measured {
    let cutgpu = program()?;
    let folder = folder("large");
    let errors = || -> Option<[f64; 2]> {
        let run = cutgpu::record::read(&folder).ok()?;
        let error = |case: &str| own(&run, case).and_then(memory_error);
        Some([error("gpt2-step")?, error("bert-large-step")?])
    };
    if !is_kept(&folder) {
        let mut command = Command::new(cutgpu);
        command.args(["run", "train", "--only", LARGE, "--backend", OWN, "--quick", "--out"]).arg(&folder);
        let quiet = command.current_dir(root()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = quiet.spawn().map_err(|error| error.to_string())?;
        while child.try_wait().map_err(|error| error.to_string())?.is_none() {
            if errors().is_some() {
                run(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
                child.wait().map_err(|error| error.to_string())?;
                break;
            }
            std::thread::sleep(Duration::from_secs(5));
        }
    }
    let [gpt2, bert] = errors().ok_or("the run ended before both steps had told their memory")?;
    Ok([("train.gpt2_memory", gpt2), ("train.bert_large_memory", bert)].into())
}

fn folder(name: &str) -> PathBuf {
    root().join("target/train").join(name)
}

/// Whether a run is there already, to be used again; one that is not wanted is removed.
fn is_kept(folder: &Path) -> bool {
    if std::env::var_os("CUTGPU_TRAIN_KEEP").is_none() {
        let _ = std::fs::remove_dir_all(folder);
    }
    folder.exists()
}

/// A run in `target/train/NAME`.
fn measured(cutgpu: &Path, name: &str, words: &[&str]) -> Result<Run, String> {
    let folder = folder(name);
    if !is_kept(&folder) {
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

/// How far the high-water mark of a fresh process is from what liveness over the program says, scratch and packed
/// copies included, in per cent.
fn memory_error(record: &Record) -> Option<f64> {
    let peak = record.memory.value()?;
    let workspace = peak.held.get(&State::Workspace).copied().unwrap_or(0);
    let modelled = (program_of(record)?.liveness().total() + workspace) as f64;
    Some(100.0 * (peak.peak as f64 / modelled - 1.0).abs())
}
