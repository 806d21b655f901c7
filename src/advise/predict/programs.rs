//! What programs take beyond the sum of their loads: a factor for each kind of load, and what is left.
//!
//! Alone an op finds its data where it left them, and nothing else in the caches; in a program neither is so. How much
//! that costs differs by kind, so each kind has a factor: the ridge regression of relative errors with all factors near
//! 1 (Hoerl and Kennard, "Ridge regression", Technometrics 12, 1970). What is left is a kriging over programs.

use super::cell::{Cell, at};
use super::kriging::{Guess, Kriging, PROGRAM, Place, dot, inverse, noise};
use super::load::Load;

/// Kinds of loads, by the start of their families; the last is no load: what each step takes however small it is.
const KINDS: &[&str] = &["product", "row product", "attention", "convolution", "elements", "step"];

/// Seconds of a step beyond its load, on one thread and on several: another kernel, other data, threads that wake up
/// for it. Guesses, of which the factor is learnt.
const STEP: [f64; 2] = [0.5e-6, 2e-6];

/// Variance of a relative error of a program, and of a factor.
const ERROR: f64 = 0.04;
const FACTOR: f64 = 0.16;

/// Seconds of the loads of each kind.
pub(super) type Sums = [f64; KINDS.len()];

/// What was learnt from programs.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    factors: Sums,
    left: Option<Kriging>,
}

/// A program that was measured.
pub(super) struct Program {
    pub cell: usize,
    pub sums: Sums,
    pub place: Place,
    pub seconds: f64,
}

impl Programs {
    /// Learns from programs; of none, every factor is 1.
    pub(super) fn fit<'a>(programs: impl IntoIterator<Item = &'a Program>) -> Self {
        let programs: Vec<&Program> = programs.into_iter().collect();
        let factors = factors(&programs);
        let places = programs.iter().map(|program| program.place.clone()).collect();
        let left = programs.iter().map(|program| program.left(&factors)).collect();
        Self { factors, left: Kriging::fit(places, left) }
    }

    /// Seconds of those of `programs`, all that this was fitted to, that are numbered in `out`, by a fit that saw none of
    /// them, with variances as those of [`Self::seconds`].
    pub(super) fn held_out(&self, programs: &[Program], out: &[usize]) -> Vec<(f64, f64)> {
        let kept = programs.iter().enumerate().filter(|(number, _)| !out.contains(number));
        let factors = factors(&kept.map(|(_, program)| program).collect::<Vec<_>>());
        let left: Vec<f64> = programs.iter().map(|program| program.left(&factors)).collect();
        let left = self.left.as_ref().and_then(|known| known.held_out_of(&left, out));
        let left = left.unwrap_or_else(|| vec![Guess { mean: 0.0, variance: ERROR }; out.len()]);
        let seconds = |(&number, left): (&usize, Guess)| {
            (dot(&factors, &programs[number].sums) * left.mean.exp(), left.variance)
        };
        out.iter().zip(left).map(seconds).collect()
    }

    /// Seconds of a program, and the variance of the logarithm of a measurement of them beyond that of the loads.
    pub(super) fn seconds(&self, sums: &Sums, place: &Place) -> (f64, f64) {
        let left = self.left.as_ref().map_or(Guess { mean: 0.0, variance: ERROR }, |left| {
            let guess = left.guess(place);
            Guess { variance: guess.variance + noise(PROGRAM), ..guess }
        });
        (dot(&self.factors, sums) * left.mean.exp(), left.variance)
    }
}

impl Program {
    /// Logarithm of its seconds over those of its loads.
    fn left(&self, factors: &Sums) -> f64 {
        (self.seconds / dot(factors, &self.sums)).ln()
    }
}

/// Factors b that make sum over programs of (S b / t - 1)^2 / ERROR + sum over kinds of (b - 1)^2 / FACTOR least.
fn factors(programs: &[&Program]) -> Sums {
    const KIND: usize = KINDS.len();
    let mut matrix = vec![0.0; KIND * KIND];
    let mut wanted = [1.0 / FACTOR; KIND];
    for row in 0..KIND {
        matrix[row * KIND + row] = 1.0 / FACTOR;
    }
    for program in programs {
        let shares = program.sums.map(|sum| sum / program.seconds);
        for row in 0..KIND {
            wanted[row] += shares[row] / ERROR;
            for column in 0..KIND {
                matrix[row * KIND + column] += shares[row] * shares[column] / ERROR;
            }
        }
    }
    let mut factors = [1.0; KIND];
    let Some(inverse) = inverse(matrix, KIND) else { return factors };
    for (row, factor) in factors.iter_mut().enumerate() {
        *factor = dot(&inverse[row * KIND..][..KIND], &wanted).clamp(0.3, 3.0);
    }
    factors
}

/// Seconds by kind of loads whose least seconds are `least`, each `factor` times that, on so many threads.
pub(super) fn sums(loads: &[Load], least: &[f64], threads: usize, factor: impl Fn(&Load) -> f64) -> Sums {
    let mut sums = [0.0; KINDS.len()];
    for (load, least) in loads.iter().zip(least) {
        let kind = KINDS.iter().position(|kind| load.place.family.starts_with(kind));
        sums[kind.unwrap_or(KINDS.len() - 2)] += load.count * least * factor(load);
        sums[KINDS.len() - 1] += load.count * STEP[usize::from(threads > 1)];
    }
    sums
}

/// The place of a whole program among programs.
pub(super) fn whole(workload: &str, loads: &[Load], who: &Place) -> Place {
    let sum = |of: fn(&Load) -> f64| {
        loads.iter().map(|load| load.count * of(load)).sum::<f64>().max(1.0).ln() / 2.0
    };
    let size = [sum(|load| load.flops), sum(Load::bytes), 0.0];
    Place { family: PROGRAM.to_string(), op: workload.to_string(), size, ..who.clone() }
}

/// The numbered cells, each load as long as `factor` of its place times its least seconds.
pub(super) fn programs(cells: &[Cell], numbers: &[usize], factor: impl Fn(&Place) -> f64) -> Vec<Program> {
    let program = |&number: &usize| {
        let cell = &cells[number];
        let factor = |load: &Load| factor(&at(&load.place, &cell.who));
        Program {
            cell: number,
            sums: sums(&cell.loads, &cell.roofs, cell.who.threads, factor),
            place: whole(&cell.workload, &cell.loads, &cell.who),
            seconds: cell.seconds,
        }
    };
    numbers.iter().map(program).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(op: &str, sums: Sums, seconds: f64) -> Program {
        let place = Place { family: PROGRAM.into(), op: op.into(), ..Place::default() };
        Program { cell: 0, sums, place, seconds }
    }

    #[test]
    fn each_kind_has_the_factor_that_programs_show() {
        // Element-wise steps take twice as long in programs, products do not.
        let programs: Vec<Program> = (1..20)
            .map(|number| {
                let sums = [f64::from(number), 0.0, 0.0, 0.0, f64::from(20 - number), 0.0];
                program("a", sums, sums[0] + 2.0 * sums[4])
            })
            .collect();
        let learnt = Programs::fit(&programs);
        assert!(
            (learnt.factors[0] - 1.0).abs() < 0.1 && (learnt.factors[4] - 2.0).abs() < 0.15,
            "{:?}",
            learnt.factors
        );
        assert!((learnt.factors[3] - 1.0).abs() < 1e-9);
        let (seconds, _) = learnt.seconds(&[10.0, 0.0, 0.0, 0.0, 10.0, 0.0], &programs[0].place);
        assert!((seconds / 30.0 - 1.0).abs() < 0.05, "{seconds}");
    }

    #[test]
    fn held_out_programs_are_told_as_by_a_fit_that_never_saw_them() {
        let programs: Vec<Program> = (1..9)
            .map(|number| {
                let n = f64::from(number);
                let mut program = program(
                    if number % 2 == 0 { "a" } else { "b" },
                    [n, 0.0, 0.0, 0.0, 1.0, 0.1],
                    n * 1.3 + 0.4,
                );
                program.place.size[0] = n.ln();
                program
            })
            .collect();
        let out = [1, 3, 6];
        let kept =
            programs.iter().enumerate().filter(|(number, _)| !out.contains(number)).map(|(_, kept)| kept);
        let fewer = Programs::fit(kept);
        let held = Programs::fit(&programs).held_out(&programs, &out);
        for ((seconds, variance), number) in held.iter().zip(out) {
            let (wanted, doubted) = fewer.seconds(&programs[number].sums, &programs[number].place);
            assert!((seconds / wanted - 1.0).abs() < 1e-9, "{number}: {seconds} {wanted}");
            assert!((variance / doubted - 1.0).abs() < 1e-9, "{number}: {variance} {doubted}");
        }
    }

    #[test]
    fn without_programs_the_sum_stands_and_is_doubted() {
        let (seconds, variance) =
            Programs::fit([]).seconds(&[1.0, 0.0, 2.0, 0.0, 0.0, 0.0], &Place::default());
        assert!((seconds - 3.0).abs() < 1e-12 && variance > 0.0);
    }
}
