//! Goals of the CUDA backend at large: what it costs where there is no GPU, and how its kernels stand where
//! there is one.

use super::Measured;
use super::commands::{median, program, root, run};
use cutgpu::plan::SeriesKind;
use cutgpu::record::Record;
use cutgpu::suite::{Load, Scope, Sync};
use std::collections::BTreeMap;
use std::process::Command;

/// Crates, start-up and the carried folder of a build with CUDA in it.
pub(crate) fn host() -> Measured {
    let crates = super::commands::build()?["first.crates"];
    let list = super::commands::start()?["first.list"];
    run(Command::new("make").arg("gpu-bundle"))?;
    let folder = root().join("target/gpu-bundle/cutgpu-gpu");
    let size = run(Command::new("du").args(["-sk"]).arg(&folder))?;
    let kib = String::from_utf8_lossy(&size.stdout);
    let kib: f64 =
        kib.split_whitespace().next().and_then(|word| word.parse().ok()).ok_or("du gave no size")?;
    Ok(BTreeMap::from([("cuda.crates", crates), ("cuda.list", list), ("cuda.bundle", kib * 1024.0 / 1e6)]))
}

/// Our kernels beside NVIDIA's, and whether a short kernel's launches are hidden, by the device's clock.
pub(crate) fn hardware() -> Measured {
    let records = measured("cuda/*")?;
    let mut values = BTreeMap::new();
    let product = |case, ceiling| least(ratios(&records, case, "cuda/native", ceiling));
    values.extend(product("product-bf16", "cuda/cublaslt").map(|ratio| ("cuda.bf16_product", ratio)));
    values.extend(product("product-f32", "cuda/cublas").map(|ratio| ("cuda.f32_product", ratio)));
    let copies = rates(&records, "copy", "cuda/native").into_iter().reduce(f64::max);
    let rows = ["softmax", "layer-norm", "gelu"].into_iter();
    let rows = rows.flat_map(|case| rates(&records, case, "cuda/native")).reduce(f64::min);
    values.extend(rows.zip(copies).map(|(rows, copies)| ("cuda.rows", rows / copies)));
    values.extend(launch_gap(&records).map(|gap| ("cuda.launch_gap", gap)));
    Ok(values)
}

/// Our kernels and NVIDIA's beside PyTorch's on the same card, in the rounds of one run.
pub(crate) fn torch() -> Measured {
    let records = measured("cuda/*,peer/torch-cuda")?;
    let beside = |case, ours| ratios(&records, case, ours, "peer/torch-cuda");
    let mut values = BTreeMap::new();
    let library = ["product-bf16", "product-f32", "product-tf32"].into_iter();
    let library = library.flat_map(|case| beside(case, "cuda/cublaslt"));
    values.extend(least(library.collect()).map(|ratio| ("cuda.cublaslt_torch", ratio)));
    let in_bf16 =
        |record: &&Record| record.point.get("dtype").is_some_and(|dtype| dtype.to_string() == "bf16");
    let halves: Vec<Record> = records.iter().filter(in_bf16).cloned().collect();
    let attention = ratios(&halves, "attention", "cuda/native", "peer/torch-cuda");
    values.extend(least(attention).map(|ratio| ("cuda.attention_flash", ratio)));
    values.extend(least(beside("adamw", "cuda/native")).map(|ratio| ("cuda.adamw_fused", ratio)));
    // PyTorch hands f32 products to cuBLAS, too: the same kernel under two clocks.
    let clocks = beside("product-f32", "cuda/cublas").into_iter().map(|ratio| 100.0 * (ratio - 1.0).abs());
    values.extend(clocks.reduce(f64::max).map(|apart| ("cuda.clock_torch", apart)));
    Ok(values)
}

/// The suite's records on these backends.
fn measured(backends: &str) -> Result<Vec<Record>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = folder.path().join("run");
    run(Command::new(program()?).args(["run", "gpu", "--backend", backends, "--out"]).arg(&out))?;
    Ok(cutgpu::record::read(&out).map_err(|error| error.to_string())?.records)
}

/// How many times as fast as `theirs` ours is, for each group of a case that both have.
fn ratios(records: &[Record], case: &str, ours: &str, theirs: &str) -> Vec<f64> {
    let (ours, theirs) = (by_group(records, case, ours), by_group(records, case, theirs));
    ours.iter().filter_map(|(group, ns)| Some(theirs.get(group)? / ns)).collect()
}

/// The worst counts.
fn least(ratios: Vec<f64>) -> Option<f64> {
    ratios.into_iter().reduce(f64::min)
}

/// Bytes that must move over the time, for each group of a case on one backend.
pub(crate) fn rates(records: &[Record], case: &str, backend: &str) -> Vec<f64> {
    let times = by_group(records, case, backend);
    let bytes: BTreeMap<&str, u64> = records
        .iter()
        .filter(|record| record.case == case)
        .map(|record| (record.group.as_str(), record.work.bytes()))
        .collect();
    times.iter().filter_map(|(group, ns)| Some(*bytes.get(group.as_str())? as f64 / ns)).collect()
}

/// Time of a short kernel within a batch over its time alone between events, at worst: launches that a batch does not
/// hide are longer than the kernel.
fn launch_gap(records: &[Record]) -> Option<f64> {
    let rows = records.iter().filter(|record| record.case == "one-row");
    let gap = |row| Some(ns(row, Sync::Batch)? / ns(row, Sync::Each)?);
    rows.filter(|row| row.contender.backend.starts_with("cuda/")).filter_map(gap).reduce(f64::max)
}

/// Nanoseconds of a case on a backend or the devices of a family, by group.
pub(crate) fn by_group(records: &[Record], case: &str, backend: &str) -> BTreeMap<String, f64> {
    // `cuda/cublas` is not `cuda/cublaslt`.
    let is_of =
        |name: &str| name.strip_prefix(backend).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let rows = records.iter().filter(|row| row.case == case && is_of(&row.contender.backend));
    rows.filter_map(|row| Some((row.group.clone(), ns(row, Sync::Batch)?))).collect()
}

/// Median nanoseconds of an execution by the device's clock.
fn ns(record: &Record, sync: Sync) -> Option<f64> {
    let is_wanted =
        |kind: &SeriesKind| kind.scope == Scope::Device && kind.sync == sync && kind.load == Load::Burst;
    let series = record.series.iter().find(|series| is_wanted(&series.kind))?;
    (!series.ns.is_empty()).then(|| median(series.ns.clone()))
}
