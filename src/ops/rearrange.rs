//! The same elements in another order: heads out of rows of tokens and back, images as rows.

use super::shapes::{ShapeError, Shapes, run, runs};
use super::{Arg, Expected, Operation, Work};
use crate::tensor::ValueSpec;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// y = x with its axes in another order, bit for bit.
///
/// The arguments, of one shape and one floating-point type, are taken one after another and seen as `split`. Axis i
/// of the answer is axis `order(i)` of that. The answer is cut into pieces of the shape `output`, which are the
/// outputs in order. The gradient is the op that goes back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rearrange {
    /// Extents of all arguments together.
    pub split: Vec<usize>,
    /// Which axis of `split` stands where.
    pub order: Vec<usize>,
    /// Shape of each output.
    pub output: Vec<usize>,
}

/// Runs of neighbouring elements that stay together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RearrangeRuns {
    /// Elements of a run; runs fill arguments and outputs.
    pub len: usize,
    /// For each axis of the answer, in runs: its extent, and how far apart its neighbours were.
    axes: Vec<[usize; 2]>,
}

impl RearrangeRuns {
    /// For each axis of the answer, in runs: its extent, and how far apart its neighbours were.
    pub fn axes(&self) -> &[[usize; 2]] {
        &self.axes
    }

    /// The run of all arguments that is run `number` of all outputs.
    pub fn source(&self, mut number: usize) -> usize {
        let mut source = 0;
        for [extent, stride] in self.axes.iter().rev() {
            source += number % extent * stride;
            number /= extent;
        }
        source
    }
}

impl Rearrange {
    /// Most arguments, and most outputs.
    pub const PIECES: usize = 8;

    /// The same elements in another shape.
    pub fn reshape(elements: usize, output: &[usize]) -> Self {
        Self { split: vec![elements], order: vec![0], output: output.to_vec() }
    }

    /// What stays together. The arguments fit.
    pub fn runs(&self, args: &[ValueSpec]) -> RearrangeRuns {
        let pieces = [args.first().map_or(1, ValueSpec::elements), self.output.iter().product()];
        let (mut len, mut rank) = (1, self.split.len());
        // The first axis is left, so that threads have something to share.
        while rank > 1 && self.order[rank - 1] == rank - 1 {
            let longer = len * self.split[rank - 1];
            if pieces.iter().any(|piece| piece % longer != 0) {
                break;
            }
            (len, rank) = (longer, rank - 1);
        }
        let stride = |axis: usize| self.split[axis + 1..rank].iter().product();
        let axes = self.order[..rank].iter().map(|&axis| [self.split[axis], stride(axis)]).collect();
        RearrangeRuns { len, axes }
    }

    fn is_order(&self) -> bool {
        let mut seen = vec![false; self.split.len()];
        let once = |&axis: &usize| seen.get_mut(axis).is_some_and(|seen| !std::mem::replace(seen, true));
        self.order.len() == self.split.len() && self.order.iter().all(once)
    }
}

/// The product of extents, unless it is beyond the address space.
fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent))
}

impl Operation for Rearrange {
    fn name(&self) -> &'static str {
        "rearrange"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, args.len().max(1))?;
        shapes.all_float()?;
        shapes.require(
            args.iter().all(|arg| *arg == args[0]),
            "its arguments must have one shape and one type",
        )?;
        shapes.require(self.is_order(), "the order must name each axis once")?;
        let whole = elements(&self.split);
        let fits = whole.is_some() && whole == args[0].elements().checked_mul(args.len());
        shapes.require(fits, "the axes must have as many elements as the arguments together")?;
        let (whole, piece) = (whole.unwrap_or(0), elements(&self.output).unwrap_or(0));
        shapes.require(
            piece > 0 && whole.is_multiple_of(piece),
            "the outputs must share the elements evenly",
        )?;
        let few = args.len() <= Self::PIECES && whole / piece <= Self::PIECES;
        shapes.require(few, "there are too many arguments or outputs")?;
        let output = shapes.output(&self.output, args[0].dtype)?;
        Ok(vec![output; whole / piece])
    }

    fn work(&self, args: &[ValueSpec]) -> Work {
        Work::of(0, args, &self.outputs(args).unwrap_or_default())
    }

    // The same elements of every output.
    fn units(&self, _: &[ValueSpec]) -> usize {
        runs(elements(&self.output).unwrap_or(0))
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        self.outputs(args)
            .map_or(vec![], |outputs| outputs.iter().map(|output| run(output.elements(), unit)).collect())
    }

    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let specs = super::expected::specs(args);
        let (runs, each) = (self.runs(&specs), args[0].spec.elements());
        let whole: Vec<&[f64]> = args.iter().map(|arg| arg.at(0..each)).collect();
        let writes = self.writes(&specs, unit).into_iter().enumerate();
        let of_output = |(output, range): (usize, Range<usize>)| -> Vec<Expected> {
            let first = output * elements(&self.output).unwrap_or(0);
            let element = |at: usize| {
                let source = runs.source((first + at) / runs.len) * runs.len + (first + at) % runs.len;
                Expected::exact(whole[source / each][source % each])
            };
            range.map(element).collect()
        };
        writes.map(of_output).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    #[test]
    fn heads_go_out_and_come_back() {
        // Two sequences of 3 tokens, q and k of 2 heads of 4.
        let out = Rearrange { split: vec![2, 3, 2, 2, 4], order: vec![2, 0, 3, 1, 4], output: vec![4, 3, 4] };
        let back = Rearrange { split: vec![2, 2, 2, 3, 4], order: vec![1, 3, 0, 2, 4], output: vec![6, 16] };
        let x = ValueSpec::new(&[6, 16], DType::F32);
        let heads = out.outputs(std::slice::from_ref(&x)).unwrap();
        assert_eq!(heads, vec![ValueSpec::new(&[4, 3, 4], DType::F32); 2]);
        assert_eq!(out.runs(std::slice::from_ref(&x)).len, 4);
        let data: Vec<f64> = (0..96).map(f64::from).collect();
        let values = |op: &Rearrange, args: &[Arg]| -> Vec<Vec<f64>> {
            let answer = op.reference(args, 0).into_iter();
            answer.map(|output| output.iter().map(|x| x.value).collect()).collect()
        };
        let made = values(&out, &[Arg::whole(&x, &data)]);
        // Token 1 of sequence 0, head 1 of k.
        assert_eq!(made[1][(3 + 1) * 4..][..4], data[16 + 8 + 4..][..4]);
        let args = [Arg::whole(&heads[0], &made[0]), Arg::whole(&heads[1], &made[1])];
        assert_eq!(values(&back, &args), [data]);
    }
}
