//! Plain code: what every processor runs, and what a tool that knows no vector instructions can check.

use super::sealed::Register;
use super::{Byte, MOST_STEPS, Vector};
use half::{bf16, f16};

/// `N` lanes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Portable<const N: usize>([f32; N]);

impl<const N: usize> Register for Portable<N> {}

impl<const N: usize> Portable<N> {
    #[inline(always)]
    fn each(self, f: impl Fn(f32) -> f32) -> Self {
        Self(self.0.map(f))
    }

    #[inline(always)]
    fn both(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

/// The slice's elements, and 0 where it has fewer.
#[inline(always)]
fn padded<T: Copy + Default, const N: usize>(from: &[T]) -> [T; N] {
    std::array::from_fn(|lane| from.get(lane).copied().unwrap_or_default())
}

impl<const N: usize> Vector for Portable<N> {
    const LANES: usize = N;
    const FUSED: bool = false;
    const LOOKS_UP: bool = false;
    type Halves = [u16; N];

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; N])
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..N];
        Self(std::array::from_fn(|lane| from[lane]))
    }
    #[inline(always)]
    fn load_first(from: &[f32]) -> Self {
        Self(padded(from))
    }
    #[inline(always)]
    fn with_rest(self, count: usize, rest: f32) -> Self {
        Self(std::array::from_fn(|lane| if lane < count { self.0[lane] } else { rest }))
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..N].copy_from_slice(&self.0);
    }
    #[inline(always)]
    fn store_first(self, to: &mut [f32]) {
        to.iter_mut().zip(self.0).for_each(|(to, lane)| *to = lane);
    }
    #[inline(always)]
    fn stream(self, to: &mut [f32]) {
        self.store(to);
    }

    #[inline(always)]
    fn load_halves(from: &[u16]) -> [u16; N] {
        let from = &from[..N];
        std::array::from_fn(|lane| from[lane])
    }
    #[inline(always)]
    fn load_first_halves(from: &[u16]) -> [u16; N] {
        padded(from)
    }
    #[inline(always)]
    fn store_halves(halves: [u16; N], to: &mut [u16]) {
        to[..N].copy_from_slice(&halves);
    }
    #[inline(always)]
    fn store_first_halves(halves: [u16; N], to: &mut [u16]) {
        to.iter_mut().zip(halves).for_each(|(to, lane)| *to = lane);
    }
    #[inline(always)]
    fn stream_halves(halves: [u16; N], to: &mut [u16]) {
        Self::store_halves(halves, to);
    }
    #[inline(always)]
    fn from_bf16(halves: [u16; N]) -> Self {
        Self(halves.map(|bits| f32::from_bits(u32::from(bits) << 16)))
    }
    #[inline(always)]
    fn to_bf16(self) -> [u16; N] {
        self.0.map(|x| <bf16 as crate::backends::cpu::float::Float>::from_f32(x).to_bits())
    }
    #[inline(always)]
    fn from_f16(halves: [u16; N]) -> Self {
        Self(halves.map(|bits| f16::from_bits(bits).to_f32()))
    }
    #[inline(always)]
    fn to_f16(self) -> [u16; N] {
        self.0.map(|x| f16::from_f32(x).to_bits())
    }

    #[inline(always)]
    fn load_bytes(from: &[i8]) -> Self {
        let mut x = [0.0; N];
        for (x, from) in x.iter_mut().zip(&from[..N]) {
            *x = f32::from(*from);
        }
        Self(x)
    }
    #[inline(always)]
    fn of_whole(self) -> Self {
        self.each(|x| (x.to_bits() as i32) as f32)
    }
    #[inline(always)]
    fn store_bytes<B: Byte>(x: [Self; 4], zero: i16, to: &mut [B]) {
        for (to, x) in to[..4 * N].iter_mut().zip(x.iter().flat_map(|x| x.0)) {
            *to = B::saturated((x.min(MOST_STEPS).round_ties_even() as i32).saturating_add(i32::from(zero)));
        }
    }
    #[inline(always)]
    fn stream_bytes<B: Byte>(x: [Self; 4], zero: i16, to: &mut [B]) {
        Self::store_bytes(x, zero, to);
    }

    #[inline(always)]
    fn multiply_add(self, b: Self, c: Self) -> Self {
        self.mul(b).add(c)
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.both(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.both(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.both(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.both(other, |a, b| a / b)
    }
    #[inline(always)]
    fn quotient(self, other: Self) -> Self {
        self.div(other)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.both(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.both(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.each(f32::abs)
    }
    #[inline(always)]
    fn where_positive(self, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|lane| if self.0[lane] > 0.0 { yes.0[lane] } else { no.0[lane] }))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.each(f32::sqrt)
    }
    #[inline(always)]
    fn add_bits<const SHIFT: u32>(self, n: Self) -> Self {
        self.both(n, |x, n| f32::from_bits(x.to_bits().wrapping_add(n.to_bits() << SHIFT)))
    }
    #[inline(always)]
    fn look_up(self, table: &[f32; 32]) -> Self {
        self.each(|index| table[index.to_bits() as usize % 32])
    }

    #[inline(always)]
    fn evens(self, next: Self) -> Self {
        Self(std::array::from_fn(|lane| if 2 * lane < N { self.0[2 * lane] } else { next.0[2 * lane - N] }))
    }
    #[inline(always)]
    fn odds(self, next: Self) -> Self {
        let lane = |lane| if lane < N { self.0[lane] } else { next.0[lane - N] };
        Self(std::array::from_fn(|number| lane(2 * number + 1)))
    }
    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        let lane = |lane: usize| if lane.is_multiple_of(2) { self.0[lane / 2] } else { other.0[lane / 2] };
        [0, N].map(|first| Self(std::array::from_fn(|number| lane(first + number))))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        self.0.iter().sum()
    }
    #[inline(always)]
    fn largest(self) -> f32 {
        self.0.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    #[inline(always)]
    fn prefetch<T>(_: *const T) {}
    #[inline(always)]
    fn fence() {}
}
