//! Seconds of a program from the roofs of a machine and the shares of them that such work reached.
//!
//! A load takes its least seconds by the roofs over a share. The share of a load that is measured alone comes from cells
//! that are alike ([`super::kriging`]): the same op at other sizes, other ops of its family, other lanes. A program of
//! many loads takes their sum, times what other programs took beyond theirs: in a program an op's data is not where it
//! is when the op is repeated alone.

use super::cell::{Cell, at};
use super::kriging::{Guess, Kriging, Place};
use super::load::Load;
use super::roofs::Roofs;
use crate::units::significant;
use std::collections::{BTreeMap, BTreeSet};

/// The family of programs of several loads.
const PROGRAM: &str = "program";

/// Variance of what a program takes beyond its loads, where no program was measured.
const BEYOND: f64 = 0.06;

/// A prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Guessed {
    /// Seconds of one execution.
    pub seconds: f64,
    /// Standard deviation of their logarithm, as the model sees it.
    pub doubt: f64,
}

/// What was learnt from cells.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Logarithms of seconds over least seconds, by family.
    families: BTreeMap<String, Kriging>,
    /// The same of all families, for one that was never measured alone.
    level: Guess,
    /// Logarithms of a program's seconds over the sum of its loads'.
    programs: Option<Kriging>,
}

impl Model {
    /// Learns from cells; none where no op was measured alone.
    pub(super) fn fit(cells: &[Cell]) -> Option<Self> {
        Some(Fitted::of(cells)?.model)
    }

    /// One execution of a program with these loads, as `who` computes it.
    pub(super) fn seconds(
        &self,
        workload: &str,
        loads: &[Load],
        who: &Place,
        roofs: &Roofs,
    ) -> Option<Guessed> {
        let least: Option<Vec<f64>> = loads.iter().map(|load| load.seconds(roofs, who.threads)).collect();
        let least = least?;
        let sum = self.sum(loads, &least, who);
        // Loads of one program are off together: their doubts are averaged, not squared away.
        let doubt = |(load, least): (&Load, &f64)| {
            let guess = self.guess(&at(&load.place, who));
            load.count * least * guess.mean.exp() * guess.variance.sqrt() / sum
        };
        let doubt: f64 = loads.iter().zip(&least).map(doubt).sum();
        let alone = loads.len() == 1 && loads[0].count == 1.0;
        let beyond = match &self.programs {
            _ if alone => Guess { mean: 0.0, variance: 0.0 },
            Some(programs) => programs.guess(&whole(workload, loads, who)),
            None => Guess { mean: 0.0, variance: BEYOND },
        };
        Some(Guessed { seconds: sum * beyond.mean.exp(), doubt: (doubt * doubt + beyond.variance).sqrt() })
    }

    /// Seconds of a cell that the model need not have seen.
    pub(super) fn cell_seconds(&self, cell: &Cell) -> f64 {
        let sum = self.sum(&cell.loads, &cell.roofs, &cell.who);
        let beyond = self.programs.as_ref().filter(|_| !cell.is_single());
        sum * beyond.map_or(0.0, |programs| programs.guess(&program_place(cell)).mean).exp()
    }

    /// Seconds of all loads, each as if it were alone.
    fn sum(&self, loads: &[Load], least: &[f64], who: &Place) -> f64 {
        let each =
            |(load, least): (&Load, &f64)| load.count * least * self.guess(&at(&load.place, who)).mean.exp();
        loads.iter().zip(least).map(each).sum()
    }

    fn guess(&self, place: &Place) -> Guess {
        self.families.get(&place.family).map_or(self.level, |family| family.guess(place))
    }
}

/// The place of a whole program among programs.
fn whole(workload: &str, loads: &[Load], who: &Place) -> Place {
    let sum = |of: fn(&Load) -> f64| {
        loads.iter().map(|load| load.count * of(load)).sum::<f64>().max(1.0).ln() / 2.0
    };
    let size = [sum(|load| load.flops), sum(Load::bytes), 0.0];
    Place { family: PROGRAM.to_string(), op: workload.to_string(), size, ..who.clone() }
}

/// A model with the cells that it was fitted to: what each says when it is left out.
pub(super) struct Fitted {
    pub model: Model,
    /// By family, which cells: those of single ops.
    alone: BTreeMap<String, Vec<usize>>,
    /// Cells of programs, and the sums of their loads.
    composed: Vec<(usize, f64)>,
}

impl Fitted {
    pub(super) fn of(cells: &[Cell]) -> Option<Self> {
        let mut alone: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, cell) in cells.iter().enumerate().filter(|(_, cell)| cell.is_single()) {
            alone.entry(cell.loads[0].place.family.clone()).or_default().push(number);
        }
        let value = |number: usize| (cells[number].seconds / cells[number].roof()).ln();
        let mut families = BTreeMap::new();
        for (family, numbers) in &alone {
            let places = numbers.iter().map(|&number| cells[number].place(0)).collect();
            let values = numbers.iter().map(|&number| value(number)).collect();
            families.insert(family.clone(), Kriging::fit(places, values)?);
        }
        let levels: Vec<f64> =
            alone.values().map(|numbers| mean(numbers.iter().map(|&number| value(number)))).collect();
        if levels.is_empty() {
            return None;
        }
        let level = Guess { mean: mean(levels.iter().copied()), variance: 0.25 };
        let mut model = Model { families, level, programs: None };
        let programs = cells.iter().enumerate().filter(|(_, cell)| !cell.is_single());
        let composed: Vec<(usize, f64)> =
            programs.map(|(number, cell)| (number, model.sum(&cell.loads, &cell.roofs, &cell.who))).collect();
        if !composed.is_empty() {
            let places = composed.iter().map(|&(number, _)| program_place(&cells[number])).collect();
            let values = composed.iter().map(|&(number, sum)| (cells[number].seconds / sum).ln()).collect();
            model.programs = Some(Kriging::fit(places, values)?);
        }
        Some(Self { model, alone, composed })
    }

    /// For cells that `fold` gives one name, seconds by a model that was fitted without any cell of that name. Cells of
    /// which there is no fold are kept in every fit.
    pub(super) fn held_out(
        &self,
        cells: &[Cell],
        fold: impl Fn(&Cell) -> Option<String>,
    ) -> Vec<(usize, f64)> {
        let mut found = Vec::new();
        for (family, numbers) in &self.alone {
            let kriging = &self.model.families[family];
            for (number, log) in folds(kriging, numbers, cells, &fold) {
                found.push((number, cells[number].roof() * log.exp()));
            }
        }
        if let Some(programs) = &self.model.programs {
            let numbers: Vec<usize> = self.composed.iter().map(|(number, _)| *number).collect();
            let sums: BTreeMap<usize, f64> = self.composed.iter().copied().collect();
            for (number, log) in folds(programs, &numbers, cells, &fold) {
                found.push((number, sums[&number] * log.exp()));
            }
        }
        found.sort_by_key(|(number, _)| *number);
        found
    }
}

/// What a kriging of the cells `numbers` says of each fold without it.
fn folds(
    kriging: &Kriging,
    numbers: &[usize],
    cells: &[Cell],
    fold: impl Fn(&Cell) -> Option<String>,
) -> Vec<(usize, f64)> {
    let names: Vec<Option<String>> = numbers.iter().map(|&number| fold(&cells[number])).collect();
    let distinct: BTreeSet<&String> = names.iter().flatten().collect();
    let mut found = Vec::new();
    for name in distinct {
        let left_out: Vec<usize> =
            (0..numbers.len()).filter(|&place| names[place].as_ref() == Some(name)).collect();
        let logs = kriging.held_out(&left_out).unwrap_or_default();
        found.extend(left_out.iter().zip(logs).map(|(&place, log)| (numbers[place], log)));
    }
    found
}

fn program_place(cell: &Cell) -> Place {
    whole(&cell.workload, &cell.loads, &cell.who)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / f64::max(count, 1.0)
}

/// Percent with two digits, for tables.
pub(super) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{} %", significant(share * 100.0, 3)) } else { "-".to_string() }
}
