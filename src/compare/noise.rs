//! How much starts differ, learnt from all cells of a run together.
//!
//! Three starts say little about their own spread: with two degrees of freedom a 95 % interval is 4.3
//! standard errors wide. But the cells of a run share a machine, so their variances are drawn from one
//! distribution, taken as scaled inverse chi-squared with `df` degrees of freedom about `variance`
//! (Smyth, "Linear models and empirical Bayes methods", 2004, §6). Each cell's own variance is shrunk
//! towards it, and its t distribution gains `df` degrees of freedom. Where cells differ much, the fitted
//! `df` is small and little is shrunk.
//!
//! A cell whose variance is no draw from that distribution keeps its own: one that is quick in some starts
//! and slow in others, by where its pages lie. Pulled down towards the prior, such cells alone would make
//! most of the differences that are called (the "hypervariable" cases of Phipson et al., "Robust
//! hyperparameter estimation", Annals of Applied Statistics 10, 2016, §1).

use super::student;
use std::collections::BTreeMap;

/// Variances below this are taken for this: nobody asks about differences of 0.01 %.
const SMALLEST: f64 = 1e-8;

/// A variance that is so large by chance in fewer than this share of cells is not shrunk.
const IMPLAUSIBLE: f64 = 0.01;

/// Fewest cells that a distribution is fitted to.
const FEWEST: usize = 3;

/// A variance and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variance {
    /// Of the logarithm of a time or of a ratio.
    pub value: f64,
    /// Degrees of freedom.
    pub df: f64,
}

/// What all cells together say about the variance of one start; nothing by default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior(Variance);

impl Default for Prior {
    fn default() -> Self {
        Self(Variance { value: 0.0, df: 0.0 })
    }
}

impl Prior {
    /// Fits a prior to the variances of cells, by the mean and variance of their logarithms.
    pub fn fit(cells: &[Variance]) -> Self {
        let cells: Vec<(&str, Variance)> = cells.iter().map(|cell| ("", *cell)).collect();
        Self::fit_families(&cells).remove("").unwrap_or_default()
    }

    /// Fits one prior a family of cells: families differ in their noise as far as their means of
    /// logarithms differ by more than chance, and share how much cells of a family differ. Cells that are no
    /// draw from the prior do not make it: it is fitted once more without them.
    pub fn fit_families<'a>(cells: &[(&'a str, Variance)]) -> BTreeMap<&'a str, Self> {
        let mut known: Vec<(&'a str, Variance)> =
            cells.iter().copied().filter(|(_, cell)| cell.df > 0.0).collect();
        let priors = Self::fit_all(&known);
        known.retain(|(family, cell)| priors.get(family).is_none_or(|prior| prior.is_plausible(*cell)));
        let mut fitted = Self::fit_all(&known);
        for (family, prior) in priors {
            fitted.entry(family).or_insert(prior);
        }
        fitted
    }

    fn fit_all<'a>(known: &[(&'a str, Variance)]) -> BTreeMap<&'a str, Self> {
        if known.len() < FEWEST {
            return BTreeMap::new();
        }
        // The logarithm of a chi-squared variable over its d degrees of freedom has mean
        // digamma(d/2) - ln(d/2) and variance trigamma(d/2).
        let mut logs: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (family, cell) in known {
            let log = cell.value.max(SMALLEST).ln() - student::digamma(cell.df / 2.0) + (cell.df / 2.0).ln();
            logs.entry(family).or_default().push(log);
        }
        let chance = known.iter().map(|(_, cell)| student::trigamma(cell.df / 2.0)).sum::<f64>();
        let all: f64 = known.iter().map(|(_, cell)| cell.df).sum();
        let (means, spread) = shrunken_means(&logs);
        let excess = spread - chance / known.len() as f64;
        // A prior is not known better than the cells that it was fitted to.
        let df = if excess > 0.0 { (2.0 * student::inverse_trigamma(excess)).min(all) } else { all };
        let value = |mean: f64| (mean + student::digamma(df / 2.0) - (df / 2.0).ln()).exp();
        means.into_iter().map(|(family, mean)| (family, Self(Variance { value: value(mean), df }))).collect()
    }

    /// Whether cells of this prior have variances as large as `own` often enough, by the F distribution.
    fn is_plausible(&self, own: Variance) -> bool {
        let known = own.df > 0.0 && self.0.df > 0.0 && self.0.value > 0.0;
        !known || student::f_tail(own.value / self.0.value, own.df, self.0.df) >= IMPLAUSIBLE
    }

    /// A cell's own variance, shrunk towards the prior unless it is implausibly large for that.
    pub fn shrink(&self, own: Variance) -> Variance {
        let df = self.0.df + own.df;
        if df <= 0.0 || !self.is_plausible(own) {
            return own;
        }
        let value = (self.0.df * self.0.value + own.df * own.value.max(SMALLEST)) / df;
        Variance { value, df }
    }
}

/// Mean of each family, shrunk towards that of all as far as chance explains the distance; and the variance
/// about these means.
fn shrunken_means<'a>(families: &BTreeMap<&'a str, Vec<f64>>) -> (BTreeMap<&'a str, f64>, f64) {
    let count = families.values().map(Vec::len).sum::<usize>() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let about =
        |values: &[f64], centre: f64| values.iter().map(|value| (value - centre).powi(2)).sum::<f64>();
    let grand = families.values().flatten().sum::<f64>() / count;
    let means: Vec<f64> = families.values().map(|values| mean(values)).collect();
    let within = families.values().zip(&means).map(|(values, &mean)| about(values, mean)).sum::<f64>();
    let free = count - families.len() as f64;
    // A single cell a family does not tell cells apart from families: then they count as one family.
    let within = if free > 0.0 { within / free } else { f64::INFINITY };
    let chance = |values: &[f64]| within / values.len() as f64;
    let between =
        means.iter().map(|m| (m - grand).powi(2)).sum::<f64>() / (families.len() as f64 - 1.0).max(1.0);
    let expected = families.values().map(|values| chance(values)).sum::<f64>() / families.len() as f64;
    let apart = (between - expected).max(0.0);
    let shrunk: BTreeMap<&str, f64> = families
        .iter()
        .zip(&means)
        .map(|((family, values), mean)| {
            let weight = if apart > 0.0 { apart / (apart + chance(values)) } else { 0.0 };
            (*family, grand + weight * (mean - grand))
        })
        .collect();
    let left = families.iter().map(|(family, values)| about(values, shrunk[family])).sum::<f64>();
    (shrunk, left / (count - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::simulate::Draw;

    /// Variances on 2 degrees of freedom whose true standard deviations are `sd(cell)`.
    fn cells(count: usize, mut sd: impl FnMut(&mut Draw) -> f64) -> Vec<Variance> {
        let mut draw = Draw::new(5);
        (0..count)
            .map(|_| {
                let sd = sd(&mut draw);
                let starts: Vec<f64> = (0..3).map(|_| sd * draw.normal()).collect();
                let mean = starts.iter().sum::<f64>() / 3.0;
                let sum: f64 = starts.iter().map(|start| (start - mean).powi(2)).sum();
                Variance { value: sum / 2.0, df: 2.0 }
            })
            .collect()
    }

    #[test]
    fn cells_of_one_noise_level_share_it() {
        let prior = Prior::fit(&cells(200, |_| 0.01));
        assert!((prior.0.value.sqrt() / 0.01 - 1.0).abs() < 0.15, "{prior:?}");
        assert!(prior.0.df > 20.0, "{prior:?}");
    }

    #[test]
    fn cells_of_many_noise_levels_are_shrunk_little() {
        let prior = Prior::fit(&cells(200, |draw| 0.01 * draw.normal().exp()));
        assert!(prior.0.df < 4.0, "{prior:?}");
    }

    #[test]
    fn a_variance_that_is_no_draw_is_kept() {
        let mut variances = cells(200, |_| 0.01);
        let odd = Variance { value: 0.04, df: 2.0 };
        variances.iter_mut().step_by(20).for_each(|cell| *cell = odd);
        let prior = Prior::fit(&variances);
        // Ten odd cells do not hide each other by widening the prior.
        assert!((prior.0.value.sqrt() / 0.01 - 1.0).abs() < 0.15 && prior.0.df > 10.0, "{prior:?}");
        assert_eq!(prior.shrink(odd), odd);
        let kept = variances.iter().filter(|own| prior.shrink(**own) == **own).count();
        assert!((10..20).contains(&kept), "{kept}");
        let alone = Variance { value: 0.0, df: 0.0 };
        assert!(prior.shrink(alone).df > 0.0);
    }

    #[test]
    fn too_few_cells_teach_nothing() {
        let own = Variance { value: 1e-4, df: 2.0 };
        assert_eq!(Prior::fit(&[own, own]).shrink(own), own);
        assert_eq!(Prior::fit(&[Variance { value: 1.0, df: 0.0 }; 9]), Prior::default());
    }

    #[test]
    fn cells_without_any_spread_are_no_fault() {
        let prior = Prior::fit(&[Variance { value: 0.0, df: 2.0 }; 5]);
        let shrunk = prior.shrink(Variance { value: 0.0, df: 2.0 });
        assert!(shrunk.value > 0.0 && shrunk.value < 1e-6 && shrunk.df >= 2.0);
    }
}
