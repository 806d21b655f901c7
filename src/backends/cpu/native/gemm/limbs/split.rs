//! The limbs of f32 and the order in which tile registers read them.
//!
//! The order of the depth is free as long as both factors agree: elements 16 apart share a word, so that words are made of
//! whole registers. 32 elements are a line, whose words lie limb after limb.

use super::super::pack::Matrix;
use super::super::packed::words_of;
use super::super::tile::{CHUNK, fetch_near};
use super::super::transpose::{SIDE, Transpose};
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::vector::Vector;
use std::ops::Range;

/// Limbs of an element.
pub(super) const LIMBS: usize = 3;
/// Elements of a line.
pub(super) const ELEMENTS: usize = 2 * CHUNK;
/// Rows of A, or columns of B, that are laid out together.
pub(super) const TILE: usize = 2 * SIDE;
/// Words of one limb of a line of a tile.
pub(super) const LIMB: usize = TILE * CHUNK;
/// Words of a line of a tile.
pub(super) const LINE: usize = LIMBS * LIMB;
/// The half of a word where an f32 has the bits of its bf16.
const HIGH: u32 = 0xFFFF_0000;
/// Half of the last place of that bf16.
const HALF: u32 = 0x8000;

/// A register of elements.
type Register = [u32; CHUNK];

/// Words of factors of so many rows or columns and so much depth.
pub(super) fn len(across: usize, depth: usize) -> usize {
    across.div_ceil(TILE) * depth.div_ceil(ELEMENTS) * LINE
}

/// The limbs of an f32, as f32 whose lower halves are empty: x rounded, the rest rounded, and what is left. What rounds up
/// beyond the largest number, or is none, leaves a rest that is none.
#[inline(always)]
fn split(x: u32) -> [u32; LIMBS] {
    // Up from the middle on: what is left has room for either neighbour's rest.
    let first = x.wrapping_add(HALF) & HIGH;
    let rest = f32::from_bits(x) - f32::from_bits(first);
    let second = rest.to_bits().wrapping_add(HALF) & HIGH;
    [first, second, (rest - f32::from_bits(second)).to_bits()]
}

/// For each limb the words of elements `low` and `high`.
#[inline(always)]
fn joined(low: &Register, high: &Register) -> [Register; LIMBS] {
    let mut words = [[0; CHUNK]; LIMBS];
    for at in 0..CHUNK {
        let (low, high) = (split(low[at]), split(high[at]));
        for limb in 0..LIMBS {
            words[limb][at] = low[limb] >> 16 | high[limb] & HIGH;
        }
    }
    words
}

/// As many elements as fill a register, or those that are there and zeros.
#[inline(always)]
fn register(from: &[u32]) -> Register {
    if let Some(whole) = from.first_chunk() {
        return *whole;
    }
    let mut register = [0; CHUNK];
    register[..from.len()].copy_from_slice(from);
    register
}

/// Elements of up to 16 lines of `from`, `columns` of each, turned: one register for each column.
#[inline(always)]
fn turned<V: Vector>(
    from: &[u32],
    stride: usize,
    lines: Range<usize>,
    columns: Range<usize>,
) -> [Register; SIDE] {
    let mut turned = [[0; CHUNK]; SIDE];
    let to = turned.as_flattened_mut();
    if lines.len() == SIDE && columns.len() == CHUNK {
        let from = &from[lines.start * stride + columns.start..];
        Transpose { from, from_stride: stride, to, to_stride: CHUNK }.run::<V>();
        return turned;
    }
    let mut square = [[0; CHUNK]; SIDE];
    for (row, line) in square.iter_mut().zip(lines) {
        *row = register(&from[line * stride..][columns.clone()]);
    }
    Transpose { from: square.as_flattened(), from_stride: CHUNK, to, to_stride: CHUNK }.run::<V>();
    turned
}

/// The two halves of the line that begins at `depth`, as far as there are elements.
fn halves(depth: usize, end: usize) -> [Range<usize>; 2] {
    let middle = (depth + CHUNK).min(end);
    [depth..middle, middle..(depth + ELEMENTS).min(end)]
}

/// Writes a register of each limb of a line, `to` being where that of the first one goes.
#[inline(always)]
fn put(low: &Register, high: &Register, to: &mut [u32]) {
    let words = joined(low, high);
    let to = &mut to[..(LIMBS - 1) * LIMB + CHUNK];
    for (limb, words) in words.iter().enumerate() {
        to[limb * LIMB..limb * LIMB + CHUNK].copy_from_slice(words);
    }
}

/// Rows `rows` of A, elements `depths` of each, to `[tile][line][limb][row][16]`; zeros where there are none.
pub(super) struct Left<'a> {
    pub(super) a: Matrix<'a, f32>,
    pub(super) rows: Range<usize>,
    pub(super) depths: Range<usize>,
    pub(super) to: &'a mut [u32],
}

impl Loops for Left<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { a, rows, depths, to } = self;
        let tile = depths.len().div_ceil(ELEMENTS) * LINE;
        if !rows.len().is_multiple_of(TILE) {
            to[rows.len() / TILE * tile..].fill(0);
        }
        let (words, first) = (words_of(a.data), rows.start);
        let place = |row: usize| (row - first) / TILE * tile + (row - first) % TILE * CHUNK;
        if a.is_by_rows() {
            for row in rows {
                let from = &words[row * a.strides[0]..][depths.clone()];
                let next = from.as_ptr().wrapping_add(a.strides[0]);
                let (whole, rest) = from.as_chunks::<ELEMENTS>();
                for (line, (from, to)) in whole.iter().zip(to[place(row)..].chunks_mut(LINE)).enumerate() {
                    fetch_near(next.wrapping_add(line * ELEMENTS).cast());
                    fetch_near(next.wrapping_add(line * ELEMENTS + CHUNK).cast());
                    let [low, high] = from.as_chunks().0 else { continue };
                    put(low, high, to);
                }
                if !rest.is_empty() {
                    let (low, high) = rest.split_at(rest.len().min(CHUNK));
                    put(&register(low), &register(high), &mut to[place(row) + whole.len() * LINE..]);
                }
            }
            return;
        }
        for (line, depth) in depths.clone().step_by(ELEMENTS).enumerate() {
            for start in rows.clone().step_by(SIDE) {
                let some = start..(start + SIDE).min(rows.end);
                // One after the other: what a closure calls is not compiled for the instruction set.
                let [low, high] = halves(depth, depths.end);
                let low = turned::<V>(words, a.strides[1], low, some.clone());
                let high = turned::<V>(words, a.strides[1], high, some.clone());
                let to = &mut to[place(start) + line * LINE..];
                for (number, (low, high)) in low.iter().zip(&high).enumerate().take(some.len()) {
                    put(low, high, &mut to[number * CHUNK..]);
                }
            }
        }
    }
}

/// Columns `columns` of B, elements `depths` of each, to `[tile][line][limb][word][column]`; zeros where there are none.
pub(super) struct Right<'a> {
    pub(super) b: Matrix<'a, f32>,
    pub(super) columns: Range<usize>,
    pub(super) depths: Range<usize>,
    pub(super) to: &'a mut [u32],
}

impl Loops for Right<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { b, columns, depths, to } = self;
        let tile = depths.len().div_ceil(ELEMENTS) * LINE;
        if !columns.len().is_multiple_of(TILE) {
            to[columns.len() / TILE * tile..].fill(0);
        }
        if !depths.len().is_multiple_of(ELEMENTS) {
            // A has zeros there, but of numbers only zero times that is 0.
            to.chunks_exact_mut(tile).for_each(|to| to[tile - LINE..].fill(0));
        }
        let words = words_of(b.data);
        let place = |number: usize| number * SIDE / TILE * tile + number * SIDE % TILE;
        for (line, depth) in depths.clone().step_by(ELEMENTS).enumerate() {
            let halves = halves(depth, depths.end);
            let to = &mut to[line * LINE..];
            if b.is_by_rows() {
                for word in 0..CHUNK {
                    let row = |depths: &Range<usize>| match depths.clone().nth(word) {
                        Some(depth) => &words[depth * b.strides[0]..][columns.clone()],
                        None => &[][..],
                    };
                    let [low, high] = [row(&halves[0]).as_chunks(), row(&halves[1]).as_chunks()];
                    let zeros = [0; CHUNK];
                    for (number, from) in low.0.iter().enumerate() {
                        put(
                            from,
                            high.0.get(number).unwrap_or(&zeros),
                            &mut to[place(number) + word * TILE..],
                        );
                    }
                    if !low.1.is_empty() {
                        let to = &mut to[place(low.0.len()) + word * TILE..];
                        put(&register(low.1), &register(high.1), to);
                    }
                }
                continue;
            }
            for (number, start) in columns.clone().step_by(SIDE).enumerate() {
                let some = start..(start + SIDE).min(columns.end);
                let low = turned::<V>(words, b.strides[1], some.clone(), halves[0].clone());
                let high = turned::<V>(words, b.strides[1], some, halves[1].clone());
                for (word, (low, high)) in low.iter().zip(&high).enumerate() {
                    put(low, high, &mut to[place(number) + word * TILE..]);
                }
            }
        }
    }
}
