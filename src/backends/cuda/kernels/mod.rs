//! Kernels in CUDA C, one file each, embedded as text and compiled by NVRTC for the card that is there.
//!
//! A file begins with what tests hold it to:
//!
//! ```text
//! // arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100      what it compiles for
//! // registers: 64                                   the most that an entry may use, without spilling
//! // instructions: HMMA LDGSTS                       what its machine code must contain (optional; from
//! //                                                 sm_80 on, because earlier cards lack LDGSTS)
//! ```
//!
//! An entry point is declared by a line that begins with `ENTRY(name`. Shared memory is dynamic, declared by
//! `SHARED_MEMORY(name)`. Every bounds check is a call of `inside(index, extent)`, so that tests can remove
//! it. What a processor cannot execute stands in `ptx.cuh` alone.

use super::launch::Arch;

/// A compilation unit.
#[derive(Debug)]
pub struct Source {
    /// Name of the unit: its file's, and what its defines make of it.
    pub name: &'static str,
    /// The file's text.
    pub text: &'static str,
    /// Macros, `NAME=VALUE`.
    pub defines: &'static [&'static str],
}

/// Texts that kernels include, by the name they include them by.
pub const HEADERS: &[(&str, &str)] =
    &[("common.cuh", include_str!("common.cuh")), ("ptx.cuh", include_str!("ptx.cuh"))];

const fn unit(name: &'static str, text: &'static str, defines: &'static [&'static str]) -> Source {
    Source { name, text, defines }
}

/// Copies of bytes.
pub static COPY: Source = unit("copy", include_str!("copy.cu"), &[]);

/// Every unit there is.
pub static SOURCES: &[&Source] = &[&COPY];

impl Source {
    fn header(&self, key: &str) -> impl Iterator<Item = &'static str> {
        let start = format!("// {key}:");
        let line = self.text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_default().split_whitespace()
    }

    /// Architectures that its header declares: `sm_75`, `sm_90a`.
    pub fn archs(&self) -> Vec<&'static str> {
        self.header("arch").collect()
    }

    /// The most registers that an entry may use.
    pub fn registers(&self) -> Option<u32> {
        self.header("registers").next()?.parse().ok()
    }

    /// Instructions that its machine code must contain.
    pub fn instructions(&self) -> Vec<&'static str> {
        self.header("instructions").collect()
    }

    /// Names of its entry points.
    pub fn entries(&self) -> Vec<&'static str> {
        let name = |line: &'static str| line.strip_prefix("ENTRY(")?.split([',', ')']).next();
        self.text.lines().filter_map(name).map(str::trim).collect()
    }

    /// NVRTC's name of the architecture to compile for on a card of `arch`; none where it cannot run there.
    /// A card that is newer than every declared one gets code of its own kind.
    pub fn target(&self, arch: Arch) -> Option<String> {
        let specific = format!("sm_{}a", arch.0);
        if self.archs().contains(&specific.as_str()) {
            return Some(specific);
        }
        let declared = |name: &str| name.strip_prefix("sm_")?.parse::<u32>().ok();
        let runs = self.archs().into_iter().filter_map(declared).any(|declared| declared <= arch.0);
        runs.then(|| format!("sm_{}", arch.0))
    }

    /// The text with the headers that it includes in place, for a compiler that has no files.
    pub fn complete(&self) -> String {
        let mut text = String::new();
        expand(self.text, &mut vec![], &mut text);
        text
    }
}

/// Appends `source` with each header that it includes, the first time that it is met.
fn expand(source: &'static str, met: &mut Vec<&'static str>, text: &mut String) {
    for line in source.lines() {
        let included = HEADERS.iter().find(|(name, _)| line == format!("#include \"{name}\""));
        match included {
            Some((name, header)) if !met.contains(name) => {
                met.push(name);
                expand(header, met, text);
            }
            Some(_) => {}
            None if line == "#pragma once" => {}
            None => *text += &format!("{line}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_declares_itself() {
        for source in SOURCES {
            let name = source.name;
            assert!(!source.archs().is_empty(), "{name}: no architecture");
            assert!(source.registers().is_some_and(|most| (16..=255).contains(&most)), "{name}: no budget");
            assert!(!source.entries().is_empty(), "{name}: no entry");
            assert!(!source.complete().contains("#include"), "{name}: an include is left");
            assert_eq!(source.complete().matches("#pragma once").count(), 0, "{name}");
        }
        let mut names: Vec<_> = SOURCES.iter().map(|source| source.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SOURCES.len(), "two units of one name");
    }

    #[test]
    fn a_card_gets_code_of_its_own_kind() {
        assert_eq!(COPY.target(Arch(75)).as_deref(), Some("sm_75"));
        assert_eq!(COPY.target(Arch(120)).as_deref(), Some("sm_120"));
        assert_eq!(COPY.target(Arch(61)), None);
    }
}
