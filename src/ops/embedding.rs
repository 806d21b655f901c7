//! Rows of a table by number, and the gradient of the table.

use super::expected::sum_terms;
use super::shapes::{ShapeError, Shapes, row, wide};
use super::{Arg, Expected, Operation, Work};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// y = row ids(i) of the table for each i, bit for bit.
///
/// Arguments table `[rows, columns]` of a floating-point type and ids i32 `[..]`, each from 0 to rows - 1; y is
/// `[.., columns]` of the table's type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Embedding {}

/// The gradient of [`Embedding`]'s table: row r is the sum of the rows of dy whose id is r, and 0 where there is
/// none.
///
/// Arguments dy `[.., columns]` of a floating-point type and ids i32 `[..]`; the answer is `[rows, columns]` in f32
/// (f64 of f64). Sums go up the rows of dy, so that an answer does not change from run to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingGrad {
    /// Rows of the table.
    pub rows: usize,
}

impl Operation for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 2)?;
        let [table, ids] = args else { return Err(shapes.wrong("takes 2 arguments")) };
        shapes
            .require(table.shape.len() == 2 && table.dtype.is_float(), "the table must be rows of numbers")?;
        shapes.require(ids.dtype == DType::I32, "the ids must be i32")?;
        shapes.require(i32::try_from(table.rows()).is_ok(), "the table has more rows than an id can name")?;
        Ok(vec![shapes.output(&[&ids.shape[..], &[table.columns()]].concat(), table.dtype)?])
    }

    // Only the rows that ids name are read: as many as y has, where no two ids are the same.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let y = self.outputs(args).unwrap_or_default();
        let rows = y.iter().map(ValueSpec::bytes).sum::<u64>().min(args[0].bytes());
        let work = Work::of(0, &args[1..], &y);
        Work { bytes_read: work.bytes_read.saturating_add(rows), ..work }
    }

    fn indices(&self, args: &[ValueSpec], arg: usize) -> Option<[i64; 2]> {
        (arg == 1).then(|| [0, args[0].rows() as i64 - 1])
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[1].elements()
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![0..args[0].elements(), row(1, unit)]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(args[0].columns(), unit)]
    }

    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let id = args[1].at(row(1, unit))[0] as usize;
        let found = args[0].at(row(args[0].spec.columns(), id));
        vec![found.iter().map(|&x| Expected::exact(x)).collect()]
    }
}

impl Operation for EmbeddingGrad {
    fn name(&self) -> &'static str {
        "embedding_grad"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 2)?;
        let [dy, ids] = args else { return Err(shapes.wrong("takes 2 arguments")) };
        shapes.require(dy.dtype.is_float() && !dy.shape.is_empty(), "dy must be rows of numbers")?;
        shapes.require(ids.dtype == DType::I32, "the ids must be i32")?;
        let fits = ids.shape[..] == dy.shape[..dy.shape.len() - 1];
        shapes.require(fits, "dy must have a row for each id")?;
        let named = self.rows > 0 && i32::try_from(self.rows).is_ok();
        shapes.require(named, "the table must have rows, and no more than an id can name")?;
        Ok(vec![shapes.output(&[self.rows, dy.columns()], wide(dy.dtype))?])
    }

    // An addition for each element of dy.
    fn work(&self, args: &[ValueSpec]) -> Work {
        Work::of(args[0].elements() as u64, args, &self.outputs(args).unwrap_or_default())
    }

    fn indices(&self, _: &[ValueSpec], arg: usize) -> Option<[i64; 2]> {
        (arg == 1).then_some([0, self.rows as i64 - 1])
    }

    fn names_units(&self) -> Option<usize> {
        Some(1)
    }

    fn fill(&self, _: usize, spec: &ValueSpec) -> Fill {
        Fill::natural(spec.dtype)
    }

    fn units(&self, _: &[ValueSpec]) -> usize {
        self.rows
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(args[0].columns(), unit)]
    }

    // A plain sum of as many numbers as the id has rows of dy.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let (dy, dtype) = (args[0].spec, wide(args[0].spec.dtype));
        let ids = args[1].at(0..args[1].spec.elements());
        let places: Vec<usize> = (0..ids.len()).filter(|&place| ids[place] == unit as f64).collect();
        let (mut sums, mut sizes) = (vec![0.0; dy.columns()], vec![0.0; dy.columns()]);
        for &place in &places {
            for ((sum, size), x) in sums.iter_mut().zip(&mut sizes).zip(args[0].at(row(dy.columns(), place)))
            {
                *sum += x;
                *size += x.abs();
            }
        }
        // One number, or none, is added to nothing.
        let terms = if places.len() > 1 { sum_terms(places.len()) } else { 0.0 };
        let answer = |(sum, size): (f64, f64)| match places.len() {
            0 => Expected::exact(0.0),
            _ => Expected::rounded(sum, terms * dtype.roundoff() * size, size, dtype),
        };
        vec![sums.into_iter().zip(sizes).map(answer).collect()]
    }
}
