//! Softmax over rows, with the scale and the mask that attention needs.

use super::expected::sum_terms;
use super::shapes::{ShapeError, Shapes, row, wide};
use super::{Arg, Expected, Operation, Work};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// y = exp(scale x) / sum exp(scale x) over the last axis.
///
/// Causal: of `[.., rows, columns]`, row r sees columns up to r + columns - rows; the others are 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Softmax {
    /// Factor of x.
    pub scale: f64,
    /// Row r sees no column after its own.
    pub causal: bool,
    /// A second output, f32 `[..]`: each row's log sum exp(scale x).
    pub log_sum_exp: bool,
    /// Type of y.
    pub output: DType,
}

/// Columns that a row of a causal score matrix sees.
pub(super) fn visible(causal: bool, rows: usize, columns: usize, row: usize) -> usize {
    if causal { row % rows + 1 + columns - rows } else { columns }
}

/// Scores that all rows of one `[rows, columns]` matrix see together.
pub(super) fn visible_scores(causal: bool, rows: usize, columns: usize) -> u64 {
    let (rows, columns) = (rows as u64, columns as u64);
    let all = rows.saturating_mul(columns);
    if causal { all - rows.saturating_mul(rows - 1) / 2 } else { all }
}

/// Exponentials of scores over their sum, and the logarithm of the sum.
pub(super) struct Weights {
    /// exp(s - max) / sum.
    pub(super) weights: Vec<f64>,
    /// log sum exp s.
    pub(super) log_sum_exp: f64,
    /// max s.
    pub(super) max: f64,
}

impl Weights {
    /// Of at least one score.
    pub(super) fn of(scores: &[f64]) -> Self {
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut weights: Vec<f64> = scores.iter().map(|score| (score - max).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Self { weights, log_sum_exp: max + sum.ln(), max }
    }
}

impl Softmax {
    /// The textbook form: no scale, no mask, y of type `output`.
    pub fn plain(output: DType) -> Self {
        Self { scale: 1.0, causal: false, log_sum_exp: false, output }
    }

    fn matrix(&self, args: &[ValueSpec]) -> (usize, usize) {
        let shape = &args[0].shape;
        (if shape.len() >= 2 { shape[shape.len() - 2] } else { 1 }, args[0].columns())
    }
}

impl Operation for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 1)?;
        shapes.all_float()?;
        shapes.finite(&[self.scale])?;
        shapes.require(!args[0].shape.is_empty(), "takes rows, not a scalar")?;
        shapes.require(self.output.is_float(), "answers in a floating-point type")?;
        let (rows, columns) = self.matrix(args);
        let masked = "a causal mask needs two axes, and as many columns as rows or more";
        shapes.require(!self.causal || (args[0].shape.len() >= 2 && columns >= rows), masked)?;
        let y = shapes.output(&args[0].shape, self.output)?;
        let lead = &args[0].shape[..args[0].shape.len() - 1];
        let log_sum_exp = self.log_sum_exp.then(|| ValueSpec::new(lead, wide(args[0].dtype)));
        Ok([y].into_iter().chain(log_sum_exp).collect())
    }

    // Each visible score: maximum, difference, exponential, sum, quotient; and the scale where there is one.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let (rows, columns) = self.matrix(args);
        let scores =
            visible_scores(self.causal, rows, columns).saturating_mul((args[0].rows() / rows) as u64);
        let each = if self.scale == 1.0 { 5 } else { 6 };
        let work = Work::of(scores.saturating_mul(each), &[], &self.outputs(args).unwrap_or_default());
        Work { bytes_read: scores.saturating_mul(args[0].dtype.size() as u64), ..work }
    }

    fn fill(&self, _: usize, _: &ValueSpec) -> Fill {
        // Wide enough that the largest score dominates some rows and not others.
        Fill::Uniform { low: -8.0, high: 8.0 }
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[0].rows()
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(args[0].columns(), unit)]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let log_sum_exp = self.log_sum_exp.then(|| row(1, unit));
        [row(args[0].columns(), unit)].into_iter().chain(log_sum_exp).collect()
    }

    // Relative error of a weight: 4 u of the exponential, 2 u of the quotient, the roundings of its
    // argument, and those of the sum. exp(s - max) takes s and max as they were rounded: u (|s| + |max|)
    // where scale is 1, twice that where each is a rounded product.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let spec = args[0].spec;
        let (rows, columns) = self.matrix(std::slice::from_ref(spec));
        let x = &args[0].at(row(columns, unit))[..visible(self.causal, rows, columns, unit)];
        let scores: Vec<f64> = x.iter().map(|x| self.scale * x).collect();
        let Weights { weights, log_sum_exp, max } = Weights::of(&scores);
        let (u, terms) = (wide(spec.dtype).roundoff(), sum_terms(scores.len()));
        let argument = |score: f64| 2.0 * (score.abs() + max.abs());
        let mut y: Vec<Expected> = weights
            .iter()
            .zip(&scores)
            .map(|(&weight, &score)| {
                let error = u * weight * (6.0 + terms + argument(score));
                Expected::rounded(weight, error, weight * terms / 8.0, self.output)
            })
            .collect();
        y.resize(columns, Expected::exact(0.0));
        let lse_error = u * (terms + argument(max) + 2.0 * log_sum_exp.abs());
        let scale = (max.abs() + 1.0) * terms / 8.0;
        let lse = Expected::rounded(log_sum_exp, lse_error, scale, wide(spec.dtype));
        [y].into_iter().chain(self.log_sum_exp.then(|| vec![lse])).collect()
    }
}
