//! What proves the wgpu kernels without a GPU, what a launch costs the host, and how kernels stand where there is one.

use super::Measured;
use super::commands::{median, printed, program, run};
use super::gpu::{by_group, rates};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

fn test(name: &str) -> Result<String, String> {
    let mut command = Command::new("cargo");
    command.args(["test", "--quiet", "--test", name, "--", "--nocapture"]);
    let output = run(command.env("CUTGPU_CONFORMANCE_ONLY", "wgpu"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Every op on every adapter, by the line that the test prints.
pub(crate) fn conformance() -> Measured {
    let said = test("conformance")?;
    Ok(BTreeMap::from([("wgpu.conformance_minutes", printed(&said, "wgpu, minutes: ")?)]))
}

/// Every kernel for every interface, and what wgpu has no answer to.
pub(crate) fn shaders() -> Measured {
    let said = test("shaders")?;
    Ok(BTreeMap::from([
        ("wgpu.shaders_seconds", printed(&said, "shaders translated, seconds: ")?),
        ("wgpu.holes", printed(&said, "holes: ")?),
    ]))
}

/// What the host spends on a launch within a batch: through wgpu to an adapter that does nothing, because a driver
/// that computes on the host's own cores cannot be told from what it computes.
pub(crate) fn dispatch() -> Measured {
    let output = run(Command::new(program()?).args(["worker", "--overhead"]))?;
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(BTreeMap::from([("wgpu.dispatch", printed(&said, "handing_over_us ")?)]))
}

/// Looking for adapters where there is no driver, start to end.
pub(crate) fn absent() -> Measured {
    let program = program()?;
    let one = || {
        let clock = Instant::now();
        let mut command = Command::new(&program);
        let output = run(command.env("VK_DRIVER_FILES", "/nowhere.json").args(["worker", "--adapters"]))?;
        let ms = clock.elapsed().as_secs_f64() * 1e3;
        let is_empty = output.stdout.trim_ascii() == b"[]" && output.stderr.is_empty();
        is_empty.then_some(ms).ok_or_else(|| "something was found, or said".to_string())
    };
    let each: Result<Vec<f64>, String> = (0..21).map(|_| one()).collect();
    Ok(BTreeMap::from([("wgpu.absent", median(each?))]))
}

/// Operations a second of a product of 512 on an adapter: in one run, whose contenders take turns.
fn product_rates(backends: &str) -> Result<BTreeMap<String, f64>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = folder.path().join("run");
    let mut command = Command::new(program()?);
    run(command
        .args(["run", "gemm", "m=512,n=512,k=512", "--quick", "--backend", backends, "--out"])
        .arg(&out))?;
    let records = cutgpu::record::read(&out).map_err(|error| error.to_string())?.records;
    let rate = |record: &cutgpu::record::Record| {
        let series = record.series.iter().find(|series| !series.ns.is_empty())?;
        Some((record.contender.backend.clone(), record.work.flops as f64 / median(series.ns.clone())))
    };
    Ok(records.iter().filter_map(rate).collect())
}

/// Our product where Vulkan is, a CPU in disguise counted, beside plain loops.
pub(crate) fn products() -> Measured {
    let rates = product_rates("wgpu,cpu/naive")?;
    let of = |start: &str| rates.iter().find(|(name, _)| name.starts_with(start)).map(|(_, rate)| *rate);
    let mut values = BTreeMap::new();
    values.extend(of("wgpu/").map(|rate| ("wgpu.product_512", rate)));
    values.extend(of("cpu/naive").map(|rate| ("wgpu.product_512_naive", rate)));
    Ok(values)
}

/// cubek's product on the same adapter, as a multiple of ours.
pub(crate) fn cubek() -> Measured {
    let rates = product_rates("wgpu,cubek")?;
    let ours = rates.iter().find(|(name, _)| name.starts_with("wgpu/")).ok_or("ours has no time")?.1;
    let theirs = rates.get("cubek").ok_or("cubek has no time")?;
    Ok(BTreeMap::from([("wgpu.product_512_cubek", theirs / ours)]))
}

/// Our kernels on a GPU: products beside cuBLAS, rows beside a copy.
pub(crate) fn hardware() -> Measured {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = folder.path().join("run");
    run(Command::new(program()?).args(["run", "gpu", "--backend", "wgpu,cuda/cublas", "--out"]).arg(&out))?;
    let records = cutgpu::record::read(&out).map_err(|error| error.to_string())?.records;
    let gpus: Vec<_> = records
        .into_iter()
        .filter(|record| record.device == Some(cutgpu::backends::DeviceKind::Gpu))
        .collect();
    let (ours, theirs) =
        (by_group(&gpus, "product-f32", "wgpu"), by_group(&gpus, "product-f32", "cuda/cublas"));
    let products = ours.iter().filter_map(|(group, ns)| Some(theirs.get(group)? / ns));
    let copy = rates(&gpus, "copy", "wgpu").into_iter().reduce(f64::max).ok_or("no GPU copied anything")?;
    let rows = ["softmax", "layer-norm", "gelu"].into_iter().flat_map(|case| rates(&gpus, case, "wgpu"));
    let mut values = BTreeMap::new();
    values.extend(products.reduce(f64::min).map(|ratio| ("wgpu.f32_product", ratio)));
    values.extend(rows.reduce(f64::min).map(|rows| ("wgpu.rows", rows / copy)));
    Ok(values)
}
