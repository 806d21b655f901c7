//! The CUDA kernels without a card: executed on the processor from their unchanged sources against the ops'
//! f64 references, and what their proofs are worth, by mutants.
//!
//! A unit runs in a process of its own: a kernel that touches what it must not ends its process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]
#![allow(unsafe_code, reason = "kernels are called by address")]

mod cases;
mod check;
#[path = "../conformance_programs/mod.rs"]
mod conformance_programs;
mod device;
mod toolchain;

use cases::{Case, cases};
use cutgpu::backends::cuda::kernels::{SOURCES, Source};
use device::{Emulated, Order};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

/// What a child reads: the unit whose cases it runs, and where the libraries are.
const UNIT: &str = "CUTGPU_CUDA_UNIT";
const FOLDER: &str = "CUTGPU_CUDA_FOLDER";
/// Each case runs in several orders of threads; copies are late, at once, at random.
const ORDERS: [Order; 2] = [Order { seed: 1, copies: 0 }, Order { seed: 2, copies: 2 }];

/// Runs `work` on every unit, two at a time.
fn on_every_unit(work: impl Fn(&'static Source) -> Result<(), String> + Sync) -> Vec<String> {
    let (left, failed) = (Mutex::new(SOURCES.iter()), Mutex::new(vec![]));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(source) = left.lock().unwrap().next() else { return };
                    if let Err(what) = work(source) {
                        failed.lock().unwrap().push(what);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

/// Runs the cases of a unit whose libraries are in `folder`.
fn child(source: &Source, folder: &Path) -> Result<String, String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "this_process", "--nocapture", "--test-threads", "1"])
        .env(UNIT, source.name)
        .env(FOLDER, folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match said.lines().find_map(|line| line.split_once("ran: ")) {
        Some((_, ran)) if output.status.success() => Ok(ran.to_string()),
        _ => Err(format!(
            "{}: {}\n{said}{}",
            source.name,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

#[test]
fn every_kernel_answers_right_on_the_processor() {
    if !toolchain::is_here() {
        return;
    }
    let clock = std::time::Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let failed = on_every_unit(|source| {
        toolchain::build(source, None, folder.path())?;
        let ran = child(source, folder.path())?;
        println!("{:14} {ran}", source.name);
        Ok(())
    });
    println!("emulated: {:.2} minutes", clock.elapsed().as_secs_f64() / 60.0);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The child's part; nothing to do in a test run of its own.
#[test]
fn this_process() {
    let (Ok(unit), Ok(folder)) = (std::env::var(UNIT), std::env::var(FOLDER)) else { return };
    let source = SOURCES.iter().find(|source| source.name == unit).unwrap();
    let mut emulated = Emulated::default();
    let (mut ran, mut met) = (0, BTreeSet::new());
    for case in cases() {
        let plans: Vec<_> = case.plans();
        let own = |plan: &&cutgpu::backends::cuda::launch::Plan| plan.launches[0].source.name == source.name;
        let plans: Vec<_> = plans.iter().filter(own).collect();
        if plans.is_empty() {
            continue;
        }
        let inputs = check::inputs(&case);
        let want = check::reference(&case, &inputs);
        for plan in plans {
            met.extend(plan.launches.iter().map(|launch| launch.kernel.clone()));
            for order in ORDERS {
                let answer = emulated.run(Path::new(&folder), plan, &inputs, &case.outs, order);
                let checked = answer.and_then(|got| check::compare(&got, &want));
                checked.unwrap_or_else(|what| panic!("{}: {what} ({order:?})", named(&case, plan)));
                ran += 1;
            }
        }
    }
    let missed: Vec<_> = source.entries().into_iter().filter(|entry| !met.contains(*entry)).collect();
    assert!(missed.is_empty(), "no case launches {missed:?}");
    println!("ran: {ran} launches of {} entries", met.len());
}

fn named(case: &Case, plan: &cutgpu::backends::cuda::launch::Plan) -> String {
    let kernels: Vec<_> = plan.launches.iter().map(|launch| launch.kernel.as_str()).collect();
    format!("{} of {:?} {:?}", kernels.join(", "), case.args, case.op)
}
