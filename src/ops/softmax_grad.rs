//! The gradient of softmax over rows, for attention that keeps its weights.

use super::shapes::{ShapeError, Shapes, row, wide};
use super::sum::dot;
use super::{Arg, Expected, Operation, Work};
use crate::random::Fill;
use crate::tensor::ValueSpec;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// dx = scale y (dy - sum of dy y) over each row, for y = softmax(scale x).
///
/// Arguments dy and the weights y, of one shape `[.., columns]`; dx has the type of y, and dy may have another.
/// What a mask hid has y = 0, and so dx = 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SoftmaxGrad {
    /// Factor of x in the forward pass.
    pub scale: f64,
}

impl Operation for SoftmaxGrad {
    fn name(&self) -> &'static str {
        "softmax_grad"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 2)?;
        shapes.all_float()?;
        shapes.finite(&[self.scale])?;
        let fits = args[0].shape == args[1].shape && !args[1].shape.is_empty();
        shapes.require(fits, "dy and y must be rows of one shape")?;
        Ok(vec![args[1].clone()])
    }

    // Each element: two operations of the sum, a difference and two products.
    fn work(&self, args: &[ValueSpec]) -> Work {
        Work::of((args[0].elements() as u64).saturating_mul(5), args, &args[1..2])
    }

    fn fill(&self, arg: usize, spec: &ValueSpec) -> Fill {
        // Weights of a row sum to about 1.
        let most = 2.0 / spec.columns() as f64;
        if arg == 1 { Fill::Uniform { low: 0.0, high: most } } else { Fill::UNIT }
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[0].rows()
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(args[0].columns(), unit); 2]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(args[0].columns(), unit)]
    }

    // The sum is an inner product, off by as much as in `gemm`; then come a difference, two products and
    // the rounding of the scale.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let (dtype, range) = (args[1].spec.dtype, row(args[0].spec.columns(), unit));
        let u = wide(dtype).roundoff().max(wide(args[0].spec.dtype).roundoff());
        let (dy, y) = (args[0].at(range.clone()), args[1].at(range));
        let sum = dot(dy, y);
        let answer = |(dy, y): (&f64, &f64)| {
            let factor = self.scale * y;
            let error = u * (sum.roundoffs() + 4.0 * (dy.abs() + sum.value.abs()));
            let scale = factor.abs() * (dy.abs() + sum.size);
            Expected::rounded(factor * (dy - sum.value), factor.abs() * error, scale, dtype)
        };
        vec![dy.iter().zip(y).map(answer).collect()]
    }
}
