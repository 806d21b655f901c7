//! Facts about the machine, the build and the clocks. What needs Linux sits here.

pub mod affinity;
mod build;
pub mod cache;
pub mod child;
pub mod clock;
mod cpu;
pub mod cpuid;
mod facts;
mod limits;
mod memory;
mod plain;
pub mod process;
pub mod sched;
mod system;
pub mod topology;

pub use build::{Build, build};
pub use facts::{Cache, Container, Cpu, Facts, Memory, Module, Moment, System};
pub use plain::plain;

use crate::units::{Bytes, Reading};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Reads every fact that can be read without starting a process; about a millisecond.
pub fn facts() -> Facts {
    let processors = read("/proc/cpuinfo").unwrap_or_default();
    Facts {
        cpu: cpu::read_cpu(&processors),
        caches: cpu::read_caches(),
        numa_nodes: system::numa_nodes(),
        memory: memory::read_memory(),
        hypervisor: cpu::hypervisor(&processors),
        container: limits::read_limits(),
        system: system::read_system(),
        clock_precision_ns: clock::precision(),
        now: moment(Path::new(".")),
    }
}

/// What changes from minute to minute; `folder` is where a run is going to be written.
pub fn moment(folder: &Path) -> Moment {
    Moment {
        available: memory::available(),
        load: system::load(),
        steal: system::steal(),
        disk: system::free_space(folder).map_or_else(Reading::Absent, |bytes| Reading::Value(Bytes(bytes))),
    }
}

/// First 16 hex digits of the SHA-256 of a value as JSON.
pub fn hash(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).unwrap_or_default();
    Sha256::digest(&json).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The trimmed text of a file of the kernel's.
fn read(path: impl AsRef<Path>) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_facts_that_make_sense() {
        let facts = facts();
        assert!(facts.usable_cores() >= 1 && facts.usable_cores() <= facts.cpu.logical);
        assert!(facts.memory.total.value().is_none_or(|total| total.0 > 1 << 24));
        assert!(facts.clock_precision_ns > 0.0 && facts.clock_precision_ns < 1e6);
        for cache in &facts.caches {
            assert!(cache.bytes.0 > 0 && cache.instances >= 1 && cache.shared_by >= 1, "{cache:?}");
        }
        let json = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&json).unwrap(), facts);
        assert_eq!(facts.hash().len(), 16);
    }

    #[test]
    fn the_hash_of_the_machine_ignores_what_changes() {
        let one = facts();
        let mut other = one.clone();
        other.now.load = Reading::absent("busy");
        other.clock_precision_ns += 1.0;
        assert_eq!(one.hash(), other.hash());
        other.cpu.logical += 1;
        assert_ne!(one.hash(), other.hash());
    }
}
