//! Matrix product of 8-bit integers, exact in 32 bits.

use super::expected::specs;
use super::gemm::{Gemm, GemmDims};
use super::shapes::{ShapeError, Shapes, row};
use super::{Arg, Expected, Operation, Work};
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// D = (A - zero_a)(B - zero_b). A is u8 or i8 `[.., m, k]`, B is i8 `[.., k, n]` or `[k, n]`, D is i32
/// `[.., m, n]`. Refused where a sum could leave 32 bits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GemmI8 {
    /// A is stored transposed, `[.., k, m]`.
    pub trans_a: bool,
    /// B is stored transposed, `[.., n, k]`.
    pub trans_b: bool,
    /// The stored number that means 0 in A.
    pub zero_a: i32,
    /// The stored number that means 0 in B.
    pub zero_b: i32,
}

impl GemmI8 {
    /// Extents for these arguments, or why they do not fit.
    pub fn dims(&self, args: &[ValueSpec]) -> Result<GemmDims, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 2)?;
        shapes.require(
            matches!(args[0].dtype, DType::U8 | DType::I8) && args[1].dtype == DType::I8,
            "A must be u8 or i8, and B i8",
        )?;
        let in_range = |zero: i32, dtype| extremes(dtype).contains(&i64::from(zero));
        shapes.require(
            in_range(self.zero_a, args[0].dtype) && in_range(self.zero_b, args[1].dtype),
            "a zero point must be a number of its operand's type",
        )?;
        let dims = self.as_gemm().extents(&shapes, args)?;
        let largest = largest(self.zero_a, args[0].dtype) * largest(self.zero_b, args[1].dtype);
        shapes.require(
            (dims.k as u64).saturating_mul(largest) <= i32::MAX as u64,
            "k is so large that a sum could leave 32 bits",
        )?;
        Ok(dims)
    }

    fn as_gemm(&self) -> Gemm {
        Gemm { trans_a: self.trans_a, trans_b: self.trans_b, ..Gemm::plain(DType::I32) }
    }
}

fn extremes(dtype: DType) -> std::ops::RangeInclusive<i64> {
    if dtype == DType::U8 { 0..=255 } else { -128..=127 }
}

/// The largest |x - zero| over the numbers of a type.
fn largest(zero: i32, dtype: DType) -> u64 {
    let (low, high) = extremes(dtype).into_inner();
    low.abs_diff(i64::from(zero)).max(high.abs_diff(i64::from(zero)))
}

impl Operation for GemmI8 {
    fn name(&self) -> &'static str {
        "gemm_i8"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let dims = self.dims(args)?;
        Ok(vec![Shapes::new(self.name(), args, 2)?.output(&dims.shape(args), DType::I32)?])
    }

    fn work(&self, args: &[ValueSpec]) -> Work {
        let flops = self.dims(args).map_or(0, |dims| dims.flops());
        Work::of(flops, args, &self.outputs(args).unwrap_or_default())
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        self.dims(args).map_or(0, |dims| dims.batch * dims.m)
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        self.dims(args).map_or(vec![], |dims| dims.reads(self.trans_a, unit).to_vec())
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(self.dims(args).map_or(0, |dims| dims.n), unit)]
    }

    // Exact: every product and every sum of at most k of them is an integer below 2^53.
    // sum (a - za)(b - zb) = sum (a - za) b - zb sum (a - za).
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let Ok(dims) = self.dims(&specs(args)) else { return vec![vec![]] };
        let [reads_a, reads_b] = dims.reads(self.trans_a, unit);
        let mut a = dims.a_row(args[0].at(reads_a), self.trans_a, unit);
        a.iter_mut().for_each(|x| *x -= f64::from(self.zero_a));
        let shift = f64::from(self.zero_b) * a.iter().sum::<f64>();
        let sums = dims.product(&a, args[1].at(reads_b), self.trans_b);
        vec![sums.into_iter().map(|sum| Expected::exact(sum.value - shift)).collect()]
    }
}
