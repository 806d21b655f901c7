//! Factors in the order in which the tile reads them, with no gaps: lines or columns of A, panels of B.
//!
//! Both are padded with zeros to whole words, and as far as there is room, so that the tile has no edge along
//! the depth.

use super::lanes::{Lane, To};
use super::tile::{CHUNK, fetch_near};
use super::transpose::{FEW, SIDE, Transpose, TransposeFew};
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::vector::Vector;
use std::ops::Range;

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;
/// Rows so many bytes apart, or a multiple, share one set of a usual first cache.
const ALIASED: usize = 4096;

/// Stored elements seen as a matrix whose rows or columns are contiguous.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Matrix<'a, T> {
    pub(in super::super) data: &'a [T],
    /// Elements between neighbouring rows, and between neighbouring columns; one of the two is 1.
    pub(in super::super) strides: [usize; 2],
    /// The stored number that means 0.
    pub(in super::super) zero: i16,
}

impl<'a, T> Matrix<'a, T> {
    pub(in super::super) fn new(data: &'a [T], strides: [usize; 2]) -> Self {
        Self { data, strides, zero: 0 }
    }

    /// The part that begins at `row` and `column`.
    pub(in super::super) fn from(self, row: usize, column: usize) -> Self {
        let [row_stride, column_stride] = self.strides;
        Self { data: &self.data[row * row_stride + column * column_stride..], ..self }
    }

    pub(super) fn transposed(self) -> Self {
        let [row, column] = self.strides;
        Self { strides: [column, row], ..self }
    }

    /// Whether its rows are so far apart that they share few sets of the caches.
    pub(super) fn is_aliased(&self) -> bool {
        (self.strides[0] * size_of::<T>()).is_multiple_of(ALIASED)
    }

    /// Whether the elements of a row are neighbours.
    pub(super) fn is_by_rows(&self) -> bool {
        self.strides[1] == 1
    }
}

/// Rows `rows` of A, elements `depths` of each, to `[chunk of 16 words][row][16]`: whole cache lines are
/// copied, nothing is transposed. The rows are contiguous.
pub(in super::super) struct Lines<'a, T, L> {
    pub(in super::super) a: Matrix<'a, T>,
    pub(in super::super) rows: Range<usize>,
    pub(in super::super) depths: Range<usize>,
    pub(in super::super) to: &'a mut [u32],
    pub(in super::super) lane: std::marker::PhantomData<L>,
}

impl<L: Lane, T: To<L>> Loops for Lines<'_, T, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let count = self.rows.len();
        let step = CHUNK * L::PER_WORD;
        // Row by row: rows side by side, a power of two apart, would fight for one set of the first cache.
        for (number, row) in self.rows.enumerate() {
            let from = &self.a.data[row * self.a.strides[0]..][self.depths.clone()];
            let next = from.as_ptr().wrapping_add(self.a.strides[0]);
            for (chunk, from) in from.chunks(step).enumerate() {
                fetch_near(next.wrapping_add(chunk * step).cast());
                let to = &mut self.to[(chunk * count + number) * CHUNK..][..CHUNK];
                line_of::<T, L>(from, self.a.zero, to);
            }
        }
    }
}

/// Rows `rows` of A, at most 8, elements `depths` of each, to `[word of depth][row]`. The rows are contiguous.
pub(super) struct Columns<'a, T, L> {
    pub(super) a: Matrix<'a, T>,
    pub(super) rows: Range<usize>,
    pub(super) depths: Range<usize>,
    pub(super) to: &'a mut [u32],
    pub(super) lane: std::marker::PhantomData<L>,
}

/// Cache lines of a row between what is fetched and what is turned.
const LINES_AHEAD: usize = 4;

impl<L: Lane, T: To<L>> Loops for Columns<'_, T, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let (count, stride) = (self.rows.len(), self.a.strides[0]);
        let step = CHUNK * L::PER_WORD;
        let a = &self.a.data[self.rows.start * stride..];
        for (to, start) in self.to.chunks_mut(count * CHUNK).zip(self.depths.clone().step_by(step)) {
            let depths = start..(start + step).min(self.depths.end);
            (0..count).for_each(|row| {
                fetch_near(a.as_ptr().wrapping_add(row * stride + start + LINES_AHEAD * step).cast());
            });
            let is_whole = to.len() == FEW * CHUNK && depths.len() == step;
            if is_whole && T::SAME_BUT == Some(0) && L::PER_WORD == 1 && size_of::<T>() == size_of::<u32>() {
                let from = &a[start..(FEW - 1) * stride + depths.end];
                // SAFETY: where elements are lanes, and each fills a word, they are words.
                let from = unsafe { std::slice::from_raw_parts(from.as_ptr().cast(), from.len()) };
                TransposeFew { from, from_stride: stride, to }.run::<V>();
                continue;
            }
            let [mut block, mut turned] = [[0; FEW * CHUNK]; 2];
            for (row, line) in block.chunks_exact_mut(CHUNK).take(count).enumerate() {
                line_of::<T, L>(&a[row * stride..][depths.clone()], self.a.zero, line);
            }
            TransposeFew { from: &block, from_stride: CHUNK, to: &mut turned }.run::<V>();
            for (to, from) in to.chunks_mut(count).zip(turned.chunks_exact(FEW)) {
                to.copy_from_slice(&from[..to.len()]);
            }
        }
    }
}

/// Words of a row that fill a line, or all that are left of it and zeros.
#[inline(always)]
fn line_of<T: To<L>, L: Lane>(from: &[T], zero: i16, to: &mut [u32]) {
    if from.len() == to.len() * L::PER_WORD {
        return whole_words::<T, L>(from, zero, to);
    }
    to.fill(0);
    for (to, from) in to.iter_mut().zip(from.chunks(L::PER_WORD)) {
        *to = word::<T, L>(from, zero);
    }
}

/// As many whole words as `to` takes.
#[inline(always)]
fn whole_words<T: To<L>, L: Lane>(from: &[T], zero: i16, to: &mut [u32]) {
    let from = &from[..to.len() * L::PER_WORD];
    if let Some(but) = T::SAME_BUT {
        for (at, to) in to.iter_mut().enumerate() {
            // SAFETY: where elements are lanes, a word's worth of them takes a word's bytes.
            *to = unsafe { from.as_ptr().add(at * L::PER_WORD).cast::<u32>().read_unaligned() } ^ but;
        }
    } else {
        for (to, from) in to.iter_mut().zip(from.chunks_exact(L::PER_WORD)) {
            *to = word::<T, L>(from, zero);
        }
    }
}

/// A word of neighbouring elements, zeros where some are missing.
#[inline(always)]
fn word<T: To<L>, L: Lane>(from: &[T], zero: i16) -> u32 {
    let mut word = 0;
    for (lane, element) in from.iter().enumerate() {
        word |= element.lane(zero).bits() << (lane * 32 / L::PER_WORD);
    }
    word
}

/// Columns whose words are joined at once: they fit a register.
const JOINED: usize = 16;
/// Elements of the narrowest type in a word.
const MOST_PER_WORD: usize = 4;
/// Words of depth that are fetched before they are copied: hardware misses steps of a
/// long row.
const ROWS_AHEAD: usize = 8;

/// Columns `columns` of B, elements `depths` of each, to `[word of depth][width]`.
pub(in super::super) struct Panel<'a, T, L> {
    pub(in super::super) b: Matrix<'a, T>,
    pub(in super::super) columns: Range<usize>,
    pub(in super::super) depths: Range<usize>,
    pub(in super::super) width: usize,
    pub(in super::super) to: &'a mut [u32],
    pub(in super::super) lane: std::marker::PhantomData<L>,
}

impl<L: Lane, T: To<L>> Loops for Panel<'_, T, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let used = self.depths.len().div_ceil(L::PER_WORD) * self.width;
        let beyond = if self.columns.len() < self.width { 0 } else { used };
        self.to[beyond..].fill(0);
        if self.b.is_by_rows() {
            self.interleave();
        } else {
            self.transpose::<V>();
        }
    }
}

/// Words of columns: of each row a lane.
#[inline(always)]
fn join<T: To<L>, L: Lane>(rows: &[&[[T; JOINED]]], zero: i16, to: &mut [[u32; JOINED]]) {
    for (number, to) in to.iter_mut().enumerate() {
        let mut words = [0; JOINED];
        for (lane, row) in rows.iter().enumerate() {
            for (word, x) in words.iter_mut().zip(&row[number]) {
                *word |= x.lane(zero).bits() << (lane * 32 / L::PER_WORD);
            }
        }
        *to = words;
    }
}

impl<L: Lane, T: To<L>> Panel<'_, T, L> {
    /// Rows of B are contiguous: the rows of a word are widened, shifted to their place and joined.
    #[inline(always)]
    fn interleave(self) {
        let (stride, zero, count) = (self.b.strides[0], self.b.zero, self.columns.len());
        for (to, depth) in self.to.chunks_exact_mut(self.width).zip(self.depths.clone().step_by(L::PER_WORD))
        {
            let from = &self.b.data[depth * stride + self.columns.start..];
            let lanes = L::PER_WORD.min(self.depths.end - depth);
            for lane in 0..lanes {
                fetch_near(from.as_ptr().wrapping_add((ROWS_AHEAD * L::PER_WORD + lane) * stride).cast());
            }
            let (whole, rest) = to[..count].as_chunks_mut::<JOINED>();
            let mut rows: [&[[T; JOINED]]; MOST_PER_WORD] = [&[]; MOST_PER_WORD];
            for (lane, row) in rows.iter_mut().enumerate().take(lanes) {
                *row = from[lane * stride..][..count].as_chunks().0;
            }
            // So that the loop over lanes is none where a word is whole.
            if lanes == L::PER_WORD {
                join::<T, L>(&rows[..L::PER_WORD], zero, whole);
            } else {
                join::<T, L>(&rows[..lanes], zero, whole);
            }
            let done = count - rest.len();
            for (number, to) in rest.iter_mut().enumerate() {
                let bits = |lane: usize| from[lane * stride + done + number].lane(zero).bits();
                *to = (0..lanes).fold(0, |word, lane| word | bits(lane) << (lane * 32 / L::PER_WORD));
            }
        }
    }

    /// Columns of B are contiguous: a stretch of one column after another, as long as a cache line, so
    /// that the lines that are written stay near.
    #[inline(always)]
    fn transpose<V: Vector>(mut self) {
        let (stride, zero) = (self.b.strides[1], self.b.zero);
        let step = CHUNK * L::PER_WORD;
        for (chunk, start) in self.depths.clone().step_by(step).enumerate() {
            if self.turn_block::<V>(chunk, start) {
                continue;
            }
            let end = self.depths.end.min(start + step);
            let to = &mut self.to[chunk * CHUNK * self.width..];
            for (number, column) in self.columns.clone().enumerate() {
                let from = &self.b.data[column * stride..][start..end];
                fetch_near(from.as_ptr().wrapping_add(step).cast());
                for (at, from) in from.chunks(L::PER_WORD).enumerate() {
                    to[at * self.width + number] = word::<T, L>(from, zero);
                }
            }
        }
    }

    /// One cache line of each column, in registers, where elements already are lanes and nothing is missing.
    #[inline(always)]
    fn turn_block<V: Vector>(&mut self, chunk: usize, start: usize) -> bool {
        let (stride, count) = (self.b.strides[1], self.columns.len());
        let is_whole = start + CHUNK * L::PER_WORD <= self.depths.end && count.is_multiple_of(SIDE);
        if T::SAME_BUT != Some(0) || !is_whole || !stride.is_multiple_of(L::PER_WORD) {
            return false;
        }
        for number in (0..count).step_by(SIDE) {
            let first = (self.columns.start + number) * stride + start;
            let from = &self.b.data[first..first + (SIDE - 1) * stride + CHUNK * L::PER_WORD];
            (0..SIDE).for_each(|column| {
                fetch_near(from.as_ptr().wrapping_add(column * stride + CHUNK * L::PER_WORD).cast());
            });
            if !from.as_ptr().cast::<u32>().is_aligned() {
                return false;
            }
            // SAFETY: aligned as has been asked; where elements are lanes, a word's worth of them takes a
            // word's bytes.
            let from =
                unsafe { std::slice::from_raw_parts(from.as_ptr().cast::<u32>(), from.len() / L::PER_WORD) };
            let to = &mut self.to[chunk * CHUNK * self.width + number..];
            Transpose { from, from_stride: stride / L::PER_WORD, to, to_stride: self.width }.run::<V>();
        }
        true
    }
}
