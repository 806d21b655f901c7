//! Convolutions: a product for each image.

use super::Argument::{I32, Input, Null, Output};
use super::{Launch, Plan, Shapes, along_x, extent};
use crate::backends::Unsupported;
use crate::backends::cuda::kernels::CONV;
use crate::ops::{Conv2d, ConvDims, ImageLayout};

/// Rows and columns of the product that a block makes.
const TILE: usize = 64;
/// 2 stages x 2 operands x 16 depths x (tile + 4) elements of 4 bytes.
const SHARED_BYTES: u32 = 2 * 2 * 16 * (TILE as u32 + 4) * 4;

pub(super) fn conv2d(shapes: &Shapes, op: &Conv2d) -> Result<Plan, Unsupported> {
    let dims = op.dims(shapes.args).map_err(|error| Unsupported(error.to_string()))?;
    let ConvDims { images, channels, size, out, kernel, out_size } = dims;
    let pixels = out_size[0].saturating_mul(out_size[1]);
    // Counted in 32 bits by the kernel.
    extent(dims.depth())?;
    extent(pixels)?;
    let tiles = pixels.div_ceil(TILE).saturating_mul(out.div_ceil(TILE)).saturating_mul(images);
    let numbers = [channels, size[0], size[1], out, kernel[0], kernel[1], out_size[0], out_size[1]];
    let walk = [op.stride[0], op.stride[1], op.padding[0], op.padding[1]];
    let numbers = numbers.into_iter().chain(walk).map(|number| Ok(I32(extent(number)?)));
    let buffers = [Input(0), Input(1), if op.bias { Input(2) } else { Null }, Output(0)];
    let arguments = buffers.into_iter().map(Ok).chain(numbers).collect::<Result<_, Unsupported>>()?;
    let name = if op.layout == ImageLayout::Nhwc { "conv2d_last" } else { "conv2d_first" };
    Ok(Plan::one(Launch {
        source: &CONV,
        kernel: name.to_string(),
        grid: [along_x(tiles as u64)?, 1, 1],
        block: [256, 1, 1],
        shared_bytes: SHARED_BYTES,
        arguments,
    }))
}
