//! Attention of one query for each head, as the decoding of a language model asks for.
//!
//! Every key and value is used once, so that reading them is the limit: they are read where they lie, and only
//! once. A query sees all keys, under a mask too: it is the last of them.

use super::super::Team;
use super::super::gemv::{AddRows, Dots};
use super::super::rows::powers;
use super::Attention;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::scratch::SharedScratch;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::vector::{MOST_LANES, Vector};
use crate::backends::{Fault, Unsupported};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct One {
    team: Team,
    scale: f32,
    heads: usize,
    keys: usize,
    /// Keys and values come from memory, not from a cache.
    is_far: bool,
    /// The scaled query, scores, their exponentials, the answer.
    scratch: SharedScratch,
    run: fn(&One, &[View], &mut [ViewMut]),
}

pub(super) fn prepare(
    team: &Team,
    op: &Attention,
    args: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match args[0].dtype {
        DType::F32 => run::<f32>,
        DType::Bf16 => run::<bf16>,
        DType::F16 => run::<f16>,
        other => return Err(Unsupported(format!("cpu/native has no attention of {}", other.name()))),
    };
    let (heads, keys) = (args[0].rows(), args[1].shape[args[1].shape.len() - 2]);
    let is_far = team.exceeds_caches(2 * (args[1].bytes() + args[2].bytes()));
    let lens = [args[0].columns(), keys, keys, args[2].columns()];
    let scratch = team.scratch(&lens.map(|len| len.next_multiple_of(MOST_LANES)));
    Ok(Box::new(One { team: team.clone(), scale: op.scale as f32, heads, keys, is_far, scratch, run }))
}

/// One head.
struct Head<'a, T> {
    q: &'a [T],
    k: &'a [T],
    v: &'a [T],
    o: &'a mut [T],
    log_sum: Option<&'a mut f32>,
    keys: usize,
    scale: f32,
    is_far: bool,
    room: [&'a mut [f32]; 4],
}

impl<T: Float> Loops for Head<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { q, k, v, o, log_sum, keys, scale, is_far, room: [x, scores, weights, y] } = self;
        let (x, scores, y) = (&mut x[..q.len()], &mut scores[..keys], &mut y[..o.len()]);
        x.iter_mut().zip(q).for_each(|(x, q)| *x = scale * q.to_f32());
        Dots { x, b: k, stride: q.len(), y: scores }.run::<V>();
        let [max, sum] = powers::<V, T>(scores, weights, v);
        AddRows { x: &weights[..keys], b: v, stride: o.len(), y, is_far }.run::<V>();
        let factor = 1.0 / sum;
        o.iter_mut().zip(y).for_each(|(o, y)| *o = T::from_f32(factor * *y));
        if let Some(log_sum) = log_sum {
            *log_sum = max + sum.ln();
        }
    }
}

fn run<T: Float>(kernel: &One, args: &[View], outs: &mut [ViewMut]) {
    let One { team, scale, heads, keys, is_far, scratch, .. } = kernel;
    let [q, k, v] = [0, 1, 2].map(|arg| args[arg].slice::<T>());
    let [o, log_sums @ ..] = outs else { return };
    let o = o.slice::<T>();
    let (depth, width) = (q.len() / heads, o.len() / heads);
    let o = Parts::new(o);
    let log_sums = log_sums.first_mut().map(|sums| Parts::new(sums.slice::<f32>()));
    let (isa, next) = (team.isa, AtomicUsize::new(0));
    team.pool.run(&|me| {
        loop {
            let head = next.fetch_add(1, Relaxed);
            if head >= *heads {
                return;
            }
            // SAFETY: each head is one thread's.
            let o = unsafe { o.part(head * width..(head + 1) * width) };
            // SAFETY: as above.
            let log_sum = log_sums.as_ref().map(|sums| unsafe { sums.part(head..head + 1) });
            isa.run(Head {
                q: &q[head * depth..][..depth],
                k: &k[head * keys * depth..][..keys * depth],
                v: &v[head * keys * width..][..keys * width],
                o,
                log_sum: log_sum.and_then(|sum| sum.first_mut()),
                keys: *keys,
                scale: *scale,
                is_far: *is_far,
                // SAFETY: the pool gives each thread its own number.
                room: unsafe { scratch.of(me.id) },
            });
        }
    });
}

impl Kernel for One {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }

    fn workspace(&self) -> Result<u64, Fault> {
        self.scratch.bytes()
    }
}
