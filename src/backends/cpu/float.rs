//! Element types that kernels compute on in f32.

use super::buffer::Element;
use super::vector::Vector;
use crate::float8::F8e4m3;
use half::slice::HalfFloatSliceExt;
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
    /// The first elements, as many as a register has lanes.
    fn load<V: Vector>(from: &[Self]) -> V;
    /// All elements of a slice that is shorter than a register, and 0 in the other lanes.
    fn load_first<V: Vector>(from: &[Self]) -> V;
    /// Writes all lanes to the start of a slice.
    fn store<V: Vector>(value: V, to: &mut [Self]);
    /// Writes as many lanes as a shorter slice has room for.
    fn store_first<V: Vector>(value: V, to: &mut [Self]);
    /// [`Float::store`] by [`Vector::stream`].
    fn stream<V: Vector>(value: V, to: &mut [Self]);
}

/// A whole number of 8 bits.
pub trait Byte: Number {
    /// Whether it may be negative.
    const SIGNED: bool;
    /// The nearest one.
    fn saturated(value: i32) -> Self;
}

impl Byte for i8 {
    const SIGNED: bool = true;
    #[inline(always)]
    fn saturated(value: i32) -> Self {
        value.clamp(i32::from(Self::MIN), i32::from(Self::MAX)) as Self
    }
}

impl Byte for u8 {
    const SIGNED: bool = false;
    #[inline(always)]
    fn saturated(value: i32) -> Self {
        value.clamp(0, i32::from(Self::MAX)) as Self
    }
}

/// The bits of whole numbers, for [`Vector::of_whole`].
pub fn bits(whole: &[i32]) -> &[f32] {
    // SAFETY: both types have 4 bytes, one alignment, and no invalid pattern.
    unsafe { std::slice::from_raw_parts(whole.as_ptr().cast(), whole.len()) }
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
    #[inline(always)]
    fn load<V: Vector>(from: &[Self]) -> V {
        V::load(from)
    }
    #[inline(always)]
    fn load_first<V: Vector>(from: &[Self]) -> V {
        V::load_first(from)
    }
    #[inline(always)]
    fn store<V: Vector>(value: V, to: &mut [Self]) {
        value.store(to);
    }
    #[inline(always)]
    fn store_first<V: Vector>(value: V, to: &mut [Self]) {
        value.store_first(to);
    }
    #[inline(always)]
    fn stream<V: Vector>(value: V, to: &mut [Self]) {
        value.stream(to);
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
    #[inline(always)]
    fn load<V: Vector>(from: &[Self]) -> V {
        V::from_bf16(V::load_halves(from.reinterpret_cast()))
    }
    #[inline(always)]
    fn load_first<V: Vector>(from: &[Self]) -> V {
        V::from_bf16(V::load_first_halves(from.reinterpret_cast()))
    }
    #[inline(always)]
    fn store<V: Vector>(value: V, to: &mut [Self]) {
        V::store_halves(value.to_bf16(), to.reinterpret_cast_mut());
    }
    #[inline(always)]
    fn store_first<V: Vector>(value: V, to: &mut [Self]) {
        V::store_first_halves(value.to_bf16(), to.reinterpret_cast_mut());
    }
    #[inline(always)]
    fn stream<V: Vector>(value: V, to: &mut [Self]) {
        V::stream_halves(value.to_bf16(), to.reinterpret_cast_mut());
    }
}

impl Number for F8e4m3 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        Self::to_f32(self)
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
    #[inline(always)]
    fn load<V: Vector>(from: &[Self]) -> V {
        V::from_f16(V::load_halves(from.reinterpret_cast()))
    }
    #[inline(always)]
    fn load_first<V: Vector>(from: &[Self]) -> V {
        V::from_f16(V::load_first_halves(from.reinterpret_cast()))
    }
    #[inline(always)]
    fn store<V: Vector>(value: V, to: &mut [Self]) {
        V::store_halves(value.to_f16(), to.reinterpret_cast_mut());
    }
    #[inline(always)]
    fn store_first<V: Vector>(value: V, to: &mut [Self]) {
        V::store_first_halves(value.to_f16(), to.reinterpret_cast_mut());
    }
    #[inline(always)]
    fn stream<V: Vector>(value: V, to: &mut [Self]) {
        V::stream_halves(value.to_f16(), to.reinterpret_cast_mut());
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
