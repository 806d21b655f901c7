//! What arguments must look like, said once for all ops.

use crate::tensor::{DType, ValueSpec};
use std::ops::Range;

/// Why an op cannot take its arguments, in one sentence that names the op and the shapes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ShapeError(pub String);

/// Arguments of an op under examination.
pub(super) struct Shapes<'a> {
    op: &'static str,
    args: &'a [ValueSpec],
}

impl<'a> Shapes<'a> {
    /// Refuses a wrong count, an extent of zero and a size beyond the address space.
    pub(super) fn new(op: &'static str, args: &'a [ValueSpec], wanted: usize) -> Result<Self, ShapeError> {
        let shapes = Self { op, args };
        if args.len() != wanted {
            return Err(shapes.wrong(&format!("takes {wanted} arguments")));
        }
        for arg in args {
            shapes.check_size(arg)?;
        }
        Ok(shapes)
    }

    /// The error that `why` describes.
    pub(super) fn wrong(&self, why: &str) -> ShapeError {
        let shown = |arg: &ValueSpec| format!("{} {:?}", arg.dtype.name(), arg.shape);
        let args: Vec<_> = self.args.iter().map(shown).collect();
        ShapeError(format!("{}: {why} (arguments: {})", self.op, args.join(", ")))
    }

    /// `Ok` where `condition` holds.
    pub(super) fn require(&self, condition: bool, why: &str) -> Result<(), ShapeError> {
        if condition { Ok(()) } else { Err(self.wrong(why)) }
    }

    /// Every argument has a floating-point type.
    pub(super) fn all_float(&self) -> Result<(), ShapeError> {
        self.require(self.args.iter().all(|arg| arg.dtype.is_float()), "takes floating-point arguments")
    }

    /// Attributes are finite numbers.
    pub(super) fn finite(&self, attributes: &[f64]) -> Result<(), ShapeError> {
        self.require(attributes.iter().all(|x| x.is_finite()), "its factors must be finite numbers")
    }

    /// An output, unless it is beyond the address space.
    pub(super) fn output(&self, shape: &[usize], dtype: DType) -> Result<ValueSpec, ShapeError> {
        let spec = ValueSpec::new(shape, dtype);
        self.check_size(&spec)?;
        Ok(spec)
    }

    fn check_size(&self, spec: &ValueSpec) -> Result<(), ShapeError> {
        self.require(!spec.shape.contains(&0), "an extent of zero leaves nothing to compute")?;
        self.require(spec.is_addressable(), "a value is larger than the address space")
    }
}

/// Type of statistics and of arithmetic inside an op on `dtype`: f32, and f64 for f64.
pub(super) fn wide(dtype: DType) -> DType {
    if dtype == DType::F64 { DType::F64 } else { DType::F32 }
}

/// Elements of one unit of an element-wise op: long enough to check fast, short enough to sample.
const RUN: usize = 4096;

/// Number of runs in `elements`.
pub(super) fn runs(elements: usize) -> usize {
    elements.div_ceil(RUN)
}

/// Elements of run number `unit`.
pub(super) fn run(elements: usize, unit: usize) -> Range<usize> {
    unit * RUN..((unit + 1) * RUN).min(elements)
}

/// Elements of row number `unit`.
pub(super) fn row(columns: usize, unit: usize) -> Range<usize> {
    unit * columns..(unit + 1) * columns
}
