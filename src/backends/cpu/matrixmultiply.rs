//! The crate `matrixmultiply`: what many Rust programs multiply with.

use super::loaded::{CpuDevice, Kernel, Library};
use super::strided::{self, Problem};
use crate::backends::*;

/// The crate's own variable for its number of threads, which it reads once.
const THREADS: &str = "MATMUL_NUM_THREADS";
/// Version of the crate.
pub(super) const VERSION: &str = "0.3.11";
/// More it does not use.
const MOST_THREADS: usize = 4;

/// The family.
pub struct Matrixmultiply;

impl Family for Matrixmultiply {
    fn id(&self) -> &'static str {
        "cpu/matrixmultiply"
    }

    fn devices(&self) -> Vec<Found> {
        super::host(self.id(), "the crate matrixmultiply 0.3")
    }

    fn supports(&self, lane: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        check_lane(lane)?;
        strided::prepare(self.id(), step, program, multiply).map(drop)
    }

    fn open(&self, _: &str, lane: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        check_lane(lane)?;
        let given = std::env::var(THREADS).unwrap_or_default();
        if given != lane.threads.to_string() {
            let wanted = lane.threads;
            return Err(Unsupported(format!(
                "{THREADS} must be {wanted} when the process starts; it is `{given}`"
            )));
        }
        Ok(Box::new(CpuDevice(Crate { threads: lane.threads })))
    }

    fn environment(&self, lane: &Lane) -> Vec<(String, String)> {
        vec![(THREADS.to_string(), lane.threads.to_string())]
    }
}

fn check_lane(lane: &Lane) -> Result<(), Unsupported> {
    match lane {
        Lane { packing: Packing::Packed, .. } => {
            Err(Unsupported("matrixmultiply has no packed layout to keep".to_string()))
        }
        Lane { threads: 0 | 5.., .. } => {
            Err(Unsupported(format!("matrixmultiply uses 1 to {MOST_THREADS} threads, not {}", lane.threads)))
        }
        _ => Ok(()),
    }
}

fn multiply(problem: &Problem) {
    let Problem { extents: [m, n, k], alpha, beta, a, b, d } = problem;
    let ([a_row, a_column], [b_row, b_column], [d_row, d_column]) = (a.1, b.1, d.1);
    // SAFETY: a problem's elements exist, and those of D are ours.
    unsafe {
        ::matrixmultiply::sgemm(
            *m, *k, *n, *alpha, a.0, a_row, a_column, b.0, b_row, b_column, *beta, d.0, d_row, d_column,
        );
    }
}

struct Crate {
    threads: usize,
}

impl Library for Crate {
    fn identity(&self) -> Identity {
        Identity {
            name: "matrixmultiply".to_string(),
            version: VERSION.to_string(),
            origin: "crate".to_string(),
            threads: self.threads,
            ..Identity::default()
        }
    }

    fn prepare(&self, step: &Step, program: &Program) -> Result<Box<dyn Kernel>, Unsupported> {
        strided::prepare(Matrixmultiply.id(), step, program, multiply)
    }
}
