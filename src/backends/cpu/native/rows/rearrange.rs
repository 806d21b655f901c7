//! Runs of elements in another order.

use super::Rows;
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::parts::Parts;
use crate::ops::{Rearrange, RearrangeRuns};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// y = x, run by run.
pub(in super::super) fn rearrange(
    team: &Team,
    op: &Rearrange,
    args: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match args[0].dtype {
        DType::F32 => run::<f32>,
        DType::Bf16 => run::<bf16>,
        DType::F16 => run::<f16>,
        other => return Err(Unsupported(format!("cpu/native has no rearrange of {}", other.name()))),
    };
    Rows::boxed(team, op.runs(args), &args[0], [], run)
}

fn run<T: Float>(kernel: &Rows<RearrangeRuns>, args: &[View], outs: &mut [ViewMut]) {
    let Rows { team, op: runs, .. } = kernel;
    let len = runs.len;
    let mut whole: [&[T]; Rearrange::PIECES] = [&[]; Rearrange::PIECES];
    whole.iter_mut().zip(args).for_each(|(to, x)| *to = x.slice::<T>());
    let each = whole[0].len();
    let mut first = 0;
    for y in outs {
        let y = y.slice::<T>();
        let count = y.len() / len;
        let y = Parts::new(y);
        team.pool.run(&|me| {
            let mine = me.share(count, 1);
            // SAFETY: each run is one thread's.
            let y = unsafe { y.part(mine.start * len..mine.end * len) };
            for (number, y) in mine.zip(y.chunks_exact_mut(len)) {
                let source = runs.source(first + number) * len;
                y.copy_from_slice(&whole[source / each][source % each..][..len]);
            }
        });
        first += count;
    }
}
