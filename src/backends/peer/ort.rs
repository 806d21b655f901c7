//! ONNX Runtime's processor provider: a program is one model.

use super::{Python, common_type, is_product, specs_of, unused_blas};
use crate::backends::Packing;
use crate::backends::cpu::blas::settings::Settings;
use crate::backends::cpu::loaded::is_packable;
use crate::host::cpuid::adds_bytes_exactly;
use crate::ops::{Conv2d, Granularity, ImageLayout, MaxPool, Op};
use crate::program::{Program, Step};
use crate::tensor::DType;

/// ONNX Runtime as it comes, with all its optimizations.
pub const ORT: Python = Python {
    id: "peer/ort",
    about: "ONNX Runtime with its default optimizations, by a worker in Python",
    packages: &["onnxruntime", "onnx", "numpy"],
    modules: &[
        ("ort_peer", include_str!("../../../peers/ort_peer.py")),
        ("ort_graph", include_str!("../../../peers/ort_graph.py")),
    ],
    serves,
    packs,
    packings: &[Packing::Packed, Packing::Plain],
    compiles: false,
    settings,
};

/// ONNX Runtime without the optimizations that make it slower on a processor.
pub const ORT_TUNED: Python = Python {
    id: "peer/ort-tuned",
    about: "ONNX Runtime without the optimizations that cost time here, by a worker in Python",
    ..ORT
};

/// Its own pool is sized by the worker.
fn settings(_: usize) -> Settings {
    let mut settings = unused_blas();
    settings.push(("OMP_NUM_THREADS", "1".to_string()));
    settings
}

fn serves(step: &Step, program: &Program) -> Result<(), &'static str> {
    let specs = specs_of(step, program, usize::MAX);
    match &step.op {
        Op::Copy(_) if specs[0].dtype == DType::Bf16 => {
            return Err("is bound through numpy, which has no bf16");
        }
        Op::Quantize(op) if op.granularity != Granularity::Tensor => {
            return Err("is asked to quantise by one scale for all");
        }
        Op::GemmI8(_) if !adds_bytes_exactly() => {
            return Err(
                "adds pairs of products of bytes in 16 bits on a processor without VNNI, and they overflow",
            );
        }
        Op::Copy(_) | Op::GemmI8(_) | Op::Quantize(_) | Op::Dequantize(_) => return Ok(()),
        Op::Attention(op) if op.log_sum_exp => return Err("gives no log-sum-exp with attention"),
        Op::Embedding(_) if specs[0].dtype == DType::F32 => return Ok(()),
        Op::Conv2d(Conv2d { layout: ImageLayout::Nhwc, .. })
        | Op::MaxPool(MaxPool { layout: ImageLayout::Nhwc, .. }) => {
            return Err("takes the channels of images before their rows");
        }
        Op::Attention(_) if specs[0].shape.len() != 3 => return Err("takes three axes of q, k and v"),
        Op::Gemm(_)
        | Op::Triad(_)
        | Op::Add(_)
        | Op::BiasAdd(_)
        | Op::Gelu(_)
        | Op::BiasGelu(_)
        | Op::Softmax(_)
        | Op::LayerNorm(_)
        | Op::Attention(_)
        | Op::AddLayerNorm(_)
        | Op::Relu(_)
        | Op::BiasRelu(_)
        | Op::Tanh(_)
        | Op::MaxPool(_)
        | Op::Rearrange(_)
        | Op::Conv2d(_) => {}
        _ => return Err("has no such op"),
    }
    match common_type(&specs) {
        Some(DType::F32) => Ok(()),
        _ => Err("computes in f32 only: other types are cast to it and back"),
    }
}

/// Where the weights are a constant of the model.
fn packs(step: &Step, program: &Program) -> bool {
    (is_product(step) || matches!(step.op, Op::Conv2d(_))) && is_packable(program, step.args[1])
}
