//! [`Words`] of x86-64 processors: AVX2 and AVX-512 with its dot products of bytes and of bfloat16.

use super::words::{Finish, Place, Words};
use std::arch::x86_64::*;

/// f32 with AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2F32(__m256);
/// Pairs of i16 with AVX2.
#[derive(Clone, Copy)]
pub(super) struct Avx2Pairs(__m256i);
/// f32 with AVX-512.
#[derive(Clone, Copy)]
pub(super) struct Avx512F32(__m512i);
/// Bytes with AVX-512 VNNI.
#[derive(Clone, Copy)]
pub(super) struct Avx512Bytes(__m512i);
/// bf16 with AVX-512 BF16.
#[derive(Clone, Copy)]
pub(super) struct Avx512Bf16(__m512i);

/// The lanes of an AVX2 register below `columns`.
#[inline(always)]
fn mask_256(columns: usize) -> __m256i {
    // SAFETY: callers are compiled for AVX2.
    unsafe {
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(columns as i32), lanes)
    }
}

/// The lanes of an AVX-512 register below `columns`.
#[inline(always)]
fn mask_512(columns: usize) -> __mmask16 {
    ((1u32 << columns.min(16)) - 1) as __mmask16
}

// SAFETY: AVX2 and FMA instructions only.
unsafe impl Words for Avx2F32 {
    const LANES: usize = 8;
    const MOST_ROWS: usize = 6;
    type Sum = __m256;

    #[inline(always)]
    unsafe fn zero() -> __m256 {
        // SAFETY: by the trait's contract; so are all below.
        unsafe { _mm256_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_loadu_ps(from.cast()) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u32) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(to.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn splat(from: *const u32) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_set1_ps(from.cast::<f32>().read()) })
    }
    #[inline(always)]
    unsafe fn dot(self, b: Self, sum: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_fmadd_ps(self.0, b.0, sum) }
    }
    #[inline(always)]
    unsafe fn finish(sum: __m256, how: Finish, place: Place) {
        // SAFETY: as above; the mask keeps to the columns that are wanted.
        unsafe {
            let mask = mask_256(place.columns);
            let load = |from: *const u32| _mm256_maskload_ps(from.cast(), mask);
            let result = match how {
                Finish::Store => sum,
                Finish::Add => _mm256_add_ps(sum, load(place.init)),
                Finish::General { alpha, beta } => {
                    let added = _mm256_fmadd_ps(_mm256_set1_ps(beta), load(place.init), load(place.row));
                    _mm256_fmadd_ps(_mm256_set1_ps(alpha), sum, added)
                }
            };
            if place.columns >= Self::LANES {
                _mm256_storeu_ps(place.d.cast(), result);
            } else {
                _mm256_maskstore_ps(place.d.cast(), mask, result);
            }
        }
    }
}

// SAFETY: AVX2 instructions only.
unsafe impl Words for Avx2Pairs {
    const LANES: usize = 8;
    const MOST_ROWS: usize = 6;
    type Sum = __m256i;

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        // SAFETY: by the trait's contract; so are all below.
        unsafe { _mm256_setzero_si256() }
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_loadu_si256(from.cast()) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u32) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(to.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn splat(from: *const u32) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_set1_epi32(from.read() as i32) })
    }
    #[inline(always)]
    unsafe fn dot(self, b: Self, sum: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_add_epi32(sum, _mm256_madd_epi16(self.0, b.0)) }
    }
    #[inline(always)]
    unsafe fn finish(sum: __m256i, how: Finish, place: Place) {
        // SAFETY: as above; the mask keeps to the columns that are wanted.
        unsafe {
            let mask = mask_256(place.columns);
            let load = |from: *const u32| _mm256_maskload_epi32(from.cast(), mask);
            let result = match how {
                Finish::Store => sum,
                Finish::Add => _mm256_add_epi32(sum, load(place.init)),
                Finish::General { .. } => {
                    _mm256_add_epi32(sum, _mm256_add_epi32(load(place.row), load(place.init)))
                }
            };
            _mm256_maskstore_epi32(place.d.cast(), mask, result);
        }
    }
}

/// What the three AVX-512 types share.
#[inline(always)]
unsafe fn load_512(from: *const u32) -> __m512i {
    // SAFETY: by the contract of `Words`.
    unsafe { _mm512_loadu_si512(from.cast()) }
}

#[inline(always)]
unsafe fn store_512(words: __m512i, to: *mut u32) {
    // SAFETY: by the contract of `Words`.
    unsafe { _mm512_storeu_si512(to.cast(), words) }
}

#[inline(always)]
unsafe fn splat_512(from: *const u32) -> __m512i {
    // SAFETY: by the contract of `Words`.
    unsafe { _mm512_set1_epi32(from.read() as i32) }
}

#[inline(always)]
unsafe fn finish_512(sum: __m512, how: Finish, place: Place) {
    // SAFETY: by the contract of `Words`; the mask keeps to the columns that are wanted.
    unsafe {
        let mask = mask_512(place.columns);
        let load = |from: *const u32| _mm512_maskz_loadu_ps(mask, from.cast());
        let result = match how {
            Finish::Store => sum,
            Finish::Add => _mm512_add_ps(sum, load(place.init)),
            Finish::General { alpha, beta } => {
                let added = _mm512_fmadd_ps(_mm512_set1_ps(beta), load(place.init), load(place.row));
                _mm512_fmadd_ps(_mm512_set1_ps(alpha), sum, added)
            }
        };
        _mm512_mask_storeu_ps(place.d.cast(), mask, result);
    }
}

// SAFETY: AVX-512 F instructions only.
unsafe impl Words for Avx512F32 {
    const LANES: usize = 16;
    const MOST_ROWS: usize = 14;
    type Sum = __m512;

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        // SAFETY: by the trait's contract; so are all below.
        unsafe { _mm512_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        // SAFETY: as above.
        Self(unsafe { load_512(from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u32) {
        // SAFETY: as above.
        unsafe { store_512(self.0, to) }
    }
    #[inline(always)]
    unsafe fn splat(from: *const u32) -> Self {
        // SAFETY: as above.
        Self(unsafe { splat_512(from) })
    }
    #[inline(always)]
    unsafe fn dot(self, b: Self, sum: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_fmadd_ps(_mm512_castsi512_ps(self.0), _mm512_castsi512_ps(b.0), sum) }
    }
    #[inline(always)]
    unsafe fn finish(sum: __m512, how: Finish, place: Place) {
        // SAFETY: as above.
        unsafe { finish_512(sum, how, place) }
    }
}

// SAFETY: AVX-512 F and VNNI instructions only.
unsafe impl Words for Avx512Bytes {
    const LANES: usize = 16;
    const MOST_ROWS: usize = 14;
    type Sum = __m512i;

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        // SAFETY: by the trait's contract; so are all below.
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        // SAFETY: as above.
        Self(unsafe { load_512(from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u32) {
        // SAFETY: as above.
        unsafe { store_512(self.0, to) }
    }
    #[inline(always)]
    unsafe fn splat(from: *const u32) -> Self {
        // SAFETY: as above.
        Self(unsafe { splat_512(from) })
    }
    #[inline(always)]
    unsafe fn dot(self, b: Self, sum: __m512i) -> __m512i {
        // SAFETY: as above. Unlike `vpdpbusds` it does not saturate.
        unsafe { _mm512_dpbusd_epi32(sum, self.0, b.0) }
    }
    #[inline(always)]
    unsafe fn finish(sum: __m512i, how: Finish, place: Place) {
        // SAFETY: as above; the mask keeps to the columns that are wanted.
        unsafe {
            let mask = mask_512(place.columns);
            let load = |from: *const u32| _mm512_maskz_loadu_epi32(mask, from.cast());
            let result = match how {
                Finish::Store => sum,
                Finish::Add => _mm512_add_epi32(sum, load(place.init)),
                Finish::General { .. } => {
                    _mm512_add_epi32(sum, _mm512_add_epi32(load(place.row), load(place.init)))
                }
            };
            _mm512_mask_storeu_epi32(place.d.cast(), mask, result);
        }
    }
}

/// The same 64 bytes as pairs of bf16.
#[inline(always)]
fn pairs(words: __m512i) -> __m512bh {
    // SAFETY: every pattern of bits is a value of both types.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(words) }
}

// SAFETY: AVX-512 F and BF16 instructions only.
unsafe impl Words for Avx512Bf16 {
    const LANES: usize = 16;
    const MOST_ROWS: usize = 14;
    type Sum = __m512;

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        // SAFETY: by the trait's contract; so are all below.
        unsafe { _mm512_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        // SAFETY: as above.
        Self(unsafe { load_512(from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u32) {
        // SAFETY: as above.
        unsafe { store_512(self.0, to) }
    }
    #[inline(always)]
    unsafe fn splat(from: *const u32) -> Self {
        // SAFETY: as above.
        Self(unsafe { splat_512(from) })
    }
    #[inline(always)]
    unsafe fn dot(self, b: Self, sum: __m512) -> __m512 {
        // SAFETY: by the trait's contract.
        unsafe { _mm512_dpbf16_ps(sum, pairs(self.0), pairs(b.0)) }
    }
    #[inline(always)]
    unsafe fn finish(sum: __m512, how: Finish, place: Place) {
        // SAFETY: as above.
        unsafe { finish_512(sum, how, place) }
    }
}
