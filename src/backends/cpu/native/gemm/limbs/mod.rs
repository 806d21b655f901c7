//! Products of f32 in three limbs of bf16, for units that multiply bf16 so much faster than f32 that six of their products
//! are cheaper than one (Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For
//! Higher-Precision Computations", 2019).
//!
//! x = x1 + x2 + x3 exactly, with 8 bits each. Of x y the products x1 y1, x1 y2, x2 y1, x2 y2, x1 y3 and x3 y1 are taken,
//! each of them exact, and summed in f32. What is left out, x2 y3 + x3 y2 + x3 y3, is at most 2^-24 of x y, of either sign:
//! the roundoff of f32.
//!
//! The units take limbs below 2^-126 for 0, and leave 0 for sums below that. An element that is no finite number, or rounds
//! up beyond all, has limbs that are none, and so are the sums that it goes into: these are added up again from whole
//! elements.
//!
//! D is cut into blocks whose sums stay in the second cache until all of their depth is done: the last cache and memory,
//! which are slow beside these units, give each element once for a block, and take D once. Pieces of depth are so short
//! that a tile of A and one of B are in the first cache with two of sums. Splitting a piece while the one before is
//! multiplied does not hide it: 1024 x 3072 x 768 ran at 0.57 TFLOP/s so, on two threads of a busy Xeon with AMX, and at 0.60
//! with one after the other.

mod split;
#[cfg(test)]
mod tests;
mod tile;

use super::blocks::parts_in;
use super::packed::words_mut;
use super::{Matrix, Terms};
use crate::backends::Fault;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::isa::{Isa, Loops};
use crate::backends::cpu::layout::Layout;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::native::scratch::SharedScratch;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::vector::Vector;
use crate::ops::GemmDims;
use split::{ELEMENTS, Left, Right, TILE};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use tile::Session;

/// Rows, columns and depth from which on limbs are used. By count of instructions splitting an element takes as long as
/// multiplying it by 16 others; where they begin to pay was not measured below 128 rows.
const LEAST: [usize; 3] = [TILE, TILE, ELEMENTS];
/// Most rows and columns of a block: with their sums two thirds of a second cache of 2 MiB.
const MOST: [usize; 2] = [512, 384];
/// Elements of depth that are split at a time.
const DEPTH: usize = 3 * ELEMENTS;

/// A product as a step.
pub(super) struct Product {
    team: Team,
    layout: Layout,
    terms: Terms,
    scratch: SharedScratch,
    /// Rows and columns of a block.
    block: [usize; 2],
}

impl Product {
    /// Where the processor has the units and the product is large enough.
    pub(super) fn new(team: &Team, layout: Layout, terms: Terms) -> Option<Self> {
        let GemmDims { m, n, k, .. } = layout.dims;
        if !team.isa.has_tiles() || m < LEAST[0] || n < LEAST[1] || k < LEAST[2] {
            return None;
        }
        let block = block_of(layout.dims, team.pool.threads());
        let [rows, columns] = block;
        let depth = k.min(DEPTH);
        let scratch = team.scratch(&[rows * columns, split::len(rows, depth), split::len(columns, depth)]);
        Some(Self { team: team.clone(), layout, terms, scratch, block })
    }
}

/// Rows and columns of the blocks that D is cut into, whole tiles: large, but two for each thread where there are as many.
fn block_of(dims: GemmDims, threads: usize) -> [usize; 2] {
    let GemmDims { batch, m, n, .. } = dims;
    let mut block = [(m, MOST[0]), (n, MOST[1])].map(|(len, most)| {
        let parts = len.div_ceil(most);
        len.div_ceil(parts).next_multiple_of(TILE)
    });
    let count = |[rows, columns]: [usize; 2]| batch * m.div_ceil(rows) * n.div_ceil(columns);
    while threads > 1 && count(block) < 2 * threads && block != [TILE; 2] {
        let longer = usize::from(block[1] > block[0]);
        block[longer] = (block[longer] / 2).next_multiple_of(TILE);
    }
    block
}

/// One product of the batch.
struct One<'a> {
    a: Matrix<'a, f32>,
    b: Matrix<'a, f32>,
    c: Option<&'a [f32]>,
    terms: Terms,
    depth: usize,
    /// Elements between rows of C and D.
    stride: usize,
}

/// Buffers of a thread.
struct Buffers<'a> {
    sums: &'a mut [f32],
    a: &'a mut [u32],
    b: &'a mut [u32],
}

impl Kernel for Product {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let Self { team, layout, terms, scratch, block, .. } = self;
        let GemmDims { batch, m, n, k, .. } = layout.dims;
        let (a, b) = (args[0].slice::<f32>(), args[1].slice::<f32>());
        let c = args.get(2).map(View::slice::<f32>);
        let whole = Parts::new(outs[0].slice::<f32>());
        let (down, across) = (m.div_ceil(block[0]), n.div_ceil(block[1]));
        let (isa, again, next) = (team.isa, team.extra.of(k), AtomicUsize::new(0));
        team.pool.run(&|me| {
            // SAFETY: the pool gives each thread its own number.
            let [sums, packed_a, packed_b] = unsafe { scratch.of(me.id) };
            let mut buffers = Buffers { sums, a: words_mut(packed_a), b: words_mut(packed_b) };
            // SAFETY: holding the instruction set proves the units.
            let _session = unsafe { Session::open() };
            let blocks = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
            for number in blocks.take_while(|&number| number < batch * down * across) {
                let (batch, place) = (number / (down * across), number % (down * across));
                let start = layout.d_start(batch);
                let one = One {
                    a: Matrix::new(&a[layout.a_start(batch)..], layout.a),
                    b: Matrix::new(&b[layout.b_start(batch)..], layout.b),
                    c: c.map(|c| &c[start..]),
                    terms: *terms,
                    depth: k,
                    stride: n,
                };
                let rows = parts_in(m, block[0], TILE).nth(place % down).unwrap_or(0..0);
                let columns = parts_in(n, block[1], TILE).nth(place / down).unwrap_or(0..0);
                let block = Block { of: &one, rows, columns };
                // SAFETY: the session is open on this thread.
                unsafe { block.sum(isa, again, &mut buffers) };
                let Buffers { sums, .. } = &mut buffers;
                isa.run(Out { block, sums, whole: &whole, start });
            }
        });
        Ok(())
    }

    fn workspace(&self) -> Result<u64, Fault> {
        self.scratch.bytes()
    }
}

/// A block of D.
struct Block<'a> {
    of: &'a One<'a>,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Block<'_> {
    /// Its sums, `[tile of columns][tile of rows][32][32]`. The first `again` elements of the depth are done once more than
    /// they need to be.
    ///
    /// # Safety
    /// A [`Session`] is open.
    unsafe fn sum(&self, isa: Isa, again: usize, buffers: &mut Buffers) {
        let One { a, b, depth, .. } = *self.of;
        let Buffers { sums, a: packed_a, b: packed_b } = buffers;
        for all in [0..again, 0..depth] {
            for start in all.clone().step_by(DEPTH) {
                let depths = start..(start + DEPTH).min(all.end);
                let to_a = &mut packed_a[..split::len(self.rows.len(), depths.len())];
                let to_b = &mut packed_b[..split::len(self.columns.len(), depths.len())];
                let (rows, columns) = (self.rows.clone(), self.columns.clone());
                isa.run(Left { a, rows, depths: depths.clone(), to: to_a });
                isa.run(Right { b, columns, depths: depths.clone(), to: to_b });
                let lines = depths.len().div_ceil(ELEMENTS);
                // SAFETY: by this function's contract.
                unsafe { tile::add(to_a, to_b, sums, lines, start == 0) };
            }
        }
    }

    /// Adds up again what is wanted of a tile that begins with such a row and column of D.
    #[cold]
    fn sum_whole(&self, [row, column]: [usize; 2], sums: &mut [f32]) {
        let One { a, b, depth, .. } = self.of;
        for (row, sums) in (row..self.rows.end).zip(sums.chunks_exact_mut(TILE)) {
            for (column, sum) in (column..self.columns.end).zip(sums) {
                let of_a = |depth: usize| a.data[row * a.strides[0] + depth * a.strides[1]];
                let of_b = |depth: usize| b.data[depth * b.strides[0] + column * b.strides[1]];
                *sum = (0..*depth).fold(0.0, |sum, depth| of_a(depth).mul_add(of_b(depth), sum));
            }
        }
    }
}

/// Writes a block of D from its sums.
struct Out<'a> {
    block: Block<'a>,
    sums: &'a mut [f32],
    whole: &'a Parts<'a, f32>,
    /// First element of the product's D.
    start: usize,
}

impl Loops for Out<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { block, sums, whole, start } = self;
        let (One { c, terms, stride, .. }, down) = (block.of, block.rows.len().div_ceil(TILE));
        for (number, sums) in sums.chunks_exact_mut(TILE * TILE).enumerate() {
            let row = block.rows.start + number % down * TILE;
            let column = block.columns.start + number / down * TILE;
            if column >= block.columns.end {
                break;
            }
            let largest = sums.iter().fold(0, |largest: u32, x| largest.max(x.to_bits() << 1));
            if largest >= f32::INFINITY.to_bits() << 1 {
                block.sum_whole([row, column], sums);
            }
            let count = TILE.min(block.columns.end - column);
            for (row, sums) in (row..block.rows.end).zip(sums.chunks_exact(TILE)) {
                let at = row * stride + column;
                // SAFETY: blocks are disjoint, and each is one thread's.
                let d = unsafe { whole.part(start + at..start + at + count) };
                match c {
                    Some(c) => {
                        for ((d, sum), c) in d.iter_mut().zip(sums).zip(&c[at..]) {
                            *d = terms.alpha * sum + terms.beta * c;
                        }
                    }
                    None => d.iter_mut().zip(sums).for_each(|(d, sum)| *d = terms.alpha * sum),
                }
            }
        }
    }
}
