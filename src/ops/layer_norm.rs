//! Layer normalisation over the last axis (Ba, Kiros and Hinton, 2016).

use super::expected::sum_terms;
use super::shapes::{ShapeError, Shapes, row, wide};
use super::{Arg, Expected, Operation, Work};
use crate::random::Fill;
use crate::tensor::ValueSpec;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// y = (x - mean) rstd gain + bias with rstd = 1 / sqrt(variance + eps), over each row of x `[.., columns]`.
///
/// Arguments x, gain `[columns]`, bias `[columns]` of one type. Outputs y, mean `[..]` and rstd `[..]`,
/// which the backward pass needs; the last two in f32. The variance is that of the population.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerNorm {
    /// Added to the variance.
    pub eps: f64,
}

impl Operation for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 3)?;
        normalised_outputs(&shapes, self.eps, [&args[0], &args[1], &args[2]])
    }

    // Each element: one sum for the mean, a difference, a square and a sum for the variance, and two
    // multiply-adds for the answer.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let flops = (args[0].elements() as u64).saturating_mul(8);
        Work::of(flops, args, &self.outputs(args).unwrap_or_default())
    }

    fn fill(&self, arg: usize, _: &ValueSpec) -> Fill {
        match arg {
            // Off centre, so that a forgotten mean shows.
            0 => Fill::Uniform { low: -1.0, high: 2.0 },
            1 => Fill::Uniform { low: 0.5, high: 1.5 },
            _ => Fill::UNIT,
        }
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[0].rows()
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let columns = args[0].columns();
        vec![row(columns, unit), 0..columns, 0..columns]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(args[0].columns(), unit), row(1, unit), row(1, unit)]
    }

    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let columns = args[0].spec.columns();
        let x = args[0].at(row(columns, unit));
        normalised(x, 0.0, [&args[1], &args[2]], self.eps).into()
    }
}

/// y, mean and rstd of rows x with gain and bias, or why they do not fit together.
pub(super) fn normalised_outputs(
    shapes: &Shapes,
    eps: f64,
    [x, gain, bias]: [&ValueSpec; 3],
) -> Result<Vec<ValueSpec>, ShapeError> {
    shapes.all_float()?;
    shapes.require(eps > 0.0 && eps.is_finite(), "eps must be a positive number")?;
    shapes.require(!x.shape.is_empty(), "takes rows, not a scalar")?;
    let fits = |arg: &ValueSpec| arg.shape[..] == [x.columns()] && arg.dtype == x.dtype;
    shapes.require(
        fits(gain) && fits(bias),
        "gain and bias must have the type and the columns of the first argument",
    )?;
    let statistic = ValueSpec::new(&x.shape[..x.shape.len() - 1], wide(x.dtype));
    Ok(vec![x.clone(), statistic.clone(), statistic])
}

/// y, mean and rstd of a row x, each of whose elements may be off by `off` of its size.
pub(super) fn normalised(x: &[f64], off: f64, [gain, bias]: [&Arg; 2], eps: f64) -> [Vec<Expected>; 3] {
    let dtype = gain.spec.dtype;
    let u = wide(dtype).roundoff();
    let Statistics { mean, mean_error, rstd, rstd_relative, size } = Statistics::of(x, off, eps, u);
    let (gain, bias) = (gain.at(0..x.len()), bias.at(0..x.len()));
    // y gathers what x and the statistics are off by, and the roundings of one difference, two products
    // and one sum.
    let y = x.iter().zip(gain).zip(bias).map(|((&x, &gain), &bias)| {
        let normal = (x - mean) * rstd * gain;
        let difference = mean_error + off * x.abs() + u * (x.abs() + mean.abs());
        let off_mean = (gain * rstd).abs() * difference;
        let error = off_mean + normal.abs() * (rstd_relative + 3.0 * u);
        Expected::rounded(normal + bias, error, normal.abs() + bias.abs() + off_mean / u / 8.0, dtype)
    });
    let mean = Expected::rounded(mean, mean_error, size * mean_error / u / 8.0, wide(dtype));
    let rstd = Expected::rounded(rstd, rstd * rstd_relative, rstd * rstd_relative / u / 8.0, wide(dtype));
    [y.collect(), vec![mean], vec![rstd]]
}

/// Mean and reciprocal deviation of a row, with what a backend may be off by.
struct Statistics {
    mean: f64,
    mean_error: f64,
    rstd: f64,
    rstd_relative: f64,
    size: f64,
}

impl Statistics {
    // The mean gathers roundings of its sum, in units of mean |x|. The variance gathers those of its own
    // sum and, where a library takes E[x^2] - mean^2 in one pass, as many units of E[x^2]; the square
    // root halves a relative error; 4 u are for the reciprocal square root. Elements that are off by
    // `off` |x| move the mean by as much of mean |x|, and the variance by 2 off mean |x - mean| |x|, which
    // is at most 2 off sqrt(variance E[x^2]) (Cauchy and Schwarz).
    fn of(x: &[f64], off: f64, eps: f64, u: f64) -> Self {
        let count = x.len() as f64;
        let terms = sum_terms(x.len());
        let mean = x.iter().sum::<f64>() / count;
        let size = x.iter().map(|x| x.abs()).sum::<f64>() / count;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let square = x.iter().map(|x| x * x).sum::<f64>() / count;
        let conditioning = (square + eps) / (variance + eps);
        Self {
            mean,
            mean_error: (terms * u + off) * size,
            rstd: 1.0 / (variance + eps).sqrt(),
            rstd_relative: u * (0.5 * terms * (1.0 + conditioning) + 4.0)
                + off * (variance * square).sqrt() / (variance + eps),
            size,
        }
    }
}
