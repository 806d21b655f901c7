//! Convolutions and their gradients as products, and pooling.

use super::Argument::{I32, I64, Input, Null, Output};
use super::streams::over;
use super::sums::From;
use super::{Argument, Launch, Plan, Shapes, along_x, extent};
use crate::backends::Unsupported;
use crate::backends::cuda::kernels::{CONV, CONV_GRAD, MAX_POOL, Source};
use crate::ops::{Conv2d, Conv2dInputGrad, Conv2dWeightGrad, ConvDims, ImageLayout, PoolDims};

/// Rows and columns of the product that a block makes.
const TILE: usize = 64;
/// 2 stages x 2 operands x 16 depths x (tile + 4) elements of 4 bytes.
const SHARED_BYTES: u32 = 2 * 2 * 16 * (TILE as u32 + 4) * 4;

/// `conv2d_...` for a layout.
fn named(name: &str, layout: ImageLayout) -> String {
    format!("conv2d_{name}{}", if layout == ImageLayout::Nhwc { "last" } else { "first" })
}

/// The numbers that the kernels know a convolution by, after its images.
fn numbers(op: &Conv2d, dims: &ConvDims) -> Result<Vec<Argument>, Unsupported> {
    let ConvDims { channels, size, out, kernel, out_size, .. } = *dims;
    // Counted in 32 bits by the kernels.
    extent(dims.depth())?;
    extent(out_size[0].saturating_mul(out_size[1]))?;
    extent(size[0].saturating_mul(size[1]))?;
    let numbers = [channels, size[0], size[1], out, kernel[0], kernel[1], out_size[0], out_size[1]];
    let walk = [op.stride[0], op.stride[1], op.padding[0], op.padding[1]];
    numbers.into_iter().chain(walk).map(|number| Ok(I32(extent(number)?))).collect()
}

/// A product of `m` by `n`, `batch` times.
fn product(
    source: &'static Source,
    kernel: String,
    [batch, m, n]: [usize; 3],
    arguments: Vec<Argument>,
) -> Result<Launch, Unsupported> {
    let tiles = m.div_ceil(TILE).saturating_mul(n.div_ceil(TILE)).saturating_mul(batch);
    let grid = [along_x(tiles as u64)?, 1, 1];
    Ok(Launch { source, kernel, grid, block: [256, 1, 1], shared_bytes: SHARED_BYTES, arguments })
}

fn wrong(error: impl ToString) -> Unsupported {
    Unsupported(error.to_string())
}

pub(super) fn conv2d(shapes: &Shapes, op: &Conv2d) -> Result<Plan, Unsupported> {
    let dims = op.dims(shapes.args).map_err(wrong)?;
    let pixels = dims.out_size[0].saturating_mul(dims.out_size[1]);
    let buffers = [Input(0), Input(1), if op.bias { Input(2) } else { Null }, Output(0)];
    let arguments = buffers.into_iter().chain(numbers(op, &dims)?).collect();
    let extents = [dims.images, pixels, dims.out];
    Ok(Plan::one(product(&CONV, named("", op.layout), extents, arguments)?))
}

pub(super) fn input_grad(shapes: &Shapes, op: &Conv2dInputGrad) -> Result<Plan, Unsupported> {
    let dims = op.dims(shapes.args).map_err(wrong)?;
    extent(dims.out.saturating_mul(dims.kernel[0] * dims.kernel[1]))?;
    let buffers = [Input(0), Input(1), Output(0), I32(extent(dims.images)?)];
    let arguments = buffers.into_iter().chain(numbers(&op.forward(), &dims)?).collect();
    let extents = [dims.images, dims.size[0] * dims.size[1], dims.channels];
    Ok(Plan::one(product(&CONV_GRAD, named("input_grad_", op.layout), extents, arguments)?))
}

/// Blocks that keep a large card busy.
const BLOCKS: usize = 512;
/// Most slabs: their sums are added in one round.
const MOST_SLABS: usize = 256;
/// Least depth of a slab, and what it is a multiple of: a stage of the kernel.
const LEAST_SLAB: usize = 256;
const STAGE: usize = 16;

/// The products of slabs of the depth, and their sum.
pub(super) fn weight_grad(shapes: &Shapes, op: &Conv2dWeightGrad) -> Result<Plan, Unsupported> {
    let dims = op.dims(shapes.args).map_err(wrong)?;
    let depth = dims.images.saturating_mul(dims.out_size[0].saturating_mul(dims.out_size[1]));
    extent(depth)?;
    let (m, n) = (dims.out, dims.depth());
    let wanted = (BLOCKS / (m.div_ceil(TILE) * n.div_ceil(TILE))).clamp(1, MOST_SLABS);
    let slab = depth.div_ceil(wanted).max(LEAST_SLAB).next_multiple_of(STAGE);
    let slabs = depth.div_ceil(slab);
    let mut plan = Plan::default();
    let sums = if slabs == 1 { Output(0) } else { plan.buffer(slabs * m * n) };
    let buffers = [Input(0), Input(1), sums.clone(), I32(extent(dims.images)?)];
    let numbers = numbers(&op.forward(), &dims)?;
    let arguments = buffers.into_iter().chain(numbers).chain([I32(extent(slab)?)]).collect();
    let name = named("weight_grad_", op.layout);
    plan.launches.push(product(&CONV_GRAD, name, [slabs, m, n], arguments)?);
    if slabs > 1 {
        let from = From { rows: slabs, columns: m * n, inputs: vec![sums] };
        plan.sum_columns(&CONV_GRAD, ["add_slabs"; 2], &from, &[Output(0)])?;
    }
    Ok(plan)
}

/// `name` is max_pool, which has an element of y a thread, or max_pool_grad, which has one of x.
pub(super) fn max_pool(name: &str, dims: &PoolDims, buffers: Vec<Argument>) -> Result<Plan, Unsupported> {
    let PoolDims { planes, channels, size, out_size, window } = *dims;
    let each = if name == "max_pool" { dims.out_plane() } else { dims.plane() };
    let count = (planes * each) as u64;
    let sizes = [channels, size[0], size[1], out_size[0], out_size[1], window];
    let sizes =
        sizes.map(|size| Ok(I32(extent(size)?))).into_iter().collect::<Result<Vec<_>, Unsupported>>()?;
    let arguments = buffers.into_iter().chain([I64(count as i64)]).chain(sizes).collect();
    Ok(Plan::one(over(&MAX_POOL, format!("{name}_f32"), count, 1, arguments)?))
}
