//! Products of one row, D = alpha x B + beta C: what a batch of one asks for.
//!
//! Every element of B is used once, so the limit is how fast B can be read, and B is read where it lies, in
//! the order in which it lies. By rows, some rows at a time are added to the sums, which stay in the first
//! cache; where B comes from memory they are more rows at a time, and the next ones are asked for meanwhile
//! (at 4096^2 in f32 on one core of a Zen 4: 25 GB/s became 32, a plain read 29; from a cache the same costs
//! a fifth). A B that is laid out beforehand goes through the register tile instead, one panel behind the
//! other.

#[cfg(target_arch = "x86_64")]
mod bytes_x86;
mod floats;
#[cfg(target_arch = "x86_64")]
mod narrow;
#[cfg(target_arch = "x86_64")]
mod words_x86;

use super::Team;
use super::gemm::portion;
use crate::backends::cpu::buffer::{Element, View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::isa::{Level, Loops};
use crate::backends::cpu::layout::Layout;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::scratch::SharedScratch;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::vector::Vector;
use crate::backends::{Fault, Unsupported};
use crate::ops::{Gemm, GemmI8};
use crate::tensor::{DType, ValueSpec};
pub(super) use floats::{AddRows, Dots};
use half::{bf16, f16};

/// Columns that a thread's share is a multiple of: a cache line of D at least.
const GRAIN: usize = 64;

/// A product of one row as a step.
struct Row {
    team: Team,
    layout: Layout,
    alpha: f32,
    beta: f32,
    /// The stored numbers that mean 0 in A and B.
    zeros: [i32; 2],
    /// B comes from memory, not from a cache.
    is_far: bool,
    scratch: SharedScratch,
    run: fn(&Row, &[View], &mut [ViewMut]),
}

/// Columns of one product of the batch.
struct Part<'a, A, B, D> {
    a: &'a [A],
    /// From the first of these columns on.
    b: &'a [B],
    c: Option<&'a [D]>,
    d: &'a mut [D],
}

/// The kernel for one row of A in floating point, where that is what the step is.
pub(super) fn prepare(
    team: &Team,
    op: &Gemm,
    args: &[ValueSpec],
    layout: Layout,
) -> Option<Result<Box<dyn Kernel>, Unsupported>> {
    let run = match (args[0].dtype, op.output) {
        _ if layout.dims.m != 1 => return None,
        #[cfg(target_arch = "x86_64")]
        (DType::Bf16, DType::F32) if team.isa.has_bf16() => narrow::pairs::<f32>,
        #[cfg(target_arch = "x86_64")]
        (DType::Bf16, DType::Bf16) if team.isa.has_bf16() => narrow::pairs::<bf16>,
        (DType::F32, DType::F32) => floats::<f32, f32>,
        (DType::Bf16, DType::F32) => floats::<bf16, f32>,
        (DType::Bf16, DType::Bf16) => floats::<bf16, bf16>,
        (DType::F16, DType::F32) => floats::<f16, f32>,
        (DType::F16, DType::F16) => floats::<f16, f16>,
        _ => return None,
    };
    let row = Row::new(team, layout, args[1].bytes(), run);
    let (alpha, beta) = (op.alpha as f32, op.beta as f32);
    Some(row.map(|row| Box::new(Row { alpha, beta, ..row }) as Box<dyn Kernel>))
}

/// The same in bytes, where the zero point of A leaves numbers of 8 bits.
pub(super) fn prepare_i8(
    team: &Team,
    op: &GemmI8,
    args: &[ValueSpec],
    layout: Layout,
) -> Option<Result<Box<dyn Kernel>, Unsupported>> {
    #[cfg(target_arch = "x86_64")]
    {
        let run = match (args[0].dtype, op.zero_a) {
            _ if layout.dims.m != 1 || team.isa.level() == Level::Portable => return None,
            (DType::U8, 0) => narrow::unsigned,
            (DType::U8, 128) => narrow::signed::<u8>,
            (DType::I8, 0) => narrow::signed::<i8>,
            _ => return None,
        };
        let zeros = [op.zero_a, op.zero_b];
        let row = Row::new(team, layout, args[1].bytes(), run);
        Some(row.map(|row| Box::new(Row { zeros, ..row }) as Box<dyn Kernel>))
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (team, op, args, layout);
        None
    }
}

impl Row {
    fn new(
        team: &Team,
        layout: Layout,
        bytes_of_b: u64,
        run: fn(&Row, &[View], &mut [ViewMut]),
    ) -> Result<Self, Unsupported> {
        // Half of the last cache: the rest is not B's alone.
        let is_far = team.exceeds_caches(2 * bytes_of_b);
        let [x, y] = [layout.dims.k, layout.dims.n].map(|len| len.next_multiple_of(GRAIN));
        let scratch = team.scratch(&[x, y]);
        Ok(Self { team: team.clone(), layout, alpha: 1.0, beta: 0.0, zeros: [0; 2], is_far, scratch, run })
    }

    /// Computes every part, by threads; `compute` gets a thread's scratch for x and the sums.
    fn each<A: Element, B: Element, D: Element>(
        &self,
        args: &[View],
        outs: &mut [ViewMut],
        compute: impl Fn(Part<A, B, D>, [&mut [f32]; 2]) + Sync,
    ) {
        let Self { team, layout, scratch, .. } = self;
        let (extra, k) = (team.extra, layout.dims.k);
        let (a, b, c) = (args[0].slice(), args[1].slice(), args.get(2).map(View::slice));
        let whole = Parts::new(outs[0].slice());
        team.pool.run(&|me| {
            let (batches, _, columns) = portion(layout.dims, [1, GRAIN], me.id, me.count);
            let again = columns.start..columns.start + extra.of(columns.len());
            for batch in batches {
                for columns in [&columns, &again].into_iter().filter(|columns| !columns.is_empty()) {
                    let at = layout.d_start(batch) + columns.start;
                    let b = b.get(layout.b_start(batch) + columns.start * layout.b[1]..).unwrap_or_default();
                    // SAFETY: the threads' batches or columns are disjoint.
                    let d = unsafe { whole.part(at..at + columns.len()) };
                    let part = Part { a: &a[batch * k..][..k], b, c: c.map(|c: &[D]| &c[at..]), d };
                    // SAFETY: the pool gives each thread its own number.
                    compute(part, unsafe { scratch.of(me.id) });
                }
            }
        });
    }
}

/// In f32, whatever is stored.
fn floats<T: Float, D: Float>(row: &Row, args: &[View], outs: &mut [ViewMut]) {
    let (isa, is_far, strides) = (row.team.isa, row.is_far, row.layout.b);
    let (alpha, beta) = (row.alpha, row.beta);
    row.each::<T, T, D>(args, outs, |Part { a, b, c, d }, [x, y]| {
        x.iter_mut().zip(a).for_each(|(x, a)| *x = a.to_f32());
        let (x, y) = (&x[..a.len()], &mut y[..d.len()]);
        match strides {
            [stride, 1] => isa.run(AddRows { x, b, stride, y, is_far }),
            [_, stride] => isa.run(Dots { x, b, stride, y }),
        }
        isa.run(Finish { alpha, beta, y, c, d });
    });
}

/// D = alpha y + beta C.
struct Finish<'a, D> {
    alpha: f32,
    beta: f32,
    y: &'a [f32],
    c: Option<&'a [D]>,
    d: &'a mut [D],
}

impl<D: Float> Loops for Finish<'_, D> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { alpha, beta, y, c, d } = self;
        match c {
            Some(c) => {
                for ((d, y), c) in d.iter_mut().zip(y).zip(c) {
                    *d = D::from_f32(alpha * y + beta * c.to_f32());
                }
            }
            None => {
                for (d, y) in d.iter_mut().zip(y) {
                    *d = D::from_f32(alpha * y);
                }
            }
        }
    }
}

impl Kernel for Row {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }

    fn workspace(&self) -> Result<u64, Fault> {
        self.scratch.bytes()
    }
}
