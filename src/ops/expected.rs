//! Reference answers: what a correct element is, and how far a backend may be from it.

use crate::tensor::{DType, ValueSpec};
use std::ops::Range;

/// One element of the reference answer and how far a backend may be from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// The answer in f64.
    pub value: f64,
    /// Largest accepted |got - value|.
    pub allow: f64,
    /// The size of what was added up to get here, e.g. sum|a||b| for a product: the scale that errors
    /// are judged by when a lower precision in disguise is looked for.
    pub scale: f64,
}

impl Expected {
    /// An answer that has no rounding error: integers and copies.
    pub fn exact(value: f64) -> Self {
        Self { value, allow: 0.0, scale: value.abs() }
    }

    /// An answer computed with at most `error`, then rounded once to `output`.
    pub fn rounded(value: f64, error: f64, scale: f64, output: DType) -> Self {
        // 1 % covers products of roundoffs, which first-order bounds leave out.
        let error = 1.01 * error;
        let allow = error + output.roundoff() * (value.abs() + error) + output.tiny();
        Self { value, allow, scale }
    }
}

/// An argument of a reference computation: its spec and elements in f64, all of them or a range.
#[derive(Clone, Copy, Debug)]
pub struct Arg<'a> {
    /// Shape and stored type of the whole value; the elements are already rounded to it.
    pub spec: &'a ValueSpec,
    first: usize,
    data: &'a [f64],
}

impl<'a> Arg<'a> {
    /// A whole value, row-major.
    pub fn whole(spec: &'a ValueSpec, data: &'a [f64]) -> Self {
        Self { spec, first: 0, data }
    }

    /// The elements of a value from number `first` on.
    pub fn from(spec: &'a ValueSpec, first: usize, data: &'a [f64]) -> Self {
        Self { spec, first, data }
    }

    /// Elements `range`, numbered as in the whole value.
    pub fn at(&self, range: Range<usize>) -> &'a [f64] {
        &self.data[range.start - self.first..range.end - self.first]
    }
}

/// Specs of several arguments.
pub(super) fn specs(args: &[Arg]) -> Vec<ValueSpec> {
    args.iter().map(|arg| arg.spec.clone()).collect()
}

/// Roundoffs that a sum of `terms` numbers of one sign can gather: the error of each addition is random,
/// so that a plain loop gathers about sqrt(terms), and what is too small beside a long sum is lost, which
/// has one sign and grows with the count. Every blocked or pairwise order gathers less.
pub(super) fn sum_terms(terms: usize) -> f64 {
    8.0 + (terms as f64).sqrt() + terms as f64 / 64.0
}
