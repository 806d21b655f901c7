//! Convolution as a matrix product one of whose factors is never stored whole.
//!
//! A product of the weights and of the patches that the kernel sees (im2col: Chellapilla and others, "High
//! Performance Convolutional Neural Networks for Document Processing", 2006) runs at the rate of the register
//! tile, but the matrix of patches holds each pixel once for every place of the kernel. So a panel of it is
//! made where the tile needs one, in the second cache, straight from the image:
//! ```text
//! channels first: Y = W X   rows are channels of y, as the weights lie; columns are pixels, a panel at a time
//! channels last:  Y = X W   rows are pixels, a line of channels at a time; columns are channels of y
//! ```
//! Either way y is written as it lies, and the weights too are read so where their channels come first.
//!
//! Kernels of 3 x 3 with many channels, which stand first, go another way: [`winograd`].
//!
//! A panel serves every row of tiles, so that making it weighs least where y has many channels: of VGG16's
//! layers it is the first ones, with 64, that notice. There whole panels within one row of the image are copied by the place of the kernel alone; what crosses rows or sees padding is copied by a list of pieces.

mod input_grad;
mod pixels;
mod rows;
#[cfg(test)]
mod tests;
mod weight_grad;
mod winograd;

pub(super) use input_grad::prepare as prepare_input_grad;
pub(super) use weight_grad::prepare as prepare_weight_grad;

use super::Team;
use super::gemm::{
    Arithmetic, Engine, Left, Matrix, Packed, Right, Scratch, Target, portion, words_mut, words_of,
};
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::scratch::SharedScratch;
use crate::backends::cpu::parts::{Parts, TeamScratch};
use crate::backends::{Fault, Unsupported};
use crate::ops::{Conv2d, ConvDims, GemmDims, ImageLayout};
use crate::tensor::ValueSpec;
use pixels::{Piece, Pixels};
use rows::{Patches, Weights};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use winograd::Winograd;

/// A convolution of some extents.
#[derive(Clone, Debug)]
struct Geometry {
    op: Conv2d,
    dims: ConvDims,
}

impl Geometry {
    /// Places of the kernel.
    fn taps(&self) -> usize {
        self.dims.kernel[0] * self.dims.kernel[1]
    }

    /// Pixels of an image of y.
    fn pixels(&self) -> usize {
        self.dims.out_size[0] * self.dims.out_size[1]
    }

    /// As a product for each image.
    fn product(&self) -> GemmDims {
        let (out, pixels) = (self.dims.out, self.pixels());
        let (m, n) = if self.op.layout == ImageLayout::Nchw { (out, pixels) } else { (pixels, out) };
        GemmDims { batch: self.dims.images, m, n, k: self.dims.depth(), shared_b: false }
    }

    /// Where in a plane of x element `tap` of the kernel sees pixel `pixel` of y; none in the padding.
    fn seen(&self, pixel: usize, tap: usize) -> Option<usize> {
        let (columns, kernel_columns) = (self.dims.out_size[1], self.dims.kernel[1]);
        let row = self.op.seen(&self.dims, 0, pixel / columns, tap / kernel_columns)?;
        let column = self.op.seen(&self.dims, 1, pixel % columns, tap % kernel_columns)?;
        Some(row * self.dims.size[1] + column)
    }
}

/// Weights laid out at load.
enum Kept {
    /// Lines of the rows that a thread has, by the first of them.
    Lines(TeamScratch, Vec<(Range<usize>, Range<usize>)>),
    Panels(Packed),
}

/// What the threads share.
struct Plan {
    geometry: Geometry,
    engine: Engine,
    threads: usize,
    scratch: SharedScratch,
    /// How a panel is copied from an image, by thread.
    pieces: Vec<Mutex<Vec<Piece>>>,
}

/// A convolution as a step.
struct Convolution {
    team: Team,
    plan: Plan,
    /// Weights are laid out at load, by input set.
    packs: bool,
    kept: Vec<Kept>,
}

/// y = w x + bias.
pub(super) fn prepare(
    team: &Team,
    op: &Conv2d,
    args: &[ValueSpec],
    packs: bool,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(args).map_err(|error| Unsupported(error.to_string()))?;
    let geometry = Geometry { op: op.clone(), dims };
    if winograd::pays(&geometry, packs) {
        return Ok(Box::new(Winograd::new(team, &geometry, packs)?));
    }
    // Lines of patches suit the other family alone.
    let wide = if op.layout == ImageLayout::Nchw { team.wide_engine() } else { None };
    let engine = wide.map_or_else(|| team.engine(Arithmetic::F32), Ok)?;
    let width = engine.kernels.columns;
    let GemmDims { m, n, k, .. } = geometry.product();
    let [a, b, rows] = engine.scratch_lens([m, n, k]);
    let planes = op.layout == ImageLayout::Nchw;
    let [a, b] = [if packs && planes { 0 } else { a }, if packs && !planes { 0 } else { b }];
    let bias = if op.bias && planes { m * width } else { 0 };
    let scratch = team.scratch(&[a, b, rows, bias]);
    let most = if planes && team.facts.is_some() { geometry.taps() * width } else { 0 };
    let pieces = (0..team.pool.threads()).map(|_| Mutex::new(Vec::with_capacity(most))).collect();
    let plan = Plan { geometry, engine, threads: team.pool.threads(), scratch, pieces };
    Ok(Box::new(Convolution { team: team.clone(), plan, packs, kept: Vec::new() }))
}

/// What a run works on.
struct Call<'a> {
    of: &'a Plan,
    x: &'a [f32],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    kept: Option<&'a Kept>,
    y: Parts<'a, f32>,
}

impl Plan {
    /// Images, rows and columns of the product that thread `id` of `count` computes.
    fn portion(&self, id: usize, count: usize) -> (Range<usize>, Range<usize>, Range<usize>) {
        portion(self.geometry.product(), self.engine.kernels.grains(), id, count)
    }

    fn keep_lines(&self, weights: &[f32]) -> Result<Kept, Fault> {
        let (depth, count) = (self.geometry.dims.depth(), self.threads);
        let (mut places, mut end) = (Vec::new(), 0);
        for (_, rows, _) in (0..count).map(|id| self.portion(id, count)) {
            if !places.iter().any(|(other, _)| *other == rows) {
                let start = end;
                end += self.engine.left_len(rows.len(), depth);
                places.push((rows, start..end));
            }
        }
        let scratch = TeamScratch::new(1, &[end])?;
        // SAFETY: nobody else has the buffer while it is filled.
        let [lines] = unsafe { scratch.of(0) };
        for (rows, place) in &places {
            let to = words_mut(&mut lines[place.clone()]);
            self.engine.pack_left::<f32, f32>(Matrix::new(weights, [depth, 1]), rows, depth, to);
        }
        Ok(Kept::Lines(scratch, places))
    }

    fn keep_panels(&self, weights: &[f32]) -> Result<Kept, Fault> {
        let (depth, taps) = (self.geometry.dims.depth(), self.geometry.taps());
        let of = |at: usize| {
            let (row, place) = (at / depth, at % depth);
            weights[row * depth + rows::place_in_weights(&self.geometry, taps, place)]
        };
        let turned: Vec<f32> = (0..weights.len()).map(of).collect();
        let matrices = std::iter::once(Matrix::new(&turned[..], [1, depth]));
        Packed::new::<f32, f32>(&self.engine, matrices, [depth, self.geometry.dims.out], 0).map(Kept::Panels)
    }
}

impl Call<'_> {
    /// The part of thread `id`.
    fn compute(&self, id: usize, count: usize) {
        let (images, rows, columns) = self.of.portion(id, count);
        if rows.is_empty() || columns.is_empty() {
            return;
        }
        // SAFETY: the pool gives each thread its own number.
        let [a, b, words, bias] = unsafe { self.of.scratch.of(id) };
        let mut scratch = Scratch { a: words_mut(a), b: words_mut(b), rows: words_mut(words) };
        match self.of.geometry.op.layout {
            ImageLayout::Nchw => {
                self.spread_bias(&rows, bias);
                let mut pieces = self.of.pieces[id].lock().unwrap_or_else(PoisonError::into_inner);
                for image in images {
                    self.channels_first(image, [&rows, &columns], bias, &mut pieces, &mut scratch);
                }
            }
            ImageLayout::Nhwc => {
                images.for_each(|image| self.channels_last(image, [&rows, &columns], &mut scratch));
            }
        }
    }

    /// The bias of each row, in every lane of a tile.
    fn spread_bias(&self, rows: &Range<usize>, to: &mut [f32]) {
        let Some(bias) = self.bias else { return };
        for (to, bias) in to.chunks_exact_mut(self.of.engine.kernels.columns).zip(&bias[rows.clone()]) {
            to.fill(*bias);
        }
    }

    fn image(&self, image: usize) -> &[f32] {
        let len = self.of.geometry.dims.image();
        &self.x[image * len..][..len]
    }

    /// Where rows and columns of a product go.
    fn target(&self, image: usize, [rows, columns]: [&Range<usize>; 2]) -> Target {
        let GemmDims { m, n, .. } = self.of.geometry.product();
        Target::plain(self.y.start().wrapping_add((image * m + rows.start) * n + columns.start), n, 1.0)
    }

    fn channels_first(
        &self,
        image: usize,
        [rows, columns]: [&Range<usize>; 2],
        bias: &[f32],
        pieces: &mut Vec<Piece>,
        scratch: &mut Scratch,
    ) {
        let Plan { geometry, engine, .. } = self.of;
        let (depth, width) = (geometry.dims.depth(), engine.kernels.columns);
        let mut target = self.target(image, [rows, columns]);
        if !bias.is_empty() {
            let init = bias.as_ptr().cast();
            target = Target { beta: 1.0, init, init_stride: width, init_step: 0, ..target };
        }
        let left = match self.kept {
            Some(Kept::Lines(lines, places)) => {
                let place = places.iter().find(|(other, _)| other == rows).map(|(_, place)| place.clone());
                // SAFETY: nobody writes the buffer once it is filled.
                Left::Packed(&words_of(unsafe { lines.filled() })[place.unwrap_or_default()])
            }
            _ => Left::Plain(Matrix::new(&self.weights[rows.start * depth..], [depth, 1])),
        };
        let pixels = Pixels::new(geometry, engine.isa, self.image(image), width, pieces);
        let right = Right::<f32>::Made(&pixels, columns.start);
        let extents = [rows.len(), columns.len(), depth];
        engine.multiply_from::<f32, f32, f32, f32>(&left, &right, extents, target, scratch);
    }

    fn channels_last(&self, image: usize, [rows, columns]: [&Range<usize>; 2], scratch: &mut Scratch) {
        let Plan { geometry, engine, .. } = self.of;
        let mut target = self.target(image, [rows, columns]);
        if let Some(bias) = self.bias {
            target = Target { beta: 1.0, init: bias[columns.start..].as_ptr().cast(), ..target };
        }
        let weights = Weights { geometry, weights: self.weights, width: engine.kernels.columns };
        let right = match self.kept {
            Some(Kept::Panels(packed)) => Right::Packed(packed.panels(0, columns.start)),
            _ => Right::Made(&weights, columns.start),
        };
        let patches = Patches { geometry, image: self.image(image) };
        let left = Left::<f32>::Made(&patches, rows.start);
        let extents = [rows.len(), columns.len(), geometry.dims.depth()];
        engine.multiply_from::<f32, f32, f32, f32>(&left, &right, extents, target, scratch);
    }
}

impl Kernel for Convolution {
    fn run(&mut self, set: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let (x, weights, bias) = (args[0].slice(), args[1].slice(), args.get(2).map(View::slice));
        let (kept, y) = (self.kept.get(set), Parts::new(outs[0].slice::<f32>()));
        let call = Call { of: &self.plan, x, weights, bias, kept, y };
        self.team.pool.run(&|me| call.compute(me.id, me.count));
        Ok(())
    }

    fn pack(&mut self, _: usize, args: &[View]) -> Result<u64, Fault> {
        if !self.packs {
            return Ok(0);
        }
        let weights = args[1].slice();
        let kept = match self.plan.geometry.op.layout {
            ImageLayout::Nchw => self.plan.keep_lines(weights)?,
            ImageLayout::Nhwc => self.plan.keep_panels(weights)?,
        };
        let bytes = match &kept {
            Kept::Lines(lines, _) => lines.bytes(),
            Kept::Panels(packed) => packed.bytes(),
        };
        self.kept.push(kept);
        Ok(bytes)
    }

    fn workspace(&self) -> Result<u64, Fault> {
        self.plan.scratch.bytes()
    }
}
