//! numpy: products by its BLAS, everything else by its own loops.

use super::{Python, common_type, specs_of};
use crate::backends::Packing;
use crate::backends::cpu::blas::settings;
use crate::ops::{GeluForm, Op};
use crate::program::{Program, Step};
use crate::tensor::DType;

/// numpy.
pub const NUMPY: Python = Python {
    id: "peer/numpy",
    about: "numpy, by a worker in Python",
    packages: &["numpy"],
    modules: &[("numpy_peer", include_str!("../../../peers/numpy_peer.py"))],
    serves,
    packs: |_, _| false,
    packings: &[Packing::Plain],
    compiles: false,
    settings: settings::any,
};

fn serves(step: &Step, program: &Program) -> Result<(), &'static str> {
    // AdamW's fourth output is its first in bf16.
    let specs = specs_of(step, program, 3);
    match &step.op {
        Op::Copy(_) => return Ok(()),
        Op::Gelu(op) if op.form == GeluForm::Erf => return Err("has no error function, which gelu needs"),
        Op::Gemm(op) if op.accumulate != specs[0].dtype => return Err("adds products in their own type"),
        Op::Gemm(_)
        | Op::Triad(_)
        | Op::Add(_)
        | Op::BiasAdd(_)
        | Op::Gelu(_)
        | Op::Softmax(_)
        | Op::LayerNorm(_)
        | Op::Attention(_)
        | Op::Adamw(_) => {}
        _ => return Err("has no such op"),
    }
    match common_type(&specs) {
        Some(DType::F32 | DType::F64) => Ok(()),
        _ => Err("computes in f32 and f64 only"),
    }
}
