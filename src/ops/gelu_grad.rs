//! The gradient of the Gaussian error linear unit, alone and after a bias.

use super::functions::{gelu_erf_slope, gelu_tanh_slope};
use super::gelu::BENT;
use super::pointwise::Pointwise;
use super::shapes::wide;
use super::{BiasAdd, Expansion, Expected, GeluForm, Op};
use crate::random::Fill;
use crate::tensor::DType;
use serde::{Deserialize, Serialize};

/// dx = dy gelu'(x), from dy and the forward argument x.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeluGrad {
    /// Which formula.
    pub form: GeluForm,
}

/// dx = dy gelu'(x + bias), from dy, the forward argument x `[.., columns]` and bias `[columns]`. Expands into
/// `bias_add` and `gelu_grad`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BiasGeluGrad {
    /// Which formula.
    pub form: GeluForm,
}

impl GeluForm {
    /// Operations of the slope: the value's (see `gelu`), and the density's square, exponential and two
    /// products; in the tanh form 1 - t^2, the slope of its argument, and their products.
    fn slope_flops(self) -> u64 {
        match self {
            Self::Erf => 10,
            Self::Tanh => 17,
        }
    }

    // Erf: the slope is (1 + f)/2 + x density(x). Libraries' erf errs by up to 3 u absolute, as for `gelu`;
    // the density is off by roundings of x^2 that the exponential damps, so that |x| density, at most 0.25,
    // is off by 4 u: 8 u holds the sum twice.
    // Tanh: (1 + t)/2 + x/2 (1 - t^2) z'(x). t errs by u to 3 u absolute, which the second term multiplies by
    // |x| z'(x), where t is near 1 and errs least: 2 u |x| z'(x), and as before 8 u.
    // What x itself is off by moves the slope by 0.8 of that or less: its own slope is largest at 0.
    fn slope(self, dy: f64, x: f64, input_error: f64, dtype: DType) -> Expected {
        let u = wide(dtype).roundoff();
        let (slope, amplified) = match self {
            Self::Erf => (gelu_erf_slope(x), 0.0),
            Self::Tanh => (gelu_tanh_slope(x), x.abs() * (0.8 + 0.108 * x * x)),
        };
        let error = dy.abs() * (u * (8.0 + 2.0 * amplified) + 0.8 * input_error);
        Expected::rounded(dy * slope, error, dy.abs(), dtype)
    }
}

impl Pointwise for GeluGrad {
    const NAME: &'static str = "gelu_grad";
    const STREAMS: usize = 2;
    fn flops(&self) -> u64 {
        1 + self.form.slope_flops()
    }
    fn fill(&self, arg: usize) -> Fill {
        if arg == 1 { BENT } else { Fill::UNIT }
    }
    fn element(&self, x: &[f64], dtype: DType) -> Expected {
        self.form.slope(x[0], x[1], 0.0, dtype)
    }
}

impl Pointwise for BiasGeluGrad {
    const NAME: &'static str = "bias_gelu_grad";
    const STREAMS: usize = 2;
    const ROW: bool = true;
    fn flops(&self) -> u64 {
        2 + self.form.slope_flops()
    }
    fn fill(&self, arg: usize) -> Fill {
        if arg == 1 { BENT } else { Fill::UNIT }
    }
    // The sum is rounded once before it enters the slope.
    fn element(&self, x: &[f64], dtype: DType) -> Expected {
        let sum = x[1] + x[2];
        self.form.slope(x[0], sum, wide(dtype).roundoff() * sum.abs(), dtype)
    }
    fn expand(&self) -> Option<Expansion> {
        let grad = GeluGrad { form: self.form };
        let steps = vec![(Op::BiasAdd(BiasAdd {}), vec![1, 2]), (Op::GeluGrad(grad), vec![0, 3])];
        Some(Expansion { steps, outputs: vec![4] })
    }
}
