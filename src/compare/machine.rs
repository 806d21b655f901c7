//! How much the machine itself changed, by the probes that ran beside the samples.
//!
//! A shared machine gives more at one moment than at another, and all cells bound by the same resource
//! move with it. The probe of that resource shows by how much: a time is corrected as `log time + log
//! rate`, in other words compared in work of the probe instead of in seconds. Three levels are told apart,
//! because their errors differ:
//! - the *run*: the median change over groups is known well, since every group has its probe; it is taken
//!   in full, less what its own error could have made (positive-part shrinkage);
//! - the *group*: what one group's probe saw beyond that may be the probe's own noise, so it counts by the
//!   share in 0..1 with which it predicts the cells' own differences;
//! - the *round*: likewise, by the share with which the probes of a round predict how a cell's samples
//!   differ within a run.
//!
//! Both shares are regressions over all cells with the same probe and number of threads, with a normal
//! prior about one half: where probes say nothing, times stay as they were.

use super::between::{Moment, Pair, Sample, Side};
use super::estimate::median;
use super::noise::Variance;
use crate::measure::protocol::ProbeKind;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a probe said about the machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shift {
    /// Which probe.
    pub probe: ProbeKind,
    /// Threads that it used.
    pub threads: usize,
    /// Groups that it ran beside.
    pub groups: usize,
    /// Its rate in the second run over that in the first.
    pub rate: f64,
    /// What times were multiplied by on its account; 1 where its change is within its own error.
    pub corrected: f64,
    /// Share of a single group's deviation that is believed.
    pub believed_groups: f64,
    /// Share of a single round's deviation that is believed.
    pub believed_rounds: f64,
}

/// Corrects the times of all pairs in place; says how, and returns for each pair the variance of what it
/// shares with all others of its probe because of that.
pub(super) fn correct(pairs: &mut [Pair]) -> (Vec<Shift>, Vec<Variance>) {
    let mut errors = vec![Variance { value: 0.0, df: f64::INFINITY }; pairs.len()];
    let mut classes: BTreeMap<(ProbeKind, usize), Vec<(usize, &mut Pair)>> = BTreeMap::new();
    for (number, pair) in pairs.iter_mut().enumerate() {
        if let Some(probe) = pair.probe {
            classes.entry((probe, pair.id.contender.lane.threads)).or_default().push((number, pair));
        }
    }
    let mut shifts = Vec::new();
    for ((probe, threads), members) in classes {
        let (numbers, mut class): (Vec<usize>, Vec<&mut Pair>) = members.into_iter().unzip();
        let believed_rounds = rounds(&mut class);
        let level = Level::of(&class);
        level.apply(&mut class);
        numbers.into_iter().for_each(|number| errors[number] = level.error);
        shifts.push(Shift {
            probe,
            threads,
            groups: level.groups.len(),
            rate: level.centre.exp(),
            corrected: level.run().exp(),
            believed_groups: level.believed,
            believed_rounds,
        });
    }
    (shifts, errors)
}

/// A step of the machine's speed and how a cell's time moved with it.
type Point = (f64, f64);

/// Slope of times over slowness between 0 and 1, with a normal prior about one half.
fn believed(points: &[Point]) -> f64 {
    const PRIOR: f64 = 0.5;
    const PRECISION: f64 = 4.0;
    // 1.4826 median deviations are a standard deviation.
    let spread = 1.4826 * median(points.iter().map(|(_, y)| y.abs()).collect());
    let noise = (spread * spread).max(1e-8);
    let products: f64 = points.iter().map(|(x, y)| x * y).sum();
    let squares: f64 = points.iter().map(|(x, _)| x * x).sum();
    ((products / noise + PRIOR * PRECISION) / (squares / noise + PRECISION)).clamp(0.0, 1.0)
}

/// The points less their mean.
fn centred(points: Vec<Point>) -> impl Iterator<Item = Point> {
    let count = points.len() as f64;
    let mean = |part: fn(&Point) -> f64| points.iter().map(part).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    points.into_iter().map(move |point| (point.0 - x, point.1 - y))
}

/// Removes from each sample what the probes of its round saw beyond the median of its cell's run; returns
/// the believed share.
fn rounds(class: &mut [&mut Pair]) -> f64 {
    let mut seen: BTreeMap<(usize, usize, Moment), Vec<f64>> = BTreeMap::new();
    each(class, |group, number, side| {
        let centre = side.rate();
        for sample in &side.samples {
            let deviation = sample.rate.map_or(0.0, |rate| rate - centre);
            seen.entry((group, number, sample.moment)).or_default().push(deviation);
        }
    });
    let seen: BTreeMap<_, f64> = seen.into_iter().map(|(at, all)| (at, median(all))).collect();
    let mut points = Vec::new();
    each(class, |group, number, side| {
        // A faster probe comes with a shorter time.
        let point = |sample: &Sample| (-seen[&(group, number, sample.moment)], sample.time);
        points.extend(centred(side.samples.iter().map(point).collect()));
    });
    let believed = believed(&points);
    each(class, |group, number, side| {
        for sample in &mut side.samples {
            sample.time += believed * seen[&(group, number, sample.moment)];
        }
    });
    believed
}

/// Calls `act` with the group and the number of each side.
fn each(class: &mut [&mut Pair], mut act: impl FnMut(usize, usize, &mut Side)) {
    for pair in class.iter_mut() {
        let group = pair.group;
        pair.sides.iter_mut().enumerate().for_each(|(number, side)| act(group, number, side));
    }
}

/// The changes between the runs that one class of probes saw.
struct Level {
    /// Median change by group.
    groups: BTreeMap<usize, f64>,
    /// Median over groups.
    centre: f64,
    /// Share of a group's deviation from it that is believed.
    believed: f64,
    /// Variance of the centre.
    error: Variance,
}

impl Level {
    fn of(class: &[&mut Pair]) -> Self {
        let mut changes: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for pair in class {
            changes.entry(pair.group).or_default().push(pair.rate_change());
        }
        let groups: BTreeMap<usize, f64> =
            changes.into_iter().map(|(group, changes)| (group, median(changes))).collect();
        let centre = median(groups.values().copied().collect());
        let count = groups.len() as f64;
        let spread = 1.4826 * median(groups.values().map(|change| (change - centre).abs()).collect());
        let believed = believed(&Self::points(&groups, class));
        // What is not believed is the probes' own error. A median's variance is π/2 of a mean's.
        let value = (1.0 - believed) * std::f64::consts::FRAC_PI_2 * spread * spread / count;
        Self { groups, centre, believed, error: Variance { value, df: count.max(2.0) } }
    }

    /// Slowness of each pair's group and difference of the pair, both less the family's mean.
    fn points(groups: &BTreeMap<usize, f64>, class: &[&mut Pair]) -> Vec<Point> {
        let mut families: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
        for pair in class {
            let point = (-groups[&pair.group], pair.difference().value);
            families.entry(pair.family()).or_default().push(point);
        }
        families.into_values().flat_map(centred).collect()
    }

    /// The run's change, less what its own error could have made.
    fn run(&self) -> f64 {
        let surplus = 1.0 - self.error.value / (self.centre * self.centre).max(f64::MIN_POSITIVE);
        self.centre * surplus.max(0.0)
    }

    /// Corrects the second side of each pair.
    fn apply(&self, class: &mut [&mut Pair]) {
        let run = self.run();
        for pair in class.iter_mut() {
            let change = run + self.believed * (self.groups[&pair.group] - self.centre);
            pair.sides[1].samples.iter_mut().for_each(|sample| sample.time += change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::between::sides;
    use crate::compare::simulate::{TYPICAL, World};

    const STILL: World =
        World { start: 0.001, round: 0.002, outliers: 0.0, drift: 0.0, run: 0.0, hidden: 0.0, ..TYPICAL };

    /// Differences before and after the correction, and what was said, for two runs of `world`; the second
    /// one's probes run at `rate` times their speed.
    fn corrected(world: &World, rate: f64) -> (Vec<f64>, Vec<f64>, Vec<Shift>) {
        let (a, mut b) = (world.run(1, |_, _| 1.0), world.run(2, |_, _| 1.0));
        for series in b.records.iter_mut().flat_map(|record| &mut record.series) {
            series.probe_rate.iter_mut().for_each(|r| *r *= rate);
        }
        let (first, second) = (sides(&a.records, |_| true), sides(&b.records, |_| true));
        let group = |id: &str| id.rsplit('=').next().unwrap().parse::<usize>().unwrap();
        let mut pairs: Vec<Pair> =
            first.iter().map(|(id, side)| Pair::new(id, group(&id.group), [side, &second[id]])).collect();
        let values = |pairs: &[Pair]| pairs.iter().map(|pair| pair.difference().value).collect();
        let before = values(&pairs);
        let (shifts, errors) = correct(&mut pairs);
        assert_eq!(errors.len(), pairs.len());
        (before, values(&pairs), shifts)
    }

    fn size(differences: &[f64]) -> f64 {
        (differences.iter().map(|d| d * d).sum::<f64>() / differences.len() as f64).sqrt()
    }

    #[test]
    fn a_machine_at_another_speed_is_seen_through() {
        for world in [World { run: 0.1, ..STILL }, World { drift: 0.03, ..STILL }] {
            let (before, after, shifts) = corrected(&world, 1.0);
            assert!(size(&before) > 0.02 && size(&after) < 0.006, "{} {}", size(&before), size(&after));
            assert!(shifts[0].believed_rounds > 0.5 || world.drift == 0.0, "{shifts:?}");
        }
    }

    #[test]
    fn probes_that_only_make_noise_are_not_believed() {
        let (before, after, shifts) = corrected(&World { prober: 0.05, ..STILL }, 1.0);
        assert!(shifts[0].believed_groups < 0.2, "{shifts:?}");
        assert!(size(&after) < size(&before) + 0.02, "{} {}", size(&before), size(&after));
    }

    #[test]
    fn a_clear_change_of_the_probe_is_taken_in_full_and_an_unclear_one_not_at_all() {
        let (_, after, shifts) = corrected(&STILL, 0.9);
        assert!((shifts[0].corrected - 0.9).abs() < 0.01 && shifts[0].groups == 10);
        assert!((after.iter().sum::<f64>() / after.len() as f64 - 0.9f64.ln()).abs() < 0.01);
        let (.., shifts) = corrected(&World { prober: 0.05, probe: 0.05, ..STILL }, 1.001);
        assert!((shifts[0].corrected - 1.0).abs() < 0.03, "{shifts:?}");
    }

    #[test]
    fn cells_without_a_probe_stay_as_they_are() {
        let run = STILL.run(1, |_, _| 1.0);
        let first = sides(&run.records, |_| true);
        let mut pairs: Vec<Pair> = first.iter().map(|(id, side)| Pair::new(id, 0, [side, side])).collect();
        pairs.iter_mut().for_each(|pair| pair.probe = None);
        let before = pairs.clone();
        let (shifts, _) = correct(&mut pairs);
        assert_eq!((pairs, shifts), (before, vec![]));
    }
}
