//! PyTorch on NVIDIA's cards, one backend a card: what this program's kernels and NVIDIA's libraries stand beside.

use super::torch::{TORCH, trains};
use super::{Device, DeviceKind, External, Family, Found, Lane, Python, Unsupported};
use crate::backends::cuda;
use crate::ops::Op;
use crate::program::{Program, Step};

/// PyTorch on a card.
pub struct TorchCuda;

/// PyTorch on NVIDIA's cards.
pub const TORCH_CUDA: TorchCuda = TorchCuda;

const ID: &str = "peer/torch-cuda";

/// Its script computes where this says, on the processor where it is `cpu`: a proof of the script, never counted as a GPU.
const STANDS_IN: &str = "CUTGPU_TORCH_DEVICE";

pub(super) const PYTHON: Python = Python {
    id: ID,
    about: "PyTorch on a GPU in eager mode, by a worker in Python",
    modules: &[
        ("torch_cuda", include_str!("../../../peers/torch_cuda.py")),
        TORCH.modules[0],
        TORCH.modules[1],
        TORCH.modules[2],
    ],
    serves,
    packs: |_, _| false,
    packings: &[super::Packing::Plain],
    ..TORCH
};

fn serves(step: &Step, program: &Program) -> Result<(), &'static str> {
    match &step.op {
        Op::Attention(op) if op.log_sum_exp => Err("is not asked for the log-sum-exp on a card"),
        Op::GemmI8(_) | Op::Quantize(_) | Op::Dequantize(_) => Err("is not asked for this op on a card"),
        Op::Cast(_) | Op::Embedding(_) => (TORCH.serves)(step, program),
        _ if trains(step, program).is_some() => Err("is not asked for the ops of training on a card"),
        _ => (TORCH.serves)(step, program),
    }
}

impl Family for TorchCuda {
    fn id(&self) -> &'static str {
        ID
    }

    fn kind(&self) -> DeviceKind {
        DeviceKind::Gpu
    }

    fn devices(&self) -> Vec<Found> {
        if PYTHON.external().is_none_or(|external| external.is_err()) {
            return Vec::new();
        }
        let found = |number: usize, kind| Found {
            backend: format!("{ID}/{number}"),
            kind,
            about: PYTHON.about.to_string(),
        };
        if std::env::var_os(STANDS_IN).is_some_and(|device| !device.is_empty()) {
            return vec![found(0, DeviceKind::SoftwareGpu)];
        }
        (0..cuda::visible_cards().unwrap_or(0)).map(|number| found(number, DeviceKind::Gpu)).collect()
    }

    fn supports(&self, lane: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        PYTHON.supports(lane, step, program)
    }

    fn open(&self, backend: &str, lane: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        cuda::visible_cards()?;
        PYTHON.open(backend, lane)
    }

    fn environment(&self, _: &Lane) -> Vec<(String, String)> {
        let lane = Lane { threads: 1, packing: super::Packing::Plain };
        PYTHON.environment(&lane).into_iter().chain(cuda::variables()).collect()
    }

    fn max_threads(&self) -> usize {
        1
    }

    fn external(&self) -> Option<Result<External, Unsupported>> {
        PYTHON.external()
    }
}
