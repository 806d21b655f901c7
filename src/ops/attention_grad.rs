//! The gradients of exact attention by its log-sum-exp, so that no score is kept (Dao, "FlashAttention-2", 2023,
//! §2.2 and algorithm 2).

use super::attention::Dims;
use super::expected::specs;
use super::shapes::{ShapeError, Shapes, row, wide};
use super::softmax::{visible, visible_scores};
use super::sum::dot;
use super::{Arg, Attention, Expansion, Expected, Gemm, Op, Operation, Softmax, SoftmaxGrad, Work};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// With P = exp(scale q k^T - lse) and D = the sum of dy y in each row:
///
/// dv = P^T dy; dS = P (dy v^T - D); dq = scale dS k; dk = scale dS^T q.
///
/// Arguments dy `[.., queries, width]`, q `[.., queries, depth]`, k `[.., keys, depth]`, v `[.., keys, width]`, the
/// forward answer y as dy, of one type, and lse `[.., queries]` in f32 (f64 of f64). Outputs dq, dk, dv, as q, k
/// and v are. Causal: query r sees keys up to r + keys - queries. Expands into products, `softmax` and
/// `softmax_grad`, which do not need y and lse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttentionGrad {
    /// Factor of the scores.
    pub scale: f64,
    /// A query sees no later key.
    pub causal: bool,
}

impl AttentionGrad {
    fn dims(&self, args: &[ValueSpec]) -> Result<Dims, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 6)?;
        let forward = Attention { scale: self.scale, causal: self.causal, log_sum_exp: true };
        let dims = forward.extents(&shapes, &args[1..4])?;
        let lead = &args[1].shape[..args[1].shape.len() - 1];
        let y = ValueSpec::new(&[lead, &[dims.width]].concat(), args[1].dtype);
        shapes.require(args[0] == y && args[4] == y, "dy and y must be what the forward pass answers")?;
        let lse = ValueSpec::new(lead, wide(args[1].dtype));
        shapes.require(args[5] == lse, "the log-sum-exps must be wide, one for each query")?;
        Ok(dims)
    }
}

/// One gradient while it is added up: values, sizes of what is added, squares of independent errors, and errors
/// that a whole row shares.
struct Sums {
    columns: usize,
    value: Vec<f64>,
    size: Vec<f64>,
    square: Vec<f64>,
    shared: Vec<f64>,
}

impl Sums {
    fn new(rows: usize, columns: usize) -> Self {
        let zeros = || vec![0.0; rows * columns];
        Self { columns, value: zeros(), size: zeros(), square: zeros(), shared: zeros() }
    }

    /// Adds `weight` times `x` to a row; the weight may be off by `off`, and by `shared` in one direction for all
    /// that is added to a row.
    fn add(&mut self, to: usize, weight: f64, [off, shared]: [f64; 2], x: &[f64]) {
        for (at, x) in row(self.columns, to).zip(x) {
            let term = weight * x;
            self.value[at] += term;
            self.size[at] += term.abs();
            self.square[at] += (off * x).powi(2);
            self.shared[at] += (shared * x).abs();
        }
    }

    // Errors of the weights are independent, so that 4 sqrt(sum of their squares) holds them, as in `attention`;
    // the product gathers 8 u of its terms' sizes, as `gemm`.
    fn answer(self, dtype: DType) -> Vec<Expected> {
        let u = wide(dtype).roundoff();
        let expected = |at: usize| {
            let (size, value) = (self.size[at], self.value[at]);
            let error = 4.0 * self.square[at].sqrt() + self.shared[at] + 8.0 * u * size;
            Expected::rounded(value, error, size + error / u / 8.0, dtype)
        };
        (0..self.value.len()).map(expected).collect()
    }
}

impl Operation for AttentionGrad {
    fn name(&self) -> &'static str {
        "attention_grad"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        self.dims(args)?;
        Ok(args[1..4].to_vec())
    }

    // Five products over the scores that the mask leaves, one of them for the scores themselves, which were not
    // kept; exponentials are left out, as in `attention`.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let Ok(dims) = self.dims(args) else { return Work::default() };
        let each = 2u64.saturating_mul(3 * dims.depth as u64 + 2 * dims.width as u64);
        let scores = visible_scores(self.causal, dims.queries, dims.keys).saturating_mul(dims.batch as u64);
        Work::of(scores.saturating_mul(each), args, &args[1..4])
    }

    fn fill(&self, arg: usize, spec: &ValueSpec) -> Fill {
        // Weights that are small, as those of many keys are.
        if arg == 5 { Fill::Uniform { low: 3.0, high: 5.0 } } else { Fill::natural(spec.dtype) }
    }

    // A head: its keys gather from all its queries.
    fn units(&self, args: &[ValueSpec]) -> usize {
        self.dims(args).map_or(0, |dims| dims.batch)
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let Ok(dims) = self.dims(args) else { return vec![] };
        args.iter().map(|arg| row(arg.elements() / dims.batch, unit)).collect()
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        self.reads(args, unit).get(1..4).unwrap_or_default().to_vec()
    }

    // A weight P is off by a relative error e of its exponential, 4 u, and of its argument: that of the product q k
    // and u (|s| + |lse|), twice. dS is off by that, by the two products in its difference, and by its own
    // roundings; where inputs have 16 bits, P and dS are rounded to that type before the products, as fused
    // kernels do. What D is off by, all of a row's dS share.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let args_specs = specs(args);
        let Ok(dims) = self.dims(&args_specs) else { return vec![vec![]; 3] };
        let ranges = self.reads(&args_specs, unit);
        let data: Vec<&[f64]> = args.iter().zip(ranges).map(|(arg, range)| arg.at(range)).collect();
        let [dy, q, k, v, y, lse] = data[..] else { return vec![vec![]; 3] };
        let Dims { queries, keys, depth, width, .. } = dims;
        let dtype = args[1].spec.dtype;
        let u = wide(dtype).roundoff();
        let narrow = if dtype == wide(dtype) { 0.0 } else { dtype.roundoff() };
        let [mut dq, mut dk, mut dv] =
            [(queries, depth), (keys, depth), (keys, width)].map(|(rows, columns)| Sums::new(rows, columns));
        for query in 0..queries {
            let (dy, q) = (&dy[row(width, query)], &q[row(depth, query)]);
            let sum = dot(dy, &y[row(width, query)]);
            for key in 0..visible(self.causal, queries, keys, query) {
                let (k, v) = (&k[row(depth, key)], &v[row(width, key)]);
                let product = dot(q, k);
                let score = self.scale * product.value;
                let p = (score - lse[query]).exp();
                let argument =
                    self.scale.abs() * product.roundoffs() + 2.0 * (score.abs() + lse[query].abs());
                let off = u * (4.0 + argument);
                dv.add(key, p, [p * (off + narrow), 0.0], dy);
                let of_p = dot(dy, v);
                let factor = self.scale * p;
                let (ds, shared) = (factor * (of_p.value - sum.value), factor.abs() * u * sum.roundoffs());
                let difference = u * (of_p.roundoffs() + of_p.value.abs() + sum.value.abs());
                let ds_off = ds.abs() * (off + 3.0 * u + narrow) + factor.abs() * difference;
                dq.add(query, ds, [ds_off, shared], k);
                dk.add(key, ds, [ds_off, shared], q);
            }
        }
        [dq, dk, dv].map(|sums| sums.answer(dtype)).into()
    }

    fn expand(&self, args: &[ValueSpec]) -> Option<Expansion> {
        let (dtype, sums) = (args[1].dtype, wide(args[1].dtype));
        let gemm = |trans_a, trans_b, output| {
            Op::Gemm(Gemm { trans_a, trans_b, accumulate: sums, ..Gemm::plain(output) })
        };
        let Self { scale, causal } = *self;
        let softmax = Softmax { scale, causal, log_sum_exp: false, output: dtype };
        let [dy, q, k, v] = [0, 1, 2, 3];
        // Values from 6 on: scores, weights, what the weights' gradient is, dS, dq, dk, dv.
        let steps = vec![
            (gemm(false, true, sums), vec![q, k]),
            (Op::Softmax(softmax), vec![6]),
            (gemm(false, true, sums), vec![dy, v]),
            (Op::SoftmaxGrad(SoftmaxGrad { scale }), vec![8, 7]),
            (gemm(false, false, dtype), vec![9, k]),
            (gemm(true, false, dtype), vec![9, q]),
            (gemm(true, false, dtype), vec![7, dy]),
        ];
        Some(Expansion { steps, outputs: vec![10, 11, 12] })
    }
}
