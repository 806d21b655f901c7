//! From stored elements to the lanes of words.

use super::words::Arithmetic;
use crate::backends::cpu::float::Number;
use crate::float8::F8e4m3;
use half::{bf16, f16};

/// A lane of a word.
pub(in super::super) trait Lane: Copy {
    /// The words that are made of it.
    const ARITHMETIC: Arithmetic;
    /// Lanes of a word.
    const PER_WORD: usize = Self::ARITHMETIC.per_word();
    /// The lane's bits, lowest first.
    fn bits(self) -> u32;
}

/// How an element becomes a lane: `zero` is the stored number that means 0, where the lane has room to
/// take it off.
pub(in super::super) trait To<L: Lane>: Copy {
    /// Where neighbouring elements already are a word's lanes: the bits of the word that change.
    const SAME_BUT: Option<u32> = None;
    fn lane(self, zero: i16) -> L;
}

impl Lane for f32 {
    const ARITHMETIC: Arithmetic = Arithmetic::F32;
    #[inline(always)]
    fn bits(self) -> u32 {
        self.to_bits()
    }
}

impl Lane for bf16 {
    const ARITHMETIC: Arithmetic = Arithmetic::Bf16;
    #[inline(always)]
    fn bits(self) -> u32 {
        u32::from(self.to_bits())
    }
}

impl Lane for u8 {
    const ARITHMETIC: Arithmetic = Arithmetic::Bytes;
    #[inline(always)]
    fn bits(self) -> u32 {
        u32::from(self)
    }
}

impl Lane for i8 {
    const ARITHMETIC: Arithmetic = Arithmetic::Bytes;
    #[inline(always)]
    fn bits(self) -> u32 {
        u32::from(self as u8)
    }
}

impl Lane for i16 {
    const ARITHMETIC: Arithmetic = Arithmetic::Pairs;
    #[inline(always)]
    fn bits(self) -> u32 {
        u32::from(self as u16)
    }
}

impl To<f32> for f32 {
    const SAME_BUT: Option<u32> = Some(0);
    #[inline(always)]
    fn lane(self, _: i16) -> f32 {
        self
    }
}

impl To<f32> for bf16 {
    #[inline(always)]
    fn lane(self, _: i16) -> f32 {
        Number::to_f32(self)
    }
}

impl To<f32> for f16 {
    #[inline(always)]
    fn lane(self, _: i16) -> f32 {
        Number::to_f32(self)
    }
}

impl To<f32> for F8e4m3 {
    #[inline(always)]
    fn lane(self, _: i16) -> f32 {
        self.to_f32()
    }
}

impl To<bf16> for bf16 {
    const SAME_BUT: Option<u32> = Some(0);
    #[inline(always)]
    fn lane(self, _: i16) -> bf16 {
        self
    }
}

impl To<u8> for u8 {
    const SAME_BUT: Option<u32> = Some(0);
    #[inline(always)]
    fn lane(self, _: i16) -> u8 {
        self
    }
}

/// The instruction takes unsigned bytes of A: 128 more, and the zero point with it.
impl To<u8> for i8 {
    const SAME_BUT: Option<u32> = Some(0x8080_8080);
    #[inline(always)]
    fn lane(self, _: i16) -> u8 {
        self as u8 ^ 0x80
    }
}

impl To<i8> for i8 {
    const SAME_BUT: Option<u32> = Some(0);
    #[inline(always)]
    fn lane(self, _: i16) -> i8 {
        self
    }
}

impl To<i16> for u8 {
    #[inline(always)]
    fn lane(self, zero: i16) -> i16 {
        i16::from(self) - zero
    }
}

impl To<i16> for i8 {
    #[inline(always)]
    fn lane(self, zero: i16) -> i16 {
        i16::from(self) - zero
    }
}
