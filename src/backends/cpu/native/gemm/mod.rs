//! Matrix products of all types: one engine over 32-bit words, and a pass over its sums where the answer
//! is narrower.

#[cfg(target_arch = "x86_64")]
mod amx;
mod blocks;
mod factors;
mod families;
mod few;
mod lanes;
#[cfg(target_arch = "x86_64")]
mod limbs;
mod multiply;
mod output;
mod pack;
mod packed;
mod target;
#[cfg(test)]
mod tests;
mod tile;
mod together;
mod transpose;
mod turned;
mod words;
#[cfg(target_arch = "x86_64")]
pub(super) mod words_x86;

pub(super) use blocks::{Blocks, parts};
pub(super) use factors::{Left, Made, Panels, Right};
pub(super) use families::{Kernels, kernels, wide_kernels};
pub(super) use lanes::To;
pub(super) use multiply::{Engine, Scratch};
pub(super) use pack::{Lines, Matrix, Panel};
pub(super) use packed::{Packed, words_mut, words_of};
pub(super) use target::Target;
pub(super) use tile::{CHUNK, Tile, fetch_far};
pub(super) use transpose::{SIDE, Transpose};
pub(super) use words::{Arithmetic, Finish};

use super::{Team, gemv};
use crate::backends::cpu::buffer::{Element, View, ViewMut};
use crate::backends::cpu::layout::Layout;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::scratch::SharedScratch;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::pool::share;
use crate::backends::{Fault, Unsupported};
use crate::float8::F8e4m3;
use crate::ops::{Gemm, GemmDims, GemmI8};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};
use lanes::Lane;
use output::Output;
use std::ops::Range;
use together::Rows;

/// Rows and columns from which on a product is worth a transposed A: one tile of the other family has fewer.
const WIDE_FROM: [usize; 2] = [16, 48];

/// Factors beside the two matrices.
#[derive(Clone, Copy, Debug)]
struct Terms {
    alpha: f32,
    beta: f32,
    /// The stored numbers that mean 0 in A and B.
    zeros: [i16; 2],
}

/// One thread's rectangle of one product of the batch.
struct Rectangle<'a, D> {
    layout: &'a Layout,
    terms: Terms,
    batch: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    c: Option<&'a [D]>,
    d: *mut D,
}

impl<D> Rectangle<'_, D> {
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
}

/// A product as a step.
struct Product {
    team: Team,
    layout: Layout,
    terms: Terms,
    engine: Engine,
    scratch: SharedScratch,
    /// B is laid out at load, by input set.
    packs: bool,
    packed: Vec<Packed>,
    run: fn(&Product, usize, &[View], &mut [ViewMut]),
    pack: fn(&Product, &[View]) -> Result<Packed, Fault>,
}

/// D = alpha A B + beta C.
pub(super) fn prepare(
    team: &Team,
    op: &Gemm,
    args: &[ValueSpec],
    packs: bool,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(args).map_err(|error| Unsupported(error.to_string()))?;
    if op.accumulate != DType::F32 {
        return Err(Unsupported("cpu/native adds products in f32 only".to_string()));
    }
    let terms = Terms { alpha: op.alpha as f32, beta: op.beta as f32, zeros: [0; 2] };
    let layout = Layout::new(dims, op.trans_a, op.trans_b);
    let lane = if args[1].dtype == DType::Bf16 && team.isa.has_bf16() { 2 } else { 4 };
    if let Some(row) = gemv::prepare(team, op, args, layout).filter(|_| !packs || stays(team, &args[1], lane))
    {
        return row;
    }
    #[cfg(target_arch = "x86_64")]
    if (args[0].dtype, op.output) == (DType::F32, DType::F32)
        && let Some(product) = limbs::Product::new(team, layout, terms)
    {
        return Ok(Box::new(product));
    }
    let part = (team, layout, terms, packs);
    match (args[0].dtype, op.output) {
        (DType::F32, DType::F32) => Product::boxed::<f32, f32, f32, f32, f32>(part),
        (DType::Bf16, DType::F32) if team.isa.has_bf16() => {
            Product::boxed::<bf16, bf16, bf16, bf16, f32>(part)
        }
        (DType::Bf16, DType::Bf16) if team.isa.has_bf16() => {
            Product::boxed::<bf16, bf16, bf16, bf16, bf16>(part)
        }
        (DType::Bf16, DType::F32) => Product::boxed::<bf16, f32, bf16, f32, f32>(part),
        (DType::Bf16, DType::Bf16) => Product::boxed::<bf16, f32, bf16, f32, bf16>(part),
        (DType::F16, DType::F32) => Product::boxed::<f16, f32, f16, f32, f32>(part),
        (DType::F16, DType::F16) => Product::boxed::<f16, f32, f16, f32, f16>(part),
        (DType::F8e4m3, DType::F32) => Product::boxed::<F8e4m3, f32, F8e4m3, f32, f32>(part),
        (DType::F8e4m3, DType::Bf16) => Product::boxed::<F8e4m3, f32, F8e4m3, f32, bf16>(part),
        (a, d) => Err(Unsupported(format!("cpu/native has no gemm from {} to {}", a.name(), d.name()))),
    }
}

/// D = (A - zero_a)(B - zero_b) in integers.
pub(super) fn prepare_i8(
    team: &Team,
    op: &GemmI8,
    args: &[ValueSpec],
    packs: bool,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(args).map_err(|error| Unsupported(error.to_string()))?;
    // A zero point is a number of its operand's type.
    let terms = Terms { alpha: 1.0, beta: 0.0, zeros: [op.zero_a as i16, op.zero_b as i16] };
    let layout = Layout::new(dims, op.trans_a, op.trans_b);
    let lane = if team.isa.has_bytes() { 1 } else { 2 };
    if let Some(row) =
        gemv::prepare_i8(team, op, args, layout).filter(|_| !packs || stays(team, &args[1], lane))
    {
        return row;
    }
    let part = (team, layout, terms, packs);
    match (args[0].dtype, team.isa.has_bytes()) {
        (DType::U8, true) => Product::boxed::<u8, u8, i8, i8, i32>(part),
        (_, true) => Product::boxed::<i8, u8, i8, i8, i32>(part),
        (DType::U8, false) => Product::boxed::<u8, i16, i8, i16, i32>(part),
        (_, false) => Product::boxed::<i8, i16, i8, i16, i32>(part),
    }
}

/// Whether one row is better multiplied by B as it lies, though B may be laid out: in lanes of so many bytes it would be
/// wider than it is, and read from memory (on a Zen 3 without dot products of bytes, i8 of 3072^2 on one core: 0.40 ms as
/// it lies, 1.40 ms laid out; at 2048^2, from the cache, 0.16 and 0.18 ms).
fn stays(team: &Team, b: &ValueSpec, lane: u64) -> bool {
    let laid_out = b.elements() as u64 * lane;
    laid_out > b.bytes() && team.exceeds_caches(3 * laid_out)
}

/// Who multiplies what, and whether B is laid out at load.
type Part<'a> = (&'a Team, Layout, Terms, bool);

impl Product {
    /// From A and B, as lanes LA and LB, to D.
    fn boxed<A, LA, B, LB, D>((team, layout, terms, packs): Part) -> Result<Box<dyn Kernel>, Unsupported>
    where
        A: Element + To<LA>,
        LA: Lane,
        B: Element + To<LB>,
        LB: Lane,
        D: Output,
    {
        let GemmDims { m, n, k, .. } = layout.dims;
        let pays = LA::ARITHMETIC == Arithmetic::F32 && m >= WIDE_FROM[0] && n >= WIDE_FROM[1];
        let wide = if pays { team.wide_engine() } else { None };
        let engine = wide.map_or_else(|| team.engine(LA::ARITHMETIC), Ok)?;
        let [a, b, rows] = engine.scratch_lens([m, n, k.div_ceil(LA::PER_WORD)]);
        let whole = together::words::<LB>(&engine, layout.dims, team.pool.threads()).filter(|_| !packs);
        let (together, alone) = (whole.is_some(), !packs && whole.is_none());
        let each = [a, if alone { b } else { 0 }, rows, D::sums([m, n])];
        let scratch = team.scratches.ask(&each, whole.unwrap_or(0));
        let run = if together { run_together::<A, LA, B, LB, D> } else { run::<A, LA, B, LB, D> };
        let (pack, team, packed) = (pack::<A, B, LB>, team.clone(), Vec::new());
        Ok(Box::new(Self { team, layout, terms, engine, scratch, packs, packed, run, pack }))
    }
}

impl Terms {
    /// The number that means 0 in A, as the tile sees its bytes: i8 stand 128 higher.
    fn zero_of_a(&self, dtype: DType) -> i32 {
        i32::from(self.zeros[0]) + if dtype == DType::I8 { 128 } else { 0 }
    }
}

/// Which products, and which rows and columns of each, thread `id` of `count` computes.
pub(super) fn portion(
    dims: GemmDims,
    [row_grain, column_grain]: [usize; 2],
    id: usize,
    count: usize,
) -> (Range<usize>, Range<usize>, Range<usize>) {
    if dims.batch >= count {
        return (share(dims.batch, 1, id, count), 0..dims.m, 0..dims.n);
    }
    let (down, across) = grid(count, dims.m, dims.n);
    let columns = share(dims.n, column_grain, id % across, across);
    (0..dims.batch, share(dims.m, row_grain, id / across, down), columns)
}

/// Columns of a thread from which on it pays that none copies what another does.
const COLUMNS_EACH: usize = 128;

/// Thread `id`'s part. Tile registers read A as it lies, or copy its lines; words of B have to be joined: threads share
/// its columns, unless A is much the larger.
fn shared(
    dims: GemmDims,
    engine: &Engine,
    is_packed: bool,
    id: usize,
    count: usize,
) -> (Range<usize>, Range<usize>, Range<usize>) {
    let GemmDims { batch, m, n, .. } = dims;
    let grains = engine.kernels.grains();
    if engine.by_rows() && !is_packed && batch < count && m <= 2 * n && n >= count * COLUMNS_EACH {
        return (0..batch, 0..m, share(n, grains[1], id, count));
    }
    portion(dims, grains, id, count)
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

fn run<A: Element + To<LA>, LA: Lane, B: Element + To<LB>, LB: Lane, D: Output>(
    product: &Product,
    set: usize,
    args: &[View],
    outs: &mut [ViewMut],
) {
    let Product { team, layout, terms, engine, scratch, .. } = product;
    let (extra, terms) = (team.extra, *terms);
    let (a, b) = (args[0].slice::<A>(), args[1].slice::<B>());
    let c = args.get(2).map(View::slice::<D>);
    let packed = product.packed.get(set);
    let whole = Parts::new(outs[0].slice::<D>());
    team.pool.run(&|me| {
        let (batches, rows, columns) = shared(layout.dims, engine, packed.is_some(), me.id, me.count);
        // Extra work is whole products where there are enough: a few rows cost more than their share.
        let repeated = batches.start..batches.start + extra.of(batches.len());
        let extra_rows = if repeated.is_empty() { extra.of(rows.len()) } else { 0 };
        let again = rows.start..rows.start + extra_rows;
        for batch in batches.chain(repeated) {
            let a = Matrix { zero: terms.zeros[0], ..Matrix::new(&a[layout.a_start(batch)..], layout.a) };
            for rows in [&rows, &again] {
                if rows.is_empty() || columns.is_empty() {
                    continue;
                }
                let (rows, columns) = (rows.clone(), columns.clone());
                let b = match packed {
                    Some(packed) => {
                        let number = if layout.dims.shared_b { 0 } else { batch };
                        Right::Packed(packed.panels(number, columns.start))
                    }
                    None => {
                        let b = Matrix::new(&b[layout.b_start(batch)..], layout.b);
                        Right::Plain(Matrix { zero: terms.zeros[1], ..b.from(0, columns.start) })
                    }
                };
                let of = Rectangle { layout, terms, batch, rows, columns, c, d: whole.start() };
                // SAFETY: the pool gives each thread its own number.
                D::compute::<A, LA, B, LB>(engine, a, &b, &of, unsafe { scratch.of(me.id) });
            }
        }
    });
}

/// The only product of a batch of one, whose B the team lays out together. Of extra work it does three quarters at most.
fn run_together<A: Element + To<LA>, LA: Lane, B: Element + To<LB>, LB: Lane, D: Output>(
    product: &Product,
    _: usize,
    args: &[View],
    outs: &mut [ViewMut],
) {
    let Product { team, layout, terms, engine, scratch, .. } = product;
    let (GemmDims { m, n, k, .. }, extra) = (layout.dims, team.extra);
    let matrix_a = Matrix { zero: terms.zeros[0], ..Matrix::new(args[0].slice::<A>(), layout.a) };
    let matrix_b = Matrix { zero: terms.zeros[1], ..Matrix::new(args[1].slice::<B>(), layout.b) };
    let c = args.get(2).map(View::slice::<D>);
    let whole = Parts::new(outs[0].slice::<D>());
    // SAFETY: steps run one after another.
    let words = Parts::new(words_mut(unsafe { scratch.together() }));
    let rows = Rows::new(m, engine.kernels.row_grain);
    team.pool.run(&|me| {
        // SAFETY: nobody has the words but this team, and it reads them behind the barrier.
        unsafe { together::lay_out::<LB, B>(engine, matrix_b, [k, n], me, &words) };
        me.barrier();
        // SAFETY: as before.
        let b = Right::<B>::Packed(unsafe { together::laid_out(engine, n, &words) });
        let mine = rows.share(me);
        let again = mine.start..(mine.start + extra.of(m / me.count)).min(mine.end);
        for rows in [mine, again].into_iter().chain(rows.pieces()).filter(|rows| !rows.is_empty()) {
            let of = Rectangle { layout, terms: *terms, batch: 0, rows, columns: 0..n, c, d: whole.start() };
            // SAFETY: the pool gives each thread its own number.
            D::compute::<A, LA, B, LB>(engine, matrix_a, &b, &of, unsafe { scratch.of(me.id) });
        }
    });
}

fn pack<A: Element, B: Element + To<LB>, LB: Lane>(
    product: &Product,
    args: &[View],
) -> Result<Packed, Fault> {
    let Product { layout, terms, engine, .. } = product;
    let GemmDims { batch, n, k, shared_b, .. } = layout.dims;
    let b = args[1].slice::<B>();
    let matrix = |number: usize| {
        let b = Matrix::new(&b[layout.b_start(number)..], layout.b);
        Matrix { zero: terms.zeros[1], ..b }
    };
    let matrices = (0..if shared_b { 1 } else { batch }).map(matrix);
    Packed::new::<LB, B>(engine, matrices, [k, n], terms.zero_of_a(A::DTYPE))
}

impl Kernel for Product {
    fn run(&mut self, set: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, set, args, outs);
        Ok(())
    }

    fn pack(&mut self, _: usize, args: &[View]) -> Result<u64, Fault> {
        if !self.packs {
            return Ok(0);
        }
        let packed = (self.pack)(self, args)?;
        let bytes = packed.bytes();
        self.packed.push(packed);
        Ok(bytes)
    }

    fn workspace(&self) -> Result<u64, Fault> {
        self.scratch.bytes()
    }
}
