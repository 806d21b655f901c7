//! Where a cell's times lie, for comparing a cell with itself in another run.

use super::estimate::sample_variance;
use super::noise::{Prior, Variance};

/// Mean of the lower two thirds of some logarithms.
///
/// On a shared machine disturbances only ever add time, so both ends are not equally trustworthy. With 6
/// normal samples this is 1.08 times as noisy as the mean, with 5 % of them disturbed 1.1 to 1.2 times where
/// the median is 1.2 to 1.4 times and the mean 1.3 to 3.4. It lies below the median, which does not matter
/// between two runs of one cell, and would between two contenders.
pub(super) fn undisturbed(mut logs: Vec<f64>) -> f64 {
    logs.sort_by(f64::total_cmp);
    let kept = 2.0 / 3.0 * logs.len() as f64;
    let weight = |place: usize| (kept - place as f64).clamp(0.0, 1.0);
    logs.iter().enumerate().map(|(place, log)| weight(place) * log).sum::<f64>() / kept
}

/// Centre of a cell's starts and how well it is known.
///
/// The mean of the lower two thirds of starts (2 of 3, 3 of 4, 4 of 5), because a start whose pages or
/// threads lie badly is slow as a whole. Its variance is that of a trimmed mean, from starts whose upper end
/// is winsorised (Tukey and McLaughlin 1963).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Centre {
    pub(super) value: f64,
    /// Variance of one start.
    start: Variance,
    /// Variance of the centre over that of one start.
    weight: f64,
}

/// For 1, 2, ... normal starts: how many means of as many starts one centre is worth, and what the variance
/// from winsorised starts must be multiplied by to be right on average (200,000 random draws each).
const EFFICIENCY: [(f64, f64); 8] = [
    (1.0, 1.0),
    (1.0, 1.0),
    (0.847, 1.342),
    (0.904, 1.118),
    (0.928, 1.060),
    (0.855, 1.107),
    (0.881, 1.068),
    (0.900, 1.045),
];

impl Centre {
    /// The centre of at least one start.
    pub(super) fn of(mut starts: Vec<f64>) -> Self {
        starts.sort_by(f64::total_cmp);
        let count = starts.len();
        let kept = (2 * count).div_ceil(3);
        let (efficiency, correction) = EFFICIENCY[count.clamp(1, EFFICIENCY.len()) - 1];
        let value = starts[..kept].iter().sum::<f64>() / kept as f64;
        let highest = starts[kept - 1];
        starts[kept..].fill(highest);
        let winsorised = sample_variance(&starts);
        let weight = 1.0 / (count as f64 * efficiency);
        let own = correction * winsorised * count as f64 / (kept * kept) as f64;
        Self { value, start: Variance { value: own / weight, df: kept as f64 - 1.0 }, weight }
    }
}

/// A log difference between two runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) value: f64,
    /// Variance of one start, both sides together.
    pub(super) start: Variance,
    /// Variance of the difference over that of one start.
    weight: f64,
}

impl Change {
    /// From `a` to `b`.
    pub(super) fn of(a: &Centre, b: &Centre) -> Self {
        let df = a.start.df + b.start.df;
        let sum = a.start.value * a.start.df + b.start.value * b.start.df;
        Self {
            value: b.value - a.value,
            start: Variance { value: if df > 0.0 { sum / df } else { 0.0 }, df },
            weight: a.weight + b.weight,
        }
    }

    /// Variance of the difference, that of its starts shrunk towards those of other cells.
    pub(super) fn variance(&self, prior: &Prior) -> Variance {
        let start = prior.shrink(self.start);
        Variance { value: start.value * self.weight, df: start.df }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::simulate::Draw;

    #[test]
    fn one_slow_start_of_three_does_not_move_the_centre() {
        let centre = Centre::of(vec![1.0, 9.0, 3.0]);
        assert_eq!((centre.value, centre.start.df), (2.0, 1.0));
        assert_eq!(Centre::of(vec![5.0]).start.df, 0.0);
    }

    #[test]
    fn variances_of_centres_are_right_on_average() {
        let mut draw = Draw::new(3);
        for count in 2..12 {
            let centres: Vec<Centre> =
                (0..4000).map(|_| Centre::of((0..count).map(|_| draw.normal()).collect())).collect();
            let mean = |of: fn(&Centre) -> f64| centres.iter().map(of).sum::<f64>() / 4000.0;
            let variance = mean(|c| c.value * c.value) - mean(|c| c.value).powi(2);
            let claimed = mean(|centre| centre.start.value * centre.weight);
            assert!((claimed / variance - 1.0).abs() < 0.12, "{count} starts: {claimed} for {variance}");
        }
    }

    #[test]
    fn the_undisturbed_mean_leaves_out_the_upper_third() {
        assert_eq!(undisturbed(vec![3.0, 100.0, 1.0]), 2.0);
        assert!(
            (undisturbed(vec![4.0, 1.0, 50.0, 2.0]) - (1.0 + 2.0 + 4.0 * 2.0 / 3.0) / (8.0 / 3.0)).abs()
                < 1e-12
        );
        assert!((undisturbed(vec![7.0]) - 7.0).abs() < 1e-12);
    }
}
