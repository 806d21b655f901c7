//! Losses of two backends, step by step.

use super::{Course, Inputs, Start, TrainError, initial};
use crate::program::{Program, State};

/// A course of random batches, as the fills of the inputs have them: another input set each step.
pub fn of_fills(program: Program, start: Start, seed: u64) -> Course<'static> {
    let initial = initial(&program, start, seed);
    let inputs: Vec<_> = program.inputs().filter(|&id| program.values[id].state == State::Batch).collect();
    let filled = program.clone();
    let batch = move |step: usize| -> Inputs {
        let input = |&id: &usize| (filled.values[id].name.clone(), filled.input_data(id, seed, step));
        inputs.iter().map(input).collect()
    };
    Course { program, initial, batch: Box::new(batch) }
}

/// The largest relative difference between losses of the same step.
pub fn difference(losses: &[f64], wanted: &[f64]) -> Result<f64, TrainError> {
    if losses.len() != wanted.len() || losses.is_empty() {
        let (given, wanted) = (losses.len(), wanted.len());
        return Err(TrainError::Failed(format!("{given} losses cannot be compared with {wanted}")));
    }
    let relative = |(a, b): (&f64, &f64)| (a - b).abs() / b.abs().max(f64::MIN_POSITIVE);
    Ok(losses.iter().zip(wanted).map(relative).fold(0.0, worse))
}

/// The larger of two; NaN is larger than any number.
pub(super) fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || a >= b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_the_largest_difference() {
        assert_eq!(difference(&[1.0, 2.0, 4.0], &[1.0, 2.5, 4.0]).unwrap(), 0.2);
        assert!(difference(&[1.0, f64::NAN, 4.0], &[1.0, 2.0, 4.0]).unwrap().is_nan());
        assert!(difference(&[1.0, 2.0, 4.0], &[f64::NAN, 2.0, 4.0]).unwrap().is_nan());
        assert!(worse(1.0, f64::NAN).is_nan() && worse(f64::NAN, 1.0).is_nan() && worse(1.0, 2.0) == 2.0);
    }
}
