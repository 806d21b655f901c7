//! The factors of a product: where they lie, laid out before, or made where a part is needed.

use super::pack::Matrix;
use std::ops::Range;

/// A factor that is no matrix in memory: it is made where a part of it is needed.
pub(in super::super) trait Made {
    /// Rows `rows` of A, or columns `across` of B, for the words of depth `depths`: of A as lines,
    /// `[chunk of 16 words][row][16]`, of B as `[word][width of a tile]`; zeros where there are none.
    fn make(&self, across: Range<usize>, depths: Range<usize>, to: &mut [u32]);
}

/// A, where it lies, laid out before, or made.
pub(in super::super) enum Left<'a, T> {
    Plain(Matrix<'a, T>),
    /// By [`super::multiply::Engine::pack_left`].
    Packed(&'a [u32]),
    /// From this row on.
    Made(&'a dyn Made, usize),
}

/// B, where it lies, laid out before, or made.
pub(in super::super) enum Right<'a, T> {
    Plain(Matrix<'a, T>),
    Packed(Panels<'a>),
    /// From this column on.
    Made(&'a dyn Made, usize),
}

impl<T: Copy> Right<'_, T> {
    /// The same from `column` on; of a packed B, a multiple of a panel's columns.
    pub(super) fn from(&self, column: usize) -> Self {
        match self {
            Self::Plain(matrix) => Self::Plain(matrix.from(0, column)),
            Self::Packed(panels) => Self::Packed(Panels { first: panels.first + column, ..*panels }),
            Self::Made(made, first) => Self::Made(*made, first + column),
        }
    }
}

/// Panels of a packed B, block of depth by block of depth, from the column on where a thread begins.
#[derive(Clone, Copy)]
pub(in super::super) struct Panels<'a> {
    pub(in super::super) words: &'a [u32],
    /// Columns of the whole B, in whole panels.
    pub(in super::super) columns: usize,
    /// The first column, a multiple of a panel's.
    pub(in super::super) first: usize,
    /// For integers: what the zero point of A adds to each column of the whole product.
    pub(in super::super) shifts: &'a [u32],
}
