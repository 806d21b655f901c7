//! A step as a oneDNN convolution.

use super::api::Api;
use super::execution::{Execution, Weights};
use super::objects::{Layout, Walk};
use crate::backends::{Fault, Unsupported};
use crate::ops::{Conv2d, ConvDims, ImageLayout};
use crate::tensor::{DType, ValueSpec};
use std::rc::Rc;

/// A convolution of images in f32.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Convolution {
    source: Layout,
    weights: Layout,
    bias: Option<Layout>,
    destination: Layout,
    walk: Walk,
}

impl Convolution {
    /// The convolution that `op` is for these arguments.
    pub(super) fn new(op: &Conv2d, args: &[ValueSpec]) -> Result<Self, Unsupported> {
        let dims = op.dims(args).map_err(|error| Unsupported(error.0))?;
        let ConvDims { images, channels, size, out, kernel, out_size } = dims;
        let [rows, columns] = kernel;
        Ok(Self {
            source: pictures(op.layout, [images, channels, size[0], size[1]]),
            weights: pictures(ImageLayout::Nchw, [out, channels, rows, columns]),
            bias: op.bias.then(|| described(&[out], &[1])),
            destination: pictures(op.layout, [images, out, out_size[0], out_size[1]]),
            walk: Walk { stride: op.stride.map(number), padding: op.padding.map(number) },
        })
    }

    /// The primitive with memories for its operands.
    pub(super) fn build(&self, api: &Rc<Api>, packed: bool) -> Result<Execution, Fault> {
        let (source, destination) = (api.strided(&self.source)?, api.strided(&self.destination)?);
        let bias = self.bias.as_ref().map(|bias| api.strided(bias)).transpose()?;
        let weights = Weights::new(api, &self.weights, packed)?;
        let operands = [&source, weights.wanted(), &destination];
        let convolution = api.convolution(operands, bias.as_ref(), self.walk)?;
        Execution::new(api, convolution, weights, [&source, &destination], bias.as_ref())
    }
}

/// Axes in the library's order (image, channel, row, column), strides as they lie.
fn pictures(layout: ImageLayout, extents: [usize; 4]) -> Layout {
    let [_, channels, rows, columns] = extents;
    let strides = match layout {
        ImageLayout::Nchw => [channels * rows * columns, rows * columns, columns, 1],
        ImageLayout::Nhwc => [channels * rows * columns, 1, columns * channels, channels],
    };
    described(&extents, &strides)
}

fn described(extents: &[usize], strides: &[usize]) -> Layout {
    let numbers = |sizes: &[usize]| sizes.iter().copied().map(number).collect();
    Layout { dtype: DType::F32, extents: numbers(extents), strides: numbers(strides) }
}

fn number(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
