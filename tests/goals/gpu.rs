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

/// Our kernels beside NVIDIA's, by the device's clock.
pub(crate) fn hardware() -> Measured {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = folder.path().join("run");
    run(Command::new(program()?).args(["run", "gpu", "--backend", "cuda/*", "--out"]).arg(&out))?;
    let records = cutgpu::record::read(&out).map_err(|error| error.to_string())?.records;
    let ratio = |case: &str, ceiling: &str| -> Option<f64> {
        let (ours, theirs) = (by_group(&records, case, "cuda/native"), by_group(&records, case, ceiling));
        let ratios = ours.iter().filter_map(|(group, ns)| Some(theirs.get(group)? / ns));
        // The worst size counts.
        ratios.min_by(f64::total_cmp)
    };
    let mut values = BTreeMap::new();
    values.extend(ratio("product-bf16", "cuda/cublaslt").map(|ratio| ("cuda.bf16_product", ratio)));
    values.extend(ratio("product-f32", "cuda/cublas").map(|ratio| ("cuda.f32_product", ratio)));
    Ok(values)
}

/// Nanoseconds of a case on the backends whose names begin so, by group.
pub(crate) fn by_group(records: &[Record], case: &str, backend: &str) -> BTreeMap<String, f64> {
    let rows = records.iter().filter(|row| row.case == case && row.contender.backend.starts_with(backend));
    rows.filter_map(|row| Some((row.group.clone(), ns(row)?))).collect()
}

/// Median nanoseconds of an execution by the device's clock, of kernels that follow one another.
fn ns(record: &Record) -> Option<f64> {
    let is_wanted = |kind: &SeriesKind| {
        kind.scope == Scope::Device && kind.sync == Sync::Batch && kind.load == Load::Burst
    };
    let series = record.series.iter().find(|series| is_wanted(&series.kind))?;
    (!series.ns.is_empty()).then(|| median(series.ns.clone()))
}
