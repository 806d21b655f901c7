//! The hyperbolic tangent and its gradient.

use super::Expected;
use super::pointwise::Pointwise;
use super::shapes::wide;
use crate::random::Fill;
use crate::tensor::DType;
use serde::{Deserialize, Serialize};

/// y = tanh(x), element by element.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tanh {}

/// dx = dy (1 - y^2), from dy and the forward answer y.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TanhGrad {}

impl Pointwise for Tanh {
    const NAME: &'static str = "tanh";
    const STREAMS: usize = 1;
    fn flops(&self) -> u64 {
        1
    }
    fn fill(&self, _: usize) -> Fill {
        // Where it bends: beyond 4 it is 1 to three digits.
        Fill::Uniform { low: -4.0, high: 4.0 }
    }
    // Libraries are within 2 u of the value; 1 - 2 / (e^2x + 1) with a fast exponential, from where its
    // difference does not cancel (|x| > 0.6), within 5 u. 8 u holds both.
    fn element(&self, x: &[f64], dtype: DType) -> Expected {
        let y = x[0].tanh();
        Expected::rounded(y, 8.0 * wide(dtype).roundoff() * y.abs(), y.abs(), dtype)
    }
}

impl Pointwise for TanhGrad {
    const NAME: &'static str = "tanh_grad";
    const STREAMS: usize = 2;
    fn flops(&self) -> u64 {
        3
    }
    // The square is rounded, unless a fused multiply-add leaves that out, then the difference and the product:
    // u |dy| (y^2 + 2 |1 - y^2|) at most.
    fn element(&self, x: &[f64], dtype: DType) -> Expected {
        let (dy, square) = (x[0], x[1] * x[1]);
        let size = dy.abs() * (square + (1.0 - square).abs());
        Expected::rounded(dy * (1.0 - square), 2.0 * wide(dtype).roundoff() * size, size, dtype)
    }
}
