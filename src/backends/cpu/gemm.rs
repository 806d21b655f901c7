//! The crate `gemm`: the fastest pure Rust products that are published.

use super::loaded::{CpuDevice, Kernel, Library};
use super::strided::{self, Problem};
use crate::backends::*;
use gemm_common::Parallelism;
use std::sync::Arc;

/// The family.
pub struct GemmCrate;

impl Family for GemmCrate {
    fn id(&self) -> &'static str {
        "cpu/gemm"
    }

    fn devices(&self) -> Vec<Found> {
        super::host(self.id(), "the crate gemm 0.19, with AVX-512")
    }

    fn supports(&self, lane: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        check_lane(lane)?;
        strided::prepare(self.id(), step, program, |_| ()).map(drop)
    }

    fn open(&self, _: &str, lane: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        check_lane(lane)?;
        Ok(Box::new(CpuDevice(Crate { threads: lane.threads, pool: pool(lane.threads)? })))
    }
}

fn check_lane(lane: &Lane) -> Result<(), Unsupported> {
    if lane.packing == Packing::Packed || lane.threads == 0 {
        return Err(Unsupported(format!("the crate gemm has no lane {lane}: it keeps no packed layout")));
    }
    Ok(())
}

/// A pool of `threads`, or none for one thread, which must wake nobody.
fn pool(threads: usize) -> Result<Option<Arc<rayon::ThreadPool>>, Unsupported> {
    if threads == 1 {
        return Ok(None);
    }
    let builder = || rayon::ThreadPoolBuilder::new().num_threads(threads);
    // With the caller in the pool a call starts at once; handing it to a sleeping thread takes tens of
    // microseconds. A thread can be in one pool only, so a second device in a process hands over.
    let pool = builder().use_current_thread().build().or_else(|_| builder().build());
    let pool = pool.map_err(|error| Unsupported(format!("cannot start {threads} threads: {error}")))?;
    Ok(Some(Arc::new(pool)))
}

fn multiply(problem: &Problem, parallelism: Parallelism) {
    let Problem { extents: [m, n, k], alpha, beta, a, b, d } = problem;
    let ([a_row, a_column], [b_row, b_column], [d_row, d_column]) = (a.1, b.1, d.1);
    // Two conventions differ from BLAS: the crate's `alpha` is the factor of what the target holds and
    // its `beta` that of the product, and its kernels write columns. So D^T = B^T A^T is computed, whose
    // columns are the rows of D.
    let (of_target, of_product, read_target) = (*beta, *alpha, *beta != 0.0);
    // SAFETY: a problem's elements exist, and those of D are ours.
    unsafe {
        gemm_f32::gemm::f32::get_gemm_fn()(
            *n,
            *m,
            *k,
            d.0,
            d_row,
            d_column,
            read_target,
            b.0,
            b_row,
            b_column,
            a.0,
            a_row,
            a_column,
            of_target,
            of_product,
            false,
            false,
            false,
            parallelism,
        );
    }
}

struct Crate {
    threads: usize,
    pool: Option<Arc<rayon::ThreadPool>>,
}

impl Library for Crate {
    fn identity(&self) -> Identity {
        Identity {
            name: "gemm".to_string(),
            version: "0.19.0".to_string(),
            origin: "crate".to_string(),
            threads: self.threads,
            ..Identity::default()
        }
    }

    fn prepare(&self, step: &Step, program: &Program) -> Result<Box<dyn Kernel>, Unsupported> {
        match self.pool.clone() {
            None => {
                let alone = |problem: &Problem| multiply(problem, Parallelism::None);
                strided::prepare(GemmCrate.id(), step, program, alone)
            }
            Some(pool) => {
                let together = move |problem: &Problem| {
                    let problem = Shared(problem);
                    pool.install(move || problem.multiply(Parallelism::Rayon(0)));
                };
                strided::prepare(GemmCrate.id(), step, program, together)
            }
        }
    }
}

/// A problem that another thread may solve while its owner waits.
struct Shared<'a>(&'a Problem);

// SAFETY: the addresses stay valid and unused until `install` returns.
unsafe impl Send for Shared<'_> {}

impl Shared<'_> {
    fn multiply(self, parallelism: Parallelism) {
        multiply(self.0, parallelism);
    }
}
