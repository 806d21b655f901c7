//! What ops have in common whose answer at a place depends on their arguments at that place.

use super::shapes::{ShapeError, Shapes, run, runs};
use super::{Arg, Expansion, Expected, Operation, Work};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use std::ops::Range;

/// An op on streams of one shape and one floating-point type, and perhaps a row that is repeated over theirs:
/// the last argument. The answer has the shape of a stream.
pub(super) trait Pointwise: std::fmt::Debug + Sync {
    /// Name of the op.
    const NAME: &'static str;
    /// Arguments of the answer's shape.
    const STREAMS: usize;
    /// One more argument is a row `[columns]`.
    const ROW: bool = false;

    /// Operations an element; a function call counts as one.
    fn flops(&self) -> u64;

    /// Whether the attributes make sense.
    fn check(&self, shapes: &Shapes) -> Result<(), ShapeError> {
        let _ = shapes;
        Ok(())
    }

    /// Type of the answer.
    fn output(&self, input: DType) -> DType {
        input
    }

    /// As [`Operation::fill`].
    fn fill(&self, arg: usize) -> Fill {
        let _ = arg;
        Fill::UNIT
    }

    /// The answer at a place, from the arguments there, which have the type `dtype`.
    fn element(&self, x: &[f64], dtype: DType) -> Expected;

    /// As [`Operation::expand`].
    fn expand(&self) -> Option<Expansion> {
        None
    }
}

impl<T: Pointwise> Operation for T {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(T::NAME, args, T::STREAMS + usize::from(T::ROW))?;
        shapes.all_float()?;
        self.check(&shapes)?;
        let (streams, rows) = args.split_at(T::STREAMS);
        let alike = streams.iter().all(|arg| *arg == streams[0]);
        shapes.require(alike, "its arguments must have one shape and one type")?;
        let fits = |row: &ValueSpec| row.shape[..] == [streams[0].columns()] && row.dtype == streams[0].dtype;
        shapes.require(
            rows.iter().all(fits),
            "the bias must have the type and the columns of the first argument",
        )?;
        let output = self.output(streams[0].dtype);
        shapes.require(output.is_float(), "answers in a floating-point type")?;
        Ok(vec![shapes.output(&streams[0].shape, output)?])
    }

    fn work(&self, args: &[ValueSpec]) -> Work {
        let flops = self.flops().saturating_mul(args[0].elements() as u64);
        Work::of(flops, args, &self.outputs(args).unwrap_or_default())
    }

    fn fill(&self, arg: usize, _: &ValueSpec) -> Fill {
        Pointwise::fill(self, arg)
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        runs(args[0].elements())
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let streams = std::iter::repeat_n(run(args[0].elements(), unit), T::STREAMS);
        streams.chain(args[T::STREAMS..].iter().map(|row| 0..row.elements())).collect()
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit)]
    }

    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let spec = args[0].spec;
        let range = run(spec.elements(), unit);
        let (streams, rows) = args.split_at(T::STREAMS);
        let streams: Vec<&[f64]> = streams.iter().map(|arg| arg.at(range.clone())).collect();
        let row = rows.first().map(|row| row.at(0..spec.columns()));
        let mut x = vec![];
        let answer = range.enumerate().map(|(place, index)| {
            x.clear();
            x.extend(streams.iter().map(|stream| stream[place]));
            x.extend(row.map(|row| row[index % row.len()]));
            self.element(&x, spec.dtype)
        });
        vec![answer.collect()]
    }

    fn expand(&self, _: &[ValueSpec]) -> Option<Expansion> {
        Pointwise::expand(self)
    }
}
