//! Attention: for a block of queries all scores, their softmax, and the product with the values. Each
//! thread takes blocks in turn.

use super::Team;
use super::gemm::{Matrix, Target, multiply, scratch_lens};
use super::rows::{Exponentials, Narrow};
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::parts::{Parts, TeamScratch};
use crate::backends::{Fault, Unsupported};
use crate::ops::Attention;
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// Most queries of a block: each block copies the keys and values that it sees.
const QUERIES: usize = 256;
/// Most scores of a block.
const SCORES: usize = 1 << 20;

#[derive(Clone, Copy, Debug)]
struct Extents {
    heads: usize,
    queries: usize,
    keys: usize,
    depth: usize,
    width: usize,
    /// Queries of a block.
    block: usize,
}

struct Blocks {
    team: Team,
    op: Attention,
    extents: Extents,
    /// Packed factors, an edge, scores, answers.
    scratch: TeamScratch,
    run: fn(&Blocks, &[View], &mut [ViewMut]),
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
    let rows_of = |arg: usize| args[arg].shape[args[arg].shape.len() - 2];
    let (queries, keys) = (rows_of(0), rows_of(1));
    let (depth, width) = (args[0].columns(), args[2].columns());
    let block = queries.min(QUERIES).min((SCORES / keys).max(1));
    let extents = Extents { heads: args[0].rows() / queries, queries, keys, depth, width, block };
    let scores = scratch_lens(team.isa, [block, keys, depth]);
    let values = scratch_lens(team.isa, [block, width, keys]);
    let [a, b, edge] = std::array::from_fn(|part| scores[part].max(values[part]));
    let scratch = team.scratch(&[a, b, edge, block * keys, block * width])?;
    Ok(Box::new(Blocks { team: team.clone(), op: op.clone(), extents, scratch, run }))
}

fn run<T: Float>(kernel: &Blocks, args: &[View], outs: &mut [ViewMut]) {
    let Blocks { team, op, extents, scratch, .. } = kernel;
    let Extents { heads, queries, keys, depth, width, block } = *extents;
    let isa = team.isa;
    let [q, k, v] = [0, 1, 2].map(|arg| args[arg].slice::<T>());
    let [o, log_sums @ ..] = outs else { return };
    let o = Parts::new(o.slice::<T>());
    let log_sums = log_sums.first_mut().map(|sums| Parts::new(sums.slice::<f32>()));
    let blocks = queries.div_ceil(block);
    team.pool.run(&|me| {
        // SAFETY: the pool gives each thread its own number.
        let [a, b, edge, scores, answers] = unsafe { scratch.of(me.id) };
        let mut packs = [a, b, edge];
        // In turn, because under a mask later blocks of a head see more keys.
        for number in (me.id..heads * blocks).step_by(me.count) {
            let (head, first) = (number / blocks, number % blocks * block);
            let rows = block.min(queries - first);
            let visible = |row: usize| if op.causal { first + row + 1 + keys - queries } else { keys };
            let seen = visible(rows - 1);
            let q = Matrix::new(&q[(head * queries + first) * depth..], [depth, 1]);
            let k = Matrix::new(&k[head * keys * depth..], [1, depth]);
            let v = Matrix::new(&v[head * keys * width..], [width, 1]);
            let alpha = op.scale as f32;
            let target = Target { start: scores.as_mut_ptr(), stride: seen, alpha, add: false };
            multiply(isa, (q, k), [rows, seen, depth], target, &mut packs);
            let own = head * queries + first..head * queries + first + rows;
            // SAFETY: each row is one thread's.
            let mut log_sums = log_sums.as_ref().map(|sums| unsafe { sums.part(own) });
            for (row, scores) in scores[..rows * seen].chunks_exact_mut(seen).enumerate() {
                let (scores, hidden) = scores.split_at_mut(visible(row));
                let log_sum = isa.run(Exponentials(scores));
                if let Some(sums) = &mut log_sums {
                    sums[row] = log_sum;
                }
                hidden.fill(0.0);
            }
            let weights = Matrix::new(&*scores, [seen, 1]);
            let target = Target { start: answers.as_mut_ptr(), stride: width, alpha: 1.0, add: false };
            multiply(isa, (weights, v), [rows, width, seen], target, &mut packs);
            let start = (head * queries + first) * width;
            // SAFETY: as above.
            let o = unsafe { o.part(start..start + rows * width) };
            isa.run(Narrow(o, &answers[..rows * width]));
        }
    });
}

impl Kernel for Blocks {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }

    fn workspace(&self) -> u64 {
        self.scratch.bytes()
    }
}
