//! [`Words`] of x86-64 processors: AVX2 and AVX-512 with its dot products of bytes and of bfloat16.

use super::words::{Finish, Place, Words};
use std::arch::x86_64::*;
use std::marker::PhantomData;

/// f32 with AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2F32(__m256);
/// Pairs of i16 with AVX2.
#[derive(Clone, Copy)]
pub(super) struct Avx2Pairs(__m256i);
/// Words of one arithmetic with AVX-512.
#[derive(Clone, Copy)]
pub(super) struct Avx512<D>(__m512i, PhantomData<D>);

/// The instruction in which the words of AVX-512 differ.
///
/// # Safety
/// As [`Words`].
pub(in super::super) unsafe trait Dot: Copy {
    /// Sums are i32, not f32.
    const INTEGERS: bool;
    /// sum + a b, lane by lane.
    unsafe fn dot(a: __m512i, b: __m512i, sum: __m512i) -> __m512i;
}

/// One f32 a word.
#[derive(Clone, Copy)]
pub(super) struct F32;
/// Four bytes a word, with AVX-512 VNNI.
#[derive(Clone, Copy)]
pub(in super::super) struct Bytes;
/// Two bf16 a word, with AVX-512 BF16.
#[derive(Clone, Copy)]
pub(in super::super) struct Bf16;

// SAFETY: AVX-512 F instructions only.
unsafe impl Dot for F32 {
    const INTEGERS: bool = false;
    #[inline(always)]
    unsafe fn dot(a: __m512i, b: __m512i, sum: __m512i) -> __m512i {
        // SAFETY: by the trait's contract.
        unsafe {
            let (a, b, sum) = (_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), _mm512_castsi512_ps(sum));
            _mm512_castps_si512(_mm512_fmadd_ps(a, b, sum))
        }
    }
}

// SAFETY: AVX-512 F and VNNI instructions only.
unsafe impl Dot for Bytes {
    const INTEGERS: bool = true;
    #[inline(always)]
    unsafe fn dot(a: __m512i, b: __m512i, sum: __m512i) -> __m512i {
        // SAFETY: by the trait's contract. Unlike `vpdpbusds` it does not saturate.
        unsafe { _mm512_dpbusd_epi32(sum, a, b) }
    }
}

// SAFETY: AVX-512 F and BF16 instructions only.
unsafe impl Dot for Bf16 {
    const INTEGERS: bool = false;
    #[inline(always)]
    unsafe fn dot(a: __m512i, b: __m512i, sum: __m512i) -> __m512i {
        // SAFETY: by the trait's contract.
        unsafe { _mm512_castps_si512(_mm512_dpbf16_ps(_mm512_castsi512_ps(sum), pairs(a), pairs(b))) }
    }
}

/// The same 64 bytes as pairs of bf16.
#[inline(always)]
fn pairs(words: __m512i) -> __m512bh {
    // SAFETY: every pattern of bits is a value of both types.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(words) }
}

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
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(a, b) }
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
    unsafe fn add(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_add_epi32(a, b) }
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
            if place.columns >= Self::LANES {
                _mm256_storeu_si256(place.d.cast(), result);
            } else {
                _mm256_maskstore_epi32(place.d.cast(), mask, result);
            }
        }
    }
}

// SAFETY: AVX-512 F instructions, and those of D.
unsafe impl<D: Dot> Words for Avx512<D> {
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
        Self(unsafe { _mm512_loadu_si512(from.cast()) }, PhantomData)
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u32) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(to.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn splat(from: *const u32) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_set1_epi32(from.read() as i32) }, PhantomData)
    }
    #[inline(always)]
    unsafe fn dot(self, b: Self, sum: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { D::dot(self.0, b.0, sum) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe {
            match D::INTEGERS {
                true => _mm512_add_epi32(a, b),
                false => _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b))),
            }
        }
    }
    #[inline(always)]
    unsafe fn finish(sum: __m512i, how: Finish, place: Place) {
        // SAFETY: as above; the mask keeps to the columns that are wanted.
        unsafe {
            let mask = mask_512(place.columns);
            let result = match how {
                Finish::Store => sum,
                _ if D::INTEGERS => finished_i32(sum, how, place, mask),
                _ => finished_f32(sum, how, place, mask),
            };
            _mm512_mask_storeu_epi32(place.d.cast(), mask, result);
        }
    }
}

#[inline(always)]
unsafe fn finished_i32(sum: __m512i, how: Finish, place: Place, mask: __mmask16) -> __m512i {
    // SAFETY: by the contract of `Words`; the mask keeps to the columns that are wanted.
    unsafe {
        let sum = _mm512_add_epi32(sum, _mm512_maskz_loadu_epi32(mask, place.init.cast()));
        match how {
            Finish::General { .. } => _mm512_add_epi32(sum, _mm512_maskz_loadu_epi32(mask, place.row.cast())),
            Finish::Store | Finish::Add => sum,
        }
    }
}

#[inline(always)]
unsafe fn finished_f32(sum: __m512i, how: Finish, place: Place, mask: __mmask16) -> __m512i {
    // SAFETY: by the contract of `Words`; the mask keeps to the columns that are wanted.
    unsafe {
        let (sum, init) = (_mm512_castsi512_ps(sum), _mm512_maskz_loadu_ps(mask, place.init.cast()));
        let result = match how {
            Finish::General { alpha, beta } => {
                let row = _mm512_maskz_loadu_ps(mask, place.row.cast());
                let added = _mm512_fmadd_ps(_mm512_set1_ps(beta), init, row);
                _mm512_fmadd_ps(_mm512_set1_ps(alpha), sum, added)
            }
            Finish::Store | Finish::Add => _mm512_add_ps(sum, init),
        };
        _mm512_castps_si512(result)
    }
}
