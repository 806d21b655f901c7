//! A cell's time with its interval.
//!
//! The unit of replication is a start: samples of one process share where its pages and threads were
//! placed, so they repeat each other and more of them do not make the answer surer. Each start gives one
//! centre (the median of the logarithms of its samples), and the interval is Student's over those
//! centres. A percentile bootstrap of three starts is not used: it covers the truth about 75 % of the
//! time where 95 % is asked.

use super::noise::{Prior, Variance};
use super::student;
use crate::record::Series;
use serde::Serialize;
use std::collections::BTreeMap;

/// Share of repeated experiments whose interval misses the truth.
pub const ALPHA: f64 = 0.05;

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

    pub(super) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// Variance of one start's centre.
    pub(super) fn variance(&self) -> Variance {
        let mean = self.mean();
        let df = self.0.len() as f64 - 1.0;
        let sum: f64 = self.0.iter().map(|centre| (centre - mean).powi(2)).sum();
        Variance { value: if df > 0.0 { sum / df } else { 0.0 }, df }
    }

    /// The interval of the mean, back on the quantity's own scale.
    pub(super) fn interval(&self, prior: &Prior) -> Interval {
        let variance = prior.shrink(self.variance());
        let error = (variance.value / self.0.len() as f64).sqrt();
        interval(self.mean(), error, variance.df, ALPHA)
    }
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
    fn intervals_of_three_starts_cover_the_truth_as_often_as_they_say() {
        let mut draw = Draw::new(1);
        let cells: Vec<Centres> =
            (0..2000).map(|_| Centres((0..3).map(|_| 0.01 * draw.normal()).collect())).collect();
        let variances: Vec<Variance> = cells.iter().map(Centres::variance).collect();
        for prior in [Prior::default(), Prior::fit(&variances)] {
            let covers = |cell: &&Centres| {
                let interval = cell.interval(&prior);
                interval.low <= 1.0 && interval.high >= 1.0
            };
            let covered = cells.iter().filter(covers).count() as f64 / cells.len() as f64;
            // Four standard errors of 2,000 coin throws at 95 %.
            assert!((covered - 0.95).abs() < 0.02, "{covered} with {prior:?}");
        }
    }
}
