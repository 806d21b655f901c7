//! Residual sum and layer normalisation: a row of each argument is read from memory once, and the sum
//! stays in the first cache until both answers are written.

use super::Rows;
use super::layer_norm::Affine;
use super::moments::Statistics;
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::native::streams::Sum;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::streaming::{Same, Walk};
use crate::backends::cpu::vector::Vector;
use crate::ops::AddLayerNorm;
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// A thread's rows.
struct Run<'a, T> {
    x: [&'a [T]; 2],
    gain: &'a [T],
    bias: &'a [T],
    eps: f32,
    y: &'a mut [T],
    sum: &'a mut [T],
    means: &'a mut [f32],
    rstds: &'a mut [f32],
    /// A row of sums, of gains and of biases in f32.
    rows: [&'a mut [f32]; 3],
    past: bool,
}

impl<T: Float> Loops for Run<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let (columns, past) = (self.gain.len(), self.past);
        let [row, gain, bias] = self.rows.map(|row| &mut row[..columns]);
        Walk { z: &mut *gain, x: [self.gain], f: Same, past: false }.one_of_many::<V>();
        Walk { z: &mut *bias, x: [self.bias], f: Same, past: false }.one_of_many::<V>();
        let args = self.x[0].chunks_exact(columns).zip(self.x[1].chunks_exact(columns));
        let answers = self.y.chunks_exact_mut(columns).zip(self.sum.chunks_exact_mut(columns));
        for (number, ((x, r), (y, sum))) in args.zip(answers).enumerate() {
            Walk { z: &mut *row, x: [x, r], f: Sum, past: false }.one_of_many::<V>();
            let statistics = Statistics::of::<V, f32>(row, self.eps, row.as_ptr());
            (self.means[number], self.rstds[number]) = (statistics.mean, statistics.rstd);
            Walk { z: sum, x: [&*row], f: Same, past }.one_of_many::<V>();
            let f = Affine { statistics, ahead: row.as_ptr().addr(), pace: 0 };
            Walk { z: y, x: [&*row, &*gain, &*bias], f, past }.one_of_many::<V>();
        }
        V::fence();
    }
}

pub(in super::super) fn add_layer_norm(
    team: &Team,
    op: &AddLayerNorm,
    spec: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match spec.dtype {
        DType::F32 => run::<f32>,
        DType::Bf16 => run::<bf16>,
        DType::F16 => run::<f16>,
        other => return Err(Unsupported(format!("cpu/native has no add_layer_norm of {}", other.name()))),
    };
    Rows::boxed(team, op.clone(), spec, [spec.columns(); 3], run)
}

fn run<T: Float>(kernel: &Rows<AddLayerNorm>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, op, matrix: [_, columns], past, scratch, .. } = kernel;
    let [x, r, gain, bias] = [0, 1, 2, 3].map(|arg| args[arg].slice::<T>());
    let [y, sum, means, rstds] = outs else { return };
    let [y, sum] = [y, sum].map(|out| Parts::new(out.slice::<T>()));
    let [means, rstds] = [means, rstds].map(|out| Parts::new(out.slice::<f32>()));
    let (isa, eps) = (team.isa, op.eps as f32);
    team.pool.run(&|me| {
        let rows = me.share(x.len() / columns, 1);
        let elements = rows.start * columns..rows.end * columns;
        isa.run(Run {
            x: [&x[elements.clone()], &r[elements.clone()]],
            gain,
            bias,
            eps,
            // SAFETY: each row is one thread's.
            y: unsafe { y.part(elements.clone()) },
            // SAFETY: as above.
            sum: unsafe { sum.part(elements) },
            // SAFETY: as above.
            means: unsafe { means.part(rows.clone()) },
            // SAFETY: as above.
            rstds: unsafe { rstds.part(rows) },
            // SAFETY: the pool gives each thread its own number.
            rows: unsafe { scratch.of(me.id) },
            past: *past,
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;

    fn check<T: Float + PartialEq + std::fmt::Debug>(isa: Isa, columns: usize, past: bool) {
        let of = |step: usize| -> Vec<T> {
            (0..3 * columns).map(|i| T::from_f32((i * step % 101) as f32 / 32.0 - 0.5)).collect()
        };
        let (x, r, ones, zeros) = (of(37), of(11), vec![T::from_f32(1.0); columns], of(101));
        let (mut y, mut sum) = (zeros.clone(), zeros.clone());
        let (mut means, mut rstds, mut rows) = ([9.0; 3], [9.0; 3], [(); 3].map(|()| vec![0.0; columns]));
        let bias = &zeros[..columns];
        isa.run(Run {
            x: [&x, &r],
            gain: &ones,
            bias,
            eps: 1e-3,
            y: &mut y,
            sum: &mut sum,
            means: &mut means,
            rstds: &mut rstds,
            rows: rows.each_mut().map(|row| &mut row[..]),
            past,
        });
        for (i, (x, r)) in x.iter().zip(&r).enumerate() {
            let exact = x.to_f32() + r.to_f32();
            assert_eq!(sum[i], T::from_f32(exact), "{isa:?} {columns} {i}");
            let want = (exact - means[i / columns]) * rstds[i / columns] + bias[0].to_f32();
            let off = (y[i].to_f32() - want).abs();
            assert!(off <= want.abs() / 250.0 + 1e-6, "{isa:?} {columns} {i}: {:?} {want}", y[i]);
        }
        for (row, (mean, rstd)) in means.iter().zip(rstds).enumerate() {
            let sums = (row * columns..(row + 1) * columns).map(|i| f64::from(x[i].to_f32() + r[i].to_f32()));
            let want = sums.clone().sum::<f64>() / columns as f64;
            let variance = sums.map(|s| (s - want).powi(2)).sum::<f64>() / columns as f64;
            assert!((f64::from(*mean) - want).abs() < 1e-5, "{isa:?} {columns}");
            assert!((f64::from(rstd) * (variance + 1e-3).sqrt() - 1.0).abs() < 1e-5, "{isa:?} {columns}");
        }
    }

    #[test]
    fn rows_of_any_length_are_right() {
        for isa in Isa::here() {
            for columns in [1, 2, 3, 7, 8, 15, 16, 17, 31, 64, 65, 131, 300] {
                for past in [false, true] {
                    check::<f32>(isa, columns, past);
                    check::<bf16>(isa, columns, past);
                    check::<f16>(isa, columns, past);
                }
            }
        }
    }
}
