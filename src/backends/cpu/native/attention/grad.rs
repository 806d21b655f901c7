//! The gradients of attention: a thread takes a head, and goes through its queries block by block, so that scores
//! stay in the caches and each key's sums are one thread's.
//! ```text
//! for a block of queries
//!   P = exp(scale Q Kt - lse)
//!   dS = scale P (dY Vt - sum of dY Y)
//!   dV += Pt dY;  dQ = dS K;  dK += dSt Q
//! ```

use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::functions::exp;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::native::gemm::{Arithmetic, Engine, Matrix, Right, Scratch, Target, To, words_mut};
use crate::backends::cpu::native::rows::dot;
use crate::backends::cpu::native::scratch::SharedScratch;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::streaming::{Same, Walk};
use crate::backends::cpu::vector::Vector;
use crate::backends::{Fault, Unsupported};
use crate::ops::AttentionGrad;
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};
use std::ops::Range;

#[derive(Clone, Copy, Debug)]
struct Extents {
    heads: usize,
    queries: usize,
    keys: usize,
    depth: usize,
    width: usize,
    /// Queries of a block: two matrices of its scores stay in the second cache.
    block: usize,
}

/// Scores of a block.
const SCORES: usize = 1 << 15;

struct Heads {
    team: Team,
    op: AttentionGrad,
    extents: Extents,
    engine: Engine,
    /// What [`Room`] says.
    scratch: SharedScratch,
    run: fn(&Heads, &[View], &mut [ViewMut]),
}

pub(in super::super) fn prepare(
    team: &Team,
    op: &AttentionGrad,
    args: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match args[1].dtype {
        DType::F32 => run::<f32>,
        DType::Bf16 => run::<bf16>,
        DType::F16 => run::<f16>,
        other => return Err(Unsupported(format!("cpu/native has no attention_grad of {}", other.name()))),
    };
    let rows_of = |arg: usize| args[arg].shape[args[arg].shape.len() - 2];
    let (queries, keys) = (rows_of(1), rows_of(2));
    let (depth, width) = (args[1].columns(), args[3].columns());
    let block = (SCORES / keys).clamp(16, 256).min(queries);
    let extents = Extents { heads: args[1].rows() / queries, queries, keys, depth, width, block };
    let engine = team.engine(Arithmetic::F32)?;
    // Scores, their gradients, those of values and keys, and of queries.
    let products = [
        [block, keys, depth],
        [block, keys, width],
        [keys, width, block],
        [keys, depth, block],
        [block, depth, keys],
    ];
    let mut most = [0; 3];
    for lens in products.map(|extents| engine.scratch_lens(extents)) {
        most.iter_mut().zip(lens).for_each(|(most, len)| *most = len.max(*most));
    }
    let [a, b, rows] = most;
    let sums = block * depth + keys * (depth + width);
    let scratch = team.scratch(&[a, b, rows, 2 * block * keys, sums]);
    Ok(Box::new(Heads { team: team.clone(), op: op.clone(), extents, engine, scratch, run }))
}

/// What one head is made of.
struct Head<'a, T> {
    op: &'a AttentionGrad,
    extents: &'a Extents,
    engine: &'a Engine,
    dy: &'a [T],
    q: &'a [T],
    k: &'a [T],
    v: &'a [T],
    y: &'a [T],
    log_sums: &'a [f32],
}

/// Buffers of one thread.
struct Room<'a> {
    scratch: Scratch<'a>,
    /// Weights of a block, a row of all keys for each query.
    weights: &'a mut [f32],
    /// Gradients of its scores, likewise.
    slopes: &'a mut [f32],
    dq: &'a mut [f32],
    dk: &'a mut [f32],
    dv: &'a mut [f32],
}

impl<'a> Room<'a> {
    fn new([a, b, words, scores, sums]: [&'a mut [f32]; 5], extents: &Extents) -> Self {
        let Extents { keys, depth, block, .. } = *extents;
        let scratch = Scratch { a: words_mut(a), b: words_mut(b), rows: words_mut(words) };
        let (weights, slopes) = scores.split_at_mut(block * keys);
        let (dq, rest) = sums.split_at_mut(block * depth);
        let (dk, dv) = rest.split_at_mut(keys * depth);
        Self { scratch, weights, slopes, dq, dk, dv }
    }
}

/// From scores to weights and from the weights' gradients to those of the scores.
struct Rows<'a, T> {
    weights: &'a mut [f32],
    slopes: &'a mut [f32],
    dy: &'a [T],
    y: &'a [T],
    log_sums: &'a [f32],
    scale: f32,
    keys: usize,
    width: usize,
    /// Keys that are computed, and those of them that the first query sees; each later one sees one more.
    computed: usize,
    seen: usize,
}

impl<T: Float> Loops for Rows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { keys, width, computed, scale, .. } = self;
        for (row, log_sum) in self.log_sums.iter().enumerate() {
            let weights = &mut self.weights[row * keys..][..computed];
            let slopes = &mut self.slopes[row * keys..][..computed];
            let range = row * width..(row + 1) * width;
            let sum = dot::<V, T, T>(&self.dy[range.clone()], &self.y[range]);
            let (factor, log_sum, sum) = (V::splat(scale), V::splat(-log_sum), V::splat(sum));
            let whole = computed / V::LANES * V::LANES;
            for at in (0..whole).step_by(V::LANES) {
                let weight = exp(V::load(&weights[at..]).multiply_add(factor, log_sum));
                let slope = V::load(&slopes[at..]).sub(sum).mul(weight.mul(factor));
                weight.store(&mut weights[at..]);
                slope.store(&mut slopes[at..]);
            }
            if whole < computed {
                let weight = exp(V::load_first(&weights[whole..]).multiply_add(factor, log_sum));
                let slope = V::load_first(&slopes[whole..]).sub(sum).mul(weight.mul(factor));
                weight.store_first(&mut weights[whole..]);
                slope.store_first(&mut slopes[whole..]);
            }
            let seen = (self.seen + row).min(computed);
            weights[seen..].fill(0.0);
            slopes[seen..].fill(0.0);
        }
    }
}

impl<T: Float + To<f32>> Head<'_, T> {
    /// Adds up everything for queries `block`; writes dq.
    fn block(&self, block: Range<usize>, room: &mut Room, dq: &mut [T]) {
        let Self { op, engine, extents: Extents { queries, keys, depth, width, .. }, .. } = self;
        let (keys, depth, width, count) = (*keys, *depth, *width, block.len());
        let rows = |columns: usize| block.start * columns..block.end * columns;
        let (dy, q) = (&self.dy[rows(width)], &self.q[rows(depth)]);
        // Query r sees keys up to r + keys - queries.
        let seen = if op.causal { block.start + 1 + keys - queries } else { keys };
        let computed = if op.causal { block.end + keys - queries } else { keys };
        let Room { scratch, weights, slopes, dq: sums, dk, dv } = room;
        let (by_row, by_column) = (|columns| [columns, 1], |columns| [1, columns]);
        let plain = |to: &mut [f32], stride| Target::plain(to.as_mut_ptr(), stride, 1.0);
        // Later blocks add to what is there.
        let more = |to: &mut [f32], stride| {
            let target = Target::plain(to.as_mut_ptr(), stride, 1.0);
            if block.start == 0 {
                return target;
            }
            Target { beta: 1.0, init: target.start, init_stride: stride, ..target }
        };
        let product = |a: Matrix<T>, b: Matrix<T>, extents, target, scratch: &mut Scratch| {
            engine.multiply::<f32, f32, T, T>(a, &Right::Plain(b), extents, target, scratch);
        };
        let of_sums = |a: Matrix<f32>, b: Matrix<T>, extents, target, scratch: &mut Scratch| {
            engine.multiply::<f32, f32, f32, T>(a, &Right::Plain(b), extents, target, scratch);
        };
        let (k, v) = (Matrix::new(self.k, by_column(depth)), Matrix::new(self.v, by_column(width)));
        product(Matrix::new(q, by_row(depth)), k, [count, computed, depth], plain(weights, keys), scratch);
        product(Matrix::new(dy, by_row(width)), v, [count, computed, width], plain(slopes, keys), scratch);
        engine.isa.run(Rows {
            weights,
            slopes,
            dy,
            y: &self.y[rows(width)],
            log_sums: &self.log_sums[block.clone()],
            scale: op.scale as f32,
            keys,
            width,
            computed,
            seen,
        });
        let (p, ds) = (Matrix::new(weights, by_column(keys)), Matrix::new(slopes, by_column(keys)));
        // The keys that this block sees first have no sums yet.
        if block.start == 0 {
            dk.fill(0.0);
            dv.fill(0.0);
        }
        let by_query = Matrix::new(dy, by_row(width));
        of_sums(p, by_query, [computed, width, count], more(dv, width), scratch);
        of_sums(ds, Matrix::new(q, by_row(depth)), [computed, depth, count], more(dk, depth), scratch);
        let (ds, k) = (Matrix::new(slopes, by_row(keys)), Matrix::new(self.k, by_row(depth)));
        of_sums(ds, k, [count, depth, computed], plain(sums, depth), scratch);
        narrow(engine, &sums[..count * depth], dq);
    }
}

fn narrow<T: Float>(engine: &Engine, from: &[f32], to: &mut [T]) {
    engine.isa.run(Walk { z: to, x: [from], f: Same, past: false });
}

fn run<T: Float + To<f32>>(kernel: &Heads, args: &[View], outs: &mut [ViewMut]) {
    let Heads { team, op, extents, engine, scratch, .. } = kernel;
    let Extents { heads, queries, keys, depth, width, block } = *extents;
    let [dy, q, k, v, y] = [0, 1, 2, 3, 4].map(|arg| args[arg].slice::<T>());
    let log_sums = args[5].slice::<f32>();
    let [dq, dk, dv] = outs else { return };
    let [dq, dk, dv] = [dq, dk, dv].map(|out| Parts::new(out.slice::<T>()));
    team.pool.run(&|me| {
        // SAFETY: the pool gives each thread its own number.
        let mut room = Room::new(unsafe { scratch.of(me.id) }, extents);
        for head in me.share(heads, 1) {
            let part = |len: usize| head * len..(head + 1) * len;
            let of = Head {
                op,
                extents,
                engine,
                dy: &dy[part(queries * width)],
                q: &q[part(queries * depth)],
                k: &k[part(keys * depth)],
                v: &v[part(keys * width)],
                y: &y[part(queries * width)],
                log_sums: &log_sums[part(queries)],
            };
            // SAFETY: each head is one thread's.
            let dq = unsafe { dq.part(part(queries * depth)) };
            for (number, dq) in dq.chunks_mut(block * depth).enumerate() {
                let first = number * block;
                of.block(first..first + dq.len() / depth, &mut room, dq);
            }
            // SAFETY: as above.
            narrow(engine, &room.dk[..keys * depth], unsafe { dk.part(part(keys * depth)) });
            // SAFETY: as above.
            narrow(engine, &room.dv[..keys * width], unsafe { dv.part(part(keys * width)) });
        }
    });
}

impl Kernel for Heads {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }

    fn workspace(&self) -> Result<u64, Fault> {
        self.scratch.bytes()
    }
}
