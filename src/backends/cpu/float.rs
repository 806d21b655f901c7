//! Element types that kernels compute on in f32.

use super::buffer::Element;
use half::{bf16, f16};

/// A type whose numbers widen to f32 exactly.
pub trait Number: Element {
    /// Exact.
    fn to_f32(self) -> f32;
    /// The elements themselves where they are f32 already.
    fn as_f32(elements: &[Self]) -> Option<&[f32]> {
        let _ = elements;
        None
    }
}

/// A floating-point type.
pub trait Float: Number {
    /// Rounded to nearest, ties to even.
    fn from_f32(value: f32) -> Self;
}

impl Number for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    fn as_f32(elements: &[Self]) -> Option<&[f32]> {
        Some(elements)
    }
}

impl Float for f32 {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
}

impl Number for bf16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

impl Float for bf16 {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        // Half a unit in the last place, less one bit where the kept part is even.
        let rounded = bits.wrapping_add(0x7FFF + ((bits >> 16) & 1));
        // A NaN would round to infinity, or wrap to zero: make it quiet instead.
        let kept = if value.is_nan() { bits | 0x0040_0000 } else { rounded };
        Self::from_bits((kept >> 16) as u16)
    }
}

impl Number for f16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        Self::to_f32(self)
    }
}

impl Float for f16 {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl Number for i8 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
}

impl Number for u8 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bfloat16_rounds_as_the_library_does() {
        for high in 0..=u16::MAX {
            for low in [0u32, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF] {
                let x = f32::from_bits((u32::from(high) << 16) | low);
                let (got, want) = (<bf16 as Float>::from_f32(x), bf16::from_f32(x));
                assert!(got == want || (got.is_nan() && want.is_nan()), "{x}: {got} {want}");
                assert!(Number::to_f32(got) == want.to_f32() || want.is_nan());
            }
        }
    }
}
