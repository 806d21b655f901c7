//! The adapters of this machine: looked for in a process of their own, because a driver may crash or hang where it is
//! only asked for its name, and kept until the machine starts again or other drivers are installed.

use super::drivers::Drivers;
use super::gpu::kind;
use crate::backends::{DeviceKind, Unsupported};
use crate::host::{cache, child};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use wgpu::{Backends, DeviceType, Instance, InstanceDescriptor};

/// How long drivers may take to name their adapters.
const LIMIT: Duration = Duration::from_secs(5);
const CACHE: &str = "adapters";

/// An adapter, as its driver tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Adapter {
    /// Name of its backend: `wgpu/nvidia-h200`.
    pub backend: String,
    /// Its own name.
    pub name: String,
    /// Whether a CPU stands behind it.
    pub kind: DeviceKind,
    /// `discrete`, `integrated`, `virtual`, `cpu`, `other`.
    pub device_type: String,
    /// The interface it is reached by: `vulkan`, `metal`, `dx12`.
    pub api: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Its number among those that are found in the same way.
    pub number: usize,
}

/// What was found, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// Adapters, each under a name of its own.
    pub(super) adapters: Vec<Adapter>,
    /// Drivers that were left out: their files and why.
    pub(super) left_out: Vec<(String, String)>,
    /// The drivers that a process must be held to, where some were left out.
    pub(super) held_to: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    drivers: Drivers,
    seen: Seen,
}

/// The adapters that are here, from what was kept or by looking.
pub(super) fn here() -> Result<Seen, Unsupported> {
    let drivers = Drivers::installed()?;
    if let Some(kept) = cache::load::<Kept>(CACHE).filter(|kept| kept.drivers == drivers) {
        return Ok(kept.seen);
    }
    let seen = look(&drivers, ask);
    // A driver that failed may only have been slow, so it is asked again.
    if seen.left_out.is_empty() {
        cache::store(CACHE, &Kept { drivers, seen: seen.clone() });
    }
    Ok(seen)
}

/// Names the adapters of the drivers that the variables of this process allow: what the child does.
pub(super) fn enumerate() -> Vec<Adapter> {
    named(instance_adapters().iter().map(wgpu::Adapter::get_info).enumerate().map(described).collect())
}

/// Opens nothing; what [`Adapter::number`] counts.
fn instance_adapters() -> Vec<wgpu::Adapter> {
    let mut descriptor = InstanceDescriptor::new_without_display_handle();
    // OpenGL shows adapters a second time, with less of everything.
    descriptor.backends = Backends::VULKAN | Backends::METAL | Backends::DX12;
    let backends = descriptor.backends;
    pollster::block_on(Instance::new(descriptor).enumerate_adapters(backends))
}

/// An adapter that does nothing, for what the host's side costs alone.
pub(super) fn nothing() -> Result<(wgpu::Adapter, Adapter), Unsupported> {
    let mut descriptor = InstanceDescriptor::new_without_display_handle();
    descriptor.backends = Backends::NOOP;
    descriptor.backend_options.noop.enable = true;
    let found = pollster::block_on(Instance::new(descriptor).enumerate_adapters(Backends::NOOP));
    let raw =
        found.into_iter().next().ok_or_else(|| Unsupported("wgpu's own adapter is not there".to_string()))?;
    let adapter = described((0, raw.get_info()));
    Ok((raw, adapter))
}

/// What an adapter that was found is to wgpu, in this process.
pub(super) fn opened(adapter: &Adapter) -> Result<wgpu::Adapter, Unsupported> {
    let raw = instance_adapters().into_iter().nth(adapter.number);
    raw.filter(|raw| raw.get_info().name == adapter.name).ok_or_else(|| {
        let name = &adapter.name;
        Unsupported(format!(
            "{name} was here and is not any more: without the file adapters.json in the cache folder \
                             it is looked for again"
        ))
    })
}

fn described((number, info): (usize, wgpu::AdapterInfo)) -> Adapter {
    let device_type = match info.device_type {
        DeviceType::DiscreteGpu => "discrete",
        DeviceType::IntegratedGpu => "integrated",
        DeviceType::VirtualGpu => "virtual",
        DeviceType::Cpu => "cpu",
        DeviceType::Other => "other",
    };
    Adapter {
        backend: format!("wgpu/{}", slug(&info.name)),
        kind: kind(info.device_type),
        device_type: device_type.to_string(),
        api: info.backend.to_str().to_string(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        name: info.name,
        number,
    }
}

/// An adapter's name as a part of a backend's: what stands in brackets is about its driver.
fn slug(name: &str) -> String {
    let bare = name.split('(').next().unwrap_or_default();
    let parts = bare.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let slug = parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    if slug.is_empty() { "adapter".to_string() } else { slug }
}

/// Numbers those that share a name: the second is `-2`.
fn named(mut adapters: Vec<Adapter>) -> Vec<Adapter> {
    for place in 1..adapters.len() {
        let name = adapters[place].backend.clone();
        let mut number = 1;
        let is_taken =
            |name: &str, adapters: &[Adapter]| adapters[..place].iter().any(|other| other.backend == name);
        while is_taken(&adapters[place].backend, &adapters) {
            number += 1;
            adapters[place].backend = format!("{name}-{number}");
        }
    }
    adapters
}

/// Adapters, or how asking for them failed.
type Answer = Result<Vec<Adapter>, String>;

/// Asks all drivers at once; where that fails, each alone, so that one that crashes costs its own adapters only.
fn look(drivers: &Drivers, ask: impl Fn(Option<&str>) -> Answer) -> Seen {
    let together = match ask(None) {
        Ok(adapters) => return Seen { adapters, ..Seen::default() },
        Err(why) => why,
    };
    let files = drivers.files();
    if files.len() < 2 {
        let which = files.first().cloned().unwrap_or_else(|| "the system's drivers".to_string());
        return Seen { left_out: vec![(which, together)], held_to: Some(String::new()), ..Seen::default() };
    }
    let (mut good, mut left_out) = (Vec::new(), Vec::new());
    for file in files {
        match ask(Some(&file)) {
            Ok(_) => good.push(file),
            Err(why) => left_out.push((file, why)),
        }
    }
    let held_to = good.join(":");
    // Numbers count adapters in the order of all good drivers together.
    let adapters = if good.is_empty() { Ok(Vec::new()) } else { ask(Some(&held_to)) };
    let adapters = adapters.unwrap_or_else(|why| {
        left_out.push((held_to.clone(), why));
        Vec::new()
    });
    Seen { adapters, left_out, held_to: Some(held_to) }
}

/// Variables of a process that asks drivers: only those of `files`, and no chatter.
pub(super) fn environment(files: Option<&str>) -> Vec<(String, String)> {
    // Mesa's layer that chooses a device complains on stderr about desktops that are not there.
    let mut variables = vec![("NODEVICE_SELECT".to_string(), "1".to_string())];
    variables.extend(files.map(|files| ("VK_DRIVER_FILES".to_string(), files.to_string())));
    variables
}

/// The adapters that a child of this program sees with the drivers of `files`, or with all.
fn ask(files: Option<&str>) -> Answer {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    if program.file_stem().is_none_or(|stem| stem != "cutgpu") {
        // A test, which is no child's program.
        return Ok(enumerate());
    }
    let variables = environment(files);
    let output = child::output_within(&program, &["worker", "--adapters"], &variables, LIMIT)?;
    serde_json::from_slice(&output).map_err(|_| "it answered with what is no list of adapters".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(name: &str, number: usize) -> Adapter {
        Adapter {
            backend: format!("wgpu/{}", slug(name)),
            name: name.to_string(),
            kind: DeviceKind::Gpu,
            device_type: "discrete".to_string(),
            api: "vulkan".to_string(),
            driver: String::new(),
            number,
        }
    }

    #[test]
    fn names_are_plain_and_no_two_adapters_share_one() {
        for (name, want) in [
            ("llvmpipe (LLVM 15.0.6, 256 bits)", "llvmpipe"),
            ("NVIDIA GeForce RTX 4090", "nvidia-geforce-rtx-4090"),
            ("AMD Radeon RX 7900 XTX (RADV NAVI31)", "amd-radeon-rx-7900-xtx"),
            ("\u{4e2d}\u{6587}", "adapter"),
        ] {
            assert_eq!(slug(name), want);
        }
        let names = ["A", "A", "A 2", "A"];
        let twins = named(names.iter().enumerate().map(|(number, name)| adapter(name, number)).collect());
        let backends: Vec<_> = twins.iter().map(|adapter| adapter.backend.as_str()).collect();
        assert_eq!(backends, ["wgpu/a", "wgpu/a-2", "wgpu/a-2-2", "wgpu/a-3"]);
    }

    #[test]
    fn a_driver_that_crashes_costs_its_own_adapters_only() {
        let drivers = |files: &[&str]| Drivers::of(files);
        let crashing = |files: Option<&str>| match files {
            None | Some("bad.json") => Err("crashed (signal 11)".to_string()),
            Some(files) => Ok(files.split(':').enumerate().map(|(n, file)| adapter(file, n)).collect()),
        };
        let seen = look(&drivers(&["a.json", "bad.json", "b.json"]), crashing);
        assert_eq!(seen.adapters.len(), 2);
        assert_eq!(seen.left_out, [("bad.json".to_string(), "crashed (signal 11)".to_string())]);
        assert_eq!(seen.held_to.as_deref(), Some("a.json:b.json"));
        let seen = look(&drivers(&["bad.json"]), crashing);
        assert!(seen.adapters.is_empty());
        assert_eq!(seen.left_out[0].0, "bad.json");
        let whole = look(&drivers(&["a.json"]), |_| Ok(vec![adapter("a", 0)]));
        assert_eq!((whole.adapters.len(), whole.held_to), (1, None));
    }
}
