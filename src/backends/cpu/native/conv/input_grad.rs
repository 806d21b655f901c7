//! The gradient of a convolution by its images, as a convolution: of dy, spread out by the stride, with the kernel
//! turned and its channels exchanged.

use super::super::Team;
use super::prepare as prepare_forward;
use crate::backends::cpu::buffer::{Arena, View, ViewMut};
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::parts::Parts;
use crate::backends::{Fault, Unsupported};
use crate::ops::{Conv2d, Conv2dInputGrad, ConvDims, ImageLayout};
use crate::tensor::{DType, ValueSpec};

struct InputGrad {
    team: Team,
    op: Conv2dInputGrad,
    dims: ConvDims,
    /// The turned weights, then dy spread out with zeros around it, where it does not serve as it is.
    arena: Arena,
    is_spread: bool,
    convolution: Box<dyn Kernel>,
}

/// dx from dy and w.
pub(in super::super) fn prepare(
    team: &Team,
    op: &Conv2dInputGrad,
    args: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(args).map_err(|error| Unsupported(error.to_string()))?;
    let ConvDims { images, channels, size, out, kernel, .. } = dims;
    // Place a of x meets place a + padding - i of dy; with the kernel turned, that is a window from
    // a + padding - (kernel - 1) on.
    let padding = [0, 1].map(|axis| (kernel[axis] - 1).checked_sub(op.padding[axis]));
    let direct = op.stride == [1, 1] && padding.iter().all(Option::is_some);
    let spread = [0, 1].map(|axis| size[axis] + kernel[axis] - 1);
    let shape = match op.layout {
        ImageLayout::Nchw => [images, out, spread[0], spread[1]],
        ImageLayout::Nhwc => [images, spread[0], spread[1], out],
    };
    let weights = ValueSpec::new(&[channels, out, kernel[0], kernel[1]], DType::F32);
    let spread = ValueSpec::new(&shape, DType::F32);
    let padding = if direct { padding.map(Option::unwrap_or_default) } else { [0; 2] };
    let forward = Conv2d { layout: op.layout, stride: [1, 1], padding, bias: false };
    let images = if direct { args[0].clone() } else { spread.clone() };
    let convolution = prepare_forward(team, &forward, &[images, weights.clone()], false)?;
    let held = if direct { vec![weights] } else { vec![weights, spread] };
    let held = if team.facts.is_none() { vec![] } else { held };
    let arena = Arena::new(held.iter()).map_err(|fault| Unsupported(fault.to_string()))?;
    Ok(Box::new(InputGrad {
        team: team.clone(),
        op: op.clone(),
        dims,
        arena,
        is_spread: !direct,
        convolution,
    }))
}

impl InputGrad {
    /// w'(c, o, i, j) = w(o, c, rows - 1 - i, columns - 1 - j)
    fn turn(&mut self, weights: &[f32]) {
        let ConvDims { channels, out, kernel, .. } = self.dims;
        let (taps, depth) = (kernel[0] * kernel[1], self.dims.depth());
        let mut turned = self.arena.view_mut(0);
        let turned = Parts::new(turned.slice::<f32>());
        self.team.pool.run(&|me| {
            for channel in me.share(channels, 1) {
                // SAFETY: each channel is one thread's.
                let to = unsafe { turned.part(channel * out * taps..(channel + 1) * out * taps) };
                for (to, from) in to.chunks_exact_mut(taps).zip(weights.chunks_exact(depth)) {
                    let from = &from[channel * taps..][..taps];
                    to.iter_mut().zip(from.iter().rev()).for_each(|(to, weight)| *to = *weight);
                }
            }
        });
    }

    /// dy with its places as far apart as the stride, and zeros between and around them.
    fn spread(&mut self, dy: &[f32]) {
        let (op, dims) = (&self.op, &self.dims);
        let size = [0, 1].map(|axis| dims.size[axis] + dims.kernel[axis] - 1);
        let (planes, lanes) = match op.layout {
            ImageLayout::Nchw => (dims.images * dims.out, 1),
            ImageLayout::Nhwc => (dims.images, dims.out),
        };
        // Where place `place` of dy goes along an axis.
        let at = |axis: usize, place: usize| {
            let moved = place * op.stride[axis] + dims.kernel[axis] - 1;
            moved.checked_sub(op.padding[axis]).filter(|&at| at < size[axis])
        };
        let [rows, columns] = dims.out_size;
        let mut spread = self.arena.view_mut(1);
        let spread = Parts::new(spread.slice::<f32>());
        self.team.pool.run(&|me| {
            for plane in me.share(planes, 1) {
                let len = size[0] * size[1] * lanes;
                // SAFETY: each plane is one thread's.
                let to = unsafe { spread.part(plane * len..(plane + 1) * len) };
                to.fill(0.0);
                let from = &dy[plane * rows * columns * lanes..][..rows * columns * lanes];
                for (place, from) in from.chunks_exact(lanes).enumerate() {
                    let place = at(0, place / columns).zip(at(1, place % columns));
                    if let Some((row, column)) = place {
                        to[(row * size[1] + column) * lanes..][..lanes].copy_from_slice(from);
                    }
                }
            }
        });
    }
}

impl Kernel for InputGrad {
    fn run(&mut self, set: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        self.turn(args[1].slice());
        let images = if self.is_spread {
            self.spread(args[0].slice());
            self.arena.view(1)
        } else {
            View { start: args[0].start, ..args[0] }
        };
        self.convolution.run(set, &[images, self.arena.view(0)], outs)
    }

    fn workspace(&self) -> Result<u64, Fault> {
        Ok(self.arena.bytes_of_values() + self.convolution.workspace()?)
    }
}
