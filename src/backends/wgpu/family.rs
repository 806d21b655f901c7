//! The adapters' backends as plans and workers see them.

use super::adapters::{self, Adapter, Seen};
use super::ceilings;
use super::gpu::Gpu;
use super::launch::{self, Can};
use super::loaded::GpuLoaded;
use super::tuned;
use crate::backends::*;
use std::rc::Rc;

/// Every adapter that wgpu reaches.
pub struct Wgpu;

/// Why nothing was found.
fn absence(seen: &Seen) -> Unsupported {
    if seen.left_out.is_empty() {
        return Unsupported(
            "wgpu found drivers and no adapter: none of them serves a GPU of this machine".to_string(),
        );
    }
    let left_out = left_out(seen).join("; ");
    Unsupported(format!(
        "wgpu left out every driver, {left_out}: VK_DRIVER_FILES names those that it may ask"
    ))
}

fn left_out(seen: &Seen) -> Vec<String> {
    seen.left_out.iter().map(|(file, why)| format!("{file} {why}")).collect()
}

impl Family for Wgpu {
    fn id(&self) -> &'static str {
        "wgpu"
    }

    fn kind(&self) -> DeviceKind {
        DeviceKind::Gpu
    }

    fn devices(&self) -> Vec<Found> {
        let found = |adapter: Adapter| {
            let software = if adapter.kind == DeviceKind::SoftwareGpu { ", a CPU in disguise" } else { "" };
            Found {
                about: format!("{} by {}, {}{software}", adapter.name, adapter.api, adapter.driver),
                backend: adapter.backend,
                kind: adapter.kind,
            }
        };
        adapters::here().map(|seen| seen.adapters.into_iter().map(found).collect()).unwrap_or_default()
    }

    fn supports(&self, _: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        // Which adapter it will be is not known before one is opened: what some adapter can do is planned, and one
        // that cannot says so at load.
        let (args, outs) = (program.specs(&step.args), program.specs(&step.outs));
        launch::launches(&step.op, &args, &outs, &Can::MOST).map(drop)
    }

    fn open(&self, backend: &str, _: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        let seen = adapters::here()?;
        let Some(adapter) = seen.adapters.iter().find(|adapter| adapter.backend == backend) else {
            if seen.adapters.is_empty() {
                return Err(absence(&seen));
            }
            let names: Vec<_> = seen.adapters.iter().map(|adapter| adapter.backend.as_str()).collect();
            return Err(Unsupported(format!("there is no adapter {backend}, only {}", names.join(", "))));
        };
        let gpu = Gpu::open(&adapters::opened(adapter)?, adapter, None)?;
        Ok(Box::new(GpuDevice { gpu, adapter: adapter.clone() }))
    }

    fn environment(&self, _: &Lane) -> Vec<(String, String)> {
        let held_to = adapters::here().ok().and_then(|seen| seen.held_to);
        adapters::environment(held_to.as_deref())
    }

    fn max_threads(&self) -> usize {
        1
    }

    fn left_out(&self) -> Vec<String> {
        adapters::here().map(|seen| left_out(&seen)).unwrap_or_default()
    }

    fn is_tunable(&self) -> bool {
        true
    }

    fn tune(&self, backend: &str) -> Result<Vec<Tried>, Fault> {
        tuned::tune(backend)
    }
}

/// A device that does nothing and says so: what handing work over costs the host, without any driver.
pub fn nothing() -> Result<Box<dyn Device>, Unsupported> {
    let (raw, adapter) = adapters::nothing()?;
    Ok(Box::new(GpuDevice { gpu: Gpu::open(&raw, &adapter, None)?, adapter }))
}

/// An open adapter.
struct GpuDevice {
    gpu: Rc<Gpu>,
    adapter: Adapter,
}

impl Device for GpuDevice {
    fn identity(&self) -> Identity {
        let Adapter { api, device_type, .. } = &self.adapter;
        let limits = &self.gpu.limits;
        let can = &self.gpu.can;
        let yes = |name: &str, can: bool| can.then(|| name.to_string());
        let abilities = [
            yes("f16", can.f16),
            yes("subgroups", can.subgroups),
            yes("matrices", can.matrices),
            yes("time stamps", self.gpu.tick.is_some()),
        ];
        let notes = [
            ("api", api.clone()),
            ("device_type", device_type.clone()),
            ("can", abilities.into_iter().flatten().collect::<Vec<_>>().join(", ")),
            ("most_binding_bytes", limits.max_storage_buffer_binding_size.to_string()),
            ("most_buffer_bytes", limits.max_buffer_size.to_string()),
            ("workgroup_bytes", limits.max_compute_workgroup_storage_size.to_string()),
            ("transfers", "through wgpu's staging memory".to_string()),
        ];
        Identity {
            name: self.adapter.name.clone(),
            version: self.adapter.driver.clone(),
            origin: "crate".to_string(),
            threads: 1,
            notes: notes.into_iter().map(|(key, value)| (key.to_string(), value)).collect(),
            ..Identity::default()
        }
    }

    fn on_device(&self, reset_peak: bool) -> Option<OnDevice> {
        Some(self.gpu.held(reset_peak))
    }

    fn ceilings(&mut self) -> Result<Vec<Ceiling>, Fault> {
        ceilings::measure(&self.gpu, self.adapter.kind)
    }

    fn load(&mut self, program: &Program, options: &LoadOptions) -> Result<Box<dyn Loaded>, Fault> {
        Ok(Box::new(GpuLoaded::new(&self.gpu, program, options)?))
    }
}
