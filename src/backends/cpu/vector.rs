//! Registers of f32 that kernels are written over, one type a level of [`super::isa::Isa`].

use std::arch::x86_64::*;

mod sealed {
    /// Only these types: a method may run only where its instructions exist.
    pub trait Register: Copy {}
    impl Register for std::arch::x86_64::__m128 {}
    impl Register for std::arch::x86_64::__m256 {}
    impl Register for std::arch::x86_64::__m512 {}
}

/// A register of f32.
///
/// Its methods are for code that [`super::isa::Isa::run`] calls: that has asked the processor.
pub trait Vector: sealed::Register {
    /// Numbers in it.
    const LANES: usize;
    /// Whether a b + c is one instruction with one rounding.
    const FUSED: bool;

    /// `x` in every lane.
    fn splat(x: f32) -> Self;
    /// The first [`Self::LANES`] elements of a slice that has them.
    fn load(from: &[f32]) -> Self;
    /// Writes all lanes to the start of a slice that has room.
    fn store(self, to: &mut [f32]);
    /// self b + c.
    fn multiply_add(self, b: Self, c: Self) -> Self;
    /// Lane by lane.
    fn add(self, other: Self) -> Self;
    /// The larger one, lane by lane.
    fn max(self, other: Self) -> Self;

    /// a b + c for loops that the compiler turns into vectors.
    #[inline(always)]
    fn scalar_multiply_add(a: f32, b: f32, c: f32) -> f32 {
        // Without the instruction `mul_add` is a function call.
        if Self::FUSED { a.mul_add(b, c) } else { a * b + c }
    }
}

impl Vector for __m128 {
    const LANES: usize = 4;
    const FUSED: bool = false;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: every x86-64 has SSE.
        unsafe { _mm_set1_ps(x) }
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..Self::LANES];
        // SAFETY: the slice has 4 floats; every x86-64 has SSE.
        unsafe { _mm_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to = &mut to[..Self::LANES];
        // SAFETY: the slice has room for 4 floats; every x86-64 has SSE.
        unsafe { _mm_storeu_ps(to.as_mut_ptr(), self) }
    }
    #[inline(always)]
    fn multiply_add(self, b: Self, c: Self) -> Self {
        // SAFETY: every x86-64 has SSE.
        unsafe { _mm_add_ps(_mm_mul_ps(self, b), c) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: every x86-64 has SSE.
        unsafe { _mm_add_ps(self, other) }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: every x86-64 has SSE.
        unsafe { _mm_max_ps(self, other) }
    }
}

impl Vector for __m256 {
    const LANES: usize = 8;
    const FUSED: bool = true;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: called by way of `Isa::run`, which has found AVX2.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..Self::LANES];
        // SAFETY: the slice has 8 floats; `Isa::run` has found AVX2.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to = &mut to[..Self::LANES];
        // SAFETY: the slice has room for 8 floats; `Isa::run` has found AVX2.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), self) }
    }
    #[inline(always)]
    fn multiply_add(self, b: Self, c: Self) -> Self {
        // SAFETY: `Isa::run` has found FMA.
        unsafe { _mm256_fmadd_ps(self, b, c) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_add_ps(self, other) }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX2.
        unsafe { _mm256_max_ps(self, other) }
    }
}

impl Vector for __m512 {
    const LANES: usize = 16;
    const FUSED: bool = true;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: called by way of `Isa::run`, which has found AVX-512.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..Self::LANES];
        // SAFETY: the slice has 16 floats; `Isa::run` has found AVX-512.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to = &mut to[..Self::LANES];
        // SAFETY: the slice has room for 16 floats; `Isa::run` has found AVX-512.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self) }
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
    fn max(self, other: Self) -> Self {
        // SAFETY: `Isa::run` has found AVX-512.
        unsafe { _mm512_max_ps(self, other) }
    }
}
