//! Products of one row by the processor's dot products of bf16 and of bytes, or by pairs of bytes in 16 bits.

use super::super::gemm::words_mut;
use super::words_x86::{self, BF16, Job, Kernels, padded};
use super::{Finish, Part, Row, bytes_x86};
use crate::backends::cpu::buffer::{Element, View, ViewMut};
use crate::backends::cpu::float::Float;
use half::bf16;

/// Pairs of bf16, sums in f32.
pub(super) fn pairs<D: Float>(row: &Row, args: &[View], outs: &mut [ViewMut]) {
    let (isa, alpha, beta) = (row.team.isa, row.alpha, row.beta);
    let source = Source::of::<bf16>(row);
    row.each::<bf16, bf16, D>(args, outs, |Part { a, b, c, d }, [x, y]| {
        let x = &mut words_mut(x)[..a.len().div_ceil(2)];
        for (word, pair) in x.iter_mut().zip(a.chunks(2)) {
            let high = pair.get(1).map_or(0, |high| high.to_bits());
            *word = u32::from(pair[0].to_bits()) | u32::from(high) << 16;
        }
        let y = &mut y[..padded(d.len())];
        source.multiply(BF16, x, [a.len(), d.len()], b, words_mut(y));
        isa.run(Finish { alpha, beta, y: &y[..d.len()], c, d });
    });
}

/// u8 of A, whose zero is 0: sum a (b - zb) = sum a b - zb sum a.
pub(super) fn unsigned(row: &Row, args: &[View], outs: &mut [ViewMut]) {
    let kernels = if row.team.isa.has_bytes() { words_x86::UNSIGNED } else { bytes_x86::UNSIGNED };
    bytes(row, kernels, |a: u8| i32::from(a), args, outs);
}

/// A that less its zero point is i8: where b is raised by r, sum x (b - zb) = sum x (b + r) - (r + zb) sum x.
pub(super) fn signed<A: Element + Into<i32>>(row: &Row, args: &[View], outs: &mut [ViewMut]) {
    let zero = row.zeros[0];
    let kernels = if row.team.isa.has_bytes() { words_x86::SIGNED } else { bytes_x86::SIGNED };
    bytes(row, kernels, |a: A| a.into() - zero, args, outs);
}

/// sum x (b - zb), where `lane` makes the 8 bits of x.
fn bytes<A: Element>(
    row: &Row,
    kernels: Kernels,
    lane: impl Fn(A) -> i32 + Sync,
    args: &[View],
    outs: &mut [ViewMut],
) {
    let (source, zero) = (Source::of::<i8>(row), kernels.raised + row.zeros[1]);
    row.each::<A, i8, i32>(args, outs, |Part { a, b, d, .. }, [x, y]| {
        let x = &mut words_mut(x)[..a.len().div_ceil(4)];
        let mut sum = 0i32;
        for (word, four) in x.iter_mut().zip(a.chunks(4)) {
            *word = 0;
            for (number, a) in four.iter().enumerate() {
                let lane = lane(*a);
                *word |= u32::from(lane as u8) << (8 * number);
                sum += lane;
            }
        }
        let y = &mut words_mut(y)[..padded(d.len())];
        source.multiply(kernels, x, [a.len(), d.len()], b, y);
        let shift = zero.wrapping_mul(sum);
        d.iter_mut().zip(y).for_each(|(d, y)| *d = (*y as i32).wrapping_sub(shift));
    });
}

/// How B lies.
#[derive(Clone, Copy)]
struct Source {
    by_rows: bool,
    /// Bytes between its rows, or between its columns.
    stride: usize,
    is_far: bool,
}

impl Source {
    fn of<B>(row: &Row) -> Self {
        let [rows, columns] = row.layout.b;
        let by_rows = columns == 1;
        let stride = size_of::<B>() * if by_rows { rows } else { columns };
        Self { by_rows, stride, is_far: row.is_far }
    }

    /// y = x B, the columns in their order.
    fn multiply<B: Element>(
        self,
        kernels: Kernels,
        x: &[u32],
        [depth, columns]: [usize; 2],
        b: &[B],
        y: &mut [u32],
    ) {
        let Self { by_rows, stride, is_far } = self;
        // SAFETY: elements are plain numbers, and every one is so many bytes.
        let b = unsafe { std::slice::from_raw_parts(b.as_ptr().cast(), size_of_val(b)) };
        let mut job = Job { x, depth, b, stride, columns, y, is_far };
        // SAFETY: `prepare` has asked the processor for what the kernels need.
        unsafe { if by_rows { (kernels.by_rows)(&mut job) } else { (kernels.by_columns)(&mut job) } }
    }
}
