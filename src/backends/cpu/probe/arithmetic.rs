//! Arithmetic at its peak: independent chains of operations in registers, no memory.

use crate::backends::Unsupported;
use crate::backends::cpu::isa::{Isa, Level};
use std::arch::x86_64::*;
use std::hint::black_box;

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    /// f32 multiply-adds.
    Fma,
    /// Sums of four products of bytes.
    Vnni,
    /// Sums of two products of bfloat16.
    Bf16,
}

/// Chains that hide the latency of 4 cycles of two units, with registers to spare.
const CHAINS: usize = 24;
/// The same for 16 registers.
const NARROW_CHAINS: usize = 12;
/// Steps of every chain in one turn.
const STEPS: u64 = 64;

impl Unit {
    /// Operations of one turn, a multiply-add counting as two; or what the processor lacks.
    pub(super) fn operations(self, isa: Isa) -> Result<f64, Unsupported> {
        let wide = isa.level() == Level::Avx512;
        let lacks = |what: &str| Err(Unsupported(format!("this processor has no {what}")));
        let lanes = match (self, isa.level()) {
            (Self::Fma, Level::Avx512) => CHAINS * 16,
            (Self::Fma, Level::Avx2) => NARROW_CHAINS * 8,
            (Self::Fma, Level::Portable) => NARROW_CHAINS * 4,
            (Self::Vnni, _) if wide && is_x86_feature_detected!("avx512vnni") => CHAINS * 64,
            (Self::Bf16, _) if wide && is_x86_feature_detected!("avx512bf16") => CHAINS * 32,
            (Self::Vnni, _) => return lacks("AVX-512 VNNI"),
            (Self::Bf16, _) => return lacks("AVX-512 BF16"),
        };
        Ok((2 * lanes) as f64 * STEPS as f64)
    }

    /// Runs `turns` turns. [`Self::operations`] has accepted `isa`.
    pub(super) fn execute(self, isa: Isa, turns: u64) {
        if self.operations(isa).is_err() {
            return;
        }
        let steps = turns * STEPS;
        match (self, isa.level()) {
            // SAFETY: the processor has AVX-512.
            (Self::Fma, Level::Avx512) => unsafe { fma_512(steps) },
            // SAFETY: the processor has AVX2 and FMA.
            (Self::Fma, Level::Avx2) => unsafe { fma_256(steps) },
            (Self::Fma, Level::Portable) => multiply_and_add(steps),
            // SAFETY: `operations` found VNNI.
            (Self::Vnni, _) => unsafe { vnni(steps) },
            // SAFETY: `operations` found BF16.
            (Self::Bf16, _) => unsafe { bf16(steps) },
        }
    }
}

#[target_feature(enable = "avx512f")]
fn fma_512(steps: u64) {
    let (a, b) = (black_box(_mm512_set1_ps(0.75)), black_box(_mm512_set1_ps(0.25)));
    let mut chains = [_mm512_setzero_ps(); CHAINS];
    for _ in 0..steps {
        for c in &mut chains {
            *c = _mm512_fmadd_ps(*c, a, b);
        }
    }
    black_box(chains);
}

#[target_feature(enable = "avx2,fma")]
fn fma_256(steps: u64) {
    let (a, b) = (black_box(_mm256_set1_ps(0.75)), black_box(_mm256_set1_ps(0.25)));
    let mut chains = [_mm256_setzero_ps(); NARROW_CHAINS];
    for _ in 0..steps {
        for c in &mut chains {
            *c = _mm256_fmadd_ps(*c, a, b);
        }
    }
    black_box(chains);
}

/// One product and one sum: two instructions where there is no fused one.
fn multiply_and_add(steps: u64) {
    // SAFETY: every x86-64 has SSE.
    let (a, b) = unsafe { (black_box(_mm_set1_ps(0.75)), black_box(_mm_set1_ps(0.25))) };
    // SAFETY: as above.
    let mut chains = [unsafe { _mm_setzero_ps() }; NARROW_CHAINS];
    for _ in 0..steps {
        for c in &mut chains {
            // SAFETY: as above.
            *c = unsafe { _mm_add_ps(_mm_mul_ps(*c, a), b) };
        }
    }
    black_box(chains);
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn vnni(steps: u64) {
    let (a, b) = (black_box(_mm512_set1_epi8(3)), black_box(_mm512_set1_epi8(2)));
    let mut chains = [_mm512_setzero_si512(); CHAINS];
    for _ in 0..steps {
        for c in &mut chains {
            *c = _mm512_dpbusd_epi32(*c, a, b);
        }
    }
    black_box(chains);
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn bf16(steps: u64) {
    const ONE: i16 = 0x3F80;
    // SAFETY: both types are 512 bits without invalid patterns.
    let ones: __m512bh = unsafe { std::mem::transmute(_mm512_set1_epi16(ONE)) };
    let (a, b) = (black_box(ones), black_box(ones));
    let mut chains = [_mm512_setzero_ps(); CHAINS];
    for _ in 0..steps {
        for c in &mut chains {
            *c = _mm512_dpbf16_ps(*c, a, b);
        }
    }
    black_box(chains);
}
