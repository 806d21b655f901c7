//! Softmax, with scale and mask.

use super::{Fold, Rows, fold};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::functions::exp_of_difference;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::streaming::{Times, Walk};
use crate::backends::cpu::vector::{MOST_LANES, Vector};
use crate::ops::Softmax;
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};
use std::ops::Range;

/// The largest element, times a scale where it is `SCALED`; NaN elements may be missed.
pub(super) struct Largest<V, const SCALED: bool>(pub(super) V);
impl<V: Vector, const SCALED: bool> Fold<V> for Largest<V, SCALED> {
    const START: f32 = f32::NEG_INFINITY;
    const REST: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    fn prepare(&self, x: V) -> V {
        if SCALED { x.mul(self.0) } else { x }
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

/// The sum of e^(score - max), which are written; meanwhile the next row is fetched. Bounds of `to` are looked at once a
/// row.
struct Powers<'a, V, T, const SCALED: bool> {
    scale: V,
    max: V,
    to: &'a mut [f32],
    next: *const T,
}
impl<'a, V: Vector, T, const SCALED: bool> Powers<'a, V, T, SCALED> {
    /// Of a row of `count` scores.
    ///
    /// # Panics
    /// When `to` has fewer than the registers that they fill.
    #[inline(always)]
    fn new([scale, max]: [V; 2], count: usize, to: &'a mut [f32], next: *const T) -> Self {
        assert!(to.len() >= count.next_multiple_of(V::LANES), "exponentials are whole registers");
        Self { scale, max, to, next }
    }
}
impl<V: Vector, T, const SCALED: bool> Fold<V> for Powers<'_, V, T, SCALED> {
    const START: f32 = 0.0;
    const REST: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    fn prepare(&self, x: V) -> V {
        if SCALED { x.mul(self.scale) } else { x }
    }
    #[inline(always)]
    fn each(&mut self, sum: V, x: V, at: usize) -> V {
        V::prefetch(self.next.wrapping_add(at));
        let power = exp_of_difference(x.sub(self.max));
        debug_assert!(at + V::LANES <= self.to.len(), "places are those of the row");
        // SAFETY: places are those of registers of the row, for which `new` has seen room.
        power.store(unsafe { self.to.get_unchecked_mut(at..at + V::LANES) });
        sum.add(power)
    }
    #[inline(always)]
    fn join(a: V, b: V) -> V {
        a.add(b)
    }
}

/// Writes e^(score - max) of scores: their largest and the sum. Meanwhile `next` is fetched, as far as there are
/// scores. `to` is whole registers.
#[inline(always)]
pub(in super::super) fn powers<V: Vector, T>(scores: &[f32], to: &mut [f32], next: &[T]) -> [f32; 2] {
    let scale = V::splat(1.0);
    let max = fold(scores, Largest::<V, false>(scale)).largest();
    let next = next.as_ptr();
    let sum = fold(scores, Powers::<V, T, false>::new([scale, V::splat(max)], scores.len(), to, next)).sum();
    [max, sum]
}

/// A thread's rows, the first of which is number `first` of all.
struct Run<'a, X, Y> {
    x: &'a [X],
    y: &'a mut [Y],
    /// One for each row, or none at all.
    log_sums: &'a mut [f32],
    first: usize,
    matrix: [usize; 2],
    causal: bool,
    scale: f32,
    /// Exponentials of a group of rows, each in whole registers.
    row: &'a mut [f32],
    past: bool,
}

impl<X: Float, Y: Float> Loops for Run<'_, X, Y> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        if self.scale == 1.0 { self.rows::<V, false>() } else { self.rows::<V, true>() }
    }
}

impl<X: Float, Y: Float> Run<'_, X, Y> {
    /// In groups of rows: what a row waits for, its largest score, its sum and a quotient, happens while the
    /// others are worked on.
    #[inline(always)]
    fn rows<V: Vector, const SCALED: bool>(mut self) {
        let columns = self.matrix[1];
        let room = columns.next_multiple_of(MOST_LANES);
        let group = self.row.len() / room;
        let mut number = 0;
        while number * columns < self.x.len() {
            let rows = number..(number + group).min(self.x.len() / columns);
            number = rows.end;
            self.group::<V, SCALED>(rows, room);
        }
        V::fence();
    }

    #[inline(always)]
    fn group<V: Vector, const SCALED: bool>(&mut self, rows: Range<usize>, room: usize) {
        let (scale, [_, columns]) = (V::splat(self.scale), self.matrix);
        let (mut maxima, mut sums) = ([0.0; GROUP], [0.0; GROUP]);
        for (row, max) in rows.clone().zip(&mut maxima) {
            let x = &self.x[row * columns..][..self.seen(row)];
            *max = fold(x, Largest::<V, SCALED>(scale)).largest();
        }
        for (place, row) in rows.clone().enumerate() {
            let x = &self.x[row * columns..][..self.seen(row)];
            let next = self.x.as_ptr().wrapping_add((row + rows.len()) * columns);
            let (max, to) = (V::splat(maxima[place]), &mut self.row[place * room..][..room]);
            sums[place] = fold(x, Powers::<V, X, SCALED>::new([scale, max], x.len(), to, next)).sum();
        }
        for (place, row) in rows.enumerate() {
            let seen = self.seen(row);
            let (y, hidden) = self.y[row * columns..][..columns].split_at_mut(seen);
            let (powers, f) = (&self.row[place * room..][..room], Times(1.0 / sums[place]));
            Walk { z: y, x: [powers], f, past: self.past }.one_of_many::<V>();
            hidden.fill(Y::from_f32(0.0));
            if let Some(log_sum) = self.log_sums.get_mut(row) {
                *log_sum = maxima[place] + sums[place].ln();
            }
        }
    }

    /// How many scores of a row count.
    #[inline(always)]
    fn seen(&self, row: usize) -> usize {
        let [rows, columns] = self.matrix;
        if self.causal { (self.first + row) % rows + 1 + columns - rows } else { columns }
    }
}

/// Most rows of a group.
const GROUP: usize = 8;
/// Exponentials of a group that stay in the first cache together with the scores.
const NEAR: usize = 2048;

/// Elements that the exponentials of a group take, each row in whole registers.
fn room(columns: usize) -> usize {
    let row = columns.next_multiple_of(MOST_LANES);
    row * (NEAR / row).clamp(1, GROUP)
}

pub(in super::super) fn softmax(
    team: &Team,
    op: &Softmax,
    spec: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match (spec.dtype, op.output) {
        (DType::F32, DType::F32) => run::<f32, f32>,
        (DType::F32, DType::Bf16) => run::<f32, bf16>,
        (DType::F32, DType::F16) => run::<f32, f16>,
        (DType::Bf16, DType::Bf16) => run::<bf16, bf16>,
        (DType::F16, DType::F16) => run::<f16, f16>,
        (x, y) => {
            return Err(Unsupported(format!("cpu/native has no softmax from {} to {}", x.name(), y.name())));
        }
    };
    Rows::boxed(team, op.clone(), spec, [room(spec.columns())], run)
}

fn run<X: Float, Y: Float>(kernel: &Rows<Softmax>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, op, matrix, scratch, past, .. } = kernel;
    let (isa, columns, scale) = (team.isa, matrix[1], op.scale as f32);
    let x = args[0].slice::<X>();
    let [y, log_sums @ ..] = outs else { return };
    let y = Parts::new(y.slice::<Y>());
    let log_sums = log_sums.first_mut().map(|sums| Parts::new(sums.slice::<f32>()));
    team.pool.run(&|me| {
        // SAFETY: the pool gives each thread its own number.
        let [row] = unsafe { scratch.of(me.id) };
        let rows = me.share(x.len() / columns, 1);
        let elements = rows.start * columns..rows.end * columns;
        isa.run(Run {
            x: &x[elements.clone()],
            // SAFETY: each row is one thread's.
            y: unsafe { y.part(elements) },
            // SAFETY: as above.
            log_sums: log_sums.as_ref().map_or(&mut [][..], |sums| unsafe { sums.part(rows.clone()) }),
            first: rows.start,
            matrix: *matrix,
            causal: op.causal,
            scale,
            row,
            past: *past,
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;

    fn softmax_of(isa: Isa, x: &[f32], columns: usize, (scale, past): (f32, bool)) -> (Vec<f32>, Vec<f32>) {
        let (mut y, mut log_sums) = (vec![9.0; x.len()], vec![9.0; x.len() / columns]);
        let mut row = vec![0.0; room(columns)];
        let (y_all, sums_all) = (&mut y[..], &mut log_sums[..]);
        let matrix = [x.len() / columns, columns];
        let (row, log_sums_all) = (&mut row[..], sums_all);
        isa.run(Run {
            x,
            y: y_all,
            log_sums: log_sums_all,
            first: 0,
            matrix,
            causal: false,
            scale,
            row,
            past,
        });
        (y, log_sums)
    }

    /// In f64: the weights of one row and the logarithm of the sum.
    fn reference(x: &[f32], scale: f32) -> (Vec<f64>, f64) {
        let scores: Vec<f64> = x.iter().map(|x| f64::from(x * scale)).collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|score| (score - max).exp()).sum();
        (scores.iter().map(|score| (score - max).exp() / sum).collect(), max + sum.ln())
    }

    #[test]
    fn rows_of_any_length_are_right() {
        for isa in Isa::here() {
            for columns in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 127, 131] {
                for options in [(1.0, false), (0.125, true), (-2.0, false)] {
                    let x: Vec<f32> = (0..11 * columns).map(|i| (i * 37 % 101) as f32 / 7.0 - 6.0).collect();
                    let (y, log_sums) = softmax_of(isa, &x, columns, options);
                    for (row, (x, y)) in x.chunks(columns).zip(y.chunks(columns)).enumerate() {
                        let (want, log_sum) = reference(x, options.0);
                        let near = |got: f32, want: f64| (f64::from(got) - want).abs() <= 4e-6 * want + 2e-38;
                        assert!(y.iter().zip(&want).all(|(y, want)| near(*y, *want)), "{isa:?} {columns}");
                        assert!((f64::from(log_sums[row]) - log_sum).abs() < 1e-5, "{isa:?} {columns}");
                    }
                }
            }
        }
    }

    #[test]
    fn extremes_give_what_the_formula_gives() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let cases: [(&[f32], &[f32]); 8] = [
            (&[-inf, 0.0, -inf, 0.0, -inf], &[0.0, 0.5, 0.0, 0.5, 0.0]),
            (&[1e30, -1e30, 1e30, 0.0], &[0.5, 0.0, 0.5, 0.0]),
            (&[-1e30; 4], &[0.25; 4]),
            (&[1e-40, -1e-40], &[0.5; 2]),
            (&[3.0; 8], &[0.125; 8]),
            (&[1.0, nan, 2.0], &[nan; 3]),
            (&[-inf; 3], &[nan; 3]),
            (&[inf, 1.0], &[nan; 2]),
        ];
        for isa in Isa::here() {
            for (x, want) in cases {
                let (y, _) = softmax_of(isa, x, x.len(), (1.0, false));
                let same =
                    |got: &f32, want: &f32| (got - want).abs() < 1e-6 || (got.is_nan() && want.is_nan());
                assert!(y.iter().zip(want).all(|(y, want)| same(y, want)), "{isa:?} {x:?}: {y:?}");
            }
        }
    }
}
