//! From intervals to words.

use super::estimate::{ALPHA, Interval};
use serde::Serialize;

/// The outcome of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Call {
    /// Slower by more than the margin.
    Slower,
    /// Faster by more than the margin.
    Faster,
    /// Within the margin.
    Same,
    /// The interval crosses the margin: more starts are needed.
    #[serde(rename = "CANNOT TELL")]
    CannotTell,
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.pad(match self {
            Self::Slower => "SLOWER",
            Self::Faster => "FASTER",
            Self::Same => "SAME",
            Self::CannotTell => "CANNOT TELL",
        })
    }
}

impl Call {
    /// The same call where the host was so noisy that a difference may be the host's.
    pub(super) fn on_a_noisy_host(self) -> Self {
        if matches!(self, Self::Slower | Self::Faster) { Self::CannotTell } else { self }
    }
}

/// No margin, however large the noise, makes a cell SAME that may differ by more than this.
const MOST: f64 = 0.10;

/// The call of a ratio of times (second over first) whose interval, and whose p-value for lying beyond
/// the margin corrected for the number of cells, are given.
pub(super) fn call(ratio: &Interval, corrected: f64, margin: f64) -> Call {
    if corrected < ALPHA {
        return if ratio.centre > 1.0 { Call::Slower } else { Call::Faster };
    }
    let most = 1.0 + margin.min(MOST);
    let least = 1.0 / most;
    if ratio.low >= least && ratio.high <= most { Call::Same } else { Call::CannotTell }
}

/// Holm's step-down correction: the chance that any of the rejected hypotheses is true stays below the
/// level that corrected values are compared with, whatever their dependence (Holm 1979).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, &cell) in order.iter().enumerate() {
        largest = largest.max(p_values[cell] * (p_values.len() - rank) as f64).min(1.0);
        corrected[cell] = largest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_multiplies_by_the_number_that_is_left_and_never_falls() {
        for (p_values, want) in [
            (vec![], vec![]),
            (vec![0.03], vec![0.03]),
            (vec![0.01, 0.04, 0.03], vec![0.03, 0.06, 0.06]),
            (vec![0.5, 0.6, 0.01], vec![1.0, 1.0, 0.03]),
        ] {
            let got = holm(&p_values);
            assert!(got.iter().zip(&want).all(|(a, b): (&f64, &f64)| (a - b).abs() < 1e-12), "{got:?}");
        }
    }

    #[test]
    fn a_call_needs_the_whole_interval_on_one_side() {
        let interval = |low, high: f64| Interval { low, centre: (low + high) / 2.0, high };
        for (ratio, corrected, want) in [
            (interval(0.99, 1.01), 1.0, Call::Same),
            (interval(0.97, 1.01), 1.0, Call::CannotTell),
            (interval(1.01, 1.09), 0.06, Call::CannotTell),
            (interval(1.03, 1.07), 0.01, Call::Slower),
            (interval(0.93, 0.97), 0.01, Call::Faster),
        ] {
            assert_eq!(call(&ratio, corrected, 0.02), want);
        }
        assert_eq!(call(&interval(0.7, 1.3), 1.0, 0.5), Call::CannotTell);
    }
}
