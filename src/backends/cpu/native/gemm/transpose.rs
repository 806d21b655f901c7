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
        for row in 0..SIDE {
            for column in 0..SIDE {
                self.to[column * self.to_stride + row] = self.from[row * self.from_stride + column];
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::SIDE;
    use std::arch::x86_64::*;

    /// Four rounds of exchanges: of words, of pairs, of quarters and of halves of registers.
    ///
    /// # Safety
    /// Compiled into code for AVX-512; 16 rows of 16 words on either side.
    #[inline(always)]
    pub(super) unsafe fn transpose(from: *const u32, from_stride: usize, to: *mut u32, to_stride: usize) {
        // SAFETY: by this function's contract.
        unsafe {
            let mut rows = [_mm512_setzero_si512(); SIDE];
            for (number, row) in rows.iter_mut().enumerate() {
                *row = _mm512_loadu_si512(from.add(number * from_stride).cast());
            }
            let mut pairs = rows;
            for i in (0..SIDE).step_by(2) {
                pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
                pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
            }
            for i in (0..SIDE).step_by(4) {
                rows[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
                rows[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
                rows[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
                rows[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
            }
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
}
