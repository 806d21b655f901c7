//! f32 formulas that several CPU backends share, written so that loops over them become vectors.

use crate::ops::{Adamw, GeluForm};

/// e^x to about 2 units in the last place, between the smallest normal number and 2^127; beyond, these
/// ends. No branch, no call.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // e^x = 2^n e^r with n whole and |r| <= ln 2 / 2. Adding 1.5 2^23 rounds to a whole number, which
    // then stands in the low bits.
    const ROUNDER: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUNDER;
    let n = shifted - ROUNDER;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    // Taylor's series to r^7: the next term is below 1e-8 of the sum.
    const SERIES: [f32; 8] = [1.0, 1.0, 0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
    let series = polynomial(&SERIES, r);
    let exponent = shifted.to_bits().wrapping_sub(ROUNDER.to_bits()).wrapping_add(127) << 23;
    series * f32::from_bits(exponent)
}

/// The error function to 3e-7.
///
/// Below 1 Maclaurin's series, `2/sqrt(pi) sum (-1)^n x^(2n+1) / (n! (2n+1))`; above, where rounding
/// spoils it, Abramowitz and Stegun, 7.1.26. Both are computed, so that loops become vectors.
#[inline(always)]
fn erf(x: f32) -> f32 {
    const SERIES: [f32; 11] = [
        std::f32::consts::FRAC_2_SQRT_PI,
        -0.37612638,
        0.11283792,
        -0.026866172,
        0.005_223_978,
        -0.0008548327,
        0.00012055333,
        -1.492565e-05,
        1.6462114e-06,
        -1.6365844e-07,
        1.4807193e-08,
    ];
    const TAIL: [f32; 5] = [0.254_829_6, -0.284_496_74, 1.421_413_8, -1.453_152, 1.061_405_4];
    let size = x.abs();
    let inner = x * polynomial(&SERIES, x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let outer = (1.0 - t * polynomial(&TAIL, t) * exp(-size * size)).copysign(x);
    if size < 1.0 { inner } else { outer }
}

/// c0 + c1 x + c2 x^2 + ...
#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// tanh x, to a few units in the last place of 1.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// The Gaussian error linear unit in one of its forms.
#[inline(always)]
pub fn gelu(form: GeluForm, x: f32) -> f32 {
    let inner = match form {
        GeluForm::Erf => erf(x * std::f32::consts::FRAC_1_SQRT_2),
        // sqrt(2 / pi)
        GeluForm::Tanh => tanh(0.797_884_6 * (x + 0.044_715 * x * x * x)),
    };
    0.5 * x * (1.0 + inner)
}

/// Output and argument that are one memory in an AdamW step: p, m and v.
pub const ADAMW_IN_PLACE: &[(usize, usize)] = &[(0, 0), (1, 2), (2, 3)];

/// AdamW's settings as the loop wants them.
#[derive(Clone, Copy, Debug)]
pub struct AdamwFactors {
    keep: f32,
    rate: f32,
    beta1: f32,
    beta2: f32,
    one_less_beta1: f32,
    one_less_beta2: f32,
    correct2: f32,
    eps: f32,
}

impl AdamwFactors {
    /// Of one step; everything that does not depend on the data is computed here, in f64.
    pub fn new(op: &Adamw) -> Self {
        let correct = |beta: f64| 1.0 - beta.powf(f64::from(op.step));
        Self {
            keep: (1.0 - op.rate * op.weight_decay) as f32,
            rate: (op.rate / correct(op.beta1)) as f32,
            beta1: op.beta1 as f32,
            beta2: op.beta2 as f32,
            one_less_beta1: (1.0 - op.beta1) as f32,
            one_less_beta2: (1.0 - op.beta2) as f32,
            correct2: (1.0 / correct(op.beta2)) as f32,
            eps: op.eps as f32,
        }
    }

    /// The updated p, m and v.
    #[inline(always)]
    pub fn updated(&self, p: f32, g: f32, m: f32, v: f32) -> (f32, f32, f32) {
        let m = self.beta1 * m + self.one_less_beta1 * g;
        let v = self.beta2 * v + self.one_less_beta2 * g * g;
        let update = self.rate * m / ((v * self.correct2).sqrt() + self.eps);
        (self.keep * p - update, m, v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{gelu_erf, gelu_tanh};

    #[test]
    fn exponentials_are_right_to_two_units_in_the_last_place() {
        for i in -8700..=8800 {
            let x = i as f32 / 100.0;
            let want = f64::from(x).exp();
            assert!((f64::from(exp(x)) / want - 1.0).abs() < 2.5e-7, "{x}: {} {want}", exp(x));
        }
        assert!(exp(-1e30) > 0.0 && exp(-1e30) < 1e-37 && exp(1e30).is_finite());
    }

    #[test]
    fn gelu_is_right_to_the_ops_bound() {
        for i in -1000..=1000 {
            let x = i as f32 / 100.0;
            let allow = 4.0 * 2f64.powi(-24) * f64::from(x.abs()) + 1e-37;
            for (form, want) in
                [(GeluForm::Erf, gelu_erf(f64::from(x))), (GeluForm::Tanh, gelu_tanh(f64::from(x)))]
            {
                let got = f64::from(gelu(form, x));
                assert!((got - want).abs() <= allow, "{form:?} {x}: {got} {want}");
            }
        }
    }
}
