//! From f32 to blocks of 8 bits with a scale in f16 each.

use super::Rows;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::vector::{MOST_LANES, Vector};
use crate::ops::{BLOCK, Quantize};
use half::f16;

/// Blocks whose scales are computed together.
const GROUP: usize = 16;
/// Elements of so many blocks.
const ELEMENTS: usize = GROUP * BLOCK;
/// Steps on each side of 0.
const STEPS: f32 = 127.0;

/// A thread's blocks, one after another.
struct Run<'a> {
    x: &'a [f32],
    q: &'a mut [i8],
    scales: &'a mut [f16],
    past: bool,
}

impl Loops for Run<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { x, q, scales, past } = self;
        // Streamed stores come in whole lines.
        let past = past && q.as_ptr().addr().is_multiple_of(4 * MOST_LANES);
        let groups = x.chunks(ELEMENTS).zip(q.chunks_mut(ELEMENTS)).zip(scales.chunks_mut(GROUP));
        for ((x, q), scales) in groups {
            if x.len() == ELEMENTS {
                group::<V>(x, q, scales, past);
            } else {
                let (mut padded, mut stored) = ([0.0; ELEMENTS], [0; ELEMENTS]);
                padded[..x.len()].copy_from_slice(x);
                let mut few = [f16::ZERO; GROUP];
                group::<V>(&padded, &mut stored, &mut few, false);
                q.copy_from_slice(&stored[..q.len()]);
                scales.copy_from_slice(&few[..scales.len()]);
            }
        }
        V::fence();
    }
}

/// [`GROUP`] blocks.
#[inline(always)]
fn group<V: Vector>(x: &[f32], q: &mut [i8], scales: &mut [f16], past: bool) {
    let (mut factors, mut sizes) = ([0.0; GROUP], [0.0; GROUP]);
    for (size, x) in sizes.iter_mut().zip(x.chunks_exact(BLOCK)) {
        let mut max = V::splat(0.0);
        for at in (0..BLOCK).step_by(V::LANES) {
            max = V::load(&x[at..]).abs().max(max);
        }
        *size = max.largest();
    }
    for at in (0..GROUP).step_by(V::LANES) {
        let size = V::load(&sizes[at..]);
        f16::store(size.div(V::splat(STEPS)), &mut scales[at..]);
        // Where all is 0, any number will do that is not infinite.
        V::splat(f32::MAX).min(V::splat(STEPS).div(size)).store(&mut factors[at..]);
    }
    for at in (0..ELEMENTS).step_by(4 * V::LANES) {
        let mut steps = [V::splat(0.0); 4];
        for (number, steps) in steps.iter_mut().enumerate() {
            let at = at + number * V::LANES;
            *steps = V::load(&x[at..]).mul(V::splat(factors[at / BLOCK]));
        }
        if past { V::stream_bytes(steps, 0, &mut q[at..]) } else { V::store_bytes(steps, 0, &mut q[at..]) }
    }
}

pub(super) fn run(kernel: &Rows<Quantize>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, past, .. } = kernel;
    let isa = team.isa;
    let x = args[0].slice::<f32>();
    let [q, scales] = outs else { return };
    let (q, scales) = (Parts::new(q.slice::<i8>()), Parts::new(scales.slice::<f16>()));
    team.pool.run(&|me| {
        let blocks = me.share(x.len() / BLOCK, GROUP);
        let elements = blocks.start * BLOCK..blocks.end * BLOCK;
        isa.run(Run {
            x: &x[elements.clone()],
            // SAFETY: the shares of a team are disjoint.
            q: unsafe { q.part(elements) },
            // SAFETY: as above.
            scales: unsafe { scales.part(blocks) },
            past: *past,
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;

    #[test]
    fn any_number_of_blocks_is_right() {
        for (isa, past) in Isa::here().flat_map(|isa| [(isa, false), (isa, true)]) {
            for blocks in [1, 2, 3, 15, 16, 17, 33] {
                let x: Vec<f32> = (0..blocks * BLOCK)
                    .map(|i| (i / BLOCK % 5) as f32 * ((i * 37 % 101) as f32 / 50.0 - 1.0))
                    .collect();
                let (mut q, mut scales) = (vec![99; x.len()], vec![f16::ONE; blocks]);
                isa.run(Run { x: &x, q: &mut q, scales: &mut scales, past });
                for (block, (x, q)) in x.chunks(BLOCK).zip(q.chunks(BLOCK)).enumerate() {
                    let scale = x.iter().fold(0f32, |max, x| max.max(x.abs())) / STEPS;
                    assert_eq!(scales[block], f16::from_f32(scale), "{isa:?} {blocks} {block}");
                    for (x, q) in x.iter().zip(q) {
                        let steps = if scale > 0.0 { x / scale } else { 0.0 };
                        assert!((f32::from(*q) - steps).abs() <= 0.5001, "{isa:?} {blocks}: {x} {q}");
                    }
                }
            }
        }
    }
}
