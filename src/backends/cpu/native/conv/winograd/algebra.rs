//! The three matrices of minimal filtering, each from both sides: (Lavin and Gray, "Fast Algorithms for Convolutional
//! Neural Networks", 2015, §4.1)
//! ```text
//! Y = At [(G w Gt) . (Bt x B)] A
//!
//!      1  0 -1  0          1    0    0          1  1  1  0
//! Bt = 0  1  1  0     G = 1/2  1/2  1/2    At = 0  1 -1 -1
//!      0 -1  1  0         1/2 -1/2  1/2
//!      0  1  0 -1          0    0    1
//! ```
//! and the gradient of w, which is linear in what it meets: dw = Gt [(A dy At) . (Bt x B)] G.

use crate::backends::cpu::vector::Vector;

/// Rows and columns of a patch of x, and of what is multiplied element by element.
pub(super) const SIDE: usize = 4;
/// Elements that are multiplied.
pub(super) const PLACES: usize = SIDE * SIDE;
/// Rows and columns of a tile of y.
pub(super) const TILE: usize = 2;
/// Rows and columns of a kernel.
pub(super) const KERNEL: usize = 3;

/// F x Ft, for a matrix F that `f` multiplies a column by.
#[inline(always)]
pub(super) fn both_ways<V: Vector, const FROM: usize, const TO: usize>(
    f: impl Fn([V; FROM]) -> [V; TO],
    x: [[V; FROM]; FROM],
) -> [[V; TO]; TO] {
    let mut columns = [[x[0][0]; TO]; FROM];
    for (number, column) in columns.iter_mut().enumerate() {
        let mut line = x[0];
        for (line, row) in line.iter_mut().zip(&x) {
            *line = row[number];
        }
        *column = f(line);
    }
    let mut rows = [[x[0][0]; TO]; TO];
    for (number, row) in rows.iter_mut().enumerate() {
        let mut line = x[0];
        for (line, column) in line.iter_mut().zip(&columns) {
            *line = column[number];
        }
        *row = f(line);
    }
    rows
}

/// Bt x
#[inline(always)]
pub(super) fn of_patch<V: Vector>([a, b, c, d]: [V; SIDE]) -> [V; SIDE] {
    [a.sub(c), b.add(c), c.sub(b), b.sub(d)]
}

/// G w
#[inline(always)]
pub(super) fn of_kernel<V: Vector>([a, b, c]: [V; KERNEL]) -> [V; SIDE] {
    let half = V::splat(0.5);
    let (outer, middle) = (a.add(c).mul(half), b.mul(half));
    [a, outer.add(middle), outer.sub(middle), c]
}

/// At m
#[inline(always)]
pub(super) fn to_tile<V: Vector>([a, b, c, d]: [V; SIDE]) -> [V; TILE] {
    [a.add(b).add(c), b.sub(c).sub(d)]
}

/// A dy
#[inline(always)]
pub(super) fn of_tile<V: Vector>([a, b]: [V; TILE]) -> [V; SIDE] {
    [a, a.add(b), a.sub(b), V::splat(0.0).sub(b)]
}

/// Gt m
#[inline(always)]
pub(super) fn to_kernel<V: Vector>([a, b, c, d]: [V; SIDE]) -> [V; KERNEL] {
    let half = V::splat(0.5);
    let (sum, difference) = (b.add(c).mul(half), b.sub(c).mul(half));
    [a.add(sum), difference, sum.add(d)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::vector::Portable;

    type One = Portable<1>;

    fn square<const N: usize>(from: &[f32]) -> [[One; N]; N] {
        std::array::from_fn(|row| std::array::from_fn(|column| One::splat(from[row * N + column])))
    }

    fn product(a: [[One; SIDE]; SIDE], b: [[One; SIDE]; SIDE]) -> [[One; SIDE]; SIDE] {
        std::array::from_fn(|row| std::array::from_fn(|column| a[row][column].mul(b[row][column])))
    }

    /// Whole numbers, with which nothing is rounded.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 7 + seed * 5) % 13) as f32 - 6.0).collect()
    }

    #[test]
    fn a_tile_and_the_gradient_of_its_kernel_are_those_of_the_direct_sums() {
        for seed in 0..5 {
            let (x, w, dy) = (numbers(16, seed), numbers(9, seed + 1), numbers(4, seed + 2));
            let image = both_ways(of_patch, square(&x));
            let y = both_ways(to_tile, product(both_ways(of_kernel, square(&w)), image));
            let dw = both_ways(to_kernel, product(both_ways(of_tile, square(&dy)), image));
            let seen = |row: usize, column: usize| x[row * SIDE + column];
            for (row, column) in (0..4).map(|at| (at / TILE, at % TILE)) {
                let terms = (0..9).map(|tap| w[tap] * seen(row + tap / KERNEL, column + tap % KERNEL));
                assert_eq!(y[row][column], One::splat(terms.sum()), "{seed}: y {row} {column}");
            }
            for (i, j) in (0..9).map(|tap| (tap / KERNEL, tap % KERNEL)) {
                let terms = (0..4).map(|at| dy[at] * seen(at / TILE + i, at % TILE + j));
                assert_eq!(dw[i][j], One::splat(terms.sum()), "{seed}: dw {i} {j}");
            }
        }
    }
}
