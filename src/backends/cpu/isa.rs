//! Which vector instructions kernels are compiled for, chosen when the program runs.

use crate::backends::Unsupported;

/// Environment variable that forces a level: `portable`, `avx2` or `avx512`.
pub const VARIABLE: &str = "CUTGPU_ISA";

/// Instruction set that a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What every x86-64 has: 4 floats a vector, no fused multiply-add.
    Portable,
    /// AVX2 and FMA: 8 floats a vector.
    Avx2,
    /// AVX-512 F, BW, DQ and VL: 16 floats a vector.
    Avx512,
}

/// A computation whose loops the compiler turns into vectors; compiled once for each [`Isa`].
///
/// `run` and all that it calls must be `#[inline(always)]`: only what is inlined into the function
/// that enables an instruction set is compiled for it.
pub trait Loops {
    /// What it computes.
    type Output;
    /// Computes. `ISA` is the number of the level, a constant so that choices by it cost nothing.
    fn run<const ISA: u8>(self) -> Self::Output;
}

impl Isa {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// Name in the environment and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this processor has it.
    pub fn is_here(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Avx512 => {
                Self::Avx2.is_here()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
        }
    }

    /// The best level of this processor.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|isa| isa.is_here()).unwrap_or(Self::Portable)
    }

    /// The level that the environment asks for, else the best one.
    pub fn chosen() -> Result<Self, Unsupported> {
        let Ok(wanted) = std::env::var(VARIABLE) else { return Ok(Self::best()) };
        let known = Self::ALL.into_iter().find(|isa| isa.name() == wanted);
        let known = known.ok_or_else(|| {
            Unsupported(format!("{VARIABLE} is `{wanted}`; it may be portable, avx2 or avx512"))
        })?;
        if known.is_here() { Ok(known) } else { Err(Unsupported(format!("this processor has no {wanted}"))) }
    }

    /// Runs `loops` as compiled for this level.
    ///
    /// # Panics
    /// Where this processor lacks the level.
    pub fn run<L: Loops>(self, loops: L) -> L::Output {
        assert!(self.is_here(), "this processor has no {}", self.name());
        match self {
            Self::Portable => loops.run::<PORTABLE>(),
            // SAFETY: the processor has these instructions.
            Self::Avx2 => unsafe { with_avx2(loops) },
            // SAFETY: the processor has these instructions.
            Self::Avx512 => unsafe { with_avx512(loops) },
        }
    }
}

/// [`Isa::Portable`] as a constant argument.
pub const PORTABLE: u8 = 0;
/// [`Isa::Avx2`] as a constant argument.
pub const AVX2: u8 = 1;
/// [`Isa::Avx512`] as a constant argument.
pub const AVX512: u8 = 2;

#[target_feature(enable = "avx2,fma")]
fn with_avx2<L: Loops>(loops: L) -> L::Output {
    loops.run::<AVX2>()
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn with_avx512<L: Loops>(loops: L) -> L::Output {
    loops.run::<AVX512>()
}

/// a b + c; one rounding where the level has an instruction for it, two where it would be a function call.
#[inline(always)]
pub fn multiply_add<const ISA: u8>(a: f32, b: f32, c: f32) -> f32 {
    if ISA == PORTABLE { a * b + c } else { a.mul_add(b, c) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dot<'a>(&'a [f32], &'a [f32]);

    impl Loops for Dot<'_> {
        type Output = f32;
        #[inline(always)]
        fn run<const ISA: u8>(self) -> f32 {
            self.0.iter().zip(self.1).fold(0.0, |sum, (a, b)| multiply_add::<ISA>(*a, *b, sum))
        }
    }

    #[test]
    fn every_level_of_this_processor_computes_the_same() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_here()) {
            assert_eq!(isa.run(Dot(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0])), 32.0);
        }
        assert!(Isa::best().is_here());
    }
}
