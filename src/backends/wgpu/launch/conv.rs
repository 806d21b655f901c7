//! Convolutions and their gradients as products.

use super::Binding::{Input, NoInput, Output};
use super::gemm::{chosen, parts};
use super::{Launch, Number, Plan, Shapes, counts};
use crate::backends::Unsupported;
use crate::backends::wgpu::kernels::{CONV2D, CONV2D_INPUT_GRAD, CONV2D_WEIGHT_GRAD, Source};
use crate::ops::{Conv2d, Conv2dInputGrad, Conv2dWeightGrad, ConvDims, ImageLayout};

/// The numbers that kernels know a convolution by, after those of the product.
fn numbers(op: &Conv2d, dims: &ConvDims, product: [usize; 6]) -> Result<Vec<Number>, Unsupported> {
    let ConvDims { channels, size, out, kernel, out_size, .. } = *dims;
    let of_images = [channels, size[0], size[1], out, kernel[0], kernel[1], out_size[0], out_size[1]];
    let walk = [op.stride[0], op.stride[1], op.padding[0], op.padding[1]];
    let mut numbers = counts(product)?;
    numbers.extend(counts(of_images)?);
    numbers.extend(counts(walk)?);
    Ok(numbers)
}

/// A product of `m` by `n`, `batch` times, whose left factor neighbours in memory along its depth where `along` says so.
fn product(
    source: &'static Source,
    shapes: &Shapes,
    [batch, m, n]: [usize; 3],
    along: [bool; 2],
    layout: ImageLayout,
) -> Launch {
    let tile = chosen(shapes, m, n, batch);
    let launch = tile.set(Launch::new(source, "product", tile.count(m, n) * batch as u64));
    let launch = launch.flag("LEFT_ALONG", along[0]).flag("RIGHT_ALONG", along[1]);
    launch.flag("LAST", layout == ImageLayout::Nhwc)
}

/// `first` where channels stand first, `last` where they stand last.
fn by_layout<T>(layout: ImageLayout, first: T, last: T) -> T {
    if layout == ImageLayout::Nhwc { last } else { first }
}

pub(super) fn conv2d(shapes: &Shapes, op: &Conv2d) -> Result<Plan, Unsupported> {
    let dims = op.dims(shapes.args).map_err(super::wrong)?;
    let pixels = dims.out_size[0] * dims.out_size[1];
    let [m, n] = by_layout(op.layout, [dims.out, pixels], [pixels, dims.out]);
    // Weights neighbour along the depth.
    let along = by_layout(op.layout, [true, false], [false, true]);
    let launch = product(&CONV2D, shapes, [dims.images, m, n], along, op.layout).flag("BIAS", op.bias);
    let bias = if op.bias { Input(2) } else { NoInput };
    let depth = dims.depth();
    let numbers = numbers(op, &dims, [m, n, depth, dims.images, 1, depth.max(1)])?;
    Ok(launch.bind(vec![Input(0), Input(1), bias, Output(0)]).give(numbers).plan())
}

pub(super) fn input_grad(shapes: &Shapes, op: &Conv2dInputGrad) -> Result<Plan, Unsupported> {
    let dims = op.dims(shapes.args).map_err(super::wrong)?;
    let pixels = dims.size[0] * dims.size[1];
    let [m, n] = by_layout(op.layout, [dims.channels, pixels], [pixels, dims.channels]);
    let along = by_layout(op.layout, [true, false], [false, true]);
    let launch = product(&CONV2D_INPUT_GRAD, shapes, [dims.images, m, n], along, op.layout);
    let depth = dims.out * dims.kernel[0] * dims.kernel[1];
    let numbers = numbers(&op.forward(), &dims, [m, n, depth, dims.images, 1, depth.max(1)])?;
    Ok(launch.bind(vec![Input(0), Input(1), Output(0)]).give(numbers).plan())
}

/// The products of parts of the depth, and their sum.
pub(super) fn weight_grad(shapes: &Shapes, op: &Conv2dWeightGrad) -> Result<Plan, Unsupported> {
    let dims = op.dims(shapes.args).map_err(super::wrong)?;
    let depth = dims.images * dims.out_size[0] * dims.out_size[1];
    let (m, n) = (dims.out, dims.depth());
    let (parts, slab) = parts(chosen(shapes, m, n, 1).count(m, n), depth);
    // Pixels neighbour along the depth where channels stand first.
    let along = by_layout(op.layout, [true, true], [false, false]);
    let launch = product(&CONV2D_WEIGHT_GRAD, shapes, [1, m, n], along, op.layout);
    let numbers = numbers(&op.forward(), &dims, [m, n, depth, parts, parts, slab])?;
    let mut plan = Plan::default();
    let sums = if parts == 1 { Output(0) } else { plan.buffer(parts * m * n) };
    let launch = Launch { groups: launch.groups * parts as u64, ..launch };
    plan.launches.push(launch.bind(vec![Input(0), Input(1), sums]).give(numbers));
    if parts > 1 {
        plan.add_rows(sums, [parts, m * n], Output(0))?;
    }
    Ok(plan)
}
