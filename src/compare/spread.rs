//! What the starts of a run cannot show: how far a cell's time moves from one run to the next.
//!
//! All starts of a cell are measured within seconds or minutes, so what lasts longer looks like a change. It
//! is seen in the differences between the runs themselves: most cells of a library move alike, by
//! nothing or by what one change did to all of them, so what remains between cells of one library is
//! noise. Its variance comes from the first quartile of all distances between such cells (as in Rousseeuw
//! and Croux' Q_n, 1993), because a quartile of pairs still describes the noise when half of the cells
//! really changed.

use super::noise::Variance;
use super::student;
use std::collections::BTreeMap;

/// A difference with its family, its value and its variance as far as the starts show it.
pub(super) struct Seen<'a> {
    pub(super) family: &'a str,
    pub(super) group: usize,
    pub(super) value: f64,
    pub(super) variance: f64,
}

/// Fewer distances than this say nothing.
const FEWEST: usize = 10;

/// Distances taken from each cell: enough to be sure, and few enough for 10^4 cells.
const NEIGHBOURS: usize = 100;

/// P(|Z| < QUARTILE) = 1/4 for a standard normal Z.
const QUARTILE: f64 = 0.318_639_4;

/// Distances over this many robust standard deviations are taken for changes, not noise.
const CUT: f64 = 2.0;

/// Degrees of freedom of a cell's own move between runs. Moves are not normal: most cells hardly move, and
/// some that hang on where their pages lie move by a quarter. Four is what robust fits assume where the
/// tails are not known (Lange, Little and Taylor, "Robust statistical modeling using the t distribution",
/// 1989).
const TAIL: f64 = 4.0;

/// Mean square of a standard normal variable given that it is within ±[`CUT`]: 1 - 2 c φ(c) / (2 Φ(c) - 1).
const CUT_SQUARE: f64 = 0.773_74;

/// Variance that must be added to each difference for the distances within families to be as they are.
pub(super) fn excess(seen: &[Seen]) -> Variance {
    let mut distances = distances(seen);
    if distances.len() < FEWEST {
        return Variance { value: 0.0, df: f64::INFINITY };
    }
    let rough = smallest(|extra| share_below(&distances, extra) >= 0.25);
    let scale = |extra: f64, variance: f64| (variance + 2.0 * extra).sqrt();
    distances.retain(|(distance, variance)| distance.abs() <= CUT * scale(rough, *variance));
    let square = |extra: f64| {
        let squares =
            distances.iter().map(|(distance, variance)| distance * distance / (variance + 2.0 * extra));
        squares.sum::<f64>() / distances.len() as f64
    };
    let value = smallest(|extra| square(extra) <= CUT_SQUARE);
    // Distances overlap: about as many are independent as there are cells.
    Variance { value, df: (seen.len() as f64 - 1.0).clamp(2.0, TAIL) }
}

/// Differences of values of one family, with the variance that the starts explain.
fn distances(seen: &[Seen]) -> Vec<(f64, f64)> {
    let mut families: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for one in seen {
        families.entry(one.family).or_default().push(one);
    }
    let mut distances = Vec::new();
    for family in families.values() {
        for (number, first) in family.iter().enumerate() {
            // Cells of one group share what happened to it, and would seem surer than they are.
            let elsewhere = family[number + 1..].iter().filter(|other| other.group != first.group);
            let others = elsewhere.take(NEIGHBOURS);
            distances.extend(others.map(|o| (first.value - o.value, first.variance + o.variance)));
        }
    }
    distances
}

/// The smallest variance that is enough, to 1 in 10^9.
fn smallest(enough: impl Fn(f64) -> bool) -> f64 {
    if enough(0.0) {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1e-8);
    while !enough(high) && high < 1e4 {
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..30 {
        let middle = (low + high) / 2.0;
        if enough(middle) { high = middle } else { low = middle }
    }
    high
}

/// Share of distances within the normal quartile when each difference has `extra` more variance.
fn share_below(distances: &[(f64, f64)], extra: f64) -> f64 {
    let near =
        |(distance, variance): &&(f64, f64)| distance.abs() <= QUARTILE * (variance + 2.0 * extra).sqrt();
    distances.iter().filter(near).count() as f64 / distances.len() as f64
}

/// P-value of the hypothesis that a difference seen on one side of zero lies within `margin`: one-sided,
/// since the hypothesis is least favourable at the margin that was passed.
pub(super) fn p_value(difference: f64, error: f64, df: f64, margin: f64) -> f64 {
    match df > 0.0 && error > 0.0 {
        true => student::tail((difference.abs() - margin) / error, df),
        false => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::simulate::Draw;

    /// Forty cells of two families with noise 0.7 %, of which 0.4 % show in the starts; every second cell
    /// of the first family is off by `change`.
    fn seen(change: f64, seed: u64) -> Vec<Seen<'static>> {
        let mut draw = Draw::new(seed);
        let value = |n: usize, draw: &mut Draw| {
            0.007 * draw.normal() + if n.is_multiple_of(4) { change } else { 0.0 }
        };
        (0..40)
            .map(|n| Seen {
                family: ["a", "b"][n % 2],
                group: n / 2,
                value: value(n, &mut draw),
                variance: 1.6e-5,
            })
            .collect()
    }

    #[test]
    fn what_starts_do_not_explain_is_found_even_if_half_of_a_family_changed() {
        for (change, most) in [(0.0, 1.15), (0.05, 1.7), (-0.3, 1.7)] {
            let values: Vec<f64> = (0..50).map(|seed| excess(&seen(change, seed)).value).collect();
            let mean = values.iter().sum::<f64>() / 50.0;
            let truth = 4.9e-5 - 1.6e-5;
            assert!((0.8..most).contains(&(mean / truth)), "{change}: {}", mean / truth);
        }
    }

    #[test]
    fn cells_of_one_group_that_move_together_do_not_hide_the_excess() {
        // Each difference four times over, as of four series of one process.
        let mean = |copies: usize| {
            let one = |seed| {
                let cells: Vec<Seen> =
                    seen(0.0, seed).iter().flat_map(|cell| (0..copies).map(|_| Seen { ..*cell })).collect();
                excess(&cells).value
            };
            (0..50).map(one).sum::<f64>() / 50.0
        };
        assert!((mean(4) / mean(1) - 1.0).abs() < 0.1, "{} {}", mean(4), mean(1));
    }

    #[test]
    fn no_excess_is_seen_where_starts_explain_all_or_cells_are_few() {
        let explained = |seed| {
            let cells = seen(0.0, seed).into_iter().map(|cell| Seen { variance: 1e-4, ..cell });
            excess(&cells.collect::<Vec<_>>()).value
        };
        assert!((0..20).all(|seed| explained(seed) == 0.0));
        assert_eq!(excess(&seen(0.0, 1)[..4]).value, 0.0);
        assert_eq!(excess(&[]).value, 0.0);
    }

    #[test]
    fn the_p_value_is_a_half_at_the_margin_and_falls_beyond_it() {
        assert_eq!(p_value(-0.02, 0.01, 9.0, 0.02), 0.5);
        assert!((p_value(0.04, 0.01, 1e9, 0.02) - 0.022_75).abs() < 1e-4);
        assert!(p_value(0.0, 0.01, 9.0, 0.02) > 0.9);
        assert_eq!((p_value(1.0, 0.0, 9.0, 0.02), p_value(1.0, 0.01, 0.0, 0.02)), (1.0, 1.0));
    }
}
