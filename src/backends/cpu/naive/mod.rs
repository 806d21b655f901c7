//! Plain loops on one thread: the weak baseline that headlines are made from, and the floor.
//!
//! Each kernel is what a textbook prints: no blocking, no vectors, no threads, f32 arithmetic.

mod gemm;

use super::loaded::{CpuDevice, Kernel, Library};
use crate::backends::*;
use crate::ops::Op;

/// The family.
pub struct Naive;

impl Family for Naive {
    fn id(&self) -> &'static str {
        "cpu/naive"
    }

    fn devices(&self) -> Vec<Found> {
        super::host(self.id(), "plain loops of this program, one thread")
    }

    fn supports(&self, lane: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        check_lane(lane)?;
        prepare(step, program).map(drop)
    }

    fn open(&self, _: &str, lane: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        check_lane(lane)?;
        Ok(Box::new(CpuDevice(Loops)))
    }
}

fn check_lane(lane: &Lane) -> Result<(), Unsupported> {
    if lane.threads != 1 || lane.packing != Packing::Plain {
        return Err(Unsupported(format!(
            "cpu/naive runs on one thread and packs nothing; {lane} was asked for"
        )));
    }
    Ok(())
}

struct Loops;

impl Library for Loops {
    fn identity(&self) -> Identity {
        Identity {
            name: "plain loops".to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            origin: "crate".to_string(),
            threads: 1,
            ..Identity::default()
        }
    }

    fn prepare(&self, step: &Step, program: &Program) -> Result<Box<dyn Kernel>, Unsupported> {
        prepare(step, program)
    }
}

fn prepare(step: &Step, program: &Program) -> Result<Box<dyn Kernel>, Unsupported> {
    let args = program.specs(&step.args);
    let outs = program.specs(&step.outs);
    match &step.op {
        Op::Gemm(op) => gemm::prepare(op, &args, &outs),
        other => Err(Unsupported(format!("cpu/naive has no {}", other.operation().name()))),
    }
}
