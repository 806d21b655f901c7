//! Convolution, one pixel after another.

use super::{Call, Plain};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::loaded::Kernel;
use crate::ops::{Conv2d, Conv2dInputGrad, Conv2dWeightGrad, ConvDims, ImageLayout};
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

pub(super) fn prepare_input_grad(
    op: &Conv2dInputGrad,
    specs: Vec<ValueSpec>,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(&specs).map_err(|error| Unsupported(error.to_string()))?;
    Ok(Plain::boxed((op.forward(), dims), specs, 0, run_input_grad))
}

pub(super) fn prepare_weight_grad(
    op: &Conv2dWeightGrad,
    specs: Vec<ValueSpec>,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(&specs).map_err(|error| Unsupported(error.to_string()))?;
    Ok(Plain::boxed((op.forward(), dims), specs, 0, run_weight_grad))
}

/// Calls `meet` with every element of dy, its number and those of the weight and of the element of x, both within
/// all, that met to make it.
fn meetings(op: &Conv2d, dims: &ConvDims, dy: &[f32], mut meet: impl FnMut(f32, usize, usize)) {
    let [rows, columns] = dims.out_size;
    for (index, dy) in dy.iter().enumerate() {
        let (image, within) = (index / (dims.out * rows * columns), index % (dims.out * rows * columns));
        let (out, place) = match op.layout {
            ImageLayout::Nchw => (within / (rows * columns), within % (rows * columns)),
            ImageLayout::Nhwc => (within % dims.out, within / dims.out),
        };
        for weight in 0..dims.depth() {
            let (channel, tap) =
                (weight / (dims.kernel[0] * dims.kernel[1]), weight % (dims.kernel[0] * dims.kernel[1]));
            let row = op.seen(dims, 0, place / columns, tap / dims.kernel[1]);
            let column = op.seen(dims, 1, place % columns, tap % dims.kernel[1]);
            if let Some((row, column)) = row.zip(column) {
                let x = image * dims.image() + op.at(dims, channel, row, column);
                meet(*dy, out * dims.depth() + weight, x);
            }
        }
    }
}

fn run_input_grad(call: Call<Convolution>, args: &[View], outs: &mut [ViewMut]) {
    let ((op, dims), weights, dx) = (call.op, args[1].slice::<f32>(), outs[0].slice::<f32>());
    dx.fill(0.0);
    meetings(op, dims, args[0].slice(), |dy, weight, x| dx[x] += dy * weights[weight]);
}

fn run_weight_grad(call: Call<Convolution>, args: &[View], outs: &mut [ViewMut]) {
    let ((op, dims), x, dw) = (call.op, args[1].slice::<f32>(), outs[0].slice::<f32>());
    dw.fill(0.0);
    meetings(op, dims, args[0].slice(), |dy, weight, at| dw[weight] += dy * x[at]);
}
