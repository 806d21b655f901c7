//! The AdamW step, in place.

use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::{Float, Number};
use crate::backends::cpu::functions::AdamwFactors;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::{Fault, Unsupported};
use crate::ops::Adamw;
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

struct Update {
    factors: AdamwFactors,
    run: fn(&AdamwFactors, &[View], &mut [ViewMut]),
}

pub(super) fn prepare(op: &Adamw, args: &[ValueSpec]) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match (args[0].dtype, args[1].dtype) {
        (DType::F32, DType::F32) => update::<f32>,
        (DType::F32, DType::Bf16) => update::<bf16>,
        (DType::F32, DType::F16) => update::<f16>,
        (p, g) => return Err(Unsupported(format!("cpu/naive has no adamw of {} by {}", p.name(), g.name()))),
    };
    Ok(Box::new(Update { factors: AdamwFactors::new(op), run }))
}

fn update<G: Number>(factors: &AdamwFactors, args: &[View], outs: &mut [ViewMut]) {
    let g = args[1].slice::<G>();
    let [p, m, v, p16 @ ..] = outs else { return };
    let (p, m, v) = (p.slice::<f32>(), m.slice::<f32>(), v.slice::<f32>());
    for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
        (*p, *m, *v) = factors.updated_one(*p, g.to_f32(), *m, *v);
    }
    if let Some(p16) = p16.first_mut() {
        p16.slice::<bf16>().iter_mut().zip(p).for_each(|(p16, p)| *p16 = Float::from_f32(*p));
    }
}

impl Kernel for Update {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(&self.factors, args, outs);
        Ok(())
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        super::super::functions::ADAMW_IN_PLACE
    }
}
