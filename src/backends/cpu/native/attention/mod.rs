//! Attention in tiles that stay in the caches, after FlashAttention (Dao and others, 2022) with the
//! online softmax of Milakov and Gimelshein (2018); the scores are never stored whole.
//!
//! Everything is computed transposed, so that a register holds as many queries: the softmax runs down
//! columns, and maxima, exponentials, sums and rescaling need nothing across lanes.
//! ```text
//! for a tile's width of queries
//!   for a block of keys
//!     St = K Qt           the tile of products: its rows are keys, its columns queries
//!     m, l, St            online softmax down the columns
//!     Ot = Ot exp + Vt St   the tile again: a row of V, where it lies, is a column of Vt
//! ```
//! A single query has [`one`]: nothing that is laid out for it would be used twice.

mod grad;
mod one;
mod online;
mod queries;

pub(super) use grad::prepare as prepare_grad;

use super::Team;
use super::gemm::{Arithmetic, CHUNK, Engine, To};
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::scratch::SharedScratch;
use crate::backends::cpu::parts::Parts;
use crate::backends::{Fault, Unsupported};
use crate::ops::Attention;
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};
use queries::{Head, Room};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[derive(Clone, Copy, Debug)]
struct Extents {
    heads: usize,
    queries: usize,
    keys: usize,
    depth: usize,
    width: usize,
    /// Keys of a block: its scores stay in the first cache.
    block: usize,
}

struct Tiles {
    team: Team,
    op: Attention,
    extents: Extents,
    engine: Engine,
    /// What [`Room`] says.
    scratch: SharedScratch,
    run: Run,
}

type Run = fn(&Tiles, &[View], &mut [ViewMut]);

/// Bytes of a usual first cache, of which scores take up to seven eighths.
const FIRST: usize = 32 << 10;

pub(super) fn prepare(
    team: &Team,
    op: &Attention,
    args: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    let (run, copies): (Run, bool) = match args[0].dtype {
        DType::F32 => (run::<f32>, false),
        DType::Bf16 => (run::<bf16>, true),
        DType::F16 => (run::<f16>, true),
        other => return Err(Unsupported(format!("cpu/native has no attention of {}", other.name()))),
    };
    let rows_of = |arg: usize| args[arg].shape[args[arg].shape.len() - 2];
    let (queries, keys) = (rows_of(0), rows_of(1));
    if queries == 1 {
        return one::prepare(team, op, args);
    }
    let (depth, width) = (args[0].columns(), args[2].columns());
    let engine = team.engine(Arithmetic::F32)?;
    let columns = engine.kernels.columns;
    let block = (team.first_cache().unwrap_or(FIRST) / 8 * 7 / (4 * columns)).min(keys);
    let extents = Extents { heads: args[0].rows() / queries, queries, keys, depth, width, block };
    let scratch = team.scratch(&[
        keys * depth.next_multiple_of(CHUNK),
        if copies { keys * width } else { 0 },
        (depth + block + width.next_multiple_of(CHUNK)) * columns,
        3 * columns,
        columns.next_multiple_of(CHUNK) * width.next_multiple_of(CHUNK),
    ]);
    Ok(Box::new(Tiles { team: team.clone(), op: op.clone(), extents, engine, scratch, run }))
}

fn run<T: Float + To<f32>>(kernel: &Tiles, args: &[View], outs: &mut [ViewMut]) {
    let Tiles { team, op, extents, engine, scratch, .. } = kernel;
    let Extents { heads, queries, keys, depth, width, .. } = *extents;
    let [q, k, v] = [0, 1, 2].map(|arg| args[arg].slice::<T>());
    let [o, log_sums @ ..] = outs else { return };
    let o = Parts::new(o.slice::<T>());
    let log_sums = log_sums.first_mut().map(|sums| Parts::new(sums.slice::<f32>()));
    let columns = engine.kernels.columns;
    let blocks = queries.div_ceil(columns);
    let next = AtomicUsize::new(0);
    team.pool.run(&|me| {
        // SAFETY: the pool gives each thread its own number.
        let mut room = Room::new(unsafe { scratch.of(me.id) }, engine, extents);
        let mut ready = usize::MAX;
        // Drawn one by one, because under a mask later queries see more keys; the longest of a head first.
        loop {
            let task = next.fetch_add(1, Relaxed);
            if task >= heads * blocks {
                return;
            }
            let (head, first) = (task / blocks, (blocks - 1 - task % blocks) * columns);
            let rows = head * queries + first..head * queries + queries.min(first + columns);
            let of = Head {
                engine,
                op,
                extents,
                k: &k[head * keys * depth..][..keys * depth],
                v: &v[head * keys * width..][..keys * width],
            };
            if ready != head {
                of.prepare(&mut room);
                ready = head;
            }
            // SAFETY: each row is one thread's.
            let o = unsafe { o.part(rows.start * width..rows.end * width) };
            // SAFETY: as above.
            let log_sums = log_sums.as_ref().map(|sums| unsafe { sums.part(rows.clone()) });
            of.answer(first, &q[rows.start * depth..rows.end * depth], &mut room, (o, log_sums));
        }
    });
}

impl Kernel for Tiles {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }

    fn workspace(&self) -> Result<u64, Fault> {
        self.scratch.bytes()
    }
}
