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
mod mutants;
mod nvrtc;
mod toolchain;
mod training;

use cases::{Case, cases};
use cutgpu::backends::cuda::kernels::{SOURCES, Source};
use cutgpu::backends::cuda::launch::{Arch, Plan, launches};
use cutgpu::ops::Op;
use device::{Emulated, Order};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// What a child reads: the unit whose cases it runs, and where the libraries are.
const UNIT: &str = "CUTGPU_CUDA_UNIT";
const FOLDER: &str = "CUTGPU_CUDA_FOLDER";
/// Each case runs in several orders of threads; copies are late, at once, at random.
const ORDERS: [Order; 2] = [Order { seed: 1, copies: 0 }, Order { seed: 2, copies: 2 }];

/// Runs `work` on every unit, two at a time.
fn on_every_unit(work: impl Fn(&'static Source) -> Result<(), String> + Sync) -> Vec<String> {
    on_every(SOURCES.to_vec(), work)
}

/// Runs `work` on these units, two at a time.
fn on_every(
    units: Vec<&'static Source>,
    work: impl Fn(&'static Source) -> Result<(), String> + Sync,
) -> Vec<String> {
    let (left, failed) = (Mutex::new(units.into_iter()), Mutex::new(vec![]));
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

/// The longest that a unit's cases may take: a mutant may never end.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(120);

/// Runs the cases of a unit whose libraries are in `folder`.
fn child(source: &Source, folder: &Path) -> Result<String, String> {
    let mut running = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "this_process", "--nocapture", "--test-threads", "1"])
        .env(UNIT, source.name)
        .env(FOLDER, folder)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let clock = std::time::Instant::now();
    while running.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(10));
        if clock.elapsed() > LIMIT {
            running.kill().unwrap();
        }
    }
    let output = running.wait_with_output().unwrap();
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
    println!("emulated, minutes: {:.2}", clock.elapsed().as_secs_f64() / 60.0);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Ops without a kernel: each says why.
const HOLES: [&str; 0] = [];

#[test]
fn every_op_runs_on_the_oldest_card_or_says_why_not() {
    let (mut ran, mut holes) = (BTreeSet::new(), BTreeSet::new());
    for case in cases() {
        let name = case.op.operation().name();
        for arch in [75, 80, 86, 89, 90, 100, 120].map(Arch) {
            match launches(&case.op, &case.args, &case.outs, arch) {
                Ok(plan) => {
                    ran.insert(name);
                    for launch in &plan.launches {
                        assert!(launch.source.target(arch).is_some(), "{launch:?} on {arch:?}");
                        assert!(launch.shared_bytes <= arch.shared_limit(), "{launch:?} on {arch:?}");
                        assert!(launch.source.entries().contains(&&*launch.kernel), "{launch:?}");
                    }
                }
                Err(reason) => {
                    assert!(reason.0.starts_with("cuda/native "), "{reason}");
                    holes.insert(name);
                }
            }
        }
    }
    // A hole of one setting is not one of an op.
    let holes: Vec<_> = holes.difference(&ran).copied().collect();
    assert_eq!(holes, HOLES);
    assert_eq!(ran.len() + holes.len(), Op::NAMES.len());
}

/// Mutants that a plain test run tries.
const TRIED: usize = 12;

/// `CUTGPU_MUTANTS=all` tries every one; a number seeds the choice of a few that are not equivalent.
#[test]
fn a_kernel_without_a_barrier_a_wait_or_a_check_is_noticed() {
    if !toolchain::is_here() {
        return;
    }
    let asked = std::env::var("CUTGPU_MUTANTS").unwrap_or_default();
    let known = mutants::equivalents();
    let is_equivalent = |mutant: &mutants::Mutant| known.iter().any(|known| known.is(mutant));
    let mut tried = mutants::mutants();
    for known in &known {
        assert!(known.why.len() > 20 && tried.iter().any(|mutant| known.is(mutant)), "stale: {}", known.why);
    }
    if asked != "all" {
        tried.retain(|mutant| !is_equivalent(mutant));
        let seed = asked.parse().unwrap_or(0);
        tried.sort_by_key(|mutant| cutgpu::random::bits(seed, mutant.line as u64, mutant.of.len() as u64));
        tried.truncate(TRIED);
    }
    let (total, clock) = (tried.len(), std::time::Instant::now());
    let survived = mutants::survivors(tried);
    let (explained, unexplained): (Vec<_>, Vec<_>) = survived.into_iter().partition(is_equivalent);
    let seconds = clock.elapsed().as_secs_f64();
    println!("mutants: {} of {total} killed in {seconds:.0} s", total - explained.len() - unexplained.len());
    println!(
        "mutants killed, per cent: {:.1}",
        100.0 * (total - explained.len() - unexplained.len()) as f64 / total as f64
    );
    println!("mutants that change no answer: {}", explained.len());
    if asked == "all" {
        assert_eq!(explained.len(), known.len(), "a mutant that is listed as equivalent was killed");
    }
    assert!(unexplained.is_empty(), "{} survived: {unexplained:?}", unexplained.len());
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
        let own = |plan: &&Plan| plan.launches[0].source.name == source.name;
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

fn named(case: &Case, plan: &Plan) -> String {
    let kernels: Vec<_> = plan.launches.iter().map(|launch| launch.kernel.as_str()).collect();
    format!("{} of {:?} {:?}", kernels.join(", "), case.args, case.op)
}
