//! A parameter laid out for the tile at load: blocks of depth, in each its panels one behind the other.

use super::factors::Panels;
use super::lanes::{Lane, To};
use super::multiply::{Engine, column_sums, shift};
use super::pack::{Matrix, Panel};
use super::tile::CHUNK;
use super::words::Arithmetic;
use crate::backends::Fault;
use crate::backends::cpu::parts::TeamScratch;
use std::marker::PhantomData;

/// One packed matrix for each product of a batch, or one for all.
pub(in super::super) struct Packed {
    words: TeamScratch,
    shifts: Vec<u32>,
    /// Words of one matrix.
    each: usize,
    /// Columns in whole panels.
    columns: usize,
}

impl Packed {
    /// Lays out `matrices` of `depth` by `columns`, each for a product whose bytes of A mean 0 at `zero`.
    pub(in super::super) fn new<'a, L: Lane, T: To<L> + 'a>(
        engine: &Engine,
        matrices: impl ExactSizeIterator<Item = Matrix<'a, T>>,
        [depth, columns]: [usize; 2],
        zero: i32,
    ) -> Result<Self, Fault> {
        let width = engine.kernels.columns;
        let whole = columns.next_multiple_of(width);
        let each = engine.words::<L>(depth) * whole;
        // Fetching ahead may look at a few rows more than there are; it need not find them.
        let words = TeamScratch::new(1, &[each * matrices.len()])?;
        let mut packed = Self { words, shifts: vec![0; whole * matrices.len()], each, columns: whole };
        for (number, matrix) in matrices.enumerate() {
            packed.fill::<L, T>(engine, number, matrix, [depth, columns], zero);
        }
        Ok(packed)
    }

    fn fill<L: Lane, T: To<L>>(
        &mut self,
        engine: &Engine,
        number: usize,
        b: Matrix<T>,
        [depth, columns]: [usize; 2],
        zero: i32,
    ) {
        let width = engine.kernels.columns;
        // SAFETY: nobody else has the buffer while it is filled.
        let [words] = unsafe { self.words.of(0) };
        let words = words_mut(&mut words[number * self.each..(number + 1) * self.each]);
        let shifts = &mut self.shifts[number * self.columns..(number + 1) * self.columns];
        let (ones, mut sums) = ([0x0101_0101; CHUNK], vec![0; width]);
        for depths in engine.blocks.depths(engine.words::<L>(depth)) {
            let block = &mut words[depths.start * self.columns..depths.end * self.columns];
            for (start, to) in (0..columns).step_by(width).zip(block.chunks_exact_mut(width * depths.len())) {
                let elements = depths.start * L::PER_WORD..(depths.end * L::PER_WORD).min(depth);
                let columns = start..(start + width).min(columns);
                let panel = to.as_ptr();
                engine.isa.run(Panel { b, columns, depths: elements, width, to, lane: PhantomData::<L> });
                if L::ARITHMETIC == Arithmetic::Bytes {
                    column_sums(&engine.kernels, ones.as_ptr(), panel, depths.len(), sums.as_mut_ptr());
                    for (shift_of, sum) in shifts[start..start + width].iter_mut().zip(&sums) {
                        *shift_of = shift_of.wrapping_add(shift(*sum, zero));
                    }
                }
            }
        }
    }

    /// Matrix `number` from column `first` on.
    pub(in super::super) fn panels(&self, number: usize, first: usize) -> Panels<'_> {
        // SAFETY: nobody writes the buffer once it is filled.
        let words = words_of(&unsafe { self.words.filled() }[number * self.each..(number + 1) * self.each]);
        let shifts = &self.shifts[number * self.columns..(number + 1) * self.columns];
        Panels { words, columns: self.columns, first, shifts }
    }

    /// Bytes of the copies.
    pub(in super::super) fn bytes(&self) -> u64 {
        self.words.bytes() + 4 * self.shifts.len() as u64
    }
}

/// The same memory as words.
pub(in super::super) fn words_mut(floats: &mut [f32]) -> &mut [u32] {
    // SAFETY: both types have the same size and alignment, and every pattern of bits is a value of both.
    unsafe { std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), floats.len()) }
}

/// The same memory as words.
pub(in super::super) fn words_of(floats: &[f32]) -> &[u32] {
    // SAFETY: both types have the same size and alignment, and every pattern of bits is a value of both.
    unsafe { std::slice::from_raw_parts(floats.as_ptr().cast(), floats.len()) }
}
