//! Layer normalisation.

use super::Rows;
use super::moments::Statistics;
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::streaming::{Formula, Walk};
use crate::backends::cpu::vector::Vector;
use crate::ops::LayerNorm;
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// y = (x - mean) rstd gain + bias
#[derive(Clone, Copy)]
pub(super) struct Affine {
    pub(super) statistics: Statistics,
    /// Address of what is fetched meanwhile, `pace` bytes with each element.
    pub(super) ahead: usize,
    pub(super) pace: usize,
}

impl Formula<3> for Affine {
    #[inline(always)]
    fn of<V: Vector>(&self, [x, gain, bias]: [V; 3]) -> V {
        let Statistics { mean, rstd } = self.statistics;
        x.multiply_add(V::splat(rstd), V::splat(-mean * rstd)).multiply_add(gain, bias)
    }
    #[inline(always)]
    fn meanwhile<V: Vector>(&self, at: usize) {
        V::prefetch(std::ptr::without_provenance::<u8>(self.ahead.wrapping_add(at * self.pace)));
    }
}

/// A thread's rows.
struct Run<'a, T> {
    x: &'a [T],
    gain: &'a [T],
    bias: &'a [T],
    eps: f32,
    y: &'a mut [T],
    means: &'a mut [f32],
    rstds: &'a mut [f32],
    past: bool,
}

impl<T: Float> Loops for Run<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let columns = self.gain.len();
        // The moments of the next row are known before this one is written: what a row waits for, the
        // joining of lanes, a root and a quotient, happens while the other one is worked on.
        let mut next = Statistics::default();
        if let Some(x) = self.x.get(..columns) {
            next = Statistics::of::<V, T>(x, self.eps, x.as_ptr_range().end);
        }
        let rows = self.x.chunks_exact(columns).zip(self.y.chunks_exact_mut(columns));
        for (row, (x, y)) in rows.enumerate() {
            let now = next;
            if let Some(x) = self.x.get((row + 1) * columns..(row + 2) * columns) {
                next = Statistics::of::<V, T>(x, self.eps, x.as_ptr_range().end);
            }
            (self.means[row], self.rstds[row]) = (now.mean, now.rstd);
            let ahead = x.as_ptr_range().end.wrapping_add(columns + columns / 2);
            let f = Affine { statistics: now, ahead: ahead.addr(), pace: size_of::<T>() / 2 };
            Walk { z: y, x: [x, self.gain, self.bias], f, past: self.past }.one_of_many::<V>();
        }
        V::fence();
    }
}

pub(in super::super) fn layer_norm(
    team: &Team,
    op: &LayerNorm,
    spec: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match spec.dtype {
        DType::F32 => run::<f32>,
        DType::Bf16 => run::<bf16>,
        DType::F16 => run::<f16>,
        other => return Err(Unsupported(format!("cpu/native has no layer_norm of {}", other.name()))),
    };
    Rows::boxed(team, op.clone(), spec, [], run)
}

fn run<T: Float>(kernel: &Rows<LayerNorm>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, op, matrix: [_, columns], past, .. } = kernel;
    let [x, gain, bias] = [0, 1, 2].map(|arg| args[arg].slice::<T>());
    let [y, means, rstds] = outs else { return };
    let y = Parts::new(y.slice::<T>());
    let [means, rstds] = [means, rstds].map(|out| Parts::new(out.slice::<f32>()));
    let (isa, eps) = (team.isa, op.eps as f32);
    team.pool.run(&|me| {
        let rows = me.share(x.len() / columns, 1);
        let elements = rows.start * columns..rows.end * columns;
        isa.run(Run {
            x: &x[elements.clone()],
            gain,
            bias,
            eps,
            // SAFETY: each row is one thread's.
            y: unsafe { y.part(elements) },
            // SAFETY: as above.
            means: unsafe { means.part(rows.clone()) },
            // SAFETY: as above.
            rstds: unsafe { rstds.part(rows) },
            past: *past,
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;

    #[test]
    fn rows_of_any_length_are_right() {
        for isa in Isa::here() {
            for columns in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 127, 131] {
                for past in [false, true] {
                    let x: Vec<f32> = (0..3 * columns).map(|i| (i * 37 % 101) as f32 / 50.0 - 0.5).collect();
                    let gain: Vec<f32> = (0..columns).map(|i| 0.5 + (i % 7) as f32).collect();
                    let bias: Vec<f32> = (0..columns).map(|i| (i % 5) as f32 - 2.0).collect();
                    let (mut y, mut means, mut rstds) = (vec![9.0; x.len()], [9.0; 3], [9.0; 3]);
                    isa.run(Run {
                        x: &x,
                        gain: &gain,
                        bias: &bias,
                        eps: 1e-3,
                        y: &mut y,
                        means: &mut means,
                        rstds: &mut rstds,
                        past,
                    });
                    for (row, (x, y)) in x.chunks(columns).zip(y.chunks(columns)).enumerate() {
                        let x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
                        let mean = x.iter().sum::<f64>() / columns as f64;
                        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / columns as f64;
                        let rstd = 1.0 / (variance + 1e-3).sqrt();
                        assert!((f64::from(means[row]) - mean).abs() < 1e-6, "{isa:?} {columns}");
                        assert!((f64::from(rstds[row]) / rstd - 1.0).abs() < 1e-5, "{isa:?} {columns}");
                        for (at, y) in y.iter().enumerate() {
                            let want = (x[at] - mean) * rstd * f64::from(gain[at]) + f64::from(bias[at]);
                            assert!(
                                (f64::from(*y) - want).abs() < 2e-4,
                                "{isa:?} {columns} {at}: {y} {want}"
                            );
                        }
                    }
                }
            }
        }
    }
}
