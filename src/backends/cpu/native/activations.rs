//! Element-wise ops of training: activations, their gradients, factors, types, and dropout.

use super::Team;
use super::streams::{Prepared, Run, Runs, Stream, each_run};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::functions::{GeluSlope, tanh as tanh_of};
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::streaming::{Formula, Same, Times, Walk};
use crate::backends::cpu::vector::Vector;
use crate::ops::{Dropout, GeluForm, Scale};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// max(x, 0), and max(x + y, 0).
#[derive(Clone, Copy)]
struct Rectified;
impl Formula<1> for Rectified {
    #[inline(always)]
    fn of<V: Vector>(&self, [x]: [V; 1]) -> V {
        V::splat(0.0).max(x)
    }
}
impl Formula<2> for Rectified {
    #[inline(always)]
    fn of<V: Vector>(&self, [x, y]: [V; 2]) -> V {
        V::splat(0.0).max(x.add(y))
    }
}

/// dy where y > 0.
#[derive(Clone, Copy)]
struct Gate;
impl Formula<2> for Gate {
    #[inline(always)]
    fn of<V: Vector>(&self, [dy, y]: [V; 2]) -> V {
        y.where_positive(dy, V::splat(0.0))
    }
}

#[derive(Clone, Copy)]
struct Tanh;
impl Formula<1> for Tanh {
    #[inline(always)]
    fn of<V: Vector>(&self, [x]: [V; 1]) -> V {
        tanh_of(x)
    }
}

/// dy (1 - y^2)
#[derive(Clone, Copy)]
struct TanhSlope;
impl Formula<2> for TanhSlope {
    #[inline(always)]
    fn of<V: Vector>(&self, [dy, y]: [V; 2]) -> V {
        dy.mul(V::splat(1.0).sub(y.mul(y)))
    }
}

/// dy gelu'(x), and dy gelu'(x + bias).
impl Formula<2> for GeluSlope {
    #[inline(always)]
    fn of<V: Vector>(&self, [dy, x]: [V; 2]) -> V {
        dy.mul(Self::of(self, x))
    }
}
impl Formula<3> for GeluSlope {
    #[inline(always)]
    fn of<V: Vector>(&self, [dy, x, bias]: [V; 3]) -> V {
        dy.mul(Self::of(self, x.add(bias)))
    }
}

/// y = max(x, 0).
pub(super) fn relu(team: &Team, spec: &ValueSpec) -> Prepared {
    Runs::along::<1>().prepare(team, Rectified, 2, spec)
}

/// y = max(x + bias, 0).
pub(super) fn bias_relu(team: &Team, args: &[ValueSpec]) -> Prepared {
    Runs::along_rows::<2>().prepare(team, Rectified, 2, &args[0])
}

/// dx = dy where y > 0.
pub(super) fn relu_grad(team: &Team, spec: &ValueSpec) -> Prepared {
    Runs::along::<2>().prepare(team, Gate, 3, spec)
}

/// y = tanh(x).
pub(super) fn tanh(team: &Team, spec: &ValueSpec) -> Prepared {
    Runs::along::<1>().prepare(team, Tanh, 2, spec)
}

/// dx = dy (1 - y^2).
pub(super) fn tanh_grad(team: &Team, spec: &ValueSpec) -> Prepared {
    Runs::along::<2>().prepare(team, TanhSlope, 3, spec)
}

/// dx = dy gelu'(x).
pub(super) fn gelu_grad(team: &Team, form: GeluForm, spec: &ValueSpec) -> Prepared {
    Runs::along::<2>().prepare(team, GeluSlope(form), 3, spec)
}

/// dx = dy gelu'(x + bias).
pub(super) fn bias_gelu_grad(team: &Team, form: GeluForm, spec: &ValueSpec) -> Prepared {
    Runs::along_rows::<3>().prepare(team, GeluSlope(form), 3, spec)
}

/// y = a x.
pub(super) fn scale(team: &Team, op: &Scale, spec: &ValueSpec) -> Prepared {
    Runs::along::<1>().prepare(team, Times(op.factor as f32), 2, spec)
}

/// y = x in another type.
pub(super) fn cast(team: &Team, x: DType, y: DType, spec: &ValueSpec) -> Prepared {
    let run: Run<Same> = match (x, y) {
        (DType::F32, DType::Bf16) => convert::<f32, bf16>,
        (DType::F32, DType::F16) => convert::<f32, f16>,
        (DType::Bf16, DType::F32) => convert::<bf16, f32>,
        (DType::F16, DType::F32) => convert::<f16, f32>,
        (x, y) => {
            return Err(Unsupported(format!("cpu/native has no cast from {} to {}", x.name(), y.name())));
        }
    };
    let past = team.exceeds_caches(spec.bytes().saturating_mul(2));
    Ok(Box::new(Stream { team: team.clone(), f: Same, past, run }))
}

fn convert<X: Float, Y: Float>(stream: &Stream<Same>, args: &[View], outs: &mut [ViewMut]) {
    let (team, f, past) = (&stream.team, stream.f, stream.past);
    let (isa, x) = (team.isa, args[0].slice::<X>());
    each_run(team, outs[0].slice::<Y>(), |range, z| isa.run(Walk { z, x: [&x[range]], f, past }));
}

/// What an execution of dropout knows beside its step.
#[derive(Clone, Copy)]
struct Mask {
    seed: u64,
    threshold: u32,
    factor: f32,
}

/// Elements from number `first` on.
struct Drop<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
    first: usize,
    key: u64,
    mask: Mask,
}

impl<T: Float> Loops for Drop<'_, T> {
    type Output = ();
    // Numbers of 64 bits are no vectors here: the compiler makes them so where the processor multiplies them.
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { x, y, first, key, mask: Mask { threshold, factor, .. } } = self;
        for (place, (y, x)) in y.iter_mut().zip(x).enumerate() {
            let kept = if Dropout::stays(key, first + place, threshold) { factor } else { 0.0 };
            *y = T::from_f32(if kept == 0.0 { 0.0 } else { x.to_f32() * kept });
        }
    }
}

/// y = x / (1 - rate), or 0.
pub(super) fn dropout(team: &Team, op: &Dropout, spec: &ValueSpec) -> Prepared {
    let mask = Mask { seed: op.seed, threshold: op.threshold(), factor: op.factor() as f32 };
    Runs([drop_some::<f32>, drop_some::<bf16>, drop_some::<f16>]).prepare(team, mask, 2, spec)
}

fn drop_some<T: Float>(stream: &Stream<Mask>, args: &[View], outs: &mut [ViewMut]) {
    let (team, mask) = (&stream.team, stream.f);
    let (isa, x, step) = (team.isa, args[0].slice::<T>(), args[1].slice::<i32>()[0]);
    let key = Dropout::key_of(mask.seed, step);
    each_run(team, outs[0].slice::<T>(), |range, y| {
        isa.run(Drop { first: range.start, x: &x[range], y, key, mask });
    });
}
