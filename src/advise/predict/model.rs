//! Seconds of a program from the roofs of a machine and the shares of them that such work reached.
//!
//! A load takes its least seconds by the roofs over a share. The share of a load that is measured alone comes from cells
//! that are alike ([`super::kriging`]): the same op at other sizes, other ops of its family, other lanes. A program of
//! many loads takes their sum and what other programs took beyond theirs ([`super::programs`]).

use super::cell::{Cell, at};
use super::kriging::{Guess, Kriging, Place, noise};
use super::load::Load;
use super::programs::{Program, Programs, Sums, programs, sums, whole};
use super::roofs::Roofs;
use crate::units::significant;
use std::collections::{BTreeMap, BTreeSet};

/// A prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Guessed {
    /// Seconds of one execution.
    pub seconds: f64,
    /// Standard deviation of the logarithm of a measurement of them, as the model sees it.
    pub doubt: f64,
}

/// What was learnt from cells.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Logarithms of seconds over least seconds, by family.
    families: BTreeMap<String, Kriging>,
    /// The same of all families, for one that was never measured alone.
    level: Guess,
    programs: Programs,
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
        Some(self.guessed(workload, loads, &least?, who))
    }

    /// A cell that the model need not have seen.
    pub(super) fn cell(&self, cell: &Cell) -> Guessed {
        self.guessed(&cell.workload, &cell.loads, &cell.roofs, &cell.who)
    }

    fn guessed(&self, workload: &str, loads: &[Load], least: &[f64], who: &Place) -> Guessed {
        let guess = |load: &Load| self.guess(&at(&load.place, who));
        if let ([load], [least]) = (loads, least)
            && load.count == 1.0
        {
            let Guess { mean, variance } = guess(load);
            let doubt = (variance + noise(&load.place.family)).sqrt();
            return Guessed { seconds: least * mean.exp(), doubt };
        }
        let sums = sums(loads, least, who.threads, |load| self.mean(&at(&load.place, who)).exp());
        let doubt = self.doubt(loads, least, who, &sums);
        let (seconds, variance) = self.programs.seconds(&sums, &whole(workload, loads, who));
        Guessed { seconds, doubt: doubt.hypot(variance.sqrt()) }
    }

    /// Standard deviation of the logarithm of the sum of a program's loads. Loads of one program are off together: their
    /// doubts are averaged, not squared away.
    fn doubt(&self, loads: &[Load], least: &[f64], who: &Place, sums: &Sums) -> f64 {
        let sum: f64 = sums.iter().sum();
        let doubt = |(load, least): (&Load, &f64)| {
            let guess = self.guess(&at(&load.place, who));
            load.count * least * guess.mean.exp() * guess.variance.sqrt() / sum
        };
        loads.iter().zip(least).map(doubt).sum()
    }

    fn guess(&self, place: &Place) -> Guess {
        self.families.get(&place.family).map_or(self.level, |family| family.guess(place))
    }

    fn mean(&self, place: &Place) -> f64 {
        self.families.get(&place.family).map_or(self.level.mean, |family| family.mean(place))
    }
}

/// Most cells of a family, and most programs, that are learnt from: the work grows with their cube.
const MOST: usize = 800;

/// Keeps at most [`MOST`], in their order. Multiples of the golden ratio choose them: they lie evenly, and never in step
/// with the contenders that take turns in a run.
fn thin(numbers: &mut Vec<usize>) {
    let turn = |place: usize| (place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut places: Vec<usize> = (0..numbers.len()).collect();
    places.sort_by_key(|&place| turn(place));
    places.truncate(MOST);
    places.sort_unstable();
    *numbers = places.into_iter().map(|place| numbers[place]).collect();
}

/// A model with the cells that it was fitted to: what each says when it is left out.
pub(super) struct Fitted {
    pub model: Model,
    /// By family, which cells: those of single ops.
    alone: BTreeMap<String, Vec<usize>>,
    programs: Vec<Program>,
}

impl Fitted {
    pub(super) fn of(cells: &[Cell]) -> Option<Self> {
        let mut alone: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, cell) in cells.iter().enumerate().filter(|(_, cell)| cell.is_single()) {
            alone.entry(cell.loads[0].place.family.clone()).or_default().push(number);
        }
        alone.values_mut().for_each(thin);
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
        let mut model = Model { families, level, programs: Programs::fit([]) };
        let mut numbers: Vec<usize> = (0..cells.len()).filter(|&number| !cells[number].is_single()).collect();
        thin(&mut numbers);
        let programs = programs(cells, &numbers, |place| model.mean(place).exp());
        model.programs = Programs::fit(&programs);
        Some(Self { model, alone, programs })
    }

    /// For cells that `fold` gives one name, seconds by a model that was fitted without any cell of that name. Cells of
    /// which there is no fold are kept in every fit.
    pub(super) fn held_out(
        &self,
        cells: &[Cell],
        fold: impl Fn(&Cell) -> Option<String>,
    ) -> Vec<(usize, Guessed)> {
        let mut found = Vec::new();
        for (family, numbers) in &self.alone {
            let names: Vec<Option<String>> = numbers.iter().map(|&number| fold(&cells[number])).collect();
            for name in names.iter().flatten().collect::<BTreeSet<_>>() {
                let out: Vec<usize> =
                    (0..numbers.len()).filter(|&place| names[place].as_ref() == Some(name)).collect();
                let guesses = self.model.families[family].held_out(&out).unwrap_or_default();
                let guessed = |(&place, guess): (&usize, Guess)| {
                    let seconds = cells[numbers[place]].roof() * guess.mean.exp();
                    (numbers[place], Guessed { seconds, doubt: guess.variance.sqrt() })
                };
                found.extend(out.iter().zip(guesses).map(guessed));
            }
        }
        let names: Vec<Option<String>> =
            self.programs.iter().map(|program| fold(&cells[program.cell])).collect();
        for name in names.iter().flatten().collect::<BTreeSet<_>>() {
            let out: Vec<usize> =
                (0..names.len()).filter(|&place| names[place].as_ref() == Some(name)).collect();
            let held = self.model.programs.held_out(&self.programs, &out);
            found.extend(out.iter().zip(held).map(|(&place, (seconds, variance))| {
                let Program { cell: number, sums, .. } = &self.programs[place];
                let Cell { loads, roofs, who, .. } = &cells[*number];
                let doubt = self.model.doubt(loads, roofs, who, sums);
                (*number, Guessed { seconds, doubt: doubt.hypot(variance.sqrt()) })
            }));
        }
        found.sort_by_key(|(number, _)| *number);
        found
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / f64::max(count, 1.0)
}

/// Percent with two digits, for tables.
pub(super) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{} %", significant(share * 100.0, 3)) } else { "-".to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_of_cells_is_thinned_and_a_run_is_not() {
        for count in [1, MOST, MOST + 1, 50 * MOST] {
            let mut numbers: Vec<usize> = (0..count).collect();
            thin(&mut numbers);
            assert!(numbers.len() == count.min(MOST) && numbers.is_sorted(), "{} of {count}", numbers.len());
            // As many contenders in turn: each is still there, about as often.
            for contender in (0..12).filter(|_| count > MOST) {
                let of = numbers.iter().filter(|number| *number % 12 == contender).count();
                assert!((MOST / 24..MOST / 6).contains(&of), "{of} of contender {contender}");
            }
        }
    }
}
