//! The processor and its caches.

use super::facts::{Cache, Cpu};
use super::read;
use crate::units::{Bytes, Reading};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Instruction sets that change how fast machine learning runs, by the kernel's names.
const FLAGS: [&str; 18] = [
    "sse4_2",
    "avx",
    "f16c",
    "fma",
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512dq",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "avx512_vbmi",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "amx_fp16",
];

const DEVICES: &str = "/sys/devices/system/cpu";

/// The processor, from the text of `/proc/cpuinfo` and the kernel's folder of processors.
pub(super) fn read_cpu(processors: &str) -> Cpu {
    let topology = Topology::of(processors);
    let logical = std::thread::available_parallelism().map_or(1, usize::from).max(topology.logical);
    Cpu {
        vendor: Reading::or(field(processors, "vendor_id"), "the kernel does not name the vendor"),
        model: Reading::or(field(processors, "model name"), "the kernel does not name the model"),
        signature: Reading::or(signature(processors), "the kernel does not tell family and model"),
        flags: flags(processors),
        sockets: Reading::or(topology.sockets, "the kernel does not tell sockets"),
        cores: Reading::or(topology.cores, "the kernel does not tell cores from threads"),
        logical,
        allowed: allowed().unwrap_or(logical),
        threads_per_core: Reading::or(
            topology.cores.map(|cores| topology.logical.div_ceil(cores)),
            "the kernel does not tell cores from threads",
        ),
        governor: Reading::or(
            read(format!("{DEVICES}/cpu0/cpufreq/scaling_governor")),
            "the kernel has no control over the frequency, as in most virtual machines",
        ),
        turbo: Reading::or(turbo(), "the kernel does not tell whether the clock may rise"),
    }
}

/// Logical cores that this process may run on; none where the system does not tell.
#[cfg(target_os = "linux")]
fn allowed() -> Option<usize> {
    let set = rustix::thread::sched_getaffinity(None).ok()?;
    Some(set.count() as usize).filter(|&count| count > 0)
}

/// Only Linux tells; elsewhere a process may use every core.
#[cfg(not(target_os = "linux"))]
fn allowed() -> Option<usize> {
    None
}

/// The value of the first line that starts with `name`.
fn field(processors: &str, name: &str) -> Option<String> {
    values(processors, name).next().filter(|value| !value.is_empty()).map(str::to_string)
}

fn values<'t>(processors: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let split = |line: &'t str| line.split_once(':').map(|(key, value)| (key.trim(), value.trim()));
    let name = name.to_string();
    processors.lines().filter_map(split).filter(move |(key, _)| *key == name).map(|(_, value)| value)
}

fn signature(processors: &str) -> Option<[u32; 3]> {
    let number = |name| field(processors, name)?.parse().ok();
    Some([number("cpu family")?, number("model")?, number("stepping").unwrap_or(0)])
}

fn flags(processors: &str) -> Vec<String> {
    let all: BTreeSet<&str> = values(processors, "flags").next().unwrap_or_default().split(' ').collect();
    FLAGS.iter().filter(|flag| all.contains(*flag)).map(|flag| flag.to_string()).collect()
}

struct Topology {
    logical: usize,
    sockets: Option<usize>,
    cores: Option<usize>,
}

impl Topology {
    fn of(processors: &str) -> Self {
        let logical = values(processors, "processor").count();
        let sockets: Vec<_> = values(processors, "physical id").collect();
        let pairs: BTreeSet<_> = sockets.iter().zip(values(processors, "core id")).collect();
        let known = |count: usize| Some(count).filter(|&count| count > 0 && sockets.len() == logical);
        let unique: BTreeSet<_> = sockets.iter().collect();
        Self { logical, sockets: known(unique.len()), cores: known(pairs.len()) }
    }
}

fn turbo() -> Option<bool> {
    let intel = read(format!("{DEVICES}/intel_pstate/no_turbo")).map(|text| text == "0");
    intel.or_else(|| read(format!("{DEVICES}/cpufreq/boost")).map(|text| text == "1"))
}

/// The hypervisor's name, or `none`.
pub(super) fn hypervisor(processors: &str) -> Reading<String> {
    let Some(flags) = values(processors, "flags").next() else {
        return Reading::absent("the kernel lists no flags of the processor");
    };
    if !flags.split(' ').any(|flag| flag == "hypervisor") {
        return Reading::Value("none".to_string());
    }
    let info = crate::host::cpuid::cpuid().get_hypervisor_info();
    let name = info.map(|info| match info.identify() {
        raw_cpuid::Hypervisor::Unknown(..) => "unknown".to_string(),
        known => format!("{known:?}"),
    });
    Reading::or(name, "there is one, and it does not tell its name")
}

/// Data and unified caches of the processor, smallest level first.
pub(super) fn read_caches() -> Vec<Cache> {
    let caches = caches_under(Path::new(DEVICES));
    if caches.is_empty() { caches_of_cpuid() } else { caches }
}

/// From the kernel's folder: the first processor's caches, and how many such there are.
fn caches_under(devices: &Path) -> Vec<Cache> {
    let mut caches = Vec::new();
    for index in 0..8 {
        let folder = devices.join(format!("cpu0/cache/index{index}"));
        let text = |name: &str| read(folder.join(name));
        let (Some(level), Some(kind), Some(size)) = (text("level"), text("type"), text("size")) else {
            continue;
        };
        let (Ok(level), Some(bytes)) = (level.parse(), kernel_size(&size)) else { continue };
        if kind == "Instruction" {
            continue;
        }
        let shared_by = text("shared_cpu_list").map_or(1, |list| count_list(&list)).max(1);
        let instances = count_processors(devices).div_ceil(shared_by).max(1);
        caches.push(Cache { level, bytes: Bytes(bytes), shared_by, instances });
    }
    caches.sort_by_key(|cache| cache.level);
    caches
}

fn count_processors(devices: &Path) -> usize {
    match read(devices.join("online")) {
        Some(list) => count_list(&list),
        None => fs::read_dir(devices).map_or(1, |entries| entries.flatten().filter(is_processor).count()),
    }
}

fn is_processor(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let number = name.to_str().and_then(|name| name.strip_prefix("cpu"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Members of a kernel's list: `0-3,8,10-11` has 7.
pub(super) fn count_list(list: &str) -> usize {
    let member = |part: &str| match part.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (first.trim().parse::<usize>().ok()?, last.trim().parse::<usize>().ok()?);
            (last >= first).then(|| (last - first).saturating_add(1))
        }
        None => part.trim().parse::<usize>().ok().map(|_| 1),
    };
    list.split(',').filter_map(member).fold(0, usize::saturating_add)
}

/// A size as the kernel writes it: `32K`, `1024K`, `8M`.
fn kernel_size(text: &str) -> Option<u64> {
    let (digits, scale) = match text.strip_suffix(['K', 'M', 'G']) {
        Some(digits) if text.ends_with('K') => (digits, 1 << 10),
        Some(digits) if text.ends_with('M') => (digits, 1 << 20),
        Some(digits) => (digits, 1 << 30),
        None => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(scale).filter(|&bytes| bytes > 0)
}

/// From the processor itself, where the kernel says nothing. It counts sharers by reserved ids, so the
/// number of instances may be too small.
fn caches_of_cpuid() -> Vec<Cache> {
    let Some(parameters) = crate::host::cpuid::cpuid().get_cache_parameters() else { return Vec::new() };
    let logical = std::thread::available_parallelism().map_or(1, usize::from);
    let data = parameters.filter(|cache| cache.cache_type() != raw_cpuid::CacheType::Instruction);
    let cache = |cache: raw_cpuid::CacheParameter| {
        let ways = cache.associativity() * cache.physical_line_partitions() * cache.coherency_line_size();
        let shared_by = cache.max_cores_for_cache().clamp(1, logical);
        Cache {
            level: u32::from(cache.level()),
            bytes: Bytes((ways * cache.sets()) as u64),
            shared_by,
            instances: logical.div_ceil(shared_by),
        }
    };
    data.map(cache).filter(|cache| cache.bytes.0 > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_SOCKETS: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n\
        model name\t: Intel(R) Xeon(R)\nstepping\t: 8\nphysical id\t: 0\ncore id\t\t: 0\n\
        flags\t\t: fpu sse4_2 avx avx2 fma avx512f amx_tile hypervisor\n\n\
        processor\t: 1\nphysical id\t: 0\ncore id\t\t: 0\n\nprocessor\t: 2\nphysical id\t: 1\ncore id\t\t: 0\n\n\
        processor\t: 3\nphysical id\t: 1\ncore id\t\t: 0\n";

    #[test]
    fn sockets_cores_and_threads_are_told_apart() {
        let cpu = read_cpu(TWO_SOCKETS);
        assert_eq!(cpu.sockets, Reading::Value(2));
        assert_eq!(cpu.cores, Reading::Value(2));
        assert_eq!(cpu.threads_per_core, Reading::Value(2));
        assert_eq!(cpu.signature, Reading::Value([6, 143, 8]));
        assert_eq!(cpu.flags, ["sse4_2", "avx", "fma", "avx2", "avx512f", "amx_tile"]);
        let nothing = read_cpu("");
        assert!(nothing.model.value().is_none() && nothing.cores.value().is_none());
        assert!(nothing.logical >= 1 && nothing.allowed >= 1);
    }

    #[test]
    fn sizes_and_lists_of_the_kernel() {
        for (text, bytes) in
            [("32K", Some(32768)), ("8M", Some(8 << 20)), ("0K", None), ("x", None), ("", None)]
        {
            assert_eq!(kernel_size(text), bytes, "{text}");
        }
        for (list, count) in [("0-1", 2), ("0-3,8,10-11", 7), ("", 0), ("5", 1), ("3-1", 0), ("a-b", 0)] {
            assert_eq!(count_list(list), count, "{list}");
        }
    }

    #[test]
    fn caches_are_read_from_the_kernels_folder() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("online", "0-7\n");
        let kinds = [("0", "1", "Data", "48K", "0-1"), ("1", "1", "Instruction", "32K", "0-1")];
        let last = [("2", "2", "Unified", "2048K", "0-1"), ("3", "3", "Unified", "32M", "0-3")];
        for (index, level, kind, size, list) in kinds.into_iter().chain(last) {
            for (name, text) in [("level", level), ("type", kind), ("size", size), ("shared_cpu_list", list)]
            {
                write(&format!("cpu0/cache/index{index}/{name}"), text);
            }
        }
        let caches = caches_under(folder.path());
        let seen: Vec<_> = caches.iter().map(|cache| (cache.level, cache.bytes.0, cache.instances)).collect();
        assert_eq!(seen, [(1, 48 << 10, 4), (2, 2 << 20, 4), (3, 32 << 20, 2)]);
    }
}
