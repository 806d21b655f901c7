//! Layers on images whose channels stand first.

use super::dense::BIAS;
use super::layer::{Layer, Passed, passed};
use super::net::Net;
use crate::ops::{
    ChannelSum, Conv2d, Conv2dInputGrad, Conv2dWeightGrad, ImageLayout, MaxPool, MaxPoolGrad, Op, Rearrange,
    Relu, ReluGrad,
};
use crate::program::ValueId;
use crate::random::Fill;
use crate::workloads::ParamError;

const LAYOUT: ImageLayout = ImageLayout::Nchw;

/// A convolution of `kernel` by `kernel` with its bias.
#[derive(Clone, Copy)]
pub(super) struct Conv {
    weight: ValueId,
    bias: ValueId,
    kernel: usize,
    stride: usize,
    padding: usize,
    /// Rows and columns of its images.
    size: usize,
}

impl Conv {
    /// 3 by 3, which keeps the size of images of `size` by `size`.
    pub(super) fn same(net: &mut Net, name: &str, channels: [usize; 2], size: usize, trained: bool) -> Self {
        // Twice the variance: the rectifier halves it (He and others, 2015).
        Self::new(net, name, channels, [3, 1, 1, size], 2.0, trained)
    }

    /// By patches of `patch` by `patch` that do not overlap.
    pub(super) fn patches(
        net: &mut Net,
        name: &str,
        channels: [usize; 2],
        [patch, size]: [usize; 2],
        trained: bool,
    ) -> Self {
        Self::new(net, name, channels, [patch, patch, 0, size], 1.0, trained)
    }

    fn new(
        net: &mut Net,
        name: &str,
        [from, to]: [usize; 2],
        [kernel, stride, padding, size]: [usize; 4],
        variance: f64,
        trained: bool,
    ) -> Self {
        let bound = (3.0 * variance / (kernel * kernel * from) as f64).sqrt();
        let fill = Fill::Uniform { low: -bound, high: bound };
        let weight = net.parameter(&format!("{name}.weight"), &[to, from, kernel, kernel], fill, trained);
        let bias = net.parameter(&format!("{name}.bias"), &[to], BIAS, trained);
        Self { weight, bias, kernel, stride, padding, size }
    }

    pub(super) fn forward(self, net: &mut Net, x: ValueId) -> Result<ValueId, ParamError> {
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        let op = Op::Conv2d(Conv2d { layout: LAYOUT, stride, padding, bias: true });
        net.one(op, &[x, self.weight, self.bias])
    }

    pub(super) fn backward(
        self,
        net: &mut Net,
        x: ValueId,
        dy: ValueId,
    ) -> Result<Option<ValueId>, ParamError> {
        let (layout, stride, padding) = (LAYOUT, [self.stride; 2], [self.padding; 2]);
        if net.moves(self.weight) {
            let gradient = net.one(Op::ChannelSum(ChannelSum {}), &[dy])?;
            net.learn(self.bias, gradient)?;
            let op = Conv2dWeightGrad { layout, stride, padding, kernel: [self.kernel; 2] };
            let gradient = net.one(Op::Conv2dWeightGrad(op), &[dy, x])?;
            net.learn(self.weight, gradient)?;
        }
        if !net.moves(x) {
            return Ok(None);
        }
        let op = Conv2dInputGrad { layout, stride, padding, size: [self.size; 2] };
        Ok(Some(net.one(Op::Conv2dInputGrad(op), &[dy, self.weight])?))
    }
}

/// A convolution and a rectifier.
#[derive(Clone, Copy)]
pub(super) struct Rectified(pub(super) Conv);

impl Layer for Rectified {
    fn forward(&self, net: &mut Net, x: ValueId) -> Result<Passed, ParamError> {
        let Self(conv) = *self;
        let flat = conv.forward(net, x)?;
        let y = net.one(Op::Relu(Relu {}), &[flat])?;
        passed(y, move |net, dy| {
            let dflat = net.one(Op::ReluGrad(ReluGrad {}), &[dy, y])?;
            conv.backward(net, x, dflat)
        })
    }
}

/// The largest of each two by two pixels.
pub(super) struct Pool;

impl Layer for Pool {
    fn forward(&self, net: &mut Net, x: ValueId) -> Result<Passed, ParamError> {
        let y = net.one(Op::MaxPool(MaxPool { layout: LAYOUT, window: 2 }), &[x])?;
        passed(y, move |net, dy| match net.moves(x) {
            true => {
                Ok(Some(net.one(Op::MaxPoolGrad(MaxPoolGrad { layout: LAYOUT, window: 2 }), &[dy, x, y])?))
            }
            false => Ok(None),
        })
    }
}

/// Axes in another order: images as rows.
pub(super) struct Reordered {
    pub(super) there: Rearrange,
    pub(super) back: Rearrange,
}

impl Layer for Reordered {
    fn forward(&self, net: &mut Net, x: ValueId) -> Result<Passed, ParamError> {
        let y = net.one(Op::Rearrange(self.there.clone()), &[x])?;
        let op = Op::Rearrange(self.back.clone());
        passed(y, move |net, dy| match net.moves(x) {
            true => Ok(Some(net.one(op, &[dy])?)),
            false => Ok(None),
        })
    }
}
