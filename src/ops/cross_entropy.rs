//! The loss of a classifier: the negative logarithm of the probability that softmax gives to the label.

use super::expected::sum_terms;
use super::shapes::{ShapeError, Shapes, row, wide};
use super::softmax::Weights;
use super::{Arg, Expected, Operation, Work};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// loss = log sum exp(x) - x(label) for each row x of the logits; 0 where the label is -1, which is not counted.
///
/// Arguments logits `[.., classes]` and labels i32 `[..]`, each from -1 to classes - 1. Outputs the losses `[..]`
/// and the log-sum-exps `[..]`, which the backward pass needs; both f32 (f64 of f64).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CrossEntropy {}

/// The gradient of the sum of [`CrossEntropy`]'s losses, times `scale`:
/// dx = scale (exp(x - lse) - (1 at the label)), and 0 in rows whose label is -1.
///
/// Arguments logits `[.., classes]`, labels i32 `[..]`, lse `[..]` in f32 (f64 of f64); the answer is as the
/// logits are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossEntropyGrad {
    /// Factor, usually 1 / (number of labels that count).
    pub scale: f64,
}

fn check(shapes: &Shapes, logits: &ValueSpec, labels: &ValueSpec) -> Result<(), ShapeError> {
    shapes.require(logits.dtype.is_float() && !logits.shape.is_empty(), "takes rows of numbers")?;
    let fits = labels.dtype == DType::I32 && labels.shape[..] == logits.shape[..logits.shape.len() - 1];
    shapes.require(fits, "the labels must be i32, one for each row")?;
    shapes.require(i32::try_from(logits.columns()).is_ok(), "there are more classes than a label can name")
}

fn labels(args: &[ValueSpec], arg: usize) -> Option<[i64; 2]> {
    (arg == 1).then(|| [-1, args[0].columns() as i64 - 1])
}

/// Wide enough that one class dominates some rows and not others.
const SCORES: Fill = Fill::Uniform { low: -8.0, high: 8.0 };

impl Operation for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 2)?;
        check(&shapes, &args[0], &args[1])?;
        Ok(vec![ValueSpec::new(&args[1].shape, wide(args[0].dtype)); 2])
    }

    // Each score: maximum, difference, exponential and sum.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let flops = (args[0].elements() as u64).saturating_mul(4);
        Work::of(flops, args, &self.outputs(args).unwrap_or_default())
    }

    fn fill(&self, _: usize, _: &ValueSpec) -> Fill {
        SCORES
    }

    fn indices(&self, args: &[ValueSpec], arg: usize) -> Option<[i64; 2]> {
        labels(args, arg)
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[0].rows()
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(args[0].columns(), unit), row(1, unit)]
    }

    fn writes(&self, _: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(1, unit); 2]
    }

    // The log-sum-exp as for `softmax`; the loss adds the roundings of one or two differences.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let dtype = wide(args[0].spec.dtype);
        let x = args[0].at(row(args[0].spec.columns(), unit));
        let Weights { log_sum_exp, max, .. } = Weights::of(x);
        let (u, terms) = (dtype.roundoff(), sum_terms(x.len()));
        let lse_error = u * (terms + 2.0 * max.abs() + 2.0 * log_sum_exp.abs());
        let scale = (max.abs() + 1.0) * terms / 8.0;
        let lse = Expected::rounded(log_sum_exp, lse_error, scale, dtype);
        let label = args[1].at(row(1, unit))[0];
        let loss = if label < 0.0 {
            Expected::exact(0.0)
        } else {
            let score = x[label as usize];
            let error = lse_error + 2.0 * u * (score.abs() + max.abs());
            Expected::rounded(log_sum_exp - score, error, scale + score.abs(), dtype)
        };
        vec![vec![loss], vec![lse]]
    }
}

impl Operation for CrossEntropyGrad {
    fn name(&self) -> &'static str {
        "cross_entropy_grad"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 3)?;
        check(&shapes, &args[0], &args[1])?;
        shapes.finite(&[self.scale])?;
        let lse = ValueSpec::new(&args[1].shape, wide(args[0].dtype));
        shapes.require(args[2] == lse, "the log-sum-exps must be wide, one for each row")?;
        Ok(vec![args[0].clone()])
    }

    // Each score: difference, exponential, and a product.
    fn work(&self, args: &[ValueSpec]) -> Work {
        Work::of((args[0].elements() as u64).saturating_mul(3), args, &args[..1])
    }

    fn fill(&self, arg: usize, _: &ValueSpec) -> Fill {
        // A log-sum-exp is above the largest score.
        if arg == 2 { Fill::Uniform { low: 8.0, high: 10.0 } } else { SCORES }
    }

    fn indices(&self, args: &[ValueSpec], arg: usize) -> Option<[i64; 2]> {
        labels(args, arg)
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[0].rows()
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(args[0].columns(), unit), row(1, unit), row(1, unit)]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(args[0].columns(), unit)]
    }

    // A weight is off by 4 u of the exponential and by the rounding of its argument, u (|x| + |lse|), which a
    // fast exponential may double; then come one difference at the label, the factor's rounding and the
    // product's.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let (spec, u) = (args[0].spec, wide(args[0].spec.dtype).roundoff());
        let x = args[0].at(row(spec.columns(), unit));
        let (label, lse) = (args[1].at(row(1, unit))[0], args[2].at(row(1, unit))[0]);
        if label < 0.0 {
            return vec![vec![Expected::exact(0.0); x.len()]];
        }
        let element = |(class, &x): (usize, &f64)| {
            let weight = (x - lse).exp();
            let hit = if class as f64 == label { 1.0 } else { 0.0 };
            let value = self.scale * (weight - hit);
            let error = self.scale.abs() * u * weight * (4.0 + 2.0 * (x.abs() + lse.abs()));
            let scale = self.scale.abs() * (weight + hit);
            Expected::rounded(value, error + 3.0 * u * value.abs(), scale, spec.dtype)
        };
        vec![x.iter().enumerate().map(element).collect()]
    }
}
