//! cubek: kernels written in Rust and compiled for what wgpu reaches, in a worker that `make cubek` builds.

use super::cpu::dylib::stores;
use super::*;
use crate::ops::Op;
use crate::tensor::DType;
use std::path::PathBuf;

/// cubek's products, on the adapter that its wgpu prefers.
pub struct Cubek;

/// Its family's name.
const ID: &str = "cubek";

/// The worker, or what is missing.
fn worker() -> Result<PathBuf, Unsupported> {
    let built =
        stores().into_iter().map(|store| store.join("cubek/bin/cutgpu-cubek")).find(|path| path.is_file());
    built.ok_or_else(|| Unsupported(format!("there is no {ID} on this machine: `make cubek` builds it")))
}

/// What wgpu reaches here: cubek computes on one of these.
fn adapters() -> Vec<Found> {
    family_of("wgpu").map_or_else(Vec::new, |wgpu| wgpu.devices())
}

impl Family for Cubek {
    fn id(&self) -> &'static str {
        ID
    }

    fn kind(&self) -> DeviceKind {
        DeviceKind::Gpu
    }

    fn devices(&self) -> Vec<Found> {
        let adapters = adapters();
        if worker().is_err() || adapters.is_empty() {
            return vec![];
        }
        // It takes a GPU where there is one.
        let is_software = adapters.iter().all(|found| found.kind == DeviceKind::SoftwareGpu);
        let kind = if is_software { DeviceKind::SoftwareGpu } else { DeviceKind::Gpu };
        let about = format!("cubek, on {}", adapters[0].about);
        vec![Found { backend: ID.to_string(), kind, about }]
    }

    fn supports(&self, _: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        let specs = program.specs(&step.args);
        let is_plain = specs.iter().all(|spec| spec.dtype == DType::F32 && spec.shape.len() == 2);
        match &step.op {
            Op::Gemm(op) if is_plain && op.alpha == 1.0 && op.beta == 0.0 && op.output == DType::F32 => {
                Ok(())
            }
            _ => Err(Unsupported(format!("{ID} is asked for plain products of f32 matrices"))),
        }
    }

    fn open(&self, _: &str, _: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        worker()?;
        if adapters().is_empty() {
            return Err(Unsupported(format!(
                "{ID} computes on what wgpu reaches, and wgpu reaches nothing here"
            )));
        }
        Err(Unsupported(format!("{ID} runs in a process of its own, on what wgpu reaches")))
    }

    fn environment(&self, lane: &Lane) -> Vec<(String, String)> {
        family_of("wgpu").map_or_else(Vec::new, |wgpu| wgpu.environment(lane))
    }

    fn max_threads(&self) -> usize {
        1
    }

    // Its first launch compiles and chooses.
    fn compiling(&self, _: &Program) -> Duration {
        Duration::from_secs(30)
    }

    fn external(&self) -> Option<Result<External, Unsupported>> {
        let command = |path: PathBuf| External { command: vec![path.to_string_lossy().into_owned()] };
        Some(worker().map(command))
    }
}
