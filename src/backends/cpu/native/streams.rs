//! Element-wise ops: each thread takes a run of elements.

use super::Team;
use crate::backends::cpu::buffer::{Element, View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::functions::GeluFunction;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::streaming::{Formula, Same, Scaled, Walk, WalkRows};
use crate::backends::cpu::vector::Vector;
use crate::backends::{Fault, Unsupported};
use crate::float8::F8e4m3;
use crate::ops::{self, GeluForm};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};
use std::ops::Range;

pub(super) type Prepared = Result<Box<dyn Kernel>, Unsupported>;

/// Elements that a thread's run is a multiple of: two threads never write one cache line.
const GRAIN: usize = 64;

#[derive(Clone, Copy)]
pub(super) struct Sum;
impl Formula<2> for Sum {
    #[inline(always)]
    fn of<V: Vector>(&self, [x, y]: [V; 2]) -> V {
        x.add(y)
    }
}

impl Formula<1> for GeluFunction {
    #[inline(always)]
    fn of<V: Vector>(&self, [x]: [V; 1]) -> V {
        Self::of(self, x)
    }
}

/// gelu(x + y)
impl Formula<2> for GeluFunction {
    #[inline(always)]
    fn of<V: Vector>(&self, [x, y]: [V; 2]) -> V {
        Self::of(self, x.add(y))
    }
}

pub(super) type Run<F> = fn(&Stream<F>, &[View], &mut [ViewMut]);

pub(super) struct Stream<F> {
    pub(super) team: Team,
    pub(super) f: F,
    /// More bytes than the caches hold pass by in one execution.
    pub(super) past: bool,
    pub(super) run: Run<F>,
}

/// One function for each type of element.
pub(super) struct Runs<F>(pub(super) [Run<F>; 3]);

impl<F: Copy + 'static> Runs<F> {
    /// The kernel for `streams` streams like `spec`, the answer among them.
    pub(super) fn prepare(self, team: &Team, f: F, streams: u64, spec: &ValueSpec) -> Prepared {
        let run = match spec.dtype {
            DType::F32 => self.0[0],
            DType::Bf16 => self.0[1],
            DType::F16 => self.0[2],
            other => return Err(Unsupported(format!("cpu/native computes this op not on {}", other.name()))),
        };
        let past = team.exceeds_caches(spec.bytes().saturating_mul(streams));
        Ok(Box::new(Stream { team: team.clone(), f, past, run }))
    }

    /// Of streams as long as the answer.
    pub(super) fn along<const N: usize>() -> Self
    where
        F: Formula<N>,
    {
        Self([walk::<f32, F, N>, walk::<bf16, F, N>, walk::<f16, F, N>])
    }

    /// Of streams and a row, the last of `N`.
    pub(super) fn along_rows<const N: usize>() -> Self
    where
        F: Formula<N>,
    {
        Self([walk_rows::<f32, F, N>, walk_rows::<bf16, F, N>, walk_rows::<f16, F, N>])
    }
}

impl<F> Kernel for Stream<F> {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }
}

fn walk<T: Float, F: Formula<N>, const N: usize>(stream: &Stream<F>, args: &[View], outs: &mut [ViewMut]) {
    let (team, f, past) = (&stream.team, stream.f, stream.past);
    let isa = team.isa;
    let x: [&[T]; N] = std::array::from_fn(|arg| args[arg].slice());
    each_run(team, outs[0].slice::<T>(), |range, z| {
        isa.run(Walk { z, x: x.map(|x| &x[range.clone()]), f, past });
    });
}

fn walk_rows<T: Float, F: Formula<N>, const N: usize>(
    stream: &Stream<F>,
    args: &[View],
    outs: &mut [ViewMut],
) {
    let (team, f, past) = (&stream.team, stream.f, stream.past);
    let isa = team.isa;
    let x: [&[T]; N] = std::array::from_fn(|arg| args[arg].slice());
    each_run(team, outs[0].slice::<T>(), |range, z| {
        let at = range.start % x[N - 1].len();
        let mut x = x;
        x[..N - 1].iter_mut().for_each(|stream| *stream = &stream[range.clone()]);
        isa.run(WalkRows { walk: Walk { z, x, f, past }, at });
    });
}

/// Calls `work` on each thread with its run of `out`, and then with as much of its start as the extra
/// work asks for.
pub(super) fn each_run<T: Element>(team: &Team, out: &mut [T], work: impl Fn(Range<usize>, &mut [T]) + Sync) {
    let (len, whole, extra) = (out.len(), Parts::new(out), team.extra);
    team.pool.run(&|me| {
        let range = me.share(len, GRAIN);
        let again = range.start..range.start + extra.of(range.len());
        for range in [range, again] {
            // SAFETY: the shares of a team are disjoint, and this one's parts are used in turn.
            work(range.clone(), unsafe { whole.part(range) });
        }
    });
}

/// y = x.
pub(super) fn copy(team: &Team, spec: &ValueSpec) -> Prepared {
    let run = match spec.dtype {
        DType::F32 => return Runs::along::<1>().prepare(team, Same, 2, spec),
        DType::F64 => run_copy::<f64>,
        DType::I32 => run_copy::<i32>,
        DType::Bf16 => run_copy::<bf16>,
        DType::F16 => run_copy::<f16>,
        DType::F8e4m3 => run_copy::<F8e4m3>,
        DType::I8 => run_copy::<i8>,
        DType::U8 => run_copy::<u8>,
    };
    Ok(Box::new(Stream { team: team.clone(), f: Same, past: false, run }))
}

fn run_copy<T: Element>(stream: &Stream<Same>, args: &[View], outs: &mut [ViewMut]) {
    let x = args[0].slice::<T>();
    each_run(&stream.team, outs[0].slice::<T>(), |range, y| y.copy_from_slice(&x[range]));
}

/// a = b + scale c.
pub(super) fn triad(team: &Team, op: &ops::Triad, spec: &ValueSpec) -> Prepared {
    Runs::along::<2>().prepare(team, Scaled(op.scale as f32), 3, spec)
}

/// z = x + y.
pub(super) fn add(team: &Team, spec: &ValueSpec) -> Prepared {
    Runs::along::<2>().prepare(team, Sum, 3, spec)
}

/// y = x + bias.
pub(super) fn bias_add(team: &Team, args: &[ValueSpec]) -> Prepared {
    Runs::along_rows::<2>().prepare(team, Sum, 2, &args[0])
}

/// y = gelu(x).
pub(super) fn gelu(team: &Team, form: GeluForm, spec: &ValueSpec) -> Prepared {
    Runs::along::<1>().prepare(team, GeluFunction::new(form), 2, spec)
}

/// y = gelu(x + bias).
pub(super) fn bias_gelu(team: &Team, form: GeluForm, args: &[ValueSpec]) -> Prepared {
    Runs::along_rows::<2>().prepare(team, GeluFunction::new(form), 2, &args[0])
}
