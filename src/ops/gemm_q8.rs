//! Product with weights of 8 bits in blocks that share a scale: ggml's Q8_0.

use super::expected::specs;
use super::quantize::BLOCK;
use super::shapes::{ShapeError, Shapes, row};
use super::sum::dot;
use super::{Arg, Expected, GemmDims, Operation, Work};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// D = A B^T where each number of B is its 8 bits times the scale of its block of 32 along k.
///
/// Weights: B i8 `[n, k]`, a row for each column of D, and its scales f16 `[n, k / 32]`. A is f32 `[.., m, k]`,
/// or, `quantized_a`, i8 `[.., m, k]` with scales f16 or f32 `[.., m, k / 32]`. Arguments: A, its scales
/// where it has them, B, the scales of B. D is f32 `[.., m, n]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GemmQ8 {
    /// A is in blocks as B is; the dot product of two blocks is an integer, exact.
    pub quantized_a: bool,
}

impl GemmQ8 {
    /// Extents for these arguments, or why they do not fit.
    pub fn dims(&self, args: &[ValueSpec]) -> Result<GemmDims, ShapeError> {
        let shapes = Shapes::new(self.name(), args, if self.quantized_a { 4 } else { 3 })?;
        let (a, b) = args.split_at(args.len() - 2);
        let in_blocks = |matrix: &ValueSpec, scales: &ValueSpec| {
            let (scale_columns, lead) = (scales.columns(), matrix.shape.len().saturating_sub(1));
            scales.shape.len() == matrix.shape.len()
                && scales.shape[..lead] == matrix.shape[..lead]
                && matrix.columns() == scale_columns.saturating_mul(BLOCK)
        };
        shapes
            .require(a[0].shape.len() >= 2 && b[0].shape.len() == 2, "A needs two axes or more, and B two")?;
        shapes.require(
            b[0].dtype == DType::I8 && b[1].dtype == DType::F16,
            "B must be i8, and its scales f16",
        )?;
        let types_of_a = match a {
            [a, scales] => a.dtype == DType::I8 && matches!(scales.dtype, DType::F16 | DType::F32),
            _ => a[0].dtype == DType::F32,
        };
        shapes.require(types_of_a, "A must be f32, or i8 with scales in f16 or f32")?;
        let k = a[0].columns();
        shapes.require(k == b[0].columns(), &format!("A has {k} columns and B has {}", b[0].columns()))?;
        shapes.require(k.is_multiple_of(BLOCK), "k must be a multiple of 32")?;
        let blocks = in_blocks(&b[0], &b[1]) && (a.len() == 1 || in_blocks(&a[0], &a[1]));
        shapes.require(blocks, "there must be one scale for each block of 32")?;
        let (m, n) = (a[0].rows(), b[0].shape[0]);
        shapes.output(&[&a[0].shape[..a[0].shape.len() - 1], &[n]].concat(), DType::F32)?;
        Ok(GemmDims { batch: 1, m, n, k, shared_b: true })
    }
}

/// The numbers that 8 bits and their scales mean.
fn widened(bits: &[f64], scales: &[f64]) -> Vec<f64> {
    let blocks = bits.chunks(BLOCK).zip(scales);
    blocks.flat_map(|(block, scale)| block.iter().map(move |bits| bits * scale)).collect()
}

impl Operation for GemmQ8 {
    fn name(&self) -> &'static str {
        "gemm_q8"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let dims = self.dims(args)?;
        let lead = &args[0].shape[..args[0].shape.len() - 1];
        Ok(vec![ValueSpec::new(&[lead, &[dims.n]].concat(), DType::F32)])
    }

    // As a product of numbers: what the scales add is one operation in 32.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let flops = self.dims(args).map_or(0, |dims| dims.flops());
        Work::of(flops, args, &self.outputs(args).unwrap_or_default())
    }

    fn fill(&self, _: usize, spec: &ValueSpec) -> Fill {
        match spec.dtype {
            DType::I8 => Fill::Integers { low: -127, high: 127 },
            // amax / 127 of numbers about 1.
            DType::F16 => Fill::Uniform { low: 0.004, high: 0.012 },
            _ if self.quantized_a => Fill::Uniform { low: 0.004, high: 0.012 },
            _ => Fill::UNIT,
        }
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        self.dims(args).map_or(0, |dims| dims.m)
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let (a, b) = args.split_at(args.len() - 2);
        let rows_of_a = a.iter().map(|arg| row(arg.columns(), unit));
        rows_of_a.chain(b.iter().map(|arg| 0..arg.elements())).collect()
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(self.dims(args).map_or(0, |dims| dims.n), unit)]
    }

    // Bits times a scale need 19 bits, and two scales in f16 22: exact in f32. What is left are the
    // roundings of products and of their sum in any order, as for `gemm`. With A
    // in blocks a block's sum is exact, but a vector's lanes may hold parts of it, which are larger.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let args_specs = specs(args);
        let Ok(dims) = self.dims(&args_specs) else { return vec![vec![]] };
        let ranges = self.reads(&args_specs, unit);
        let data: Vec<&[f64]> = args.iter().zip(ranges).map(|(arg, range)| arg.at(range)).collect();
        let (a, b) = data.split_at(data.len() - 2);
        let a = if let [bits, scales] = a { widened(bits, scales) } else { a[0].to_vec() };
        let columns = b[0].chunks_exact(dims.k).zip(b[1].chunks_exact(dims.k / BLOCK));
        let expected = columns.map(|(bits, scales)| {
            let sum = dot(&a, &widened(bits, scales));
            Expected::rounded(sum.value, DType::F32.roundoff() * sum.roundoffs(), sum.size, DType::F32)
        });
        vec![expected.collect()]
    }
}
