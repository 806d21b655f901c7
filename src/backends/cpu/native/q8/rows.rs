//! Rows of A in f32 times weights in blocks: each block's sum times its scale.

use super::super::gemm::fetch_far;
use crate::backends::cpu::float::Float;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::vector::{MOST_LANES, Vector};
use crate::ops::BLOCK;
use half::f16;

/// Columns of D that share the loads of A.
const COLUMNS: usize = 4;
/// Scales that become f32 together.
pub(super) const GROUP: usize = 16;

/// One row of D, for some of its columns: weights and scales are theirs.
pub(super) struct Dots<'a> {
    pub(super) x: &'a [f32],
    pub(super) weights: &'a [i8],
    pub(super) scales: &'a [f16],
    pub(super) y: &'a mut [f32],
    /// The weights come from memory, not from a cache.
    pub(super) is_far: bool,
}

impl Loops for Dots<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { x, weights, scales, y, is_far } = self;
        let (k, blocks) = (x.len(), x.len() / BLOCK);
        let whole = y.len() / COLUMNS * COLUMNS;
        for first in (0..whole).step_by(COLUMNS) {
            let (weights, scales) = (&weights[first * k..], &scales[first * blocks..]);
            let y = &mut y[first..];
            if is_far {
                dots::<V, COLUMNS, true>(x, weights, scales, y);
            } else {
                dots::<V, COLUMNS, false>(x, weights, scales, y);
            }
        }
        for column in whole..y.len() {
            dots::<V, 1, false>(x, &weights[column * k..], &scales[column * blocks..], &mut y[column..]);
        }
    }
}

#[inline(always)]
fn dots<V: Vector, const C: usize, const FAR: bool>(
    x: &[f32],
    weights: &[i8],
    scales: &[f16],
    y: &mut [f32],
) {
    let (k, blocks) = (x.len(), x.len() / BLOCK);
    let (mut sums, mut factors) = ([V::splat(0.0); C], [[0.0; GROUP]; C]);
    // Arrays, whose bounds are known where they are compiled.
    let (x, weights) = (x.as_chunks::<BLOCK>().0, weights.as_chunks::<BLOCK>().0);
    let weights = &weights[..C * blocks];
    for (block, x) in x.iter().enumerate() {
        if block % GROUP == 0 {
            for (number, factors) in factors.iter_mut().enumerate() {
                let from = &scales[number * blocks + block..][..GROUP.min(blocks - block)];
                widen::<V>(from, factors);
            }
        }
        for column in 0..C {
            let weights = &weights[column * blocks + block];
            if FAR {
                fetch_far(weights.as_ptr().wrapping_add(C * k).cast());
            }
            let mut sum = V::load_bytes(weights).mul(V::load(x));
            let mut at = V::LANES;
            while at < BLOCK {
                sum = V::load_bytes(&weights[at..]).multiply_add(V::load(&x[at..]), sum);
                at += V::LANES;
            }
            sums[column] = sum.multiply_add(V::splat(factors[column][block % GROUP]), sums[column]);
        }
    }
    for (y, sum) in y.iter_mut().zip(sums) {
        *y = sum.sum();
    }
}

/// At most [`GROUP`] scales in f32. One at a time takes a call and a question to the processor each.
#[inline(always)]
pub(super) fn widen<V: Vector>(from: &[f16], to: &mut [f32; GROUP]) {
    let mut at = 0;
    while at < from.len() {
        let until = (at + V::LANES).min(from.len());
        let from = &from[at..until];
        let wide: V = if from.len() == V::LANES { f16::load(from) } else { f16::load_first(from) };
        wide.store(&mut to[at..]);
        at = until;
    }
}

/// From bits and scales to numbers: rows of so many blocks.
pub(super) struct Widen<'a, S> {
    pub(super) bits: &'a [i8],
    pub(super) scales: &'a [S],
    pub(super) to: &'a mut [f32],
}

impl<S: Float> Loops for Widen<'_, S> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let blocks = self.bits.chunks_exact(BLOCK).zip(self.to.chunks_exact_mut(BLOCK));
        for ((bits, to), scale) in blocks.zip(self.scales) {
            let scale = V::splat(scale.to_f32());
            for at in (0..BLOCK).step_by(V::LANES) {
                V::load_bytes(&bits[at..]).mul(scale).store(&mut to[at..]);
            }
        }
    }
}

const _: () = assert!(GROUP.is_multiple_of(MOST_LANES) && BLOCK.is_multiple_of(MOST_LANES));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;

    #[test]
    fn every_level_gives_the_sums_of_scaled_blocks() {
        for isa in Isa::here() {
            for (n, blocks) in [(1, 1), (4, 3), (5, 16), (7, 17), (9, 40)] {
                let k = blocks * BLOCK;
                let x: Vec<f32> = (0..k).map(|i| (i % 5) as f32 - 2.0).collect();
                let weights: Vec<i8> = (0..n * k).map(|i| (i * 37 % 255) as u8 as i8).collect();
                let scale = |i: usize| 0.25 * (1 + i % 3) as f32;
                let scales: Vec<f16> = (0..n * blocks).map(|i| f16::from_f32(scale(i))).collect();
                let mut y = vec![f32::NAN; n];
                for is_far in [true, false] {
                    isa.run(Dots { x: &x, weights: &weights, scales: &scales, y: &mut y, is_far });
                }
                let mut numbers = vec![0.0; n * k];
                isa.run(Widen { bits: &weights, scales: &scales, to: &mut numbers });
                for (column, y) in y.iter().enumerate() {
                    let term = |i: usize| {
                        x[i] * f32::from(weights[column * k + i]) * scale(column * blocks + i / BLOCK)
                    };
                    assert_eq!(*y, (0..k).map(term).sum::<f32>(), "{isa:?} {n} {blocks} {column}");
                    let sum: f32 = (0..k).map(|i| x[i] * numbers[column * k + i]).sum();
                    assert_eq!(*y, sum, "{isa:?} {n} {blocks} {column}");
                }
            }
        }
    }
}
