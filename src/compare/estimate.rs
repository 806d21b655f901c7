//! A cell's time with its interval.
//!
//! The unit of replication is a start: samples of one process share where its pages and threads were
//! placed, so they repeat each other and more of them do not make the answer surer. Each start gives one
//! centre (the median of the logarithms of its samples), and the interval is Student's over those
//! centres. A percentile bootstrap of three starts is not used: it covers the truth about 75 % of the
//! time where 95 % is asked.
//!
//! Of five starts or more a fifth is trimmed at either end, because a neighbour can spoil a visit as a whole:
//! the mean of the rest, with the variance of the winsorised starts (Tukey and McLaughlin 1963; Yuen
//! 1974).

use super::noise::{Prior, Variance};
use super::student;
use crate::record::Series;
use serde::Serialize;
use std::collections::BTreeMap;

/// Share of repeated experiments whose interval misses the truth.
pub const ALPHA: f64 = 0.05;

/// Share of starts that is trimmed at either end.
const TRIMMED: f64 = 0.2;

/// The variance of a trimmed mean from winsorised starts is right for many of them. Times 1 + FEW_STARTS / count
/// it is right for 5 and 2 to 5 % large for 6 to 15 (400,000 random draws each).
const FEW_STARTS: f64 = 0.9;

/// A quantity above zero with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Best single value.
    pub centre: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Half the width over the centre.
    pub fn relative_half_width(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.centre
    }

    /// The interval of one over the quantity, e.g. from time to rate.
    pub fn inverse(&self) -> Self {
        Self { low: 1.0 / self.high, centre: 1.0 / self.centre, high: 1.0 / self.low }
    }

    /// The interval of the quantity times `factor` > 0.
    pub fn times(&self, factor: f64) -> Self {
        Self { low: self.low * factor, centre: self.centre * factor, high: self.high * factor }
    }
}

/// Time of one execution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Nanoseconds. A single start has no interval of its own: both ends are infinitely far (0 and
    /// infinity) unless the run's other cells say how much starts differ.
    pub ns: Interval,
    /// Starts.
    pub starts: usize,
    /// Samples.
    pub samples: usize,
    /// Samples outside Tukey's fences within their start; counted, never dropped.
    pub outliers: Outliers,
}

/// Samples outside Tukey's fences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outliers {
    /// Over 1.5 and at most 3 interquartile ranges beyond the quartiles.
    pub mild: usize,
    /// Over 3 interquartile ranges beyond the quartiles.
    pub severe: usize,
}

/// Time of one execution by this series alone; none without a positive sample.
pub fn estimate(series: &Series) -> Option<Estimate> {
    estimate_with(series, &Prior::default())
}

/// Time of one execution, its interval narrowed by what the run's other cells say about starts.
pub fn estimate_with(series: &Series, prior: &Prior) -> Option<Estimate> {
    let starts = by_start(series, |sample| series.ns[sample]);
    let centres = Centres::of(starts.values())?;
    let mut outliers = Outliers::default();
    for start in starts.values() {
        outliers.count(start);
    }
    Some(Estimate {
        ns: centres.interval(prior),
        starts: starts.len(),
        samples: starts.values().map(Vec::len).sum(),
        outliers,
    })
}

/// Logarithms of a quantity of each sample, sorted, by start. What is not above zero is left out.
pub(super) fn by_start(series: &Series, quantity: impl Fn(usize) -> f64) -> BTreeMap<u32, Vec<f64>> {
    let mut starts: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for (sample, &start) in series.start.iter().enumerate() {
        let log = quantity(sample).ln();
        if log.is_finite() {
            starts.entry(start).or_default().push(log);
        }
    }
    for logs in starts.values_mut() {
        logs.sort_by(f64::total_cmp);
    }
    starts
}

/// Centres of a cell's starts, as logarithms.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Centres(pub(super) Vec<f64>);

impl Centres {
    /// The median of each start's sorted logarithms; none without a start.
    pub(super) fn of<'a>(starts: impl IntoIterator<Item = &'a Vec<f64>>) -> Option<Self> {
        let centres: Vec<f64> = starts.into_iter().map(|start| quantile(start, 0.5)).collect();
        (!centres.is_empty()).then_some(Self(centres))
    }

    /// Trimmed mean.
    pub(super) fn mean(&self) -> f64 {
        let (sorted, trimmed) = self.sorted();
        let kept = &sorted[trimmed..sorted.len() - trimmed];
        kept.iter().sum::<f64>() / kept.len() as f64
    }

    /// The variance of the trimmed mean times the number of starts: where nothing is trimmed, the variance of
    /// one start's centre.
    pub(super) fn variance(&self) -> Variance {
        let (mut sorted, trimmed) = self.sorted();
        let (count, last) = (sorted.len(), sorted.len() - trimmed - 1);
        let (low, high) = (sorted[trimmed], sorted[last]);
        sorted[..trimmed].fill(low);
        sorted[last..].fill(high);
        let kept = 1.0 - 2.0 * trimmed as f64 / count as f64;
        let small = if trimmed > 0 { 1.0 + FEW_STARTS / count as f64 } else { 1.0 };
        Variance { value: small * sample_variance(&sorted) / (kept * kept), df: (last - trimmed) as f64 }
    }

    /// The centres in order, and how many are trimmed at either end.
    fn sorted(&self) -> (Vec<f64>, usize) {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let trimmed = (TRIMMED * sorted.len() as f64) as usize;
        (sorted, trimmed)
    }

    /// The interval of the mean, back on the quantity's own scale.
    pub(super) fn interval(&self, prior: &Prior) -> Interval {
        let variance = prior.shrink(self.variance());
        let error = (variance.value / self.0.len() as f64).sqrt();
        interval(self.mean(), error, variance.df, ALPHA)
    }
}

/// Variance of what some values were drawn from; 0 of a single one.
pub(super) fn sample_variance(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let sum: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if count > 1.0 { sum / (count - 1.0) } else { 0.0 }
}

/// exp(mean ± t error) with Student's t for `df`; (0, infinity) without a degree of freedom.
pub(super) fn interval(mean: f64, error: f64, df: f64, alpha: f64) -> Interval {
    let half = if df > 0.0 { student::critical(alpha, df) * error } else { f64::INFINITY };
    Interval { low: (mean - half).exp(), centre: mean.exp(), high: (mean + half).exp() }
}

/// Quantile of sorted values, linear between neighbours; NaN of nothing.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// Median of values in any order; NaN of nothing.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

impl Outliers {
    /// Adds one start's outliers, given its sorted samples. Fewer than four have no quartiles to speak of.
    fn count(&mut self, sorted: &[f64]) {
        if sorted.len() < 4 {
            return;
        }
        let (low, high) = (quantile(sorted, 0.25), quantile(sorted, 0.75));
        let beyond = |fences: f64| {
            let range = fences * (high - low);
            sorted.iter().filter(|&&log| log < low - range || log > high + range).count()
        };
        let severe = beyond(3.0);
        self.severe += severe;
        self.mild += beyond(1.5) - severe;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::simulate::Draw;
    use crate::record::example;

    #[test]
    fn the_centre_is_the_mean_of_medians_and_starts_set_the_width() {
        let mut series = example::series(1e6);
        series.ns = [1.0, 1.0, 1.0, 9.0, 2.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0, 4.0].to_vec();
        let estimate = estimate(&series).unwrap();
        assert!((estimate.ns.centre - 2.0).abs() < 1e-12);
        assert_eq!((estimate.starts, estimate.samples), (3, 12));
        // ln 2 between neighbouring starts, t = 4.303 on 2 degrees of freedom.
        let half = 4.302_65 * std::f64::consts::LN_2 / 3f64.sqrt();
        assert!((estimate.ns.high / (2.0 * half.exp()) - 1.0).abs() < 1e-4);
        assert_eq!(estimate.outliers, Outliers { mild: 1, severe: 0 });
    }

    #[test]
    fn one_start_has_no_interval_of_its_own() {
        let mut series = example::series(1e6);
        series.start = vec![0; 12];
        let alone = estimate(&series).unwrap().ns;
        assert_eq!((alone.low, alone.high), (0.0, f64::INFINITY));
        let prior = Prior::fit(&[Variance { value: 1e-4, df: 2.0 }; 10]);
        assert!(estimate_with(&series, &prior).unwrap().ns.relative_half_width() < 0.03);
    }

    #[test]
    fn a_series_without_time_has_no_estimate() {
        let mut series = example::series(1e6);
        series.ns = vec![0.0; 12];
        assert!(estimate(&series).is_none());
    }

    #[test]
    fn intervals_cover_the_truth_as_often_as_they_say() {
        for (starts, disturbed) in [(3, 0.0), (5, 0.0), (6, 0.0), (10, 0.0), (5, 0.3), (10, 0.3)] {
            let mut draw = Draw::new(1);
            // One cell in four has a start during which something else ran.
            let mut cell = |number: usize| {
                let mut starts: Vec<f64> = (0..starts).map(|_| 0.01 * draw.normal()).collect();
                starts[0] += if number.is_multiple_of(4) { disturbed } else { 0.0 };
                Centres(starts)
            };
            let cells: Vec<Centres> = (0..2000).map(&mut cell).collect();
            let variances: Vec<Variance> = cells.iter().map(Centres::variance).collect();
            for prior in [Prior::default(), Prior::fit(&variances)] {
                let covers = |cell: &&Centres| {
                    let interval = cell.interval(&prior);
                    interval.low <= 1.0 && interval.high >= 1.0
                };
                let covered = cells.iter().filter(covers).count() as f64 / cells.len() as f64;
                assert!((covered - 0.95).abs() < 0.02, "{starts} starts: {covered} with {prior:?}");
            }
        }
    }
}
