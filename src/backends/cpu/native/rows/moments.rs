//! Mean and deviation of a row, read once.

use crate::backends::cpu::float::Float;
use crate::backends::cpu::vector::Vector;

/// Registers of a block.
const BLOCK: usize = 8;

/// What layer normalisation wants to know of a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Statistics {
    pub(super) mean: f32,
    /// 1 / sqrt(variance + eps)
    pub(super) rstd: f32,
}

impl Statistics {
    /// Of a row. What lies at `ahead` and after it, half as long as the row, is fetched meanwhile.
    #[inline(always)]
    pub(super) fn of<V: Vector, T: Float>(x: &[T], eps: f32, ahead: *const T) -> Self {
        let Moments { mean, squares, .. } = Moments::of_row::<V, T>(x, ahead);
        Self { mean, rstd: 1.0 / (squares / x.len() as f32 + eps).sqrt() }
    }
}

/// Of `count` numbers. Two of them make one without the cancellation that a difference of sums has (Chan,
/// Golub and LeVeque, "Algorithms for computing the sample variance", 1983).
struct Moments {
    count: f32,
    mean: f32,
    /// Sum of squared distances from the mean.
    squares: f32,
}

impl Moments {
    #[inline(always)]
    fn of_row<V: Vector, T: Float>(x: &[T], ahead: *const T) -> Self {
        let blocks = x.chunks_exact(BLOCK * V::LANES);
        let rest = blocks.remainder().chunks_exact(V::LANES);
        let mut lanes = Lanes { count: 0.0, mean: V::splat(0.0), squares: V::splat(0.0) };
        for (number, block) in blocks.enumerate() {
            lanes = lanes.with_block::<T>(block, ahead, number);
        }
        let last = rest.remainder();
        for x in rest {
            lanes = lanes.with(T::load(x));
        }
        lanes.joined().and(Self::of_few::<V>(T::load_first(last), last.len()))
    }

    /// Of the first lanes of a register whose others are 0.
    #[inline(always)]
    fn of_few<V: Vector>(x: V, count: usize) -> Self {
        let mean = if count == 0 { 0.0 } else { x.sum() / count as f32 };
        let off = x.sub(V::splat(mean)).with_rest(count, 0.0);
        Self { count: count as f32, mean, squares: off.mul(off).sum() }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        let count = self.count + other.count;
        let (off, share) = (other.mean - self.mean, other.count / count);
        Self {
            count,
            mean: off * share + self.mean,
            squares: self.squares + other.squares + off * off * self.count * share,
        }
    }
}

/// [`Moments`] of the numbers that each lane has seen.
struct Lanes<V> {
    count: f32,
    mean: V,
    squares: V,
}

impl<V: Vector> Lanes<V> {
    #[inline(always)]
    fn with_block<T: Float>(self, x: &[T], ahead: *const T, number: usize) -> Self {
        let (low, high) = x.split_at(BLOCK / 2 * V::LANES);
        let (low, high) = (four::<V, T>(low), four::<V, T>(high));
        for line in 0..BLOCK / 2 {
            V::prefetch(ahead.wrapping_add((number * BLOCK / 2 + line) * V::LANES));
        }
        let mean = sum(low).add(sum(high)).mul(V::splat(1.0 / BLOCK as f32));
        self.and(Self { count: BLOCK as f32, mean, squares: squares(low, mean).add(squares(high, mean)) })
    }

    #[inline(always)]
    fn with(self, x: V) -> Self {
        self.and(Self { count: 1.0, mean: x, squares: V::splat(0.0) })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        let count = self.count + other.count;
        let (off, share) = (other.mean.sub(self.mean), other.count / count);
        let between = V::splat(self.count * share);
        Self {
            count,
            mean: off.multiply_add(V::splat(share), self.mean),
            squares: off.mul(off).multiply_add(between, self.squares.add(other.squares)),
        }
    }

    /// Of all lanes together.
    #[inline(always)]
    fn joined(self) -> Moments {
        let mean = self.mean.sum() / V::LANES as f32;
        let off = self.mean.sub(V::splat(mean));
        let squares = off.mul(off).multiply_add(V::splat(self.count), self.squares).sum();
        Moments { count: self.count * V::LANES as f32, mean, squares }
    }
}

// Tuples, because an array of registers that is indexed may live in memory.
type Four<V> = (V, V, V, V);

#[inline(always)]
fn four<V: Vector, T: Float>(x: &[T]) -> Four<V> {
    let at = |register: usize| register * V::LANES;
    (T::load(x), T::load(&x[at(1)..]), T::load(&x[at(2)..]), T::load(&x[at(3)..]))
}

#[inline(always)]
fn sum<V: Vector>((a, b, c, d): Four<V>) -> V {
    a.add(b).add(c.add(d))
}

/// Of the distances from `mean`.
#[inline(always)]
fn squares<V: Vector>((a, b, c, d): Four<V>, mean: V) -> V {
    let (a, b, c, d) = (a.sub(mean), b.sub(mean), c.sub(mean), d.sub(mean));
    let (left, right) = (a.mul(a), b.mul(b));
    c.multiply_add(c, left).add(d.multiply_add(d, right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::{Isa, Loops};

    struct Of<'a>(&'a [f32]);
    impl Loops for Of<'_> {
        type Output = Statistics;
        #[inline(always)]
        fn run<V: Vector>(self) -> Statistics {
            Statistics::of::<V, f32>(self.0, 1e-6, self.0.as_ptr())
        }
    }

    fn check(x: &[f32], allow: f64, what: &str) {
        let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let mean = wide.iter().sum::<f64>() / wide.len() as f64;
        let variance = wide.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / wide.len() as f64;
        let (size, rstd) = (variance.sqrt() + mean.abs(), 1.0 / (variance + 1e-6).sqrt());
        for isa in Isa::here() {
            let got = isa.run(Of(x));
            assert!((f64::from(got.mean) - mean).abs() < 1e-6 * size, "{isa:?} {what}: {got:?} {mean}");
            assert!((f64::from(got.rstd) / rstd - 1.0).abs() < allow, "{isa:?} {what}: {got:?} {rstd}");
        }
    }

    #[test]
    fn rows_of_any_length_have_their_moments() {
        for len in (1..70).chain([127, 128, 129, 255, 256, 257, 300, 769, 1031]) {
            let x: Vec<f32> = (0..len).map(|i| (i * 37 % 101) as f32 / 50.0 - 0.5).collect();
            check(&x, 2e-6, &format!("{len}"));
        }
    }

    #[test]
    fn an_offset_or_an_outlier_costs_no_digits() {
        for at in [0, 5, 700, 1030] {
            // Far from 0, in steps that f32 has there.
            let mut x: Vec<f32> = (0..1031).map(|i| 4096.0 + (i * 37 % 101) as f32 / 32.0).collect();
            check(&x, 1e-5, "offset");
            x[at] = -1e6;
            check(&x, 2e-6, "outlier");
        }
    }
}
