//! Weights in blocks as panels of f32: 16 columns of 16 weights at a time are widened, scaled and turned in registers.

use super::super::gemm::{Made, SIDE, Transpose};
use super::rows::{GROUP, widen};
use crate::backends::cpu::isa::{Isa, Loops};
use crate::backends::cpu::vector::Vector;
use crate::ops::BLOCK;
use half::f16;
use std::ops::Range;

/// Columns of `k` weights each, and their scales.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub(super) isa: Isa,
    pub(super) bits: &'a [i8],
    pub(super) scales: &'a [f16],
    pub(super) k: usize,
    /// Columns of a tile.
    pub(super) width: usize,
}

impl Made for Weights<'_> {
    fn make(&self, across: Range<usize>, depths: Range<usize>, to: &mut [u32]) {
        self.isa.run(Panel { weights: *self, across, depths, to });
    }
}

struct Panel<'a, 'b> {
    weights: Weights<'a>,
    across: Range<usize>,
    /// Begins and ends at a multiple of 16.
    depths: Range<usize>,
    to: &'b mut [u32],
}

impl Loops for Panel<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { weights: Weights { bits, scales, k, width, .. }, across, depths, to } = self;
        for first in (0..width).step_by(SIDE) {
            let until = (across.start + width.min(first + SIDE)).min(across.end);
            let columns = (across.start + first).min(until)..until;
            let mut factors = [[0.0; GROUP]; SIDE];
            let mut group = usize::MAX;
            for (start, to) in depths.clone().step_by(SIDE).zip(to.chunks_exact_mut(SIDE * width)) {
                let block = start / BLOCK;
                if group != block / GROUP {
                    group = block / GROUP;
                    let blocks = group * GROUP..(k / BLOCK).min((group + 1) * GROUP);
                    for (column, factors) in columns.clone().zip(&mut factors) {
                        widen::<V>(&scales[column * k / BLOCK..][blocks.clone()], factors);
                    }
                }
                let mut rows = [0; SIDE * SIDE];
                for ((column, row), factors) in columns.clone().zip(rows.chunks_exact_mut(SIDE)).zip(&factors)
                {
                    let from = &bits[column * k + start..][..SIDE];
                    let factor = V::splat(factors[block % GROUP]);
                    let mut numbers = [0.0; SIDE];
                    for at in (0..SIDE).step_by(V::LANES) {
                        V::load_bytes(&from[at..]).mul(factor).store(&mut numbers[at..]);
                    }
                    row.copy_from_slice(&numbers.map(f32::to_bits));
                }
                let (to, from_stride) = (&mut to[first..], SIDE);
                if width - first >= SIDE {
                    Transpose { from: &rows, from_stride, to, to_stride: width }.run::<V>();
                    continue;
                }
                let mut turned = [0; SIDE * SIDE];
                Transpose { from: &rows, from_stride, to: &mut turned, to_stride: SIDE }.run::<V>();
                for (to, turned) in to.chunks_mut(width).zip(turned.chunks_exact(SIDE)) {
                    to[..width - first].copy_from_slice(&turned[..width - first]);
                }
            }
        }
    }
}

const _: () = assert!(BLOCK.is_multiple_of(SIDE));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_stands_in_its_column_scaled() {
        let (columns, k) = (37, 3 * BLOCK);
        let bits: Vec<i8> = (0..columns * k).map(|i| (i * 37 % 255) as u8 as i8).collect();
        let scales: Vec<f16> =
            (0..columns * k / BLOCK).map(|i| f16::from_f32(0.25 * (1 + i % 3) as f32)).collect();
        for (isa, width) in Isa::here().flat_map(|isa| [8, 16, 32].map(|width| (isa, width))) {
            let weights = Weights { isa, bits: &bits, scales: &scales, k, width };
            for (first, depths) in [(0, 0..k), (5, 16..48), (32, 32..k), (36, 80..96)] {
                let across = first..(first + width).min(columns);
                let mut to = vec![u32::MAX; depths.len() * width];
                weights.make(across.clone(), depths.clone(), &mut to);
                for (word, row) in depths.clone().zip(to.chunks_exact(width)) {
                    for (column, got) in (first..).zip(row) {
                        let at = column * k + word;
                        let want = if across.contains(&column) {
                            f32::from(bits[at]) * scales[at / BLOCK].to_f32()
                        } else {
                            0.0
                        };
                        assert_eq!(f32::from_bits(*got), want, "{isa:?} {width} {word} {column}");
                    }
                }
            }
        }
    }
}
