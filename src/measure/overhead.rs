//! What the harness itself costs beside the work that it measures.

use super::crash::{Crash, CrashKind};
use super::protocol::{Ask, Reply};
use super::worker::{Launch, Worker};
use crate::backends::null::{self, Behaviour};
use crate::backends::{Device, Fault, Lane, LoadOptions, Packing};
use crate::host::clock;
use crate::ops::ShapeError;
use crate::program::{Phase, Program, State};
use crate::random::Fill;
use crate::suite::{Scope, Sync};
use crate::tensor::{DType, ValueSpec};
use std::path::Path;
use std::time::Duration;

const LANE: Lane = Lane { threads: 1, packing: Packing::Plain };

/// Median nanoseconds of `exchanges` requests for a sample of one scripted execution, which takes no
/// time itself: what a sample costs beside the measuring. `program` is this program; `scratch` a folder.
pub fn exchange_ns(program: &Path, scratch: &Path, exchanges: usize) -> Result<f64, Crash> {
    const LIMIT: Duration = Duration::from_secs(10);
    let launch = Launch {
        backend: "null".to_string(),
        lane: LANE,
        program: program.to_path_buf(),
        external: None,
        environment: Vec::new(),
        memory_limit: Some(1 << 40),
        scratch: scratch.to_path_buf(),
    };
    let mut worker = Worker::start(&launch, LIMIT)?;
    let wrong = |error: ShapeError| Crash::new(CrashKind::Refused, error.to_string());
    let program = smallest().map_err(wrong)?;
    worker.ask(&Ask::Load { program, seed: 0, sets: 1, keep_all: false }, LIMIT)?;
    let ask = Ask::Sample { scope: Scope::Resident, sync: Sync::Batch, iters: 1 };
    let mut took = Vec::with_capacity(exchanges);
    for _ in 0..exchanges.max(1) {
        let begin = clock::now();
        let Reply::Sample(_) = worker.ask(&ask, LIMIT)? else { continue };
        took.push(clock::now() - begin);
    }
    worker.quit();
    took.sort_unstable();
    Ok(took[took.len() / 2] as f64)
}

/// Nanoseconds of one execution in the timed loop over `iters` of them, where the device does nothing.
pub fn enqueue_ns(iters: u64) -> Result<f64, Fault> {
    let program = smallest().map_err(|error| Fault::Unsupported(error.to_string()))?;
    let mut device = null::open(Behaviour::default(), &LANE);
    let mut loaded = device.load(&program, &LoadOptions { seed: 0, sets: 1, keep_all: false })?;
    let begin = clock::now();
    super::serve::sample(&mut *loaded, 1, Scope::Resident, Sync::Batch, iters.max(1))?;
    Ok((clock::now() - begin) as f64 / iters.max(1) as f64)
}

/// Nanoseconds that the host spends on one execution that it hands over without waiting, over `count` of them in
/// batches.
pub fn handing_over_ns(device: &mut dyn Device, count: usize) -> Result<f64, Fault> {
    const BATCH: usize = 1000;
    let program = smallest().map_err(|error| Fault::Unsupported(error.to_string()))?;
    let mut loaded = device.load(&program, &LoadOptions { seed: 0, sets: 1, keep_all: false })?;
    let mut batch = || -> Result<f64, Fault> {
        let begin = clock::now();
        (0..BATCH).try_for_each(|_| loaded.enqueue(0))?;
        let took = clock::now() - begin;
        loaded.wait()?;
        Ok(took as f64 / BATCH as f64)
    };
    // The first compiles.
    batch()?;
    let mut each = (0..count.div_ceil(BATCH).max(1)).map(|_| batch()).collect::<Result<Vec<_>, _>>()?;
    each.sort_by(f64::total_cmp);
    Ok(each[each.len() / 2])
}

/// A program that is as little work as there can be.
fn smallest() -> Result<Program, ShapeError> {
    let mut program = Program::default();
    let spec = ValueSpec::new(&[1, 1], DType::F32);
    let [a, b] = ["a", "b"].map(|name| program.input(name, spec.clone(), State::Batch, Fill::UNIT));
    let op = crate::ops::Op::Gemm(crate::ops::Gemm::plain(DType::F32));
    program.outputs = program.push(op, &[a, b], Phase::Forward, State::Activation)?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_that_does_nothing_takes_some_time() {
        assert!(enqueue_ns(1000).unwrap() > 0.0);
    }
}
