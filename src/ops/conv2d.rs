//! Convolution of images, as convolutional networks have it: the kernel is not turned.

use super::expected::specs;
use super::filtering::{Window, met, sizes};
use super::shapes::{ShapeError, Shapes, row};
use super::sum::dot;
use super::{Arg, Expected, Operation, Work};
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// In which order the axes of images stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageLayout {
    /// Image, channel, row, column.
    #[default]
    Nchw,
    /// Image, row, column, channel.
    Nhwc,
}

/// y(image, o, r, s) = bias(o) + sum over c, i, j of w(o, c, i, j) x(image, c, r stride + i - padding, ..).
///
/// x holds images in `layout`, weights are `[out, in, kernel rows, kernel columns]` in either; bias `[out]` is
/// an argument only where there is one; y is in the layout of x. All f32. Outside an image x is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv2d {
    /// Order of the axes of x and y.
    pub layout: ImageLayout,
    /// Rows and columns between neighbouring places of the kernel.
    pub stride: [usize; 2],
    /// Rows and columns of zeros on each side of an image.
    pub padding: [usize; 2],
    /// A third argument is added to each channel.
    pub bias: bool,
}

/// Extents of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvDims {
    /// Images.
    pub images: usize,
    /// Channels of x.
    pub channels: usize,
    /// Rows and columns of x.
    pub size: [usize; 2],
    /// Channels of y.
    pub out: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Rows and columns of y.
    pub out_size: [usize; 2],
}

impl Conv2d {
    /// Extents for these arguments, or why they do not fit.
    pub fn dims(&self, args: &[ValueSpec]) -> Result<ConvDims, ShapeError> {
        let shapes = Shapes::new(self.name(), args, if self.bias { 3 } else { 2 })?;
        shapes.require(args.iter().all(|arg| arg.dtype == DType::F32), "takes f32")?;
        let (&[images, second, third, fourth], &[out, depth, rows, columns]) =
            (&args[0].shape[..], &args[1].shape[..])
        else {
            return Err(shapes.wrong("images and weights need four axes each"));
        };
        let (channels, size) = match self.layout {
            ImageLayout::Nchw => (second, [third, fourth]),
            ImageLayout::Nhwc => (fourth, [second, third]),
        };
        shapes.require(depth == channels, &format!("x has {channels} channels and the weights {depth}"))?;
        shapes.require(
            args[2..].iter().all(|bias| bias.shape[..] == [out]),
            "the bias must have one number a channel",
        )?;
        let kernel = [rows, columns];
        let mut out_size = [0; 2];
        for (axis, extent) in out_size.iter_mut().enumerate() {
            let padded = self.padding[axis].checked_mul(2).and_then(|both| both.checked_add(size[axis]));
            let free = padded.and_then(|padded| padded.checked_sub(kernel[axis]));
            let free = free.ok_or_else(|| shapes.wrong("the kernel must fit into the padded image"))?;
            shapes.require(self.stride[axis] > 0, "a stride of zero never ends")?;
            *extent = free / self.stride[axis] + 1;
        }
        let dims = ConvDims { images, channels, size, out, kernel, out_size };
        shapes.output(&self.shape(&dims), DType::F32)?;
        Ok(dims)
    }

    fn shape(&self, dims: &ConvDims) -> Vec<usize> {
        let ConvDims { images, out, out_size: [rows, columns], .. } = *dims;
        match self.layout {
            ImageLayout::Nchw => vec![images, out, rows, columns],
            ImageLayout::Nhwc => vec![images, rows, columns, out],
        }
    }

    /// Number of an element of x within its image.
    pub fn at(&self, dims: &ConvDims, channel: usize, row: usize, column: usize) -> usize {
        let [rows, columns] = dims.size;
        match self.layout {
            ImageLayout::Nchw => (channel * rows + row) * columns + column,
            ImageLayout::Nhwc => (row * columns + column) * dims.channels + channel,
        }
    }

    /// Image, row of y, and channels of y that a unit makes: one channel, or all where they stand together.
    fn unit(&self, dims: &ConvDims, unit: usize) -> (usize, usize, Range<usize>) {
        let (above, row_of_y) = (unit / dims.out_size[0], unit % dims.out_size[0]);
        match self.layout {
            ImageLayout::Nchw => (above / dims.out, row_of_y, row(1, above % dims.out)),
            ImageLayout::Nhwc => (above, row_of_y, 0..dims.out),
        }
    }

    /// Row (axis 0) or column (axis 1) of x that element `offset` of the kernel sees where it makes element
    /// `place` of y; none in the padding.
    pub fn seen(&self, dims: &ConvDims, axis: usize, place: usize, offset: usize) -> Option<usize> {
        let padded = place * self.stride[axis] + offset;
        padded.checked_sub(self.padding[axis]).filter(|&inside| inside < dims.size[axis])
    }

    /// Whether a method in use does without most of the products.
    pub(super) fn is_spared(&self, dims: &ConvDims) -> bool {
        dims.kernel == [3, 3] && self.stride == [1, 1]
    }

    /// `work`, and what of it minimal filtering spares: F(2 x 2, 3 x 3) needs 16 products where the direct sums need 36
    /// (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, §4.1).
    pub(super) fn sparing(&self, work: Work, dims: &ConvDims) -> Work {
        let spared = if self.is_spared(dims) { work.flops / 9 * 5 } else { 0 };
        Work { spared, ..work }
    }

    /// What the kernel sees of an image at one place, in the order of the weights.
    fn patch(&self, dims: &ConvDims, image: &[f64], place: [usize; 2], patch: &mut [f64]) {
        let [rows, columns] = dims.kernel;
        for (channel, patch) in patch.chunks_exact_mut(rows * columns).enumerate() {
            for (i, patch) in patch.chunks_exact_mut(columns).enumerate() {
                let row = self.seen(dims, 0, place[0], i);
                for (j, x) in patch.iter_mut().enumerate() {
                    let seen = row.zip(self.seen(dims, 1, place[1], j));
                    *x = seen.map_or(0.0, |(row, column)| image[self.at(dims, channel, row, column)]);
                }
            }
        }
    }
}

impl ConvDims {
    /// Elements of x in an image.
    pub fn image(&self) -> usize {
        self.channels * self.size[0] * self.size[1]
    }

    /// Weights of a channel of y.
    pub fn depth(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }
}

impl Operation for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        Ok(vec![ValueSpec::new(&self.shape(&self.dims(args)?), DType::F32)])
    }

    // Those of the direct sum, as everywhere in the field: zeros of the padding count, the bias does not.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let Ok(dims) = self.dims(args) else { return Work::default() };
        let outputs = self.outputs(args).unwrap_or_default();
        let elements = outputs.first().map_or(0, |y| y.elements() as u64);
        let flops = (dims.depth() as u64).saturating_mul(elements).saturating_mul(2);
        self.sparing(Work::of(flops, args, &outputs), &dims)
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        let Ok(dims) = self.dims(args) else { return 0 };
        let channels = if self.layout == ImageLayout::Nchw { dims.out } else { 1 };
        dims.images * channels * dims.out_size[0]
    }

    // A whole image: rows of several channels do not stand together.
    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let Ok(dims) = self.dims(args) else { return vec![] };
        let (image, _, channels) = self.unit(&dims, unit);
        let weights = channels.start * dims.depth()..channels.end * dims.depth();
        let bias = self.bias.then_some(channels);
        [row(dims.image(), image), weights].into_iter().chain(bias).collect()
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let Ok(dims) = self.dims(args) else { return vec![] };
        let channels = if self.layout == ImageLayout::Nchw { 1 } else { dims.out };
        vec![row(dims.out_size[1] * channels, unit)]
    }

    // A product of weights and patch, off by as much as in `gemm`; where products may be spared, by as much as those are.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let args_specs = specs(args);
        let Ok(dims) = self.dims(&args_specs) else { return vec![vec![]] };
        let ranges = self.reads(&args_specs, unit);
        let data: Vec<&[f64]> = args.iter().zip(ranges).map(|(arg, range)| arg.at(range)).collect();
        let (_, row_of_y, _) = self.unit(&dims, unit);
        let start = [row_of_y, 0].map(usize::cast_signed);
        let seen = self.is_spared(&dims).then(|| Window {
            start: [0, 1].map(|axis| start[axis] - self.padding[axis].cast_signed()),
            columns: dims.out_size[1],
            size: dims.size,
            channels: dims.channels,
        });
        let at = |channel, row, column| self.at(&dims, channel, row, column);
        let largest =
            seen.map(|window| window.largest(|channel, row, column| data[0][at(channel, row, column)]));
        let kernels: Vec<Vec<f64>> =
            data[1].chunks_exact(dims.depth()).map(|w| sizes(w, dims.kernel)).collect();
        let (mut patch, mut expected) = (vec![0.0; dims.depth()], vec![]);
        for column in 0..dims.out_size[1] {
            self.patch(&dims, data[0], [row_of_y, column], &mut patch);
            for (channel, weights) in data[1].chunks_exact(dims.depth()).enumerate() {
                let sum = dot(&patch, weights);
                let size = met(&sum, largest.as_deref(), column, &kernels[channel]);
                let bias = data.get(2).map_or(0.0, |bias| bias[channel]);
                let roundoffs = sum.roundoffs().max(8.0 * size) + 8.0 * bias.abs();
                let (error, scale) = (DType::F32.roundoff() * roundoffs, size + bias.abs());
                expected.push(Expected::rounded(sum.value + bias, error, scale, DType::F32));
            }
        }
        vec![expected]
    }
}
