//! The gradients of layer normalisation (Ba, Kiros and Hinton, 2016, with the chain rule).

use super::column_sum::blocked_terms;
use super::expected::sum_terms;
use super::shapes::{ShapeError, Shapes, row, wide};
use super::{Arg, Expected, Operation, Work};
use crate::random::Fill;
use crate::tensor::ValueSpec;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// dx = rstd (g - mean of g - n (mean of g n)) over each row, with g = dy gain and n = (x - mean) rstd.
///
/// Arguments dy and x `[.., columns]` of one type, mean and rstd `[..]` in f32 (f64 of f64) as the forward pass
/// left them, gain `[columns]` of the type of x. dx is as x is. x may be the sum that `add_layer_norm` leaves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerNormGrad {}

/// dgain = sum over rows of dy n, and dbias = sum over rows of dy, with n = (x - mean) rstd.
///
/// Arguments dy and x `[.., columns]` of one type, mean and rstd `[..]` in f32 (f64 of f64). Both answers are
/// `[columns]` in f32 (f64 of f64).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerNormParamGrad {}

fn check(shapes: &Shapes, args: &[ValueSpec]) -> Result<(), ShapeError> {
    shapes.all_float()?;
    let x = &args[1];
    shapes
        .require(!x.shape.is_empty() && args[0] == *x, "dy and x must be rows of one shape and one type")?;
    let statistic = ValueSpec::new(&x.shape[..x.shape.len() - 1], wide(x.dtype));
    let fits = args[2] == statistic && args[3] == statistic;
    shapes.require(fits, "mean and rstd must be wide, one for each row")
}

/// Off centre, as the forward pass has x, and the statistics near those of such rows.
fn fill_of(arg: usize) -> Fill {
    match arg {
        1 => Fill::Uniform { low: -1.0, high: 2.0 },
        2 => Fill::Uniform { low: 0.4, high: 0.6 },
        3 => Fill::Uniform { low: 1.0, high: 1.3 },
        4 => Fill::Uniform { low: 0.5, high: 1.5 },
        _ => Fill::UNIT,
    }
}

/// What (x - mean) rstd may be off by: a difference and a product, or a product with a rounded mean rstd.
fn normal_error(x: f64, mean: f64, rstd: f64, u: f64) -> f64 {
    2.0 * u * rstd * (x.abs() + mean.abs())
}

impl Operation for LayerNormGrad {
    fn name(&self) -> &'static str {
        "layer_norm_grad"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 5)?;
        check(&shapes, args)?;
        let fits = args[4].shape[..] == [args[1].columns()] && args[4].dtype == args[1].dtype;
        shapes.require(fits, "the gain must have the type and the columns of x")?;
        Ok(vec![args[1].clone()])
    }

    // Each element: a product for g, two operations for n, three for the two sums, five for the answer.
    fn work(&self, args: &[ValueSpec]) -> Work {
        Work::of((args[1].elements() as u64).saturating_mul(11), args, &args[1..2])
    }

    fn fill(&self, arg: usize, _: &ValueSpec) -> Fill {
        fill_of(arg)
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[1].rows()
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let columns = args[1].columns();
        vec![row(columns, unit), row(columns, unit), row(1, unit), row(1, unit), 0..columns]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(args[1].columns(), unit)]
    }

    // The two means gather the roundings of their sums and what n is off by; the answer adds those of two
    // differences and two products, each no larger than the sum of the three terms.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let (columns, dtype) = (args[1].spec.columns(), args[1].spec.dtype);
        let (u, terms, count) = (wide(dtype).roundoff(), sum_terms(columns), columns as f64);
        let [dy, x] = [0, 1].map(|arg| args[arg].at(row(columns, unit)));
        let [mean, rstd] = [2, 3].map(|arg| args[arg].at(row(1, unit))[0]);
        let gain = args[4].at(0..columns);
        let [mut of_g, mut size_g, mut of_gn, mut size_gn] = [0.0; 4];
        let normal = |x: f64| (x - mean) * rstd;
        for ((dy, gain), &x) in dy.iter().zip(gain).zip(x) {
            let (g, n) = (dy * gain / count, normal(x));
            of_g += g;
            size_g += g.abs();
            of_gn += g * n;
            size_gn += (g * n).abs() * terms * u + g.abs() * normal_error(x, mean, rstd, u);
        }
        let answer = |((dy, gain), &x): ((&f64, &f64), &f64)| {
            let (g, n) = (dy * gain, normal(x));
            let size = g.abs() + of_g.abs() + (n * of_gn).abs();
            let error = 4.0 * u * size
                + terms * u * size_g
                + n.abs() * size_gn
                + of_gn.abs() * normal_error(x, mean, rstd, u);
            let value = rstd * (g - of_g - n * of_gn);
            Expected::rounded(value, rstd.abs() * error, rstd.abs() * (size + error / u / 8.0), dtype)
        };
        vec![dy.iter().zip(gain).zip(x).map(answer).collect()]
    }
}

impl Operation for LayerNormParamGrad {
    fn name(&self) -> &'static str {
        "layer_norm_param_grad"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 4)?;
        check(&shapes, args)?;
        Ok(vec![ValueSpec::new(&[args[1].columns()], wide(args[1].dtype)); 2])
    }

    // Each element: two operations for n, two for dgain, one for dbias.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let flops = (args[1].elements() as u64).saturating_mul(5);
        Work::of(flops, args, &self.outputs(args).unwrap_or_default())
    }

    fn fill(&self, arg: usize, _: &ValueSpec) -> Fill {
        fill_of(arg)
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[1].columns()
    }

    fn writes(&self, _: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(1, unit); 2]
    }

    // Sums in blocks as for `column_sum`, and what each n is off by.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let (spec, dtype) = (args[1].spec, wide(args[1].spec.dtype));
        let (u, terms) = (dtype.roundoff(), blocked_terms(spec.rows()));
        let [dy, x] =
            [0, 1].map(|arg| args[arg].at(0..spec.elements()).iter().skip(unit).step_by(spec.columns()));
        let [means, rstds] = [2, 3].map(|arg| args[arg].at(0..spec.rows()));
        let [mut gain, mut gain_size, mut gain_error, mut bias, mut bias_size] = [0.0; 5];
        for (((dy, &x), &mean), &rstd) in dy.zip(x).zip(means).zip(rstds) {
            let term = dy * (x - mean) * rstd;
            gain += term;
            gain_size += term.abs();
            gain_error += dy.abs() * normal_error(x, mean, rstd, u);
            bias += dy;
            bias_size += dy.abs();
        }
        let gain_error = terms * u * gain_size + gain_error;
        vec![
            vec![Expected::rounded(gain, gain_error, gain_size + gain_error / u / 8.0, dtype)],
            vec![Expected::rounded(bias, terms * u * bias_size, bias_size, dtype)],
        ]
    }
}
