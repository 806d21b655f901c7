//! Main memory: size, what is free, and its modules where the firmware's tables can be read.

use super::facts::{Memory, Module};
use super::read;
use crate::units::{Bytes, Reading};
use std::collections::BTreeMap;
use std::path::Path;

/// Facts about memory that stay.
pub(super) fn read_memory() -> Memory {
    let text = read("/proc/meminfo").unwrap_or_default();
    Memory {
        total: Reading::or(field(&text, "MemTotal"), "the kernel does not tell the size of memory"),
        modules: modules_under(Path::new("/sys/firmware/dmi/entries")),
        page: Bytes(rustix::param::page_size() as u64),
        huge_pages: Reading::or(
            read("/sys/kernel/mm/transparent_hugepage/enabled").and_then(|text| chosen(&text)),
            "the kernel has no transparent huge pages",
        ),
    }
}

/// Memory that could be had without swapping.
pub(super) fn available() -> Reading<Bytes> {
    let text = read("/proc/meminfo").unwrap_or_default();
    Reading::or(field(&text, "MemAvailable"), "the kernel does not tell what is free")
}

fn field(text: &str, name: &str) -> Option<Bytes> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024).map(Bytes)
}

/// The word in brackets: `always [madvise] never`.
fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word.to_string())
}

fn modules_under(entries: &Path) -> Reading<Vec<Module>> {
    let Ok(folders) = std::fs::read_dir(entries) else {
        return Reading::absent("the firmware offers no table of memory modules");
    };
    let mut counted: BTreeMap<(u64, String, u32), usize> = BTreeMap::new();
    for folder in folders.flatten() {
        if !folder.file_name().to_string_lossy().starts_with("17-") {
            continue;
        }
        let Ok(raw) = std::fs::read(folder.path().join("raw")) else {
            return Reading::absent("only root may read the table of memory modules");
        };
        if let Some(key) = module(&raw) {
            *counted.entry(key).or_default() += 1;
        }
    }
    if counted.is_empty() {
        return Reading::absent("the firmware lists no memory module");
    }
    let module =
        |((bytes, kind, megatransfers), count)| Module { count, bytes: Bytes(bytes), kind, megatransfers };
    Reading::Value(counted.into_iter().map(module).collect())
}

/// Size, kind and speed of one memory device, a type 17 structure of SMBIOS (DMTF DSP0134, 7.18).
/// None for an empty socket.
fn module(raw: &[u8]) -> Option<(u64, String, u32)> {
    let word = |at: usize| Some(u16::from_le_bytes([*raw.get(at)?, *raw.get(at + 1)?]));
    let megabytes = match word(0x0c)? {
        0 | 0xffff => return None,
        // The size is in the extended field.
        0x7fff => {
            u32::from_le_bytes([*raw.get(0x1c)?, *raw.get(0x1d)?, *raw.get(0x1e)?, *raw.get(0x1f)?]) as u64
        }
        size if size & 0x8000 != 0 => u64::from(size & 0x7fff) / 1024,
        size => u64::from(size),
    };
    let kind = match raw.get(0x12)? {
        0x18 => "DDR3",
        0x1a => "DDR4",
        0x1e => "LPDDR4",
        0x20 | 0x21 => "HBM",
        0x22 => "DDR5",
        0x23 => "LPDDR5",
        _ => "unknown",
    };
    let speed = word(0x20).or_else(|| word(0x15)).filter(|&speed| speed != 0xffff).unwrap_or(0);
    Some((megabytes << 20, kind.to_string(), u32::from(speed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        let text = "MemTotal:       24576000 kB\nMemFree: 1 kB\nMemAvailable:  2048 kB";
        assert_eq!(field(text, "MemTotal"), Some(Bytes(24_576_000 * 1024)));
        assert_eq!(field(text, "MemAvailable"), Some(Bytes(2048 * 1024)));
        assert_eq!(field(text, "Mem"), None);
        assert_eq!(field("MemTotal: many kB", "MemTotal"), None);
        assert_eq!(chosen("always [madvise] never").as_deref(), Some("madvise"));
        assert_eq!(chosen("always"), None);
    }

    #[test]
    fn modules_of_one_kind_are_counted() {
        let mut raw = vec![0u8; 0x28];
        raw[0x0c..0x0e].copy_from_slice(&0x7fffu16.to_le_bytes());
        raw[0x1c..0x20].copy_from_slice(&65536u32.to_le_bytes());
        raw[0x12] = 0x22;
        raw[0x20..0x22].copy_from_slice(&4800u16.to_le_bytes());
        assert_eq!(module(&raw), Some((64 << 30, "DDR5".to_string(), 4800)));
        assert_eq!(module(&raw[..8]), None);
        let folder = tempfile::tempdir().unwrap();
        let mut empty = raw.clone();
        empty[0x0c..0x0e].fill(0);
        for (name, raw) in [("17-0", &raw), ("17-1", &raw), ("17-2", &empty), ("16-0", &raw)] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("raw"), raw).unwrap();
        }
        let two = Module { count: 2, bytes: Bytes(64 << 30), kind: "DDR5".to_string(), megatransfers: 4800 };
        assert_eq!(modules_under(folder.path()), Reading::Value(vec![two]));
        assert!(modules_under(&folder.path().join("none")).value().is_none());
    }
}
