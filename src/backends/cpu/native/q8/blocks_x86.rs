//! Rows of A in blocks times weights in blocks: the sums of a block are exact.
//!
//! AVX-512 VNNI multiplies unsigned bytes by signed ones, so the weights are taken as 128 more than they are, and each
//! word of four begins with what that adds: sum w x = sum (w + 128) x - 128 sum x. Without it weights and A become 16
//! bits, whose products AVX2 adds in pairs: 8 instructions for a block of 32, where f32 takes 14.

use crate::backends::cpu::float::Float;
use crate::backends::cpu::isa::{Isa, Level};
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
    isa: Isa,
    bits: Vec<i8>,
    /// For each word of four bytes, -128 times their sum.
    starts: Vec<i32>,
    /// In the place of both, without VNNI: bytes of 16 bits.
    wide: Vec<i16>,
    scales: Vec<f32>,
}

impl Row {
    /// Whether there is a way to multiply blocks.
    pub(super) fn is_for(isa: Isa) -> bool {
        isa.level() >= Level::Avx2
    }

    /// Room for rows of `k`, on what [`Self::is_for`].
    pub(super) fn new(isa: Isa, k: usize) -> Self {
        let padded = k.next_multiple_of(SPAN);
        let (narrow, wide) = if isa.has_bytes() { (padded, 0) } else { (0, padded) };
        let (bits, starts, wide) = (vec![0; narrow], vec![0; narrow / 4], vec![0; wide]);
        Self { isa, bits, starts, wide, scales: vec![0.0; padded / BLOCK] }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        (self.bits.len() + 4 * self.starts.len() + 2 * self.wide.len() + 4 * self.scales.len()) as u64
    }

    /// Takes a row of the same length as always.
    pub(super) fn set<S: Float>(&mut self, bits: &[i8], scales: &[S]) {
        assert!(bits.len() <= self.bits.len().max(self.wide.len()), "a row is as long as it was made for");
        self.bits.iter_mut().zip(bits).for_each(|(to, from)| *to = *from);
        self.wide.iter_mut().zip(bits).for_each(|(to, from)| *to = i16::from(*from));
        for (start, four) in self.starts.iter_mut().zip(bits.chunks_exact(4)) {
            *start = -128 * four.iter().map(|x| i32::from(*x)).sum::<i32>();
        }
        for (to, from) in self.scales.iter_mut().zip(scales) {
            *to = from.to_f32();
        }
    }

    /// One row of D, for some of its columns: weights of `k` each, and their scales; if they come from memory
    /// and not from a cache, they are asked for in time.
    pub(super) fn times(&self, k: usize, weights: &[i8], scales: &[f16], y: &mut [f32], is_far: bool) {
        let blocks = k / BLOCK;
        let room = self.bits.len().max(self.wide.len());
        assert!(k <= room && weights.len() >= y.len() * k && scales.len() >= y.len() * blocks);
        assert!(Self::is_for(self.isa), "rows are made where blocks can be multiplied");
        let dots = if self.isa.has_bytes() {
            [Self::dots::<1, false>, Self::dots::<COLUMNS, false>, Self::dots::<COLUMNS, true>]
        } else {
            [Self::wide_dots::<1, false>, Self::wide_dots::<COLUMNS, false>, Self::wide_dots::<COLUMNS, true>]
        };
        let whole = y.len() / COLUMNS * COLUMNS;
        for column in (0..whole).step_by(COLUMNS).chain(whole..y.len()) {
            let way = if column >= whole { 0 } else { 1 + usize::from(is_far) };
            let (weights, scales) = (&weights[column * k..], &scales[column * blocks..]);
            // SAFETY: the processor has been asked, and so many columns are there.
            unsafe { dots[way](self, k, weights, scales, &mut y[column..]) };
        }
    }

    /// # Safety
    /// The processor has AVX2, FMA and F16C, the row is one of 16 bits, and there are `C` columns.
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn wide_dots<const C: usize, const FAR: bool>(
        &self,
        k: usize,
        weights: &[i8],
        scales: &[f16],
        y: &mut [f32],
    ) {
        let blocks = k / BLOCK;
        let (mut sums, mut factors) = ([_mm256_setzero_ps(); C], [[0.0; GROUP]; C]);
        for first in (0..blocks).step_by(GROUP) {
            let here = GROUP.min(blocks - first);
            for (number, factors) in factors.iter_mut().enumerate() {
                let of_weights = &scales[number * blocks + first..][..here];
                let mut padded = [f16::ZERO; GROUP];
                let halves = if here == GROUP {
                    of_weights
                } else {
                    padded[..here].copy_from_slice(of_weights);
                    &padded[..]
                };
                for half in [0, GROUP / 2] {
                    // SAFETY: there are 16 of each; A's are whole groups.
                    unsafe {
                        let of_weights = _mm_loadu_si128(halves.as_ptr().add(half).cast());
                        let of_a = _mm256_loadu_ps(self.scales.as_ptr().add(first + half));
                        let product = _mm256_mul_ps(_mm256_cvtph_ps(of_weights), of_a);
                        _mm256_storeu_ps(factors.as_mut_ptr().add(half), product);
                    }
                }
            }
            for (block, at) in (first * BLOCK..).step_by(BLOCK).take(here).enumerate() {
                // SAFETY: A is padded to whole groups; a whole block of each column.
                unsafe {
                    let x = self.wide.as_ptr().add(at).cast::<__m256i>();
                    let (low, high) = (_mm256_loadu_si256(x), _mm256_loadu_si256(x.add(1)));
                    for (number, sum) in sums.iter_mut().enumerate() {
                        let from = weights.as_ptr().add(number * k + at);
                        if FAR {
                            _mm_prefetch::<_MM_HINT_T1>(from.wrapping_add(C * k));
                        }
                        let sixteen = |from: *const i8| _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast()));
                        let low = _mm256_madd_epi16(sixteen(from), low);
                        let high = _mm256_madd_epi16(sixteen(from.add(BLOCK / 2)), high);
                        let dot = _mm256_cvtepi32_ps(_mm256_add_epi32(low, high));
                        *sum = _mm256_fmadd_ps(dot, _mm256_set1_ps(factors[number][block]), *sum);
                    }
                }
            }
        }
        for (y, sum) in y.iter_mut().zip(sums) {
            let four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            *y = _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
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

    /// # Safety
    /// The processor has AVX-512 F, BW, DQ, VL and VNNI, the row is one of bytes, and there are `C` columns.
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

    #[test]
    fn blocks_give_the_product_for_any_extents_and_extremes() {
        let ways = Isa::here().filter(|isa| Row::is_for(*isa));
        let extents = [(1, 1), (2, 2), (3, 3), (5, 16), (4, 17), (3, 35)];
        for (isa, (n, blocks)) in ways.flat_map(|isa| extents.map(|extents| (isa, extents))) {
            let k = blocks * BLOCK;
            let x: Vec<i8> =
                (0..k).map(|i| if i < 8 { i8::MIN } else { (i * 29 % 255) as u8 as i8 }).collect();
            let weights: Vec<i8> = (0..n * k).map(|i| (i * 37 % 255) as u8 as i8).collect();
            let scale = |i: usize| 0.25 * (1 + i % 2) as f32;
            let scales: Vec<f16> = (0..n * blocks).map(|i| f16::from_f32(scale(i))).collect();
            let (mut row, mut y) = (Row::new(isa, k), vec![f32::NAN; n]);
            row.set(&x, &scales[..blocks]);
            for is_far in [true, false] {
                row.times(k, &weights, &scales, &mut y, is_far);
            }
            for (column, y) in y.iter().enumerate() {
                let term = |i: usize| {
                    let product = i32::from(x[i]) * i32::from(weights[column * k + i]);
                    f64::from(product) * f64::from(scale(i / BLOCK) * scale(column * blocks + i / BLOCK))
                };
                let (want, size) =
                    (0..k).map(term).fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
                assert!(
                    (f64::from(*y) - want).abs() <= 1e-7 * size,
                    "{isa:?} {n} {blocks} {column}: {y} {want}"
                );
            }
        }
    }
}
