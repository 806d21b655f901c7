//! Attention, one query after another.

use super::rows::exponentials;
use super::{Call, Plain};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::loaded::Kernel;
use crate::ops::{Attention, AttentionGrad};
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

/// The scratch holds the gradients in f32: of all queries, all keys and all values of a head.
pub(super) fn prepare_grad(
    op: &AttentionGrad,
    specs: Vec<ValueSpec>,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let elements = |arg: usize| specs[arg].elements();
    let head = specs[1].rows() / specs[1].shape[specs[1].shape.len() - 2];
    let scratch = (elements(1) + elements(2) + elements(3)) / head;
    let runs = [run_grad::<f32>, run_grad::<bf16>, run_grad::<f16>];
    // The gradients' type is that of every argument but the last.
    Plain::by_type(op.clone(), specs, scratch, runs)
}

fn run_grad<T: Float>(call: Call<AttentionGrad>, args: &[View], outs: &mut [ViewMut]) {
    let rows_of = |arg: usize| call.specs[arg].shape[call.specs[arg].shape.len() - 2];
    let (queries, keys) = (rows_of(1), rows_of(2));
    let (depth, width) = (call.specs[1].columns(), call.specs[3].columns());
    let [dy, q, k, v, y] = [0, 1, 2, 3, 4].map(|arg| args[arg].slice::<T>());
    let (log_sums, scale) = (args[5].slice::<f32>(), call.op.scale as f32);
    let [dq_all, dk_all, dv_all] = outs else { return };
    let [dq_all, dk_all, dv_all] = [dq_all, dk_all, dv_all].map(|out| out.slice::<T>());
    let (dq, rest) = call.scratch.split_at_mut(queries * depth);
    let (dk, dv) = rest.split_at_mut(keys * depth);
    for head in 0..log_sums.len() / queries {
        dq.fill(0.0);
        dk.fill(0.0);
        dv.fill(0.0);
        for query in 0..queries {
            let row = head * queries + query;
            let (dy, y, q) =
                (&dy[row * width..][..width], &y[row * width..][..width], &q[row * depth..][..depth]);
            let sum = product(dy, y);
            let seen = if call.op.causal { query + 1 + keys - queries } else { keys };
            for key in 0..seen {
                let place = head * keys + key;
                let (k, v) = (&k[place * depth..][..depth], &v[place * width..][..width]);
                let weight = (scale * product(q, k) - log_sums[row]).exp();
                let slope = scale * weight * (product(dy, v) - sum);
                add(&mut dv[key * width..][..width], weight, dy);
                add(&mut dq[query * depth..][..depth], slope, k);
                add(&mut dk[key * depth..][..depth], slope, q);
            }
        }
        for (all, sums) in [(&mut *dq_all, &*dq), (&mut *dk_all, &*dk), (&mut *dv_all, &*dv)] {
            let to = &mut all[head * sums.len()..][..sums.len()];
            to.iter_mut().zip(sums).for_each(|(to, sum)| *to = T::from_f32(*sum));
        }
    }
}

fn product<T: Float>(x: &[T], y: &[T]) -> f32 {
    x.iter().zip(y).map(|(x, y)| x.to_f32() * y.to_f32()).sum()
}

fn add<T: Float>(to: &mut [f32], weight: f32, x: &[T]) {
    to.iter_mut().zip(x).for_each(|(sum, x)| *sum += weight * x.to_f32());
}
