//! What the machine is, as a reader of a number needs to know it. Each fact is a value or the reason why
//! it could not be read. No serial numbers, no names of people or hosts, no paths.

use crate::units::{Bytes, Reading};
use serde::{Deserialize, Serialize};

/// Facts that stay while the machine runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The processor.
    pub cpu: Cpu,
    /// Data and unified caches, smallest level first.
    pub caches: Vec<Cache>,
    /// Memory nodes.
    pub numa_nodes: Reading<usize>,
    /// Main memory.
    pub memory: Memory,
    /// Who runs this machine: `KVM`; `none` on bare metal.
    pub hypervisor: Reading<String>,
    /// Limits of the container.
    pub container: Container,
    /// Kernel and distribution.
    pub system: System,
    /// Smallest difference of two readings of the clock that is not zero, in nanoseconds.
    pub clock_precision_ns: f64,
    /// What changes from minute to minute.
    pub now: Moment,
}

/// The processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// `AuthenticAMD`, `GenuineIntel`.
    pub vendor: Reading<String>,
    /// Marketing name.
    pub model: Reading<String>,
    /// Family, model and stepping, as the vendor counts them.
    pub signature: Reading<[u32; 3]>,
    /// Instruction sets that matter for speed, of those that the processor and the kernel offer.
    pub flags: Vec<String>,
    /// Sockets.
    pub sockets: Reading<usize>,
    /// Physical cores.
    pub cores: Reading<usize>,
    /// Logical cores that are online.
    pub logical: usize,
    /// Logical cores that this process may run on.
    pub allowed: usize,
    /// Logical cores in one physical core.
    pub threads_per_core: Reading<usize>,
    /// Policy of the clock's frequency.
    pub governor: Reading<String>,
    /// Whether the clock may rise above its base.
    pub turbo: Reading<bool>,
}

/// One kind of cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// Level, from 1.
    pub level: u32,
    /// Size of one.
    pub bytes: Bytes,
    /// Logical cores that share one.
    pub shared_by: usize,
    /// How many there are.
    pub instances: usize,
}

/// Main memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// What the kernel manages.
    pub total: Reading<Bytes>,
    /// Modules.
    pub modules: Reading<Vec<Module>>,
    /// Smallest page.
    pub page: Bytes,
    /// When the kernel uses huge pages for anonymous memory: `always`, `madvise`, `never`.
    pub huge_pages: Reading<String>,
}

/// Memory modules of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// How many.
    pub count: usize,
    /// Size of one.
    pub bytes: Bytes,
    /// `DDR5`.
    pub kind: String,
    /// Configured speed in megatransfers a second; 0 where unknown.
    pub megatransfers: u32,
}

/// Limits of the control group that this process is in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// Cores' worth of time.
    pub cores: Reading<f64>,
    /// Memory.
    pub memory: Reading<Bytes>,
}

/// Kernel and distribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// `linux`.
    pub os: String,
    /// Release of the kernel.
    pub kernel: Reading<String>,
    /// Name of the distribution with its version.
    pub distribution: Reading<String>,
}

/// What changes from minute to minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Memory that could be had now.
    pub available: Reading<Bytes>,
    /// Mean number of runnable tasks over 1, 5 and 15 minutes.
    pub load: Reading<[f64; 3]>,
    /// Share of time since boot that the hypervisor took away.
    pub steal: Reading<f64>,
    /// Free space of the folder that runs are written to.
    pub disk: Reading<Bytes>,
}

impl Facts {
    /// Threads that can compute at once: allowed cores, rounded down to the container's quota; at least 1.
    pub fn usable_cores(&self) -> usize {
        let quota = self.container.cores.value().map_or(f64::INFINITY, |cores| cores.floor());
        (self.cpu.allowed as f64).min(quota).max(1.0) as usize
    }

    /// One cache of a level.
    pub fn cache(&self, level: u32) -> Option<&Cache> {
        self.caches.iter().find(|cache| cache.level == level)
    }

    /// Bytes of all caches of the last level together: the largest data that caches can hold.
    pub fn last_level_bytes(&self) -> Option<Bytes> {
        let last = self.caches.iter().max_by_key(|cache| cache.level)?;
        Some(Bytes(last.bytes.0.saturating_mul(last.instances as u64)))
    }

    /// The most memory that a process could ever get here: the machine's or the container's.
    pub fn memory_limit(&self) -> Option<Bytes> {
        let [total, limit] = [&self.memory.total, &self.container.memory].map(|reading| reading.value());
        [total, limit].into_iter().flatten().min().copied()
    }

    /// Whether the processor and the kernel offer an instruction set.
    pub fn has(&self, flag: &str) -> bool {
        self.cpu.flags.iter().any(|known| known == flag)
    }

    /// A short name of this kind of machine for folders of results: `epyc-9654-96c`. Made from the
    /// processor and the number of cores that may be used, never from the host's name.
    pub fn kind(&self) -> String {
        let model = self.cpu.model.value().map(String::as_str).unwrap_or_default();
        let mut words = model_words(model);
        if let Reading::Value([family, number, _]) = self.cpu.signature
            && !words.iter().any(|word| word.contains(|letter: char| letter.is_ascii_digit()))
        {
            words.push(format!("f{family}m{number}"));
        }
        words.truncate(4);
        words.push(format!("{}c", self.usable_cores()));
        words.join("-")
    }

    /// First 16 hex digits of the SHA-256 of all facts but those of the moment.
    pub fn hash(&self) -> String {
        let nothing = || Reading::absent("not part of the identity");
        let now = Moment {
            available: nothing(),
            load: Reading::absent(""),
            steal: Reading::absent(""),
            disk: nothing(),
        };
        let lasting = Facts { now, clock_precision_ns: 0.0, ..self.clone() };
        super::hash(&lasting)
    }
}

/// The words of a processor's marketing name that tell it from others.
fn model_words(model: &str) -> Vec<String> {
    const EMPTY: [&str; 10] =
        ["amd", "intel", "cpu", "processor", "with", "genuine", "r", "tm", "gen", "authentic"];
    let name = model.split(['@', ',']).next().unwrap_or_default().to_lowercase();
    let words = name.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
    let tells = |word: &&str| {
        !word.is_empty() && !EMPTY.contains(word) && !word.ends_with("-core") && word.len() <= 12
    };
    words.filter(tells).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_machine_has_a_short_name() {
        let mut facts = crate::host::facts();
        facts.container.cores = Reading::absent("no limit is set");
        facts.cpu.signature = Reading::Value([25, 17, 1]);
        for (model, allowed, kind) in [
            ("AMD EPYC 9654 96-Core Processor", 192, "epyc-9654-192c"),
            ("AMD EPYC", 2, "epyc-f25m17-2c"),
            ("Intel(R) Xeon(R) Platinum 8480+ CPU @ 2.00GHz", 4, "xeon-platinum-8480-4c"),
            ("13th Gen Intel(R) Core(TM) i7-13700K", 16, "13th-core-i7-13700k-16c"),
            ("../../etc/passwd\u{1b}", 1, "etc-passwd-f25m17-1c"),
            ("", 1, "f25m17-1c"),
        ] {
            (facts.cpu.model, facts.cpu.allowed) = (Reading::Value(model.to_string()), allowed);
            assert_eq!(facts.kind(), kind, "{model}");
        }
    }
}
