//! How well predictions hold where they were not fitted: cells are left out, and guessed by what is left.

use super::cell::{Cell, cells};
use super::model::{Fitted, Guessed, Model};
use crate::compare::OWN;
use crate::record::Run;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Machines that leaving one out needs: of two, one would be predicted from a single other.
pub const MACHINES: usize = 3;

/// Other sizes that leaving one out needs, of the same op and contender: with one other, a size would be predicted from
/// the far side of a cache.
const OTHERS: usize = 2;

/// Things left out of which something can be said at all, and of which they say it alone.
const FEW: usize = 3;
const MANY: usize = 30;

/// A little more than [`Splits::deviations`] of single ops and of programs over the recorded runs, one size out, which are
/// 1.2 and 0.5: fewer are not believed of a few cells.
const USUAL: [f64; 2] = [1.4, 0.6];

/// What is left out at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// A workload at one point, of every contender and machine; counted where a contender has two other points of it.
    Size,
    /// A workload of several ops, at all its points: its ops are known alone and from other programs.
    Workload,
    /// A machine: its roofs are known, the shares of them are another's.
    Machine,
}

impl Split {
    /// All, in the order that they are shown.
    pub const ALL: [Self; 3] = [Self::Size, Self::Workload, Self::Machine];

    /// Name for tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Size => "one size out",
            Self::Workload => "one workload out",
            Self::Machine => "one machine out",
        }
    }
}

/// A cell with what was said of it without it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Held {
    /// Workload and point.
    pub subject: String,
    /// Library, threads, and a mark where parameters were packed.
    pub contender: String,
    /// Machine.
    pub machine: String,
    /// Measured seconds.
    pub seconds: f64,
    /// Predicted seconds.
    pub predicted: f64,
    /// Standard deviation of the logarithm of what is measured, as the model sees it.
    pub doubt: f64,
    /// It is no single op but a program of several.
    pub is_program: bool,
    /// Seconds by a constant share of the roofs: the geometric mean of the cells that were not left out.
    pub constant: f64,
    /// Seconds by a constant time: the geometric mean of the cells that were not left out.
    pub constant_time: f64,
}

impl Held {
    /// Absolute error over what was measured.
    pub fn error(&self) -> f64 {
        (self.predicted / self.seconds - 1.0).abs()
    }
}

/// One split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Splits {
    /// What was left out at a time.
    pub split: Split,
    /// Every cell that was left out.
    pub cells: Vec<Held>,
}

impl Splits {
    fn quantile(&self, share: f64, error: impl Fn(&Held) -> f64) -> f64 {
        let mut errors: Vec<f64> = self.cells.iter().map(error).collect();
        errors.sort_by(f64::total_cmp);
        match errors.len() {
            0 => f64::NAN,
            count => errors[((share * count as f64).ceil() as usize).clamp(1, count) - 1],
        }
    }

    /// Median error of the predictions, as a share.
    pub fn median(&self) -> f64 {
        self.quantile(0.5, Held::error)
    }

    /// Error that nine of ten predictions do not exceed.
    pub fn p90(&self) -> f64 {
        self.quantile(0.9, Held::error)
    }

    /// Median error of the constant share of the roofs.
    pub fn constant(&self) -> f64 {
        self.quantile(0.5, |held| (held.constant / held.seconds - 1.0).abs())
    }

    /// Median error of the constant time.
    pub fn constant_time(&self) -> f64 {
        self.quantile(0.5, |held| (held.constant_time / held.seconds - 1.0).abs())
    }

    /// What resembles a prediction of a program, or of a single op: of this project's own kernels where there are enough
    /// of them.
    pub(super) fn like(&self, is_program: bool) -> Self {
        let of = |is_wanted: &dyn Fn(&&Held) -> bool| Self {
            split: self.split,
            cells: self.cells.iter().filter(is_wanted).cloned().collect(),
        };
        let own = of(&|held| held.is_program == is_program && held.contender.starts_with(OWN));
        if own.folds() >= FEW { own } else { of(&|held| held.is_program == is_program) }
    }

    /// How many times something was left out: what was left out together is off together.
    fn folds(&self) -> usize {
        let fold = |held: &Held| match self.split {
            Split::Size => held.subject.clone(),
            Split::Workload => held.subject.split(' ').next().unwrap_or_default().to_string(),
            Split::Machine => held.machine.clone(),
        };
        self.cells.iter().map(fold).collect::<BTreeSet<_>>().len()
    }

    /// How many of its own standard deviations the model is off by, which nine of ten of these do not exceed. An interval
    /// of as many would cover nine of ten whatever the model's doubts are worth, were the next cell no other than these
    /// (Papadopoulos, Proedrou, Vovk and Gammerman, "Inductive confidence machines for regression", ECML 2002, with their
    /// normalised measure); it is only nearly so. None where fewer than [`FEW`] were left out.
    pub(super) fn deviations(&self) -> Option<f64> {
        let score = |held: &Held| (held.predicted / held.seconds).ln().abs() / held.doubt;
        let mut scores: Vec<f64> = self.cells.iter().map(score).collect();
        scores.sort_by(f64::total_cmp);
        // The next score is as likely to lie in any of the gaps between these.
        let place = (0.9 * (scores.len() + 1) as f64).ceil() as usize;
        let found = *scores.get(place.min(scores.len()).checked_sub(1)?)?;
        let is_program = self.cells.iter().any(|held| held.is_program);
        match self.folds() {
            ..FEW => None,
            FEW..MANY => Some(found.max(USUAL[usize::from(is_program)])),
            MANY.. => Some(found),
        }
    }
}

/// The machines of some runs.
pub fn machines(runs: &[Run]) -> BTreeSet<String> {
    runs.iter().map(super::cell::machine).collect()
}

/// All three splits over the recorded runs; none where no op was measured alone. Only what may be trusted counts:
/// cells that are INVALID are neither learnt from nor predicted.
pub fn splits(runs: &[Run]) -> Option<Vec<Splits>> {
    let cells = cells(runs);
    let fitted = Fitted::of(&cells)?;
    Some(Split::ALL.map(|split| of(split, &cells, &fitted)).into())
}

pub(super) fn of(split: Split, cells: &[Cell], fitted: &Fitted) -> Splits {
    let fold = |cell: &Cell| match split {
        Split::Size => Some(cell.subject.clone()),
        Split::Workload => (!cell.is_single()).then(|| cell.workload.clone()),
        Split::Machine => Some(cell.who.machine.clone()),
    };
    let predicted = match split {
        Split::Machine => by_refit(cells, fold),
        _ => fitted.held_out(cells, fold),
    };
    let sizes = sizes(cells);
    let counts = |number: usize| split != Split::Size || sizes[&series(&cells[number])].len() > OTHERS;
    let counted = predicted.into_iter().filter(|(number, _)| counts(*number));
    let constants = Constants::of(cells, fold);
    let held = counted
        .map(|(number, guessed)| held(&cells[number], guessed, constants.without(fold(&cells[number]))));
    Splits { split, cells: held.collect() }
}

/// What changes with size: an op or a program, of one contender on one machine.
fn series(cell: &Cell) -> (String, String, String) {
    let op = if cell.is_single() { &cell.loads[0].place.op } else { &cell.workload };
    let family = if cell.is_single() { &cell.loads[0].place.family } else { &cell.workload };
    (format!("{family} {op}"), cell.who.backend.clone(), cell.who.machine.clone())
}

/// Points of each.
fn sizes(cells: &[Cell]) -> BTreeMap<(String, String, String), BTreeSet<&str>> {
    let mut found: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
    for cell in cells {
        found.entry(series(cell)).or_default().insert(&cell.subject);
    }
    found
}

/// As [`Fitted::held_out`], by fitting anew: what programs take beyond their loads rests on the machine too.
fn by_refit(cells: &[Cell], fold: impl Fn(&Cell) -> Option<String>) -> Vec<(usize, Guessed)> {
    let names: BTreeSet<String> = cells.iter().filter_map(&fold).collect();
    let mut found = Vec::new();
    for name in names {
        let kept: Vec<Cell> =
            cells.iter().filter(|cell| fold(cell).as_ref() != Some(&name)).cloned().collect();
        let Some(model) = Model::fit(&kept) else { continue };
        let out = cells.iter().enumerate().filter(|(_, cell)| fold(cell).as_ref() == Some(&name));
        found.extend(out.map(|(number, cell)| (number, model.cell(cell))));
    }
    found
}

/// Logarithms of [share of the roof, seconds], and how many: of all cells, and of those of one name.
#[derive(Clone, Copy, Default)]
struct Logs {
    count: f64,
    sums: [f64; 2],
}

/// What predictors would say that know no size and no op.
struct Constants {
    all: Logs,
    folds: BTreeMap<Option<String>, Logs>,
}

impl Constants {
    fn of(cells: &[Cell], fold: impl Fn(&Cell) -> Option<String>) -> Self {
        let (mut all, mut folds) = (Logs::default(), BTreeMap::<_, Logs>::new());
        for cell in cells {
            let logs = [cell.seconds / cell.roof(), cell.seconds].map(f64::ln);
            for sum in [&mut all, folds.entry(fold(cell)).or_default()] {
                sum.count += 1.0;
                (0..2).for_each(|number| sum.sums[number] += logs[number]);
            }
        }
        Self { all, folds }
    }

    /// Geometric means of the share of the roof and of seconds, of the cells that are not of this name.
    fn without(&self, name: Option<String>) -> [f64; 2] {
        let out = self.folds.get(&name).copied().unwrap_or_default();
        let count = f64::max(self.all.count - out.count, 1.0);
        [0, 1].map(|number| ((self.all.sums[number] - out.sums[number]) / count).exp())
    }
}

fn held(cell: &Cell, guessed: Guessed, [share, seconds]: [f64; 2]) -> Held {
    let packed = if cell.who.packed { "/packed" } else { "" };
    Held {
        subject: cell.subject.clone(),
        contender: format!("{}:t{}{packed}", cell.who.backend, cell.who.threads),
        machine: cell.who.machine.clone(),
        seconds: cell.seconds,
        predicted: guessed.seconds,
        doubt: guessed.doubt,
        is_program: !cell.is_single(),
        constant: cell.roof() * share,
        constant_time: seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells whose predictions are off by 1 to `count` tenths of the model's doubt, one way and the other.
    fn splits(count: usize, contender: &str, is_program: bool) -> Splits {
        let held = |number: usize| {
            let doubt = 0.1 * (1.0 + number as f64);
            let off = 0.1 * (number + 1) as f64 * doubt * [1.0, -1.0][number % 2];
            Held {
                subject: format!("gemm {number}"),
                contender: contender.to_string(),
                machine: String::new(),
                seconds: 2.0,
                predicted: 2.0 * f64::exp(off),
                doubt,
                is_program,
                constant: 1.0,
                constant_time: 1.0,
            }
        };
        Splits { split: Split::Size, cells: (0..count).map(held).collect() }
    }

    #[test]
    fn an_interval_is_as_wide_as_what_was_left_out_was_off() {
        let near = |found: Option<f64>, wanted: f64| (found.unwrap() - wanted).abs() < 1e-9;
        assert!(near(splits(99, OWN, false).deviations(), 9.0));
        // Of many, too few are believed; of few, only too many; of fewer, nothing.
        assert!(near(splits(30, OWN, true).deviations(), 2.8));
        assert!(near(splits(9, OWN, true).deviations(), 0.9));
        assert!(near(splits(4, OWN, true).deviations(), USUAL[1]));
        assert!(near(splits(4, OWN, false).deviations(), USUAL[0]));
        assert_eq!(splits(FEW - 1, OWN, true).deviations(), None);
        assert_eq!(splits(0, OWN, true).deviations(), None);
        // All of them are of one workload.
        let together = Splits { split: Split::Workload, ..splits(99, OWN, true) };
        assert_eq!(together.deviations(), None);
    }

    #[test]
    fn own_kernels_and_programs_are_judged_by_their_like() {
        let mut mixed = splits(40, OWN, false);
        mixed.cells.extend(splits(99, "cpu/openblas", false).cells);
        mixed.cells.extend(splits(31, "cpu/openblas", true).cells);
        mixed.cells.extend(splits(FEW - 1, OWN, true).cells);
        let counts = |is_program| mixed.like(is_program).cells.len();
        assert_eq!((counts(false), counts(true)), (40, 31 + FEW - 1));
    }
}
