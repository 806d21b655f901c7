//! The inner loop: a tile of the product in registers.

use crate::backends::cpu::isa::{Isa, Level, Loops};
use crate::backends::cpu::vector::Vector;

/// Vectors of a tile's columns, where B is packed.
const VECTORS: usize = 2;

/// Most rows of a tile: with two columns of vectors, the accumulators, a row of B and a broadcast element
/// of A fill the registers, 32 of AVX-512 and 16 of the others.
pub(super) fn most_rows(isa: Isa) -> usize {
    match isa.level() {
        Level::Avx512 => 14,
        Level::Avx2 | Level::Portable => 6,
    }
}

/// Columns of a tile where B is packed.
pub(super) fn columns(isa: Isa) -> usize {
    VECTORS * lanes(isa)
}

/// Columns of a tile of `rows` rows where B lies as it is: few rows leave registers for more columns, and
/// longer stretches of each row of B please the memory.
pub(super) fn wide_columns(isa: Isa, rows: usize) -> usize {
    let most = VECTORS * most_rows(isa);
    let vectors = [8, 4].into_iter().find(|vectors| rows * vectors <= most).unwrap_or(VECTORS);
    vectors * lanes(isa)
}

fn lanes(isa: Isa) -> usize {
    match isa.level() {
        Level::Avx512 => 16,
        Level::Avx2 => 8,
        Level::Portable => 4,
    }
}

/// Rows of f32 that a tile is written to. The rows are disjoint, and ours while the tile lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub(super) start: *mut f32,
    pub(super) stride: usize,
}

/// D = alpha A B, or that added to D.
pub(super) struct Tile<'a> {
    /// A by columns: `[k][rows]`.
    pub(super) a: &'a [f32],
    pub(super) rows: usize,
    /// B by rows, `stride` apart.
    pub(super) b: &'a [f32],
    pub(super) stride: usize,
    /// Columns: what [`columns`] or [`wide_columns`] says.
    pub(super) columns: usize,
    pub(super) alpha: f32,
    pub(super) add: bool,
    pub(super) d: Rows,
}

impl Loops for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let vectors = self.columns / V::LANES;
        match (self.rows, vectors) {
            (1, 2) => self.of::<V, 1, 2>(),
            (2, 2) => self.of::<V, 2, 2>(),
            (3, 2) => self.of::<V, 3, 2>(),
            (4, 2) => self.of::<V, 4, 2>(),
            (5, 2) => self.of::<V, 5, 2>(),
            (6, 2) => self.of::<V, 6, 2>(),
            (1, 8) => self.of::<V, 1, 8>(),
            (1, 4) => self.of::<V, 1, 4>(),
            (2, 4) => self.of::<V, 2, 4>(),
            (3, 4) => self.of::<V, 3, 4>(),
            _ if V::LANES == 16 => self.tall::<V>(vectors),
            other => unreachable!("no tile has {other:?} rows and vectors"),
        }
    }
}

impl Tile<'_> {
    /// Tiles that only 32 registers have room for.
    #[inline(always)]
    fn tall<V: Vector>(self, vectors: usize) {
        match (self.rows, vectors) {
            (7, 2) => self.of::<V, 7, 2>(),
            (8, 2) => self.of::<V, 8, 2>(),
            (9, 2) => self.of::<V, 9, 2>(),
            (10, 2) => self.of::<V, 10, 2>(),
            (11, 2) => self.of::<V, 11, 2>(),
            (12, 2) => self.of::<V, 12, 2>(),
            (13, 2) => self.of::<V, 13, 2>(),
            (14, 2) => self.of::<V, 14, 2>(),
            (2, 8) => self.of::<V, 2, 8>(),
            (3, 8) => self.of::<V, 3, 8>(),
            (4, 4) => self.of::<V, 4, 4>(),
            (5, 4) => self.of::<V, 5, 4>(),
            (6, 4) => self.of::<V, 6, 4>(),
            (7, 4) => self.of::<V, 7, 4>(),
            other => unreachable!("no tile has {other:?} rows and vectors"),
        }
    }

    #[inline(always)]
    fn of<V: Vector, const ROWS: usize, const VECTORS: usize>(self) {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        for (a, b) in self.a.as_chunks::<ROWS>().0.iter().zip(self.b.chunks(self.stride)) {
            let b = &b[..VECTORS * V::LANES];
            let b: [V; VECTORS] = std::array::from_fn(|v| V::load(&b[v * V::LANES..]));
            for (sums, a) in sums.iter_mut().zip(a) {
                let a = V::splat(*a);
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = a.multiply_add(b, *sum);
                }
            }
        }
        let (alpha, zero) = (V::splat(self.alpha), V::splat(0.0));
        for (row, sums) in sums.into_iter().enumerate() {
            // SAFETY: the rows of `d` are disjoint, as wide as the tile, and ours.
            let d = unsafe {
                std::slice::from_raw_parts_mut(self.d.start.add(row * self.d.stride), VECTORS * V::LANES)
            };
            for (sum, d) in sums.into_iter().zip(d.chunks_exact_mut(V::LANES)) {
                let old = if self.add { V::load(d) } else { zero };
                sum.multiply_add(alpha, old).store(d);
            }
        }
    }
}
