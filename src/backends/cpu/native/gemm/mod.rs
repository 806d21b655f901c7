//! Matrix products of all types: one engine in f32 and, for what f32 does not hold, a pass over its sums.

mod block;
mod dots;
mod pack;
mod tile;

pub(super) use block::{Target, multiply, scratch_lens};
pub(super) use pack::Matrix;

use super::Team;
use crate::backends::cpu::buffer::{Element, View, ViewMut};
use crate::backends::cpu::float::{Float, Number};
use crate::backends::cpu::isa::Isa;
use crate::backends::cpu::layout::Layout;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::parts::{Parts, TeamScratch};
use crate::backends::cpu::pool::share;
use crate::backends::{Fault, Unsupported};
use crate::ops::{Gemm, GemmDims, GemmI8};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};
use std::ops::Range;

/// Factors beside the two matrices.
#[derive(Clone, Copy, Debug)]
struct Terms {
    alpha: f32,
    beta: f32,
    /// The stored numbers that mean 0 in A and B.
    zeros: [f32; 2],
}

/// One thread's rectangle of one product of the batch, in D: first element, rows, columns.
struct Rectangle<'a, D> {
    layout: &'a Layout,
    terms: Terms,
    batch: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    c: Option<&'a [D]>,
    d: *mut D,
}

/// A type that products are written in.
trait Output: Element {
    /// f32 elements of scratch beside the packed blocks.
    fn sums(rectangle: [usize; 3]) -> usize;
    /// Computes a rectangle.
    fn compute<A: Number, B: Number>(
        isa: Isa,
        a: &[A],
        b: &[B],
        of: &Rectangle<Self>,
        scratch: [&mut [f32]; 4],
    );
}

/// Rows and columns whose sums are held in f32 before they become another type.
const SUMS: usize = 512;
/// Depth to which products of bytes, 255^2 at most, add up to whole numbers below 2^24, exact in f32.
const EXACT_DEPTH: usize = 256;

impl<D> Rectangle<'_, D> {
    fn factors<'b, A: Number, B: Number>(&self, a: &'b [A], b: &'b [B]) -> (Matrix<'b, A>, Matrix<'b, B>) {
        let [zero_a, zero_b] = self.terms.zeros;
        let a = Matrix { zero: zero_a, ..Matrix::new(&a[self.layout.a_start(self.batch)..], self.layout.a) };
        let b = Matrix { zero: zero_b, ..Matrix::new(&b[self.layout.b_start(self.batch)..], self.layout.b) };
        (a, b)
    }

    /// Number of an element within D.
    fn at(&self, row: usize, column: usize) -> usize {
        self.layout.d_start(self.batch) + row * self.layout.dims.n + column
    }

    /// Part of a row of D.
    ///
    /// # Safety
    /// `row` and `columns` lie in the rectangle, and the part is used by nobody else.
    #[expect(clippy::mut_from_ref, reason = "rectangles are disjoint, which is the contract")]
    unsafe fn row(&self, row: usize, columns: Range<usize>) -> &mut [D] {
        // SAFETY: the rectangle lies inside D.
        unsafe { std::slice::from_raw_parts_mut(self.d.add(self.at(row, columns.start)), columns.len()) }
    }

    /// Sums of the rectangle in pieces of at most [`SUMS`] squared; `give` gets row, columns and sums.
    fn pieces<A: Number, B: Number>(
        &self,
        isa: Isa,
        (a, b): (&[A], &[B]),
        depths: Range<usize>,
        scratch: &mut [&mut [f32]; 4],
        mut give: impl FnMut(usize, Range<usize>, &[f32]),
    ) {
        let (a, b) = self.factors(a, b);
        let [pack_a, pack_b, edge, sums] = scratch.each_mut().map(|part| &mut **part);
        let cut = |range: &Range<usize>| {
            let end = range.end;
            range.clone().step_by(SUMS).map(move |start| start..(start + SUMS).min(end))
        };
        for rows in cut(&self.rows) {
            for columns in cut(&self.columns) {
                let width = columns.len();
                let target = Target { start: sums.as_mut_ptr(), stride: width, alpha: 1.0, add: false };
                let factors = (a.from(rows.start, depths.start), b.from(depths.start, columns.start));
                let extents = [rows.len(), width, depths.len()];
                multiply(isa, factors, extents, target, &mut [&mut *pack_a, &mut *pack_b, &mut *edge]);
                for (row, sums) in rows.clone().zip(sums.chunks_exact(width)) {
                    give(row, columns.clone(), sums);
                }
            }
        }
    }
}

impl Output for f32 {
    fn sums(_: [usize; 3]) -> usize {
        0
    }

    fn compute<A: Number, B: Number>(
        isa: Isa,
        a: &[A],
        b: &[B],
        of: &Rectangle<f32>,
        scratch: [&mut [f32]; 4],
    ) {
        let Terms { alpha, beta, .. } = of.terms;
        if let Some(c) = of.c {
            for row in of.rows.clone() {
                // SAFETY: a row of the rectangle, which is this thread's alone.
                let d = unsafe { of.row(row, of.columns.clone()) };
                let c = &c[of.at(row, of.columns.start)..];
                d.iter_mut().zip(c).for_each(|(d, c)| *d = beta * c);
            }
        }
        let (a, b) = of.factors(a, b);
        let [pack_a, pack_b, edge, _] = scratch;
        // SAFETY: the rectangle lies inside D.
        let start = unsafe { of.d.add(of.at(of.rows.start, of.columns.start)) };
        let target = Target { start, stride: of.layout.dims.n, alpha, add: of.c.is_some() };
        let factors = (a.from(of.rows.start, 0), b.from(0, of.columns.start));
        let extents = [of.rows.len(), of.columns.len(), of.layout.dims.k];
        multiply(isa, factors, extents, target, &mut [pack_a, pack_b, edge]);
    }
}

/// Through f32 sums, rounded once.
fn compute_narrow<A: Number, B: Number, D: Float>(
    isa: Isa,
    (a, b): (&[A], &[B]),
    of: &Rectangle<D>,
    mut scratch: [&mut [f32]; 4],
) {
    let Terms { alpha, beta, .. } = of.terms;
    of.pieces(isa, (a, b), 0..of.layout.dims.k, &mut scratch, |row, columns, sums| {
        let c = of.c.map(|c| &c[of.at(row, columns.start)..]);
        // SAFETY: a row of the rectangle, which is this thread's alone.
        let d = unsafe { of.row(row, columns) };
        for (column, (d, sum)) in d.iter_mut().zip(sums).enumerate() {
            let old = c.map_or(0.0, |c| beta * c[column].to_f32());
            *d = D::from_f32(alpha * sum + old);
        }
    });
}

fn piece([rows, columns, _]: [usize; 3]) -> usize {
    rows.min(SUMS) * columns.min(SUMS)
}

impl Output for bf16 {
    fn sums(rectangle: [usize; 3]) -> usize {
        piece(rectangle)
    }
    fn compute<A: Number, B: Number>(
        isa: Isa,
        a: &[A],
        b: &[B],
        of: &Rectangle<bf16>,
        scratch: [&mut [f32]; 4],
    ) {
        compute_narrow(isa, (a, b), of, scratch);
    }
}

impl Output for f16 {
    fn sums(rectangle: [usize; 3]) -> usize {
        piece(rectangle)
    }
    fn compute<A: Number, B: Number>(
        isa: Isa,
        a: &[A],
        b: &[B],
        of: &Rectangle<f16>,
        scratch: [&mut [f32]; 4],
    ) {
        compute_narrow(isa, (a, b), of, scratch);
    }
}

impl Output for i32 {
    fn sums(rectangle: [usize; 3]) -> usize {
        piece(rectangle)
    }

    /// In stretches of depth whose sums f32 holds exactly.
    fn compute<A: Number, B: Number>(
        isa: Isa,
        a: &[A],
        b: &[B],
        of: &Rectangle<i32>,
        mut scratch: [&mut [f32]; 4],
    ) {
        let k = of.layout.dims.k;
        for start in (0..k).step_by(EXACT_DEPTH) {
            let depths = start..(start + EXACT_DEPTH).min(k);
            of.pieces(isa, (a, b), depths, &mut scratch, |row, columns, sums| {
                // SAFETY: a row of the rectangle, which is this thread's alone.
                let d = unsafe { of.row(row, columns) };
                for (d, sum) in d.iter_mut().zip(sums) {
                    *d = if start == 0 { 0 } else { *d } + *sum as i32;
                }
            });
        }
    }
}

type Run = fn(&Product, &[View], &mut [ViewMut]);

/// A product as a step.
struct Product {
    team: Team,
    layout: Layout,
    terms: Terms,
    scratch: TeamScratch,
    run: Run,
}

/// D = alpha A B + beta C.
pub(super) fn prepare(team: &Team, op: &Gemm, args: &[ValueSpec]) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(args).map_err(|error| Unsupported(error.to_string()))?;
    if op.accumulate != DType::F32 {
        return Err(Unsupported("cpu/native adds products in f32 only".to_string()));
    }
    let (run, sums): (Run, fn(_) -> _) = match (args[0].dtype, op.output) {
        (DType::F32, DType::F32) => (run::<f32, f32, f32>, f32::sums),
        (DType::Bf16, DType::F32) => (run::<bf16, bf16, f32>, f32::sums),
        (DType::Bf16, DType::Bf16) => (run::<bf16, bf16, bf16>, bf16::sums),
        (DType::F16, DType::F32) => (run::<f16, f16, f32>, f32::sums),
        (DType::F16, DType::F16) => (run::<f16, f16, f16>, f16::sums),
        (a, d) => {
            return Err(Unsupported(format!("cpu/native has no gemm from {} to {}", a.name(), d.name())));
        }
    };
    let terms = Terms { alpha: op.alpha as f32, beta: op.beta as f32, zeros: [0.0; 2] };
    Product::boxed(team, Layout::new(dims, op.trans_a, op.trans_b), terms, run, sums)
}

/// D = (A - zero_a)(B - zero_b) in integers.
pub(super) fn prepare_i8(
    team: &Team,
    op: &GemmI8,
    args: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(args).map_err(|error| Unsupported(error.to_string()))?;
    let run = if args[0].dtype == DType::U8 { run::<u8, i8, i32> } else { run::<i8, i8, i32> };
    let terms = Terms { alpha: 1.0, beta: 0.0, zeros: [op.zero_a as f32, op.zero_b as f32] };
    Product::boxed(team, Layout::new(dims, op.trans_a, op.trans_b), terms, run, i32::sums)
}

impl Product {
    fn boxed(
        team: &Team,
        layout: Layout,
        terms: Terms,
        run: Run,
        sums: fn([usize; 3]) -> usize,
    ) -> Result<Box<dyn Kernel>, Unsupported> {
        let dims = layout.dims;
        let [pack_a, pack_b, edge] = scratch_lens(team.isa, [dims.m, dims.n, dims.k]);
        let lens = [pack_a, pack_b, edge, sums([dims.m, dims.n, dims.k])];
        let scratch = team.scratch(&lens)?;
        Ok(Box::new(Self { team: team.clone(), layout, terms, scratch, run }))
    }
}

/// Which products, and which rows and columns of each, thread `id` of `count` computes.
fn portion(dims: GemmDims, id: usize, count: usize) -> (Range<usize>, Range<usize>, Range<usize>) {
    if dims.batch >= count {
        return (share(dims.batch, 1, id, count), 0..dims.m, 0..dims.n);
    }
    let (down, across) = grid(count, dims.m, dims.n);
    let columns = share(dims.n, 16, id % across, across);
    (0..dims.batch, share(dims.m, 1, id / across, down), columns)
}

/// How many threads share the rows and how many the columns: each thread copies its part of A and of B,
/// so their sum is kept small.
fn grid(threads: usize, rows: usize, columns: usize) -> (usize, usize) {
    let copied = |down: usize| rows.div_ceil(down) + columns.div_ceil(threads / down);
    let down =
        (1..=threads).rev().filter(|down| threads.is_multiple_of(*down)).min_by_key(|&down| copied(down));
    let down = down.unwrap_or(1);
    (down, threads / down)
}

fn run<A: Number, B: Number, D: Output>(product: &Product, args: &[View], outs: &mut [ViewMut]) {
    let Product { team, layout, terms, scratch, .. } = product;
    let (isa, extra, terms) = (team.isa, team.extra, *terms);
    let (a, b) = (args[0].slice::<A>(), args[1].slice::<B>());
    let c = args.get(2).map(View::slice::<D>);
    let whole = Parts::new(outs[0].slice::<D>());
    team.pool.run(&|me| {
        let (batches, rows, columns) = portion(layout.dims, me.id, me.count);
        // Extra work is whole products where there are enough: a few rows cost more than their share.
        let repeated = batches.start..batches.start + extra.of(batches.len());
        let extra_rows = if repeated.is_empty() { extra.of(rows.len()) } else { 0 };
        let again = rows.start..rows.start + extra_rows;
        for batch in batches.chain(repeated) {
            for rows in [&rows, &again] {
                if rows.is_empty() || columns.is_empty() {
                    continue;
                }
                let (rows, columns) = (rows.clone(), columns.clone());
                let of = Rectangle { layout, terms, batch, rows, columns, c, d: whole.start() };
                // SAFETY: the pool gives each thread its own number.
                D::compute(isa, a, b, &of, unsafe { scratch.of(me.id) });
            }
        }
    });
}

impl Kernel for Product {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }

    fn workspace(&self) -> u64 {
        self.scratch.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_spread_so_that_little_is_copied() {
        for (threads, rows, columns, want) in [
            (1, 10, 10, (1, 1)),
            (2, 512, 512, (2, 1)),
            (2, 8, 4096, (1, 2)),
            (4, 512, 512, (2, 2)),
            (3, 9, 1, (3, 1)),
        ] {
            assert_eq!(grid(threads, rows, columns), want);
        }
    }
}
