//! A product on one thread: the factors are packed block by block so that each block stays in the cache
//! that suits it, and multiplied tile by tile (Goto and van de Geijn, "Anatomy of High-Performance
//! Matrix Multiplication", 2008).

use super::dots::{self, Dots};
use super::pack::{Matrix, Pack};
use super::tile::{self, Rows, Tile};
use crate::backends::cpu::float::Number;
use crate::backends::cpu::isa::Isa;
use crate::backends::cpu::pool::share;
use std::ops::Range;

/// Depth of a block: a panel of B, this by two vectors, stays in the first or second cache while every
/// tile of a block passes over it.
const DEPTH: usize = 512;
/// Rows of a block of A: with [`DEPTH`], half a second-level cache of 512 KiB.
const ROWS: usize = 140;
/// Columns of a block of B.
const COLUMNS: usize = 1024;

/// What a product writes: D = alpha A B, or that added to D.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Target {
    /// The first element; the rows are the caller's alone.
    pub(in super::super) start: *mut f32,
    /// Elements between rows.
    pub(in super::super) stride: usize,
    pub(in super::super) alpha: f32,
    pub(in super::super) add: bool,
}

/// Room for a block of each factor, and for a tile that hangs over an edge.
pub(in super::super) fn scratch_lens(isa: Isa, [rows, columns, depth]: [usize; 3]) -> [usize; 3] {
    let (most_rows, wide) = (tile::most_rows(isa), tile::columns(isa));
    let block = depth.min(DEPTH);
    let a = if rows <= dots::MOST_ROWS { rows * depth } else { rows.min(ROWS) * block };
    [a, columns.min(COLUMNS).next_multiple_of(wide) * block, most_rows * wide]
}

/// Multiplies `extents` (rows, columns, depth) of `a` and `b`. `scratch` has at least [`scratch_lens`].
pub(in super::super) fn multiply<A: Number, B: Number>(
    isa: Isa,
    (a, b): (Matrix<A>, Matrix<B>),
    [rows, columns, depth]: [usize; 3],
    target: Target,
    [a_pack, b_pack, edge]: &mut [&mut [f32]; 3],
) {
    if let Some(columns_of_b) = b.plain_columns().filter(|_| rows <= dots::MOST_ROWS) {
        return multiply_dots(isa, (a, columns_of_b), [rows, columns, depth], target, a_pack);
    }
    let mut block = Block { isa, a_pack, edge, target };
    // So few rows use each element of B once a pass; copying it would cost more than it saves.
    let plain_b = b.plain_rows().filter(|_| rows <= tile::most_rows(isa));
    for depths in blocks(depth, DEPTH) {
        for across in blocks(columns, COLUMNS) {
            if plain_b.is_none() {
                pack_b(isa, &b, &depths, across.clone(), b_pack);
            }
            for down in blocks(rows, ROWS) {
                block.pack_a(&a, &down, &depths);
                match plain_b {
                    None => block.packed(b_pack, &down, &across, depths.len()),
                    Some((elements, stride)) => {
                        let elements = &elements[depths.start * stride..];
                        let rest = block.plain((elements, stride), &down, &across, depths.len());
                        if !rest.is_empty() {
                            pack_b(isa, &b, &depths, rest.clone(), b_pack);
                            block.packed(b_pack, &down, &rest, depths.len());
                        }
                    }
                }
            }
        }
        block.target.add = true;
    }
}

/// Few rows with columns of B as they lie.
fn multiply_dots<A: Number>(
    isa: Isa,
    (a, (b, stride)): (Matrix<A>, (&[f32], usize)),
    [rows, columns, depth]: [usize; 3],
    target: Target,
    a_pack: &mut [f32],
) {
    let a_pack = &mut a_pack[..rows * depth];
    isa.run(Pack {
        data: a.data,
        zero: a.zero,
        line_stride: a.strides[1],
        position_stride: a.strides[0],
        lines: 0..depth,
        positions: 0..rows,
        width: depth,
        to: a_pack,
    });
    let Target { start, stride: d_stride, alpha, add } = target;
    isa.run(Dots { a: a_pack, depth, b, stride, columns, alpha, add, d: Rows { start, stride: d_stride } });
}

/// `len` in nearly equal parts of at most `most`.
fn blocks(len: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = len.div_ceil(most);
    (0..count).map(move |id| share(len, 1, id, count))
}

/// Copies columns `across` to panels of a tile's width, one after another.
fn pack_b<B: Number>(isa: Isa, b: &Matrix<B>, depths: &Range<usize>, across: Range<usize>, to: &mut [f32]) {
    let width = tile::columns(isa);
    let panels = to.chunks_exact_mut(width * depths.len());
    for (start, to) in across.clone().step_by(width).zip(panels) {
        isa.run(Pack {
            data: b.data,
            zero: b.zero,
            line_stride: b.strides[1],
            position_stride: b.strides[0],
            lines: start..(start + width).min(across.end),
            positions: depths.clone(),
            width,
            to,
        });
    }
}

/// A block of A, and where its product goes.
struct Block<'a> {
    isa: Isa,
    a_pack: &'a mut [f32],
    edge: &'a mut [f32],
    target: Target,
}

impl Block<'_> {
    fn pack_a<A: Number>(&mut self, a: &Matrix<A>, down: &Range<usize>, depths: &Range<usize>) {
        for part in blocks(down.len(), tile::most_rows(self.isa)) {
            self.isa.run(Pack {
                data: a.data,
                zero: a.zero,
                line_stride: a.strides[0],
                position_stride: a.strides[1],
                lines: down.start + part.start..down.start + part.end,
                positions: depths.clone(),
                width: part.len(),
                to: &mut self.a_pack[part.start * depths.len()..],
            });
        }
    }

    /// With panels of B: columns `across` of the product.
    fn packed(&mut self, b: &[f32], down: &Range<usize>, across: &Range<usize>, depth: usize) {
        let width = tile::columns(self.isa);
        for (start, panel) in across.clone().step_by(width).zip(b.chunks_exact(width * depth)) {
            let columns = start..(start + width).min(across.end);
            self.tiles((panel, width), down, columns, width, depth);
        }
    }

    /// With rows of B as they lie. Returns the columns that were left because they fill no tile.
    fn plain(
        &mut self,
        (b, stride): (&[f32], usize),
        down: &Range<usize>,
        across: &Range<usize>,
        depth: usize,
    ) -> Range<usize> {
        let mut start = across.start;
        for width in [tile::wide_columns(self.isa, down.len()), tile::columns(self.isa)] {
            while start + width <= across.end {
                self.tiles((&b[start..], stride), down, start..start + width, width, depth);
                start += width;
            }
        }
        start..across.end
    }

    /// One column of tiles, `width` wide, of which `columns` are wanted.
    fn tiles(
        &mut self,
        (b, stride): (&[f32], usize),
        down: &Range<usize>,
        columns: Range<usize>,
        width: usize,
        depth: usize,
    ) {
        let Target { start, stride: target_stride, alpha, add } = self.target;
        for part in blocks(down.len(), tile::most_rows(self.isa)) {
            let whole = columns.len() == width;
            // SAFETY: the tile lies inside the target.
            let at = unsafe { start.add((down.start + part.start) * target_stride + columns.start) };
            let edge = Rows { start: self.edge.as_mut_ptr(), stride: width };
            let d = if whole { Rows { start: at, stride: target_stride } } else { edge };
            let a = &self.a_pack[part.start * depth..part.end * depth];
            let rows = part.len();
            self.isa.run(Tile { a, rows, b, stride, columns: width, alpha, add: add && whole, d });
            if !whole {
                self.copy_edge(at, rows, columns.len(), width);
            }
        }
    }

    fn copy_edge(&self, at: *mut f32, rows: usize, columns: usize, width: usize) {
        for (row, from) in self.edge.chunks_exact(width).take(rows).enumerate() {
            // SAFETY: the first `columns` of each row lie inside the target, which is ours.
            let to = unsafe { std::slice::from_raw_parts_mut(at.add(row * self.target.stride), columns) };
            for (to, from) in to.iter_mut().zip(from) {
                *to = if self.target.add { *to + from } else { *from };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge_and_stride_gives_the_product() {
        for isa in Isa::here() {
            for [m, n, k] in [[1, 1, 1], [3, 7, 5], [14, 32, 16], [15, 33, 17], [141, 40, 513], [2, 1100, 9]]
            {
                for (trans_a, trans_b) in [(false, false), (true, false), (false, true), (true, true)] {
                    check(isa, [m, n, k], trans_a, trans_b);
                }
            }
        }
    }

    fn check(isa: Isa, extents: [usize; 3], trans_a: bool, trans_b: bool) {
        let [m, n, k] = extents;
        let numbers = |len: usize, step: usize| -> Vec<f32> {
            (0..len).map(|i| (i * step % 17) as f32 - 8.0).collect()
        };
        let (a, b) = (numbers(m * k, 5), numbers(k * n, 3));
        let matrix_a = Matrix::new(&a, if trans_a { [1, m] } else { [k, 1] });
        let matrix_b = Matrix::new(&b, if trans_b { [1, k] } else { [n, 1] });
        let [mut s0, mut s1, mut s2] = scratch_lens(isa, extents).map(|len| vec![f32::NAN; len]);
        let mut d = vec![1.0; m * n];
        let target = Target { start: d.as_mut_ptr(), stride: n, alpha: 2.0, add: true };
        multiply(isa, (matrix_a, matrix_b), extents, target, &mut [&mut s0, &mut s1, &mut s2]);
        for (at, got) in d.iter().enumerate() {
            let (i, j) = (at / n, at % n);
            let term = |p: usize| {
                let x = if trans_a { a[p * m + i] } else { a[i * k + p] };
                x * if trans_b { b[j * k + p] } else { b[p * n + j] }
            };
            // Small whole numbers: exact in f32 in any order.
            let want = 1.0 + 2.0 * (0..k).map(term).sum::<f32>();
            assert_eq!(*got, want, "{} {extents:?} {trans_a} {trans_b} at {i}, {j}", isa.name());
        }
    }
}
