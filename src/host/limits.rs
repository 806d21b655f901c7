//! Limits of the control groups that this process is in, versions 1 and 2.

use super::facts::Container;
use super::read;
use crate::units::{Bytes, Reading};
use std::path::{Path, PathBuf};

const NO_LIMIT: &str = "no limit is set";

/// Limits of this process.
pub(super) fn read_limits() -> Container {
    limits_under(Path::new("/sys/fs/cgroup"), &read("/proc/self/cgroup").unwrap_or_default())
}

/// `membership` is the text of `/proc/self/cgroup`.
fn limits_under(root: &Path, membership: &str) -> Container {
    let cores = group_folders(root, membership, "cpu").filter_map(|folder| cores(&folder));
    let memory = group_folders(root, membership, "memory").filter_map(|folder| memory(&folder));
    Container {
        cores: Reading::or(cores.reduce(f64::min), NO_LIMIT),
        memory: Reading::or(memory.min().map(Bytes), NO_LIMIT),
    }
}

/// Folders of the group that limits `controller` and of its ancestors. A container often sees its own
/// group as the root while its membership names the host's path, so the root is always among them.
fn group_folders(root: &Path, membership: &str, controller: &str) -> impl Iterator<Item = PathBuf> {
    let mut folders = Vec::new();
    for line in membership.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let base = match controllers {
            "" => root.to_path_buf(),
            list if list.split(',').any(|name| name == controller) => root.join(controller),
            _ => continue,
        };
        let inside = PathBuf::from(path.trim_start_matches('/'));
        let ancestors = inside.ancestors().map(|ancestor| base.join(ancestor));
        folders.extend(ancestors);
    }
    folders.into_iter()
}

fn cores(folder: &Path) -> Option<f64> {
    if let Some(text) = read(folder.join("cpu.max")) {
        let (quota, period) = text.split_once(' ')?;
        return ratio(quota, period);
    }
    ratio(&read(folder.join("cpu.cfs_quota_us"))?, &read(folder.join("cpu.cfs_period_us"))?)
}

/// None for `max` and for -1, which both mean no limit.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

fn memory(folder: &Path) -> Option<u64> {
    let text = read(folder.join("memory.max")).or_else(|| read(folder.join("memory.limit_in_bytes")))?;
    // Version 1 writes the largest page-aligned number where there is no limit.
    text.parse().ok().filter(|&bytes: &u64| bytes < 1 << 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_tightest_limit_of_a_group_and_its_ancestors_counts() {
        let root = tree(&[
            ("a/b/cpu.max", "max 100000\n"),
            ("a/cpu.max", "150000 100000\n"),
            ("a/b/memory.max", "1073741824\n"),
            ("a/memory.max", "max\n"),
        ]);
        let limits = limits_under(root.path(), "0::/a/b\n");
        assert_eq!(limits.cores, Reading::Value(1.5));
        assert_eq!(limits.memory, Reading::Value(Bytes(1 << 30)));
    }

    #[test]
    fn version_1_and_no_limit() {
        let root = tree(&[
            ("cpu/x/cpu.cfs_quota_us", "50000"),
            ("cpu/x/cpu.cfs_period_us", "100000"),
            ("memory/memory.limit_in_bytes", "9223372036854771712"),
        ]);
        let limits = limits_under(root.path(), "3:cpu,cpuacct:/x\n4:memory:/gone\n0::/\n");
        assert_eq!(limits.cores, Reading::Value(0.5));
        assert_eq!(limits.memory, Reading::Absent(NO_LIMIT.to_string()));
        let nothing = limits_under(root.path(), "garbage\n");
        assert_eq!(nothing.cores, Reading::Absent(NO_LIMIT.to_string()));
    }
}
