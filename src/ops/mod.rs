//! The vocabulary of computations. An op is data: what is computed, its work on paper, the slow and
//! obvious answer. Never how it runs.
//!
//! Adding an op is a file here, an arm in [`Op`] and one in [`Op::operation`]. Backends match on [`Op`]
//! and end with `_ => Err(Unsupported)`, so none of them has to change.

mod gemm;

pub use gemm::{Gemm, GemmDims};

use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};

/// Work that a computation must do on any device: the numerator of every rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Arithmetic operations; a multiply-add counts as two.
    pub flops: u64,
    /// Compulsory reads: each input byte that the answer depends on, once.
    pub bytes_read: u64,
    /// Compulsory writes: each output byte, once.
    pub bytes_written: u64,
}

impl Work {
    /// Compulsory traffic in both directions.
    pub fn bytes(self) -> u64 {
        self.bytes_read.saturating_add(self.bytes_written)
    }

    /// `flops` over inputs and outputs that are each touched once.
    pub fn of(flops: u64, inputs: &[ValueSpec], outputs: &[ValueSpec]) -> Self {
        let total =
            |specs: &[ValueSpec]| specs.iter().fold(0u64, |sum, spec| sum.saturating_add(spec.bytes()));
        Self { flops, bytes_read: total(inputs), bytes_written: total(outputs) }
    }
}

impl std::ops::Add for Work {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            flops: self.flops.saturating_add(other.flops),
            bytes_read: self.bytes_read.saturating_add(other.bytes_read),
            bytes_written: self.bytes_written.saturating_add(other.bytes_written),
        }
    }
}

/// Why an op cannot take its arguments, in one sentence that names the op and the shapes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ShapeError(pub String);

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

/// An argument of a reference computation: its spec and all of its elements in f64.
#[derive(Clone, Copy, Debug)]
pub struct Arg<'a> {
    /// Shape and stored type; the elements are already rounded to it.
    pub spec: &'a ValueSpec,
    /// Elements, row-major.
    pub data: &'a [f64],
}

/// A step of an expansion: argument numbers `0..args` are the fused op's arguments, later numbers the
/// outputs of earlier steps of the expansion in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    /// What to compute.
    pub op: Op,
    /// Which values it reads.
    pub args: Vec<usize>,
}

/// What every op must say about itself.
///
/// An answer is cut into independent *units* (a row of a product, one row of a softmax, a run of
/// elements) so that a large answer can be checked at a sample of units.
pub trait Operation: std::fmt::Debug {
    /// Name used in suites, records and messages.
    fn name(&self) -> &'static str;
    /// What the outputs look like, or why these arguments do not fit.
    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError>;
    /// Work on paper. The arguments have been accepted by [`Self::outputs`].
    fn work(&self, args: &[ValueSpec]) -> Work;
    /// What a random input in position `arg` should hold.
    fn fill(&self, arg: usize, spec: &ValueSpec) -> Fill {
        let _ = arg;
        Fill::natural(spec.dtype)
    }
    /// Number of independent units of the answer.
    fn units(&self, args: &[ValueSpec]) -> usize;
    /// The f64 answer of one unit, one vector per output; concatenated over all units these are the
    /// outputs. The file that implements it says where the error bound comes from.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>>;
    /// The same computation in smaller ops, for a backend that lacks this one. The last step's outputs
    /// are the op's outputs.
    fn expand(&self, args: &[ValueSpec]) -> Option<Vec<Expansion>> {
        let _ = args;
        None
    }
}

/// One computation, about the size of a vendor library's call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Op {
    /// D = alpha A B + beta C.
    Gemm(Gemm),
}

impl Op {
    /// The op's own description of itself.
    pub fn operation(&self) -> &dyn Operation {
        match self {
            Self::Gemm(op) => op,
        }
    }
}

/// Relative error that `terms` roundings to `dtype` can add up to, with a factor for the order of
/// summation that a library may choose (Higham, "Accuracy and Stability of Numerical Algorithms", §3).
pub fn rounding(dtype: DType, terms: f64) -> f64 {
    terms * dtype.roundoff()
}
