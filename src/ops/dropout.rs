//! Dropout with masks that every backend draws alike (Srivastava and others, "Dropout: A Simple Way to Prevent
//! Neural Networks from Overfitting", 2014, in the inverted form: what stays is scaled up).

use super::shapes::{ShapeError, Shapes, run, runs, wide};
use super::{Arg, Expected, Operation, Work};
use crate::random;
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// y = x / (1 - rate) where the element stays, else 0. Its gradient is the same op on dy.
///
/// Arguments x `[..]` and step i32 `[1]`, the number of the training step. Element `index` is dropped where the
/// top 24 bits of [`random::bits`]`(seed, step, index)` are below [`Dropout::threshold`], with the step's 32 bits
/// as an unsigned number: a new mask each step, and the same one on every backend and in the backward pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// Probability that an element is dropped, in [0, 1).
    pub rate: f64,
    /// Tells apart the masks of one step.
    pub seed: u64,
}

impl Dropout {
    /// Elements are dropped whose 24 bits are below it: the rate in units of 2^-24.
    pub fn threshold(&self) -> u32 {
        (self.rate * f64::from(1 << 24)).round() as u32
    }

    /// Factor of what stays.
    pub fn factor(&self) -> f64 {
        1.0 / (1.0 - self.rate)
    }

    /// What all elements of the mask of a step share.
    pub fn key_of(seed: u64, step: i32) -> u64 {
        random::key(seed, u64::from(step.cast_unsigned()))
    }

    /// Whether the element at `index` stays in the mask of [`Self::key_of`].
    #[inline(always)]
    pub fn stays(key: u64, index: usize, threshold: u32) -> bool {
        (random::element(key, index as u64) >> 40) as u32 >= threshold
    }
}

impl Operation for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 2)?;
        shapes.require(args[0].dtype.is_float(), "takes floating-point x")?;
        shapes.require(args[1] == ValueSpec::new(&[1], DType::I32), "the step must be i32 [1]")?;
        shapes.require((0.0..1.0).contains(&self.rate), "the rate must be in [0, 1)")?;
        Ok(vec![args[0].clone()])
    }

    // One product; what draws the mask is no arithmetic of the answer.
    fn work(&self, args: &[ValueSpec]) -> Work {
        Work::of(args[0].elements() as u64, args, &args[..1])
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        runs(args[0].elements())
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit), 0..1]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit)]
    }

    // What is dropped is 0 exactly; what stays has the roundings of the factor and of the product.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let spec = args[0].spec;
        let range = run(spec.elements(), unit);
        let (key, threshold) = (Self::key_of(self.seed, args[1].at(0..1)[0] as i32), self.threshold());
        let element = |(index, x): (usize, &f64)| {
            if !Self::stays(key, index, threshold) {
                return Expected::exact(0.0);
            }
            let y = self.factor() * x;
            Expected::rounded(y, 2.0 * wide(spec.dtype).roundoff() * y.abs(), y.abs(), spec.dtype)
        };
        vec![range.clone().zip(args[0].at(range)).map(element).collect()]
    }
}
