//! Student's t distribution and the functions that a shrunken variance needs, for real degrees of
//! freedom. Formulas by number from the NIST Digital Library of Mathematical Functions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::f64::consts::PI;

/// P(T > t) for Student's t with `df` > 0 degrees of freedom; the normal tail for infinite `df`.
pub(super) fn tail(t: f64, df: f64) -> f64 {
    if t < 0.0 {
        return 1.0 - tail(-t, df);
    }
    // Beyond this, t and the normal differ by less than the beta function's own error.
    let df = df.min(1e7);
    0.5 * incomplete_beta(df / 2.0, 0.5, df / (df + t * t))
}

/// P(F > f) for Fisher's F with `above` and `below` > 0 degrees of freedom.
pub(super) fn f_tail(f: f64, above: f64, below: f64) -> f64 {
    let (above, below) = (above.min(1e7), below.min(1e7));
    incomplete_beta(below / 2.0, above / 2.0, below / (below + above * f))
}

/// The t that |T| exceeds with probability `alpha`: 1.96 for 0.05 and many degrees of freedom. The cells of
/// a run ask for the same few degrees of freedom again and again, so answers are kept.
pub(super) fn critical(alpha: f64, df: f64) -> f64 {
    const MOST_KEPT: usize = 1000;
    thread_local!(static KEPT: RefCell<HashMap<[u64; 2], f64>> = RefCell::default());
    KEPT.with_borrow_mut(|kept| {
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        *kept.entry([alpha, df].map(f64::to_bits)).or_insert_with(|| find_critical(alpha, df))
    })
}

fn find_critical(alpha: f64, df: f64) -> f64 {
    let wanted = alpha / 2.0;
    let mut high = 1.0;
    while tail(high, df) > wanted && high < 1e12 {
        high *= 2.0;
    }
    let mut low = if high > 1.0 { high / 2.0 } else { 0.0 };
    // The tail is smooth and falling: the secant of its logarithm is nearly straight.
    let height = |t: f64| (tail(t, df).max(f64::MIN_POSITIVE) / wanted).ln();
    let (mut above, mut below) = (height(low), height(high));
    for _ in 0..60 {
        let middle = ((low * below - high * above) / (below - above)).clamp(low, high);
        let value = height(middle);
        if value.abs() < 1e-10 || high - low < 1e-12 * high {
            return middle;
        }
        // Halving the end that stays (the "Illinois" rule) keeps both ends moving.
        if value > 0.0 {
            (low, above, below) = (middle, value, below / 2.0);
        } else {
            (high, below, above) = (middle, value, above / 2.0);
        }
    }
    (low + high) / 2.0
}

/// Regularised incomplete beta function I_x(a, b) (8.17.2) by its continued fraction (8.17.22).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let log_front = a * x.ln() + b * (1.0 - x).ln() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) - a.ln();
    log_front.exp() / beta_fraction(a, b, x)
}

/// The fraction 1 + d1/(1 + d2/(1 + ...)) of 8.17.22 by the modified Lentz method (3.10(iii)).
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let nonzero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let (mut fraction, mut c, mut d) = (1.0, 1.0, 0.0);
    for term in 1..2000 {
        let m = f64::from(term / 2);
        let coefficient = match term % 2 {
            0 => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        d = 1.0 / nonzero(1.0 + coefficient * d);
        c = nonzero(1.0 + coefficient / c);
        fraction *= c * d;
        if (c * d - 1.0).abs() < 1e-14 {
            break;
        }
    }
    fraction
}

/// Arguments from here on are large enough for the asymptotic series below.
const LARGE: f64 = 12.0;

/// ln Γ(x) for x > 0: Stirling's series (5.11.1) after the recurrence (5.5.1).
fn ln_gamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < LARGE {
        below += x.ln();
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * PI).ln() + series - below
}

/// ψ(x) = d/dx ln Γ(x) for x > 0 (5.11.2, 5.5.2).
pub(super) fn digamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < LARGE {
        below += 1.0 / x;
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    x.ln() - 0.5 / x - r * (1.0 / 12.0 - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r / 240.0))) - below
}

/// ψ'(x) for x > 0 (5.15.8, 5.15.5).
pub(super) fn trigamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < LARGE {
        below += 1.0 / (x * x);
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    below + 1.0 / x + 0.5 * r + r / x * (1.0 / 6.0 - r * (1.0 / 30.0 - r * (1.0 / 42.0 - r / 30.0)))
}

/// The x > 0 with ψ'(x) = y; ψ' falls from infinity to 0, like 1/x² and then 1/x.
pub(super) fn inverse_trigamma(y: f64) -> f64 {
    let (mut low, mut high) = (1e-6f64, 1e8f64);
    for _ in 0..100 {
        let middle = (low * high).sqrt();
        if trigamma(middle) > y { low = middle } else { high = middle }
    }
    (low * high).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_values_are_those_of_the_tables() {
        for (alpha, df, want) in [
            (0.05, 1.0, 12.7062),
            (0.05, 2.0, 4.3027),
            (0.05, 4.0, 2.7764),
            (0.05, 30.0, 2.0423),
            (0.05, 1e9, 1.9600),
            (0.001, 2.0, 31.599),
            (0.001, 10.0, 4.5869),
            (0.9, 3.0, 0.1366),
        ] {
            let got = critical(alpha, df);
            assert!((got / want - 1.0).abs() < 2e-4, "t({alpha}, {df}) = {got}, not {want}");
        }
    }

    #[test]
    fn tails_of_f_are_those_of_t_squared_and_of_the_tables() {
        for (t, df) in [(0.3, 1.0), (2.0, 4.0), (5.0, 33.5)] {
            assert!((f_tail(t * t, 1.0, df) - 2.0 * tail(t, df)).abs() < 1e-12);
        }
        for (f, above, below, want) in
            [(19.0, 2.0, 2.0, 0.05), (5.33, 5.0, 10.0, 0.01218), (6.9266, 2.0, 12.0, 0.01)]
        {
            let got = f_tail(f, above, below);
            assert!((got / want - 1.0).abs() < 0.02, "F({above}, {below}) > {f}: {got}, not {want}");
        }
        assert_eq!(f_tail(0.0, 2.0, 3.0), 1.0);
    }

    #[test]
    fn tails_are_symmetric_and_exact_where_a_closed_form_exists() {
        for t in [0.0, 0.1, 1.0, 3.0, 50.0f64] {
            // One degree of freedom is Cauchy's distribution; two have an algebraic one.
            assert!((tail(t, 1.0) - (0.5 - t.atan() / PI)).abs() < 1e-12);
            assert!((tail(t, 2.0) - 0.5 * (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-12);
            assert!((tail(t, 2.7) + tail(-t, 2.7) - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn gamma_functions_agree_with_known_values() {
        assert!((ln_gamma(0.5) - 0.5 * PI.ln()).abs() < 1e-12);
        assert!((ln_gamma(11.0) - 3_628_800f64.ln()).abs() < 1e-11);
        assert!((digamma(1.0) + 0.577_215_664_901_532_9).abs() < 1e-12);
        assert!((trigamma(1.0) - PI * PI / 6.0).abs() < 1e-12);
        assert!((trigamma(0.5) - PI * PI / 2.0).abs() < 1e-12);
        for x in [1e-3, 0.5, 2.0, 300.0] {
            assert!((inverse_trigamma(trigamma(x)) / x - 1.0).abs() < 1e-9);
        }
    }
}
