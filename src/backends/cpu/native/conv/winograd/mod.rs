//! Convolution by a kernel of 3 x 3 in steps of 1 with fewer multiplications: minimal filtering, F(2 x 2, 3 x 3)
//! (Winograd, "Arithmetic Complexity of Computations", 1980; Lavin and Gray, "Fast Algorithms for Convolutional Neural
//! Networks", 2015).
//!
//! Four pixels of y need 16 products for a channel instead of 36. What each of the 16 places adds up over the channels is
//! a matrix product, of the weights' places by the tiles' (§4.1, algorithm 1):
//! ```text
//! M(place) = U(place) V(place)   rows are channels of y, columns are tiles, the depth is channels of x
//! ```
//! V and M are made for as many tiles as stay in the second cache. A pixel errs as a plain sum does, but by the size of its
//! tile's products, some of which cancel in it; a NaN or an infinity in x makes NaN of whole tiles that see it. Larger
//! tiles, F(4 x 4, 3 x 3), need a quarter of the products, but have matrices with 8 and 1/24 in them, which cost digits.
//!
//! Layers of VGG16 on one image take 0.5 to 0.75 of the time of the direct sums so, and with weights that are not packed up
//! to 1.0 (two threads, AVX-512 and AVX2).

mod algebra;
#[cfg(test)]
mod tests;
mod tiles;
mod weight_grad;
mod weights;

pub(super) use weight_grad::{WeightGrad, pays as weight_grad_pays};

use super::super::Team;
use super::super::gemm::{Arithmetic, Engine, Left, Panels, Right, Scratch, Target, words_mut, words_of};
use super::super::scratch::SharedScratch;
use super::Geometry;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::parts::{Parts, TeamScratch};
use crate::backends::cpu::pool::{Member, share};
use crate::backends::{Fault, Unsupported};
use crate::ops::ImageLayout;
use algebra::{KERNEL, PLACES};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tiles::{Grid, Outputs, Patches, Run, Stack};

/// Least channels of x and of y: what is saved is a part of the products, what it costs is work for each channel. With 32
/// of either, 224 x 224 pixels take two thirds of the time.
const CHANNELS: usize = 32;
/// Least pixels of y, of all images, for weights that are laid out in every run: with 196 and 512 channels that takes as
/// long as it saves, with 784 it takes three quarters.
const PIXELS: usize = 512;
/// The same for packed weights: with 49, of which 15 more are computed, it takes as long, with 196 two thirds.
const PACKED_PIXELS: usize = 64;
/// Most tall tiles of a group of channels of y: the rows of a product.
const TALL: usize = 4;
/// Pieces of work for each thread, so that a slow one leaves some to the others.
const PIECES: usize = 4;

/// Whether it takes less time than the direct sums.
pub(super) fn pays(geometry: &Geometry, packs: bool) -> bool {
    suits(geometry, CHANNELS, if packs { PACKED_PIXELS } else { PIXELS })
}

/// Whether the tiles are there for it, with so many channels on either side and pixels of y.
fn suits(geometry: &Geometry, channels: usize, pixels: usize) -> bool {
    let dims = &geometry.dims;
    geometry.op.layout == ImageLayout::Nchw
        && dims.kernel == [KERNEL; 2]
        && geometry.op.stride == [1; 2]
        && dims.channels.min(dims.out) >= channels
        && dims.images * geometry.pixels() >= pixels
}

/// What the threads share.
struct Plan {
    grid: Grid,
    /// Channels of x and of y.
    channels: [usize; 2],
    engine: Engine,
    /// Tiles of a block, in whole panels.
    columns: usize,
    /// Channels of y that are multiplied at once.
    group: usize,
    /// How many pieces the groups of a block are shared by.
    parts: usize,
    scratch: SharedScratch,
    /// Of the block that a thread is at.
    runs: Vec<Mutex<Vec<Run>>>,
}

/// A convolution as a step.
pub(super) struct Winograd {
    team: Team,
    plan: Plan,
    /// Weights are laid out at load, by input set.
    packs: bool,
    kept: Vec<TeamScratch>,
}

impl Winograd {
    pub(super) fn new(team: &Team, geometry: &Geometry, packs: bool) -> Result<Self, Unsupported> {
        let grid = Grid::new(geometry);
        let channels = [geometry.dims.channels, geometry.dims.out];
        let narrow = team.engine(Arithmetic::F32)?;
        let padded = |engine: &Engine| grid.count().next_multiple_of(engine.kernels.columns);
        // Wide tiles, unless many more of their columns were empty.
        let wide = team.wide_engine().filter(|wide| 25 * padded(wide) <= 26 * padded(&narrow));
        let engine = wide.unwrap_or(narrow);
        let threads = team.pool.threads();
        let group = channels[1].div_ceil(channels[1].div_ceil(TALL * engine.kernels.most_rows));
        let columns = columns(&engine, &grid, channels[0] + group);
        let blocks = grid.count().div_ceil(columns);
        let parts = (PIECES * threads).div_ceil(blocks).min(channels[1].div_ceil(TALL * group));
        let [_, _, rows] = engine.scratch_lens([group, columns, channels[0]]);
        let [patches, sums] = [channels[0], group].map(|rows| Stack::new(rows, columns).len());
        let plain = if packs { 0 } else { PLACES * group * channels[0] };
        let together = if packs { 0 } else { weights::len(&engine, channels[1], channels[0]) };
        let scratch = team.scratches.ask(&[rows, patches, sums, plain], together);
        let most = if team.facts.is_some() { columns } else { 0 };
        let runs = (0..threads).map(|_| Mutex::new(Vec::with_capacity(most))).collect();
        let plan = Plan { grid, channels, engine, columns, group, parts, scratch, runs };
        Ok(Self { team: team.clone(), plan, packs, kept: Vec::new() })
    }
}

/// Tiles of a block, in whole panels: with so many rows of f32 each, they take three quarters of the second cache.
fn columns(engine: &Engine, grid: &Grid, rows: usize) -> usize {
    let width = engine.kernels.columns;
    let panels = grid.count().div_ceil(width);
    let most = (engine.blocks.second / 4 * 3 / (4 * PLACES * rows * width)).max(1);
    panels.div_ceil(panels.div_ceil(most)) * width
}

impl Plan {
    /// Where the patches of a block lie.
    fn stack(&self) -> Stack {
        Stack::new(self.channels[0], self.columns).of_panels(&self.engine)
    }

    /// The groups of channels of y.
    fn groups(&self) -> usize {
        self.channels[1].div_ceil(self.group)
    }

    fn rows(&self, group: usize) -> Range<usize> {
        group * self.group..((group + 1) * self.group).min(self.channels[1])
    }

    /// Where a group's weights lie among those that are laid out.
    fn laid_out(&self, group: usize) -> Range<usize> {
        let rows = self.rows(group);
        let at = |row| weights::len(&self.engine, row, self.channels[0]);
        at(rows.start)..at(rows.end)
    }

    /// Lays out the weights of group `group`.
    fn lay_out(&self, group: usize, weights: &[f32], plain: &mut [f32], to: &mut [f32]) {
        let (rows, channels) = (self.rows(group), self.channels[0]);
        let each = KERNEL * KERNEL * channels;
        weights::lay_out(&self.engine, &weights[rows.start * each..rows.end * each], channels, plain, to);
    }

    fn keep(&self, weights: &[f32]) -> Result<TeamScratch, Fault> {
        let [channels, out] = self.channels;
        let mut plain = vec![0.0; PLACES * self.group * channels];
        let kept = TeamScratch::new(1, &[weights::len(&self.engine, out, channels)])?;
        // SAFETY: nobody else has the buffer while it is filled.
        let [to] = unsafe { kept.of(0) };
        (0..self.groups())
            .for_each(|group| self.lay_out(group, weights, &mut plain, &mut to[self.laid_out(group)]));
        Ok(kept)
    }
}

/// What a run works on.
struct Call<'a> {
    of: &'a Plan,
    x: &'a [f32],
    bias: Option<&'a [f32]>,
    y: Parts<'a, f32>,
    /// The next piece of work.
    next: AtomicUsize,
}

impl Call<'_> {
    /// Pieces until there are none.
    fn compute(&self, me: &Member, weights: &[f32]) {
        let Plan { grid, columns, parts, .. } = *self.of;
        let pieces = grid.count().div_ceil(columns) * parts;
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                return;
            }
            let start = piece / parts * columns;
            let groups = share(self.of.groups(), 1, piece % parts, parts);
            self.piece(start..(start + columns).min(grid.count()), groups, weights, me);
        }
    }

    /// Some groups of channels of y in some tiles.
    fn piece(&self, tiles: Range<usize>, groups: Range<usize>, weights: &[f32], me: &Member) {
        let Plan { ref grid, channels: [channels, out], ref engine, columns, .. } = *self.of;
        // SAFETY: the pool gives each thread its own number.
        let [rows, to, sums, _] = unsafe { self.of.scratch.of(me.id) };
        let mut runs = self.of.runs[me.id].lock().unwrap_or_else(PoisonError::into_inner);
        let (x, stack, count) = (self.x, self.of.stack(), tiles.len());
        let channels = 0..channels;
        engine.isa.run(Patches {
            grid,
            x,
            tiles,
            runs: &mut runs,
            stack,
            channels,
            to: &Parts::new(&mut *to),
        });
        for group in groups {
            let weights = &weights[self.of.laid_out(group)];
            let rows_of_group = self.of.rows(group);
            self.multiply(weights, rows_of_group.len(), count, to, rows, sums);
            let stack = Stack::new(self.of.group, columns);
            let (channels, bias, y) = (rows_of_group, self.bias, &self.y);
            engine.isa.run(Outputs { grid, runs: &runs, sums, stack, channels, out, bias, y });
        }
    }

    /// The products of all places.
    fn multiply(
        &self,
        weights: &[f32],
        rows: usize,
        tiles: usize,
        patches: &[f32],
        words: &mut [f32],
        sums: &mut [f32],
    ) {
        let Plan { channels: [channels, _], ref engine, columns, group, .. } = *self.of;
        let (from, to) = (self.of.stack(), Stack::new(group, columns));
        for (place, weights) in weights.chunks_exact(engine.left_len(rows, channels)).enumerate() {
            let panels = words_of(&patches[place * from.apart..][..channels * columns]);
            let right = Right::<f32>::Packed(Panels { words: panels, columns, first: 0, shifts: &[] });
            let target = Target::plain(sums[place * to.apart..].as_mut_ptr(), columns, 1.0);
            let mut scratch = Scratch { a: &mut [], b: &mut [], rows: words_mut(words) };
            let left = Left::<f32>::Packed(words_of(weights));
            engine.multiply_from::<f32, f32, f32, f32>(
                &left,
                &right,
                [rows, tiles, channels],
                target,
                &mut scratch,
            );
        }
    }
}

impl Kernel for Winograd {
    fn run(&mut self, set: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let (x, weights, bias) = (args[0].slice(), args[1].slice::<f32>(), args.get(2).map(View::slice));
        let (of, y) = (&self.plan, Parts::new(outs[0].slice::<f32>()));
        let call = Call { of, x, bias, y, next: AtomicUsize::new(0) };
        // SAFETY: steps run one after another.
        let together = Parts::new(unsafe { of.scratch.together() });
        let kept = self.kept.get(set);
        self.team.pool.run(&|me| {
            if let Some(kept) = kept {
                // SAFETY: nobody writes the buffer once it is filled.
                return call.compute(me, unsafe { kept.filled() });
            }
            // SAFETY: the pool gives each thread its own number.
            let [_, _, _, plain] = unsafe { of.scratch.of(me.id) };
            for group in me.share(of.groups(), 1) {
                // SAFETY: each group is one thread's.
                of.lay_out(group, weights, plain, unsafe { together.part(of.laid_out(group)) });
            }
            me.barrier();
            // SAFETY: all threads have laid out what is theirs.
            call.compute(me, unsafe { together.whole() });
        });
        Ok(())
    }

    fn pack(&mut self, _: usize, args: &[View]) -> Result<u64, Fault> {
        if !self.packs {
            return Ok(0);
        }
        let kept = self.plan.keep(args[1].slice())?;
        let bytes = kept.bytes();
        self.kept.push(kept);
        Ok(bytes)
    }

    fn workspace(&self) -> Result<u64, Fault> {
        self.plan.scratch.bytes()
    }
}
