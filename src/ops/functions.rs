//! Functions and sums in f64 that the standard library lacks.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// The error function, to about 1e-15 absolute.
///
/// Below 3 the series `2/sqrt(pi) exp(-x^2) sum 2^n x^(2n+1) / (2n+1)!!`, whose terms have one sign;
/// above, the continued fraction of erfc (Abramowitz and Stegun, 7.1.6 and 7.1.14).
pub fn erf(x: f64) -> f64 {
    let size = x.abs();
    if x.is_nan() {
        return x;
    }
    let value = if size < 3.0 { erf_series(size) } else { 1.0 - erfc_fraction(size) };
    value.copysign(x)
}

fn erf_series(x: f64) -> f64 {
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while term > sum * 1e-17 {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        sum += term;
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}

fn erfc_fraction(x: f64) -> f64 {
    // x + (1/2)/(x + 1/(x + (3/2)/(x + ...))), from the tail; 60 levels converge for x >= 3.
    let tail = (1..=60).rev().fold(x, |tail, level| x + f64::from(level) / 2.0 / tail);
    (-x * x).exp() / (PI.sqrt() * tail)
}

/// Gaussian error linear unit: `x/2 (1 + erf(x/sqrt 2))` (Hendrycks and Gimpel, 2016).
pub fn gelu_erf(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2))
}

/// Its approximation `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`, from the same paper.
pub fn gelu_tanh(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
}

/// The slope of [`gelu_erf`]: Phi(x) + x phi(x), with the normal distribution and its density.
pub fn gelu_erf_slope(x: f64) -> f64 {
    let density = (-0.5 * x * x).exp() / (2.0 * PI).sqrt();
    0.5 * (1.0 + erf(x * FRAC_1_SQRT_2)) + x * density
}

/// The slope of [`gelu_tanh`]: (1 + t) / 2 + x / 2 (1 - t^2) z', with t = tanh(z).
pub fn gelu_tanh_slope(x: f64) -> f64 {
    let factor = (2.0 / PI).sqrt();
    let t = (factor * (x + 0.044_715 * x * x * x)).tanh();
    0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * factor * (1.0 + 0.134_145 * x * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_agrees_with_published_values() {
        // NIST Digital Library of Mathematical Functions, §7; 15 digits.
        for (x, want) in [
            (0.0, 0.0),
            (0.1, 0.112_462_916_018_285),
            (0.5, 0.520_499_877_813_047),
            (1.0, 0.842_700_792_949_715),
            (2.0, 0.995_322_265_018_953),
            (3.0, 0.999_977_909_503_001),
            (4.0, 0.999_999_984_582_742),
        ] {
            assert!((erf(x) - want).abs() < 2e-15, "erf({x}) = {}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
        assert!((1.0 - erf(2.999_999) - erfc_fraction(2.999_999)).abs() < 1e-15);
        assert!(erf(f64::NAN).is_nan() && erf(f64::INFINITY) == 1.0);
    }

    #[test]
    fn both_forms_of_gelu_agree_to_three_digits() {
        for i in -50..50 {
            let x = f64::from(i) / 10.0;
            assert!((gelu_erf(x) - gelu_tanh(x)).abs() < 5e-4, "{x}");
        }
        // Phi(1) = 0.841344746068543.
        assert!((gelu_erf(1.0) - 0.841_344_746_068_543).abs() < 1e-14);
    }
}
