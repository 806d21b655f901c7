//! The gradient of a convolution by its weights: a product of dy and of the patches that the kernel saw, whose
//! depth is the pixels, added up over the images.
//! ```text
//! channels first: dWt = Xt dYt   rows are elements of a kernel, a line of pixels at a time
//! channels last:  dW = dYt X     columns are elements of a kernel, the channels of a place side by side
//! ```

use super::super::Team;
use super::super::gemm::{
    Arithmetic, CHUNK, Engine, Left, Made, Matrix, Right, Scratch, Target, portion, words_mut,
};
use super::{Geometry, rows, winograd};
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::scratch::SharedScratch;
use crate::backends::cpu::parts::Parts;
use crate::backends::{Fault, Unsupported};
use crate::ops::{Conv2dWeightGrad, GemmDims, ImageLayout};
use crate::tensor::ValueSpec;
use std::ops::Range;

/// An image of one layout as the patches of its pixels, the elements of a kernel by the pixels.
struct Patches<'a> {
    geometry: &'a Geometry,
    image: &'a [f32],
    /// Columns of a panel.
    width: usize,
}

impl Patches<'_> {
    /// The pixels of one row of y that `pixels` begins with, as element `[i, j]` of the kernel sees them.
    fn run(&self, pixels: &Range<usize>, [i, j]: [usize; 2]) -> Run {
        let Geometry { op, dims } = self.geometry;
        let (row, first) = (pixels.start / dims.out_size[1], pixels.start % dims.out_size[1]);
        let len = (dims.out_size[1] - first).min(pixels.len());
        let Some(line) = op.seen(dims, 0, row, i) else { return Run { len, inside: len..len, from: 0 } };
        let (stride, padding) = (op.stride[1], op.padding[1]);
        // Places from which on the kernel sees the image, and no longer.
        let [start, end] = [padding, padding + dims.size[1]]
            .map(|edge| edge.saturating_sub(j).div_ceil(stride).saturating_sub(first).min(len));
        if start >= end {
            return Run { len, inside: len..len, from: 0 };
        }
        let from = line * dims.size[1] + (first + start) * stride + j - padding;
        Run { len, inside: start..end, from }
    }
}

/// Neighbouring pixels of y.
struct Run {
    len: usize,
    /// Those that see no padding.
    inside: Range<usize>,
    /// Where in a plane of x the first of these sees.
    from: usize,
}

/// Channels first: lines of pixels.
struct ByPlane<'a>(Patches<'a>);

impl Made for ByPlane<'_> {
    fn make(&self, across: Range<usize>, depths: Range<usize>, to: &mut [u32]) {
        let Patches { geometry, image, .. } = self.0;
        let Geometry { op, dims } = geometry;
        let (taps, plane, count) = (geometry.taps(), dims.size[0] * dims.size[1], across.len());
        let end = depths.len().next_multiple_of(CHUNK);
        for (number, element) in across.enumerate() {
            let (channel, tap) = (element / taps, element % taps);
            let plane = &image[channel * plane..][..plane];
            let (mut pixels, place, mut word) = (depths.clone(), [number, count], 0);
            while !pixels.is_empty() {
                let Run { len, inside, from } =
                    self.0.run(&pixels, [tap / dims.kernel[1], tap % dims.kernel[1]]);
                rows::copy(None, inside.start, word, place, to);
                if op.stride[1] == 1 {
                    let from = plane.get(from..from + inside.len());
                    rows::copy(from, inside.len(), word + inside.start, place, to);
                } else {
                    for (step, word) in (word + inside.start..word + inside.end).enumerate() {
                        rows::copy(plane.get(from + step * op.stride[1]..), 1, word, place, to);
                    }
                }
                rows::copy(None, len - inside.end, word + inside.end, place, to);
                word += len;
                pixels.start += len;
            }
            rows::copy(None, end - word, word, place, to);
        }
    }
}

/// Channels last: panels whose columns are the channels of a place of the kernel, place after place.
struct ByPixel<'a>(Patches<'a>);

impl Made for ByPixel<'_> {
    fn make(&self, across: Range<usize>, depths: Range<usize>, to: &mut [u32]) {
        let Patches { geometry, image, width } = self.0;
        let channels = geometry.dims.channels;
        for (pixel, to) in depths.zip(to.chunks_exact_mut(width)) {
            let mut place = across.start;
            while place < across.end {
                let (tap, channel) = (place / channels, place % channels);
                let run = (channels - channel).min(across.end - place);
                let to = &mut to[place - across.start..][..run];
                match geometry.seen(pixel, tap) {
                    Some(at) => {
                        let from = &image[at * channels + channel..];
                        to.iter_mut().zip(from).for_each(|(to, x)| *to = x.to_bits());
                    }
                    None => to.fill(0),
                }
                place += run;
            }
        }
    }
}

struct WeightGrad {
    team: Team,
    plan: Plan,
}

/// What the threads share.
struct Plan {
    geometry: Geometry,
    engine: Engine,
    scratch: SharedScratch,
}

impl Plan {
    /// As one product for each image.
    fn product(&self) -> GemmDims {
        let dims = &self.geometry.dims;
        product(&self.geometry, dims.out, dims.depth())
    }
}

fn product(geometry: &Geometry, out: usize, depth: usize) -> GemmDims {
    let (m, n) = if geometry.op.layout == ImageLayout::Nchw { (depth, out) } else { (out, depth) };
    GemmDims { batch: 1, m, n, k: geometry.pixels(), shared_b: false }
}

/// dw from dy and x.
pub(in super::super) fn prepare(
    team: &Team,
    op: &Conv2dWeightGrad,
    args: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(args).map_err(|error| Unsupported(error.to_string()))?;
    let geometry = Geometry { op: op.forward(), dims };
    if winograd::weight_grad_pays(&geometry) {
        return Ok(Box::new(winograd::WeightGrad::new(team, &geometry)?));
    }
    let engine = team.engine(Arithmetic::F32)?;
    let product = product(&geometry, dims.out, dims.depth());
    let [a, b, rows] = engine.scratch_lens([product.m, product.n, product.k]);
    let threads = team.pool.threads();
    let elements = |id: usize| {
        let (_, rows, columns) = portion(product, engine.kernels.grains(), id, threads);
        rows.len() * columns.len()
    };
    let sums = (0..threads).map(elements).max().unwrap_or_default();
    let scratch = team.scratch(&[a, b, rows, sums]);
    Ok(Box::new(WeightGrad { team: team.clone(), plan: Plan { geometry, engine, scratch } }))
}

/// What a run works on.
struct Call<'a> {
    of: &'a Plan,
    dy: &'a [f32],
    x: &'a [f32],
    dw: Parts<'a, f32>,
}

impl Call<'_> {
    /// The part of thread `id`.
    fn compute(&self, id: usize, count: usize) {
        let Plan { geometry, engine, scratch, .. } = self.of;
        let (_, rows, columns) = portion(self.of.product(), engine.kernels.grains(), id, count);
        if rows.is_empty() || columns.is_empty() {
            return;
        }
        // SAFETY: the pool gives each thread its own number.
        let [a, b, words, sums] = unsafe { scratch.of(id) };
        let mut scratch = Scratch { a: words_mut(a), b: words_mut(b), rows: words_mut(words) };
        let (dims, stride) = (&geometry.dims, columns.len());
        let images =
            self.dy.chunks_exact(geometry.pixels() * dims.out).zip(self.x.chunks_exact(dims.image()));
        for (number, (dy, x)) in images.enumerate() {
            let target = Target::plain(sums.as_mut_ptr(), stride, 1.0);
            let target = match number {
                0 => target,
                _ => Target { beta: 1.0, init: target.start, init_stride: stride, ..target },
            };
            self.image(dy, x, [&rows, &columns], target, &mut scratch);
        }
        match geometry.op.layout {
            ImageLayout::Nchw => self.write_turned(sums, &rows, &columns),
            ImageLayout::Nhwc => self.write_by_place(sums, &rows, &columns),
        }
    }

    fn image(
        &self,
        dy: &[f32],
        image: &[f32],
        [rows, columns]: [&Range<usize>; 2],
        target: Target,
        scratch: &mut Scratch,
    ) {
        let Plan { geometry, engine, .. } = self.of;
        let (pixels, out) = (geometry.pixels(), geometry.dims.out);
        let patches = Patches { geometry, image, width: engine.kernels.columns };
        let extents = [rows.len(), columns.len(), pixels];
        match geometry.op.layout {
            ImageLayout::Nchw => {
                let made = ByPlane(patches);
                let right = Right::Plain(Matrix::new(&dy[columns.start * pixels..], [1, pixels]));
                let left = Left::<f32>::Made(&made, rows.start);
                engine.multiply_from::<f32, f32, f32, f32>(&left, &right, extents, target, scratch);
            }
            ImageLayout::Nhwc => {
                let made = ByPixel(patches);
                let left = Left::Plain(Matrix::new(&dy[rows.start..], [1, out]));
                let right = Right::<f32>::Made(&made, columns.start);
                engine.multiply_from::<f32, f32, f32, f32>(&left, &right, extents, target, scratch);
            }
        }
    }

    /// Sums whose rows are elements of a kernel and whose columns are channels of y.
    fn write_turned(&self, sums: &[f32], rows: &Range<usize>, columns: &Range<usize>) {
        let depth = self.of.geometry.dims.depth();
        for (place, out) in columns.clone().enumerate() {
            // SAFETY: the rectangles of a team are disjoint.
            let to = unsafe { self.dw.part(out * depth + rows.start..out * depth + rows.end) };
            let from = sums[place..].iter().step_by(columns.len());
            to.iter_mut().zip(from).for_each(|(to, sum)| *to = *sum);
        }
    }

    /// Sums whose rows are channels of y and whose columns are elements of a kernel, place by place.
    fn write_by_place(&self, sums: &[f32], rows: &Range<usize>, columns: &Range<usize>) {
        let (geometry, depth) = (&self.of.geometry, self.of.geometry.dims.depth());
        for (out, sums) in rows.clone().zip(sums.chunks_exact(columns.len())) {
            for (place, sum) in columns.clone().zip(sums) {
                let at = out * depth + rows::place_in_weights(geometry, geometry.taps(), place);
                // SAFETY: the rectangles of a team are disjoint.
                unsafe { self.dw.write(at, *sum) };
            }
        }
    }
}

impl Kernel for WeightGrad {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let (dy, x, dw) = (args[0].slice(), args[1].slice(), Parts::new(outs[0].slice::<f32>()));
        let call = Call { of: &self.plan, dy, x, dw };
        self.team.pool.run(&|me| call.compute(me.id, me.count));
        Ok(())
    }

    fn workspace(&self) -> Result<u64, Fault> {
        self.plan.scratch.bytes()
    }
}
