//! Which vector instructions kernels are compiled for, chosen when the program runs.

use super::vector::{Portable, Vector};
use crate::backends::Unsupported;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};

/// Environment variable that forces an instruction set: `portable`, `avx2`, `avx512`, `avx512-vnni`,
/// `avx512-bf16` or `amx`.
pub const VARIABLE: &str = "CUTGPU_ISA";

/// Instruction set that kernels may be compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every processor runs: plain code, 4 floats a vector, no fused multiply-add.
    Portable,
    /// AVX2, FMA and F16C: 8 floats a vector.
    Avx2,
    /// AVX-512 F, BW, DQ and VL: 16 floats a vector.
    Avx512,
}

/// Dot products of narrow numbers, each set with those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dots {
    /// None.
    None,
    /// Of bytes: AVX-512 VNNI.
    Bytes,
    /// Of bfloat16 too: AVX-512 BF16.
    Bf16,
    /// Of both by whole tiles: AMX.
    Tiles,
}

/// An instruction set that this processor has: holding one proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Isa {
    level: Level,
    dots: Dots,
}

/// A computation whose loops the compiler turns into vectors; compiled once for each [`Isa`].
///
/// `run` and all that it calls must be `#[inline(always)]`: only what is inlined into the function
/// that enables an instruction set is compiled for it.
pub trait Loops {
    /// What it computes.
    type Output;
    /// Computes with vectors `V` of the level.
    fn run<V: Vector>(self) -> Self::Output;
}

/// Every instruction set with its name, each with those before it.
const ALL: [(&str, Isa); 6] = [
    ("portable", Isa::PORTABLE),
    ("avx2", Isa { level: Level::Avx2, dots: Dots::None }),
    ("avx512", Isa { level: Level::Avx512, dots: Dots::None }),
    ("avx512-vnni", Isa { level: Level::Avx512, dots: Dots::Bytes }),
    ("avx512-bf16", Isa { level: Level::Avx512, dots: Dots::Bf16 }),
    ("amx", Isa { level: Level::Avx512, dots: Dots::Tiles }),
];

impl Isa {
    /// What every processor has.
    pub const PORTABLE: Self = Self { level: Level::Portable, dots: Dots::None };

    #[cfg(not(target_arch = "x86_64"))]
    fn is_here(self) -> bool {
        self == Self::PORTABLE
    }

    #[cfg(target_arch = "x86_64")]
    fn is_here(self) -> bool {
        let level = match self.level {
            Level::Portable => true,
            Level::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
            }
            Level::Avx512 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
        };
        let bytes = self.dots < Dots::Bytes || is_x86_feature_detected!("avx512vnni");
        let bf16 = self.dots < Dots::Bf16 || is_x86_feature_detected!("avx512bf16");
        let tiles = self.dots < Dots::Tiles || tiles::are_here();
        level && bytes && bf16 && tiles
    }

    /// The sets of this processor, the best one last.
    pub fn here() -> impl DoubleEndedIterator<Item = Self> {
        ALL.into_iter().map(|(_, isa)| isa).filter(|isa| isa.is_here())
    }

    /// The best set of this processor.
    pub fn best() -> Self {
        Self::here().next_back().unwrap_or(Self::PORTABLE)
    }

    /// The set that the environment asks for, else the best one.
    pub fn chosen() -> Result<Self, Unsupported> {
        let Ok(wanted) = std::env::var(VARIABLE) else { return Ok(Self::best()) };
        let names = || ALL.map(|(name, _)| name).join(", ");
        let unknown = || Unsupported(format!("{VARIABLE} is `{wanted}`; it may be one of {}", names()));
        let (_, isa) = ALL.into_iter().find(|(name, _)| *name == wanted).ok_or_else(unknown)?;
        if isa.is_here() { Ok(isa) } else { Err(Unsupported(format!("this processor has no {wanted}"))) }
    }

    /// Which registers it has.
    pub fn level(self) -> Level {
        self.level
    }

    /// Whether it multiplies bytes four at a time.
    pub fn has_bytes(self) -> bool {
        self.dots >= Dots::Bytes
    }

    /// Whether it multiplies bfloat16 two at a time.
    pub fn has_bf16(self) -> bool {
        self.dots >= Dots::Bf16
    }

    /// Whether it multiplies tiles of both.
    pub fn has_tiles(self) -> bool {
        self.dots >= Dots::Tiles
    }

    /// What multiplies bytes, and what bfloat16: for readers of records.
    pub fn narrow_instructions(self) -> [(&'static str, &'static str); 2] {
        let bytes = match self.level {
            _ if self.has_tiles() => "tdpbusd (AMX), one row vpdpbusd (VNNI)",
            _ if self.has_bytes() => "vpdpbusd (VNNI)",
            Level::Portable => "plain code",
            _ => "vpmaddwd (AVX2)",
        };
        let bf16 = match self.level {
            _ if self.has_tiles() => "tdpbf16ps (AMX), one row vdpbf16ps",
            _ if self.has_bf16() => "vdpbf16ps (AVX-512 BF16)",
            _ => "widened to f32",
        };
        [("int8", bytes), ("bf16", bf16)]
    }

    /// Name in the environment and in records.
    pub fn name(self) -> &'static str {
        ALL.into_iter().find(|(_, isa)| *isa == self).map_or("portable", |(name, _)| name)
    }

    /// Runs `loops` as compiled for this level.
    #[inline]
    pub fn run<L: Loops>(self, loops: L) -> L::Output {
        match self.level {
            // SAFETY: holding the level proves that the processor has these instructions.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { with_avx2(loops) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { with_avx512(loops) },
            _ => loops.run::<Portable<4>>(),
        }
    }
}

/// AMX: in the processor, and with the system's leave.
#[cfg(target_arch = "x86_64")]
mod tiles {
    use std::sync::OnceLock;

    /// Whether this process may use tiles of bytes and of bfloat16. Asked once: the leave is the process's, and
    /// every thread has it, whenever it was started.
    pub(super) fn are_here() -> bool {
        static HERE: OnceLock<bool> = OnceLock::new();
        *HERE.get_or_init(|| {
            let features = raw_cpuid::CpuId::new().get_extended_feature_info();
            let has = |features: raw_cpuid::ExtendedFeatures| {
                features.has_amx_tile() && features.has_amx_int8() && features.has_amx_bf16()
            };
            features.is_some_and(has) && is_granted()
        })
    }

    /// Asks Linux for the 8 KiB of state that tiles add to each thread (`ARCH_REQ_XCOMP_PERM` in the kernel's
    /// Documentation/arch/x86/xstate.rst). No leave, no tiles: using them would end the process.
    #[cfg(target_os = "linux")]
    fn is_granted() -> bool {
        const ARCH_PRCTL: i64 = 158;
        const REQUEST: i64 = 0x1023;
        const TILE_DATA: i64 = 18;
        let result: i64;
        // SAFETY: the call takes numbers and changes nothing but what this process may use; the kernel
        // overwrites rax, rcx and r11.
        unsafe {
            std::arch::asm!(
                "syscall",
                inlateout("rax") ARCH_PRCTL => result,
                in("rdi") REQUEST,
                in("rsi") TILE_DATA,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        result == 0
    }

    #[cfg(not(target_os = "linux"))]
    fn is_granted() -> bool {
        false
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn with_avx2<L: Loops>(loops: L) -> L::Output {
    loops.run::<__m256>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
fn with_avx512<L: Loops>(loops: L) -> L::Output {
    loops.run::<__m512>()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dot<'a>(&'a [f32], &'a [f32]);

    impl Loops for Dot<'_> {
        type Output = f32;
        #[inline(always)]
        fn run<V: Vector>(self) -> f32 {
            self.0.iter().zip(self.1).fold(0.0, |sum, (a, b)| V::scalar_multiply_add(*a, *b, sum))
        }
    }

    #[test]
    fn every_level_of_this_processor_computes_the_same() {
        for isa in Isa::here() {
            assert_eq!(isa.run(Dot(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0])), 32.0);
        }
        assert!(Isa::here().all(|isa| isa <= Isa::best()));
    }
}
