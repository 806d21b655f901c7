//! Rows of a table, and the sums of what comes back to them.

use super::Rows;
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::vector::{MOST_LANES, Vector};
use crate::ops::{Embedding, EmbeddingGrad};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// y = rows of the table; the ids have been looked at.
pub(in super::super) fn embedding(
    team: &Team,
    op: &Embedding,
    spec: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match spec.dtype {
        DType::F32 => run::<f32>,
        DType::Bf16 => run::<bf16>,
        DType::F16 => run::<f16>,
        other => return Err(Unsupported(format!("cpu/native has no embedding of {}", other.name()))),
    };
    Rows::boxed(team, op.clone(), spec, [], run)
}

fn run<T: Float>(kernel: &Rows<Embedding>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, matrix: [_, columns], .. } = kernel;
    let (table, ids) = (args[0].slice::<T>(), args[1].slice::<i32>());
    let y = Parts::new(outs[0].slice::<T>());
    team.pool.run(&|me| {
        let mine = me.share(ids.len(), 1);
        // SAFETY: each row is one thread's.
        let y = unsafe { y.part(mine.start * columns..mine.end * columns) };
        for (id, y) in ids[mine].iter().zip(y.chunks_exact_mut(*columns)) {
            y.copy_from_slice(&table[*id as usize * columns..][..*columns]);
        }
    });
}

/// A part of a row, added to a row of f32.
struct AddTo<'a, T>(&'a [T], &'a mut [f32]);

impl<T: Float> Loops for AddTo<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        super::column_sum::add::<V, T>(self.0, self.1);
    }
}

/// Sums of rows of dy by id. Each thread has columns of its own, so that none waits and every sum goes up the rows.
pub(in super::super) fn embedding_grad(
    team: &Team,
    op: &EmbeddingGrad,
    spec: &ValueSpec,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match spec.dtype {
        DType::F32 => run_grad::<f32>,
        DType::Bf16 => run_grad::<bf16>,
        DType::F16 => run_grad::<f16>,
        other => return Err(Unsupported(format!("cpu/native has no embedding_grad of {}", other.name()))),
    };
    Rows::boxed(team, op.clone(), spec, [], run)
}

fn run_grad<T: Float>(kernel: &Rows<EmbeddingGrad>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, matrix: [_, columns], .. } = kernel;
    let (isa, columns) = (team.isa, *columns);
    let (dy, ids) = (args[0].slice::<T>(), args[1].slice::<i32>());
    let table = outs[0].slice::<f32>();
    let rows = table.len() / columns;
    let table = Parts::new(table);
    team.pool.run(&|me| {
        let mine = me.share(rows, 1);
        // SAFETY: each row is one thread's until all are 0.
        unsafe { table.part(mine.start * columns..mine.end * columns) }.fill(0.0);
        me.barrier();
        let mine = me.share(columns, MOST_LANES);
        if mine.is_empty() {
            return;
        }
        for (id, dy) in ids.iter().zip(dy.chunks_exact(columns)) {
            let at = *id as usize * columns;
            // SAFETY: each column is one thread's from here on.
            let to = unsafe { table.part(at + mine.start..at + mine.end) };
            isa.run(AddTo(&dy[mine.clone()], to));
        }
    });
}
