//! What happened to a whole group and no probe saw: its other contenders did.
//!
//! Contenders of a group take turns within fractions of a second, so a neighbour who takes the machine for
//! some seconds slows all of them, and cells of other groups hardly. For each cell the *other* libraries of
//! its group, at the same number of threads, say how far the group moved beyond what each of them did
//! elsewhere; the cell's own library has no say, so that its own change stays visible. A usual movement is
//! corrected as far as it can be told from noise. An unusual one may be a disturbance or a common cause:
//! it is not corrected but widens the interval, and the cell is CANNOT TELL rather than SLOWER.

use super::between::Pair;
use super::estimate::median;
use std::collections::BTreeMap;

/// Fewest other libraries that are believed, and fewest groups that show what a library did elsewhere.
const FEWEST: usize = 2;

/// Movements over this many robust standard deviations are unusual.
const UNUSUAL: f64 = 2.5;

/// What a cell's peers say: what to add to its log difference, and by how much that may be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Correction {
    pub(super) change: f64,
    pub(super) doubt: f64,
}

/// A correction for each pair, given their log differences.
pub(super) fn corrections(pairs: &[Pair], differences: &[f64]) -> Vec<Correction> {
    let movements = Movements::of(pairs, differences);
    let seen: Vec<Option<(f64, usize)>> = pairs.iter().map(|pair| movements.of_peers(pair)).collect();
    let known: Vec<f64> = seen.iter().flatten().map(|(movement, _)| *movement).collect();
    if known.is_empty() {
        return vec![Correction::default(); pairs.len()];
    }
    let total = 1.4826 * median(known.iter().map(|movement| movement.abs()).collect());
    let correct = |seen: &Option<(f64, usize)>| {
        let Some((movement, libraries)) = *seen else { return Correction::default() };
        // The variance of a median of `libraries` values is about π/2 of their mean's.
        let noise = movements.noise * std::f64::consts::FRAC_PI_2 / libraries as f64;
        let believed = (1.0 - noise / (total * total).max(f64::MIN_POSITIVE)).max(0.0);
        let usual = UNUSUAL * total.max(noise.sqrt());
        let change = movement.clamp(-usual, usual);
        Correction { change: -believed * change, doubt: movement - change }
    };
    seen.iter().map(correct).collect()
}

/// Contenders of a group that share its moments and its cores.
type Crowd = (usize, usize);

/// How far each library moved in each crowd beyond what it did elsewhere.
struct Movements<'a> {
    crowds: BTreeMap<Crowd, BTreeMap<&'a str, f64>>,
    /// Variance of one library's movement that is not its crowd's.
    noise: f64,
}

impl<'a> Movements<'a> {
    fn of(pairs: &'a [Pair], differences: &[f64]) -> Self {
        let mut families: BTreeMap<(&str, usize), Vec<(usize, f64)>> = BTreeMap::new();
        for (pair, &difference) in pairs.iter().zip(differences) {
            let family = (pair.family(), pair.id.contender.lane.threads);
            families.entry(family).or_default().push((pair.group, difference));
        }
        let mut crowds: BTreeMap<Crowd, BTreeMap<&str, f64>> = BTreeMap::new();
        for ((family, threads), cells) in families {
            let groups = by_group(&cells);
            if groups.len() > FEWEST {
                let elsewhere = median(groups.values().copied().collect());
                for (group, difference) in groups {
                    crowds.entry((group, threads)).or_default().insert(family, difference - elsewhere);
                }
            }
        }
        let apart = |crowd: &BTreeMap<&str, f64>| -> Vec<f64> {
            let centre = median(crowd.values().copied().collect());
            crowd.values().map(|movement| (movement - centre).abs()).collect()
        };
        let large = crowds.values().filter(|crowd| crowd.len() > FEWEST);
        let distances: Vec<f64> = large.flat_map(apart).collect();
        let spread = if distances.is_empty() { 0.0 } else { 1.4826 * median(distances) };
        Self { crowds, noise: spread * spread }
    }

    /// How far the other libraries of a pair's crowd moved, and how many they are.
    fn of_peers(&self, pair: &Pair) -> Option<(f64, usize)> {
        let crowd = self.crowds.get(&(pair.group, pair.id.contender.lane.threads))?;
        let others = crowd.iter().filter(|(family, _)| **family != pair.family());
        let movements: Vec<f64> = others.map(|(_, movement)| *movement).collect();
        (movements.len() >= FEWEST).then(|| (median(movements.clone()), movements.len()))
    }
}

/// Median difference of the cells of each group.
fn by_group(cells: &[(usize, f64)]) -> BTreeMap<usize, f64> {
    let mut groups: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for &(group, difference) in cells {
        groups.entry(group).or_default().push(difference);
    }
    groups.into_iter().map(|(group, differences)| (group, median(differences))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::between::sides;
    use crate::compare::simulate::{TYPICAL, World};

    const STILL: World =
        World { start: 0.001, round: 0.001, outliers: 0.0, drift: 0.0, hidden: 0.0, ..TYPICAL };

    /// Pairs of a run with itself, and differences that come from `factor` alone.
    fn moved(world: &World, factor: fn(usize, usize) -> f64) -> (Vec<Pair>, Vec<f64>) {
        let run = world.run(1, |_, _| 1.0);
        let sides = sides(&run.records, |_| true);
        let group = |id: &str| id.rsplit('=').next().unwrap().parse::<usize>().unwrap();
        let pairs: Vec<Pair> =
            sides.iter().map(|(id, side)| Pair::new(id, group(&id.group), [side, side])).collect();
        let library = |pair: &Pair| pair.family()["cpu/".len()..].parse().unwrap();
        let differences = pairs.iter().map(|pair| factor(pair.group, library(pair))).collect();
        (pairs, differences)
    }

    #[test]
    fn usual_movements_of_groups_are_corrected() {
        let (pairs, differences) = moved(&STILL, |group, _| if group % 2 == 0 { 0.01 } else { -0.01 });
        for (difference, correction) in differences.iter().zip(corrections(&pairs, &differences)) {
            assert!((difference + correction.change).abs() < 0.001 && correction.doubt == 0.0);
        }
    }

    #[test]
    fn an_unusual_movement_is_doubted_and_not_corrected_away() {
        let small = |group: usize, library: usize| 0.001 * ((7 * group + 3 * library) % 5) as f64;
        let (pairs, _) = moved(&STILL, |_, _| 0.0);
        let differences: Vec<f64> = pairs
            .iter()
            .map(|pair| {
                let library = pair.family()["cpu/".len()..].parse::<usize>().unwrap();
                small(pair.group, library) + if pair.group == 3 { 0.08 } else { 0.0 }
            })
            .collect();
        for (pair, correction) in pairs.iter().zip(corrections(&pairs, &differences)) {
            assert!(correction.change.abs() < 0.01);
            assert_eq!(correction.doubt > 0.06, pair.group == 3, "{:?}", pair.id);
        }
    }

    #[test]
    fn a_library_that_changed_alone_stays_visible() {
        let (pairs, differences) =
            moved(&STILL, |group, library| if library == 1 && group == 2 { 0.05 } else { 0.0 });
        for (pair, correction) in pairs.iter().zip(corrections(&pairs, &differences)) {
            assert!(correction.change.abs() < 1e-9 && correction.doubt.abs() < 1e-9, "{:?}", pair.id);
        }
    }

    #[test]
    fn two_libraries_are_no_crowd() {
        let two = World { contenders: 2, ..STILL };
        let (pairs, differences) = moved(&two, |group, _| if group == 2 { 0.05 } else { 0.0 });
        assert!(corrections(&pairs, &differences).iter().all(|c| *c == Correction::default()));
        assert_eq!(corrections(&[], &[]), vec![]);
    }
}
