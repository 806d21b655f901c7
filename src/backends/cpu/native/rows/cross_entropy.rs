//! The loss of a classifier and its gradient: one pass over the scores for the largest, one for the sum, and one
//! for the gradient.

use super::softmax::Largest;
use super::{Fold, Rows, fold};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::functions::{exp, exp_of_difference};
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::streaming::{Formula, Walk};
use crate::backends::cpu::vector::Vector;
use crate::ops::{CrossEntropy, CrossEntropyGrad};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// The sum of e^(x - max).
struct Powers<V>(V);
impl<V: Vector> Fold<V> for Powers<V> {
    const START: f32 = 0.0;
    const REST: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    fn prepare(&self, x: V) -> V {
        x
    }
    #[inline(always)]
    fn each(&mut self, sum: V, x: V, _: usize) -> V {
        sum.add(exp_of_difference(x.sub(self.0)))
    }
    #[inline(always)]
    fn join(a: V, b: V) -> V {
        a.add(b)
    }
}

/// scale e^(x - lse)
#[derive(Clone, Copy)]
struct Weight {
    lse: f32,
    scale: f32,
}
impl Formula<1> for Weight {
    #[inline(always)]
    fn of<V: Vector>(&self, [x]: [V; 1]) -> V {
        exp(x.sub(V::splat(self.lse))).mul(V::splat(self.scale))
    }
}

/// A thread's rows.
struct Run<'a, T> {
    x: &'a [T],
    labels: &'a [i32],
    losses: &'a mut [f32],
    log_sums: &'a mut [f32],
}

impl<T: Float> Loops for Run<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let columns = self.x.len() / self.labels.len().max(1);
        for (row, label) in self.labels.iter().enumerate() {
            let x = &self.x[row * columns..][..columns];
            let max = fold(x, Largest::<V, false>(V::splat(1.0))).largest();
            let log_sum = max + fold(x, Powers(V::splat(max))).sum().ln();
            let score = usize::try_from(*label).map_or(log_sum, |label| x[label].to_f32());
            (self.losses[row], self.log_sums[row]) = (log_sum - score, log_sum);
        }
    }
}

/// The same of the gradient.
struct Back<'a, T> {
    x: &'a [T],
    labels: &'a [i32],
    log_sums: &'a [f32],
    dx: &'a mut [T],
    scale: f32,
    past: bool,
}

impl<T: Float> Loops for Back<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { scale, past, .. } = self;
        let columns = self.x.len() / self.labels.len().max(1);
        for (row, label) in self.labels.iter().enumerate() {
            let range = row * columns..(row + 1) * columns;
            let (x, dx, lse) = (&self.x[range.clone()], &mut self.dx[range], self.log_sums[row]);
            let Ok(label) = usize::try_from(*label) else {
                dx.fill(T::from_f32(0.0));
                continue;
            };
            Walk { z: &mut *dx, x: [x], f: Weight { lse, scale }, past }.one_of_many::<V>();
            V::fence();
            dx[label] = T::from_f32(scale * ((x[label].to_f32() - lse).exp() - 1.0));
        }
    }
}

/// Losses and log-sum-exps.
pub(in super::super) fn cross_entropy(
    team: &Team,
    op: &CrossEntropy,
    spec: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match spec.dtype {
        DType::F32 => run::<f32>,
        DType::Bf16 => run::<bf16>,
        DType::F16 => run::<f16>,
        other => return Err(Unsupported(format!("cpu/native has no cross_entropy of {}", other.name()))),
    };
    Rows::boxed(team, op.clone(), spec, [], run)
}

fn run<T: Float>(kernel: &Rows<CrossEntropy>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, matrix: [_, columns], .. } = kernel;
    let (x, labels) = (args[0].slice::<T>(), args[1].slice::<i32>());
    let [losses, log_sums] = outs else { return };
    let [losses, log_sums] = [losses, log_sums].map(|out| Parts::new(out.slice::<f32>()));
    let isa = team.isa;
    team.pool.run(&|me| {
        let rows = me.share(labels.len(), 1);
        isa.run(Run {
            x: &x[rows.start * columns..rows.end * columns],
            labels: &labels[rows.clone()],
            // SAFETY: each row is one thread's.
            losses: unsafe { losses.part(rows.clone()) },
            // SAFETY: as above.
            log_sums: unsafe { log_sums.part(rows) },
        });
    });
}

/// dx = scale (e^(x - lse) - (1 at the label)).
pub(in super::super) fn cross_entropy_grad(
    team: &Team,
    op: &CrossEntropyGrad,
    spec: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match spec.dtype {
        DType::F32 => run_back::<f32>,
        DType::Bf16 => run_back::<bf16>,
        DType::F16 => run_back::<f16>,
        other => {
            return Err(Unsupported(format!("cpu/native has no cross_entropy_grad of {}", other.name())));
        }
    };
    Rows::boxed(team, op.clone(), spec, [], run)
}

fn run_back<T: Float>(kernel: &Rows<CrossEntropyGrad>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, op, matrix: [_, columns], past, .. } = kernel;
    let (x, labels, log_sums) = (args[0].slice::<T>(), args[1].slice::<i32>(), args[2].slice::<f32>());
    let dx = Parts::new(outs[0].slice::<T>());
    let (isa, scale, past) = (team.isa, op.scale as f32, *past);
    team.pool.run(&|me| {
        let rows = me.share(labels.len(), 1);
        let range = rows.start * columns..rows.end * columns;
        isa.run(Back {
            x: &x[range.clone()],
            labels: &labels[rows.clone()],
            log_sums: &log_sums[rows],
            // SAFETY: each row is one thread's.
            dx: unsafe { dx.part(range) },
            scale,
            past,
        });
    });
}
