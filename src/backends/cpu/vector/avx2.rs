//! AVX2, FMA and F16C: 8 lanes.

use super::sealed::Register;
use super::{Byte, MOST_STEPS, Vector};
use std::arch::x86_64::*;

/// Ones in the lowest bits of each lane; from element `8 - n` on, `n` lanes are set.
const MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The first `count` lanes, at most 8.
#[inline(always)]
fn first(count: usize) -> __m256i {
    let masks = &MASKS[8 - count.min(8)..][..8];
    // SAFETY: the slice has 8 numbers; `Isa::run` has found AVX2.
    unsafe { _mm256_loadu_si256(masks.as_ptr().cast()) }
}

/// What [`Vector::store_bytes`] writes.
#[inline(always)]
fn bytes<B: Byte>(mut x: [__m256; 4], zero: i16) -> __m256i {
    for x in &mut x {
        // What is too large for 32 bits would become the smallest number.
        *x = <__m256 as Vector>::splat(MOST_STEPS).min(*x);
    }
    // SAFETY: `Isa::run` has found AVX2.
    unsafe {
        let [a, b, c, d] = [
            _mm256_cvtps_epi32(x[0]),
            _mm256_cvtps_epi32(x[1]),
            _mm256_cvtps_epi32(x[2]),
            _mm256_cvtps_epi32(x[3]),
        ];
        let zero = _mm256_set1_epi16(zero);
        let low = _mm256_adds_epi16(_mm256_packs_epi32(a, b), zero);
        let high = _mm256_adds_epi16(_mm256_packs_epi32(c, d), zero);
        let mixed = if B::SIGNED { _mm256_packs_epi16(low, high) } else { _mm256_packus_epi16(low, high) };
        // Packing goes by 128 bits: four numbers of each register lie there side by side.
        _mm256_permutevar8x32_epi32(mixed, _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0))
    }
}

/// Pairs of lanes 0, 2, 1, 3: shuffling goes by 128 bits, and leaves those of two registers in turn.
#[inline(always)]
fn in_pairs_of_pairs(x: __m256) -> __m256 {
    // SAFETY: `Isa::run` has found AVX2.
    unsafe { _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(x))) }
}

impl Register for __m256 {}

impl Vector for __m256 {
    const LANES: usize = 8;
    const FUSED: bool = true;
    const LOOKS_UP: bool = false;
    type Halves = __m128i;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..Self::LANES];
        // SAFETY: the slice has 8 floats; `Isa::run` has found AVX2.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    fn load_first(from: &[f32]) -> Self {
        // SAFETY: only elements of the slice are read; `Isa::run` has found AVX2.
        unsafe { _mm256_maskload_ps(from.as_ptr(), first(from.len())) }
    }
    #[inline(always)]
    fn with_rest(self, count: usize, rest: f32) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_blendv_ps(Self::splat(rest), self, _mm256_castsi256_ps(first(count))) }
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to = &mut to[..Self::LANES];
        // SAFETY: the slice has room for 8 floats; `Isa::run` has found AVX2.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), self) }
    }
    #[inline(always)]
    fn store_first(self, to: &mut [f32]) {
        // SAFETY: only elements of the slice are written; `Isa::run` has found AVX2.
        unsafe { _mm256_maskstore_ps(to.as_mut_ptr(), first(to.len()), self) }
    }
    #[inline(always)]
    fn stream(self, to: &mut [f32]) {
        let to = &mut to[..Self::LANES];
        assert!(to.as_ptr().addr().is_multiple_of(size_of::<Self>()), "a streamed store is aligned");
        // SAFETY: the slice has room for 8 floats and is aligned; `Isa::run` has found AVX2.
        unsafe { _mm256_stream_ps(to.as_mut_ptr(), self) }
    }
    #[inline(always)]
    fn load_halves(from: &[u16]) -> __m128i {
        let from = &from[..Self::LANES];
        // SAFETY: the slice has 8 numbers; `Isa::run` has found AVX2.
        unsafe { _mm_loadu_si128(from.as_ptr().cast()) }
    }
    #[inline(always)]
    fn load_first_halves(from: &[u16]) -> __m128i {
        Self::load_halves(&std::array::from_fn::<_, 8, _>(|lane| from.get(lane).copied().unwrap_or(0)))
    }
    #[inline(always)]
    fn store_halves(halves: __m128i, to: &mut [u16]) {
        let to = &mut to[..Self::LANES];
        // SAFETY: the slice has room for 8 numbers; `Isa::run` has found AVX2.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), halves) }
    }
    #[inline(always)]
    fn store_first_halves(halves: __m128i, to: &mut [u16]) {
        let mut all = [0; 8];
        Self::store_halves(halves, &mut all);
        to.iter_mut().zip(all).for_each(|(to, half)| *to = half);
    }
    #[inline(always)]
    fn stream_halves(halves: __m128i, to: &mut [u16]) {
        let to = &mut to[..Self::LANES];
        assert!(to.as_ptr().addr().is_multiple_of(size_of::<__m128i>()), "a streamed store is aligned");
        // SAFETY: the slice has room for 8 numbers and is aligned; `Isa::run` has found AVX2.
        unsafe { _mm_stream_si128(to.as_mut_ptr().cast(), halves) }
    }
    #[inline(always)]
    fn from_bf16(halves: __m128i) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves))) }
    }
    #[inline(always)]
    fn to_bf16(self) -> __m128i {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe {
            let bits = _mm256_castps_si256(self);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            // Half a unit in the last place, less one bit where the kept part is even.
            let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
            // A NaN could wrap to infinity or zero: make it quiet instead.
            let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
            let number = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_ORD_Q>(self, self));
            let kept = _mm256_srli_epi32::<16>(_mm256_blendv_epi8(quiet, rounded, number));
            _mm_packus_epi32(_mm256_castsi256_si128(kept), _mm256_extracti128_si256::<1>(kept))
        }
    }
    #[inline(always)]
    fn from_f16(halves: __m128i) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_cvtph_ps(halves) }
    }
    #[inline(always)]
    fn to_f16(self) -> __m128i {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self) }
    }

    #[inline(always)]
    fn load_bytes(from: &[i8]) -> Self {
        let from = &from[..Self::LANES];
        // SAFETY: the slice has 8 bytes; `Isa::run` has found AVX2.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.as_ptr().cast()))) }
    }
    #[inline(always)]
    fn of_whole(self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_cvtepi32_ps(_mm256_castps_si256(self)) }
    }
    #[inline(always)]
    fn store_bytes<B: Byte>(x: [Self; 4], zero: i16, to: &mut [B]) {
        let to = &mut to[..4 * Self::LANES];
        // SAFETY: the slice has room for 32 bytes; `Isa::run` has found AVX2.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), bytes::<B>(x, zero)) }
    }
    #[inline(always)]
    fn stream_bytes<B: Byte>(x: [Self; 4], zero: i16, to: &mut [B]) {
        let to = &mut to[..4 * Self::LANES];
        assert!(to.as_ptr().addr().is_multiple_of(size_of::<__m256i>()), "a streamed store is aligned");
        // SAFETY: the slice has room for 32 bytes and is aligned; `Isa::run` has found AVX2.
        unsafe { _mm256_stream_si256(to.as_mut_ptr().cast(), bytes::<B>(x, zero)) }
    }

    #[inline(always)]
    fn multiply_add(self, b: Self, c: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_fmadd_ps(self, b, c) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_add_ps(self, other) }
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_sub_ps(self, other) }
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_mul_ps(self, other) }
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_div_ps(self, other) }
    }
    #[inline(always)]
    fn quotient(self, other: Self) -> Self {
        self.div(other)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_max_ps(self, other) }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_min_ps(self, other) }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self) }
    }
    #[inline(always)]
    fn where_positive(self, yes: Self, no: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GT_OQ>(self, _mm256_setzero_ps())) }
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_sqrt_ps(self) }
    }
    #[inline(always)]
    fn add_bits<const SHIFT: u32>(self, n: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe {
            let (x, n) = (_mm256_castps_si256(self), _mm256_castps_si256(n));
            let shifted = _mm256_sll_epi32(n, _mm_cvtsi32_si128(SHIFT as i32));
            _mm256_castsi256_ps(_mm256_add_epi32(x, shifted))
        }
    }
    #[inline(always)]
    fn look_up(self, table: &[f32; 32]) -> Self {
        // SAFETY: every index is less than 32; `Isa::run` has found AVX2.
        unsafe {
            let index = _mm256_and_si256(_mm256_castps_si256(self), _mm256_set1_epi32(31));
            _mm256_i32gather_ps::<4>(table.as_ptr(), index)
        }
    }

    #[inline(always)]
    fn evens(self, next: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { in_pairs_of_pairs(_mm256_shuffle_ps::<0b10_00_10_00>(self, next)) }
    }
    #[inline(always)]
    fn odds(self, next: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { in_pairs_of_pairs(_mm256_shuffle_ps::<0b11_01_11_01>(self, next)) }
    }
    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(self, other), _mm256_unpackhi_ps(self, other));
            [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
        }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps::<1>(self));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }
    #[inline(always)]
    fn largest(self) -> f32 {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe {
            let four = _mm_max_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps::<1>(self));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        }
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
