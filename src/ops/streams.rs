//! Element-wise ops that memory bandwidth limits.

use super::shapes::{ShapeError, Shapes, run, runs};
use super::{Arg, Expected, Operation, Work};
use crate::tensor::ValueSpec;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// y = x, bit for bit. Any type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Copied {}

/// a = b + scale c, as in McCalpin's STREAM. Arguments b and c of one shape and type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Triad {
    /// Factor of c.
    pub scale: f64,
}

/// z = x + y. Arguments of one shape and type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Add {}

/// y = x + bias. x is `[.., columns]`, bias is `[columns]` and is added to every row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BiasAdd {}

/// An answer of the shape and type of the first argument, with `flops` operations an element.
fn element_work(flops: u64, args: &[ValueSpec]) -> Work {
    Work::of(flops.saturating_mul(args[0].elements() as u64), args, &args[..1])
}

/// The arguments have one shape and one floating-point type, which the answer shares.
fn alike(op: &'static str, args: &[ValueSpec], factors: &[f64]) -> Result<Vec<ValueSpec>, ShapeError> {
    let shapes = Shapes::new(op, args, 2)?;
    shapes.all_float()?;
    shapes.finite(factors)?;
    shapes.require(args[0] == args[1], "its arguments must have one shape and one type")?;
    Ok(vec![args[0].clone()])
}

/// Applies `answer` to pairs of elements of run number `unit`.
fn zip_run(args: &[Arg], unit: usize, answer: impl Fn(f64, f64) -> Expected) -> Vec<Vec<Expected>> {
    let range = run(args[0].spec.elements(), unit);
    let pairs = args[0].at(range.clone()).iter().zip(args[1].at(range));
    vec![pairs.map(|(&x, &y)| answer(x, y)).collect()]
}

impl Operation for Copied {
    fn name(&self) -> &'static str {
        "copy"
    }
    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        Shapes::new(self.name(), args, 1)?;
        Ok(args.to_vec())
    }
    fn work(&self, args: &[ValueSpec]) -> Work {
        element_work(0, args)
    }
    fn units(&self, args: &[ValueSpec]) -> usize {
        runs(args[0].elements())
    }
    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit)]
    }
    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        self.reads(args, unit)
    }
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let range = run(args[0].spec.elements(), unit);
        vec![args[0].at(range).iter().map(|&x| Expected::exact(x)).collect()]
    }
}

impl Operation for Triad {
    fn name(&self) -> &'static str {
        "triad"
    }
    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        alike(self.name(), args, &[self.scale])
    }
    fn work(&self, args: &[ValueSpec]) -> Work {
        element_work(2, args)
    }
    fn units(&self, args: &[ValueSpec]) -> usize {
        runs(args[0].elements())
    }
    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit); 2]
    }
    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit)]
    }
    // The factor's own rounding and the product's, unless a fused multiply-add leaves that out.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let dtype = args[0].spec.dtype;
        zip_run(args, unit, |b, c| {
            let product = self.scale * c;
            let error = 2.0 * dtype.roundoff() * product.abs();
            Expected::rounded(b + product, error, b.abs() + product.abs(), dtype)
        })
    }
}

impl Operation for Add {
    fn name(&self) -> &'static str {
        "add"
    }
    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        alike(self.name(), args, &[])
    }
    fn work(&self, args: &[ValueSpec]) -> Work {
        element_work(1, args)
    }
    fn units(&self, args: &[ValueSpec]) -> usize {
        runs(args[0].elements())
    }
    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit); 2]
    }
    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit)]
    }
    // One correctly rounded addition.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let dtype = args[0].spec.dtype;
        zip_run(args, unit, |x, y| Expected::rounded(x + y, 0.0, x.abs() + y.abs(), dtype))
    }
}

/// x `[.., columns]` and bias `[columns]` of one floating-point type.
pub(super) fn biased(op: &'static str, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
    let shapes = Shapes::new(op, args, 2)?;
    shapes.all_float()?;
    let [x, bias] = args else { return Err(shapes.wrong("takes 2 arguments")) };
    let fits = bias.shape[..] == [x.columns()] && bias.dtype == x.dtype;
    shapes.require(fits, "the bias must have the type and the columns of the first argument")?;
    Ok(vec![x.clone()])
}

/// Pairs of x and the bias of its column, of run number `unit`.
pub(super) fn biased_run<'a>(args: &[Arg<'a>], unit: usize) -> impl Iterator<Item = (f64, f64)> + 'a {
    let columns = args[0].spec.columns();
    let (range, bias) = (run(args[0].spec.elements(), unit), args[1].at(0..columns));
    range.clone().zip(args[0].at(range)).map(move |(index, &x)| (x, bias[index % columns]))
}

impl Operation for BiasAdd {
    fn name(&self) -> &'static str {
        "bias_add"
    }
    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        biased(self.name(), args)
    }
    fn work(&self, args: &[ValueSpec]) -> Work {
        element_work(1, args)
    }
    fn units(&self, args: &[ValueSpec]) -> usize {
        runs(args[0].elements())
    }
    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit), 0..args[1].elements()]
    }
    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit)]
    }
    // One correctly rounded addition.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let dtype = args[0].spec.dtype;
        let expected = biased_run(args, unit)
            .map(|(x, bias)| Expected::rounded(x + bias, 0.0, x.abs() + bias.abs(), dtype));
        vec![expected.collect()]
    }
}
