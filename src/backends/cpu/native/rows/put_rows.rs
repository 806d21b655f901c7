//! Rows written into a matrix, in place.

use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::Team;
use crate::backends::cpu::parts::Parts;
use crate::backends::{Fault, Unsupported};
use crate::ops::{PutRows, PutRowsDims};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

struct Put {
    team: Team,
    dims: PutRowsDims,
    at: usize,
    run: fn(&Put, &[View], &mut [ViewMut]),
}

/// y, which holds x, with new rows.
pub(in super::super) fn put_rows(
    team: &Team,
    op: &PutRows,
    args: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(args).map_err(|error| Unsupported(error.to_string()))?;
    let run = match args[0].dtype {
        DType::F32 => run::<f32>,
        DType::Bf16 => run::<bf16>,
        DType::F16 => run::<f16>,
        other => return Err(Unsupported(format!("cpu/native has no put_rows of {}", other.name()))),
    };
    Ok(Box::new(Put { team: team.clone(), dims, at: op.at, run }))
}

fn run<T: Float>(put: &Put, args: &[View], outs: &mut [ViewMut]) {
    let Put { team, dims, at, .. } = put;
    let PutRowsDims { batch, rows, new, columns } = *dims;
    let (r, y) = (args[1].slice::<T>(), Parts::new(outs[0].slice::<T>()));
    let one = |matrix: usize| {
        let first = (matrix * rows + at) * columns;
        // SAFETY: each matrix is one thread's.
        let y = unsafe { y.part(first..first + new * columns) };
        y.copy_from_slice(&r[matrix * new * columns..][..new * columns]);
    };
    // To wake a team takes longer than to copy a few rows.
    if r.len() < 1 << 15 {
        (0..batch).for_each(one);
    } else {
        team.pool.run(&|me| me.share(batch, 1).for_each(one));
    }
}

impl Kernel for Put {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        PutRows::IN_PLACE
    }
}
