//! The same product under other clocks: a C program's, numpy's, criterion's. Each pair runs in turn, eleven
//! times, on the same library with one thread; what is printed is the difference of the medians.

use super::Measured;
use super::commands::{median, program, root, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const N: &str = "512";
const PAIRS: usize = 11;

/// Settings that every process of a pair gets, so that only the clock differs.
const SETTINGS: [(&str, &str); 4] = [
    ("OPENBLAS_NUM_THREADS", "1"),
    ("OMP_NUM_THREADS", "1"),
    ("OPENBLAS_THREAD_TIMEOUT", "20"),
    ("MKL_NUM_THREADS", "1"),
];

/// Prints a line per clock and returns the largest difference in per cent.
pub(crate) fn truth() -> Measured {
    let cutgpu = program()?;
    let openblas = openblas()?;
    let core = core_type();
    let c_program = compiled()?;
    let mut worst: f64 = 0.0;
    let mut pair =
        |name: &str, ours: &dyn Fn() -> Result<f64, String>, theirs: &dyn Fn() -> Result<f64, String>| {
            let (mut us, mut them) = (Vec::new(), Vec::new());
            for _ in 0..PAIRS {
                us.push(ours()?);
                them.push(theirs()?);
            }
            let (us, them) = (median(us), median(them));
            let difference = 100.0 * (us / them - 1.0);
            println!(
                "truth {name}: cutgpu {:.4} ms, {name} {:.4} ms, difference {difference:+.2} %",
                us / 1e6,
                them / 1e6
            );
            worst = worst.max(difference.abs());
            Ok::<(), String>(())
        };
    let on_openblas = || cutgpu_ns(&cutgpu, &openblas, core);
    pair("C", &on_openblas, &|| number(Command::new(&c_program).arg(&openblas).arg(N), core))?;
    pair("criterion", &on_openblas, &|| criterion_ns(&openblas, core))?;
    let bundled = PathBuf::from(text(python().arg("--library"))?);
    pair("numpy", &|| cutgpu_ns(&cutgpu, &bundled, core), &|| number(python().arg(N), core))?;
    Ok(BTreeMap::from([("first.truth", worst)]))
}

/// The OpenBLAS that `make libs` fetched.
fn openblas() -> Result<PathBuf, String> {
    run(Command::new("make").args(["--silent", "libs"]))?;
    let found = find(&root().join(".peers"), "libscipy_openblas.so");
    found.ok_or("`make libs` brought no OpenBLAS".to_string())
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    let is_it = |path: &&PathBuf| {
        path.is_file() && path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name))
    };
    entries
        .iter()
        .find(is_it)
        .cloned()
        .or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|path| find(path, name)))
}

/// The core type that every process forces, so that none picks slower kernels than another.
fn core_type() -> Option<&'static str> {
    std::arch::is_x86_feature_detected!("avx512bw").then_some("SkylakeX")
}

fn compiled() -> Result<PathBuf, String> {
    let to = root().join("target/truth-gemm");
    let source = root().join("tests/truth/gemm.c");
    run(Command::new("cc").args(["-O2", "-o"]).arg(&to).arg(source).arg("-ldl"))?;
    Ok(to)
}

fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", root().join(".peers/python")).arg("tests/truth/gemm.py");
    command
}

fn text(command: &mut Command) -> Result<String, String> {
    Ok(String::from_utf8_lossy(&run(command)?.stdout).trim().to_string())
}

fn set(command: &mut Command, core: Option<&str>) {
    command.envs(SETTINGS);
    if let Some(core) = core {
        command.env("OPENBLAS_CORETYPE", core);
    }
}

fn number(command: &mut Command, core: Option<&str>) -> Result<f64, String> {
    set(command, core);
    let said = text(command)?;
    said.parse().map_err(|_| format!("`{said}` is no number"))
}

/// Median nanoseconds that cutgpu measures for the library's product.
fn cutgpu_ns(program: &Path, library: &Path, core: Option<&str>) -> Result<f64, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    set(&mut command, core);
    command.args([
        "run",
        "gemm",
        &format!("m={N},n={N},k={N}"),
        "--backend",
        "cpu/blas",
        "--threads",
        "1",
        "--quick",
        "--json",
    ]);
    command.arg("--blas").arg(library).arg("--out").arg(folder.path().join("run"));
    let said = text(&mut command)?;
    let record: Value =
        serde_json::from_str(said.lines().next().unwrap_or_default()).map_err(|error| error.to_string())?;
    let series = record["series"]
        .as_array()
        .and_then(|all| all.first())
        .ok_or(format!("no series: {}", record["outcome"]))?;
    let ns: Vec<f64> = series["ns"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    Ok(median(ns))
}

/// Median nanoseconds that criterion estimates for the library's product.
fn criterion_ns(library: &Path, core: Option<&str>) -> Result<f64, String> {
    let mut command = Command::new("cargo");
    set(&mut command, core);
    command.env("CUTGPU_TRUTH_LIBRARY", library).env("CUTGPU_TRUTH_N", N);
    run(command.args([
        "bench",
        "--quiet",
        "--bench",
        "truth",
        "--",
        "--warm-up-time",
        "0.5",
        "--measurement-time",
        "2",
    ]))?;
    let path = root().join("target/criterion/truth/new/estimates.json");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let estimates: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    estimates["median"]["point_estimate"].as_f64().ok_or("criterion wrote no median".to_string())
}
