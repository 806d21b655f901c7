//! Attention, one query after another.

use super::rows::exponentials;
use super::{Call, Plain};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::loaded::Kernel;
use crate::ops::Attention;
use crate::tensor::ValueSpec;
use half::{bf16, f16};

/// The scratch holds the scores of a query, then its answer.
pub(super) fn prepare(op: &Attention, specs: Vec<ValueSpec>) -> Result<Box<dyn Kernel>, Unsupported> {
    let scratch = specs[1].shape[specs[1].shape.len() - 2] + specs[2].columns();
    Plain::by_type(op.clone(), specs, scratch, [run::<f32>, run::<bf16>, run::<f16>])
}

fn run<T: Float>(call: Call<Attention>, args: &[View], outs: &mut [ViewMut]) {
    let rows_of = |arg: usize| call.specs[arg].shape[call.specs[arg].shape.len() - 2];
    let (queries, keys) = (rows_of(0), rows_of(1));
    let (depth, width) = (call.specs[0].columns(), call.specs[2].columns());
    let [q, k, v] = [0, 1, 2].map(|arg| args[arg].slice::<T>());
    let [o, log_sums @ ..] = outs else { return };
    let mut log_sums = log_sums.first_mut().map(|sums| sums.slice::<f32>());
    let (scores, answer) = call.scratch.split_at_mut(keys);
    for (row, (o, q)) in o.slice::<T>().chunks_exact_mut(width).zip(q.chunks_exact(depth)).enumerate() {
        let head = row / queries;
        let seen = if call.op.causal { row % queries + 1 + keys - queries } else { keys };
        let (k, v) = (&k[head * keys * depth..], &v[head * keys * width..]);
        for (score, k) in scores[..seen].iter_mut().zip(k.chunks_exact(depth)) {
            let product: f32 = q.iter().zip(k).map(|(q, k)| q.to_f32() * k.to_f32()).sum();
            *score = call.op.scale as f32 * product;
        }
        let log_sum = exponentials(&mut scores[..seen]);
        if let Some(sums) = &mut log_sums {
            sums[row] = log_sum;
        }
        answer.fill(0.0);
        for (weight, v) in scores[..seen].iter().zip(v.chunks_exact(width)) {
            answer.iter_mut().zip(v).for_each(|(sum, v)| *sum += weight * v.to_f32());
        }
        o.iter_mut().zip(answer.iter()).for_each(|(o, sum)| *o = T::from_f32(*sum));
    }
}
