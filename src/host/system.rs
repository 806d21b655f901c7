//! Kernel, distribution, load and what the hypervisor takes.

use super::cpu::count_list;
use super::facts::System;
use super::read;
use crate::units::Reading;
use std::path::Path;

/// Kernel and distribution.
pub(super) fn read_system() -> System {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    System {
        os: std::env::consts::OS.to_string(),
        kernel: Reading::Value(release),
        distribution: Reading::or(
            read("/etc/os-release").and_then(|text| distribution(&text)),
            "the system has no os-release file",
        ),
    }
}

fn distribution(text: &str) -> Option<String> {
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches(['"', '\'']).to_string())
}

/// Memory nodes.
pub(super) fn numa_nodes() -> Reading<usize> {
    let count = read("/sys/devices/system/node/online").map(|list| count_list(&list));
    Reading::or(count.filter(|&count| count > 0), "the kernel does not list memory nodes")
}

/// Mean number of runnable tasks over 1, 5 and 15 minutes.
pub(super) fn load() -> Reading<[f64; 3]> {
    Reading::or(
        read("/proc/loadavg").and_then(|text| first_three(&text)),
        "the kernel does not tell the load",
    )
}

fn first_three(text: &str) -> Option<[f64; 3]> {
    let mut numbers = text.split_whitespace().map(|word| word.parse::<f64>().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

/// Share of all processors' time since boot that the hypervisor gave to others.
pub(super) fn steal() -> Reading<f64> {
    Reading::or(
        read("/proc/stat").and_then(|text| steal_share(&text)),
        "the kernel does not count stolen time",
    )
}

fn steal_share(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<f64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is inside user time already.
    let total: f64 = ticks.iter().take(8).sum();
    ticks.get(7).filter(|_| total > 0.0).map(|steal| steal / total)
}

/// Bytes that this user may still write to the file system of a folder.
pub(super) fn free_space(folder: &Path) -> Result<u64, String> {
    let stat =
        rustix::fs::statvfs(folder).map_err(|error| format!("the file system does not tell: {error}"))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        assert_eq!(distribution("NAME=x\nPRETTY_NAME=\"Debian 12\"\n").as_deref(), Some("Debian 12"));
        assert_eq!(first_three("0.52 1.5 2 3/456 789"), Some([0.52, 1.5, 2.0]));
        assert_eq!(first_three("0.52 x"), None);
        assert_eq!(steal_share("cpu  60 0 10 20 0 0 0 10 5 0\ncpu0 1"), Some(0.1));
        assert_eq!(steal_share("cpu  0 0 0 0 0 0 0 0"), None);
        assert_eq!(steal_share("cpu 1 2"), None);
    }
}
