//! The gradients of layer normalisation.

use super::column_sum::{add, block_of, gather};
use super::{Rows, load, store};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::vector::Vector;
use crate::ops::{LayerNormGrad, LayerNormParamGrad};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// A thread's rows of dy and x with their statistics.
#[derive(Clone, Copy)]
struct Args<'a, T> {
    dy: &'a [T],
    x: &'a [T],
    means: &'a [f32],
    rstds: &'a [f32],
    columns: usize,
}

impl<'a, T> Args<'a, T> {
    fn row(&self, row: usize) -> (&'a [T], &'a [T]) {
        let range = row * self.columns..(row + 1) * self.columns;
        (&self.dy[range.clone()], &self.x[range])
    }
}

/// The gradient of x.
struct Run<'a, T> {
    args: Args<'a, T>,
    gain: &'a [T],
    dx: &'a mut [T],
}

impl<T: Float> Loops for Run<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { args, gain, dx } = self;
        let columns = args.columns;
        for (row, dx) in dx.chunks_exact_mut(columns).enumerate() {
            let ((dy, x), mean, rstd) = (args.row(row), args.means[row], args.rstds[row]);
            let (factor, shift) = (V::splat(rstd), V::splat(-mean * rstd));
            let (mut of_g, mut of_gn) = (V::splat(0.0), V::splat(0.0));
            // Where the row ends, g is 0, so that n does not count.
            for at in (0..columns).step_by(V::LANES) {
                let g = load::<V, T>(dy, at).mul(load(gain, at));
                let n = load::<V, T>(x, at).multiply_add(factor, shift);
                of_g = of_g.add(g);
                of_gn = g.multiply_add(n, of_gn);
            }
            let share = 1.0 / columns as f32;
            let (of_g, of_gn) = (V::splat(-share * of_g.sum()), V::splat(-share * of_gn.sum()));
            for at in (0..columns).step_by(V::LANES) {
                let g = load::<V, T>(dy, at).mul(load(gain, at));
                let n = load::<V, T>(x, at).multiply_add(factor, shift);
                store(n.multiply_add(of_gn, g.add(of_g)).mul(factor), dx, at);
            }
        }
    }
}

/// The gradients of gain and bias: sums of a block of rows, and of all blocks.
struct Params<'a, T> {
    args: Args<'a, T>,
    block: [&'a mut [f32]; 2],
    sums: [&'a mut [f32]; 2],
}

impl<T: Float> Loops for Params<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { args, block: [gain, bias], sums: [gains, biases] } = self;
        let (columns, rows) = (args.columns, args.means.len());
        gains.fill(0.0);
        biases.fill(0.0);
        let each = block_of(rows);
        for first in (0..rows).step_by(each) {
            gain.fill(0.0);
            bias.fill(0.0);
            for row in first..(first + each).min(rows) {
                let ((dy, x), mean, rstd) = (args.row(row), args.means[row], args.rstds[row]);
                let (factor, shift) = (V::splat(rstd), V::splat(-mean * rstd));
                for at in (0..columns).step_by(V::LANES) {
                    let (dy, x): (V, V) = (load(dy, at), load(x, at));
                    let n = x.multiply_add(factor, shift);
                    store(dy.multiply_add(n, load::<V, f32>(gain, at)), gain, at);
                    store(load::<V, f32>(bias, at).add(dy), bias, at);
                }
            }
            add::<V, f32>(gain, gains);
            add::<V, f32>(bias, biases);
        }
    }
}

/// The gradient of x.
pub(in super::super) fn layer_norm_grad(
    team: &Team,
    op: &LayerNormGrad,
    spec: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match spec.dtype {
        DType::F32 => run::<f32>,
        DType::Bf16 => run::<bf16>,
        DType::F16 => run::<f16>,
        other => return Err(Unsupported(format!("cpu/native has no layer_norm_grad of {}", other.name()))),
    };
    Rows::boxed(team, op.clone(), spec, [], run)
}

fn run<T: Float>(kernel: &Rows<LayerNormGrad>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, matrix: [_, columns], .. } = kernel;
    let (isa, columns) = (team.isa, *columns);
    let ([dy, x], gain) = ([0, 1].map(|arg| args[arg].slice::<T>()), args[4].slice::<T>());
    let [means, rstds] = [2, 3].map(|arg| args[arg].slice::<f32>());
    let dx = Parts::new(outs[0].slice::<T>());
    team.pool.run(&|me| {
        let rows = me.share(means.len(), 1);
        let range = rows.start * columns..rows.end * columns;
        let args = Args {
            dy: &dy[range.clone()],
            x: &x[range.clone()],
            means: &means[rows.clone()],
            rstds: &rstds[rows],
            columns,
        };
        // SAFETY: each row is one thread's.
        isa.run(Run { args, gain, dx: unsafe { dx.part(range) } });
    });
}

/// The gradients of gain and bias.
pub(in super::super) fn layer_norm_param_grad(
    team: &Team,
    op: &LayerNormParamGrad,
    spec: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match spec.dtype {
        DType::F32 => run_params::<f32>,
        DType::Bf16 => run_params::<bf16>,
        DType::F16 => run_params::<f16>,
        other => {
            return Err(Unsupported(format!("cpu/native has no layer_norm_param_grad of {}", other.name())));
        }
    };
    Rows::boxed(team, op.clone(), spec, [spec.columns(); 4], run)
}

fn run_params<T: Float>(kernel: &Rows<LayerNormParamGrad>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, matrix: [_, columns], scratch, .. } = kernel;
    let (isa, columns) = (team.isa, *columns);
    let [dy, x] = [0, 1].map(|arg| args[arg].slice::<T>());
    let [means, rstds] = [2, 3].map(|arg| args[arg].slice::<f32>());
    team.pool.run(&|me| {
        let rows = me.share(means.len(), 1);
        let range = rows.start * columns..rows.end * columns;
        let args = Args {
            dy: &dy[range.clone()],
            x: &x[range],
            means: &means[rows.clone()],
            rstds: &rstds[rows],
            columns,
        };
        // SAFETY: the pool gives each thread its own number.
        let [a, b, gains, biases] = unsafe { scratch.of(me.id) }.map(|row| &mut row[..columns]);
        isa.run(Params { args, block: [a, b], sums: [gains, biases] });
    });
    let threads = team.pool.threads();
    gather::<4>(scratch, threads, 2, outs[0].slice::<f32>());
    gather::<4>(scratch, threads, 3, outs[1].slice::<f32>());
}
