//! Where a product goes, and what it is added to.

use super::words::Finish;

/// Where a product goes: D = alpha A B + beta init.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Target {
    /// The first element; the rows are the caller's alone.
    pub(in super::super) start: *mut u32,
    /// Words between rows.
    pub(in super::super) stride: usize,
    pub(in super::super) alpha: f32,
    pub(in super::super) beta: f32,
    /// Added with the factor beta, rows as far apart as said; nothing where it is null.
    pub(in super::super) init: *const u32,
    pub(in super::super) init_stride: usize,
    /// Words between its columns: 1, or 0 where every tile adds the first ones again.
    pub(in super::super) init_step: usize,
    /// For integers: the number that means 0 in the bytes of A as the tile sees them.
    pub(in super::super) zero: i32,
}

impl Target {
    /// The part from `column` on, a multiple of a tile's columns.
    pub(super) fn from(self, column: usize) -> Self {
        // Null stays null.
        let step = if self.init.is_null() { 0 } else { self.init_step };
        let init = self.init.wrapping_add(column * step);
        Self { start: self.start.wrapping_add(column), init, ..self }
    }

    /// What D begins with: what is added to the sums, the distances of its rows and columns, and how. `row` is added to
    /// every row, unless it is `zeros`.
    pub(super) fn begin(&self, row: *const u32, zeros: *const u32) -> (*const u32, [usize; 2], Finish) {
        let Self { init, init_stride, init_step, alpha, beta, .. } = *self;
        let is_plain = alpha == 1.0 && std::ptr::eq(row, zeros);
        match init.is_null() {
            true if is_plain => (init, [0, 0], Finish::Store),
            // One row, which has no columns to be counted from.
            true if alpha == 1.0 => (row, [0, 0], Finish::Add),
            true => (zeros, [0, 0], Finish::General { alpha, beta: 0.0 }),
            false if is_plain && beta == 1.0 => (init, [init_stride, init_step], Finish::Add),
            false => (init, [init_stride, init_step], Finish::General { alpha, beta }),
        }
    }

    /// D = alpha A B.
    pub(in super::super) fn plain(start: *mut f32, stride: usize, alpha: f32) -> Self {
        let (start, none) = (start.cast(), std::ptr::null());
        Self { start, stride, alpha, beta: 0.0, init: none, init_stride: 0, init_step: 1, zero: 0 }
    }
}
