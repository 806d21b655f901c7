//! From f32 to 8 bits, by rows or as a whole; scales that were not given are found first.

use super::{Fold, Rows, blocks, fold};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Byte;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::streaming::lines;
use crate::backends::cpu::vector::Vector;
use crate::ops::{Granularity, Quantize};
use crate::tensor::{DType, ValueSpec};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Elements that a thread's run of one scale is a multiple of.
const GRAIN: usize = 64;

/// The largest of x times its factor, which positive and negative numbers have each.
struct Extent<V> {
    above: V,
    below: V,
}

impl<V: Vector> Fold<V> for Extent<V> {
    const START: f32 = 0.0;
    const REST: f32 = 0.0;
    #[inline(always)]
    fn prepare(&self, x: V) -> V {
        x.mul(self.above).max(x.mul(self.below))
    }
    #[inline(always)]
    fn each(&mut self, max: V, x: V, _: usize) -> V {
        x.max(max)
    }
    #[inline(always)]
    fn join(a: V, b: V) -> V {
        a.max(b)
    }
}

/// How the scale of a group is found.
#[derive(Clone, Copy)]
struct Room {
    /// What positive and negative numbers are multiplied by before the largest is taken.
    factors: [f32; 2],
    /// What that is divided by.
    steps: f32,
}

impl Room {
    fn of(op: &Quantize) -> Self {
        let [below, above] = op.room();
        if below == above {
            return Self { factors: [1.0, -1.0], steps: above as f32 };
        }
        let part = |room: i32| if room > 0 { 1.0 / room as f32 } else { 0.0 };
        Self { factors: [part(above), -part(below)], steps: 1.0 }
    }

    /// The smallest scale at which nothing of x saturates.
    #[inline(always)]
    fn scale<V: Vector>(self, x: &[f32]) -> f32 {
        let [above, below] = self.factors.map(V::splat);
        fold(x, Extent { above, below }).largest() / self.steps
    }
}

/// q = round(x / scale) + zero, of a run of elements.
struct Stretch<'a, B> {
    x: &'a [f32],
    q: &'a mut [B],
    scale: f32,
    zero: i16,
    past: bool,
}

impl<B: Byte> Loops for Stretch<'_, B> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        self.one_of_many::<V>();
        V::fence();
    }
}

impl<B: Byte> Stretch<'_, B> {
    #[inline(always)]
    fn one_of_many<V: Vector>(self) {
        let Self { x, q, scale, zero, past } = self;
        let factor = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        if factor.is_infinite() {
            return tiny(x, q, scale, zero);
        }
        let factor = V::splat(factor);
        let lines = if past { lines(q) } else { 0..0 };
        let (q, tail) = q.split_at_mut(lines.end);
        let (head, q) = q.split_at_mut(lines.start);
        plain(&x[..head.len()], head, factor, zero);
        plain(&x[lines.end..], tail, factor, zero);
        let x = &x[lines];
        for at in (0..q.len()).step_by(4 * V::LANES) {
            V::stream_bytes(steps(&x[at..], factor), zero, &mut q[at..]);
        }
    }
}

/// Four registers of x / scale.
#[inline(always)]
fn steps<V: Vector>(x: &[f32], factor: V) -> [V; 4] {
    let mut steps = [factor; 4];
    for (number, steps) in steps.iter_mut().enumerate() {
        *steps = V::load(&x[number * V::LANES..]).mul(factor);
    }
    steps
}

#[inline(always)]
fn plain<V: Vector, B: Byte>(x: &[f32], q: &mut [B], factor: V, zero: i16) {
    let whole = q.len() / (4 * V::LANES) * (4 * V::LANES);
    for at in (0..whole).step_by(4 * V::LANES) {
        V::store_bytes(steps(&x[at..], factor), zero, &mut q[at..]);
    }
    let (x, q) = (&x[whole..], &mut q[whole..]);
    let (mut padded, mut stored) = ([0.0; MOST], [B::saturated(0); MOST]);
    padded[..x.len()].copy_from_slice(x);
    V::store_bytes(steps(&padded, factor), zero, &mut stored);
    q.copy_from_slice(&stored[..q.len()]);
}

/// Most elements that are rounded at once.
const MOST: usize = 4 * crate::backends::cpu::vector::MOST_LANES;

/// By division: the reciprocal of a subnormal scale may be infinite.
#[cold]
fn tiny<B: Byte>(x: &[f32], q: &mut [B], scale: f32, zero: i16) {
    for (q, x) in q.iter_mut().zip(x) {
        *q = B::saturated((x / scale).round_ties_even() as i32 + i32::from(zero));
    }
}

/// A thread's rows, each with a scale of its own.
struct Run<'a, B> {
    x: &'a [f32],
    q: &'a mut [B],
    scales: &'a mut [f32],
    room: Room,
    zero: i16,
    past: bool,
}

impl<B: Byte> Loops for Run<'_, B> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { x, q, scales, room, zero, past } = self;
        let columns = (x.len() / scales.len().max(1)).max(1);
        let rows = x.chunks_exact(columns).zip(q.chunks_exact_mut(columns));
        for ((x, q), scale) in rows.zip(scales) {
            *scale = room.scale::<V>(x);
            Stretch { x, q, scale: *scale, zero, past }.one_of_many::<V>();
        }
        V::fence();
    }
}

/// The [`Room::scale`] of a thread's elements.
struct Scale<'a>(&'a [f32], Room);
impl Loops for Scale<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<V: Vector>(self) -> f32 {
        self.1.scale::<V>(self.0)
    }
}

pub(in super::super) fn quantize(
    team: &Team,
    op: &Quantize,
    spec: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match (op.granularity, op.output) {
        (Granularity::Block, _) => blocks::run,
        (Granularity::Row, DType::U8) => run_rows::<u8>,
        (Granularity::Row, _) => run_rows::<i8>,
        (Granularity::Tensor, DType::U8) => run_whole::<u8>,
        (Granularity::Tensor, _) => run_whole::<i8>,
    };
    Rows::boxed(team, op.clone(), spec, [], run)
}

fn run_rows<B: Byte>(kernel: &Rows<Quantize>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, op, matrix: [_, columns], past, .. } = kernel;
    let (x, isa, room, zero) = (args[0].slice::<f32>(), team.isa, Room::of(op), op.zero as i16);
    let [q, scales] = outs else { return };
    let (q, scales) = (Parts::new(q.slice::<B>()), Parts::new(scales.slice::<f32>()));
    team.pool.run(&|me| {
        let rows = me.share(x.len() / columns, 1);
        let elements = rows.start * columns..rows.end * columns;
        isa.run(Run {
            x: &x[elements.clone()],
            // SAFETY: each row is one thread's.
            q: unsafe { q.part(elements) },
            // SAFETY: as above.
            scales: unsafe { scales.part(rows) },
            room,
            zero,
            past: *past,
        });
    });
}

fn run_whole<B: Byte>(kernel: &Rows<Quantize>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, op, past, .. } = kernel;
    let (x, isa, room, zero) = (args[0].slice::<f32>(), team.isa, Room::of(op), op.zero as i16);
    let Some((q, scales)) = outs.split_first_mut() else { return };
    let q = Parts::new(q.slice::<B>());
    // Of numbers that are not negative the bits are in the numbers' order.
    let largest = AtomicU32::new(0);
    team.pool.run(&|me| {
        let run = me.share(x.len(), GRAIN);
        let x = &x[run.clone()];
        let scale = op.scale.map_or_else(
            || {
                largest.fetch_max(isa.run(Scale(x, room)).to_bits(), Relaxed);
                me.barrier();
                f32::from_bits(largest.load(Relaxed))
            },
            |scale| scale as f32,
        );
        // SAFETY: the shares of a team are disjoint.
        isa.run(Stretch { x, q: unsafe { q.part(run) }, scale, zero, past: *past });
    });
    if let Some(scales) = scales.first_mut() {
        scales.slice::<f32>().fill(f32::from_bits(largest.into_inner()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;

    const LENGTHS: [usize; 14] = [1, 2, 3, 7, 8, 15, 16, 17, 31, 63, 64, 65, 131, 300];

    fn check<B: Byte + PartialEq + std::fmt::Debug>(op: &Quantize, low: f32, high: f32) {
        let room = Room::of(op);
        for (isa, past) in Isa::here().flat_map(|isa| [(isa, false), (isa, true)]) {
            for columns in LENGTHS {
                let x: Vec<f32> =
                    (0..3 * columns).map(|i| low + (high - low) * (i * 37 % 101) as f32 / 100.0).collect();
                let (mut q, mut scales) = (vec![B::saturated(99); x.len()], [9.0; 3]);
                isa.run(Run { x: &x, q: &mut q, scales: &mut scales, room, zero: op.zero as i16, past });
                for ((x, q), scale) in x.chunks(columns).zip(q.chunks(columns)).zip(scales) {
                    let [below, above] = op.room().map(|room| if room > 0 { 1.0 / room as f32 } else { 0.0 });
                    let want = x.iter().fold(0f32, |max, x| max.max(x * above).max(-x * below));
                    assert!((scale - want).abs() <= 2e-7 * want, "{isa:?} {columns}: {scale} {want}");
                    for (x, q) in x.iter().zip(q) {
                        let steps = if scale > 0.0 { x / scale } else { 0.0 };
                        let stored = q.to_f32() - op.zero as f32;
                        assert!((stored - steps).abs() <= 0.5001, "{isa:?} {columns}: {x} {q:?} {scale}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_of_any_length_are_right() {
        let unsigned = |zero| Quantize { zero, output: DType::U8, ..Quantize::dynamic(Granularity::Row) };
        for (low, high) in [(-1.0, 3.0), (-5.0, 0.5), (0.0, 0.0), (-1e-30, 1e-30), (-1e-40, 1e-39)] {
            check::<i8>(&Quantize::dynamic(Granularity::Row), low, high);
            check::<u8>(&unsigned(128), low, high);
            check::<u8>(&unsigned(17), low, high);
            check::<u8>(&unsigned(0), 0.0, high);
        }
    }

    #[test]
    fn ties_go_to_even_and_what_is_too_large_saturates() {
        let x = [0.5, 1.5, 2.5, -0.5, -1.5, 63.5, 1e6, -1e6, 3e9, -3e9, 1e30, -1e30, 126.4, -128.4];
        let want: [i32; 14] = [0, 2, 2, 0, -2, 64, 999, -999, 999, -999, 999, -999, 126, -128];
        for (isa, zero) in Isa::here().flat_map(|isa| [0, 3, 128, 255].map(|zero| (isa, zero))) {
            let (mut signed, mut unsigned) = ([0i8; 14], [0u8; 14]);
            isa.run(Stretch { x: &x, q: &mut signed, scale: 1.0, zero: 0, past: false });
            isa.run(Stretch { x: &x, q: &mut unsigned, scale: 1.0, zero, past: false });
            assert_eq!(signed, want.map(i8::saturated), "{isa:?}");
            assert_eq!(unsigned, want.map(|want| u8::saturated(want + i32::from(zero))), "{isa:?} {zero}");
        }
    }
}
