//! Where the elements of a product's factors stand.

use crate::ops::GemmDims;

/// Extents and strides of a product, row-major and possibly transposed.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Extents.
    pub dims: GemmDims,
    /// Elements between neighbouring rows of A, and between neighbouring columns.
    pub a: [usize; 2],
    /// The same of B.
    pub b: [usize; 2],
}

impl Layout {
    /// Of factors that may be stored transposed.
    pub fn new(dims: GemmDims, trans_a: bool, trans_b: bool) -> Self {
        let strides = |columns, rows, transposed| if transposed { [1, rows] } else { [columns, 1] };
        Self { dims, a: strides(dims.k, dims.m, trans_a), b: strides(dims.n, dims.k, trans_b) }
    }

    /// First element of A in product `batch`.
    pub fn a_start(&self, batch: usize) -> usize {
        batch * self.dims.m * self.dims.k
    }

    /// First element of B in product `batch`.
    pub fn b_start(&self, batch: usize) -> usize {
        if self.dims.shared_b { 0 } else { batch * self.dims.k * self.dims.n }
    }

    /// First element of C and D in product `batch`.
    pub fn d_start(&self, batch: usize) -> usize {
        batch * self.dims.m * self.dims.n
    }
}
