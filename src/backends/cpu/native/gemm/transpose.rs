//! Blocks of 16 by 16 words, transposed in registers.

use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::vector::Vector;

/// Rows and columns of a block.
pub(in super::super) const SIDE: usize = 16;

/// Word `[row][column]` of `from` goes to `[column][row]` of `to`; rows lie `from_stride` and `to_stride`
/// words apart.
///
/// # Panics
/// When a side has fewer than 16 rows of 16 words.
pub(in super::super) struct Transpose<'a> {
    pub(in super::super) from: &'a [u32],
    pub(in super::super) from_stride: usize,
    pub(in super::super) to: &'a mut [u32],
    pub(in super::super) to_stride: usize,
}

impl Loops for Transpose<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let last = SIDE - 1;
        assert!(
            self.from.len() >= last * self.from_stride + SIDE
                && self.to.len() >= last * self.to_stride + SIDE
        );
        #[cfg(target_arch = "x86_64")]
        if V::LANES == SIDE {
            // SAFETY: registers of 16 lanes are those of AVX-512, which `Isa::run` has found; both sides hold
            // 16 rows of 16 words.
            unsafe {
                x86::transpose(self.from.as_ptr(), self.from_stride, self.to.as_mut_ptr(), self.to_stride)
            };
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if is_avx2::<V>() {
            for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let from = &self.from[FEW * (row * self.from_stride + column)..];
                let to = &mut self.to[FEW * (column * self.to_stride + row)..];
                // SAFETY: registers are those of AVX2, which `Isa::run` has found; this is a quarter of 16 rows of 16
                // words on both sides.
                unsafe {
                    x86::transpose_eight(from.as_ptr(), self.from_stride, to.as_mut_ptr(), self.to_stride)
                };
            }
            return;
        }
        for row in 0..SIDE {
            for column in 0..SIDE {
                self.to[column * self.to_stride + row] = self.from[row * self.from_stride + column];
            }
        }
    }
}

/// Rows of a block of few.
pub(super) const FEW: usize = 8;

/// Word `[row][column]` of 8 rows of 16 words goes to `[column][row]` of `to`, without gaps.
///
/// # Panics
/// When a side has fewer words.
pub(super) struct TransposeFew<'a> {
    pub(super) from: &'a [u32],
    pub(super) from_stride: usize,
    pub(super) to: &'a mut [u32],
}

impl Loops for TransposeFew<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { from, from_stride, to } = self;
        assert!(from.len() >= (FEW - 1) * from_stride + SIDE && to.len() >= FEW * SIDE);
        #[cfg(target_arch = "x86_64")]
        if V::LANES == SIDE {
            // SAFETY: registers of 16 lanes are those of AVX-512, which `Isa::run` has found; both sides hold
            // 8 rows of 16 words.
            unsafe { x86::transpose_few(from.as_ptr(), from_stride, to.as_mut_ptr()) };
            return;
        }
        for row in 0..FEW {
            for column in 0..SIDE {
                to[column * FEW + row] = from[row * from_stride + column];
            }
        }
    }
}

/// Whether registers are those of AVX2: the portable ones of 8 lanes round products.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn is_avx2<V: Vector>() -> bool {
    V::LANES == FEW && V::FUSED
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{FEW, SIDE};
    use std::arch::x86_64::*;

    /// Two rounds of exchanges, of words and of pairs, within each four of `N` rows of 16 words: quarter q of register
    /// 4 r + i then holds column 4 q + i of rows 4 r to 4 r + 3.
    ///
    /// # Safety
    /// Compiled into code for AVX-512; `N` rows of 16 words, a multiple of 4.
    #[inline(always)]
    unsafe fn quarters<const N: usize>(from: *const u32, from_stride: usize) -> [__m512i; N] {
        // SAFETY: by this function's contract.
        unsafe {
            let mut rows = [_mm512_setzero_si512(); N];
            for (number, row) in rows.iter_mut().enumerate() {
                *row = _mm512_loadu_si512(from.add(number * from_stride).cast());
            }
            let mut pairs = rows;
            for i in (0..N).step_by(2) {
                pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
                pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
            }
            for i in (0..N).step_by(4) {
                rows[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
                rows[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
                rows[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
                rows[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
            }
            rows
        }
    }

    /// Exchanges of words and of pairs within each four rows, then of halves of registers.
    ///
    /// # Safety
    /// Compiled into code for AVX2; 8 rows of 8 words on either side.
    #[inline(always)]
    pub(super) unsafe fn transpose_eight(
        from: *const u32,
        from_stride: usize,
        to: *mut u32,
        to_stride: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe {
            let mut rows = [_mm256_setzero_si256(); FEW];
            for (number, row) in rows.iter_mut().enumerate() {
                *row = _mm256_loadu_si256(from.add(number * from_stride).cast());
            }
            let mut pairs = rows;
            for i in (0..FEW).step_by(2) {
                pairs[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
                pairs[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
            }
            for i in (0..FEW).step_by(4) {
                rows[i] = _mm256_unpacklo_epi64(pairs[i], pairs[i + 2]);
                rows[i + 1] = _mm256_unpackhi_epi64(pairs[i], pairs[i + 2]);
                rows[i + 2] = _mm256_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
                rows[i + 3] = _mm256_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
            }
            for i in 0..4 {
                let first = _mm256_permute2x128_si256::<0x20>(rows[i], rows[i + 4]);
                let last = _mm256_permute2x128_si256::<0x31>(rows[i], rows[i + 4]);
                _mm256_storeu_si256(to.add(i * to_stride).cast(), first);
                _mm256_storeu_si256(to.add((i + 4) * to_stride).cast(), last);
            }
        }
    }

    /// Then a quarter of four rows goes beside the same one of the four others.
    ///
    /// # Safety
    /// Compiled into code for AVX-512; 8 rows of 16 words on either side.
    #[inline(always)]
    pub(super) unsafe fn transpose_few(from: *const u32, from_stride: usize, to: *mut u32) {
        // SAFETY: by this function's contract.
        unsafe {
            let rows = quarters::<FEW>(from, from_stride);
            let first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0);
            let last = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
            for i in 0..4 {
                for (half, quarters) in [first, last].into_iter().enumerate() {
                    let columns = _mm512_permutex2var_epi64(rows[i], quarters, rows[i + 4]);
                    let to = to.add((8 * half + i) * FEW);
                    _mm256_storeu_si256(to.cast(), _mm512_castsi512_si256(columns));
                    _mm256_storeu_si256(to.add(4 * FEW).cast(), _mm512_extracti64x4_epi64::<1>(columns));
                }
            }
        }
    }

    /// Two more rounds: of quarters and of halves of registers.
    ///
    /// # Safety
    /// Compiled into code for AVX-512; 16 rows of 16 words on either side.
    #[inline(always)]
    pub(super) unsafe fn transpose(from: *const u32, from_stride: usize, to: *mut u32, to_stride: usize) {
        // SAFETY: by this function's contract.
        unsafe {
            let mut rows = quarters::<SIDE>(from, from_stride);
            let mut pairs = rows;
            for i in 0..4 {
                pairs[i] = _mm512_shuffle_i32x4::<0x88>(rows[i], rows[i + 4]);
                pairs[i + 4] = _mm512_shuffle_i32x4::<0xDD>(rows[i], rows[i + 4]);
                pairs[i + 8] = _mm512_shuffle_i32x4::<0x88>(rows[i + 8], rows[i + 12]);
                pairs[i + 12] = _mm512_shuffle_i32x4::<0xDD>(rows[i + 8], rows[i + 12]);
            }
            for i in 0..8 {
                rows[i] = _mm512_shuffle_i32x4::<0x88>(pairs[i], pairs[i + 8]);
                rows[i + 8] = _mm512_shuffle_i32x4::<0xDD>(pairs[i], pairs[i + 8]);
            }
            for (number, row) in rows.iter().enumerate() {
                _mm512_storeu_si512(to.add(number * to_stride).cast(), *row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;

    #[test]
    fn rows_become_columns_at_every_level() {
        let from: Vec<u32> = (0..SIDE as u32 * 21).collect();
        for isa in Isa::here() {
            let mut to = vec![0; SIDE * 18];
            isa.run(Transpose { from: &from, from_stride: 21, to: &mut to, to_stride: 18 });
            for row in 0..SIDE {
                for column in 0..SIDE {
                    assert_eq!(to[column * 18 + row], from[row * 21 + column], "{}", isa.name());
                }
            }
        }
    }

    #[test]
    fn few_rows_become_columns_at_every_level() {
        let from: Vec<u32> = (0..FEW as u32 * 19).collect();
        for isa in Isa::here() {
            let mut to = vec![0; FEW * SIDE];
            isa.run(TransposeFew { from: &from, from_stride: 19, to: &mut to });
            for row in 0..FEW {
                for column in 0..SIDE {
                    assert_eq!(to[column * FEW + row], from[row * 19 + column], "{}", isa.name());
                }
            }
        }
    }
}
