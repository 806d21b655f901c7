//! What an adapter can do at best, measured: multiply-adds in registers, a copy in its memory, a launch.

use super::arena::USES;
use super::calls::{Call, Recorder, numbers};
use super::gpu::Gpu;
use super::kernels::PROBES;
use super::launch::{self, Binding, Launch, Number};
use crate::backends::{Ceiling, DeviceKind, Fault};
use crate::ops::{Copied, Op};
use crate::tensor::{DType, ValueSpec};
use crate::units::Reading;
use std::rc::Rc;
use std::time::Instant;
use wgpu::{BufferUsages, util::DeviceExt};

/// Numbers that the workgroups leave.
const SLOTS: u64 = 64;
/// Operations of a thread and round: 16 multiply-adds.
const OPERATIONS: f64 = 32.0;
/// Tries of each probe, of which the best counts.
const TRIES: usize = 5;
/// Launches in a row, of which each takes what a launch does.
const ROW: usize = 256;

/// How much a probe does.
struct Size {
    groups: u64,
    rounds: u32,
    /// Bytes that are copied, far more than any last-level cache of a card.
    bytes: usize,
}

impl Size {
    fn of(kind: DeviceKind) -> Self {
        match kind {
            DeviceKind::SoftwareGpu => Self { groups: 64, rounds: 512, bytes: 64 << 20 },
            _ => Self { groups: 8192, rounds: 4096, bytes: 256 << 20 },
        }
    }
}

/// Every ceiling of an adapter; one that cannot be measured has the reason.
pub(super) fn measure(gpu: &Rc<Gpu>, kind: DeviceKind) -> Result<Vec<Ceiling>, Fault> {
    let size = Size::of(kind);
    Ok(vec![
        ceiling("f32 multiply-add", "op/s", arithmetic(gpu, &size)),
        ceiling("copy", "B/s", copy(gpu, &size)),
        ceiling("launch", "s", launch_seconds(gpu)),
    ])
}

fn ceiling(name: &str, unit: &str, rate: Result<f64, Fault>) -> Ceiling {
    let rate = rate.map_or_else(|fault| Reading::Absent(fault.to_string()), Reading::Value);
    Ceiling { name: name.to_string(), unit: unit.to_string(), rate, holds: None }
}

/// Seconds of one call, at best: by the adapter's clock where it has one.
fn seconds(gpu: &Rc<Gpu>, call: &Call) -> Result<f64, Fault> {
    let mut recorder = Recorder::new(gpu)?;
    recorder.switch(true);
    let mut best = f64::INFINITY;
    // The first one warms up.
    for _ in 0..=TRIES {
        let start = Instant::now();
        recorder.launch(call)?;
        recorder.wait()?;
        let host = start.elapsed().as_secs_f64();
        best = best.min(recorder.take_time()?.map_or(host, |ns| ns / 1e9));
    }
    Ok(best)
}

fn probe(groups: u64, rounds: u32) -> Launch {
    let numbers = vec![Number::U32(rounds), Number::F32(0.999), Number::F32(0.001)];
    let launch = Launch::new(&PROBES, "multiply_add", groups).constant("SLOTS", SLOTS);
    launch.bind(vec![Binding::Output(0)]).give(numbers)
}

/// The probe's call.
pub(super) fn multiply_add(gpu: &Rc<Gpu>, groups: u64, rounds: u32) -> Result<Call, Fault> {
    let launch = probe(groups, rounds);
    let sums = gpu.buffer(4 * SLOTS, USES)?;
    let uniform = gpu.device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
        label: None,
        contents: &numbers(&launch),
        usage: BufferUsages::UNIFORM,
    });
    // The bindings keep both alive.
    let buffers = vec![sums.raw.as_entire_buffer_binding(), uniform.as_entire_buffer_binding()];
    Call::new(gpu, &launch, buffers, 0.0)
}

fn arithmetic(gpu: &Rc<Gpu>, size: &Size) -> Result<f64, Fault> {
    let call = multiply_add(gpu, size.groups, size.rounds)?;
    let operations = OPERATIONS * (size.groups * launch::THREADS) as f64 * f64::from(size.rounds);
    Ok(operations / seconds(gpu, &call)?)
}

fn copy(gpu: &Rc<Gpu>, size: &Size) -> Result<f64, Fault> {
    let most = gpu.limits.max_storage_buffer_binding_size.min(gpu.limits.max_buffer_size);
    let bytes = (size.bytes as u64).min(most) / 1024 * 1024;
    let spec = [ValueSpec::new(&[bytes as usize / 4], DType::F32)];
    let plan = launch::launches(&Op::Copy(Copied {}), &spec, &spec, &gpu.can)?;
    let (from, to) = (gpu.buffer(bytes, USES)?, gpu.buffer(bytes, USES)?);
    // Not zeros, which a card moves at less power.
    let pattern: Vec<u8> = 0x3f12_3456_u32.to_le_bytes().repeat(1 << 18);
    for offset in (0..bytes).step_by(pattern.len()) {
        let piece = &pattern[..pattern.len().min((bytes - offset) as usize)];
        gpu.queue.write_buffer(&from.raw, offset, piece);
    }
    let Some(launch) = plan.launches.first() else {
        return Err(Fault::Library("a copy has no launch".to_string()));
    };
    let uniform = gpu.device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
        label: None,
        contents: &numbers(launch),
        usage: BufferUsages::UNIFORM,
    });
    let mut buffers = vec![from.raw.as_entire_buffer_binding(), to.raw.as_entire_buffer_binding()];
    buffers.extend((!launch.numbers.is_empty()).then(|| uniform.as_entire_buffer_binding()));
    let call = Call::new(gpu, launch, buffers, 0.0)?;
    Ok(2.0 * bytes as f64 / seconds(gpu, &call)?)
}

/// Seconds that each of many launches in a row takes which do next to nothing, by the host's clock.
fn launch_seconds(gpu: &Rc<Gpu>) -> Result<f64, Fault> {
    let call = multiply_add(gpu, 1, 1)?;
    let mut recorder = Recorder::new(gpu)?;
    let mut best = f64::INFINITY;
    for _ in 0..=TRIES {
        let start = Instant::now();
        (0..ROW).try_for_each(|_| recorder.launch(&call))?;
        recorder.wait()?;
        best = best.min(start.elapsed().as_secs_f64() / ROW as f64);
    }
    Ok(best)
}
