//! From exact integer sums back to f32.

use super::Rows;
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::bits;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::streaming::{Formula, Walk};
use crate::backends::cpu::vector::Vector;
use crate::ops::Dequantize;
use crate::tensor::ValueSpec;

/// y = scale x, or y = scale x + bias, of whole numbers x.
#[derive(Clone, Copy)]
struct OneScale(f32);
impl Formula<1> for OneScale {
    #[inline(always)]
    fn of<V: Vector>(&self, [x]: [V; 1]) -> V {
        x.of_whole().mul(V::splat(self.0))
    }
}
impl Formula<2> for OneScale {
    #[inline(always)]
    fn of<V: Vector>(&self, [x, bias]: [V; 2]) -> V {
        x.of_whole().multiply_add(V::splat(self.0), bias)
    }
}

/// The same with another scale for each column.
#[derive(Clone, Copy)]
struct Scales(f32);
impl Formula<2> for Scales {
    #[inline(always)]
    fn of<V: Vector>(&self, [x, scale]: [V; 2]) -> V {
        x.of_whole().mul(V::splat(self.0).mul(scale))
    }
}
impl Formula<3> for Scales {
    #[inline(always)]
    fn of<V: Vector>(&self, [x, scale, bias]: [V; 3]) -> V {
        x.of_whole().multiply_add(V::splat(self.0).mul(scale), bias)
    }
}

/// A thread's rows.
struct Run<'a, F, const N: usize> {
    /// What a row with a scale is computed by.
    formula: fn(f32) -> F,
    /// Of each row.
    scales: &'a [f32],
    /// The bits of whole numbers.
    x: &'a [f32],
    /// What each row meets, from the second place on.
    streams: [&'a [f32]; N],
    y: &'a mut [f32],
    past: bool,
}

impl<F: Formula<N>, const N: usize> Loops for Run<'_, F, N> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let columns = self.x.len() / self.scales.len().max(1);
        let rows = self.x.chunks_exact(columns.max(1)).zip(self.y.chunks_exact_mut(columns.max(1)));
        for ((x, y), scale) in rows.zip(self.scales) {
            self.streams[0] = x;
            Walk { z: y, x: self.streams, f: (self.formula)(*scale), past: self.past }.one_of_many::<V>();
        }
        V::fence();
    }
}

/// y = scale_a scale_b x + bias.
pub(in super::super) fn dequantize(
    team: &Team,
    op: &Dequantize,
    args: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    Rows::boxed(team, op.clone(), &args[0], [args[0].rows()], run)
}

fn run(kernel: &Rows<Dequantize>, args: &[View], outs: &mut [ViewMut]) {
    let [scale_a, scale_b] = [1, 2].map(|arg| args[arg].slice::<f32>());
    let bias = args.get(3).map(View::slice::<f32>);
    let columns = kernel.matrix[1];
    let has_columns = scale_b.len() == columns;
    let first = if has_columns { 1.0 } else { scale_b[0] };
    let nothing = &[][..];
    let job = Job { kernel, x: bits(args[0].slice::<i32>()), y: Parts::new(outs[0].slice()), scale_a, first };
    match (has_columns, bias) {
        (false, None) => job.run(OneScale, [nothing]),
        (false, Some(bias)) => job.run(OneScale, [nothing, bias]),
        (true, None) => job.run(Scales, [nothing, scale_b]),
        (true, Some(bias)) => job.run(Scales, [nothing, scale_b, bias]),
    }
}

/// All rows.
struct Job<'a> {
    kernel: &'a Rows<Dequantize>,
    x: &'a [f32],
    y: Parts<'a, f32>,
    /// One for all, or one for each row.
    scale_a: &'a [f32],
    /// What each is multiplied by.
    first: f32,
}

impl Job<'_> {
    fn run<F: Formula<N>, const N: usize>(&self, formula: fn(f32) -> F, streams: [&[f32]; N]) {
        let Self { kernel: Rows { team, matrix: [_, columns], past, scratch, .. }, x, y, scale_a, first } =
            self;
        let isa = team.isa;
        team.pool.run(&|me| {
            // SAFETY: the pool gives each thread its own number.
            let [scales] = unsafe { scratch.of(me.id) };
            let rows = me.share(x.len() / columns, 1);
            let scales = &mut scales[rows.clone()];
            for (row, scale) in rows.clone().zip(scales.iter_mut()) {
                // One scale for all stands alone.
                *scale = first * scale_a[row % scale_a.len()];
            }
            let elements = rows.start * columns..rows.end * columns;
            isa.run(Run {
                formula,
                scales,
                x: &x[elements.clone()],
                streams,
                // SAFETY: each row is one thread's.
                y: unsafe { y.part(elements) },
                past: *past,
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;

    fn check<F: Formula<N>, const N: usize>(
        formula: fn(f32) -> F,
        streams: [&[f32]; N],
        want: impl Fn(i32, f32, usize) -> f32,
    ) {
        let scales = [0.5, -0.25, 3.0];
        for (isa, past) in Isa::here().flat_map(|isa| [(isa, false), (isa, true)]) {
            for columns in [1, 2, 3, 7, 8, 15, 16, 17, 64, 65, 131] {
                let x: Vec<i32> = (0..3 * columns as i32).map(|i| (i - 5).wrapping_mul(37_000_001)).collect();
                let mut y = vec![9.0; x.len()];
                isa.run(Run { formula, scales: &scales, x: bits(&x), streams, y: &mut y, past });
                for (i, (x, y)) in x.iter().zip(&y).enumerate() {
                    let want = want(*x, scales[i / columns], i % columns);
                    assert!((y - want).abs() <= 2e-7 * want.abs(), "{isa:?} {columns} {i}: {y} {want}");
                }
            }
        }
    }

    #[test]
    fn rows_of_any_length_are_right() {
        let row: Vec<f32> = (0..131).map(|i| 0.01 * (i + 1) as f32).collect();
        let bias = [1e3; 131];
        check(OneScale, [&[]], |x, scale, _| scale * x as f32);
        check(OneScale, [&[], &bias], |x, scale, _| (f64::from(scale) * f64::from(x) + 1e3) as f32);
        check(Scales, [&[], &row], |x, scale, column| scale * row[column] * x as f32);
        check(Scales, [&[], &row, &bias], |x, scale, column| {
            (f64::from(scale) * f64::from(row[column]) * f64::from(x) + 1e3) as f32
        });
    }
}
