//! Exact scaled dot-product attention (Vaswani and others, 2017).

use super::expected::{specs, sum_terms};
use super::shapes::{ShapeError, Shapes, row, wide};
use super::softmax::{Weights, visible, visible_scores};
use super::sum::dot;
use super::{Arg, Expansion, Expected, Gemm, Op, Operation, Softmax, Work};
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// o = softmax(scale q k^T) v, and where it is wanted the log-sum-exp of each row of scores, which the
/// backward pass needs.
///
/// q is `[.., queries, depth]`, k `[.., keys, depth]`, v `[.., keys, width]`, of one type; leading axes
/// are batch and heads. o is `[.., queries, width]` of the same type, the log-sum-exp `[.., queries]` f32.
/// Causal: query r sees keys up to r + keys - queries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// Factor of the scores, usually 1 / sqrt(depth).
    pub scale: f64,
    /// A query sees no later key.
    pub causal: bool,
    /// A second output, f32 `[.., queries]`: each row's log sum exp(scale q k).
    pub log_sum_exp: bool,
}

/// Extents of an attention.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dims {
    pub(super) batch: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) depth: usize,
    pub(super) width: usize,
}

impl Attention {
    fn dims(&self, args: &[ValueSpec]) -> Result<Dims, ShapeError> {
        self.extents(&Shapes::new(self.name(), args, 3)?, args)
    }

    /// Extents of q, k and v, which `args` are.
    pub(super) fn extents(&self, shapes: &Shapes, args: &[ValueSpec]) -> Result<Dims, ShapeError> {
        shapes.all_float()?;
        shapes.finite(&[self.scale])?;
        let rank = args[0].shape.len();
        let alike = |arg: &ValueSpec| {
            arg.shape.len() == rank && rank >= 2 && arg.shape[..rank - 2] == args[0].shape[..rank - 2]
        };
        shapes
            .require(args.iter().all(alike), "q, k and v need two axes or more, and the same leading ones")?;
        shapes.require(args.iter().all(|arg| arg.dtype == args[0].dtype), "q, k and v must have one type")?;
        let [[queries, depth], [keys, depth_of_k], [keys_of_v, width]] =
            [0, 1, 2].map(|arg| [args[arg].shape[rank - 2], args[arg].shape[rank - 1]]);
        shapes.require(depth == depth_of_k, "q and k must have the same last extent")?;
        shapes.require(keys == keys_of_v, "k and v must have as many rows")?;
        shapes.require(
            !self.causal || keys >= queries,
            "a causal mask needs as many keys as queries or more",
        )?;
        Ok(Dims { batch: args[0].shape[..rank - 2].iter().product(), queries, keys, depth, width })
    }
}

/// What one query needs.
struct Query<'a> {
    q: &'a [f64],
    k: &'a [f64],
    v: &'a [f64],
    scale: f64,
    dtype: DType,
}

impl Query<'_> {
    /// Scores of the visible keys, and what each may be off by: its product (as in `gemm`), and the
    /// roundings of the exponential's argument (as `softmax`), left to the caller.
    fn scores(&self) -> (Vec<f64>, Vec<f64>) {
        let u = wide(self.dtype).roundoff();
        let of_key = |key| {
            let sum = dot(self.q, key);
            (self.scale * sum.value, u * self.scale.abs() * sum.roundoffs())
        };
        self.k.chunks_exact(self.q.len()).map(of_key).unzip()
    }

    // o = sum w v. Each weight is off by a relative error of its own, e = score error + 2 u (|s| + |max|),
    // plus, where inputs have 16 bits, one rounding of the weight to that type, as fused kernels do before
    // the second product. These are independent: 4 sqrt(sum (w v e)^2) holds them and still tells tf32.
    // The second product gathers 8 u sum w|v|, and the sum of weights, all of one sign, sqrt(keys) u |o|.
    fn answer(&self, width: usize) -> (Vec<Expected>, Expected) {
        let (scores, score_errors) = self.scores();
        let Weights { weights, log_sum_exp, max } = Weights::of(&scores);
        let (u, terms) = (wide(self.dtype).roundoff(), sum_terms(scores.len()));
        let narrow = if self.dtype == wide(self.dtype) { 0.0 } else { self.dtype.roundoff() };
        let argument = |score: f64| 2.0 * u * (score.abs() + max.abs());
        let (mut sums, mut sizes, mut squares) = (vec![0.0; width], vec![0.0; width], vec![0.0; width]);
        let mut lse_error = u * (terms + 2.0 * log_sum_exp.abs());
        for (key, &weight) in weights.iter().enumerate() {
            let off = score_errors[key] + argument(scores[key]) + narrow;
            lse_error += weight * (off - narrow);
            for (column, v) in self.v[row(width, key)].iter().enumerate() {
                let product = weight * v;
                sums[column] += product;
                sizes[column] += product.abs();
                squares[column] += (product * off).powi(2);
            }
        }
        let o = (0..width).map(|column| {
            let (value, size) = (sums[column], sizes[column]);
            let error = 4.0 * squares[column].sqrt() + 8.0 * u * size + terms * u * value.abs();
            Expected::rounded(value, error, size + error / u / 8.0, self.dtype)
        });
        let lse = Expected::rounded(log_sum_exp, lse_error, lse_error / u, wide(self.dtype));
        (o.collect(), lse)
    }
}

impl Operation for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let dims = self.dims(args)?;
        let shapes = Shapes::new(self.name(), args, 3)?;
        let lead = &args[0].shape[..args[0].shape.len() - 1];
        let o = shapes.output(&[lead, &[dims.width]].concat(), args[0].dtype)?;
        let log_sum_exp = self.log_sum_exp.then(|| ValueSpec::new(lead, wide(args[0].dtype)));
        Ok([o].into_iter().chain(log_sum_exp).collect())
    }

    // The two products over the scores that the mask leaves, as attention kernels are rated in the field:
    // the exponentials are left out.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let Ok(dims) = self.dims(args) else { return Work::default() };
        let each = 2u64.saturating_mul(dims.depth as u64 + dims.width as u64);
        let scores = visible_scores(self.causal, dims.queries, dims.keys).saturating_mul(dims.batch as u64);
        Work::of(scores.saturating_mul(each), args, &self.outputs(args).unwrap_or_default())
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[0].rows()
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let Ok(dims) = self.dims(args) else { return vec![] };
        let batch = unit / dims.queries;
        vec![row(dims.depth, unit), row(dims.keys * dims.depth, batch), row(dims.keys * dims.width, batch)]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let log_sum_exp = self.log_sum_exp.then(|| row(1, unit));
        [row(args[2].columns(), unit)].into_iter().chain(log_sum_exp).collect()
    }

    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let args_specs = specs(args);
        let Ok(dims) = self.dims(&args_specs) else { return vec![] };
        let seen = visible(self.causal, dims.queries, dims.keys, unit);
        let ranges = self.reads(&args_specs, unit);
        let query = Query {
            q: args[0].at(ranges[0].clone()),
            k: &args[1].at(ranges[1].clone())[..seen * dims.depth],
            v: &args[2].at(ranges[2].clone())[..seen * dims.width],
            scale: self.scale,
            dtype: args[0].spec.dtype,
        };
        let (o, lse) = query.answer(dims.width);
        [o].into_iter().chain(self.log_sum_exp.then(|| vec![lse])).collect()
    }

    /// Scores, softmax with the scale and the mask, and the second product: the scores are kept in f32,
    /// the weights in the inputs' type.
    fn expand(&self, args: &[ValueSpec]) -> Option<Expansion> {
        let (dtype, sums) = (args[0].dtype, wide(args[0].dtype));
        let gemm = |output| Gemm { accumulate: sums, ..Gemm::plain(output) };
        let scores = Gemm { trans_b: true, ..gemm(sums) };
        let Self { scale, causal, log_sum_exp } = *self;
        let softmax = Softmax { scale, causal, log_sum_exp, output: dtype };
        // The softmax makes value 4 and, where it is wanted, 5.
        let (o, sums_of_rows) = if log_sum_exp { (6, Some(5)) } else { (5, None) };
        let steps = vec![
            (Op::Gemm(scores), vec![0, 1]),
            (Op::Softmax(softmax), vec![3]),
            (Op::Gemm(gemm(dtype)), vec![4, 2]),
        ];
        Some(Expansion { steps, outputs: [o].into_iter().chain(sums_of_rows).collect() })
    }
}
