//! Two runs, cell by cell.

use super::between::{CellId, Pair, Side, sides};
use super::call::{Call, call, holm};
use super::environment::same_processor;
use super::estimate::{ALPHA, Interval, interval};
use super::floor::{Floor, LEAST_MARGIN, floor};
use super::machine::{Shift, correct};
use super::noise::{Prior, Variance};
use super::spread::{Seen, excess, p_value};
use super::within::satterthwaite;
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
    /// Floors of the first and the second run.
    pub floors: [Floor; 2],
    /// Differences up to this share are SAME: the largest of the policy's margin and the floors.
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
    let floors = [floor(&a.records), floor(&b.records)];
    let margin = policy.margin.max(floors[0].value).max(floors[1].value);
    let (cells, between_runs, machine) = judge(pairs, margin);
    let unknown = cells.iter().filter(|cell| cell.call == Call::CannotTell).count() + lost.len();
    Ok(Comparison {
        runs: [a.name.clone(), b.name.clone()],
        alone: [first.len() - cells.len() - lost.len(), second.len() - cells.len()],
        unknown: unknown as f64 / (cells.len() + lost.len()) as f64,
        cells,
        lost,
        floors,
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

/// Cells of the first run that the second tried and failed at.
fn lost<'a>(missing: impl Iterator<Item = &'a CellId>, records: &[Record]) -> Vec<Lost> {
    let fates: BTreeMap<_, String> = records
        .iter()
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
    let uncorrected: Vec<f64> = pairs.iter().map(Pair::difference).collect();
    let (machine, shared) = correct(&mut pairs);
    let prior = Prior::fit(&pairs.iter().map(Pair::start).collect::<Vec<_>>());
    let own: Vec<Variance> = pairs.iter().map(|pair| pair.variance(&prior)).collect();
    let differences: Vec<f64> = pairs.iter().map(Pair::difference).collect();
    let seen = |n: usize| Seen { family: pairs[n].family(), value: differences[n], variance: own[n].value };
    let excess = excess(&(0..pairs.len()).map(seen).collect::<Vec<_>>());
    let errors: Vec<(f64, f64)> =
        own.iter().zip(&shared).map(|(own, shared)| satterthwaite([*own, excess, *shared])).collect();
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
