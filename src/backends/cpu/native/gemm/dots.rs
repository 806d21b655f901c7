//! Few rows times columns that lie contiguous: dot products as they come, since copying B into panels
//! would cost more than the product.

use super::tile::Rows;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::vector::Vector;

/// Most rows that are multiplied so.
pub(super) const MOST_ROWS: usize = 4;

/// Columns that share the loads of a row of A.
const TOGETHER: usize = 4;

/// D = alpha A B, or that added to D.
pub(super) struct Dots<'a> {
    /// A by rows, one right after another.
    pub(super) a: &'a [f32],
    pub(super) depth: usize,
    /// B by columns, `stride` apart.
    pub(super) b: &'a [f32],
    pub(super) stride: usize,
    pub(super) columns: usize,
    pub(super) alpha: f32,
    pub(super) add: bool,
    pub(super) d: Rows,
}

impl Loops for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let whole = self.columns / TOGETHER * TOGETHER;
        for (row, a) in self.a.chunks_exact(self.depth).enumerate() {
            // SAFETY: the rows of `d` are disjoint, as long as B has columns, and ours.
            let d = unsafe {
                std::slice::from_raw_parts_mut(self.d.start.add(row * self.d.stride), self.columns)
            };
            for column in (0..whole).step_by(TOGETHER) {
                self.some::<V, TOGETHER>(a, column, d);
            }
            for column in whole..self.columns {
                self.some::<V, 1>(a, column, d);
            }
        }
    }
}

impl Dots<'_> {
    /// A row with `COUNT` columns from number `column` on.
    #[inline(always)]
    fn some<V: Vector, const COUNT: usize>(&self, a: &[f32], column: usize, d: &mut [f32]) {
        let b: [&[f32]; COUNT] = std::array::from_fn(|i| &self.b[(column + i) * self.stride..][..self.depth]);
        // Two chains a column hide the latency of the additions.
        let mut sums = [[V::splat(0.0); 2]; COUNT];
        let step = 2 * V::LANES;
        let whole = self.depth / step * step;
        for at in (0..whole).step_by(step) {
            for half in 0..2 {
                let at = at + half * V::LANES;
                let a = V::load(&a[at..]);
                for (sums, b) in sums.iter_mut().zip(&b) {
                    sums[half] = a.multiply_add(V::load(&b[at..]), sums[half]);
                }
            }
        }
        for (i, [even, odd]) in sums.into_iter().enumerate() {
            let rest: f32 = a[whole..].iter().zip(&b[i][whole..]).map(|(a, b)| a * b).sum();
            let mut lanes = [0.0; 16];
            even.add(odd).store(&mut lanes);
            let sum = lanes[..V::LANES].iter().sum::<f32>() + rest;
            let d = &mut d[column + i];
            *d = if self.add { *d } else { 0.0 } + self.alpha * sum;
        }
    }
}
