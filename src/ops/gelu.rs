//! The Gaussian error linear unit, alone and after a bias.

use super::functions::{gelu_erf, gelu_tanh};
use super::shapes::{ShapeError, Shapes, run, runs, wide};
use super::streams::{biased, biased_run};
use super::{Arg, BiasAdd, Expansion, Expected, Op, Operation, Work};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Which formula: two different answers, so two cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GeluForm {
    /// `x/2 (1 + erf(x/sqrt 2))`.
    #[default]
    Erf,
    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
    Tanh,
}

/// y = gelu(x), element by element.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gelu {
    /// Which formula.
    pub form: GeluForm,
}

/// y = gelu(x + bias). x is `[.., columns]`, bias is `[columns]`. Expands into `bias_add` and `gelu`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BiasGelu {
    /// Which formula.
    pub form: GeluForm,
}

/// Where gelu bends: beyond 4 it is x or 0 to five digits.
pub(super) const BENT: Fill = Fill::Uniform { low: -4.0, high: 4.0 };

impl GeluForm {
    /// Operations an element, a function call counting as one: three products, one sum and the call;
    /// the tanh form has three products and a sum more in its argument.
    fn flops(self) -> u64 {
        match self {
            Self::Erf => 5,
            Self::Tanh => 9,
        }
    }

    // Both forms are x/2 times a sum 1 + f, f in [-1, 1]. Libraries' erf and tanh err by up to 3 u
    // absolute (Abramowitz and Stegun 7.1.26, which several use, by 1.5e-7) and as much again from their
    // coefficients; roundings of f's argument z are damped by |z f'(z)| < 0.5. Where 1 + f cancels, all
    // this stays absolute in x/2: 6 u |x| is twice what plain code shows. `input_error` is what x itself is
    // off by; gelu's slope is below 1.13.
    fn expected(self, x: f64, input_error: f64, dtype: DType) -> Expected {
        let value = match self {
            Self::Erf => gelu_erf(x),
            Self::Tanh => gelu_tanh(x),
        };
        let error = 6.0 * wide(dtype).roundoff() * x.abs() + 1.13 * input_error;
        Expected::rounded(value, error, x.abs(), dtype)
    }
}

impl Operation for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }
    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        Shapes::new(self.name(), args, 1)?.all_float()?;
        Ok(args.to_vec())
    }
    fn work(&self, args: &[ValueSpec]) -> Work {
        Work::of(self.form.flops().saturating_mul(args[0].elements() as u64), args, &args[..1])
    }
    fn fill(&self, _: usize, _: &ValueSpec) -> Fill {
        BENT
    }
    fn units(&self, args: &[ValueSpec]) -> usize {
        runs(args[0].elements())
    }
    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit)]
    }
    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        self.reads(args, unit)
    }
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let range = run(args[0].spec.elements(), unit);
        let dtype = args[0].spec.dtype;
        vec![args[0].at(range).iter().map(|&x| self.form.expected(x, 0.0, dtype)).collect()]
    }
}

impl Operation for BiasGelu {
    fn name(&self) -> &'static str {
        "bias_gelu"
    }
    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        biased(self.name(), args)
    }
    fn work(&self, args: &[ValueSpec]) -> Work {
        Work::of((1 + self.form.flops()).saturating_mul(args[0].elements() as u64), args, &args[..1])
    }
    fn fill(&self, arg: usize, _: &ValueSpec) -> Fill {
        if arg == 0 { BENT } else { Fill::UNIT }
    }
    fn units(&self, args: &[ValueSpec]) -> usize {
        runs(args[0].elements())
    }
    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit), 0..args[1].elements()]
    }
    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit)]
    }
    // The sum is rounded once before it enters gelu.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let dtype = args[0].spec.dtype;
        let expected = biased_run(args, unit).map(|(x, bias)| {
            let sum = x + bias;
            self.form.expected(sum, wide(dtype).roundoff() * sum.abs(), dtype)
        });
        vec![expected.collect()]
    }
    fn expand(&self, _: &[ValueSpec]) -> Option<Expansion> {
        let steps =
            vec![(Op::BiasAdd(BiasAdd {}), vec![0, 1]), (Op::Gelu(Gelu { form: self.form }), vec![2])];
        Some(Expansion { steps, outputs: vec![3] })
    }
}
