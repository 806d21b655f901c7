//! Steps of optimizers, in place.

use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::{Float, Number};
use crate::backends::cpu::functions::{ADAMW_IN_PLACE, AdamwFactors, SGD_IN_PLACE};
use crate::backends::cpu::loaded::Kernel;
use crate::backends::{Fault, Unsupported};
use crate::ops::{Adamw, SgdMomentum};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

type Run<O> = fn(&O, &[View], &mut [ViewMut]);

/// A loop over elements of p and its state, which are overwritten.
struct Update<O> {
    factors: O,
    in_place: &'static [(usize, usize)],
    run: Run<O>,
}

pub(super) fn adamw(op: &Adamw, args: &[ValueSpec]) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = by_type("adamw", args, [run_adamw::<f32>, run_adamw::<bf16>, run_adamw::<f16>])?;
    Ok(Box::new(Update { factors: AdamwFactors::new(op), in_place: ADAMW_IN_PLACE, run }))
}

pub(super) fn sgd_momentum(op: &SgdMomentum, args: &[ValueSpec]) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = by_type("sgd_momentum", args, [run_sgd::<f32>, run_sgd::<bf16>, run_sgd::<f16>])?;
    Ok(Box::new(Update { factors: op.clone(), in_place: SGD_IN_PLACE, run }))
}

/// The instance for the type of the gradient.
fn by_type<O>(op: &str, args: &[ValueSpec], [f32, bf16, f16]: [Run<O>; 3]) -> Result<Run<O>, Unsupported> {
    match (args[0].dtype, args[1].dtype) {
        (DType::F32, DType::F32) => Ok(f32),
        (DType::F32, DType::Bf16) => Ok(bf16),
        (DType::F32, DType::F16) => Ok(f16),
        (p, g) => Err(Unsupported(format!("cpu/naive has no {op} of {} by {}", p.name(), g.name()))),
    }
}

fn run_adamw<G: Number>(factors: &AdamwFactors, args: &[View], outs: &mut [ViewMut]) {
    let g = args[1].slice::<G>();
    let [p, m, v, p16 @ ..] = outs else { return };
    let (p, m, v) = (p.slice::<f32>(), m.slice::<f32>(), v.slice::<f32>());
    for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
        (*p, *m, *v) = factors.updated_one(*p, g.to_f32(), *m, *v);
    }
    narrow(p, p16);
}

fn run_sgd<G: Number>(op: &SgdMomentum, args: &[View], outs: &mut [ViewMut]) {
    let [rate, momentum, decay] = [op.rate, op.momentum, op.weight_decay].map(|factor| factor as f32);
    let [p, v, p16 @ ..] = outs else { return };
    let (p, v) = (p.slice::<f32>(), v.slice::<f32>());
    for ((p, v), g) in p.iter_mut().zip(v).zip(args[1].slice::<G>()) {
        *v = momentum * *v + (g.to_f32() + decay * *p);
        *p -= rate * *v;
    }
    narrow(p, p16);
}

/// Writes the bf16 copy of p, where there is one.
fn narrow(p: &[f32], p16: &mut [ViewMut]) {
    if let Some(p16) = p16.first_mut() {
        p16.slice::<bf16>().iter_mut().zip(p).for_each(|(p16, p)| *p16 = Float::from_f32(*p));
    }
}

impl<O> Kernel for Update<O> {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(&self.factors, args, outs);
        Ok(())
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        self.in_place
    }
}
