//! The A/A floor: how far two copies of the same contender seem to differ, measured in the run itself.

use super::between::centre;
use super::estimate::quantile;
use super::within::{paired, series_of};
use crate::plan::Contender;
use crate::record::{Record, Series};
use crate::suite::Load;
use serde::Serialize;
use std::collections::BTreeMap;

/// Smallest difference that is ever called one.
pub const LEAST_MARGIN: f64 = 0.02;

/// Pairs from which their own 95th percentile is used; fewer are described by a normal distribution.
const MANY: usize = 20;

/// What twins say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Floor {
    /// 95 % of pairs of identical contenders differ by less than this share; 0 without pairs.
    pub value: f64,
    /// Pairs of twins.
    pub pairs: usize,
}

impl Floor {
    /// What a difference must exceed: the floor, and at least 2 %.
    pub fn margin(&self) -> f64 {
        self.value.max(LEAST_MARGIN)
    }
}

/// The floor of these records, of one or more runs: burst series of each contender against its twin's of
/// the same session.
pub fn floor<'a>(records: impl IntoIterator<Item = &'a Record>) -> Floor {
    of_twins(records, |first, twin| Some(centre(twin)?.value - centre(first)?.value))
}

/// The floor of comparisons within a run, whose rounds are paired.
pub(super) fn floor_paired<'a>(records: impl IntoIterator<Item = &'a Record>) -> Floor {
    of_twins(records, |first, twin| Some(paired(first, twin)?.mean()))
}

fn of_twins<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    difference: impl Fn(&Series, &Series) -> Option<f64>,
) -> Floor {
    let mut cells: BTreeMap<(&str, &str, Contender), [Option<&Record>; 2]> = BTreeMap::new();
    for record in records {
        let plain = Contender { twin: false, ..record.contender.clone() };
        let sides = cells.entry((&record.group, &record.started, plain)).or_default();
        sides[usize::from(record.contender.twin)].get_or_insert(record);
    }
    let mut differences: Vec<f64> = cells
        .into_values()
        .filter_map(|[first, twin]| {
            let (first, twin) = (first?, twin?);
            let burst = first.series.iter().filter(|series| series.kind.load == Load::Burst);
            let both = burst.filter_map(|series| difference(series, series_of(twin, series.kind)?));
            Some(both.collect::<Vec<f64>>())
        })
        .flatten()
        .map(f64::abs)
        .collect();
    differences.sort_by(f64::total_cmp);
    Floor { value: bound(&differences).exp_m1(), pairs: differences.len() }
}

/// What 95 % of absolute differences, sorted, stay under.
fn bound(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => 0.0,
        MANY.. => quantile(sorted, 0.95),
        // 95 % of a normal distribution lie within 1.96 standard deviations.
        count => 1.96 * (sorted.iter().map(|d| d * d).sum::<f64>() / count as f64).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::example;

    fn pair(group: usize, ratio: f64) -> [Record; 2] {
        let mut first = example::measured();
        first.group = format!("g{group}");
        let mut twin = first.clone();
        twin.contender.twin = true;
        twin.series[0].ns.iter_mut().for_each(|ns| *ns *= ratio);
        [first, twin]
    }

    #[test]
    fn the_floor_is_what_nearly_all_twins_stay_under() {
        let many: Vec<Record> = (0..21).flat_map(|group| pair(group, 1.0 + 0.001 * group as f64)).collect();
        let Floor { value, pairs } = floor(&many);
        assert_eq!(pairs, 21);
        assert!((value - 0.019).abs() < 1e-6, "{value}");

        let few: Vec<Record> = (0..4).flat_map(|group| pair(group, 1.03)).collect();
        assert!((floor(&few).value - (1.96 * 1.03f64.ln()).exp_m1()).abs() < 1e-9);
    }

    #[test]
    fn without_twins_there_is_no_floor_and_the_margin_is_two_percent() {
        let alone = floor(&[example::measured()]);
        assert_eq!((alone, alone.margin()), (Floor { value: 0.0, pairs: 0 }, 0.02));
    }
}
