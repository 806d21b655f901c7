//! PyTorch on the processor, op by op as in eager mode.

use super::{Python, common_type, specs_of, unused_blas};
use crate::backends::Packing;
use crate::backends::cpu::blas::settings::Settings;
use crate::backends::cpu::loaded::is_packable;
use crate::host::cpuid::has_words_of_avx512;
use crate::ops::{Gemm, GemmI8, Op};
use crate::program::{Program, Step};
use crate::tensor::DType;

/// PyTorch.
pub const TORCH: Python = Python {
    id: "peer/torch",
    about: "PyTorch in eager mode, by a worker in Python",
    packages: &["torch", "numpy"],
    modules: &[
        ("torch_peer", include_str!("../../../peers/torch_peer.py")),
        ("torch_common", include_str!("../../../peers/torch_common.py")),
        ("torch_training", include_str!("../../../peers/torch_training.py")),
    ],
    serves,
    packs,
    packings: &[Packing::Packed, Packing::Plain],
    compiles: false,
    settings,
};

/// PyTorch by its compiler.
pub const TORCH_COMPILED: Python = Python {
    id: "peer/torch-compiled",
    about: "PyTorch by torch.compile, a program as one graph, by a worker in Python",
    modules: &[
        ("torch_compiled", include_str!("../../../peers/torch_compiled.py")),
        TORCH.modules[0],
        TORCH.modules[1],
        TORCH.modules[2],
    ],
    packs: |_, _| false,
    packings: &[Packing::Plain],
    compiles: true,
    ..TORCH
};

/// A script for [`Python::script`] that trains a model of PyTorch's own: MODEL, the update's op in JSON and the number
/// of steps are its arguments, safetensors go in and come out.
pub const TORCH_CHECK: &str = include_str!("../../../peers/torch_check.py");

/// Its build has MKL and oneDNN inside, on one OpenMP.
fn settings(threads: usize) -> Settings {
    let mut settings = unused_blas();
    settings.extend(["OMP_NUM_THREADS", "MKL_NUM_THREADS"].map(|name| (name, threads.to_string())));
    // As many threads as asked for, whatever the size.
    settings.push(("MKL_DYNAMIC", "FALSE".to_string()));
    settings
}

fn serves(step: &Step, program: &Program) -> Result<(), &'static str> {
    if let Some(answer) = trains(step, program) {
        return answer;
    }
    // The last output of an optimizer is its first in bf16; statistics of 16-bit rows are f32.
    let outs = match &step.op {
        Op::Adamw(_) => 3,
        Op::SgdMomentum(_) => 2,
        Op::Softmax(_) => 0,
        _ => 1,
    };
    let specs = specs_of(step, program, outs);
    match &step.op {
        Op::Copy(_) | Op::Quantize(_) | Op::Dequantize(_) => return Ok(()),
        Op::GemmI8(GemmI8 { zero_a: 0, zero_b: 0, .. }) => return Ok(()),
        Op::GemmI8(_) => return Err("multiplies 8-bit integers without zero points only"),
        Op::Gemm(op) if op.accumulate != wide(specs[0].dtype) => {
            return Err("adds products of 16 and 32 bits in f32");
        }
        Op::Attention(op) if op.log_sum_exp && specs[1].columns() != specs[2].columns() => {
            return Err("gives the log-sum-exp only where v is as wide as k");
        }
        Op::Attention(op) if op.log_sum_exp && is_narrow(specs[0].dtype) => {
            return Err("gives the log-sum-exp of 16-bit attention to fewer digits than f32 has");
        }
        Op::BiasGelu(_) if is_narrow(specs[0].dtype) => return Err("rounds the sum before it bends it"),
        Op::Gemm(_)
        | Op::Triad(_)
        | Op::Add(_)
        | Op::BiasAdd(_)
        | Op::Gelu(_)
        | Op::BiasGelu(_)
        | Op::Softmax(_)
        | Op::LayerNorm(_)
        | Op::Attention(_)
        | Op::Conv2d(_)
        | Op::Adamw(_)
        | Op::SgdMomentum(_) => {}
        _ => return Err("is not asked for this op"),
    }
    match common_type(&specs) {
        Some(dtype) if dtype.is_float() => Ok(()),
        _ => Err("computes in one floating-point type"),
    }
}

/// Whether an op of training is served; none for another op.
pub(super) fn trains(step: &Step, program: &Program) -> Option<Result<(), &'static str>> {
    let is_f32 = |id: &usize| matches!(program.values[*id].spec.dtype, DType::F32 | DType::I32);
    let wide = step.args.iter().chain(&step.outs).all(is_f32);
    match &step.op {
        Op::Cast(_) => return Some(Ok(())),
        Op::AttentionGrad(op) => {
            let [q, k, v] = [1, 2, 3].map(|arg: usize| &program.values[step.args[arg]].spec);
            let square = q.shape[q.shape.len() - 2] == k.shape[k.shape.len() - 2];
            if q.columns() != v.columns() || (op.causal && !square) {
                return Some(Err("wants v as wide as k, and as many queries as keys under a mask"));
            }
        }
        Op::Relu(_)
        | Op::BiasRelu(_)
        | Op::ReluGrad(_)
        | Op::Tanh(_)
        | Op::TanhGrad(_)
        | Op::GeluGrad(_)
        | Op::BiasGeluGrad(_)
        | Op::Scale(_)
        | Op::ColumnSum(_)
        | Op::ChannelSum(_)
        | Op::Embedding(_)
        | Op::EmbeddingGrad(_)
        | Op::CrossEntropy(_)
        | Op::CrossEntropyGrad(_)
        | Op::SoftmaxGrad(_)
        | Op::LayerNormGrad(_)
        | Op::LayerNormParamGrad(_)
        | Op::Conv2dInputGrad(_)
        | Op::Conv2dWeightGrad(_)
        | Op::Rearrange(_)
        | Op::PutRows(_)
        | Op::MaxPool(_)
        | Op::MaxPoolGrad(_) => {}
        _ => return None,
    }
    Some(if wide { Ok(()) } else { Err("serves the ops of training in f32 only") })
}

fn is_narrow(dtype: DType) -> bool {
    matches!(dtype, DType::Bf16 | DType::F16)
}

/// What products of a type are added up in.
fn wide(dtype: DType) -> DType {
    if is_narrow(dtype) { DType::F32 } else { dtype }
}

/// By oneDNN, for products that its linear layers have, and convolutions.
fn packs(step: &Step, program: &Program) -> bool {
    let rank = match &step.op {
        Op::Gemm(Gemm { trans_a: false, alpha: 1.0, beta: 0.0, .. }) => 2,
        Op::Conv2d(_) => 4,
        _ => return false,
    };
    let b = &program.values[step.args[1]].spec;
    let has_layout = match b.dtype {
        DType::F32 => true,
        DType::Bf16 => has_words_of_avx512(),
        _ => false,
    };
    is_packable(program, step.args[1]) && b.shape.len() == rank && has_layout
}
