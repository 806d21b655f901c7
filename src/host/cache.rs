//! What earlier commands found out at some cost, kept in the user's cache folder until the machine starts
//! again, the program changes or another share of the processor is allowed. Losing it costs time, never a result: every failure here is silent.

use super::{build, limits, read};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

#[derive(Serialize, Deserialize)]
struct Entry<T> {
    boot: String,
    build: String,
    /// Cores' worth of time that the control group allows: under half a core libraries seem to hang, and peaks
    /// are lower.
    quota: Option<f64>,
    value: T,
}

/// What was kept under `name`, unless the machine has started again, the program has changed since or the
/// quota is another.
pub fn load<T: DeserializeOwned>(name: &str) -> Option<T> {
    load_from(&folder()?, name)
}

/// Keeps a value under `name`.
pub fn store<T: Serialize>(name: &str, value: &T) {
    if let Some(folder) = folder() {
        // A cache that cannot be written is no cache.
        let _ = store_in(&folder, name, value);
    }
}

/// `$XDG_CACHE_HOME/cutgpu`, or `~/.cache/cutgpu`.
pub fn folder() -> Option<PathBuf> {
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = from("XDG_CACHE_HOME").or_else(|| Some(from("HOME")?.join(".cache")))?;
    Some(base.join("cutgpu"))
}

/// A random number that the kernel draws at each start.
fn boot() -> Option<String> {
    read("/proc/sys/kernel/random/boot_id")
}

fn quota() -> Option<f64> {
    limits::read_limits().cores.value().copied()
}

fn load_from<T: DeserializeOwned>(folder: &Path, name: &str) -> Option<T> {
    let text = std::fs::read(folder.join(format!("{name}.json"))).ok()?;
    let entry: Entry<T> = serde_json::from_slice(&text).ok()?;
    let holds = entry.boot == boot()? && entry.build == build().hash() && entry.quota == quota();
    holds.then_some(entry.value)
}

fn store_in<T: Serialize>(folder: &Path, name: &str, value: &T) -> std::io::Result<()> {
    let Some(boot) = boot() else { return Ok(()) };
    let entry = Entry { boot, build: build().hash(), quota: quota(), value };
    std::fs::create_dir_all(folder)?;
    // By rename, so that two commands at once never leave half a file.
    let temporary = folder.join(format!("{name}.{}.part", std::process::id()));
    std::fs::write(&temporary, serde_json::to_vec(&entry)?)?;
    std::fs::rename(&temporary, folder.join(format!("{name}.json"))).inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_until_the_program_the_boot_or_the_quota_changes() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load_from::<Vec<u32>>(folder.path(), "x"), None);
        store_in(folder.path(), "x", &vec![1, 2]).unwrap();
        if boot().is_none() {
            return;
        }
        assert_eq!(load_from::<Vec<u32>>(folder.path(), "x"), Some(vec![1, 2]));
        assert_eq!(load_from::<String>(folder.path(), "x"), None);
        let file = folder.path().join("x.json");
        let text = std::fs::read_to_string(&file).unwrap();
        for changed in [boot().unwrap(), build().hash()] {
            std::fs::write(&file, text.replace(&changed, "another")).unwrap();
            assert_eq!(load_from::<Vec<u32>>(folder.path(), "x"), None);
        }
        let mut entry: Entry<Vec<u32>> = serde_json::from_str(&text).unwrap();
        entry.quota = Some(quota().unwrap_or(0.0) + 0.5);
        std::fs::write(&file, serde_json::to_vec(&entry).unwrap()).unwrap();
        assert_eq!(load_from::<Vec<u32>>(folder.path(), "x"), None);
        std::fs::write(&file, &text[..text.len() / 2]).unwrap();
        assert_eq!(load_from::<Vec<u32>>(folder.path(), "x"), None);
    }

    #[test]
    fn an_unwritable_folder_is_an_error_that_nobody_sees() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(store_in(&file.join("below"), "x", &1).is_err());
    }
}
