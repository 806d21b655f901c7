//! Walks over streams, element by element: what element-wise ops and the probes of memory are.
//!
//! Stores that go past the caches spare memory the reading of lines that are overwritten whole, and lose
//! where the target would have stayed in a cache.

use super::float::Float;
use super::isa::Loops;
use super::vector::Vector;
use std::ops::Range;

/// Bytes of a cache line.
const LINE: usize = 64;

/// What becomes of the elements of `N` streams at one place.
pub trait Formula<const N: usize>: Copy + Sync + 'static {
    /// Lane by lane.
    fn of<V: Vector>(&self, x: [V; N]) -> V;
    /// What is fetched beside the elements from place `at` on, where stores go past the caches: nothing, unless
    /// a formula knows what comes next.
    #[inline(always)]
    fn meanwhile<V: Vector>(&self, at: usize) {
        let _ = at;
    }
}

/// y = x.
#[derive(Clone, Copy, Debug)]
pub struct Same;
impl Formula<1> for Same {
    #[inline(always)]
    fn of<V: Vector>(&self, [x]: [V; 1]) -> V {
        x
    }
}

/// y = s x.
#[derive(Clone, Copy, Debug)]
pub struct Times(pub f32);
impl Formula<1> for Times {
    #[inline(always)]
    fn of<V: Vector>(&self, [x]: [V; 1]) -> V {
        x.mul(V::splat(self.0))
    }
}

/// z = x + s y.
#[derive(Clone, Copy, Debug)]
pub struct Scaled(pub f32);
impl Formula<2> for Scaled {
    #[inline(always)]
    fn of<V: Vector>(&self, [x, y]: [V; 2]) -> V {
        V::splat(self.0).multiply_add(y, x)
    }
}

/// z = f(x), of streams that are at least as long as z.
#[derive(Debug)]
pub struct Walk<'a, Z, X, F, const N: usize> {
    /// The answer.
    pub z: &'a mut [Z],
    /// What it is made of.
    pub x: [&'a [X]; N],
    /// How.
    pub f: F,
    /// Stores go past the caches.
    pub past: bool,
}

impl<Z: Float, X: Float, F: Formula<N>, const N: usize> Loops for Walk<'_, Z, X, F, N> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        self.one_of_many::<V>();
        V::fence();
    }
}

impl<Z: Float, X: Float, F: Formula<N>, const N: usize> Walk<'_, Z, X, F, N> {
    /// The same, where [`Vector::fence`] follows the last of many.
    #[inline(always)]
    pub fn one_of_many<V: Vector>(self) {
        let Self { z, x, f, past } = self;
        if past {
            walk_past::<V, Z, X, F, N>(z, x, &f);
        } else {
            walk::<V, Z, X, F, N>(z, x, &f);
        }
    }
}

/// [`Walk`] where the last stream is a row, which begins anew with each row of z: z starts at its element
/// `at`.
#[derive(Debug)]
pub struct WalkRows<'a, T, F, const N: usize> {
    /// What is computed from the other streams and the row.
    pub walk: Walk<'a, T, T, F, N>,
    /// Place in the row.
    pub at: usize,
}

impl<T: Float, F: Formula<N>, const N: usize> Loops for WalkRows<'_, T, F, N> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Walk { mut z, mut x, f, past } = self.walk;
        let (mut at, row) = (self.at, x[N - 1]);
        while !z.is_empty() {
            let count = (row.len() - at).min(z.len());
            let (now, later) = z.split_at_mut(count);
            x[N - 1] = &row[at..];
            Walk { z: now, x, f, past }.one_of_many::<V>();
            for stream in &mut x[..N - 1] {
                *stream = &stream[count..];
            }
            (z, at) = (later, 0);
        }
        V::fence();
    }
}

#[inline(always)]
fn walk<V: Vector, Z: Float, X: Float, F: Formula<N>, const N: usize>(z: &mut [Z], x: [&[X]; N], f: &F) {
    let x = x.map(|x| &x[..z.len()]);
    let mut whole = z.chunks_exact_mut(V::LANES);
    let mut at = 0;
    for z in &mut whole {
        // SAFETY: the streams are as long as z, which has a register's elements here.
        Z::store(f.of(unsafe { loaded::<V, X, N>(&x, at) }), z);
        at += V::LANES;
    }
    let rest = whole.into_remainder();
    if !rest.is_empty() {
        let mut last = [V::splat(0.0); N];
        for (last, x) in last.iter_mut().zip(x) {
            *last = X::load_first(&x[at..]);
        }
        Z::store_first(f.of(last), rest);
    }
}

#[inline(always)]
fn walk_past<V: Vector, Z: Float, X: Float, F: Formula<N>, const N: usize>(z: &mut [Z], x: [&[X]; N], f: &F) {
    let Range { start, end } = lines(z);
    let (z, tail) = z.split_at_mut(end);
    let (head, z) = z.split_at_mut(start);
    walk::<V, Z, X, F, N>(head, x, f);
    walk::<V, Z, X, F, N>(tail, x.map(|x| &x[end..]), f);
    let x = x.map(|x| &x[start..end]);
    let mut at = 0;
    for z in z.chunks_exact_mut(V::LANES) {
        f.meanwhile::<V>(at);
        // SAFETY: the streams are as long as z, which has a register's elements here.
        Z::stream(f.of(unsafe { loaded::<V, X, N>(&x, at) }), z);
        at += V::LANES;
    }
}

/// A register of each stream. Bounds are not looked at: that would take as many instructions as most formulas.
///
/// # Safety
/// The streams have a register's elements from `at` on.
// A loop, because a closure that is not inlined would be compiled without the instructions.
#[inline(always)]
unsafe fn loaded<V: Vector, X: Float, const N: usize>(x: &[&[X]; N], at: usize) -> [V; N] {
    let mut values = [V::splat(0.0); N];
    for (value, x) in values.iter_mut().zip(x) {
        // SAFETY: by this function's contract.
        *value = X::load(unsafe { x.get_unchecked(at..at + V::LANES) });
    }
    values
}

/// The elements that fill whole cache lines.
#[inline(always)]
pub fn lines<T>(z: &[T]) -> Range<usize> {
    let each = LINE / size_of::<T>();
    let start = z.as_ptr().align_offset(LINE).min(z.len());
    start..z.len() - (z.len() - start) % each
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;
    use half::{bf16, f16};

    /// Starts and lengths about those of lines and registers.
    const PARTS: [(usize, usize); 9] =
        [(0, 0), (1, 1), (3, 15), (0, 16), (2, 17), (5, 64), (16, 100), (7, 150), (31, 127)];

    fn check<T: Float + PartialEq + std::fmt::Debug>() {
        let b: Vec<T> = (0..200).map(|i| T::from_f32(i as f32)).collect();
        let minus = T::from_f32(-1.0);
        for (isa, past) in Isa::here().flat_map(|isa| [(isa, false), (isa, true)]) {
            for (start, len) in PARTS {
                let mut a = [minus; 200];
                let z = &mut a[start..start + len];
                isa.run(Walk { z, x: [&b[..len], &b[10..10 + len]], f: Scaled(2.0), past });
                for (at, got) in a.iter().enumerate() {
                    let inside = (start..start + len).contains(&at);
                    let of = |i: usize| b[i - start].to_f32() + 2.0 * b[10 + i - start].to_f32();
                    let want = if inside { T::from_f32(of(at)) } else { minus };
                    assert_eq!(*got, want, "{isa:?} {past} {start} {len} {at}");
                }
                isa.run(Walk { z: &mut a[start..start + len], x: [&b], f: Same, past });
                assert_eq!(a[start..start + len], b[..len]);
            }
        }
    }

    #[test]
    fn any_start_and_length_is_written_whole_and_nothing_else() {
        check::<f32>();
        check::<bf16>();
        check::<f16>();
    }

    #[test]
    fn a_row_begins_anew() {
        let x: Vec<f32> = (0..200).map(|i| i as f32).collect();
        for (isa, past) in Isa::here().flat_map(|isa| [(isa, false), (isa, true)]) {
            for (columns, at) in [(1, 0), (3, 2), (16, 5), (17, 0), (37, 36), (250, 0)] {
                let row: Vec<f32> = (0..columns).map(|i| 1000.0 * i as f32).collect();
                let mut z = vec![0.0; 199];
                let walk = Walk { z: &mut z, x: [&x, &row], f: Scaled(1.0), past };
                isa.run(WalkRows { walk, at });
                for (i, z) in z.iter().enumerate() {
                    assert_eq!(*z, x[i] + row[(at + i) % columns], "{isa:?} {past} {columns} {i}");
                }
            }
        }
    }
}
