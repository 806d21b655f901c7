//! Tiles of images whose channels stand first: which there are, what they see, and where they go. A register holds the
//! same place of neighbouring tiles.

use super::super::super::gemm::Engine;
use super::super::Geometry;
use super::algebra::{PLACES, SIDE, TILE, both_ways, of_patch, of_tile, to_tile};
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::vector::{MOST_LANES, Vector};
use std::ops::Range;

/// Neighbouring pixels that a register of tiles sees in a row.
const MOST_SEEN: usize = TILE * MOST_LANES + SIDE - TILE;

/// All tiles of y, 2 x 2 pixels each: image by image, row by row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    images: usize,
    /// Rows and columns of tiles in an image.
    tiles: [usize; 2],
    /// Of x.
    size: [usize; 2],
    /// Of y.
    out_size: [usize; 2],
    padding: [usize; 2],
}

/// Neighbouring tiles in a row of an image, at most a register's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    image: usize,
    /// Row and first column of tiles.
    place: [usize; 2],
    len: usize,
    /// The first one's column in its block.
    at: usize,
}

impl Grid {
    pub(super) fn new(geometry: &Geometry) -> Self {
        let (op, dims) = (&geometry.op, &geometry.dims);
        let tiles = dims.out_size.map(|pixels| pixels.div_ceil(TILE));
        Self { images: dims.images, tiles, size: dims.size, out_size: dims.out_size, padding: op.padding }
    }

    pub(super) fn count(&self) -> usize {
        self.images * self.tiles[0] * self.tiles[1]
    }

    /// The runs of tiles `tiles`, no longer than `most` and none across two panels, `width` wide.
    pub(super) fn runs(&self, tiles: Range<usize>, [most, width]: [usize; 2]) -> impl Iterator<Item = Run> {
        let (start, [rows, columns]) = (tiles.start, self.tiles);
        let mut next = tiles.start;
        std::iter::from_fn(move || {
            let (line, column, at) = (next / columns, next % columns, next - start);
            let len = most.min(columns - column).min(width - at % width).min(tiles.end - next);
            next += len;
            (len > 0).then_some(Run { image: line / rows, place: [line % rows, column], len, at })
        })
    }

    fn pixels(&self) -> usize {
        self.out_size[0] * self.out_size[1]
    }

    /// What a run's tiles see of a plane of x.
    #[inline(always)]
    fn patch<V: Vector>(&self, plane: &[f32], run: &Run) -> [[V; SIDE]; SIDE] {
        let seen = TILE * V::LANES + SIDE - TILE;
        let [row, column] = [0, 1].map(|axis| (TILE * run.place[axis]).checked_sub(self.padding[axis]));
        if let (Some(row), Some(column)) = (row, column)
            && row + SIDE <= self.size[0]
            && column + seen <= self.size[1]
        {
            let line = |i: usize| &plane[(row + i) * self.size[1] + column..][..seen];
            return [taken(line(0)), taken(line(1)), taken(line(2)), taken(line(3))];
        }
        let mut padded = [[0.0; MOST_SEEN]; SIDE];
        for (i, to) in padded.iter_mut().enumerate() {
            let row =
                (TILE * run.place[0] + i).checked_sub(self.padding[0]).filter(|row| *row < self.size[0]);
            let Some(row) = row else { continue };
            let column = TILE * run.place[1];
            let start = self.padding[1].saturating_sub(column).min(seen);
            let line = &plane[row * self.size[1]..][..self.size[1]];
            let from = line.get((column + start).saturating_sub(self.padding[1])..).unwrap_or_default();
            let len = from.len().min(seen - start);
            to[start..start + len].copy_from_slice(&from[..len]);
        }
        let [a, b, c, d] = &padded;
        [taken(a), taken(b), taken(c), taken(d)]
    }

    /// A run's tiles of a plane of dy, with zeros beyond the image.
    #[inline(always)]
    fn tile<V: Vector>(&self, plane: &[f32], run: &Run) -> [[V; TILE]; TILE] {
        let mut tile = [[V::splat(0.0); TILE]; TILE];
        for (i, tile) in tile.iter_mut().enumerate() {
            let Some((start, len)) = self.line(run, i) else { continue };
            let mut line = &plane[start..start + len];
            let mut padded = [0.0; TILE * MOST_LANES];
            if len < TILE * V::LANES {
                padded[..len].copy_from_slice(line);
                line = &padded;
            }
            let (here, next) = (V::load(line), V::load(&line[V::LANES..]));
            *tile = [here.evens(next), here.odds(next)];
        }
        tile
    }

    /// Where row `i` of a run's tiles begins in a plane of y, and how many pixels it has; none below the image.
    #[inline(always)]
    fn line(&self, run: &Run, i: usize) -> Option<(usize, usize)> {
        let (row, column) = (TILE * run.place[0] + i, TILE * run.place[1]);
        let len = (TILE * run.len).min(self.out_size[1] - column);
        (row < self.out_size[0]).then_some((row * self.out_size[1] + column, len))
    }
}

/// Of neighbouring pixels those that the first, second, third and fourth column of a register's tiles sees.
#[inline(always)]
fn taken<V: Vector>(line: &[f32]) -> [V; SIDE] {
    let [first, second] = [V::load(line), V::load(&line[V::LANES..])];
    let [third, fourth] = [V::load(&line[2..]), V::load(&line[2 + V::LANES..])];
    [first.evens(second), first.odds(second), third.evens(fourth), third.odds(fourth)]
}

/// Where the places of tiles lie: 16 matrices, each row of which is a channel and each column a tile of a block.
#[derive(Clone, Copy)]
pub(super) struct Stack {
    rows: usize,
    /// Columns of the matrices.
    pub(super) columns: usize,
    /// Elements between the matrices.
    pub(super) apart: usize,
    /// Rows that lie together, panel by panel, and columns of a panel.
    panels: [usize; 2],
}

impl Stack {
    /// Row by row. The same place of all matrices goes to different sets of the first cache.
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        const SETS: usize = 1024;
        const LINES: usize = 48;
        let apart = (rows * columns).next_multiple_of(SETS) + LINES;
        Self { rows, columns, apart, panels: [1, columns] }
    }

    /// As B is laid out: `[block of depth][panel][row][width]`, with whole panels of columns.
    pub(super) fn of_panels(self, engine: &Engine) -> Self {
        Self { panels: [engine.blocks.depth_step(self.rows), engine.kernels.columns], ..self }
    }

    pub(super) fn len(&self) -> usize {
        PLACES * self.apart
    }

    /// Columns of a panel.
    fn width(&self) -> usize {
        self.panels[1]
    }

    /// Where a row begins in its first panel, and how far on it is in the next.
    fn row(&self, row: usize) -> [usize; 2] {
        let [together, width] = self.panels;
        let first = row / together * together;
        [first * self.columns + (row - first) * width, width * together.min(self.rows - first)]
    }

    /// Zeros in the columns of the last panel of `row` that are beyond `columns`: any number would do that takes no longer.
    ///
    /// # Safety
    /// As [`Self::store`].
    unsafe fn clear_rest(&self, row: usize, columns: usize, to: &Parts<f32>) {
        let ([start, step], width) = (self.row(row), self.width());
        let (panel, rest) = (columns / width, columns % width);
        for place in 0..if rest > 0 { PLACES } else { 0 } {
            let at = place * self.apart + start + panel * step;
            // SAFETY: by this function's contract.
            unsafe { to.part(at + rest..at + width) }.fill(0.0);
        }
    }

    /// Writes `len` columns of a row, whose first is at `at` in every matrix.
    ///
    /// # Safety
    /// The row is the caller's alone.
    #[inline(always)]
    unsafe fn store<V: Vector>(&self, places: [[V; SIDE]; SIDE], at: usize, len: usize, to: &Parts<f32>) {
        let whole = len == V::LANES;
        for (i, row) in places.iter().enumerate() {
            for (j, x) in row.iter().enumerate() {
                let at = (i * SIDE + j) * self.apart + at;
                // SAFETY: by this function's contract.
                let to = unsafe { to.part(at..at + len) };
                if whole { x.store(to) } else { x.store_first(to) }
            }
        }
    }

    #[inline(always)]
    pub(super) fn load<V: Vector>(&self, from: &[f32], at: usize, len: usize) -> [[V; SIDE]; SIDE] {
        let mut places = [[V::splat(0.0); SIDE]; SIDE];
        let whole = len == V::LANES;
        for (i, row) in places.iter_mut().enumerate() {
            for (j, x) in row.iter_mut().enumerate() {
                let from = &from[(i * SIDE + j) * self.apart + at..][..len];
                *x = if whole { V::load(from) } else { V::load_first(from) };
            }
        }
        places
    }
}

/// Bt x B for some channels of the tiles of a block.
pub(super) struct Patches<'a> {
    pub(super) grid: &'a Grid,
    pub(super) x: &'a [f32],
    /// The block.
    pub(super) tiles: Range<usize>,
    /// Filled with the block's.
    pub(super) runs: &'a mut Vec<Run>,
    /// Its rows are channels of x.
    pub(super) stack: Stack,
    /// The caller's alone.
    pub(super) channels: Range<usize>,
    pub(super) to: &'a Parts<'a, f32>,
}

impl Loops for Patches<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { grid, x, tiles, runs, stack, channels, to } = self;
        let (plane, width) = (grid.size[0] * grid.size[1], stack.width());
        runs.clear();
        runs.extend(grid.runs(tiles.clone(), [V::LANES, width]));
        for channel in channels {
            // SAFETY: the channel is the caller's.
            unsafe { stack.clear_rest(channel, tiles.len(), to) };
            let [start, step] = stack.row(channel);
            for run in &*runs {
                let plane = &x[(run.image * stack.rows + channel) * plane..][..plane];
                let places = both_ways(of_patch, grid.patch::<V>(plane, run));
                let at = start + run.at / width * step + run.at % width;
                // SAFETY: the channel is the caller's.
                unsafe { stack.store(places, at, run.len, to) };
            }
        }
    }
}

/// A dy At for some channels of the tiles of a block.
pub(super) struct Gradients<'a> {
    pub(super) grid: &'a Grid,
    pub(super) dy: &'a [f32],
    /// The block's, none across two panels.
    pub(super) runs: &'a [Run],
    /// Its rows are channels of y.
    pub(super) stack: Stack,
    /// The caller's alone.
    pub(super) channels: Range<usize>,
    pub(super) to: &'a Parts<'a, f32>,
}

impl Loops for Gradients<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { grid, dy, runs, stack, channels, to } = self;
        for channel in channels {
            let [start, _] = stack.row(channel);
            for run in runs {
                let plane = &dy[(run.image * stack.rows + channel) * grid.pixels()..][..grid.pixels()];
                let places = both_ways(of_tile, grid.tile::<V>(plane, run));
                // SAFETY: the channel is the caller's.
                unsafe { stack.store(places, start + run.at, run.len, to) };
            }
        }
    }
}

/// At m A for some channels of the tiles of `runs`, to y.
pub(super) struct Outputs<'a> {
    pub(super) grid: &'a Grid,
    pub(super) runs: &'a [Run],
    /// Rows are `channels`.
    pub(super) sums: &'a [f32],
    pub(super) stack: Stack,
    /// Of the channels of y, of which there are `out`, those that are the caller's alone in the runs' tiles.
    pub(super) channels: Range<usize>,
    pub(super) out: usize,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) y: &'a Parts<'a, f32>,
}

impl Loops for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { grid, runs, sums, stack, channels, out, bias, y } = self;
        for (number, channel) in channels.enumerate() {
            let bias = V::splat(bias.map_or(0.0, |bias| bias[channel]));
            for run in runs {
                let places = stack.load::<V>(sums, number * stack.columns + run.at, run.len);
                let plane = (run.image * out + channel) * grid.pixels();
                for (i, [even, odd]) in both_ways(to_tile, places).into_iter().enumerate() {
                    let Some((start, len)) = grid.line(run, i) else { continue };
                    let [low, high] = even.add(bias).interleave(odd.add(bias));
                    // SAFETY: tiles do not overlap, and these are the caller's.
                    let to = unsafe { y.part(plane + start..plane + start + len) };
                    if len == TILE * V::LANES {
                        low.store(to);
                        high.store(&mut to[V::LANES..]);
                    } else {
                        let mut line = [0.0; TILE * MOST_LANES];
                        low.store(&mut line);
                        high.store(&mut line[V::LANES..]);
                        to.copy_from_slice(&line[..len]);
                    }
                }
            }
        }
    }
}
