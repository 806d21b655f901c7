//! AVX-512 F, BW, DQ and VL: 16 lanes.

use super::sealed::Register;
use super::{Byte, MOST_STEPS, Vector};
use std::arch::x86_64::*;

/// The first `count` lanes, at most 16.
#[inline(always)]
fn first(count: usize) -> __mmask16 {
    // Of a larger count the low bits are all set, too.
    ((1u64 << count.min(32)) - 1) as __mmask16
}

/// What [`Vector::store_bytes`] writes.
#[inline(always)]
fn bytes<B: Byte>(mut x: [__m512; 4], zero: i16) -> __m512i {
    for x in &mut x {
        // What is too large for 32 bits would become the smallest number.
        *x = <__m512 as Vector>::splat(MOST_STEPS).min(*x);
    }
    // SAFETY: `Isa::run` has found AVX-512.
    unsafe {
        let [a, b, c, d] = [
            _mm512_cvtps_epi32(x[0]),
            _mm512_cvtps_epi32(x[1]),
            _mm512_cvtps_epi32(x[2]),
            _mm512_cvtps_epi32(x[3]),
        ];
        let zero = _mm512_set1_epi16(zero);
        let low = _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero);
        let high = _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero);
        let mixed = if B::SIGNED { _mm512_packs_epi16(low, high) } else { _mm512_packus_epi16(low, high) };
        // Packing goes by 128 bits: four numbers of each register lie there side by side.
        let order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
        _mm512_permutexvar_epi32(order, mixed)
    }
}

impl Register for __m512 {}

impl Vector for __m512 {
    const LANES: usize = 16;
    const FUSED: bool = true;
    const LOOKS_UP: bool = true;
    type Halves = __m256i;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..Self::LANES];
        // SAFETY: the slice has 16 floats; `Isa::run` has found AVX-512.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    fn load_first(from: &[f32]) -> Self {
        // SAFETY: only elements of the slice are read; `Isa::run` has found AVX-512.
        unsafe { _mm512_maskz_loadu_ps(first(from.len()), from.as_ptr()) }
    }
    #[inline(always)]
    fn with_rest(self, count: usize, rest: f32) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_mask_mov_ps(Self::splat(rest), first(count), self) }
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to = &mut to[..Self::LANES];
        // SAFETY: the slice has room for 16 floats; `Isa::run` has found AVX-512.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self) }
    }
    #[inline(always)]
    fn store_first(self, to: &mut [f32]) {
        // SAFETY: only elements of the slice are written; `Isa::run` has found AVX-512.
        unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), first(to.len()), self) }
    }
    #[inline(always)]
    fn stream(self, to: &mut [f32]) {
        let to = &mut to[..Self::LANES];
        assert!(to.as_ptr().addr().is_multiple_of(size_of::<Self>()), "a streamed store is aligned");
        // SAFETY: the slice has room for 16 floats and is aligned; `Isa::run` has found AVX-512.
        unsafe { _mm512_stream_ps(to.as_mut_ptr(), self) }
    }
    #[inline(always)]
    fn load_halves(from: &[u16]) -> __m256i {
        let from = &from[..Self::LANES];
        // SAFETY: the slice has 16 numbers; `Isa::run` has found AVX-512.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }
    #[inline(always)]
    fn load_first_halves(from: &[u16]) -> __m256i {
        // SAFETY: only elements of the slice are read; `Isa::run` has found AVX-512.
        unsafe { _mm256_maskz_loadu_epi16(first(from.len()), from.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_halves(halves: __m256i, to: &mut [u16]) {
        let to = &mut to[..Self::LANES];
        // SAFETY: the slice has room for 16 numbers; `Isa::run` has found AVX-512.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), halves) }
    }
    #[inline(always)]
    fn store_first_halves(halves: __m256i, to: &mut [u16]) {
        // SAFETY: only elements of the slice are written; `Isa::run` has found AVX-512.
        unsafe { _mm256_mask_storeu_epi16(to.as_mut_ptr().cast(), first(to.len()), halves) }
    }
    #[inline(always)]
    fn stream_halves(halves: __m256i, to: &mut [u16]) {
        let to = &mut to[..Self::LANES];
        assert!(to.as_ptr().addr().is_multiple_of(size_of::<__m256i>()), "a streamed store is aligned");
        // SAFETY: the slice has room for 16 numbers and is aligned; `Isa::run` has found AVX-512.
        unsafe { _mm256_stream_si256(to.as_mut_ptr().cast(), halves) }
    }
    #[inline(always)]
    fn from_bf16(halves: __m256i) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves))) }
    }
    #[inline(always)]
    fn to_bf16(self) -> __m256i {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe {
            let bits = _mm512_castps_si512(self);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            // Half a unit in the last place, less one bit where the kept part is even.
            let half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF));
            // A NaN could wrap to infinity or zero: make it quiet instead.
            let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
            let number = _mm512_cmp_ps_mask::<_CMP_ORD_Q>(self, self);
            let kept = _mm512_mask_add_epi32(quiet, number, bits, half);
            _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(kept))
        }
    }
    #[inline(always)]
    fn from_f16(halves: __m256i) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_cvtph_ps(halves) }
    }
    #[inline(always)]
    fn to_f16(self) -> __m256i {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self) }
    }

    #[inline(always)]
    fn load_bytes(from: &[i8]) -> Self {
        let from = &from[..Self::LANES];
        // SAFETY: the slice has 16 bytes; `Isa::run` has found AVX-512.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast()))) }
    }
    #[inline(always)]
    fn of_whole(self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_cvtepi32_ps(_mm512_castps_si512(self)) }
    }
    #[inline(always)]
    fn store_bytes<B: Byte>(x: [Self; 4], zero: i16, to: &mut [B]) {
        let to = &mut to[..4 * Self::LANES];
        // SAFETY: the slice has room for 64 bytes; `Isa::run` has found AVX-512.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), bytes::<B>(x, zero)) }
    }
    #[inline(always)]
    fn stream_bytes<B: Byte>(x: [Self; 4], zero: i16, to: &mut [B]) {
        let to = &mut to[..4 * Self::LANES];
        assert!(to.as_ptr().addr().is_multiple_of(size_of::<__m512i>()), "a streamed store is aligned");
        // SAFETY: the slice has room for 64 bytes and is aligned; `Isa::run` has found AVX-512.
        unsafe { _mm512_stream_si512(to.as_mut_ptr().cast(), bytes::<B>(x, zero)) }
    }

    #[inline(always)]
    fn multiply_add(self, b: Self, c: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_fmadd_ps(self, b, c) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_add_ps(self, other) }
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_sub_ps(self, other) }
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_mul_ps(self, other) }
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_div_ps(self, other) }
    }
    #[inline(always)]
    fn quotient(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe {
            // Newton's step doubles the 14 digits: r' = r + r (1 - r b). The divider would take longer.
            let r = _mm512_rcp14_ps(other);
            let r = _mm512_fmadd_ps(_mm512_fnmadd_ps(r, other, _mm512_set1_ps(1.0)), r, r);
            _mm512_mul_ps(self, r)
        }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_max_ps(self, other) }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_min_ps(self, other) }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_abs_ps(self) }
    }
    #[inline(always)]
    fn where_positive(self, yes: Self, no: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe {
            let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self, _mm512_setzero_ps());
            _mm512_mask_blend_ps(positive, no, yes)
        }
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_sqrt_ps(self) }
    }
    #[inline(always)]
    fn size_up_to(self, limit: Self) -> Self {
        // The smaller one by size, and without a sign.
        const SMALLER_SIZE: i32 = 0b1010;
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_range_ps::<SMALLER_SIZE>(self, limit) }
    }
    #[inline(always)]
    fn add_bits<const SHIFT: u32>(self, n: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe {
            let (x, n) = (_mm512_castps_si512(self), _mm512_castps_si512(n));
            let shifted = _mm512_slli_epi32::<SHIFT>(n);
            _mm512_castsi512_ps(_mm512_add_epi32(x, shifted))
        }
    }
    #[inline(always)]
    fn look_up(self, table: &[f32; 32]) -> Self {
        let (low, high) = (Self::load(table), Self::load(&table[16..]));
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_permutex2var_ps(low, _mm512_castps_si512(self), high) }
    }

    #[inline(always)]
    fn evens(self, next: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe {
            let lanes = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
            _mm512_permutex2var_ps(self, lanes, next)
        }
    }
    #[inline(always)]
    fn odds(self, next: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe {
            let lanes = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
            _mm512_permutex2var_ps(self, lanes, next)
        }
    }
    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe {
            let low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
            let high = _mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8);
            [low, high].map(|lanes| _mm512_permutex2var_ps(self, lanes, other))
        }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_reduce_add_ps(self) }
    }
    #[inline(always)]
    fn largest(self) -> f32 {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_reduce_max_ps(self) }
    }

    #[inline(always)]
    fn prefetch<T>(address: *const T) {
        // SAFETY: a prefetch of any address is harmless; every x86-64 has SSE.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }
    #[inline(always)]
    fn fence() {
        // SAFETY: every x86-64 has SSE.
        unsafe { _mm_sfence() }
    }
}
