//! Convolution, one pixel after another.

use super::{Call, Plain};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::loaded::Kernel;
use crate::ops::{Conv2d, ConvDims, ImageLayout};
use crate::tensor::ValueSpec;

type Convolution = (Conv2d, ConvDims);

pub(super) fn prepare(op: &Conv2d, specs: Vec<ValueSpec>) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(&specs).map_err(|error| Unsupported(error.to_string()))?;
    Ok(Plain::boxed((op.clone(), dims), specs, 0, run))
}

fn run(call: Call<Convolution>, args: &[View], outs: &mut [ViewMut]) {
    let (op, dims) = call.op;
    let (x, weights) = (args[0].slice::<f32>(), args[1].slice::<f32>());
    let bias = args.get(2).map(View::slice::<f32>);
    let [rows, columns] = dims.out_size;
    for (index, y) in outs[0].slice::<f32>().iter_mut().enumerate() {
        // What is left of the index once its image is taken off, axis by axis.
        let (image, within) = (index / (dims.out * rows * columns), index % (dims.out * rows * columns));
        let (channel, place) = match op.layout {
            ImageLayout::Nchw => (within / (rows * columns), within % (rows * columns)),
            ImageLayout::Nhwc => (within % dims.out, within / dims.out),
        };
        let image = &x[image * dims.image()..][..dims.image()];
        let weights = &weights[channel * dims.depth()..][..dims.depth()];
        *y = sum_at(op, dims, image, weights, [place / columns, place % columns])
            + bias.map_or(0.0, |bias| bias[channel]);
    }
}

/// The sum of what the kernel sees at one place.
fn sum_at(op: &Conv2d, dims: &ConvDims, image: &[f32], weights: &[f32], place: [usize; 2]) -> f32 {
    let mut sum = 0.0;
    for (channel, weights) in weights.chunks_exact(dims.kernel[0] * dims.kernel[1]).enumerate() {
        for (i, weights) in weights.chunks_exact(dims.kernel[1]).enumerate() {
            let Some(row) = op.seen(dims, 0, place[0], i) else { continue };
            for (j, weight) in weights.iter().enumerate() {
                if let Some(column) = op.seen(dims, 1, place[1], j) {
                    sum += weight * image[op.at(dims, channel, row, column)];
                }
            }
        }
    }
    sum
}
