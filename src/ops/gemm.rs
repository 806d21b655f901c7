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
    /// What the factors may be rounded to.
    #[serde(default, skip_serializing_if = "Factors::are_exact")]
    pub factors: Factors,
}

/// What the factors of a product may be rounded to before they are multiplied. It is leave, not an order: whoever
/// multiplies what is stored answers better than was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Factors {
    /// To nothing: they are multiplied as they are stored.
    #[default]
    Exact,
    /// f32 to TF32, which keeps 10 of its 23 bits of significand: what tensor cores take (NVIDIA, "A100 Tensor Core
    /// GPU Architecture", 2020, table 2).
    Tf32,
}

impl Factors {
    /// Whether nothing may be rounded.
    #[must_use]
    pub fn are_exact(&self) -> bool {
        *self == Self::Exact
    }

    /// Largest relative error of a factor: TF32 may be cut off, not rounded.
    fn roundoff(self) -> f64 {
        if self.are_exact() { 0.0 } else { 2f64.powi(-10) }
    }
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
        let factors = Factors::Exact;
        Self {
            trans_a: false,
            trans_b: false,
            alpha: 1.0,
            beta: 0.0,
            accumulate: DType::F32,
            output,
            factors,
        }
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
        shapes.require(self.accumulate.size() > 1, "accumulates in 16 bits or more")?;
        let may = self.factors.are_exact() || args[0].dtype == DType::F32;
        shapes.require(may, "only factors in f32 may be rounded to TF32")?;
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

/// What a sum's size is multiplied by where its errors are judged by it: a median above 2^-18 of that is a lower
/// precision in disguise.
///
/// Products of factors in TF32 err by some 2^-11.5 of their size, with random signs: a sum of k of them by that over the
/// root of k, and bf16 leaves 8 times as much. Factors of 8 bits are exact, and their sums may have 14 bits.
fn room(input: DType, factors: Factors, terms: usize) -> f64 {
    match (input, factors) {
        (DType::F8e4m3, _) => 256.0,
        (_, Factors::Tf32) => 256.0 / (terms.max(1) as f64).sqrt(),
        _ => 1.0,
    }
}

/// Tensor cores cut their sums off instead of rounding them; that error has one sign. Hopper's keep 14 bits of sums of
/// 8-bit floating-point numbers before they are added in f32 (DeepSeek-AI, "DeepSeek-V3 Technical Report", 2024,
/// §3.3.2).
fn cut_off(input: DType, factors: Factors) -> f64 {
    match input {
        DType::F8e4m3 => 1024.0,
        DType::Bf16 | DType::F16 => 4.0,
        _ if factors == Factors::Tf32 => 4.0,
        _ => 1.0,
    }
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

    // Typical errors are 2^-12 of the largest element, whatever k: of a million of them, one is five times as far.
    fn leeway(&self, args: &[ValueSpec]) -> f64 {
        let is_byte = args[0].dtype == DType::F8e4m3;
        if is_byte || !self.factors.are_exact() { 2f64.powi(-8) } else { 0.0 }
    }

    // |alpha| times what the sum and its factors may be off by, and 8 u |beta c|, plus the rounding of D.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let Ok(dims) = self.dims(&specs(args)) else { return vec![vec![]] };
        let [reads_a, reads_b] = dims.reads(self.trans_a, unit);
        let a = dims.a_row(args[0].at(reads_a), self.trans_a, unit);
        let sums = dims.product(&a, args[1].at(reads_b), self.trans_b);
        let c = args.get(2).map(|c| c.at(row(dims.n, unit)));
        let u = cut_off(args[0].spec.dtype, self.factors) * self.accumulate.roundoff();
        let expected = sums.into_iter().enumerate().map(|(j, sum)| {
            let c = c.map_or(0.0, |c| self.beta * c[j]);
            let error = u * (self.alpha.abs() * sum.roundoffs() + 8.0 * c.abs());
            let error = error + 2.0 * self.factors.roundoff() * self.alpha.abs() * sum.size;
            let room = room(args[0].spec.dtype, self.factors, sum.terms);
            let scale = room * self.alpha.abs() * sum.size + c.abs();
            Expected::rounded(self.alpha * sum.value + c, error, scale, self.output)
        });
        vec![expected.collect()]
    }
}
