//! Max pooling, one window after another.

use super::{Call, Plain};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::loaded::Kernel;
use crate::ops::{MaxPool, MaxPoolGrad, PoolDims};
use crate::tensor::ValueSpec;

type Prepared = Result<Box<dyn Kernel>, Unsupported>;

pub(super) fn max_pool(op: &MaxPool, specs: Vec<ValueSpec>) -> Prepared {
    let dims = op.dims(&specs[0]).map_err(|error| Unsupported(error.to_string()))?;
    Ok(Plain::boxed(dims, specs, 0, run))
}

pub(super) fn max_pool_grad(op: &MaxPoolGrad, specs: Vec<ValueSpec>) -> Prepared {
    let dims = op.forward().dims(&specs[1]).map_err(|error| Unsupported(error.to_string()))?;
    Ok(Plain::boxed(dims, specs, 0, run_grad))
}

/// Elements of x, within its plane, that element `at` of a plane of y is the largest of.
fn window(dims: &PoolDims, at: usize) -> impl Iterator<Item = usize> {
    let pixel = at / dims.channels;
    dims.window(pixel / dims.out_size[1], pixel % dims.out_size[1], at % dims.channels)
}

fn run(call: Call<PoolDims>, args: &[View], outs: &mut [ViewMut]) {
    let dims = call.op;
    let planes = args[0].slice::<f32>().chunks_exact(dims.plane());
    for (y, x) in outs[0].slice::<f32>().chunks_exact_mut(dims.out_plane()).zip(planes) {
        for (at, y) in y.iter_mut().enumerate() {
            *y = window(dims, at).map(|place| x[place]).fold(f32::NEG_INFINITY, f32::max);
        }
    }
}

fn run_grad(call: Call<PoolDims>, args: &[View], outs: &mut [ViewMut]) {
    let dims = call.op;
    let [dy, y] = [0, 2].map(|arg| args[arg].slice::<f32>().chunks_exact(dims.out_plane()));
    let planes = args[1].slice::<f32>().chunks_exact(dims.plane()).zip(dy.zip(y));
    for (dx, (x, (dy, y))) in outs[0].slice::<f32>().chunks_exact_mut(dims.plane()).zip(planes) {
        dx.fill(0.0);
        for (at, (dy, y)) in dy.iter().zip(y).enumerate() {
            if let Some(first) = window(dims, at).find(|&place| x[place] == *y) {
                dx[first] = *dy;
            }
        }
    }
}
