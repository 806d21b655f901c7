//! Registers of f32 that kernels are written over, one type a level of [`super::isa::Isa`].

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
#[cfg(test)]
mod tests;

pub use portable::Portable;

use super::float::Byte;

mod sealed {
    /// Only this module's types: a method may run only where its instructions exist.
    pub trait Register: Copy {}
}

/// Most lanes of a register.
pub const MOST_LANES: usize = 16;

/// What numbers of steps are limited to before they are bytes: more than any byte and its zero point.
const MOST_STEPS: f32 = 1024.0;

/// A register of f32.
///
/// Its methods are for code that [`super::isa::Isa::run`] calls: that has asked the processor. Slices that
/// are read or written whole may be longer than the register.
pub trait Vector: sealed::Register {
    /// Numbers in it, a power of two.
    const LANES: usize;
    /// Whether a b + c is one instruction with one rounding.
    const FUSED: bool;
    /// Whether [`Self::look_up`] is one instruction.
    const LOOKS_UP: bool;
    /// As many numbers of 16 bits.
    type Halves: Copy;

    /// `x` in every lane.
    fn splat(x: f32) -> Self;
    /// The first [`Self::LANES`] elements of a slice that has them.
    fn load(from: &[f32]) -> Self;
    /// All elements of a slice that has no more than lanes, and 0 in the other lanes.
    fn load_first(from: &[f32]) -> Self;
    /// The first `count` lanes, and `rest` in the others.
    fn with_rest(self, count: usize, rest: f32) -> Self;
    /// Writes all lanes to the start of a slice that has room.
    fn store(self, to: &mut [f32]);
    /// Writes as many lanes as a slice of no more elements has room for.
    fn store_first(self, to: &mut [f32]);
    /// [`Self::store`] past the caches where there is such a store; `to` starts on a multiple of 64 bytes, or
    /// on one of the register's size. [`Self::fence`] must follow.
    fn stream(self, to: &mut [f32]);

    /// [`Self::load`] of 16 bits each.
    fn load_halves(from: &[u16]) -> Self::Halves;
    /// [`Self::load_first`] of 16 bits each; the other lanes are 0.
    fn load_first_halves(from: &[u16]) -> Self::Halves;
    /// [`Self::store`] of 16 bits each.
    fn store_halves(halves: Self::Halves, to: &mut [u16]);
    /// [`Self::store_first`] of 16 bits each.
    fn store_first_halves(halves: Self::Halves, to: &mut [u16]);
    /// [`Self::stream`] of 16 bits each.
    fn stream_halves(halves: Self::Halves, to: &mut [u16]);
    /// From bfloat16, exact.
    fn from_bf16(halves: Self::Halves) -> Self;
    /// To bfloat16, rounded to nearest, ties to even; NaN stays NaN.
    fn to_bf16(self) -> Self::Halves;
    /// From IEEE's 16 bits, exact.
    fn from_f16(halves: Self::Halves) -> Self;
    /// To IEEE's 16 bits, rounded to nearest, ties to even; NaN stays NaN.
    fn to_f16(self) -> Self::Halves;

    /// The first [`Self::LANES`] bytes of a slice that has them, exact.
    fn load_bytes(from: &[i8]) -> Self;
    /// Lanes whose bits are whole numbers with a sign, as f32, rounded to nearest.
    fn of_whole(self) -> Self;
    /// Writes the whole number nearest to each lane, ties to even, plus `zero` (from -255 to 255), saturated,
    /// to the start of a slice that has room; NaN becomes any number.
    fn store_bytes<B: Byte>(x: [Self; 4], zero: i16, to: &mut [B]);
    /// [`Self::store_bytes`] by [`Self::stream`].
    fn stream_bytes<B: Byte>(x: [Self; 4], zero: i16, to: &mut [B]);

    /// self b + c.
    fn multiply_add(self, b: Self, c: Self) -> Self;
    /// Lane by lane.
    fn add(self, other: Self) -> Self;
    /// self - other.
    fn sub(self, other: Self) -> Self;
    /// Lane by lane.
    fn mul(self, other: Self) -> Self;
    /// self / other.
    fn div(self, other: Self) -> Self;
    /// self / other to 2 units in the last place, where 1e-30 <= |other| <= 1e30 and where it is NaN.
    fn quotient(self, other: Self) -> Self;
    /// The larger one, lane by lane; `other` where one of them is NaN.
    fn max(self, other: Self) -> Self;
    /// The smaller one, lane by lane; `other` where one of them is NaN.
    fn min(self, other: Self) -> Self;
    /// Without its sign.
    fn abs(self) -> Self;
    /// `yes` in lanes that are above 0, `no` in the others and where self is NaN.
    fn where_positive(self, yes: Self, no: Self) -> Self;
    /// The smaller one of |self| and `limit`, which is not negative; either where self is NaN.
    #[inline(always)]
    fn size_up_to(self, limit: Self) -> Self {
        limit.min(self.abs())
    }
    /// Square root.
    fn sqrt(self) -> Self;
    /// Adds the bits of `n`, shifted left, to its own as whole numbers. Where the low bits of `n` are a whole
    /// number, a shift by 23 multiplies by that power of two.
    fn add_bits<const SHIFT: u32>(self, n: Self) -> Self;
    /// Elements of `table` by the lowest 5 bits of each lane.
    fn look_up(self, table: &[f32; 32]) -> Self;

    /// Lanes 0, 2, 4 and so on of this register and then of the next one.
    fn evens(self, next: Self) -> Self;
    /// Lanes 1, 3, 5 and so on of this register and then of the next one.
    fn odds(self, next: Self) -> Self;
    /// The lanes of this register and of the other in turn: what [`Self::evens`] and [`Self::odds`] take apart.
    fn interleave(self, other: Self) -> [Self; 2];

    /// The sum of all lanes.
    fn sum(self) -> f32;
    /// The largest lane; may miss a NaN.
    fn largest(self) -> f32;

    /// Asks for the cache line at `address`, which may be any.
    fn prefetch<T>(address: *const T);
    /// Orders streamed stores before all that follow.
    fn fence();

    /// a b + c for loops that the compiler turns into vectors.
    #[inline(always)]
    fn scalar_multiply_add(a: f32, b: f32, c: f32) -> f32 {
        // Without the instruction `mul_add` is a function call.
        if Self::FUSED { a.mul_add(b, c) } else { a * b + c }
    }
}
