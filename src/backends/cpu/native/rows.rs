//! Ops over rows: each thread takes a run of rows and holds one row in f32.

use super::Team;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::functions::exp;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::parts::{Parts, TeamScratch};
use crate::backends::cpu::vector::Vector;
use crate::backends::{Fault, Unsupported};
use crate::ops::{LayerNorm, Softmax};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// Folds all elements of `x` in several chains: `each` and `last` take a partial result and elements, as a
/// vector and one by one, and `join` two partial results.
#[inline(always)]
fn fold<V: Vector>(
    x: &[f32],
    start: f32,
    (each, last): (impl Fn(V, V) -> V, impl Fn(f32, f32) -> f32),
    join: impl Fn(f32, f32) -> f32,
) -> f32 {
    const CHAINS: usize = 4;
    let mut chains = [V::splat(start); CHAINS];
    let mut blocks = x.chunks_exact(CHAINS * V::LANES);
    for block in &mut blocks {
        for (chain, x) in chains.iter_mut().zip(block.chunks_exact(V::LANES)) {
            *chain = each(*chain, V::load(x));
        }
    }
    let mut total = blocks.remainder().iter().fold(start, |sum, x| last(sum, *x));
    for chain in chains {
        let mut lanes = [start; 16];
        chain.store(&mut lanes);
        total = lanes[..V::LANES].iter().fold(total, |sum, x| join(sum, *x));
    }
    total
}

#[inline(always)]
fn sum<V: Vector>(x: &[f32]) -> f32 {
    fold(x, 0.0, (V::add, |sum, x| sum + x), |sum, x| sum + x)
}

#[inline(always)]
fn sum_of_squares<V: Vector>(x: &[f32]) -> f32 {
    let each = |sum, x: V| x.multiply_add(x, sum);
    fold(x, 0.0, (each, |sum, x| x * x + sum), |sum, x| sum + x)
}

/// Replaces scores by their exponentials over the sum of these; returns the logarithm of that sum.
pub(super) struct Exponentials<'a>(pub(super) &'a mut [f32]);

impl Loops for Exponentials<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<V: Vector>(self) -> f32 {
        let max = fold(self.0, f32::NEG_INFINITY, (V::max, f32::max), f32::max);
        self.0.iter_mut().for_each(|score| *score = exp(*score - max));
        let sum = sum::<V>(self.0);
        let factor = 1.0 / sum;
        self.0.iter_mut().for_each(|weight| *weight *= factor);
        max + sum.ln()
    }
}

/// to = scale from, widened.
struct Widen<'a, T>(&'a mut [f32], &'a [T], f32);

impl<T: Float> Loops for Widen<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        self.0.iter_mut().zip(self.1).for_each(|(to, from)| *to = self.2 * from.to_f32());
    }
}

/// to = from, rounded.
pub(super) struct Narrow<'a, T>(pub(super) &'a mut [T], pub(super) &'a [f32]);

impl<T: Float> Loops for Narrow<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        self.0.iter_mut().zip(self.1).for_each(|(to, from)| *to = T::from_f32(*from));
    }
}

type Run<O> = fn(&Rows<O>, &[View], &mut [ViewMut]);

struct Rows<O> {
    team: Team,
    op: O,
    /// Rows of one matrix, and columns.
    matrix: [usize; 2],
    /// A row for each thread.
    scratch: TeamScratch,
    run: Run<O>,
}

impl<O> Rows<O> {
    fn boxed(team: &Team, op: O, spec: &ValueSpec, run: Run<O>) -> Result<Box<dyn Kernel>, Unsupported>
    where
        O: 'static,
    {
        let rows = if spec.shape.len() >= 2 { spec.shape[spec.shape.len() - 2] } else { 1 };
        let scratch = team.scratch(&[spec.columns()])?;
        Ok(Box::new(Self { team: team.clone(), op, matrix: [rows, spec.columns()], scratch, run }))
    }
}

impl<O> Kernel for Rows<O> {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }

    fn workspace(&self) -> u64 {
        self.scratch.bytes()
    }
}

/// Softmax, with scale and mask.
pub(super) fn softmax(team: &Team, op: &Softmax, spec: &ValueSpec) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match (spec.dtype, op.output) {
        (DType::F32, DType::F32) => run_softmax::<f32, f32>,
        (DType::F32, DType::Bf16) => run_softmax::<f32, bf16>,
        (DType::F32, DType::F16) => run_softmax::<f32, f16>,
        (DType::Bf16, DType::Bf16) => run_softmax::<bf16, bf16>,
        (DType::F16, DType::F16) => run_softmax::<f16, f16>,
        (x, y) => {
            return Err(Unsupported(format!("cpu/native has no softmax from {} to {}", x.name(), y.name())));
        }
    };
    Rows::boxed(team, op.clone(), spec, run)
}

fn run_softmax<X: Float, Y: Float>(kernel: &Rows<Softmax>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, op, matrix: [rows, columns], scratch, .. } = kernel;
    let (isa, columns, scale) = (team.isa, *columns, op.scale as f32);
    let x = args[0].slice::<X>();
    let [y, log_sums @ ..] = outs else { return };
    let y = Parts::new(y.slice::<Y>());
    let log_sums = log_sums.first_mut().map(|sums| Parts::new(sums.slice::<f32>()));
    team.pool.run(&|me| {
        // SAFETY: the pool gives each thread its own number.
        let [scores] = unsafe { scratch.of(me.id) };
        for row in me.share(x.len() / columns, 1) {
            let seen = if op.causal { row % rows + 1 + columns - rows } else { columns };
            let scores = &mut scores[..seen];
            isa.run(Widen(scores, &x[row * columns..], scale));
            let log_sum = isa.run(Exponentials(scores));
            // SAFETY: each row is one thread's.
            let y = unsafe { y.part(row * columns..(row + 1) * columns) };
            isa.run(Narrow(&mut y[..seen], scores));
            y[seen..].fill(Y::from_f32(0.0));
            if let Some(log_sums) = &log_sums {
                // SAFETY: as above.
                unsafe { log_sums.write(row, log_sum) };
            }
        }
    });
}

/// Mean and reciprocal deviation of a row, which becomes normal.
struct Normalize<'a>(&'a mut [f32], f32);

impl Loops for Normalize<'_> {
    type Output = (f32, f32);
    #[inline(always)]
    fn run<V: Vector>(self) -> (f32, f32) {
        let Self(x, eps) = self;
        let count = x.len() as f32;
        let mean = sum::<V>(x) / count;
        x.iter_mut().for_each(|x| *x -= mean);
        let rstd = 1.0 / (sum_of_squares::<V>(x) / count + eps).sqrt();
        x.iter_mut().for_each(|x| *x *= rstd);
        (mean, rstd)
    }
}

/// to = from gain + bias, rounded.
struct Affine<'a, T>(&'a mut [T], &'a [f32], [&'a [T]; 2]);

impl<T: Float> Loops for Affine<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self(to, from, [gain, bias]) = self;
        for (((to, from), gain), bias) in to.iter_mut().zip(from).zip(gain).zip(bias) {
            *to = T::from_f32(V::scalar_multiply_add(*from, gain.to_f32(), bias.to_f32()));
        }
    }
}

/// Layer normalisation.
pub(super) fn layer_norm(
    team: &Team,
    op: &LayerNorm,
    spec: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match spec.dtype {
        DType::F32 => run_layer_norm::<f32>,
        DType::Bf16 => run_layer_norm::<bf16>,
        DType::F16 => run_layer_norm::<f16>,
        other => return Err(Unsupported(format!("cpu/native has no layer_norm of {}", other.name()))),
    };
    Rows::boxed(team, op.clone(), spec, run)
}

fn run_layer_norm<T: Float>(kernel: &Rows<LayerNorm>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, op, matrix: [_, columns], scratch, .. } = kernel;
    let (isa, columns, eps) = (team.isa, *columns, op.eps as f32);
    let [x, gain, bias] = [0, 1, 2].map(|arg| args[arg].slice::<T>());
    let [y, means, rstds] = outs else { return };
    let y = Parts::new(y.slice::<T>());
    let [means, rstds] = [means, rstds].map(|out| Parts::new(out.slice::<f32>()));
    team.pool.run(&|me| {
        // SAFETY: the pool gives each thread its own number.
        let [normal] = unsafe { scratch.of(me.id) };
        for row in me.share(x.len() / columns, 1) {
            let range = row * columns..(row + 1) * columns;
            isa.run(Widen(normal, &x[range.clone()], 1.0));
            let (mean, rstd) = isa.run(Normalize(normal, eps));
            // SAFETY: each row is one thread's.
            isa.run(Affine(unsafe { y.part(range) }, normal, [gain, bias]));
            // SAFETY: as above.
            unsafe { means.write(row, mean) };
            // SAFETY: as above.
            unsafe { rstds.write(row, rstd) };
        }
    });
}
