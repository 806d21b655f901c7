//! Two runs, cell by cell.

use super::between::{CellId, Pair, Side, sides};
use super::call::{Call, call, holm};
use super::centre::Change;
use super::environment::same_processor;
use super::estimate::{ALPHA, Interval, interval};
use super::floor::{Floor, LEAST_MARGIN, floor};
use super::machine::{Shift, correct};
use super::noise::{Prior, Variance};
use super::peers::corrections;
use super::spread::{Seen, excess, p_value};
use super::validity::{Code, validity};
use super::within::{Noise, satterthwaite};
use crate::plan::Contender;
use crate::record::{Outcome, Record, Run};
use crate::suite::Load;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is compared and how strictly.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Differences up to this share are never called.
    pub margin: f64,
    /// Share of cells that may be CANNOT TELL before the whole comparison counts as inconclusive.
    pub max_unknown: f64,
    /// Correct by the probes, where both runs are of the same machine.
    pub probes: bool,
    /// Series that are compared; none for all.
    pub load: Option<Load>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { margin: LEAST_MARGIN, max_unknown: 0.20, probes: true, load: Some(Load::Burst) }
    }
}

/// A cell of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// Which cell.
    #[serde(flatten)]
    pub id: CellId,
    /// Time in the second run over time in the first, with its 90 % interval: each end is one of the two
    /// one-sided 5 % tests that a call consists of.
    pub ratio: Interval,
    /// The same ratio before the correction by probes.
    pub uncorrected: f64,
    /// P-value of the hypothesis that the difference lies within the margin, corrected for the number of
    /// cells (Holm).
    pub p: f64,
    /// The word.
    pub call: Call,
}

/// A cell that the first run measured and the second failed at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lost {
    /// Which cell.
    #[serde(flatten)]
    pub id: CellId,
    /// What became of it.
    pub why: String,
}

/// What comparing two runs gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Names of the runs.
    pub runs: [String; 2],
    /// The cells that both runs measured.
    pub cells: Vec<Compared>,
    /// Cells that the first run measured and the second failed at; they count as CANNOT TELL.
    pub lost: Vec<Lost>,
    /// Measured cells that only the first and only the second run has.
    pub alone: [usize; 2],
    /// How many series of each run are not VALID, by the code of the reason.
    pub doubts: [BTreeMap<Code, usize>; 2],
    /// What twins within either run differ by.
    pub floor: Floor,
    /// Differences up to this share are SAME: the larger of the policy's margin and the floor.
    pub margin: f64,
    /// Standard deviation, as a share, of a cell's time from run to run beyond what its starts show.
    pub between_runs: f64,
    /// What the probes said about the machine.
    pub machine: Vec<Shift>,
    /// Share of cells that are CANNOT TELL, lost ones included.
    pub unknown: f64,
    /// Limit of that share.
    pub max_unknown: f64,
}

/// Why two runs cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// No cell of one run has both contenders on the same lane.
    #[error(
        "{run} has no cell in which both {a} and {b} were measured with the same threads and packing; \
         `cutgpu run SUITE --backend {a},{b}` measures them together (the same name twice: its --twin)"
    )]
    NothingTogether {
        /// Name of the run.
        run: String,
        /// The baseline's backend.
        a: String,
        /// The other backend.
        b: String,
    },
    /// No cell was measured in both.
    #[error(
        "the runs share no measured cell: {a} has {cells_a}, {b} has {cells_b}; \
         compare runs of the same suite, with the same backends and lanes"
    )]
    NothingShared {
        /// Name of the first run.
        a: String,
        /// Its cells.
        cells_a: usize,
        /// Name of the second run.
        b: String,
        /// Its cells.
        cells_b: usize,
    },
}

/// Compares `b` with `a`, the baseline.
pub fn compare_runs(a: &Run, b: &Run, policy: &Policy) -> Result<Comparison, CompareError> {
    let wanted = |load| policy.load.is_none_or(|only| only == load);
    let (first, second) = (sides(&a.records, wanted), sides(&b.records, wanted));
    let mut pairs = pairs(&first, &second);
    if pairs.is_empty() {
        let (a, b) = (a.name.clone(), b.name.clone());
        return Err(CompareError::NothingShared { a, cells_a: first.len(), b, cells_b: second.len() });
    }
    if !policy.probes || !same_processor(a, b) {
        pairs.iter_mut().for_each(|pair| pair.probe = None);
    }
    let lost = lost(first.keys().filter(|id| !second.contains_key(id)), &b.records);
    let floor = floor(a.records.iter().chain(&b.records));
    let margin = policy.margin.max(floor.value);
    let (mut cells, between_runs, machine) = judge(pairs, margin);
    let doubts = [a, b].map(|run| doubts(&run.records, &Noise::of(&run.records), policy.load));
    for cell in cells.iter_mut().filter(|cell| doubts.iter().any(|run| run.noisy.contains(&cell.id))) {
        cell.call = cell.call.on_a_noisy_host();
    }
    let unknown = cells.iter().filter(|cell| cell.call == Call::CannotTell).count() + lost.len();
    Ok(Comparison {
        runs: [a.name.clone(), b.name.clone()],
        alone: [first.len() - cells.len() - lost.len(), second.len() - cells.len()],
        unknown: unknown as f64 / (cells.len() + lost.len()) as f64,
        cells,
        lost,
        doubts: doubts.map(|run| run.reasons),
        floor,
        margin,
        between_runs,
        machine,
        max_unknown: policy.max_unknown,
    })
}

fn pairs(first: &BTreeMap<CellId, Side>, second: &BTreeMap<CellId, Side>) -> Vec<Pair> {
    let shared = first.keys().filter(|id| second.contains_key(id));
    let names: BTreeSet<&str> = shared.clone().map(|id| id.group.as_str()).collect();
    let numbers: BTreeMap<&str, usize> = names.into_iter().enumerate().map(|(n, name)| (name, n)).collect();
    shared.map(|id| Pair::new(id, numbers[id.group.as_str()], [&first[id], &second[id]])).collect()
}

/// What speaks against the series of some records.
#[derive(Default)]
pub(super) struct Doubts {
    /// Cells during which the host was noisy.
    pub(super) noisy: BTreeSet<CellId>,
    /// How many series have each reason.
    pub(super) reasons: BTreeMap<Code, usize>,
}

/// Judges the series of `records` that are compared; `noise` is that of their whole run.
pub(super) fn doubts<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    noise: &Noise,
    load: Option<Load>,
) -> Doubts {
    let mut doubts = Doubts::default();
    for record in records.into_iter().filter(|record| record.outcome == Outcome::Measured) {
        let contender = Contender { twin: false, ..record.contender.clone() };
        for series in record.series.iter().filter(|series| load.is_none_or(|only| only == series.kind.load)) {
            for reason in validity(record, Some(series), noise).reasons {
                *doubts.reasons.entry(reason.code).or_default() += 1;
                if reason.code == Code::NoisyHost {
                    let (group, contender) = (record.group.clone(), contender.clone());
                    doubts.noisy.insert(CellId { group, contender, kind: series.kind });
                }
            }
        }
    }
    doubts
}

/// Cells of the first run that the second tried and failed at.
pub(super) fn lost<'a>(
    missing: impl Iterator<Item = &'a CellId>,
    records: impl IntoIterator<Item = &'a Record>,
) -> Vec<Lost> {
    let fates: BTreeMap<_, String> = records
        .into_iter()
        .filter_map(|record| {
            let why = match &record.outcome {
                Outcome::Failed { kind, message } => format!("{kind}: {message}"),
                Outcome::Wrong { message } => format!("wrong: {message}"),
                Outcome::Measured | Outcome::Skipped { .. } => return None,
            };
            Some(((&record.group, &record.contender), why))
        })
        .collect();
    missing
        .filter_map(|id| {
            let why = fates.get(&(&id.group, &id.contender))?.clone();
            Some(Lost { id: id.clone(), why })
        })
        .collect()
}

/// The calls of all pairs, the spread between runs, and what the machine did.
fn judge(mut pairs: Vec<Pair>, margin: f64) -> (Vec<Compared>, f64, Vec<Shift>) {
    let values = |pairs: &[Pair]| -> Vec<f64> { pairs.iter().map(|pair| pair.difference().value).collect() };
    let uncorrected = values(&pairs);
    let (machine, shared) = correct(&mut pairs);
    let peers = corrections(&pairs, &values(&pairs));
    let differences: Vec<f64> =
        values(&pairs).iter().zip(&peers).map(|(d, peers)| d + peers.change).collect();
    let own = own_variances(&pairs);
    let seen = |n: usize| {
        let pair: &Pair = &pairs[n];
        Seen { family: pair.family(), group: pair.group, value: differences[n], variance: own[n].value }
    };
    let excess = excess(&(0..pairs.len()).map(seen).collect::<Vec<_>>());
    let error = |n: usize| {
        let doubt = Variance { value: peers[n].doubt.powi(2), df: f64::INFINITY };
        satterthwaite([own[n], excess, shared[n], doubt])
    };
    let errors: Vec<(f64, f64)> = (0..pairs.len()).map(error).collect();
    let p_value = |(&difference, &(error, df))| p_value(difference, error, df, margin.ln_1p());
    let corrected = holm(&differences.iter().zip(&errors).map(p_value).collect::<Vec<_>>());
    let cells = pairs.into_iter().enumerate().map(|(number, pair)| {
        let (error, df) = errors[number];
        let ratio = interval(differences[number], error, df, 2.0 * ALPHA);
        let p = corrected[number];
        let call = call(&ratio, p, margin);
        Compared { id: pair.id, ratio, uncorrected: uncorrected[number].exp(), p, call }
    });
    (cells.collect(), excess.value.sqrt(), machine)
}

/// Variance of each difference as far as starts show it, shrunk towards those of its family.
fn own_variances(pairs: &[Pair]) -> Vec<Variance> {
    let differences: Vec<Change> = pairs.iter().map(Pair::difference).collect();
    let starts: Vec<(&str, Variance)> =
        pairs.iter().zip(&differences).map(|(pair, d)| (pair.family(), d.start)).collect();
    let priors = Prior::fit_families(&starts);
    let prior = |pair: &Pair| priors.get(pair.family()).copied().unwrap_or_default();
    pairs.iter().zip(&differences).map(|(pair, difference)| difference.variance(&prior(pair))).collect()
}

impl Comparison {
    /// Whether any cell is slower.
    pub fn has_regression(&self) -> bool {
        self.count(Call::Slower) > 0
    }

    /// Whether too many cells are CANNOT TELL.
    pub fn is_inconclusive(&self) -> bool {
        self.unknown > self.max_unknown
    }

    /// Cells with this call.
    pub fn count(&self, call: Call) -> usize {
        self.cells.iter().filter(|cell| cell.call == call).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::simulate::{TYPICAL, World};

    type Changed = fn(usize, usize) -> bool;

    /// What calls of simulated comparisons come to.
    #[derive(Debug, Default)]
    struct Rates {
        /// Share of unchanged cells called different.
        false_cells: f64,
        /// Share of comparisons of equal runs with a regression.
        false_runs: f64,
        /// Share of changed cells called slower.
        found: f64,
        /// Share of cells that cannot be told where some changed.
        unknown: f64,
    }

    /// Rates over `count` comparisons of equal runs and of runs in which changed cells take 5 % longer.
    fn rates(world: &World, count: u64, changed: Changed) -> Rates {
        let mut sum = Rates::default();
        let compare = |a: &Run, b: &Run| compare_runs(a, b, &Policy::default()).unwrap();
        for number in 0..count {
            let a = world.run(3 * number, |_, _| 1.0);
            let same = compare(&a, &world.run(3 * number + 1, |_, _| 1.0));
            let cells = same.cells.len() as f64;
            sum.false_cells += (same.count(Call::Slower) + same.count(Call::Faster)) as f64 / cells;
            sum.false_runs += f64::from(u8::from(same.has_regression()));
            let slow = world.run(
                3 * number + 2,
                |group, contender| {
                    if changed(group, contender) { 1.05 } else { 1.0 }
                },
            );
            let slow = compare(&a, &slow);
            let is_changed = |cell: &&Compared| {
                let group = cell.id.group.rsplit('=').next().unwrap().parse().unwrap();
                changed(group, cell.id.contender.backend["cpu/".len()..].parse().unwrap())
            };
            let (found, all) = slow.cells.iter().filter(is_changed).fold((0.0, 0.0), |(found, all), cell| {
                (found + f64::from(u8::from(cell.call == Call::Slower)), all + 1.0)
            });
            sum.found += found / all;
            sum.unknown += slow.unknown;
        }
        let share = |sum: f64| sum / count as f64;
        Rates {
            false_cells: share(sum.false_cells),
            false_runs: share(sum.false_runs),
            found: share(sum.found),
            unknown: share(sum.unknown),
        }
    }

    const ALL: Changed = |_, _| true;

    #[test]
    fn five_percent_is_found_at_realistic_noise() {
        for (name, world, changed) in [
            ("every cell", TYPICAL, ALL),
            ("every cell, 4 rounds, quieter", World { rounds: 4, round: 0.007, ..TYPICAL }, ALL),
            ("one library, 4 starts", World { starts: 4, ..TYPICAL }, |_, contender| contender == 1),
            ("one library, 9 rounds", World { rounds: 9, start: 0.003, ..TYPICAL }, |_, c| c == 2),
            ("a library at half of its sizes", World { starts: 5, ..TYPICAL }, |group, c| {
                c == 1 && group % 2 == 0
            }),
            ("another speed of the machine", World { run: 0.05, ..TYPICAL }, ALL),
        ] {
            let rates = rates(&world, 12, changed);
            assert!(rates.found >= 0.9 && rates.unknown <= 0.2, "{name}: {rates:?}");
            assert!(rates.false_cells <= 0.01 && rates.false_runs == 0.0, "{name}: {rates:?}");
        }
    }

    #[test]
    fn noise_of_any_kind_is_rarely_called_a_change() {
        for (name, world) in [
            ("starts that differ", World { start: 0.01, ..TYPICAL }),
            ("noisy samples", World { round: 0.02, rounds: 4, outliers: 0.2, ..TYPICAL }),
            ("a drifting machine", World { drift: 0.05, run: 0.1, ..TYPICAL }),
            ("cells that move from run to run", World { hidden: 0.015, ..TYPICAL }),
            ("probes that say nothing", World { probe: 0.1, prober: 0.03, ..TYPICAL }),
            ("misplaced starts", World { misplaced: 0.1, ..TYPICAL }),
            ("disturbed groups", World { disturbed: 0.1, ..TYPICAL }),
            ("one noisy library", World { noisiest: 5.0, ..TYPICAL }),
            ("few cells", World { groups: 2, contenders: 2, start: 0.01, ..TYPICAL }),
        ] {
            let rates = rates(&world, 25, ALL);
            assert!(rates.false_cells <= 0.02 && rates.false_runs <= 0.05, "{name}: {rates:?}");
        }
    }

    #[test]
    fn a_whole_group_that_moved_alone_cannot_be_told() {
        let a = TYPICAL.run(1, |_, _| 1.0);
        let b = TYPICAL.run(2, |group, _| if group == 4 { 1.08 } else { 1.0 });
        let comparison = compare_runs(&a, &b, &Policy::default()).unwrap();
        let calls =
            comparison.cells.iter().filter(|cell| cell.id.group.ends_with("=4")).map(|cell| cell.call);
        assert_eq!(calls.collect::<Vec<_>>(), [Call::CannotTell; 4]);
    }

    #[test]
    fn samples_that_waited_for_a_core_call_nothing() {
        let a = TYPICAL.run(1, |_, _| 1.0);
        let mut b = TYPICAL.run(2, |_, contender| if contender < 2 { 1.5 } else { 1.0 });
        for record in b.records.iter_mut().filter(|record| record.contender.backend == "cpu/0") {
            record.series[0].noisy = record.series[0].ns.len() as u32;
        }
        for cell in compare_runs(&a, &b, &Policy::default()).unwrap().cells {
            match cell.id.contender.backend.as_str() {
                "cpu/0" => assert_eq!(cell.call, Call::CannotTell),
                "cpu/1" => assert_eq!(cell.call, Call::Slower),
                _ => assert_ne!(cell.call, Call::Slower),
            }
        }
    }

    #[test]
    fn what_only_one_run_has_or_lost_is_counted() {
        let a = TYPICAL.run(1, |_, _| 1.0);
        let mut b = TYPICAL.run(2, |_, _| 1.0);
        b.records.retain(|record| !record.group.ends_with("=0"));
        let failed = |record: &mut Record| {
            record.outcome = Outcome::Failed { kind: "hang".into(), message: "60 s".into() };
        };
        let unlucky = |record: &&mut Record| record.contender.backend == "cpu/1";
        b.records.iter_mut().filter(unlucky).take(2).for_each(failed);
        let comparison = compare_runs(&a, &b, &Policy::default()).unwrap();
        assert_eq!((comparison.cells.len(), comparison.lost.len(), comparison.alone), (34, 2, [4, 0]));
        assert_eq!(comparison.lost[0].why, "hang: 60 s");
        assert!(comparison.unknown >= 2.0 / 36.0);
    }

    #[test]
    fn extreme_numbers_are_no_fault() {
        let extremes = [0.0, f64::MIN_POSITIVE, 1e-300, 1e300, f64::MAX];
        let (a, mut b) = (TYPICAL.run(1, |_, _| 1.0), TYPICAL.run(2, |_, _| 1.0));
        for (number, record) in b.records.iter_mut().enumerate() {
            let series = &mut record.series[0];
            series.ns[number % 18] = extremes[number % 5];
            series.probe_rate[(number + 3) % 18] = extremes[(number + 2) % 5];
            series.start[number % 7] = u32::MAX;
            series.round[number % 5] = u32::MAX;
            series.steal_ns[0] = u64::MAX;
            series.iters = vec![u64::MAX];
            assert!(series.check().is_ok());
        }
        b.records[0].series[0].ns.fill(0.0);
        b.records[1].series[0].ns.fill(f64::MAX);
        for (first, second) in [(&a, &b), (&b, &a), (&b, &b)] {
            let comparison = compare_runs(first, second, &Policy::default()).unwrap();
            assert!(serde_json::to_string(&comparison).is_ok());
        }
    }

    #[test]
    fn twins_that_differ_widen_the_margin() {
        let a = TYPICAL.run(1, |_, _| 1.0);
        let mut b = TYPICAL.run(2, |_, _| 1.0);
        for record in b.records.iter_mut().filter(|record| record.contender.twin) {
            record.series[0].ns.iter_mut().for_each(|ns| *ns *= 1.1);
        }
        let comparison = compare_runs(&a, &b, &Policy::default()).unwrap();
        assert_eq!(comparison.floor.pairs, 20);
        assert!(comparison.margin > 0.08 && comparison.margin == comparison.floor.value);
    }
}
