//! Every backend of this process against the f64 references: odd sizes, every transpose, every type, and
//! planted faults that must be noticed.
//!
//! Each backend and lane runs in a process of its own, as in a measurement: libraries read their
//! settings once, and two of them must not share a process. A backend that is not on this machine is
//! said; one that `REQUIRE_BACKENDS` names (`cpu/openblas,cpu/onednn`) must be there. `CUTGPU_CONFORMANCE_ONLY`
//! names the only family that is asked.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod conformance_programs;

use conformance_programs::{Case, faulted, programs};
use cutgpu::backends::faulty::{FaultyDevice, Kind, Planted};
use cutgpu::backends::{Device, FAMILIES, Family, Fault, Lane, LoadOptions, Packing, open};
use cutgpu::measure::verify::{Answer, Failure, Here, Verifier, check_finite};
use cutgpu::program::Program;
use cutgpu::tensor::DType;
use std::process::Command;
use std::time::Instant;

/// What a child reads: backend, threads, packing.
const CHILD: &str = "CUTGPU_CONFORMANCE";
/// These are in every build and on every machine.
const ALWAYS: [&str; 5] = ["cpu/native", "cpu/gemm", "cpu/matrixmultiply", "cpu/naive", "null"];
const SEED: u64 = 11;

/// What a child says of its backend, on its last line.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Told {
    ran: usize,
    unsupported: usize,
    planted: usize,
    /// Names of planted faults that no check noticed.
    missed: Vec<String>,
}

#[test]
fn every_backend_answers_right_and_planted_faults_are_caught() {
    let required = std::env::var("REQUIRE_BACKENDS").unwrap_or_default();
    let (mut failed, mut planted, mut missed) = (vec![], 0, vec![]);
    let only = std::env::var("CUTGPU_CONFORMANCE_ONLY").ok();
    let wanted = |family: &&&dyn Family| only.as_ref().is_none_or(|only| is_of(family.id(), only));
    for family in FAMILIES.iter().filter(|family| family.external().is_none()).filter(wanted) {
        let (mut ran, start) = (0, Instant::now());
        for found in family.devices() {
            for (lane, variables) in lanes(*family) {
                let slow = variables.iter().any(|(name, _)| *name == EXTRA_WORK);
                let backend = found.backend.clone() + if slow { "/extra-work" } else { "" };
                match child(*family, &backend, &lane, &variables) {
                    Ok(Some(told)) => {
                        let settings: Vec<_> = variables.iter().map(|(_, value)| value.as_str()).collect();
                        let name = format!("{backend} {lane} {}", settings.join(" "));
                        println!(
                            "{name:34} {:4} cells, {:3} unsupported, {} faults planted",
                            told.ran, told.unsupported, told.planted
                        );
                        ran += told.ran;
                        planted += told.planted;
                        missed.extend(told.missed.iter().map(|fault| format!("{name}: {fault}")));
                    }
                    Ok(None) if slow => failed.push(format!("{backend} {lane} was refused")),
                    Ok(None) => {}
                    Err(what) => failed.push(what),
                }
            }
        }
        if ran > 0 {
            println!("{}, minutes: {:.2}", family.id(), start.elapsed().as_secs_f64() / 60.0);
        }
        let expected =
            ALWAYS.contains(&family.id()) || required.split(',').any(|name| is_of(family.id(), name));
        if ran == 0 && expected {
            failed.push(format!("{}: no cell ran", family.id()));
        } else if ran == 0 {
            println!("{:34} not on this machine", family.id());
        }
    }
    println!("planted faults: {planted}");
    println!("planted faults missed: {}", missed.len());
    failed.extend(missed);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Whether `name` is a family's id or the start of it: `cuda` is any of `cuda/native`, `cuda/cublas`.
fn is_of(id: &str, name: &str) -> bool {
    id == name || id.starts_with(&format!("{name}/"))
}

/// A CBLAS of plain loops with 64-bit integers and the decoration `scipy_` .. `64_`.
const TOY: &str = r#"
typedef long I;
void scipy_cblas_sgemm64_(int order, int ta, int tb, I m, I n, I k, float alpha, const float *a, I lda,
                          const float *b, I ldb, float beta, float *c, I ldc) {
    for (I i = 0; i < m; i++)
        for (I j = 0; j < n; j++) {
            double sum = 0;
            for (I p = 0; p < k; p++)
                sum += (double)(ta == 112 ? a[p * lda + i] : a[i * lda + p]) *
                       (tb == 112 ? b[j * ldb + p] : b[p * ldb + j]);
            c[i * ldc + j] = order == 101 ? alpha * sum + (beta == 0 ? 0 : beta * c[i * ldc + j]) : -1;
        }
}
"#;

#[test]
fn a_named_library_answers_right_whatever_its_names_and_integers() {
    let folder = tempfile::tempdir().unwrap();
    let (source, file) = (folder.path().join("toy.c"), folder.path().join("libtoy.so"));
    std::fs::write(&source, TOY).unwrap();
    match Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&file, &source]).status() {
        Ok(status) => assert!(status.success()),
        Err(error) => return println!("cc cannot be run ({error}): no library to name"),
    }
    let family = cutgpu::backends::family_of("cpu/blas").unwrap();
    let lane = Lane { threads: 1, packing: Packing::Plain };
    let variables = vec![("CUTGPU_BLAS", file.to_string_lossy().into_owned())];
    let told = child(family, "cpu/blas/libtoy.so", &lane, &variables).unwrap().unwrap();
    assert!(told.ran > 20 && told.planted > 0 && told.missed.is_empty(), "{told:?}");
}

const EXTRA_WORK: &str = "CUTGPU_EXTRA_WORK";
type Variables = Vec<(&'static str, String)>;

/// One thread and several, every packing; this program's kernels with every instruction set, and once
/// with the extra work that must not change an answer.
fn lanes(family: &dyn Family) -> Vec<(Lane, Variables)> {
    let mut settings: Vec<(&[usize], Variables)> = vec![(&[1, 2, 3], vec![])];
    if family.id() == "cpu/native" {
        settings.extend(
            ["portable", "avx2", "avx512", "avx512-vnni", "avx512-bf16"]
                .map(|isa| (&[1, 3][..], vec![("CUTGPU_ISA", isa.to_string())])),
        );
        settings.push((&[2], vec![(EXTRA_WORK, "0.3".to_string())]));
    }
    // Libraries may read what they do not use; this program's own loops may not.
    if matches!(family.id(), "cpu/native" | "cpu/naive") {
        settings.iter_mut().for_each(|(_, variables)| variables.push(("CUTGPU_FENCES", "1".to_string())));
    }
    let mut lanes = vec![];
    for (threads, variables) in settings {
        for &packing in family.packings() {
            let threads = threads.iter().filter(|&&threads| threads <= family.max_threads());
            lanes.extend(threads.map(|&threads| (Lane { threads, packing }, variables.clone())));
        }
    }
    lanes
}

/// Runs [`this_process`] in a new process: what it told, or nothing where the backend refuses the lane.
fn child(
    family: &dyn Family,
    backend: &str,
    lane: &Lane,
    variables: &Variables,
) -> Result<Option<Told>, String> {
    let packed = if lane.packing == Packing::Packed { "packed" } else { "plain" };
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "this_process", "--nocapture", "--test-threads", "1"]);
    command.env(CHILD, format!("{backend} {} {packed}", lane.threads));
    cutgpu::host::child::set_all(&mut command, &family.environment(lane));
    let output = command.envs(variables.iter().cloned()).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let line = |prefix: &str| {
        stdout.lines().find_map(|line| line.split_once(prefix)).map(|(_, rest)| rest.to_string())
    };
    if let Some(reason) = line("refused: ") {
        println!("{backend} {lane}: {reason}");
        return Ok(None);
    }
    let told = line("told: ").and_then(|rest| serde_json::from_str(&rest).ok());
    match told {
        Some(told) if output.status.success() => Ok(Some(told)),
        _ => Err(format!(
            "{backend} {lane} {variables:?}: {}\n{stdout}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// The child's part; nothing to do in a test run of its own.
#[test]
fn this_process() {
    let Ok(asked) = std::env::var(CHILD) else { return };
    let [backend, threads, packing] = asked.split(' ').collect::<Vec<_>>()[..] else { panic!("{asked}") };
    let packing = if packing == "packed" { Packing::Packed } else { Packing::Plain };
    let lane = Lane { threads: threads.parse().unwrap(), packing };
    let family = cutgpu::backends::family_of(backend).unwrap();
    let mut device = match open(backend, &lane) {
        Ok(device) => device,
        Err(reason) => return println!("refused: {reason}"),
    };
    let mut verifier = Verifier::new(SEED, u64::MAX);
    let (mut ran, mut unsupported) = (0, 0);
    for Case { name, program } in programs() {
        if program.steps.iter().any(|step| family.supports(&lane, step, &program).is_err()) {
            unsupported += 1;
            continue;
        }
        if is_for_later_cards(&program) && backend.starts_with("cuda/") {
            let options = LoadOptions { seed: SEED, sets: 1, keep_all: false };
            if let Err(Fault::Unsupported(why)) = device.load(&program, &options) {
                println!("{name}: {why}");
                unsupported += 1;
                continue;
            }
        }
        check(device.as_mut(), &program, &mut verifier).unwrap_or_else(|what| panic!("{name}: {what}"));
        ran += 1;
    }
    let supported = |case: &Case| {
        case.program.steps.iter().all(|step| family.supports(&lane, step, &case.program).is_ok())
    };
    let (mut planted, mut missed) = (0, vec![]);
    for case in faulted().into_iter().filter(supported) {
        for kind in Kind::WRONG {
            let inner = std::mem::replace(&mut device, Box::new(Gone));
            let mut faulty = FaultyDevice { inner, planted: Planted::new(kind) };
            let answer = check(&mut faulty, &case.program, &mut verifier);
            if answer.is_ok() {
                missed.push(format!("{kind:?} in {}", case.name));
            }
            device = faulty.inner;
            planted += 1;
        }
    }
    let told = Told { ran, unsupported, planted, missed };
    println!("told: {}", serde_json::to_string(&told).unwrap());
}

/// Whether a card may lack what it takes, which only the card can say.
fn is_for_later_cards(program: &Program) -> bool {
    program.values.iter().any(|value| value.spec.dtype == DType::F8e4m3)
}

/// Stands where a device was taken from.
struct Gone;

impl Device for Gone {
    fn identity(&self) -> cutgpu::backends::Identity {
        unreachable!()
    }
    fn load(
        &mut self,
        _: &Program,
        _: &LoadOptions,
    ) -> Result<Box<dyn cutgpu::backends::Loaded>, cutgpu::backends::Fault> {
        unreachable!()
    }
}

/// As a cell is proved: each step of a load that keeps everything, then the kept values of a load as it
/// is timed, on both of two input sets and after a second execution.
fn check(device: &mut dyn Device, program: &Program, verifier: &mut Verifier) -> Result<(), String> {
    let told = |failure: Failure<_>| match failure {
        Failure::Wrong(wrong) => wrong.to_string(),
        Failure::Unreadable(fault) => panic!("{fault}"),
    };
    let mut load = |keep_all| device.load(program, &LoadOptions { seed: SEED, sets: 2, keep_all }).unwrap();
    let mut whole = load(true);
    let mut answers = vec![];
    execute(whole.as_mut(), 1);
    for set in 0..2 {
        verifier.check_steps(program, set, &mut Here(whole.as_mut())).map_err(told)?;
        answers.push(Answer::of(program, set, &mut Here(whole.as_mut())).unwrap());
    }
    drop(whole);
    let mut timed = load(false);
    execute(timed.as_mut(), 3);
    for set in 0..2 {
        check_finite(program, set, &mut Here(timed.as_mut())).map_err(told)?;
    }
    execute(timed.as_mut(), 1);
    for answer in answers {
        answer.check(program, &mut Here(timed.as_mut())).map_err(told)?;
    }
    Ok(())
}

fn execute(loaded: &mut dyn cutgpu::backends::Loaded, times: usize) {
    loaded.reset().unwrap();
    for _ in 0..times {
        (0..2).for_each(|set| loaded.enqueue(set).unwrap());
    }
    loaded.wait().unwrap();
    loaded.intact().unwrap();
}
