//! Copies of parts of the factors in f32, in the order in which tiles read them.

use crate::backends::cpu::float::Number;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::vector::Vector;
use std::ops::Range;

/// Stored numbers seen as a matrix.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Matrix<'a, T> {
    pub(in super::super) data: &'a [T],
    /// Elements between neighbouring rows, and between neighbouring columns; one of the two is 1.
    pub(in super::super) strides: [usize; 2],
    /// The stored number that means 0.
    pub(in super::super) zero: f32,
}

impl<'a, T: Number> Matrix<'a, T> {
    pub(in super::super) fn new(data: &'a [T], strides: [usize; 2]) -> Self {
        Self { data, strides, zero: 0.0 }
    }

    /// The part that begins at `row` and `column`.
    pub(in super::super) fn from(self, row: usize, column: usize) -> Self {
        let [row_stride, column_stride] = self.strides;
        Self { data: &self.data[row * row_stride + column * column_stride..], ..self }
    }

    /// The elements by columns where they need neither copy nor conversion, with the distance of columns.
    pub(super) fn plain_columns(&self) -> Option<(&'a [f32], usize)> {
        let [row, column] = self.strides;
        if row == 1 && self.zero == 0.0 { Some((T::as_f32(self.data)?, column)) } else { None }
    }

    /// The elements by rows where they need neither copy nor conversion, with the distance of rows.
    pub(super) fn plain_rows(&self) -> Option<(&'a [f32], usize)> {
        let [row, column] = self.strides;
        if column == 1 && self.zero == 0.0 { Some((T::as_f32(self.data)?, row)) } else { None }
    }
}

/// Numbers that one pass along a strided line handles, so that the lines of the others stay in the cache.
const CHUNK: usize = 16;

/// Copies lines `lines` by positions `positions` of a matrix to `[position][width]`, zeros where `width`
/// exceeds the lines. Lines are rows and positions columns for A; the other way round for B.
pub(super) struct Pack<'a, T> {
    pub(super) data: &'a [T],
    pub(super) zero: f32,
    pub(super) line_stride: usize,
    pub(super) position_stride: usize,
    pub(super) lines: Range<usize>,
    pub(super) positions: Range<usize>,
    pub(super) width: usize,
    pub(super) to: &'a mut [f32],
}

impl<T: Number> Loops for Pack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let count = self.lines.len();
        let to = &mut self.to[..self.positions.len() * self.width];
        if count < self.width {
            to.fill(0.0);
        }
        if self.line_stride == 1 {
            for (position, to) in self.positions.zip(to.chunks_exact_mut(self.width)) {
                let from = &self.data[position * self.position_stride + self.lines.start..][..count];
                to.iter_mut().zip(from).for_each(|(to, from)| *to = from.to_f32() - self.zero);
            }
            return;
        }
        let (start, length) = (self.positions.start, self.positions.len());
        for chunk in (0..length).step_by(CHUNK) {
            let chunk = chunk..(chunk + CHUNK).min(length);
            for (number, line) in self.lines.clone().enumerate() {
                let from = &self.data[line * self.line_stride + start * self.position_stride..];
                for position in chunk.clone() {
                    to[position * self.width + number] =
                        from[position * self.position_stride].to_f32() - self.zero;
                }
            }
        }
    }
}
