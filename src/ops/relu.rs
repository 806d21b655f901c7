//! The rectifier, alone and after a bias, and its gradient.

use super::pointwise::Pointwise;
use super::shapes::wide;
use super::{BiasAdd, Expansion, Expected, Op};
use crate::tensor::DType;
use serde::{Deserialize, Serialize};

/// y = max(x, 0).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Relu {}

/// y = max(x + bias, 0). x is `[.., columns]`, bias is `[columns]`. Expands into `bias_add` and `relu`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BiasRelu {}

/// dx = dy where y > 0, else 0, from dy and the forward answer y, or what went into it: both have their
/// positive elements at the same places.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReluGrad {}

impl Pointwise for Relu {
    const NAME: &'static str = "relu";
    const STREAMS: usize = 1;
    fn flops(&self) -> u64 {
        1
    }
    // One of two numbers that are there.
    fn element(&self, x: &[f64], _: DType) -> Expected {
        Expected::exact(x[0].max(0.0))
    }
}

impl Pointwise for BiasRelu {
    const NAME: &'static str = "bias_relu";
    const STREAMS: usize = 1;
    const ROW: bool = true;
    fn flops(&self) -> u64 {
        2
    }
    // The sum is rounded once; the maximum moves by no more than the sum does.
    fn element(&self, x: &[f64], dtype: DType) -> Expected {
        let (sum, size) = (x[0] + x[1], x[0].abs() + x[1].abs());
        Expected::rounded(sum.max(0.0), wide(dtype).roundoff() * sum.abs(), size, dtype)
    }
    fn expand(&self) -> Option<Expansion> {
        let steps = vec![(Op::BiasAdd(BiasAdd {}), vec![0, 1]), (Op::Relu(Relu {}), vec![2])];
        Some(Expansion { steps, outputs: vec![3] })
    }
}

impl Pointwise for ReluGrad {
    const NAME: &'static str = "relu_grad";
    const STREAMS: usize = 2;
    fn flops(&self) -> u64 {
        1
    }
    // A copy or 0.
    fn element(&self, x: &[f64], _: DType) -> Expected {
        Expected::exact(if x[1] > 0.0 { x[0] } else { 0.0 })
    }
}
