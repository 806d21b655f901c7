//! Sums of columns: each thread adds up its rows in blocks, so that long sums keep their digits, and then the
//! threads' sums are added. And sums of channels, each one thread's.

use super::{Fold, Rows, fold, load, store};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::native::scratch::SharedScratch;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::vector::Vector;
use crate::ops::{ChannelSum, ColumnSum};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// Rows of a block: with as many blocks, both sums of a column are as short as can be.
pub(super) fn block_of(rows: usize) -> usize {
    rows.isqrt().max(64)
}

/// A thread's rows.
struct Run<'a, T> {
    x: &'a [T],
    block: &'a mut [f32],
    sums: &'a mut [f32],
}

impl<T: Float> Loops for Run<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { x, block, sums } = self;
        let columns = sums.len();
        sums.fill(0.0);
        for x in x.chunks(block_of(x.len() / columns) * columns) {
            block.fill(0.0);
            let mut fours = x.chunks_exact(4 * columns);
            for rows in &mut fours {
                let ((a, b), (c, d)) =
                    (rows[..2 * columns].split_at(columns), rows[2 * columns..].split_at(columns));
                for at in (0..columns).step_by(V::LANES) {
                    let (low, high) =
                        (load::<V, T>(a, at).add(load(b, at)), load::<V, T>(c, at).add(load(d, at)));
                    store(load::<V, f32>(block, at).add(low.add(high)), block, at);
                }
            }
            for row in fours.remainder().chunks_exact(columns) {
                add::<V, T>(row, block);
            }
            add::<V, f32>(block, sums);
        }
    }
}

/// Adds a row to sums.
#[inline(always)]
pub(super) fn add<V: Vector, T: Float>(row: &[T], to: &mut [f32]) {
    for at in (0..to.len()).step_by(V::LANES) {
        store(load::<V, f32>(to, at).add(load(row, at)), to, at);
    }
}

/// Adds up what each thread left in buffer number `BUFFER` of its scratch, of which there are `COUNT`.
pub(super) fn gather<const COUNT: usize>(
    scratch: &SharedScratch,
    threads: usize,
    buffer: usize,
    to: &mut [f32],
) {
    to.fill(0.0);
    for thread in 0..threads {
        // SAFETY: the team is back, and nobody else asks.
        let buffers: [&mut [f32]; COUNT] = unsafe { scratch.of(thread) };
        to.iter_mut().zip(&*buffers[buffer]).for_each(|(to, part)| *to += part);
    }
}

/// The sum of all rows.
pub(in super::super) fn column_sum(
    team: &Team,
    op: &ColumnSum,
    spec: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match spec.dtype {
        DType::F32 => run::<f32>,
        DType::Bf16 => run::<bf16>,
        DType::F16 => run::<f16>,
        other => return Err(Unsupported(format!("cpu/native has no column_sum of {}", other.name()))),
    };
    Rows::boxed(team, op.clone(), spec, [spec.columns(); 2], run)
}

fn run<T: Float>(kernel: &Rows<ColumnSum>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, matrix: [_, columns], scratch, .. } = kernel;
    let (isa, columns, x) = (team.isa, *columns, args[0].slice::<T>());
    team.pool.run(&|me| {
        let rows = me.share(x.len() / columns, 1);
        // SAFETY: the pool gives each thread its own number.
        let [block, sums] = unsafe { scratch.of(me.id) }.map(|row| &mut row[..columns]);
        isa.run(Run { x: &x[rows.start * columns..rows.end * columns], block, sums });
    });
    gather::<2>(scratch, team.pool.threads(), 1, outs[0].slice::<f32>());
}

/// The sum of all elements.
struct Total;
impl<V: Vector> Fold<V> for Total {
    const START: f32 = 0.0;
    const REST: f32 = 0.0;
    #[inline(always)]
    fn prepare(&self, x: V) -> V {
        x
    }
    #[inline(always)]
    fn each(&mut self, sum: V, x: V, _: usize) -> V {
        sum.add(x)
    }
    #[inline(always)]
    fn join(a: V, b: V) -> V {
        a.add(b)
    }
}

/// One plane of one channel.
struct Plane<'a, T>(&'a [T]);

impl<T: Float> Loops for Plane<'_, T> {
    type Output = f32;
    #[inline(always)]
    fn run<V: Vector>(self) -> f32 {
        let mut sum = 0.0;
        for part in self.0.chunks(block_of(self.0.len()) * V::LANES) {
            sum += fold::<V, T, Total>(part, Total).sum();
        }
        sum
    }
}

/// The sum of each channel of images whose channels stand first.
pub(in super::super) fn channel_sum(
    team: &Team,
    op: &ChannelSum,
    spec: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match spec.dtype {
        DType::F32 => run_channels::<f32>,
        DType::Bf16 => run_channels::<bf16>,
        DType::F16 => run_channels::<f16>,
        other => return Err(Unsupported(format!("cpu/native has no channel_sum of {}", other.name()))),
    };
    let planes = ValueSpec::new(&[spec.shape[0], spec.shape[2] * spec.shape[3]], spec.dtype);
    Rows::boxed(team, op.clone(), &planes, [], run)
}

fn run_channels<T: Float>(kernel: &Rows<ChannelSum>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, matrix: [_, pixels], .. } = kernel;
    let (isa, pixels, x) = (team.isa, *pixels, args[0].slice::<T>());
    let y = outs[0].slice::<f32>();
    let channels = y.len();
    let y = Parts::new(y);
    team.pool.run(&|me| {
        let mine = me.share(channels, 1);
        for channel in mine {
            let planes = x.chunks_exact(pixels).skip(channel).step_by(channels);
            let sum = planes.map(|plane| isa.run(Plane(plane))).sum();
            // SAFETY: each channel is one thread's.
            unsafe { y.write(channel, sum) };
        }
    });
}
