//! Sums over all rows, or over all pixels: the gradients of biases.

use super::shapes::{ShapeError, Shapes, row, wide};
use super::{Arg, Expected, Operation, Work};
use crate::tensor::ValueSpec;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// y(c) = sum of column c of x `[.., columns]`, in f32 (f64 of f64).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnSum {}

/// y(c) = sum of channel c of images x `[images, channels, rows, columns]`, in f32 (f64 of f64). Of images whose
/// channels stand last it is a [`ColumnSum`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChannelSum {}

/// Roundoffs that a sum of `terms` numbers may gather, in units of the sum of their sizes: log2(terms) of pairwise
/// sums (Higham, "Accuracy and Stability of Numerical Algorithms", §4.2), and 8 for the blocks that a backend
/// adds one by one at the bottom, whose errors have random signs. One plain loop over many numbers of one sign
/// is not within it, and should not be.
pub(super) fn blocked_terms(terms: usize) -> f64 {
    8.0 + (terms as f64).log2()
}

fn sum_of(x: impl Iterator<Item = f64>, terms: usize, spec: &ValueSpec) -> Vec<Vec<Expected>> {
    let (sum, size) = x.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
    let dtype = wide(spec.dtype);
    vec![vec![Expected::rounded(sum, blocked_terms(terms) * dtype.roundoff() * size, size, dtype)]]
}

impl Operation for ColumnSum {
    fn name(&self) -> &'static str {
        "column_sum"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 1)?;
        shapes.all_float()?;
        shapes.require(!args[0].shape.is_empty(), "takes rows, not a scalar")?;
        Ok(vec![ValueSpec::new(&[args[0].columns()], wide(args[0].dtype))])
    }

    fn work(&self, args: &[ValueSpec]) -> Work {
        Work::of(args[0].elements() as u64, args, &self.outputs(args).unwrap_or_default())
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[0].columns()
    }

    fn writes(&self, _: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(1, unit)]
    }

    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let spec = args[0].spec;
        let column = args[0].at(0..spec.elements()).iter().skip(unit).step_by(spec.columns());
        sum_of(column.copied(), spec.rows(), spec)
    }
}

impl Operation for ChannelSum {
    fn name(&self) -> &'static str {
        "channel_sum"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 1)?;
        shapes.all_float()?;
        shapes.require(args[0].shape.len() == 4, "images need four axes")?;
        Ok(vec![ValueSpec::new(&args[0].shape[1..2], wide(args[0].dtype))])
    }

    fn work(&self, args: &[ValueSpec]) -> Work {
        Work::of(args[0].elements() as u64, args, &self.outputs(args).unwrap_or_default())
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[0].shape[1]
    }

    fn writes(&self, _: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(1, unit)]
    }

    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let spec = args[0].spec;
        let (channels, pixels) = (spec.shape[1], spec.shape[2] * spec.shape[3]);
        let planes = args[0].at(0..spec.elements()).chunks_exact(pixels).skip(unit).step_by(channels);
        sum_of(planes.flatten().copied(), spec.elements() / channels, spec)
    }
}
