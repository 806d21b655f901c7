//! The weights of a convolution as 16 matrices of channels of y by channels of x, laid out for the tile.

use super::super::super::gemm::{Engine, Matrix, words_mut};
use super::algebra::{KERNEL, PLACES, both_ways, of_kernel};
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::vector::{MOST_LANES, Vector};

/// Elements of a kernel.
const TAPS: usize = KERNEL * KERNEL;

/// G w Gt, place after place, each a matrix whose rows are the channels of y that `weights` are of.
struct Kernels<'a> {
    weights: &'a [f32],
    /// Of x.
    channels: usize,
    to: &'a mut [f32],
}

impl Loops for Kernels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { weights, channels, to } = self;
        let matrix = weights.len() / TAPS;
        for (row, weights) in weights.chunks_exact(TAPS * channels).enumerate() {
            for (number, weights) in weights.chunks(TAPS * V::LANES).enumerate() {
                let mut taps = [[0.0; MOST_LANES]; TAPS];
                for (lane, kernel) in weights.chunks_exact(TAPS).enumerate() {
                    for (tap, weight) in taps.iter_mut().zip(kernel) {
                        tap[lane] = *weight;
                    }
                }
                let mut kernel = [[V::splat(0.0); KERNEL]; KERNEL];
                for (weight, tap) in kernel.iter_mut().flatten().zip(&taps) {
                    *weight = V::load(tap);
                }
                let (at, len) = (row * channels + number * V::LANES, weights.len() / TAPS);
                for (place, x) in both_ways(of_kernel, kernel).into_iter().flatten().enumerate() {
                    x.store_first(&mut to[place * matrix + at..][..len]);
                }
            }
        }
    }
}

/// Elements of `rows` rows, laid out.
pub(super) fn len(engine: &Engine, rows: usize, channels: usize) -> usize {
    PLACES * engine.left_len(rows, channels)
}

/// Lays out the weights of some channels of y: place after place, as A. `plain` has room for 16 numbers for each of
/// their kernels.
pub(super) fn lay_out(engine: &Engine, weights: &[f32], channels: usize, plain: &mut [f32], to: &mut [f32]) {
    let matrix = weights.len() / TAPS;
    let rows = matrix / channels;
    engine.isa.run(Kernels { weights, channels, to: &mut plain[..PLACES * matrix] });
    let places = to.chunks_exact_mut(engine.left_len(rows, channels));
    for (plain, to) in plain.chunks_exact(matrix).zip(places) {
        engine.pack_left::<f32, f32>(Matrix::new(plain, [channels, 1]), &(0..rows), channels, words_mut(to));
    }
}
