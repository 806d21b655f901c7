//! Rows of A in blocks times weights in blocks, by AVX-512 VNNI: the sums of a block are exact.
//!
//! The instruction multiplies unsigned bytes by signed ones, so the weights are taken as 128 more than they
//! are, and each word of four begins with what that adds: sum w x = sum (w + 128) x - 128 sum x.

use crate::backends::cpu::float::Float;
use crate::ops::BLOCK;
use half::f16;
use std::arch::x86_64::*;

/// Columns of D that share the loads of A.
const COLUMNS: usize = 4;
/// Blocks whose scales are multiplied together: a register of them.
const GROUP: usize = 16;
/// Bytes of a register: two blocks.
const LINE: usize = 64;
/// Bytes of a group.
const SPAN: usize = GROUP * BLOCK;

/// A row of A, ready for any number of columns, with zeros behind its end.
pub(super) struct Row {
    bits: Vec<i8>,
    /// For each word of four bytes, -128 times their sum.
    starts: Vec<i32>,
    scales: Vec<f32>,
}

impl Row {
    /// Room for rows of `k`.
    pub(super) fn new(k: usize) -> Self {
        let padded = k.next_multiple_of(SPAN);
        Self { bits: vec![0; padded], starts: vec![0; padded / 4], scales: vec![0.0; padded / BLOCK] }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        (self.bits.len() + 4 * self.starts.len() + 4 * self.scales.len()) as u64
    }

    /// Takes a row of the same length as always.
    pub(super) fn set<S: Float>(&mut self, bits: &[i8], scales: &[S]) {
        self.bits[..bits.len()].copy_from_slice(bits);
        for (start, four) in self.starts.iter_mut().zip(bits.chunks_exact(4)) {
            *start = -128 * four.iter().map(|x| i32::from(*x)).sum::<i32>();
        }
        for (to, from) in self.scales.iter_mut().zip(scales) {
            *to = from.to_f32();
        }
    }

    /// One row of D, for some of its columns: weights of `k` each, and their scales; if they come from memory
    /// and not from a cache, they are asked for in time.
    ///
    /// # Safety
    /// The processor has AVX-512 F, BW, VL and VNNI.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,f16c")]
    pub(super) unsafe fn times(&self, k: usize, weights: &[i8], scales: &[f16], y: &mut [f32], is_far: bool) {
        let blocks = k / BLOCK;
        assert!(k <= self.bits.len() && weights.len() >= y.len() * k && scales.len() >= y.len() * blocks);
        let whole = y.len() / COLUMNS * COLUMNS;
        for column in 0..y.len() {
            let (weights, scales) = (&weights[column * k..], &scales[column * blocks..]);
            // SAFETY: so many columns are there.
            unsafe {
                match column {
                    _ if column >= whole => self.dots::<1, false>(k, weights, scales, &mut y[column..]),
                    _ if !column.is_multiple_of(COLUMNS) => {}
                    _ if is_far => self.dots::<COLUMNS, true>(k, weights, scales, &mut y[column..]),
                    _ => self.dots::<COLUMNS, false>(k, weights, scales, &mut y[column..]),
                }
            }
        }
    }

    /// sum += the line at `at` times its weights, each lane by its factor.
    ///
    /// # Safety
    /// The row has a line there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,f16c")]
    unsafe fn add(&self, at: usize, weights: __m512i, factors: __m512, sum: &mut __m512) {
        // SAFETY: by this function's contract.
        let (x, start) = unsafe {
            let start = self.starts.as_ptr().add(at / 4);
            (_mm512_loadu_si512(self.bits.as_ptr().add(at).cast()), _mm512_loadu_si512(start.cast()))
        };
        let raised = _mm512_xor_si512(weights, _mm512_set1_epi8(i8::MIN));
        *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_dpbusd_epi32(start, raised, x)), factors, *sum);
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,f16c")]
    unsafe fn dots<const C: usize, const FAR: bool>(
        &self,
        k: usize,
        weights: &[i8],
        scales: &[f16],
        y: &mut [f32],
    ) {
        let blocks = k / BLOCK;
        let mut sums = [_mm512_setzero_ps(); C];
        for first in (0..blocks).step_by(GROUP) {
            let here = GROUP.min(blocks - first);
            let mut factors = [_mm512_setzero_ps(); C];
            for (number, factors) in factors.iter_mut().enumerate() {
                // SAFETY: under the mask there are `here` scales of this column; A's are whole groups.
                unsafe {
                    let from = scales.as_ptr().add(number * blocks + first);
                    let halves = _mm256_maskz_loadu_epi16(((1u32 << here) - 1) as __mmask16, from.cast());
                    let of_a = _mm512_loadu_ps(self.scales.as_ptr().add(first));
                    *factors = _mm512_mul_ps(_mm512_cvtph_ps(halves), of_a);
                }
            }
            // Lanes of a line's first block, then those of its second one.
            let mut pair = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
            for line in 0..here / 2 {
                let at = first * BLOCK + line * LINE;
                for (number, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: a whole line of this column.
                    let w = unsafe {
                        let from = weights.as_ptr().add(number * k + at);
                        if FAR {
                            _mm_prefetch::<_MM_HINT_T1>(from.wrapping_add(C * k));
                        }
                        _mm512_loadu_si512(from.cast())
                    };
                    // SAFETY: A is padded to whole groups.
                    unsafe { self.add(at, w, _mm512_permutexvar_ps(pair, factors[number]), sum) };
                }
                pair = _mm512_add_epi32(pair, _mm512_set1_epi32(2));
            }
            if here % 2 == 1 {
                let at = (first + here - 1) * BLOCK;
                for (number, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the last block of this column; A is padded to whole groups.
                    unsafe {
                        let from = weights.as_ptr().add(number * k + at);
                        let w = _mm512_castsi256_si512(_mm256_loadu_si256(from.cast()));
                        self.add(at, w, _mm512_permutexvar_ps(pair, factors[number]), sum);
                    }
                }
            }
        }
        for (y, sum) in y.iter_mut().zip(sums) {
            *y = _mm512_reduce_add_ps(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;

    #[test]
    fn blocks_give_the_product_for_any_extents_and_extremes() {
        if Isa::here().all(|isa| !isa.has_bytes()) {
            return;
        }
        for (n, blocks) in [(1, 1), (2, 2), (3, 3), (5, 16), (4, 17), (3, 35)] {
            let k = blocks * BLOCK;
            let x: Vec<i8> =
                (0..k).map(|i| if i < 8 { i8::MIN } else { (i * 29 % 255) as u8 as i8 }).collect();
            let weights: Vec<i8> = (0..n * k).map(|i| (i * 37 % 255) as u8 as i8).collect();
            let scale = |i: usize| 0.25 * (1 + i % 2) as f32;
            let scales: Vec<f16> = (0..n * blocks).map(|i| f16::from_f32(scale(i))).collect();
            let (mut row, mut y) = (Row::new(k), vec![f32::NAN; n]);
            row.set(&x, &scales[..blocks]);
            for is_far in [true, false] {
                // SAFETY: the processor has been asked.
                unsafe { row.times(k, &weights, &scales, &mut y, is_far) };
            }
            for (column, y) in y.iter().enumerate() {
                let term = |i: usize| {
                    let product = i32::from(x[i]) * i32::from(weights[column * k + i]);
                    f64::from(product) * f64::from(scale(i / BLOCK) * scale(column * blocks + i / BLOCK))
                };
                let (want, size) =
                    (0..k).map(term).fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
                assert!((f64::from(*y) - want).abs() <= 1e-7 * size, "{n} {blocks} {column}: {y} {want}");
            }
        }
    }
}
