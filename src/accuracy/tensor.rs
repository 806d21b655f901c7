//! Values and ops on them, computed by the ops' own references.

use crate::ops::{Arg, Op};
use crate::program::whole_reference;
use crate::tensor::{DType, HostArray, ValueSpec};

/// A value with its elements, rounded to its type.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) spec: ValueSpec,
    pub(super) data: Vec<f64>,
}

impl Tensor {
    /// Elements in row order, each rounded to `dtype`.
    pub(super) fn new(shape: &[usize], dtype: DType, data: impl IntoIterator<Item = f64>) -> Self {
        let data = HostArray::from_f64(dtype, data.into_iter());
        Self { spec: ValueSpec::new(shape, dtype), data: data.to_f64(0..data.len()) }
    }

    /// The largest magnitude.
    pub(super) fn amax(&self) -> f64 {
        self.data.iter().fold(0.0, |max, x| max.max(x.abs()))
    }
}

/// The outputs of an op by its reference.
pub(super) fn apply(op: Op, args: &[&Tensor]) -> Vec<Tensor> {
    let specs: Vec<ValueSpec> = args.iter().map(|arg| arg.spec.clone()).collect();
    let views: Vec<Arg> = args.iter().map(|arg| Arg::whole(&arg.spec, &arg.data)).collect();
    let outputs = op.operation().outputs(&specs).unwrap_or_default();
    let answers = whole_reference(op.operation(), &views);
    let round = |(spec, data): (ValueSpec, Vec<f64>)| Tensor::new(&spec.shape, spec.dtype, data);
    outputs.into_iter().zip(answers).map(round).collect()
}
