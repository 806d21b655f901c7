//! The largest of windows of pixels.

use super::Binding::{Input, Output};
use super::{Launch, Number, Plan, Shapes, counts};
use crate::backends::Unsupported;
use crate::backends::wgpu::kernels::{MAX_POOL, MAX_POOL_GRAD};
use crate::ops::{MaxPool, MaxPoolGrad, PoolDims};

fn numbers(dims: &PoolDims, elements: usize) -> Result<Vec<Number>, Unsupported> {
    let PoolDims { channels, size, out_size, window, .. } = *dims;
    counts([elements, channels, size[0], size[1], out_size[0], out_size[1], window])
}

/// A thread has an element of y.
pub(super) fn max_pool(shapes: &Shapes, op: &MaxPool) -> Result<Plan, Unsupported> {
    let dims = op.dims(&shapes.args[0]).map_err(super::wrong)?;
    let elements = dims.planes * dims.out_plane();
    let launch = Launch::over(&MAX_POOL, "max_pool", elements as u64);
    Ok(launch.bind(vec![Input(0), Output(0)]).give(numbers(&dims, elements)?).plan())
}

/// A thread has an element of x.
pub(super) fn max_pool_grad(shapes: &Shapes, op: &MaxPoolGrad) -> Result<Plan, Unsupported> {
    let dims = op.forward().dims(&shapes.args[1]).map_err(super::wrong)?;
    let elements = dims.planes * dims.plane();
    let launch = Launch::over(&MAX_POOL_GRAD, "max_pool_grad", elements as u64);
    let bindings = vec![Input(0), Input(1), Input(2), Output(0)];
    Ok(launch.bind(bindings).give(numbers(&dims, elements)?).plan())
}
