//! Arithmetic at its peak: independent chains of operations in registers, no memory. Products of narrow numbers
//! run on the best unit that kernels may use: tiles of AMX, else vectors.

use crate::backends::Unsupported;
use crate::backends::cpu::isa::{Isa, Loops};
use crate::backends::cpu::vector::Vector;
use std::hint::black_box;

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    /// f32 multiply-adds.
    Fma,
    /// Sums of products of bytes.
    Vnni,
    /// Sums of products of bfloat16.
    Bf16,
}

/// Chains that hide the latency of 4 cycles of two units, with registers to spare of AVX-512's 32.
const CHAINS: usize = 24;
/// The same for 16 registers.
const NARROW_CHAINS: usize = 12;
/// Steps of every chain in one turn.
const STEPS: u64 = 64;

impl Unit {
    /// Operations of one turn, a multiply-add counting as two; or what the processor lacks.
    pub(super) fn operations(self, isa: Isa) -> Result<f64, Unsupported> {
        let lacks = |what: &str| Err(Unsupported(format!("this processor, or this level, has no {what}")));
        let lanes = match self {
            Self::Fma => isa.run(Chains(0)),
            Self::Vnni if isa.has_tiles() => tiles::WORDS * 4,
            Self::Bf16 if isa.has_tiles() => tiles::WORDS * 2,
            Self::Vnni if words::has_bytes(isa) => CHAINS * 64,
            Self::Bf16 if words::has_bf16(isa) => CHAINS * 32,
            Self::Vnni => return lacks("AVX-512 VNNI"),
            Self::Bf16 => return lacks("AVX-512 BF16"),
        };
        Ok((2 * lanes) as f64 * STEPS as f64)
    }

    /// Runs `turns` turns. [`Self::operations`] has accepted `isa`.
    pub(super) fn execute(self, isa: Isa, turns: u64) {
        let steps = turns * STEPS;
        match self {
            Self::Fma => drop(isa.run(Chains(steps))),
            Self::Vnni if isa.has_tiles() => tiles::bytes(isa, steps),
            Self::Bf16 if isa.has_tiles() => tiles::bf16(isa, steps),
            Self::Vnni => words::bytes(isa, steps),
            Self::Bf16 => words::bf16(isa, steps),
        }
    }
}

/// So many multiply-adds of every chain; returns how many lanes all chains have.
struct Chains(u64);

impl Loops for Chains {
    type Output = usize;
    #[inline(always)]
    fn run<V: Vector>(self) -> usize {
        if V::LANES == 16 { self.of::<V, CHAINS>() } else { self.of::<V, NARROW_CHAINS>() }
    }
}

impl Chains {
    #[inline(always)]
    fn of<V: Vector, const COUNT: usize>(self) -> usize {
        let [a, b] = [0.75, 0.25].map(|x| V::splat(black_box(x)));
        let mut chains = [V::splat(0.0); COUNT];
        for _ in 0..self.0 {
            for c in &mut chains {
                *c = c.multiply_add(a, b);
            }
        }
        black_box(chains.into_iter().fold(V::splat(0.0), V::add).sum());
        COUNT * V::LANES
    }
}

/// Sums of products of whole tiles.
#[cfg(target_arch = "x86_64")]
mod tiles {
    use super::Isa;
    use crate::backends::cpu::amx::{SIDE, add_bf16, add_bytes, clear_sums, close, open};

    /// Multiply-adds of words in a step: four sums, each of as many words of depth as a register has rows.
    pub(super) const WORDS: usize = 4 * SIDE * SIDE * SIDE;

    pub(super) fn bytes(isa: Isa, steps: u64) {
        if isa.has_tiles() {
            // SAFETY: the processor has tiles, which are set up before and given back behind.
            unsafe {
                open();
                clear_sums();
                for _ in 0..steps {
                    add_bytes::<0, 0>();
                    add_bytes::<0, 1>();
                    add_bytes::<1, 0>();
                    add_bytes::<1, 1>();
                }
                close();
            }
        }
    }

    pub(super) fn bf16(isa: Isa, steps: u64) {
        if isa.has_tiles() {
            // SAFETY: as above.
            unsafe {
                open();
                clear_sums();
                for _ in 0..steps {
                    add_bf16::<0, 0>();
                    add_bf16::<0, 1>();
                    add_bf16::<1, 0>();
                    add_bf16::<1, 1>();
                }
                close();
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod tiles {
    use super::Isa;

    pub(super) const WORDS: usize = 0;
    pub(super) fn bytes(_: Isa, _: u64) {}
    pub(super) fn bf16(_: Isa, _: u64) {}
}

/// Sums of products in 32-bit words.
#[cfg(target_arch = "x86_64")]
mod words {
    use super::*;
    use crate::backends::cpu::isa::Level;
    use std::arch::x86_64::*;

    pub(super) fn has_bytes(isa: Isa) -> bool {
        isa.level() == Level::Avx512 && is_x86_feature_detected!("avx512vnni")
    }

    pub(super) fn has_bf16(isa: Isa) -> bool {
        isa.level() == Level::Avx512 && is_x86_feature_detected!("avx512bf16")
    }

    pub(super) fn bytes(isa: Isa, steps: u64) {
        if has_bytes(isa) {
            // SAFETY: the processor has VNNI.
            unsafe { bytes_512(steps) }
        }
    }

    pub(super) fn bf16(isa: Isa, steps: u64) {
        if has_bf16(isa) {
            // SAFETY: the processor has BF16.
            unsafe { bf16_512(steps) }
        }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn bytes_512(steps: u64) {
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
    fn bf16_512(steps: u64) {
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
}

#[cfg(not(target_arch = "x86_64"))]
mod words {
    use super::Isa;

    pub(super) fn has_bytes(_: Isa) -> bool {
        false
    }
    pub(super) fn has_bf16(_: Isa) -> bool {
        false
    }
    pub(super) fn bytes(_: Isa, _: u64) {}
    pub(super) fn bf16(_: Isa, _: u64) {}
}
