//! An A whose columns are contiguous, laid out for all tiles of a block at once: stretch of depth after stretch, so that
//! a page of A is met once for all of them, and each cache line is read once, whichever tiles its rows belong to.

use super::blocks::parts_in;
use super::lanes::{Lane, To};
use super::pack::{Matrix, Panel};
use super::tile::{CHUNK, fetch_near};
use super::transpose::{FEW, SIDE, Transpose};
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::vector::Vector;
use std::marker::PhantomData;
use std::ops::Range;

/// Rows `rows` of A, elements `depths` of each.
///
/// By lines, as [`super::pack::Lines`], squares of 16 words are turned: tiles by lines lay out B as they go. On a Zen 3,
/// two cores, 768 x 768 of depth 1024 take 9.3 ms; with A by columns, tile by tile, and B laid out before, 11.6.
///
/// By columns, as [`super::pack::Columns`], rows go to two tiles at a time, which are a cache line where both have 8. On a
/// Xeon with AVX-512, one core, f32 of 768 x 48 and depth 1024: 1.0 ms, and 3.1 tile by tile.
pub(super) struct Turned<'a, T, L> {
    pub(super) a: Matrix<'a, T>,
    pub(super) rows: Range<usize>,
    pub(super) depths: Range<usize>,
    /// Most rows of a tile, and what they are cut by: as for [`parts_in`].
    pub(super) tile: [usize; 2],
    pub(super) by_lines: bool,
    /// Tile after tile, each `[chunk of 16 words][row][16]` or `[word of depth][row]`, as many words as whole chunks take.
    pub(super) to: &'a mut [u32],
    pub(super) lane: PhantomData<L>,
}

impl<L: Lane, T: To<L>> Loops for Turned<'_, T, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let step = CHUNK * L::PER_WORD;
        for (chunk, start) in self.depths.clone().step_by(step).enumerate() {
            let depths = start..(start + step).min(self.depths.end);
            if self.by_lines {
                self.lines::<V>(chunk, &depths);
            } else {
                self.columns::<V>(chunk, &depths);
            }
        }
    }
}

impl<L: Lane, T: To<L>> Turned<'_, T, L> {
    /// Words of a tile's row.
    fn padded(&self) -> usize {
        self.depths.len().div_ceil(CHUNK * L::PER_WORD) * CHUNK
    }

    /// A chunk of every row, as lines.
    #[inline(always)]
    fn lines<V: Vector>(&mut self, chunk: usize, depths: &Range<usize>) {
        let padded = self.padded();
        let Self { a, rows, tile: [most, grain], to, lane, .. } = self;
        let (mut tiles, mut tile) = (parts_in(rows.len(), *most, *grain), 0..0);
        for first in (0..rows.len()).step_by(SIDE) {
            let columns = rows.start + first..(rows.start + first + SIDE).min(rows.end);
            let (count, mut square) = (columns.len(), [0; SIDE * CHUNK]);
            Square { a: *a, columns, depths: depths.clone(), to: &mut square, lane: *lane }.run::<V>();
            for (row, line) in (first..).zip(square.chunks_exact(CHUNK).take(count)) {
                if row == tile.end {
                    tile = tiles.next().unwrap_or(row..rows.len());
                }
                let at = tile.start * padded + (chunk * tile.len() + row - tile.start) * CHUNK;
                to[at..at + CHUNK].copy_from_slice(line);
            }
        }
    }

    /// A chunk of every row, as columns.
    #[inline(always)]
    fn columns<V: Vector>(&mut self, chunk: usize, depths: &Range<usize>) {
        let padded = self.padded();
        let Self { a, rows, tile: [most, grain], to, lane, .. } = self;
        let mut tiles = parts_in(rows.len(), *most, *grain);
        while let Some(one) = tiles.next() {
            let two = tiles.next().unwrap_or(one.end..one.end);
            let columns = rows.start + one.start..rows.start + two.end;
            let (of_one, of_two) = to[one.start * padded..].split_at_mut(one.len() * padded);
            let words = |tile: &Range<usize>| chunk * CHUNK * tile.len()..(chunk + 1) * CHUNK * tile.len();
            let to = [&mut of_one[words(&one)], &mut of_two[words(&two)]];
            Two { a: *a, columns, depths: depths.clone(), to, lane: *lane }.run::<V>();
        }
    }
}

/// Up to 16 rows of A, a chunk of each, as `[row][16]`. The columns of A are contiguous.
struct Square<'a, T, L> {
    a: Matrix<'a, T>,
    /// Rows of A, which are columns of what is turned.
    columns: Range<usize>,
    depths: Range<usize>,
    to: &'a mut [u32; SIDE * CHUNK],
    lane: PhantomData<L>,
}

impl<L: Lane, T: To<L>> Loops for Square<'_, T, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { a, columns, depths, to, lane } = self;
        let (b, stride) = (a.transposed(), a.strides[1]);
        let are_words = T::SAME_BUT == Some(0) && L::PER_WORD == 1 && size_of::<T>() == size_of::<u32>();
        if are_words && columns.len() == SIDE && depths.len() == CHUNK {
            let from = &b.data[depths.start * stride + columns.start..];
            (CHUNK..2 * CHUNK)
                .for_each(|depth| fetch_near(from.as_ptr().wrapping_add(depth * stride).cast()));
            // SAFETY: where elements are lanes, and each fills a word, they are words.
            let from = unsafe { std::slice::from_raw_parts(from.as_ptr().cast::<u32>(), from.len()) };
            return Transpose { from, from_stride: stride, to, to_stride: CHUNK }.run::<V>();
        }
        let mut block = [0; SIDE * CHUNK];
        Panel { b, columns, depths, width: SIDE, to: &mut block, lane }.run::<V>();
        Transpose { from: &block, from_stride: SIDE, to, to_stride: CHUNK }.run::<V>();
    }
}

/// Rows `columns` of A for two tiles, a chunk of each.
struct Two<'a, T, L> {
    a: Matrix<'a, T>,
    columns: Range<usize>,
    depths: Range<usize>,
    to: [&'a mut [u32]; 2],
    lane: PhantomData<L>,
}

impl<L: Lane, T: To<L>> Loops for Two<'_, T, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { a, columns, depths, to: [one, two], lane } = self;
        let (stride, zero) = (a.strides[1], a.zero);
        let from = &a.data[depths.start * stride + columns.start..];
        (CHUNK..2 * CHUNK).for_each(|depth| fetch_near(from.as_ptr().wrapping_add(depth * stride).cast()));
        if L::PER_WORD == 1 && [one.len(), two.len()] == [FEW * CHUNK; 2] && depths.len() == CHUNK {
            let (one, two) = (one.as_chunks_mut::<FEW>().0, two.as_chunks_mut::<FEW>().0);
            for (depth, (one, two)) in one.iter_mut().zip(two).enumerate() {
                let from = &from[depth * stride..][..2 * FEW];
                for (number, (one, two)) in one.iter_mut().zip(two).enumerate() {
                    (*one, *two) = (from[number].lane(zero).bits(), from[FEW + number].lane(zero).bits());
                }
            }
            return;
        }
        let (b, middle) = (a.transposed(), columns.start + one.len() / CHUNK);
        for (columns, to) in [(columns.start..middle, one), (middle..columns.end, two)] {
            let width = columns.len();
            if width > 0 {
                Panel { b, columns, depths: depths.clone(), width, to, lane }.run::<V>();
            }
        }
    }
}
