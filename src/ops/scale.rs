//! A factor, and another type.

use super::Expected;
use super::pointwise::Pointwise;
use super::shapes::{ShapeError, Shapes, wide};
use crate::tensor::DType;
use serde::{Deserialize, Serialize};

/// y = factor x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Factor of x.
    pub factor: f64,
}

/// y = x in another floating-point type, rounded to nearest, ties to even.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cast {
    /// Type of y.
    pub output: DType,
}

impl Pointwise for Scale {
    const NAME: &'static str = "scale";
    const STREAMS: usize = 1;
    fn flops(&self) -> u64 {
        1
    }
    fn check(&self, shapes: &Shapes) -> Result<(), ShapeError> {
        shapes.finite(&[self.factor])
    }
    // The factor's own rounding and the product's.
    fn element(&self, x: &[f64], dtype: DType) -> Expected {
        let y = self.factor * x[0];
        Expected::rounded(y, 2.0 * wide(dtype).roundoff() * y.abs(), y.abs(), dtype)
    }
}

impl Pointwise for Cast {
    const NAME: &'static str = "cast";
    const STREAMS: usize = 1;
    fn flops(&self) -> u64 {
        0
    }
    fn output(&self, _: DType) -> DType {
        self.output
    }
    // One rounding, and none to a type that has all numbers of the other.
    fn element(&self, x: &[f64], dtype: DType) -> Expected {
        let widens = dtype == self.output || self.output == wide(dtype) || self.output == DType::F64;
        if widens { Expected::exact(x[0]) } else { Expected::rounded(x[0], 0.0, x[0].abs(), self.output) }
    }
}
