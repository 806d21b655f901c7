//! Max pooling by windows that do not overlap, and its gradient.

use super::conv2d::ImageLayout;
use super::expected::specs;
use super::shapes::{ShapeError, Shapes, row};
use super::{Arg, Expected, Operation, Work};
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// y(image, c, r, s) = the largest x of the window of `window` by `window` pixels at (r window, s window).
///
/// x holds images in `layout`, f32; rows and columns that fill no window are left out; y is in the same layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxPool {
    /// Order of the axes of x and y.
    pub layout: ImageLayout,
    /// Rows and columns of a window, and between neighbouring ones.
    pub window: usize,
}

/// dx = dy at the first element of each window, row by row, that is as large as y; elsewhere 0.
///
/// Arguments dy, the forward argument x and its answer y, f32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxPoolGrad {
    /// Order of the axes of x and y.
    pub layout: ImageLayout,
    /// As in the forward pass.
    pub window: usize,
}

/// Images as rows of pixels: planes of one channel, or one plane whose pixels have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolDims {
    /// Planes of all images together.
    pub planes: usize,
    /// Channels of a pixel of a plane.
    pub channels: usize,
    /// Rows and columns of x.
    pub size: [usize; 2],
    /// Rows and columns of y.
    pub out_size: [usize; 2],
    /// Rows and columns of a window.
    pub window: usize,
}

impl PoolDims {
    /// Numbers of the elements of x, within its plane, in the window of element (row, column, channel) of y; row by
    /// row.
    pub fn window(&self, row: usize, column: usize, channel: usize) -> impl Iterator<Item = usize> + use<> {
        let Self { channels, size: [_, columns], window, .. } = *self;
        let first = (row * columns + column) * window * channels + channel;
        (0..window * window).map(move |place| first + (place / window * columns + place % window) * channels)
    }

    /// Whether windows are two by two pixels of one channel, as convolutional networks have them.
    pub fn is_pairs(&self) -> bool {
        self.channels == 1 && self.window == 2
    }

    /// Elements of a plane of x.
    pub fn plane(&self) -> usize {
        self.channels * self.size[0] * self.size[1]
    }

    /// Elements of a plane of y.
    pub fn out_plane(&self) -> usize {
        self.channels * self.out_size[0] * self.out_size[1]
    }
}

impl MaxPool {
    /// Extents for images x, or why they do not fit.
    pub fn dims(&self, x: &ValueSpec) -> Result<PoolDims, ShapeError> {
        let shapes = Shapes::new("max_pool", std::slice::from_ref(x), 1)?;
        self.extents(&shapes, x)
    }

    fn extents(&self, shapes: &Shapes, x: &ValueSpec) -> Result<PoolDims, ShapeError> {
        shapes.require(x.dtype == DType::F32, "takes f32")?;
        let &[images, second, third, fourth] = &x.shape[..] else {
            return Err(shapes.wrong("images need four axes"));
        };
        let (planes, channels, size) = match self.layout {
            ImageLayout::Nchw => (images * second, 1, [third, fourth]),
            ImageLayout::Nhwc => (images, fourth, [second, third]),
        };
        let fits = self.window > 0 && size.iter().all(|&extent| extent >= self.window);
        shapes.require(fits, "a window must have pixels and fit into the image")?;
        let out_size = size.map(|extent| extent / self.window);
        Ok(PoolDims { planes, channels, size, out_size, window: self.window })
    }

    fn output(&self, x: &ValueSpec, dims: &PoolDims) -> ValueSpec {
        let [rows, columns] = dims.out_size;
        let shape = match self.layout {
            ImageLayout::Nchw => [x.shape[0], x.shape[1], rows, columns],
            ImageLayout::Nhwc => [x.shape[0], rows, columns, x.shape[3]],
        };
        ValueSpec::new(&shape, DType::F32)
    }
}

impl MaxPoolGrad {
    /// The forward pass.
    pub fn forward(&self) -> MaxPool {
        MaxPool { layout: self.layout, window: self.window }
    }
}

impl Operation for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 1)?;
        Ok(vec![self.output(&args[0], &self.extents(&shapes, &args[0])?)])
    }

    // A comparison for each element of a window but its first.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let y = self.outputs(args).unwrap_or_default();
        let each = (self.window as u64).saturating_mul(self.window as u64) - 1;
        let elements = y.first().map_or(0, |y| y.elements() as u64);
        Work::of(elements.saturating_mul(each), args, &y)
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        self.dims(&args[0]).map_or(0, |dims| dims.planes)
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        self.dims(&args[0]).map_or(vec![], |dims| vec![row(dims.plane(), unit)])
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        self.dims(&args[0]).map_or(vec![], |dims| vec![row(dims.out_plane(), unit)])
    }

    // One of the numbers that are there.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let Ok(dims) = self.dims(args[0].spec) else { return vec![vec![]] };
        let x = args[0].at(row(dims.plane(), unit));
        let largest = |(row, column, channel)| {
            dims.window(row, column, channel).map(|at| x[at]).fold(f64::NEG_INFINITY, f64::max)
        };
        vec![places(&dims).map(|place| Expected::exact(largest(place))).collect()]
    }
}

/// Row, column and channel of each element of a plane of y, in order.
fn places(dims: &PoolDims) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
    let PoolDims { channels, out_size: [_, columns], .. } = *dims;
    (0..dims.out_plane()).map(move |at| (at / channels / columns, at / channels % columns, at % channels))
}

impl Operation for MaxPoolGrad {
    fn name(&self) -> &'static str {
        "max_pool_grad"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 3)?;
        let y = self.forward().output(&args[1], &self.forward().extents(&shapes, &args[1])?);
        shapes.require(args[0] == y && args[2] == y, "dy and y must be what the forward pass answers")?;
        Ok(vec![args[1].clone()])
    }

    // A comparison for each element of a window.
    fn work(&self, args: &[ValueSpec]) -> Work {
        Work::of(args[1].elements() as u64, args, &args[1..2])
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        self.forward().dims(&args[1]).map_or(0, |dims| dims.planes)
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let Ok(dims) = self.forward().dims(&args[1]) else { return vec![] };
        let y = row(dims.out_plane(), unit);
        vec![y.clone(), row(dims.plane(), unit), y]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        self.forward().dims(&args[1]).map_or(vec![], |dims| vec![row(dims.plane(), unit)])
    }

    // Copies and zeros.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let args_specs = specs(args);
        let Ok(dims) = self.forward().dims(&args_specs[1]) else { return vec![vec![]] };
        let ranges = self.reads(&args_specs, unit);
        let [dy, x, y] = [0, 1, 2].map(|arg: usize| args[arg].at(ranges[arg].clone()));
        let mut dx = vec![Expected::exact(0.0); dims.plane()];
        for (at, (row, column, channel)) in places(&dims).enumerate() {
            if let Some(first) = dims.window(row, column, channel).find(|&place| x[place] == y[at]) {
                dx[first] = Expected::exact(dy[at]);
            }
        }
        vec![dx]
    }
}
