//! From exact integer sums back to f32.

use super::shapes::{ShapeError, Shapes, row};
use super::{Arg, Expected, Operation, Work};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// y = scale_a scale_b x + bias, over each row of x.
///
/// x is i32 `[.., columns]`. scale_a is f32, one for all (`[]`) or one for each row (`[..]`); scale_b is f32,
/// one for all (`[]`) or one for each column (`[columns]`); bias is f32 `[columns]` and an argument only where
/// there is one. y is f32 of the shape of x.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dequantize {
    /// A fourth argument is added to every row.
    pub bias: bool,
}

impl Dequantize {
    /// Elements of scale_a, scale_b and the bias that a row of x meets.
    fn factors(&self, args: &[ValueSpec], unit: usize) -> impl Iterator<Item = Range<usize>> {
        let scale_a = if args[1].shape.is_empty() { 0..1 } else { row(1, unit) };
        let scale_b = 0..args[2].elements();
        [scale_a, scale_b].into_iter().chain(self.bias.then(|| 0..args[0].columns()))
    }
}

impl Operation for Dequantize {
    fn name(&self) -> &'static str {
        "dequantize"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, if self.bias { 4 } else { 3 })?;
        let x = &args[0];
        shapes.require(x.dtype == DType::I32 && !x.shape.is_empty(), "takes rows of i32")?;
        shapes.require(args[1..].iter().all(|arg| arg.dtype == DType::F32), "scales and bias must be f32")?;
        let rows = &x.shape[..x.shape.len() - 1];
        let one = |arg: &ValueSpec| arg.shape.is_empty();
        shapes.require(
            one(&args[1]) || args[1].shape[..] == *rows,
            "scale_a must be a scalar or one for each row",
        )?;
        let columns = |arg: &ValueSpec| arg.shape[..] == [x.columns()];
        shapes
            .require(one(&args[2]) || columns(&args[2]), "scale_b must be a scalar or one for each column")?;
        shapes
            .require(args[3..].iter().all(columns), "the bias must have the columns of the first argument")?;
        Ok(vec![ValueSpec::new(&x.shape, DType::F32)])
    }

    // Two products, and a sum where there is a bias.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let flops = (2 + u64::from(self.bias)).saturating_mul(args[0].elements() as u64);
        Work::of(flops, args, &self.outputs(args).unwrap_or_default())
    }

    fn fill(&self, arg: usize, spec: &ValueSpec) -> Fill {
        match arg {
            0 => Fill::natural(spec.dtype),
            1 | 2 => Fill::Uniform { low: 0.002, high: 0.01 },
            _ => Fill::UNIT,
        }
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[0].rows()
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        std::iter::once(row(args[0].columns(), unit)).chain(self.factors(args, unit)).collect()
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(args[0].columns(), unit)]
    }

    // x may be rounded on its way to f32, and so are two products, before the bias or the last rounding.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let ranges = self.reads(&super::expected::specs(args), unit);
        let data: Vec<&[f64]> = args.iter().zip(ranges).map(|(arg, range)| arg.at(range)).collect();
        let scale_b = data[2].iter().cycle();
        let expected = data[0].iter().zip(scale_b).enumerate().map(|(column, (x, scale_b))| {
            let product = data[1][0] * scale_b * x;
            let bias = data.get(3).map_or(0.0, |bias| bias[column]);
            let error = 3.0 * DType::F32.roundoff() * product.abs();
            Expected::rounded(product + bias, error, product.abs() + bias.abs(), DType::F32)
        });
        vec![expected.collect()]
    }
}
