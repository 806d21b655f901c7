//! Residual sum and layer normalisation in one pass, as transformers have them between their blocks.

use super::layer_norm::{normalised, normalised_outputs};
use super::shapes::{ShapeError, Shapes, row};
use super::{Add, Arg, Expansion, Expected, LayerNorm, Op, Operation, Work};
use crate::random::Fill;
use crate::tensor::ValueSpec;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// s = x + r and y = layer norm of s, over each row of x `[.., columns]`.
///
/// Arguments x, r of the shape of x, gain `[columns]`, bias `[columns]`, all of one type. Outputs y, s of the
/// type of x, mean `[..]` and rstd `[..]` as in [`LayerNorm`]. y may be made of s before or after its
/// rounding to that type. Expands into `add` and `layer_norm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddLayerNorm {
    /// Added to the variance.
    pub eps: f64,
}

impl Operation for AddLayerNorm {
    fn name(&self) -> &'static str {
        "add_layer_norm"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 4)?;
        shapes.require(args[0] == args[1], "what is added must have the shape and the type of x")?;
        let mut outputs = normalised_outputs(&shapes, self.eps, [&args[0], &args[2], &args[3]])?;
        outputs.insert(1, args[0].clone());
        Ok(outputs)
    }

    // The sum, and as `layer_norm`.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let flops = (args[0].elements() as u64).saturating_mul(9);
        Work::of(flops, args, &self.outputs(args).unwrap_or_default())
    }

    fn fill(&self, arg: usize, spec: &ValueSpec) -> Fill {
        if arg == 1 { Fill::UNIT } else { LayerNorm { eps: self.eps }.fill(arg.saturating_sub(1), spec) }
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[0].rows()
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let columns = args[0].columns();
        vec![row(columns, unit), row(columns, unit), 0..columns, 0..columns]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let columns = args[0].columns();
        vec![row(columns, unit), row(columns, unit), row(1, unit), row(1, unit)]
    }

    // s is one correctly rounded addition; what follows may see that rounding.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let (dtype, range) = (args[0].spec.dtype, row(args[0].spec.columns(), unit));
        let pairs = || args[0].at(range.clone()).iter().zip(args[1].at(range.clone()));
        let sum = pairs().map(|(x, r)| Expected::rounded(x + r, 0.0, x.abs() + r.abs(), dtype)).collect();
        let exact: Vec<f64> = pairs().map(|(x, r)| x + r).collect();
        let [y, mean, rstd] = normalised(&exact, dtype.roundoff(), [&args[2], &args[3]], self.eps);
        vec![y, sum, mean, rstd]
    }

    fn expand(&self, _: &[ValueSpec]) -> Option<Expansion> {
        let norm = LayerNorm { eps: self.eps };
        let steps = vec![(Op::Add(Add {}), vec![0, 1]), (Op::LayerNorm(norm), vec![4, 2, 3])];
        Some(Expansion { steps, outputs: vec![5, 4, 6, 7] })
    }
}
