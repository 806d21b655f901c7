//! Element-wise ops: each thread takes a run of elements.

use super::Team;
use crate::backends::cpu::buffer::{Element, View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::functions::gelu as gelu_of;
use crate::backends::cpu::isa::{Isa, Loops};
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::streaming;
use crate::backends::cpu::vector::Vector;
use crate::backends::{Fault, Unsupported};
use crate::ops::{self, GeluForm};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};
use std::ops::Range;

type Prepared = Result<Box<dyn Kernel>, Unsupported>;

/// Elements that a thread's run is a multiple of: two threads never write one cache line.
const GRAIN: usize = 64;

/// What becomes of two numbers.
trait Formula: Copy + Sync + 'static {
    fn of(self, x: f32, y: f32) -> f32;
}

#[derive(Clone, Copy)]
struct Scaled(f32);
impl Formula for Scaled {
    #[inline(always)]
    fn of(self, x: f32, y: f32) -> f32 {
        x + self.0 * y
    }
}

#[derive(Clone, Copy)]
struct Sum;
impl Formula for Sum {
    #[inline(always)]
    fn of(self, x: f32, y: f32) -> f32 {
        x + y
    }
}

/// gelu(x + y); a type for each form, so that the loop has no choice to make.
#[derive(Clone, Copy)]
struct GeluOf<const TANH: bool>;
impl<const TANH: bool> Formula for GeluOf<TANH> {
    #[inline(always)]
    fn of(self, x: f32, y: f32) -> f32 {
        gelu_of(if TANH { GeluForm::Tanh } else { GeluForm::Erf }, x + y)
    }
}

/// z = f(x, y).
struct Pairs<'a, T, F> {
    z: &'a mut [T],
    x: &'a [T],
    y: &'a [T],
    f: F,
}

impl<T: Float, F: Formula> Loops for Pairs<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        for ((z, x), y) in self.z.iter_mut().zip(self.x).zip(self.y) {
            *z = T::from_f32(self.f.of(x.to_f32(), y.to_f32()));
        }
    }
}

/// z = f(x, 0).
struct Single<'a, T, F> {
    z: &'a mut [T],
    x: &'a [T],
    f: F,
}

impl<T: Float, F: Formula> Loops for Single<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        for (z, x) in self.z.iter_mut().zip(self.x) {
            *z = T::from_f32(self.f.of(x.to_f32(), 0.0));
        }
    }
}

/// How the second argument runs along the first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Second {
    /// There is none.
    Absent,
    /// As long as the first.
    Whole,
    /// As long as a row, again for each row.
    Row,
}

type Run<F> = fn(&Stream<F>, &[View], &mut [ViewMut]);

struct Stream<F> {
    team: Team,
    f: F,
    second: Second,
    /// More bytes than the caches hold pass by in one execution.
    past_caches: bool,
    run: Run<F>,
}

impl<F: Formula> Stream<F> {
    fn prepare(team: &Team, f: F, second: Second, spec: &ValueSpec) -> Prepared {
        let run = match spec.dtype {
            DType::F32 => run::<f32, F>,
            DType::Bf16 => run::<bf16, F>,
            DType::F16 => run::<f16, F>,
            other => return Err(Unsupported(format!("cpu/native computes this op not on {}", other.name()))),
        };
        Ok(Box::new(Self { team: team.clone(), f, second, past_caches: false, run }))
    }
}

impl<F> Kernel for Stream<F> {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }
}

fn run<T: Float, F: Formula>(stream: &Stream<F>, args: &[View], outs: &mut [ViewMut]) {
    let (isa, f, second) = (stream.team.isa, stream.f, stream.second);
    let x = args[0].slice::<T>();
    let y = args.get(1).map_or(&[][..], View::slice::<T>);
    each_run(&stream.team, outs[0].slice::<T>(), |range, z| match second {
        Second::Absent => isa.run(Single { z, x: &x[range], f }),
        Second::Whole => isa.run(Pairs { z, x: &x[range.clone()], y: &y[range], f }),
        Second::Row => along_rows(isa, z, &x[range.clone()], (y, range.start % y.len()), f),
    });
}

/// Calls `work` on each thread with its run of `out`, and then with as much of its start as the extra
/// work asks for.
fn each_run<T: Element>(team: &Team, out: &mut [T], work: impl Fn(Range<usize>, &mut [T]) + Sync) {
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

/// z = f(x, y) where y is a row, of which element `at` comes first.
fn along_rows<T: Float, F: Formula>(isa: Isa, z: &mut [T], x: &[T], (y, mut at): (&[T], usize), f: F) {
    let mut done = 0;
    while done < z.len() {
        let count = (y.len() - at).min(z.len() - done);
        let (z, x) = (&mut z[done..done + count], &x[done..done + count]);
        isa.run(Pairs { z, x, y: &y[at..at + count], f });
        (done, at) = (done + count, 0);
    }
}

/// y = x.
pub(super) fn copy(team: &Team, spec: &ValueSpec) -> Prepared {
    let run = match spec.dtype {
        DType::F64 => run_copy::<f64>,
        DType::F32 => run_copy_f32,
        DType::I32 => run_copy::<i32>,
        DType::Bf16 => run_copy::<bf16>,
        DType::F16 => run_copy::<f16>,
        DType::I8 => run_copy::<i8>,
        DType::U8 => run_copy::<u8>,
    };
    let past_caches = 2 * spec.bytes() > team.cache;
    Ok(Box::new(Stream { team: team.clone(), f: (), second: Second::Absent, past_caches, run }))
}

fn run_copy<T: Element>(stream: &Stream<()>, args: &[View], outs: &mut [ViewMut]) {
    let x = args[0].slice::<T>();
    each_run(&stream.team, outs[0].slice::<T>(), |range, y| y.copy_from_slice(&x[range]));
}

fn run_copy_f32(stream: &Stream<()>, args: &[View], outs: &mut [ViewMut]) {
    let (x, isa) = (args[0].slice::<f32>(), stream.team.isa);
    if !stream.past_caches {
        return run_copy::<f32>(stream, args, outs);
    }
    each_run(&stream.team, outs[0].slice::<f32>(), |range, y| streaming::copy(isa, y, &x[range]));
}

/// a = b + scale c.
pub(super) fn triad(team: &Team, op: &ops::Triad, spec: &ValueSpec) -> Prepared {
    let f = Scaled(op.scale as f32);
    if spec.dtype == DType::F32 && spec.bytes().saturating_mul(3) > team.cache {
        let (team, second) = (team.clone(), Second::Whole);
        return Ok(Box::new(Stream { team, f, second, past_caches: true, run: run_triad_past }));
    }
    Stream::prepare(team, f, Second::Whole, spec)
}

fn run_triad_past(stream: &Stream<Scaled>, args: &[View], outs: &mut [ViewMut]) {
    let (isa, scale) = (stream.team.isa, stream.f.0);
    let (b, c) = (args[0].slice::<f32>(), args[1].slice::<f32>());
    each_run(&stream.team, outs[0].slice::<f32>(), |range, a| {
        streaming::triad(isa, a, &b[range.clone()], &c[range], scale);
    });
}

/// z = x + y.
pub(super) fn add(team: &Team, spec: &ValueSpec) -> Prepared {
    Stream::prepare(team, Sum, Second::Whole, spec)
}

/// y = x + bias.
pub(super) fn bias_add(team: &Team, args: &[ValueSpec]) -> Prepared {
    Stream::prepare(team, Sum, Second::Row, &args[0])
}

/// y = gelu(x).
pub(super) fn gelu(team: &Team, form: GeluForm, spec: &ValueSpec) -> Prepared {
    match form {
        GeluForm::Erf => Stream::prepare(team, GeluOf::<false>, Second::Absent, spec),
        GeluForm::Tanh => Stream::prepare(team, GeluOf::<true>, Second::Absent, spec),
    }
}

/// y = gelu(x + bias).
pub(super) fn bias_gelu(team: &Team, form: GeluForm, args: &[ValueSpec]) -> Prepared {
    match form {
        GeluForm::Erf => Stream::prepare(team, GeluOf::<false>, Second::Row, &args[0]),
        GeluForm::Tanh => Stream::prepare(team, GeluOf::<true>, Second::Row, &args[0]),
    }
}
