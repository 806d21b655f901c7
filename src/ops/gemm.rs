//! Dense matrix product: D = alpha A B + beta C, out of place, batched over leading axes.

use super::{Arg, Expected, Operation, ShapeError, Work};
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};

/// D = alpha op(A) op(B) + beta C. A is `[.., m, k]`, B is `[.., k, n]` or `[k, n]`, C and D are
/// `[.., m, n]`; C is an argument only where beta is not 0.
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
        let wrong = |why: &str| {
            let shapes: Vec<_> = args.iter().map(|arg| format!("{:?}", arg.shape)).collect();
            Err(ShapeError(format!("gemm: {why} (arguments {})", shapes.join(", "))))
        };
        let wanted = if self.beta == 0.0 { 2 } else { 3 };
        if args.len() != wanted {
            return wrong(&format!("takes {wanted} arguments"));
        }
        let (a, b) = (&args[0], &args[1]);
        if a.shape.len() < 2 || b.shape.len() < 2 {
            return wrong("A and B need two axes or more");
        }
        let split = |spec: &ValueSpec, transposed: bool| {
            let rank = spec.shape.len();
            let (rows, columns) = (spec.shape[rank - 2], spec.shape[rank - 1]);
            if transposed { (columns, rows) } else { (rows, columns) }
        };
        let ((m, k), (k_of_b, n)) = (split(a, self.trans_a), split(b, self.trans_b));
        if k != k_of_b {
            return wrong(&format!("A has {k} columns and B has {k_of_b} rows"));
        }
        let lead = &a.shape[..a.shape.len() - 2];
        let shared_b = b.shape.len() == 2;
        if !shared_b && lead != &b.shape[..b.shape.len() - 2] {
            return wrong("A and B differ in their leading axes");
        }
        let dims = GemmDims { batch: lead.iter().product(), m, n, k, shared_b };
        if let Some(c) = args.get(2)
            && c.shape != self.shape(a, &dims)
        {
            return wrong("C must have the shape of D");
        }
        Ok(dims)
    }

    fn shape(&self, a: &ValueSpec, dims: &GemmDims) -> Vec<usize> {
        let lead = &a.shape[..a.shape.len() - 2];
        lead.iter().copied().chain([dims.m, dims.n]).collect()
    }
}

impl Operation for Gemm {
    fn name(&self) -> &'static str {
        "gemm"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let dims = self.dims(args)?;
        Ok(vec![ValueSpec { shape: self.shape(&args[0], &dims), dtype: self.output }])
    }

    fn work(&self, args: &[ValueSpec]) -> Work {
        let Ok(dims) = self.dims(args) else { return Work::default() };
        let outputs = self.outputs(args).unwrap_or_default();
        let product =
            [dims.batch, dims.m, dims.n, dims.k].iter().fold(2u64, |p, &x| p.saturating_mul(x as u64));
        Work::of(product, args, &outputs)
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        self.dims(args).map_or(0, |dims| dims.batch * dims.m)
    }

    // |got - ref| <= c u sum|a||b|: the a-priori bound of an inner product is k u sum|a||b|; rounding
    // errors of random sign grow like sqrt(k), and blocked summation keeps them below c = 5 for every
    // library tried at k <= 16384. A single reordering-independent constant is what tells a wrong
    // precision (tf32 errs by 2^13 u) from a different order of summation.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        const C: f64 = 5.0;
        let specs: Vec<ValueSpec> = args.iter().map(|arg| arg.spec.clone()).collect();
        let Ok(dims) = self.dims(&specs) else { return vec![vec![]] };
        let GemmDims { m, n, k, shared_b, .. } = dims;
        let (batch, row) = (unit / m, unit % m);
        let a = &args[0].data[batch * m * k..][..m * k];
        let b = &args[1].data[if shared_b { 0 } else { batch * k * n }..][..k * n];
        let mut sums = vec![(0.0, 0.0); n];
        for p in 0..k {
            let x = if self.trans_a { a[p * m + row] } else { a[row * k + p] };
            for (j, (sum, size)) in sums.iter_mut().enumerate() {
                let product = x * if self.trans_b { b[j * k + p] } else { b[p * n + j] };
                *sum += product;
                *size += product.abs();
            }
        }
        let expected = sums.into_iter().enumerate().map(|(j, (sum, size))| {
            let c = if self.beta == 0.0 { 0.0 } else { self.beta * args[2].data[unit * n + j] };
            let value = self.alpha * sum + c;
            let scale = self.alpha.abs() * size + c.abs();
            let allow = C * self.accumulate.roundoff() * scale + self.output.roundoff() * value.abs();
            Expected { value, allow, scale }
        });
        vec![expected.collect()]
    }
}
