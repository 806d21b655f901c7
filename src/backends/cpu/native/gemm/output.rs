//! Types that products are written in.

use super::blocks::parts;
use super::factors::Right;
use super::lanes::{Lane, To};
use super::multiply::{Engine, Scratch};
use super::packed::words_mut;
use super::target::Target;
use super::words::Arithmetic;
use super::{Matrix, Rectangle};
use crate::backends::cpu::buffer::Element;
use crate::backends::cpu::float::Float;
use half::{bf16, f16};

/// A type that products are written in.
pub(super) trait Output: Element {
    /// f32 elements of scratch beside the packed blocks, for a product of so many rows and columns.
    fn sums(extents: [usize; 2]) -> usize {
        let _ = extents;
        0
    }

    /// Computes a rectangle. `a` is the whole matrix, `b` begins at the rectangle's first column.
    fn compute<A: Element + To<LA>, LA: Lane, B: To<LB>, LB: Lane>(
        engine: &Engine,
        a: Matrix<A>,
        b: &Right<B>,
        of: &Rectangle<Self>,
        scratch: [&mut [f32]; 4],
    );
}

/// Rows and columns whose sums are held in f32 before they become another type.
const SUMS: usize = 512;

fn words<'a>([a, b, rows]: [&'a mut [f32]; 3]) -> Scratch<'a> {
    Scratch { a: words_mut(a), b: words_mut(b), rows: words_mut(rows) }
}

impl<D: Element> Rectangle<'_, D> {
    /// Where a rectangle of a 32-bit type goes.
    fn target(&self, zero: i32) -> Target {
        let at = self.at(self.rows.start, self.columns.start);
        let init = self.c.map_or(std::ptr::null(), |c| c[at..].as_ptr().cast());
        let stride = self.layout.dims.n;
        let start = self.d.wrapping_add(at).cast();
        let (alpha, beta) = (self.terms.alpha, self.terms.beta);
        Target { start, stride, alpha, beta, init, init_stride: stride, init_step: 1, zero }
    }

    fn extents(&self) -> [usize; 3] {
        [self.rows.len(), self.columns.len(), self.layout.dims.k]
    }
}

impl Output for f32 {
    fn compute<A: Element + To<LA>, LA: Lane, B: To<LB>, LB: Lane>(
        engine: &Engine,
        a: Matrix<A>,
        b: &Right<B>,
        of: &Rectangle<f32>,
        [pack_a, pack_b, rows, _]: [&mut [f32]; 4],
    ) {
        let (a, target) = (a.from(of.rows.start, 0), of.target(0));
        let scratch = &mut words([pack_a, pack_b, rows]);
        engine.multiply::<LA, LB, A, B>(a, b, of.extents(), target, scratch);
    }
}

impl Output for i32 {
    fn compute<A: Element + To<LA>, LA: Lane, B: To<LB>, LB: Lane>(
        engine: &Engine,
        a: Matrix<A>,
        b: &Right<B>,
        of: &Rectangle<i32>,
        [pack_a, pack_b, rows, _]: [&mut [f32]; 4],
    ) {
        let is_bytes = LA::ARITHMETIC == Arithmetic::Bytes;
        let target = of.target(if is_bytes { of.terms.zero_of_a(A::DTYPE) } else { 0 });
        let scratch = &mut words([pack_a, pack_b, rows]);
        engine.multiply::<LA, LB, A, B>(a.from(of.rows.start, 0), b, of.extents(), target, scratch);
        if is_bytes && of.terms.zeros[1] != 0 {
            take_off_zero_of_b::<A, LA>(a, of);
        }
    }
}

/// sum (a - za)(b - zb) = sum (a - za) b - zb sum (a - za), of which the first part is in D.
fn take_off_zero_of_b<A: Element + To<LA>, LA: Lane>(a: Matrix<A>, of: &Rectangle<i32>) {
    let [row_stride, depth_stride] = a.strides;
    let zero = of.terms.zero_of_a(A::DTYPE);
    for row in of.rows.clone() {
        let elements = a.data[row * row_stride..].iter().step_by(depth_stride).take(of.layout.dims.k);
        let sum: i32 = elements.map(|x| x.lane(0).bits() as i32 - zero).sum();
        let shift = i32::from(of.terms.zeros[1]).wrapping_mul(sum);
        // SAFETY: a row of the rectangle, which is this thread's alone.
        let d = unsafe { of.row(row, of.columns.clone()) };
        d.iter_mut().for_each(|d| *d = d.wrapping_sub(shift));
    }
}

/// Through f32 sums, rounded once.
fn compute_narrow<A: Element + To<LA>, LA: Lane, B: To<LB>, LB: Lane, D: Float>(
    engine: &Engine,
    a: Matrix<A>,
    b: &Right<B>,
    of: &Rectangle<D>,
    [pack_a, pack_b, row_scratch, sums]: [&mut [f32]; 4],
) {
    let (alpha, beta) = (of.terms.alpha, of.terms.beta);
    let mut scratch = words([pack_a, pack_b, row_scratch]);
    // A packed B goes on from whole panels only.
    let most = SUMS / engine.kernels.columns * engine.kernels.columns;
    for down in parts(of.rows.len(), SUMS) {
        for across in (0..of.columns.len()).step_by(most) {
            let across = across..(across + most).min(of.columns.len());
            let target = Target::plain(sums.as_mut_ptr(), across.len(), alpha);
            let extents = [down.len(), across.len(), of.layout.dims.k];
            let (a, b) = (a.from(of.rows.start + down.start, 0), b.from(across.start));
            engine.multiply::<LA, LB, A, B>(a, &b, extents, target, &mut scratch);
            for (row, sums) in down.clone().zip(sums.chunks_exact(across.len())) {
                let (row, first) = (of.rows.start + row, of.columns.start + across.start);
                let c = of.c.map(|c| &c[of.at(row, first)..]);
                // SAFETY: a row of the rectangle, which is this thread's alone.
                let d = unsafe { of.row(row, first..first + across.len()) };
                for (column, (d, sum)) in d.iter_mut().zip(sums).enumerate() {
                    *d = D::from_f32(sum + c.map_or(0.0, |c| beta * c[column].to_f32()));
                }
            }
        }
    }
}

fn piece([rows, columns]: [usize; 2]) -> usize {
    rows.min(SUMS) * columns.min(SUMS)
}

impl Output for bf16 {
    fn sums(extents: [usize; 2]) -> usize {
        piece(extents)
    }
    fn compute<A: Element + To<LA>, LA: Lane, B: To<LB>, LB: Lane>(
        engine: &Engine,
        a: Matrix<A>,
        b: &Right<B>,
        of: &Rectangle<bf16>,
        scratch: [&mut [f32]; 4],
    ) {
        compute_narrow::<A, LA, B, LB, bf16>(engine, a, b, of, scratch);
    }
}

impl Output for f16 {
    fn sums(extents: [usize; 2]) -> usize {
        piece(extents)
    }
    fn compute<A: Element + To<LA>, LA: Lane, B: To<LB>, LB: Lane>(
        engine: &Engine,
        a: Matrix<A>,
        b: &Right<B>,
        of: &Rectangle<f16>,
        scratch: [&mut [f32]; 4],
    ) {
        compute_narrow::<A, LA, B, LB, f16>(engine, a, b, of, scratch);
    }
}
