//! The gradient of a convolution by its weights with fewer multiplications: dw = Gt [(A dy At) . (Bt x B)] G, added up
//! over the tiles. That is a matrix product for each of the 16 places:
//! ```text
//! dU(place) = dM(place) V(place)t   rows are channels of y, columns are channels of x, the depth is tiles
//! ```
//! The team makes dM and V of a block of tiles together, and then its threads share the places.

use super::super::super::Team;
use super::super::super::gemm::{Arithmetic, Engine, Matrix, Right, Scratch, Target, words_mut};
use super::super::super::scratch::SharedScratch;
use super::super::Geometry;
use super::algebra::{KERNEL, PLACES, both_ways, to_kernel};
use super::tiles::{Gradients, Grid, Patches, Run, Stack};
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::pool::{Member, share};
use crate::backends::cpu::vector::{MOST_LANES, Vector};
use crate::backends::{Fault, Unsupported};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Least channels of x and of y. With 64 of either and 4 images of 224 x 224 it takes four fifths of the time of the direct
/// sums, with 512 less than half.
const CHANNELS: usize = 64;
/// Least tiles of a block: with fewer, reading and writing the sums takes longer than the products.
const TILES: usize = 256;
/// Least channels of y of a piece of work.
const ROWS: usize = 64;

/// Whether it takes less time than the direct sums.
pub(in super::super) fn pays(geometry: &Geometry) -> bool {
    super::suits(geometry, CHANNELS, super::PIXELS)
}

/// What the threads share.
struct Plan {
    grid: Grid,
    /// Channels of x and of y.
    channels: [usize; 2],
    engine: Engine,
    /// Most tiles of a block.
    columns: usize,
    /// Pieces that each place is shared by.
    parts: usize,
    /// The team's dM, V and dU.
    scratch: SharedScratch,
    /// Of the block that a thread is at.
    runs: Vec<Mutex<Vec<Run>>>,
}

/// dM, V and dU.
fn stacks([channels, out]: [usize; 2], columns: usize) -> [Stack; 3] {
    [Stack::new(out, columns), Stack::new(channels, columns), Stack::new(out, channels)]
}

impl Plan {
    fn stacks(&self) -> [Stack; 3] {
        stacks(self.channels, self.columns)
    }
}

/// The gradient as a step.
pub(in super::super) struct WeightGrad {
    team: Team,
    plan: Plan,
}

impl WeightGrad {
    pub(in super::super) fn new(team: &Team, geometry: &Geometry) -> Result<Self, Unsupported> {
        let grid = Grid::new(geometry);
        let channels = [geometry.dims.channels, geometry.dims.out];
        let engine = team.wide_engine().map_or_else(|| team.engine(Arithmetic::F32), Ok)?;
        let threads = team.pool.threads();
        let tile = 4 * PLACES * (channels[0] + channels[1]);
        let most = (threads * engine.blocks.second / 4 * 3 / tile).max(TILES);
        let columns = grid.count().div_ceil(grid.count().div_ceil(most)).next_multiple_of(MOST_LANES);
        let parts = threads.div_ceil(4).min(channels[1].div_ceil(ROWS));
        let [a, b, rows] = engine.scratch_lens([channels[1].div_ceil(parts), channels[0], columns]);
        let together = stacks(channels, columns).iter().map(Stack::len).sum();
        let scratch = team.scratches.ask(&[a, b, rows], together);
        let most = if team.facts.is_some() { columns } else { 0 };
        let runs = (0..threads).map(|_| Mutex::new(Vec::with_capacity(most))).collect();
        let plan = Plan { grid, channels, engine, columns, parts, scratch, runs };
        Ok(Self { team: team.clone(), plan })
    }
}

/// What a run works on.
struct Call<'a> {
    of: &'a Plan,
    dy: &'a [f32],
    x: &'a [f32],
    dw: Parts<'a, f32>,
    /// dM, V and dU.
    stacks: [Parts<'a, f32>; 3],
    /// Tickets for pieces of work.
    next: AtomicUsize,
}

impl Call<'_> {
    /// The part of a thread.
    fn compute(&self, me: &Member) {
        let Plan { grid, columns, .. } = self.of;
        for (number, start) in (0..grid.count()).step_by(*columns).enumerate() {
            let tiles = start..(start + columns).min(grid.count());
            let depth = tiles.len();
            self.spread(tiles, me);
            me.barrier();
            self.multiply(number, depth, me);
            me.barrier();
        }
        self.write(me);
    }

    /// dM and V of a block, for this thread's channels.
    fn spread(&self, tiles: Range<usize>, me: &Member) {
        let Plan { grid, channels: [channels, out], engine, .. } = self.of;
        let ([of_dy, of_x, _], [dm, v, _]) = (self.of.stacks(), &self.stacks);
        let mut runs = self.of.runs[me.id].lock().unwrap_or_else(PoisonError::into_inner);
        let runs = &mut *runs;
        let channels = me.share(*channels, 1);
        let x = self.x;
        engine.isa.run(Patches { grid, x, tiles, runs, stack: of_x, channels, to: v });
        let channels = me.share(*out, 1);
        engine.isa.run(Gradients { grid, dy: self.dy, runs, stack: of_dy, channels, to: dm });
    }

    /// Adds the products of block `number`, of so many tiles, to dU.
    fn multiply(&self, number: usize, tiles: usize, me: &Member) {
        let Plan { channels: [channels, out], ref engine, parts, ref scratch, .. } = *self.of;
        let ([of_dy, of_x, of_sums], [dm, v, sums]) = (self.of.stacks(), &self.stacks);
        // SAFETY: nobody writes them between the barriers.
        let [dm, v] = [dm, v].map(|part| unsafe { part.whole() });
        // SAFETY: the pool gives each thread its own number.
        let [a, b, rows] = unsafe { scratch.of(me.id) };
        let mut scratch = Scratch { a: words_mut(a), b: words_mut(b), rows: words_mut(rows) };
        // Of each block every thread takes one ticket more than there is work for.
        let (pieces, before) = (PLACES * parts, number * (PLACES * parts + me.count));
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed) - before;
            if piece >= pieces {
                return;
            }
            let (place, rows) = (piece / parts, share(out, 1, piece % parts, parts));
            let left = &dm[place * of_dy.apart + rows.start * of_dy.columns..];
            let right = &v[place * of_x.apart..];
            let right = Right::Plain(Matrix::new(right, [1, of_x.columns]));
            let start = sums.start().wrapping_add(place * of_sums.apart + rows.start * of_sums.columns);
            let target = Target::plain(start, channels, 1.0);
            let target = match number {
                0 => target,
                _ => Target { beta: 1.0, init: target.start, init_stride: channels, ..target },
            };
            let left = Matrix::new(left, [of_dy.columns, 1]);
            let extents = [rows.len(), channels, tiles];
            engine.multiply::<f32, f32, f32, f32>(left, &right, extents, target, &mut scratch);
        }
    }

    /// Gt dU G, for this thread's channels of y.
    fn write(&self, me: &Member) {
        let Plan { channels: [channels, out], engine, .. } = self.of;
        let each = KERNEL * KERNEL * channels;
        let [_, _, stack] = self.of.stacks();
        // SAFETY: nobody writes the sums any more.
        let sums = unsafe { self.stacks[2].whole() };
        for channel in me.share(*out, 1) {
            // SAFETY: each channel of y is one thread's.
            let to = unsafe { self.dw.part(channel * each..(channel + 1) * each) };
            engine.isa.run(Kernels { stack, sums, channel, to });
        }
    }
}

/// Gt dU G for all channels of x and one of y.
struct Kernels<'a> {
    stack: Stack,
    sums: &'a [f32],
    channel: usize,
    to: &'a mut [f32],
}

impl Loops for Kernels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        const TAPS: usize = KERNEL * KERNEL;
        let Self { stack, sums, channel, to } = self;
        for (number, to) in to.chunks_mut(TAPS * V::LANES).enumerate() {
            let at = channel * stack.columns + number * V::LANES;
            let kernel = both_ways(to_kernel, stack.load::<V>(sums, at, to.len() / TAPS));
            let mut taps = [[0.0; MOST_LANES]; TAPS];
            for (tap, weight) in taps.iter_mut().zip(kernel.iter().flatten()) {
                weight.store(tap);
            }
            for (lane, to) in to.chunks_exact_mut(TAPS).enumerate() {
                for (to, tap) in to.iter_mut().zip(&taps) {
                    *to = tap[lane];
                }
            }
        }
    }
}

impl Kernel for WeightGrad {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let of = &self.plan;
        // SAFETY: steps run one after another.
        let together = unsafe { of.scratch.together() };
        let [dm, v, _] = of.stacks().map(|stack| stack.len());
        let (dm, rest) = together.split_at_mut(dm.min(together.len()));
        let (v, sums) = rest.split_at_mut(v.min(rest.len()));
        let stacks = [dm, v, sums].map(Parts::new);
        let (dy, x, dw) = (args[0].slice(), args[1].slice(), Parts::new(outs[0].slice::<f32>()));
        let call = Call { of, dy, x, dw, stacks, next: AtomicUsize::new(0) };
        self.team.pool.run(&|me| call.compute(me));
        Ok(())
    }

    fn workspace(&self) -> Result<u64, Fault> {
        self.plan.scratch.bytes()
    }
}
