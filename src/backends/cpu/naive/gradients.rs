//! Ops over rows that only training needs.

use super::{Call, Plain};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::loaded::Kernel;
use crate::ops::{
    ChannelSum, ColumnSum, CrossEntropy, CrossEntropyGrad, Embedding, EmbeddingGrad, LayerNormGrad,
    LayerNormParamGrad, SoftmaxGrad,
};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

type Prepared = Result<Box<dyn Kernel>, Unsupported>;

/// A sum by pairs, so that long ones keep their digits.
fn sum(x: impl Iterator<Item = f32>) -> f32 {
    // Number i holds a sum of 2^i elements where bit i of their count is set.
    let (mut parts, mut count) = ([0.0; 64], 0u64);
    for mut x in x {
        let level = count.trailing_ones() as usize;
        parts[..level].iter().for_each(|part| x += part);
        parts[level] = x;
        count += 1;
    }
    (0..64).filter(|level| count >> level & 1 == 1).map(|level| parts[level]).sum()
}

pub(super) fn column_sum(op: &ColumnSum, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(_: Call<ColumnSum>, args: &[View], outs: &mut [ViewMut]) {
        let (x, y) = (args[0].slice::<T>(), outs[0].slice::<f32>());
        let columns = y.len();
        for (column, y) in y.iter_mut().enumerate() {
            *y = sum(x.iter().skip(column).step_by(columns).map(|x| x.to_f32()));
        }
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn channel_sum(op: &ChannelSum, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(call: Call<ChannelSum>, args: &[View], outs: &mut [ViewMut]) {
        let (x, y) = (args[0].slice::<T>(), outs[0].slice::<f32>());
        let (channels, pixels) = (y.len(), call.specs[0].shape[2] * call.specs[0].shape[3]);
        for (channel, y) in y.iter_mut().enumerate() {
            let planes = x.chunks_exact(pixels).skip(channel).step_by(channels);
            *y = sum(planes.flatten().map(|x| x.to_f32()));
        }
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn embedding(op: &Embedding, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(call: Call<Embedding>, args: &[View], outs: &mut [ViewMut]) {
        let (table, columns) = (args[0].slice::<T>(), call.specs[0].columns());
        for (y, id) in outs[0].slice::<T>().chunks_exact_mut(columns).zip(args[1].slice::<i32>()) {
            y.copy_from_slice(&table[*id as usize * columns..][..columns]);
        }
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn embedding_grad(op: &EmbeddingGrad, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(call: Call<EmbeddingGrad>, args: &[View], outs: &mut [ViewMut]) {
        let (table, columns) = (outs[0].slice::<f32>(), call.specs[0].columns());
        table.fill(0.0);
        for (dy, id) in args[0].slice::<T>().chunks_exact(columns).zip(args[1].slice::<i32>()) {
            let row = &mut table[*id as usize * columns..][..columns];
            row.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy.to_f32());
        }
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn cross_entropy(op: &CrossEntropy, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(call: Call<CrossEntropy>, args: &[View], outs: &mut [ViewMut]) {
        let [losses, log_sums] = outs else { return };
        let (losses, log_sums) = (losses.slice::<f32>(), log_sums.slice::<f32>());
        let rows = args[0].slice::<T>().chunks_exact(call.specs[0].columns());
        for (row, (x, label)) in rows.zip(args[1].slice::<i32>()).enumerate() {
            let max = x.iter().map(|x| x.to_f32()).fold(f32::NEG_INFINITY, f32::max);
            log_sums[row] = max + x.iter().map(|x| (x.to_f32() - max).exp()).sum::<f32>().ln();
            losses[row] = if *label < 0 { 0.0 } else { log_sums[row] - x[*label as usize].to_f32() };
        }
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn cross_entropy_grad(op: &CrossEntropyGrad, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(call: Call<CrossEntropyGrad>, args: &[View], outs: &mut [ViewMut]) {
        let (scale, columns) = (call.op.scale as f32, call.specs[0].columns());
        let (labels, log_sums) = (args[1].slice::<i32>(), args[2].slice::<f32>());
        let rows = outs[0].slice::<T>().chunks_exact_mut(columns);
        for (row, (dx, x)) in rows.zip(args[0].slice::<T>().chunks_exact(columns)).enumerate() {
            for (class, (dx, x)) in dx.iter_mut().zip(x).enumerate() {
                let hit = if class as i32 == labels[row] { 1.0 } else { 0.0 };
                let slope = scale * ((x.to_f32() - log_sums[row]).exp() - hit);
                *dx = T::from_f32(if labels[row] < 0 { 0.0 } else { slope });
            }
        }
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn softmax_grad(op: &SoftmaxGrad, specs: Vec<ValueSpec>) -> Prepared {
    fn run<D: Float, Y: Float>(call: Call<SoftmaxGrad>, args: &[View], outs: &mut [ViewMut]) {
        let (scale, columns) = (call.op.scale as f32, call.specs[0].columns());
        let (dy, y) = (args[0].slice::<D>(), args[1].slice::<Y>());
        let rows = dy.chunks_exact(columns).zip(y.chunks_exact(columns));
        for (dx, (dy, y)) in outs[0].slice::<Y>().chunks_exact_mut(columns).zip(rows) {
            let sum: f32 = dy.iter().zip(y).map(|(dy, y)| dy.to_f32() * y.to_f32()).sum();
            for ((dx, dy), y) in dx.iter_mut().zip(dy).zip(y) {
                *dx = Y::from_f32(scale * y.to_f32() * (dy.to_f32() - sum));
            }
        }
    }
    let run = match (specs[0].dtype, specs[1].dtype) {
        (DType::F32, DType::F32) => run::<f32, f32>,
        (DType::F32, DType::Bf16) => run::<f32, bf16>,
        (DType::F32, DType::F16) => run::<f32, f16>,
        (DType::Bf16, DType::Bf16) => run::<bf16, bf16>,
        (DType::F16, DType::F16) => run::<f16, f16>,
        (dy, y) => {
            let types = format!("{} and {}", dy.name(), y.name());
            return Err(Unsupported(format!("cpu/naive has no softmax_grad of {types}")));
        }
    };
    Ok(Plain::boxed(op.clone(), specs, 0, run))
}

pub(super) fn layer_norm_grad(op: &LayerNormGrad, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(call: Call<LayerNormGrad>, args: &[View], outs: &mut [ViewMut]) {
        let columns = call.specs[1].columns();
        let [dy, x] = [0, 1].map(|arg| args[arg].slice::<T>().chunks_exact(columns));
        let [means, rstds] = [2, 3].map(|arg| args[arg].slice::<f32>());
        let gain = args[4].slice::<T>();
        for (row, (dx, (dy, x))) in outs[0].slice::<T>().chunks_exact_mut(columns).zip(dy.zip(x)).enumerate()
        {
            let (mean, rstd) = (means[row], rstds[row]);
            let g = |at: usize| dy[at].to_f32() * gain[at].to_f32();
            let n = |at: usize| (x[at].to_f32() - mean) * rstd;
            let of_g = (0..columns).map(g).sum::<f32>() / columns as f32;
            let of_gn = (0..columns).map(|at| g(at) * n(at)).sum::<f32>() / columns as f32;
            for (at, dx) in dx.iter_mut().enumerate() {
                *dx = T::from_f32(rstd * (g(at) - of_g - n(at) * of_gn));
            }
        }
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn layer_norm_param_grad(op: &LayerNormParamGrad, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(_: Call<LayerNormParamGrad>, args: &[View], outs: &mut [ViewMut]) {
        let [dy, x] = [0, 1].map(|arg| args[arg].slice::<T>());
        let [means, rstds] = [2, 3].map(|arg| args[arg].slice::<f32>());
        let [gain, bias] = outs else { return };
        let (gain, bias) = (gain.slice::<f32>(), bias.slice::<f32>());
        let columns = gain.len();
        for (column, (gain, bias)) in gain.iter_mut().zip(bias).enumerate() {
            let dy = |row: usize| dy[row * columns + column].to_f32();
            let n = |row: usize| (x[row * columns + column].to_f32() - means[row]) * rstds[row];
            *gain = sum((0..means.len()).map(|row| dy(row) * n(row)));
            *bias = sum((0..means.len()).map(dy));
        }
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}
