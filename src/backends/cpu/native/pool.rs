//! Max pooling: each thread takes rows of y with the windows that they stand for.

use super::Team;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::vector::Vector;
use crate::backends::{Fault, Unsupported};
use crate::ops::{MaxPool, MaxPoolGrad, PoolDims};
use crate::tensor::ValueSpec;
use std::ops::Range;

struct Pooling {
    team: Team,
    dims: PoolDims,
    run: fn(&Pooling, &[View], &mut [ViewMut]),
}

/// y from x.
pub(super) fn max_pool(team: &Team, op: &MaxPool, x: &ValueSpec) -> Result<Box<dyn Kernel>, Unsupported> {
    boxed(team, op, x, run)
}

/// dx from dy, x and y.
pub(super) fn max_pool_grad(
    team: &Team,
    op: &MaxPoolGrad,
    x: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    boxed(team, &op.forward(), x, run_grad)
}

fn boxed(
    team: &Team,
    op: &MaxPool,
    x: &ValueSpec,
    run: fn(&Pooling, &[View], &mut [ViewMut]),
) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(x).map_err(|error| Unsupported(error.to_string()))?;
    Ok(Box::new(Pooling { team: team.clone(), dims, run }))
}

/// Elements of a plane of x that belong to row `row` of y: those of its windows, and for the last row also what
/// fills none.
fn lines(dims: &PoolDims, row: usize) -> Range<usize> {
    let line = dims.size[1] * dims.channels;
    let end = if row + 1 == dims.out_size[0] { dims.size[0] } else { (row + 1) * dims.window };
    row * dims.window * line..end * line
}

/// The larger one; a NaN where there is one.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

/// One row of y.
struct Row<'a> {
    dims: PoolDims,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Loops for Row<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { dims, x, y } = self;
        let PoolDims { channels, size: [_, columns], window, .. } = dims;
        if dims.is_pairs() {
            let (upper, lower) = (x[..columns].as_chunks::<2>().0, x[columns..].as_chunks::<2>().0);
            for ((y, upper), lower) in y.iter_mut().zip(upper).zip(lower) {
                *y = larger(larger(upper[0], upper[1]), larger(lower[0], lower[1]));
            }
            return;
        }
        for (column, y) in y.chunks_exact_mut(channels).enumerate() {
            let first = column * window * channels;
            y.copy_from_slice(&x[first..][..channels]);
            for place in 1..window * window {
                let at = first + (place / window * columns + place % window) * channels;
                for (y, x) in y.iter_mut().zip(&x[at..]) {
                    *y = larger(*y, *x);
                }
            }
        }
    }
}

/// The gradient of the windows of one row of y; dx is 0.
struct Back<'a> {
    dims: PoolDims,
    dy: &'a [f32],
    x: &'a [f32],
    y: &'a [f32],
    dx: &'a mut [f32],
}

impl Loops for Back<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { dims, dy, x, y, dx } = self;
        let columns = dims.size[1];
        if dims.is_pairs() {
            let (upper, lower) = (x[..columns].as_chunks::<2>().0, x[columns..].as_chunks::<2>().0);
            let (above, below) = dx.split_at_mut(columns);
            let windows = upper.iter().zip(lower).zip(dy.iter().zip(y));
            let places = above.as_chunks_mut::<2>().0.iter_mut().zip(below.as_chunks_mut::<2>().0);
            for (((upper, lower), (dy, y)), (above, below)) in windows.zip(places) {
                let met = [upper[0] == *y, upper[1] == *y, lower[0] == *y, lower[1] == *y];
                above[0] = if met[0] { *dy } else { 0.0 };
                above[1] = if met[1] & !met[0] { *dy } else { 0.0 };
                below[0] = if met[2] & !(met[0] | met[1]) { *dy } else { 0.0 };
                below[1] = if met[3] & !(met[0] | met[1] | met[2]) { *dy } else { 0.0 };
            }
            return;
        }
        for (at, (dy, y)) in dy.iter().zip(y).enumerate() {
            let (column, channel) = (at / dims.channels, at % dims.channels);
            for place in dims.window(0, column, channel) {
                if x[place] == *y {
                    dx[place] = *dy;
                    break;
                }
            }
        }
    }
}

fn run(kernel: &Pooling, args: &[View], outs: &mut [ViewMut]) {
    let Pooling { team, dims, .. } = kernel;
    let (x, y) = (args[0].slice::<f32>(), Parts::new(outs[0].slice::<f32>()));
    let (isa, rows, each) = (team.isa, dims.out_size[0], dims.out_size[1] * dims.channels);
    team.pool.run(&|me| {
        for unit in me.share(dims.planes * rows, 1) {
            let x = &x[unit / rows * dims.plane()..][..dims.plane()];
            // SAFETY: each row of y is one thread's.
            let y = unsafe { y.part(unit * each..(unit + 1) * each) };
            isa.run(Row { dims: *dims, x: &x[lines(dims, unit % rows)], y });
        }
    });
}

fn run_grad(kernel: &Pooling, args: &[View], outs: &mut [ViewMut]) {
    let Pooling { team, dims, .. } = kernel;
    let [dy, x, y] = [0, 1, 2].map(|arg| args[arg].slice::<f32>());
    let dx = Parts::new(outs[0].slice::<f32>());
    let (isa, rows, each) = (team.isa, dims.out_size[0], dims.out_size[1] * dims.channels);
    team.pool.run(&|me| {
        for unit in me.share(dims.planes * rows, 1) {
            let (start, lines) = (unit / rows * dims.plane(), lines(dims, unit % rows));
            let lines = start + lines.start..start + lines.end;
            // SAFETY: the lines of each row of y are one thread's.
            let dx = unsafe { dx.part(lines.clone()) };
            dx.fill(0.0);
            let [dy, y] = [dy, y].map(|value| &value[unit * each..(unit + 1) * each]);
            isa.run(Back { dims: *dims, dy, x: &x[lines], y, dx });
        }
    });
}

impl Kernel for Pooling {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }
}
