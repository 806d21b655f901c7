//! Ops over rows.

use super::{Call, Plain};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::loaded::Kernel;
use crate::ops::{AddLayerNorm, LayerNorm, PutRows, Rearrange, Softmax};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// Softmax, with scale and mask.
pub(super) fn softmax(op: &Softmax, specs: Vec<ValueSpec>) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match (specs[0].dtype, op.output) {
        (DType::F32, DType::F32) => run_softmax::<f32, f32>,
        (DType::F32, DType::Bf16) => run_softmax::<f32, bf16>,
        (DType::F32, DType::F16) => run_softmax::<f32, f16>,
        (DType::Bf16, DType::Bf16) => run_softmax::<bf16, bf16>,
        (DType::F16, DType::F16) => run_softmax::<f16, f16>,
        (x, y) => {
            return Err(Unsupported(format!("cpu/naive has no softmax from {} to {}", x.name(), y.name())));
        }
    };
    let columns = specs[0].columns();
    Ok(Plain::boxed(op.clone(), specs, columns, run))
}

fn run_softmax<X: Float, Y: Float>(call: Call<Softmax>, args: &[View], outs: &mut [ViewMut]) {
    let (shape, columns) = (&call.specs[0].shape, call.specs[0].columns());
    let rows = if shape.len() >= 2 { shape[shape.len() - 2] } else { 1 };
    let scale = call.op.scale as f32;
    let [y, sums @ ..] = outs else { return };
    let rows_of_y = y.slice::<Y>().chunks_exact_mut(columns);
    for (row, (y, x)) in rows_of_y.zip(args[0].slice::<X>().chunks_exact(columns)).enumerate() {
        let seen = if call.op.causal { row % rows + 1 + columns - rows } else { columns };
        let scores = &mut call.scratch[..seen];
        scores.iter_mut().zip(x).for_each(|(score, x)| *score = scale * x.to_f32());
        let log_sum_exp = exponentials(scores);
        y.iter_mut().zip(scores.iter()).for_each(|(y, weight)| *y = Y::from_f32(*weight));
        y[seen..].fill(Y::from_f32(0.0));
        if let Some(sums) = sums.first_mut() {
            sums.slice::<f32>()[row] = log_sum_exp;
        }
    }
}

/// Replaces scores by their exponentials over the sum of these; returns the logarithm of that sum.
pub(super) fn exponentials(scores: &mut [f32]) -> f32 {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - max).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|weight| *weight /= sum);
    max + sum.ln()
}

/// Layer normalisation.
pub(super) fn layer_norm(op: &LayerNorm, specs: Vec<ValueSpec>) -> Result<Box<dyn Kernel>, Unsupported> {
    Plain::by_type(
        op.clone(),
        specs,
        0,
        [run_layer_norm::<f32>, run_layer_norm::<bf16>, run_layer_norm::<f16>],
    )
}

fn run_layer_norm<T: Float>(call: Call<LayerNorm>, args: &[View], outs: &mut [ViewMut]) {
    let [y, means, rstds] = outs else { return };
    normalise(args[0].slice::<T>(), &args[1..], call.op.eps as f32, [y, means, rstds]);
}

/// Layer normalisation of a sum.
pub(super) fn add_layer_norm(
    op: &AddLayerNorm,
    specs: Vec<ValueSpec>,
) -> Result<Box<dyn Kernel>, Unsupported> {
    Plain::by_type(
        op.clone(),
        specs,
        0,
        [run_add_layer_norm::<f32>, run_add_layer_norm::<bf16>, run_add_layer_norm::<f16>],
    )
}

fn run_add_layer_norm<T: Float>(call: Call<AddLayerNorm>, args: &[View], outs: &mut [ViewMut]) {
    let [y, sum, means, rstds] = outs else { return };
    let sum = sum.slice::<T>();
    for ((sum, x), r) in sum.iter_mut().zip(args[0].slice::<T>()).zip(args[1].slice::<T>()) {
        *sum = T::from_f32(x.to_f32() + r.to_f32());
    }
    normalise(sum, &args[2..], call.op.eps as f32, [y, means, rstds]);
}

/// `params` are gain and bias, as long as a row of x.
fn normalise<T: Float>(x: &[T], params: &[View], eps: f32, [y, means, rstds]: [&mut ViewMut; 3]) {
    let [gain, bias] = [0, 1].map(|param| params[param].slice::<T>());
    let columns = gain.len();
    let (means, rstds) = (means.slice::<f32>(), rstds.slice::<f32>());
    let rows = y.slice::<T>().chunks_exact_mut(columns).zip(x.chunks_exact(columns));
    for (row, (y, x)) in rows.enumerate() {
        let count = columns as f32;
        let mean = x.iter().map(|x| x.to_f32()).sum::<f32>() / count;
        let variance = x.iter().map(|x| (x.to_f32() - mean).powi(2)).sum::<f32>() / count;
        let rstd = 1.0 / (variance + eps).sqrt();
        for (((y, x), gain), bias) in y.iter_mut().zip(x).zip(gain).zip(bias) {
            *y = T::from_f32((x.to_f32() - mean) * rstd * gain.to_f32() + bias.to_f32());
        }
        (means[row], rstds[row]) = (mean, rstd);
    }
}

/// The same elements in another order.
pub(super) fn rearrange(op: &Rearrange, specs: Vec<ValueSpec>) -> Result<Box<dyn Kernel>, Unsupported> {
    fn run<T: Float>(call: Call<Rearrange>, args: &[View], outs: &mut [ViewMut]) {
        let (runs, each) = (call.op.runs(call.specs), call.specs[0].elements());
        let mut number = 0;
        for y in outs {
            for y in y.slice::<T>().chunks_exact_mut(runs.len) {
                let source = runs.source(number) * runs.len;
                y.copy_from_slice(&args[source / each].slice::<T>()[source % each..][..runs.len]);
                number += 1;
            }
        }
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

/// Rows written into a matrix.
pub(super) fn put_rows(op: &PutRows, specs: Vec<ValueSpec>) -> Result<Box<dyn Kernel>, Unsupported> {
    fn run<T: Float>(call: Call<PutRows>, args: &[View], outs: &mut [ViewMut]) {
        let Ok(dims) = call.op.dims(call.specs) else { return };
        let (old, new) = (dims.rows * dims.columns, dims.new * dims.columns);
        let y = outs[0].slice::<T>();
        y.copy_from_slice(args[0].slice::<T>());
        for (y, r) in y.chunks_exact_mut(old).zip(args[1].slice::<T>().chunks_exact(new)) {
            y[call.op.at * dims.columns..][..new].copy_from_slice(r);
        }
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}
