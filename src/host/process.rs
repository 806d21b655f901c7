//! Memory, death and the kernel's view of processes. Readers give none where the system has no `/proc`.

use std::fs;
use std::io;

/// Resident memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// Bytes now.
    pub now: u64,
    /// High-water mark in bytes.
    pub peak: u64,
}

/// Resident memory of `process`, or of this process.
pub fn resident(process: Option<u32>) -> Option<Resident> {
    let folder = process.map_or_else(|| "self".to_string(), |pid| pid.to_string());
    let status = fs::read_to_string(format!("/proc/{folder}/status")).ok()?;
    Some(Resident { now: kilobytes(&status, "VmRSS:")?, peak: kilobytes(&status, "VmHWM:").unwrap_or(0) })
}

fn kilobytes(status: &str, field: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(field))?;
    rest.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Resident bytes of every process of a process group, pages that they share counted once for each.
/// Reads all of `/proc`: milliseconds where there are thousands of processes.
pub fn group_resident(group: u32) -> u64 {
    members(group).into_iter().filter_map(|pid| resident(Some(pid))).map(|memory| memory.now).sum()
}

/// Living processes of a process group.
pub fn members(group: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid: &u32| group_of(pid) == Some(group)).collect()
}

/// The group of a living process.
fn group_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // A command's name may hold spaces and brackets: the fields begin after the last bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let is_dead = matches!(state, "Z" | "X");
    fields.nth(1).filter(|_| !is_dead)?.parse().ok()
}

/// Restarts this process's high-water mark; false where the kernel cannot.
pub fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Makes this process the first that the kernel kills when memory runs out; false where it cannot.
pub fn volunteer_for_oom_kill() -> bool {
    fs::write("/proc/self/oom_score_adj", "1000").is_ok()
}

/// How often the kernel has killed a process for want of memory since it started.
pub fn oom_kills() -> Option<u64> {
    let counters = fs::read_to_string("/proc/vmstat").ok()?;
    counters.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// Physical memory of this machine in bytes.
pub fn physical_memory() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// Makes the kernel kill this process when the thread that forked it dies. Fails if `parent` had died
/// already, because then the signal will never come.
#[cfg(target_os = "linux")]
pub fn die_with(parent: Option<u32>) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let now = getppid().map(|pid| pid.as_raw_nonzero().get() as u32);
    match parent {
        Some(parent) if now != Some(parent) => Err(io::Error::other("the parent process has died already")),
        _ => Ok(()),
    }
}

/// Only Linux has a parent-death signal; elsewhere a worker ends when its pipe closes.
#[cfg(not(target_os = "linux"))]
pub fn die_with(_: Option<u32>) -> io::Result<()> {
    Ok(())
}

/// Keeps a crash from writing a core file as large as the process.
pub fn forbid_core_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Core);
    // A failure leaves the user's own setting, which is no worse than before.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: limit.maximum });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_status_are_found_and_bad_ones_are_absent() {
        let status = "Name:\tx\nVmHWM:\t     200 kB\nVmRSS:\t     100 kB\nVmBad:\tmany kB\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(102_400));
        assert_eq!(kilobytes(status, "VmHWM:"), Some(204_800));
        assert_eq!(kilobytes(status, "VmBad:"), None);
        assert_eq!(kilobytes(status, "VmNot:"), None);
    }

    #[test]
    fn this_process_is_in_its_own_group_and_has_memory() {
        let own = std::process::id();
        let Some(group) = group_of(own) else { return };
        assert!(members(group).contains(&own));
        let memory = resident(None).unwrap();
        assert!(memory.now > 1 << 16 && memory.peak >= 1 << 16);
        assert!(group_resident(group) >= memory.now / 2);
    }
}
