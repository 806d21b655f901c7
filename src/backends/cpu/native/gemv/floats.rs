//! y = x B in floating point, by how B lies: [`AddRows`] where its rows do, [`Dots`] where its columns do.

use super::super::gemm::fetch_far;
use crate::backends::cpu::float::Float;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::vector::Vector;

/// Columns whose sums stay in the first cache while all rows pass: 8 KiB.
const STRIP: usize = 2048;
/// Rows of B that share a pass over the sums where B is in a cache.
const NEAR: usize = 4;
/// The same where B comes from memory: more streams of it at a time.
const FAR: usize = 8;
/// Columns of B that share the loads of x.
const COLUMNS: usize = 4;
/// Bytes that a column of B is fetched ahead of use.
const AHEAD: usize = 2048;

/// y = x B, B by rows: each row times its element of x is added to the sums.
pub(in super::super) struct AddRows<'a, T> {
    pub(in super::super) x: &'a [f32],
    /// From the first column that is wanted.
    pub(in super::super) b: &'a [T],
    /// Elements between rows.
    pub(in super::super) stride: usize,
    pub(in super::super) y: &'a mut [f32],
    /// B comes from memory, not from a cache.
    pub(in super::super) is_far: bool,
}

impl<T: Float> Loops for AddRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { x, b, stride, y, is_far } = self;
        y.fill(0.0);
        for (number, y) in y.chunks_mut(STRIP).enumerate() {
            let b = b.get(number * STRIP..).unwrap_or_default();
            if is_far { passes::<T, V, FAR>(x, b, stride, y) } else { passes::<T, V, NEAR>(x, b, stride, y) }
        }
    }
}

/// y += x B for a strip of columns, so many rows at a time.
#[inline(always)]
fn passes<T: Float, V: Vector, const ROWS: usize>(x: &[f32], b: &[T], stride: usize, y: &mut [f32]) {
    let whole = x.len() / ROWS * ROWS;
    for first in (0..whole).step_by(ROWS) {
        let mut rows = [b; ROWS];
        for (number, row) in rows.iter_mut().enumerate() {
            *row = &b[(first + number) * stride..][..y.len()];
        }
        pass::<T, V, ROWS>(&x[first..], rows, if ROWS == FAR { ROWS * stride } else { 0 }, y);
    }
    for row in whole..x.len() {
        pass::<T, V, 1>(&x[row..], [&b[row * stride..][..y.len()]], 0, y);
    }
}

/// y += the first `R` elements of x, each times its row; of what comes `ahead` elements later it asks for
/// every line, if for any.
#[inline(always)]
fn pass<T: Float, V: Vector, const R: usize>(x: &[f32], rows: [&[T]; R], ahead: usize, y: &mut [f32]) {
    let mut factors = [V::splat(0.0); R];
    for (factor, x) in factors.iter_mut().zip(x) {
        *factor = V::splat(*x);
    }
    let whole = y.len() / V::LANES * V::LANES;
    let mut at = 0;
    while at < whole {
        let mut sum = V::load(&y[at..]);
        for row in 0..R {
            let from = &rows[row][at..];
            if ahead > 0 {
                fetch_far(from.as_ptr().wrapping_add(ahead).cast());
            }
            sum = T::load::<V>(from).multiply_add(factors[row], sum);
        }
        sum.store(&mut y[at..]);
        at += V::LANES;
    }
    if whole == y.len() {
        return;
    }
    let mut sum = V::load_first(&y[whole..]);
    for row in 0..R {
        sum = T::load_first::<V>(&rows[row][whole..]).multiply_add(factors[row], sum);
    }
    sum.store_first(&mut y[whole..]);
}

/// y = x B, B by columns: a dot product for each column.
pub(in super::super) struct Dots<'a, T> {
    pub(in super::super) x: &'a [f32],
    /// From the first column that is wanted.
    pub(in super::super) b: &'a [T],
    /// Elements between columns.
    pub(in super::super) stride: usize,
    pub(in super::super) y: &'a mut [f32],
}

impl<T: Float> Loops for Dots<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { x, b, stride, y } = self;
        let whole = y.len() / COLUMNS * COLUMNS;
        for first in (0..whole).step_by(COLUMNS) {
            let b = &b[first * stride..];
            let columns = [b, &b[stride..], &b[2 * stride..], &b[3 * stride..]];
            dots::<T, V, COLUMNS>(x, columns, &mut y[first..]);
        }
        for column in whole..y.len() {
            dots::<T, V, 1>(x, [&b[column * stride..]], &mut y[column..]);
        }
    }
}

/// The dot products of x and `C` columns, in two chains each: as many sums as an addition takes cycles.
#[inline(always)]
fn dots<T: Float, V: Vector, const C: usize>(x: &[f32], columns: [&[T]; C], y: &mut [f32]) {
    let mut columns = columns;
    for column in &mut columns {
        *column = &column[..x.len()];
    }
    let (mut even, mut odd) = ([V::splat(0.0); C], [V::splat(0.0); C]);
    let (step, mut at) = (2 * V::LANES, 0);
    while at + step <= x.len() {
        let (x0, x1) = (V::load(&x[at..]), V::load(&x[at + V::LANES..]));
        for column in 0..C {
            let from = &columns[column][at..at + step];
            let ahead = from.as_ptr().wrapping_byte_add(AHEAD);
            V::prefetch(ahead);
            V::prefetch(ahead.wrapping_byte_add(step * size_of::<T>() / 2));
            even[column] = T::load::<V>(from).multiply_add(x0, even[column]);
            odd[column] = T::load::<V>(&from[V::LANES..]).multiply_add(x1, odd[column]);
        }
        at += step;
    }
    while at < x.len() {
        let until = (at + V::LANES).min(x.len());
        let x = V::load_first(&x[at..until]);
        for column in 0..C {
            even[column] = T::load_first::<V>(&columns[column][at..until]).multiply_add(x, even[column]);
        }
        at = until;
    }
    for column in 0..C {
        y[column] = even[column].add(odd[column]).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;
    use half::{bf16, f16};

    /// Small whole numbers, whose sums are exact in any order.
    fn numbers(len: usize, step: usize) -> Vec<f32> {
        (0..len).map(|i| (i * step % 17) as f32 - 8.0).collect()
    }

    fn check<T: Float>([n, k]: [usize; 2]) {
        let (x, b) = (numbers(k, 5), numbers(k * n, 3));
        let stored: Vec<T> = b.iter().map(|b| T::from_f32(*b)).collect();
        for isa in Isa::here() {
            let (mut by_rows, mut by_columns) = (vec![f32::NAN; n], vec![f32::NAN; n]);
            for is_far in [true, false] {
                isa.run(AddRows { x: &x, b: &stored, stride: n, y: &mut by_rows, is_far });
            }
            isa.run(Dots { x: &x, b: &stored, stride: k, y: &mut by_columns });
            for column in 0..n {
                let sum = |of_b: &dyn Fn(usize) -> f32| (0..k).map(|i| x[i] * of_b(i)).sum::<f32>();
                assert_eq!(by_rows[column], sum(&|i| b[i * n + column]), "{isa:?} {n} {k} {column}");
                assert_eq!(by_columns[column], sum(&|i| b[column * k + i]), "{isa:?} {n} {k} {column}");
            }
        }
    }

    #[test]
    fn every_level_gives_the_product_of_any_extents() {
        for extents in [[1, 1], [1, 0], [3, 4], [4, 5], [16, 31], [17, 33], [37, 3], [5, 129], [2049, 6]] {
            check::<f32>(extents);
            check::<bf16>(extents);
            check::<f16>(extents);
        }
    }
}
