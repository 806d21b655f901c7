//! When a series has been sampled enough. Plain numbers go in, so tests need no clock.

use crate::plan::Pace;
use crate::units::Nanos;

/// Share of all sample medians that the interval below must cover: 95 %.
const OUTSIDE: f64 = 0.05;

/// The rule that ends the rounds of one start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// Rounds that are made in any case, as long as the budget has not been used up twice.
    pub min_rounds: usize,
    /// Rounds after which there is no more to learn from this start.
    pub max_rounds: usize,
    /// Settled: the interval of the median is within plus or minus this share of the median.
    pub half_width: f64,
    /// Time for the rounds of one start of one series.
    pub budget: Nanos,
}

/// Why sampling ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The interval of the median is narrow enough.
    Settled,
    /// Time or rounds are used up.
    Budget,
}

impl Stopped {
    /// Name used in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Budget => "budget",
        }
    }
}

impl Stop {
    /// The rule for a start that took each contender so long to prepare, the mean of a group's: its budget is at least
    /// [`Pace::OF_PREPARATION`] of that. A training step of three seconds, a minute after it was asked for,
    /// would have a single sample otherwise, and a run of five visits could not tell such steps apart.
    pub fn after(self, preparation: Nanos) -> Self {
        let budget = self.budget.0.max(Pace::OF_PREPARATION * preparation.0);
        Self { budget: Nanos(budget), ..self }
    }

    /// Whether these samples of one start are enough after `spent`; none if another round is wanted.
    pub fn decide(&self, samples: &[f64], spent: Nanos) -> Option<Stopped> {
        // A contender so slow that a single round takes the whole budget gets that round and no other.
        let enough = samples.len() >= self.min_rounds || spent.0 >= 2.0 * self.budget.0;
        if samples.is_empty() || !enough {
            return None;
        }
        if half_width(samples).is_some_and(|width| width <= self.half_width) {
            return Some(Stopped::Settled);
        }
        let used_up = spent.0 >= self.budget.0 || samples.len() >= self.max_rounds;
        used_up.then_some(Stopped::Budget)
    }
}

/// Half of the 95 % interval of the median over the median; none for fewer samples than it takes (6).
///
/// The interval lies between two order statistics, so no shape of the distribution is assumed:
/// P(x_(l) < median < x_(n+1-l)) = 1 - 2 P(Bin(n, 1/2) < l) (David and Nagaraja, "Order Statistics", §7.1).
pub fn half_width(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let rank = lower_rank(n)?;
    let centre = median(&sorted)?;
    let width = (sorted[n - rank] - sorted[rank - 1]) / 2.0 / centre;
    width.is_finite().then_some(width)
}

/// The largest rank l, from 1, with 2 P(Bin(n, 1/2) < l) <= 5 %; none if even the extremes cover less.
fn lower_rank(n: usize) -> Option<usize> {
    let mut term = 0.5f64.powi(i32::try_from(n).ok()?);
    let mut below = term;
    let mut rank = 0;
    while 2.0 * below <= OUTSIDE && rank < n / 2 {
        rank += 1;
        term *= (n - rank + 1) as f64 / rank as f64;
        below += term;
    }
    (rank > 0).then_some(rank)
}

/// Middle of sorted numbers, or the mean of the middle two; none of nothing.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let n = sorted.len();
    let upper = sorted.get(n / 2)?;
    Some(if n % 2 == 1 { *upper } else { (sorted[n / 2 - 1] + upper) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: Stop = Stop { min_rounds: 6, max_rounds: 20, half_width: 0.01, budget: Nanos(1000.0) };

    #[test]
    fn ranks_are_those_of_the_published_table() {
        // Two-sided 95 % intervals of a median: n and the rank of the lower end.
        for (n, rank) in [(5, None), (6, Some(1)), (8, Some(1)), (9, Some(2)), (12, Some(3)), (20, Some(6))] {
            assert_eq!(lower_rank(n), rank, "{n}");
        }
    }

    #[test]
    fn what_took_long_to_prepare_is_sampled_for_longer() {
        for (preparation, budget) in [(0.0, 1000.0), (8000.0, 1000.0), (16000.0, 2000.0)] {
            assert_eq!(STOP.after(Nanos(preparation)), Stop { budget: Nanos(budget), ..STOP });
        }
    }

    #[test]
    fn many_samples_neither_overflow_nor_widen() {
        let samples: Vec<f64> = (0..900).map(|i| 100.0 + f64::from(i % 10)).collect();
        assert!(half_width(&samples).unwrap() < 0.01);
    }

    #[test]
    fn it_ends_for_the_reason_it_says() {
        let steady = [100.0; 6];
        let wild = [100.0, 150.0, 80.0, 200.0, 90.0, 120.0];
        let nan = [f64::NAN; 6];
        for (samples, spent, want) in [
            (&steady[..], 10.0, Some(Stopped::Settled)),
            (&steady[..5], 10.0, None),
            (&steady[..5], 1500.0, None),
            (&steady[..1], 2000.0, Some(Stopped::Budget)),
            (&wild[..], 10.0, None),
            (&wild[..], 1000.0, Some(Stopped::Budget)),
            (&nan[..], 10.0, None),
            (&[], 9999.0, None),
        ] {
            assert_eq!(STOP.decide(samples, Nanos(spent)), want, "{samples:?} after {spent}");
        }
        assert_eq!(STOP.decide(&wild.repeat(4), Nanos(10.0)), Some(Stopped::Budget));
    }
}
