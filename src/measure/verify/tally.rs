//! What a comparison of many elements comes to.

use super::Wrong;
use crate::measure::evidence::Verification;
use crate::ops::Expected;
use crate::program::Value;
use crate::tensor::{DType, HostArray};

/// Steps of the histogram in each factor of two.
const STEPS: usize = 8;
/// Errors from 2^-64 to 2^16 of the scale are told apart.
const LEAST: i32 = -64;
const BINS: usize = 80 * STEPS;

/// A median error above this is not f32: tf32 and bf16 leave 2^-13 to 2^-10 in a factor.
const F32_MEDIAN: f64 = 1.0 / (1 << 18) as f64;

/// More zeros than this, and a check proves little.
const ZEROS: f64 = 0.9;

/// The comparison of one output.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    compared: u64,
    zeros: u64,
    /// Zeros that nothing was added up for, such as gradients of rows that no token named.
    due: u64,
    wrong: u64,
    first: Option<(usize, f64, Expected)>,
    worst: f64,
    exact: u64,
    /// |got - reference| / scale where it is not 0.
    errors: Vec<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            compared: 0,
            zeros: 0,
            due: 0,
            wrong: 0,
            first: None,
            worst: 0.0,
            exact: 0,
            errors: vec![0; BINS],
        }
    }
}

impl Tally {
    /// Compares elements from number `first` on.
    pub(super) fn compare(&mut self, first: usize, got: &[f64], wanted: &[Expected]) {
        for (index, (&got, wanted)) in got.iter().zip(wanted).enumerate() {
            let error = (got - wanted.value).abs();
            self.zeros += u64::from(got == 0.0);
            self.due += u64::from(got == 0.0 && wanted.value == 0.0 && wanted.scale == 0.0);
            // NaN, on either side, is not within.
            let within = error <= wanted.allow;
            if !within {
                self.wrong += 1;
                self.first.get_or_insert((first + index, got, *wanted));
            }
            match error == 0.0 {
                true => self.exact += 1,
                false => {
                    self.worst = self.worst.max(error / wanted.allow);
                    self.errors[bin(error / wanted.scale)] += 1;
                }
            }
        }
        // An answer of another length than its reference is wrong where it ends.
        self.compared += wanted.len() as u64;
        if let Some(missing) = wanted.get(got.len()) {
            self.wrong += (wanted.len() - got.len()) as u64;
            self.first.get_or_insert((first + got.len(), f64::NAN, *missing));
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.compared += other.compared;
        self.zeros += other.zeros;
        self.due += other.due;
        self.wrong += other.wrong;
        self.first = self.first.or(other.first);
        self.worst = self.worst.max(other.worst);
        self.exact += other.exact;
        self.errors.iter_mut().zip(&other.errors).for_each(|(sum, count)| *sum += count);
    }

    /// Median of |got - reference| / scale, to a twelfth of its size.
    fn median(&self) -> f64 {
        let mut left = (self.exact + self.errors.iter().sum::<u64>()).div_ceil(2);
        if left <= self.exact {
            return 0.0;
        }
        left -= self.exact;
        let below = |count: &u64| {
            let enough = left <= *count;
            left = left.saturating_sub(*count);
            enough
        };
        let bin = self.errors.iter().position(below).unwrap_or(BINS - 1);
        let (octave, step) = (bin / STEPS, bin % STEPS);
        2f64.powi(LEAST + octave as i32) * (1.0 + (step as f64 + 0.5) / STEPS as f64)
    }

    fn fell_back(&self, dtype: DType) -> bool {
        dtype == DType::F32 && self.median() > F32_MEDIAN
    }

    /// The first wrong element, if there is one.
    pub(super) fn judge(&self, value: &Value) -> Result<(), Wrong> {
        let Some((index, got, wanted)) = self.first else { return Ok(()) };
        let dtype = value.spec.dtype;
        let fell_back_precision = self.fell_back(dtype) && !got.is_nan() && self.zeros < self.compared;
        Err(Wrong {
            value: value.name.clone(),
            index,
            got,
            wanted: wanted.value,
            allowed: wanted.allow,
            wrong: self.wrong,
            compared: self.compared,
            remark: match () {
                () if is_sentinel(got, dtype) => ": nothing was written there",
                () if self.zeros == self.compared => ": the answer is all zeros",
                () if fell_back_precision => {
                    ": it looks like a lower precision than was asked for, such as tf32 or bf16"
                }
                () => "",
            },
            fell_back_precision,
        })
    }

    pub(super) fn add_to(&self, sum: &mut Verification, dtype: DType) {
        sum.elements += self.compared;
        sum.worst = sum.worst.max(self.worst);
        sum.median_relative = sum.median_relative.max(self.median());
        sum.fell_back_precision |= self.fell_back(dtype);
        let (zeros, others) = (self.zeros - self.due, self.compared - self.due);
        sum.mistrusted |= (self.due > 0 && others == 0) || zeros as f64 > ZEROS * others as f64;
    }
}

/// What a reset leaves in a value of this type.
pub(super) fn is_sentinel(got: f64, dtype: DType) -> bool {
    if dtype.is_float() {
        got.is_nan()
    } else {
        got == HostArray::from_f64(dtype, [f64::MIN].into_iter()).to_f64(0..1)[0]
    }
}

/// The bin of a ratio, from the head of its binary64: the exponent and three digits.
fn bin(ratio: f64) -> usize {
    const OFFSET: u64 = ((1023 + LEAST) as u64) * STEPS as u64;
    if ratio.is_nan() {
        return BINS - 1;
    }
    ((ratio.abs().to_bits() >> 49).saturating_sub(OFFSET) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(errors: &[f64]) -> Tally {
        let mut tally = Tally::default();
        let wanted = vec![Expected { value: 1.0, allow: 0.5, scale: 2.0 }; errors.len()];
        let got: Vec<f64> = errors.iter().map(|error| 1.0 + error).collect();
        tally.compare(0, &got, &wanted);
        tally
    }

    #[test]
    fn the_median_is_right_to_a_twelfth() {
        for (errors, want) in [
            (&[0.0, 0.0, 0.5][..], 0.0),
            (&[0.25, 0.25, 0.0], 0.125),
            (&[1e-6, 2e-6, 0.25], 1e-6),
            (&[1.5e-3, 1.5e-3, -1.5e-3, 0.0], 7.5e-4),
        ] {
            let median = tally(errors).median();
            assert!((median - want).abs() <= want / 12.0, "{errors:?}: {median}");
        }
    }

    #[test]
    fn halves_add_up_to_the_whole() {
        let mut sum = tally(&[0.0, 0.1, 0.7]);
        sum.add(&tally(&[0.2, -0.9]));
        let whole = tally(&[0.0, 0.1, 0.7, 0.2, -0.9]);
        assert_eq!((sum.compared, sum.wrong, sum.worst), (5, 2, whole.worst));
        assert_eq!(sum.median(), whole.median());
        assert_eq!(sum.first.map(|(index, ..)| index), Some(2));
    }

    #[test]
    fn an_answer_that_ends_early_is_wrong_where_it_ends() {
        let mut short = Tally::default();
        short.compare(10, &[1.0], &[Expected::exact(1.0), Expected::exact(0.0)]);
        assert_eq!((short.wrong, short.first.map(|(index, ..)| index)), (1, Some(11)));
    }
}
