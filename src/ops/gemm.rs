//! Dense matrix product: D = alpha A B + beta C, out of place, batched over leading axes.

use super::expected::specs;
use super::shapes::{ShapeError, Shapes, row};
use super::sum::{Sum, dot, row_times_matrix};
use super::{Arg, Expected, Operation, Work};
use crate::tensor::{DType, Shape, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// D = alpha op(A) op(B) + beta C. A is `[.., m, k]`, B is `[.., k, n]` or `[k, n]`, C and D are
/// `[.., m, n]` of one type; C is an argument only where beta is not 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gemm {
    /// A is stored transposed, `[.., k, m]`.
    pub trans_a: bool,
    /// B is stored transposed, `[.., n, k]`.
    pub trans_b: bool,
    /// Factor of the product.
    pub alpha: f64,
    /// Factor of C.
    pub beta: f64,
    /// Type the products are added up in.
    pub accumulate: DType,
    /// Type of D.
    pub output: DType,
}

/// Extents of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GemmDims {
    /// Independent products.
    pub batch: usize,
    /// Rows of A and D.
    pub m: usize,
    /// Columns of B and D.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// Every product of the batch uses the same B.
    pub shared_b: bool,
}

impl Gemm {
    /// A plain product that accumulates in f32 and returns `output`.
    pub fn plain(output: DType) -> Self {
        Self { trans_a: false, trans_b: false, alpha: 1.0, beta: 0.0, accumulate: DType::F32, output }
    }

    /// Extents for these arguments, or why they do not fit.
    pub fn dims(&self, args: &[ValueSpec]) -> Result<GemmDims, ShapeError> {
        let shapes = self.shapes(args)?;
        shapes.all_float()?;
        shapes.finite(&[self.alpha, self.beta])?;
        shapes.require(args[0].dtype == args[1].dtype, "A and B must have one type")?;
        shapes.require(
            self.accumulate.is_float() && self.output.is_float(),
            "accumulates and answers in floating-point types",
        )?;
        let dims = self.extents(&shapes, args)?;
        if let Some(c) = args.get(2) {
            let fits = c.shape == dims.shape(args) && c.dtype == self.output;
            shapes.require(fits, "C must have the shape and the type of D")?;
        }
        Ok(dims)
    }

    fn shapes<'a>(&self, args: &'a [ValueSpec]) -> Result<Shapes<'a>, ShapeError> {
        Shapes::new(self.name(), args, if self.beta == 0.0 { 2 } else { 3 })
    }

    /// Extents from the shapes of A and B alone.
    pub(super) fn extents(&self, shapes: &Shapes, args: &[ValueSpec]) -> Result<GemmDims, ShapeError> {
        let (a, b) = (&args[0].shape, &args[1].shape);
        shapes.require(a.len() >= 2 && b.len() >= 2, "A and B need two axes or more")?;
        let (lead_a, m, k) = split(a, self.trans_a);
        let (lead_b, k_of_b, n) = split(b, self.trans_b);
        if k != k_of_b {
            return Err(shapes.wrong(&format!("A has {k} columns and B has {k_of_b} rows")));
        }
        let shared_b = lead_b.is_empty();
        shapes.require(shared_b || lead_a == lead_b, "A and B differ in their leading axes")?;
        Ok(GemmDims { batch: lead_a.iter().product(), m, n, k, shared_b })
    }
}

/// Leading axes, rows and columns of a matrix that may be stored transposed.
fn split(shape: &[usize], transposed: bool) -> (&[usize], usize, usize) {
    let (lead, last) = shape.split_at(shape.len() - 2);
    if transposed { (lead, last[1], last[0]) } else { (lead, last[0], last[1]) }
}

impl GemmDims {
    /// 2 batch m n k. What alpha, beta and C add is left out, as everywhere in the field.
    pub fn flops(&self) -> u64 {
        [self.batch, self.m, self.n, self.k].iter().fold(2u64, |p, &x| p.saturating_mul(x as u64))
    }

    /// Shape of D: A's leading axes, m, n.
    pub(super) fn shape(&self, args: &[ValueSpec]) -> Shape {
        let lead = args[0].shape.len() - 2;
        args[0].shape[..lead].iter().copied().chain([self.m, self.n]).collect()
    }

    /// Elements of A and of B that row `unit` of D depends on: a row of A, or all of it where its rows
    /// are not contiguous, and a whole B.
    pub(super) fn reads(&self, trans_a: bool, unit: usize) -> [Range<usize>; 2] {
        let batch = unit / self.m;
        let a = if trans_a { row(self.m * self.k, batch) } else { row(self.k, unit) };
        [a, row(self.k * self.n, if self.shared_b { 0 } else { batch })]
    }

    /// The row of A that row `unit` of D depends on, out of the elements that [`Self::reads`] names.
    pub(super) fn a_row(&self, a: &[f64], trans_a: bool, unit: usize) -> Vec<f64> {
        if trans_a { a[unit % self.m..].iter().step_by(self.m).copied().collect() } else { a.to_vec() }
    }

    /// sum a b for each column.
    pub(super) fn product(&self, a: &[f64], b: &[f64], trans_b: bool) -> Vec<Sum> {
        if trans_b {
            return b.chunks_exact(self.k).map(|column| dot(a, column)).collect();
        }
        row_times_matrix(a, b, self.n)
    }
}

/// Tensor cores that take 16-bit factors cut their sums off instead of rounding them; that error has one sign.
fn cut_off(input: DType) -> f64 {
    if matches!(input, DType::Bf16 | DType::F16) { 4.0 } else { 1.0 }
}

impl Operation for Gemm {
    fn name(&self) -> &'static str {
        "gemm"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let dims = self.dims(args)?;
        Ok(vec![self.shapes(args)?.output(&dims.shape(args), self.output)?])
    }

    fn work(&self, args: &[ValueSpec]) -> Work {
        let flops = self.dims(args).map_or(0, |dims| dims.flops());
        Work::of(flops, args, &self.outputs(args).unwrap_or_default())
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        self.dims(args).map_or(0, |dims| dims.batch * dims.m)
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let Ok(dims) = self.dims(args) else { return vec![] };
        let c = args.get(2).map(|_| row(dims.n, unit));
        dims.reads(self.trans_a, unit).into_iter().chain(c).collect()
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(self.dims(args).map_or(0, |dims| dims.n), unit)]
    }

    // |alpha| times what the sum may be off by, and 8 u |beta c|, plus the rounding of D.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let Ok(dims) = self.dims(&specs(args)) else { return vec![vec![]] };
        let [reads_a, reads_b] = dims.reads(self.trans_a, unit);
        let a = dims.a_row(args[0].at(reads_a), self.trans_a, unit);
        let sums = dims.product(&a, args[1].at(reads_b), self.trans_b);
        let c = args.get(2).map(|c| c.at(row(dims.n, unit)));
        let u = cut_off(args[0].spec.dtype) * self.accumulate.roundoff();
        let expected = sums.into_iter().enumerate().map(|(j, sum)| {
            let c = c.map_or(0.0, |c| self.beta * c[j]);
            let error = u * (self.alpha.abs() * sum.roundoffs() + 8.0 * c.abs());
            let scale = self.alpha.abs() * sum.size + c.abs();
            Expected::rounded(self.alpha * sum.value + c, error, scale, self.output)
        });
        vec![expected.collect()]
    }
}
