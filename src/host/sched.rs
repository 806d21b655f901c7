//! What the scheduler and the hypervisor took from this process.

use std::collections::BTreeMap;
use std::fs;

/// Waits so far, to be subtracted from later ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Nanoseconds that each thread of this process was ready to run and had no core.
    run_delay: BTreeMap<u32, u64>,
    /// Nanoseconds that the hypervisor took from all cores of this machine.
    steal: u64,
}

/// Waits between two readings, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// Summed over this process's threads; 0 where the kernel has no schedstat.
    pub run_delay: u64,
    /// Summed over the machine's cores, in steps of a clock tick (usually 10 ms); 0 where unknown.
    pub steal: u64,
}

/// Whether this kernel tells how long a thread waited for a core.
pub fn has_run_delay() -> bool {
    fs::read_to_string("/proc/self/schedstat").is_ok_and(|line| run_delay(&line).is_some())
}

impl Waits {
    /// Reads both counters.
    pub fn read() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self { run_delay: threads(), steal: steal(&stat, ticks_per_second()).unwrap_or(0) }
    }

    /// What was added since `earlier`; a thread that ended in between counts for nothing.
    pub fn since(&self, earlier: &Self) -> Waited {
        let waited = |(thread, now): (&u32, &u64)| {
            now.saturating_sub(earlier.run_delay.get(thread).copied().unwrap_or(0))
        };
        Waited {
            run_delay: self.run_delay.iter().map(waited).sum(),
            steal: self.steal.saturating_sub(earlier.steal),
        }
    }
}

fn threads() -> BTreeMap<u32, u64> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return BTreeMap::new() };
    let waited = |task: fs::DirEntry| {
        let line = fs::read_to_string(task.path().join("schedstat")).ok()?;
        Some((task.file_name().to_str()?.parse().ok()?, run_delay(&line)?))
    };
    tasks.flatten().filter_map(waited).collect()
}

/// The second field of a schedstat line.
fn run_delay(line: &str) -> Option<u64> {
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The eighth counter of the first line of `/proc/stat`, in nanoseconds.
fn steal(stat: &str, ticks_per_second: u64) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: u64 = fields.split_whitespace().nth(7)?.parse().ok()?;
    ticks.checked_mul(1_000_000_000 / ticks_per_second.max(1))
}

fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_their_fields() {
        assert_eq!(run_delay("123 456 7\n"), Some(456));
        assert_eq!(run_delay("123"), None);
        assert_eq!(steal("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 ...", 100), Some(80_000_000));
        assert_eq!(steal("cpu  1 2 3 4\n", 100), None);
        assert_eq!(steal("", 100), None);
    }

    #[test]
    fn a_thread_that_ended_or_began_does_no_harm() {
        let before = Waits { run_delay: BTreeMap::from([(1, 10), (2, 500)]), steal: 7 };
        let after = Waits { run_delay: BTreeMap::from([(1, 15), (3, 20)]), steal: 9 };
        assert_eq!(after.since(&before), Waited { run_delay: 25, steal: 2 });
    }
}
