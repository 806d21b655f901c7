//! The gradient of softmax.

use super::{Rows, load, store};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::vector::Vector;
use crate::ops::SoftmaxGrad;
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// A thread's rows.
struct Run<'a, D, Y> {
    dy: &'a [D],
    y: &'a [Y],
    dx: &'a mut [Y],
    columns: usize,
    scale: f32,
}

impl<D: Float, Y: Float> Loops for Run<'_, D, Y> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { dy, y, dx, columns, scale } = self;
        let args = dy.chunks_exact(columns).zip(y.chunks_exact(columns));
        for ((dy, y), dx) in args.zip(dx.chunks_exact_mut(columns)) {
            let sum = V::splat(dot::<V, D, Y>(dy, y));
            for at in (0..columns).step_by(V::LANES) {
                let (dy, y): (V, V) = (load(dy, at), load(y, at));
                store(y.mul(V::splat(scale)).mul(dy.sub(sum)), dx, at);
            }
        }
    }
}

/// The sum of x y, in several chains.
#[inline(always)]
pub(in super::super) fn dot<V: Vector, X: Float, Y: Float>(x: &[X], y: &[Y]) -> f32 {
    let (mut even, mut odd) = (V::splat(0.0), V::splat(0.0));
    let pairs = x.len() / (2 * V::LANES) * 2 * V::LANES;
    for at in (0..pairs).step_by(2 * V::LANES) {
        even = load::<V, X>(x, at).multiply_add(load(y, at), even);
        odd = load::<V, X>(x, at + V::LANES).multiply_add(load(y, at + V::LANES), odd);
    }
    for at in (pairs..x.len()).step_by(V::LANES) {
        even = load::<V, X>(x, at).multiply_add(load(y, at), even);
    }
    even.add(odd).sum()
}

/// dx = scale y (dy - sum of dy y).
pub(in super::super) fn softmax_grad(
    team: &Team,
    op: &SoftmaxGrad,
    args: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match (args[0].dtype, args[1].dtype) {
        (DType::F32, DType::F32) => run::<f32, f32>,
        (DType::F32, DType::Bf16) => run::<f32, bf16>,
        (DType::F32, DType::F16) => run::<f32, f16>,
        (DType::Bf16, DType::Bf16) => run::<bf16, bf16>,
        (DType::F16, DType::F16) => run::<f16, f16>,
        (dy, y) => {
            let types = format!("{} and {}", dy.name(), y.name());
            return Err(Unsupported(format!("cpu/native has no softmax_grad of {types}")));
        }
    };
    Rows::boxed(team, op.clone(), &args[1], [], run)
}

fn run<D: Float, Y: Float>(kernel: &Rows<SoftmaxGrad>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, op, matrix: [_, columns], .. } = kernel;
    let (isa, columns, scale) = (team.isa, *columns, op.scale as f32);
    let (dy, y) = (args[0].slice::<D>(), args[1].slice::<Y>());
    let dx = Parts::new(outs[0].slice::<Y>());
    team.pool.run(&|me| {
        let rows = me.share(y.len() / columns, 1);
        let range = rows.start * columns..rows.end * columns;
        // SAFETY: each row is one thread's.
        let dx = unsafe { dx.part(range.clone()) };
        isa.run(Run { dy: &dy[range.clone()], y: &y[range], dx, columns, scale });
    });
}
