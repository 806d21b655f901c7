//! Layers of convolutional networks.

use super::{Axis, Default, ParamError, Params, Workload, Yield, int, text};
use crate::ops::{Conv2d, ImageLayout, Op};
use crate::program::{Phase, Program, State};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};

/// The convolution that VGG and its successors are made of.
pub(super) const CONV3X3: Workload = Workload {
    name: "conv3x3",
    about: "3 x 3 convolution with a bias that keeps the size of its images.",
    axes: &[
        Axis { name: "height", about: "rows of an image", default: None },
        Axis { name: "width", about: "columns of an image", default: Some(Default::Like("height")) },
        Axis { name: "in", about: "channels of x", default: None },
        Axis { name: "out", about: "channels of y", default: None },
        Axis { name: "batch", about: "images", default: Some(Default::Int(1)) },
        Axis {
            name: "layout",
            about: "order of an image's axes: channels first or last",
            default: Some(Default::OneOf(&["nchw", "nhwc"])),
        },
    ],
    build: conv3x3,
    yields: |params, _| Yield { unit: "image".to_string(), amount: int(params, "batch") as f64 },
};

fn conv3x3(params: &Params) -> Result<Program, ParamError> {
    let [height, width, channels, out, batch] =
        ["height", "width", "in", "out", "batch"].map(|axis| int(params, axis));
    let nhwc = text(params, "layout") == "nhwc";
    let layout = if nhwc { ImageLayout::Nhwc } else { ImageLayout::Nchw };
    let x = if nhwc { [batch, height, width, channels] } else { [batch, channels, height, width] };
    // Sums over the kernel keep the size of what they add: a uniform number on [-b, b) has variance b^2 / 3.
    let bound = (3.0 / (9.0 * channels as f64)).sqrt();
    let mut program = Program::default();
    let args = [
        ("x", &x[..], State::Batch, Fill::UNIT),
        ("w", &[out, channels, 3, 3], State::Parameter, Fill::Uniform { low: -bound, high: bound }),
        ("bias", &[out], State::Parameter, Fill::UNIT),
    ]
    .map(|(name, shape, state, fill)| program.input(name, ValueSpec::new(shape, DType::F32), state, fill));
    let op = Op::Conv2d(Conv2d { layout, stride: [1, 1], padding: [1, 1], bias: true });
    program.outputs = program.push(op, &args, Phase::Forward, State::Activation)?;
    Ok(program)
}
