//! The gradients of a convolution, by its images and by its weights. That of its bias is a `channel_sum`, or a
//! `column_sum` where channels stand last.

use super::conv2d::{Conv2d, ConvDims, ImageLayout};
use super::expected::specs;
use super::filtering::{Window, met, sizes};
use super::shapes::{ShapeError, Shapes, row};
use super::sum::Sum;
use super::{Arg, Expected, Operation, Work};
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// dx(image, c, a, b) = sum over o and the places (r, s) of y and (i, j) of the kernel that see (a, b) of
/// w(o, c, i, j) dy(image, o, r, s).
///
/// Arguments dy in `layout` and the weights `[out, in, kernel rows, kernel columns]`; dx is in the same layout. All
/// f32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv2dInputGrad {
    /// Order of the axes of dy and dx.
    pub layout: ImageLayout,
    /// As in the forward pass.
    pub stride: [usize; 2],
    /// As in the forward pass.
    pub padding: [usize; 2],
    /// Rows and columns of x, which those of y leave open.
    pub size: [usize; 2],
}

/// dw(o, c, i, j) = sum over images and places (r, s) of dy(image, o, r, s) x(image, c, r stride + i - padding, ..).
///
/// Arguments dy and x in `layout`; dw is `[out, in, kernel rows, kernel columns]`. All f32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv2dWeightGrad {
    /// Order of the axes of dy and x.
    pub layout: ImageLayout,
    /// As in the forward pass.
    pub stride: [usize; 2],
    /// As in the forward pass.
    pub padding: [usize; 2],
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
}

/// Images, channels, rows and columns.
type Axes = [usize; 4];

/// Axes of images that stand in `layout`.
fn axes(shapes: &Shapes, layout: ImageLayout, spec: &ValueSpec) -> Result<Axes, ShapeError> {
    let &[images, second, third, fourth] = &spec.shape[..] else {
        return Err(shapes.wrong("images and weights need four axes each"));
    };
    Ok(match layout {
        ImageLayout::Nchw => [images, second, third, fourth],
        ImageLayout::Nhwc => [images, fourth, second, third],
    })
}

fn shape(layout: ImageLayout, [images, channels, rows, columns]: Axes) -> [usize; 4] {
    match layout {
        ImageLayout::Nchw => [images, channels, rows, columns],
        ImageLayout::Nhwc => [images, rows, columns, channels],
    }
}

/// Extents of the forward pass, whose y must have the axes `y`.
fn forward(shapes: &Shapes, op: &Conv2d, [x, weights, y]: [&[usize; 4]; 3]) -> Result<ConvDims, ShapeError> {
    let args = [x, weights].map(|shape| ValueSpec::new(shape, DType::F32));
    let dims = op.dims(&args).map_err(|error| shapes.wrong(&error.0))?;
    let made = shape(op.layout, [dims.images, dims.out, dims.out_size[0], dims.out_size[1]]);
    shapes.require(made == *y, &format!("the forward pass makes {made:?}, and dy is another"))?;
    Ok(dims)
}

impl Conv2dInputGrad {
    /// The forward pass.
    pub fn forward(&self) -> Conv2d {
        Conv2d { layout: self.layout, stride: self.stride, padding: self.padding, bias: false }
    }

    /// Extents of the forward pass for these arguments, or why they do not fit.
    pub fn dims(&self, args: &[ValueSpec]) -> Result<ConvDims, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 2)?;
        shapes.require(args.iter().all(|arg| arg.dtype == DType::F32), "takes f32")?;
        let [images, _, rows, columns] = axes(&shapes, self.layout, &args[0])?;
        let weights = axes(&shapes, ImageLayout::Nchw, &args[1])?;
        shapes.require(!self.size.contains(&0), "an image of no size has no gradient")?;
        let x = shape(self.layout, [images, weights[1], self.size[0], self.size[1]]);
        let y = shape(self.layout, [images, axes(&shapes, self.layout, &args[0])?[1], rows, columns]);
        forward(&shapes, &self.forward(), [&x, &weights, &y])
    }
}

impl Conv2dWeightGrad {
    /// The forward pass.
    pub fn forward(&self) -> Conv2d {
        Conv2d { layout: self.layout, stride: self.stride, padding: self.padding, bias: false }
    }

    /// Extents of the forward pass for these arguments, or why they do not fit.
    pub fn dims(&self, args: &[ValueSpec]) -> Result<ConvDims, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 2)?;
        shapes.require(args.iter().all(|arg| arg.dtype == DType::F32), "takes f32")?;
        shapes.require(!self.kernel.contains(&0), "a kernel of no size has no gradient")?;
        let [y, x] = [axes(&shapes, self.layout, &args[0])?, axes(&shapes, self.layout, &args[1])?];
        let weights = [y[1], x[1], self.kernel[0], self.kernel[1]];
        let [y, x] = [y, x].map(|axes| shape(self.layout, axes));
        forward(&shapes, &self.forward(), [&x, &weights, &y])
    }
}

/// The direct sums of a gradient, whose first argument is dy: each product of the forward pass is met once more.
fn direct(op: &Conv2d, dims: &ConvDims, args: &[ValueSpec], outputs: &[ValueSpec]) -> Work {
    let flops = (dims.depth() as u64).saturating_mul(args[0].elements() as u64).saturating_mul(2);
    op.sparing(Work::of(flops, args, outputs), dims)
}

/// Number of an element of y within its image.
fn at_y(layout: ImageLayout, dims: &ConvDims, channel: usize, row: usize, column: usize) -> usize {
    let [rows, columns] = dims.out_size;
    match layout {
        ImageLayout::Nchw => (channel * rows + row) * columns + column,
        ImageLayout::Nhwc => (row * columns + column) * dims.out + channel,
    }
}

/// Places of y and of the kernel, along `axis`, that meet in place `inside` of x.
fn meetings(op: &Conv2d, dims: &ConvDims, axis: usize, inside: usize) -> Vec<(usize, usize)> {
    let place = |offset: usize| {
        let start = (inside + op.padding[axis]).checked_sub(offset)?;
        let place = start / op.stride[axis];
        let meets = start.is_multiple_of(op.stride[axis]) && place < dims.out_size[axis];
        meets.then_some((place, offset))
    };
    (0..dims.kernel[axis]).filter_map(place).collect()
}

/// Off by as much as in `gemm`, or as products of this size are.
fn summed(sum: &Sum, size: f64) -> Expected {
    let error = DType::F32.roundoff() * sum.roundoffs().max(8.0 * size);
    Expected::rounded(sum.value, error, size, DType::F32)
}

impl Operation for Conv2dInputGrad {
    fn name(&self) -> &'static str {
        "conv2d_input_grad"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let ConvDims { images, channels, size, .. } = self.dims(args)?;
        let shape = shape(self.layout, [images, channels, size[0], size[1]]);
        Ok(vec![ValueSpec::new(&shape, DType::F32)])
    }

    fn work(&self, args: &[ValueSpec]) -> Work {
        let Ok(dims) = self.dims(args) else { return Work::default() };
        direct(&self.forward(), &dims, args, &self.outputs(args).unwrap_or_default())
    }

    // A row of a plane, or of pixels.
    fn units(&self, args: &[ValueSpec]) -> usize {
        let Ok(dims) = self.dims(args) else { return 0 };
        let planes = if self.layout == ImageLayout::Nchw { dims.channels } else { 1 };
        dims.images * planes * dims.size[0]
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let Ok(dims) = self.dims(args) else { return vec![] };
        let image = unit / (self.units(args) / dims.images);
        vec![row(args[0].elements() / dims.images, image), 0..args[1].elements()]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let Ok(dims) = self.dims(args) else { return vec![] };
        let channels = if self.layout == ImageLayout::Nchw { 1 } else { dims.channels };
        vec![row(dims.size[1] * channels, unit)]
    }

    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let (args_specs, op) = (specs(args), self.forward());
        let Ok(dims) = self.dims(&args_specs) else { return vec![vec![]] };
        let ranges = self.reads(&args_specs, unit);
        let (dy, weights) = (args[0].at(ranges[0].clone()), args[1].at(ranges[1].clone()));
        let (above, line) = (unit / dims.size[0], unit % dims.size[0]);
        let channels = match self.layout {
            ImageLayout::Nchw => row(1, above % dims.channels),
            ImageLayout::Nhwc => 0..dims.channels,
        };
        let down = meetings(&op, &dims, 0, line);
        let start = [line, 0].map(usize::cast_signed);
        let seen = op.is_spared(&dims).then(|| Window {
            start: [0, 1].map(|axis| start[axis] + op.padding[axis].cast_signed() - 2),
            columns: dims.size[1],
            size: dims.out_size,
            channels: dims.out,
        });
        let at = |out, row, column| dy[at_y(self.layout, &dims, out, row, column)];
        let largest = seen.map(|window| window.largest(at));
        let all = sizes(weights, dims.kernel);
        let of_channel = |channel| all.iter().skip(channel).step_by(dims.channels).copied().collect();
        let kernels: Vec<Vec<f64>> = channels.clone().map(of_channel).collect();
        let mut expected = vec![];
        for column in 0..dims.size[1] {
            let across = meetings(&op, &dims, 1, column);
            for (channel, kernels) in channels.clone().zip(&kernels) {
                let mut sum = Sum::default();
                let meetings = down.iter().flat_map(|down| across.iter().map(move |across| (down, across)));
                for (&(r, i), &(s, j)) in meetings {
                    for out in 0..dims.out {
                        let weight =
                            ((out * dims.channels + channel) * dims.kernel[0] + i) * dims.kernel[1] + j;
                        let term = weights[weight] * dy[at_y(self.layout, &dims, out, r, s)];
                        sum.add(term);
                    }
                }
                expected.push(summed(&sum, met(&sum, largest.as_deref(), column, kernels)));
            }
        }
        vec![expected]
    }
}

impl Operation for Conv2dWeightGrad {
    fn name(&self) -> &'static str {
        "conv2d_weight_grad"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let ConvDims { out, channels, kernel, .. } = self.dims(args)?;
        Ok(vec![ValueSpec::new(&[out, channels, kernel[0], kernel[1]], DType::F32)])
    }

    fn work(&self, args: &[ValueSpec]) -> Work {
        let Ok(dims) = self.dims(args) else { return Work::default() };
        direct(&self.forward(), &dims, args, &self.outputs(args).unwrap_or_default())
    }

    // One kernel: of a channel of y and a channel of x.
    fn units(&self, args: &[ValueSpec]) -> usize {
        self.dims(args).map_or(0, |dims| dims.out * dims.channels)
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let _ = args;
        vec![row(self.kernel[0] * self.kernel[1], unit)]
    }

    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let (args_specs, op) = (specs(args), self.forward());
        let Ok(dims) = self.dims(&args_specs) else { return vec![vec![]] };
        let [dy, x] = [0, 1].map(|arg: usize| args[arg].at(0..args_specs[arg].elements()));
        let (out, channel) = (unit / dims.channels, unit % dims.channels);
        let y_image = dy.len() / dims.images;
        let element = |tap: usize| {
            let (i, j) = (tap / dims.kernel[1], tap % dims.kernel[1]);
            let mut sum = Sum::default();
            for (dy, x) in dy.chunks_exact(y_image).zip(x.chunks_exact(dims.image())) {
                for r in 0..dims.out_size[0] {
                    let Some(line) = op.seen(&dims, 0, r, i) else { continue };
                    for s in 0..dims.out_size[1] {
                        let Some(column) = op.seen(&dims, 1, s, j) else { continue };
                        let term =
                            dy[at_y(self.layout, &dims, out, r, s)] * x[op.at(&dims, channel, line, column)];
                        sum.add(term);
                    }
                }
            }
            sum
        };
        let sums: Vec<Sum> = (0..dims.kernel[0] * dims.kernel[1]).map(element).collect();
        let largest = sums.iter().map(|sum| sum.size).fold(0.0, f64::max);
        // All of a kernel's elements may come of the same products.
        let size = |sum: &Sum| if op.is_spared(&dims) { largest } else { sum.size };
        vec![sums.iter().map(|sum| summed(sum, size(sum))).collect()]
    }
}
