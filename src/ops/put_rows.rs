//! Rows written into a matrix: what a new token adds to the keys and values of those before it.

use super::shapes::{ShapeError, Shapes, row};
use super::{Arg, Expected, Operation, Work};
use crate::tensor::ValueSpec;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// y = x, with rows `at` to `at + n` of each matrix taken from r, bit for bit.
///
/// x is `[.., rows, columns]`, r `[.., n, columns]` of the same type, with the same leading axes. Where x is carried
/// and y is what it becomes, a backend writes n rows and leaves the others where they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PutRows {
    /// The first row that is replaced.
    pub at: usize,
}

/// Extents of x and r.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutRowsDims {
    /// Matrices.
    pub batch: usize,
    /// Rows of one of x.
    pub rows: usize,
    /// Rows of one of r.
    pub new: usize,
    /// Elements of a row.
    pub columns: usize,
}

impl PutRows {
    /// Which argument and which output may be one memory: y over x.
    pub const IN_PLACE: &'static [(usize, usize)] = &[(0, 0)];

    /// Extents of x and r, which `args` are.
    pub fn dims(&self, args: &[ValueSpec]) -> Result<PutRowsDims, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 2)?;
        shapes.all_float()?;
        let [x, r] = [&args[0], &args[1]];
        let rank = x.shape.len();
        let alike = rank >= 2
            && r.shape.len() == rank
            && x.dtype == r.dtype
            && x.shape[..rank - 2] == r.shape[..rank - 2]
            && x.columns() == r.columns();
        shapes.require(alike, "x and r must be alike but for their number of rows")?;
        let [rows, new] = [x, r].map(|arg| arg.shape[rank - 2]);
        let fits = self.at.checked_add(new).is_some_and(|end| end <= rows);
        shapes.require(fits, "the new rows must lie inside x")?;
        Ok(PutRowsDims { batch: x.shape[..rank - 2].iter().product(), rows, new, columns: x.columns() })
    }

    /// Where row `row` of y comes from: a row of x, or a row of r.
    fn source(&self, dims: &PutRowsDims, row: usize) -> Result<usize, usize> {
        let (matrix, inside) = (row / dims.rows, row % dims.rows);
        match inside.checked_sub(self.at) {
            Some(new) if new < dims.new => Err(matrix * dims.new + new),
            _ => Ok(row),
        }
    }
}

impl Operation for PutRows {
    fn name(&self) -> &'static str {
        "put_rows"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        self.dims(args)?;
        Ok(vec![args[0].clone()])
    }

    // The rows that stay need not be touched.
    fn work(&self, args: &[ValueSpec]) -> Work {
        Work::of(0, &args[1..], &args[1..])
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        args[0].rows()
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let Ok(dims) = self.dims(args) else { return vec![] };
        match self.source(&dims, unit) {
            Ok(of_x) => vec![row(dims.columns, of_x), 0..0],
            Err(of_r) => vec![0..0, row(dims.columns, of_r)],
        }
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![row(args[0].columns(), unit)]
    }

    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let specs = super::expected::specs(args);
        let Ok(dims) = self.dims(&specs) else { return vec![vec![]] };
        let from = match self.source(&dims, unit) {
            Ok(of_x) => args[0].at(row(dims.columns, of_x)),
            Err(of_r) => args[1].at(row(dims.columns, of_r)),
        };
        vec![from.iter().map(|&x| Expected::exact(x)).collect()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    #[test]
    fn new_rows_stand_where_they_were_put_in_every_matrix() {
        let [x, r] = [[2, 3, 2], [2, 1, 2]].map(|shape| ValueSpec::new(&shape, DType::F32));
        let old: Vec<f64> = (0..12).map(f64::from).collect();
        let new = [100.0, 101.0, 102.0, 103.0];
        let args = [Arg::whole(&x, &old), Arg::whole(&r, &new)];
        let op = PutRows { at: 1 };
        let made: Vec<f64> =
            (0..6).flat_map(|unit| op.reference(&args, unit)).flatten().map(|x| x.value).collect();
        assert_eq!(made, [0.0, 1.0, 100.0, 101.0, 4.0, 5.0, 6.0, 7.0, 102.0, 103.0, 10.0, 11.0]);
        assert_eq!(op.work(&[x, r]), Work { flops: 0, bytes_read: 16, bytes_written: 16, spared: 0 });
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        let f = |shape: &[usize]| ValueSpec::new(shape, DType::F32);
        for (at, x, r, why) in [
            (3, f(&[3, 2]), f(&[1, 2]), "inside x"),
            (usize::MAX, f(&[3, 2]), f(&[1, 2]), "inside x"),
            (0, f(&[3, 2]), f(&[1, 3]), "alike"),
            (0, f(&[2, 3, 2]), f(&[1, 3, 2]), "alike"),
            (0, f(&[3]), f(&[3]), "alike"),
            (0, f(&[3, 2]), ValueSpec::new(&[1, 2], DType::Bf16), "alike"),
        ] {
            let said = PutRows { at }.outputs(&[x, r]).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
