//! What a file says about itself before anyone loads it: whether it is a shared library of this
//! machine's architecture, and which functions it exports. Format: System V ABI, "Object Files".

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The architecture that this program was built for.
const HERE: u16 = if cfg!(target_arch = "x86_64") {
    62
} else if cfg!(target_arch = "aarch64") {
    183
} else {
    0
};

/// `e_machine` numbers that a Linux user may meet.
const MACHINES: &[(u16, &str)] = &[
    (3, "32-bit x86"),
    (8, "MIPS"),
    (20, "32-bit POWER"),
    (21, "POWER"),
    (22, "IBM Z"),
    (40, "32-bit ARM"),
    (62, "x86-64"),
    (183, "aarch64"),
    (243, "RISC-V"),
    (258, "LoongArch"),
];

const SHARED_OBJECT: u16 = 3;
const DYNAMIC_SYMBOLS: u32 = 11;
const HEADER: usize = 64;
const SECTION: usize = 64;
const SYMBOL: usize = 24;
/// Bound on tables read into memory; MKL's largest is 3 MB.
const TABLE: u64 = 1 << 28;

/// Names of the functions and data that a library exports, as they lie in its file: a library may have
/// tens of thousands, of which a caller wants a few.
#[derive(Debug, Default)]
pub(super) struct Exports {
    /// The section `.dynsym`.
    symbols: Vec<u8>,
    /// The section of its names, each ended by 0. A name may be the end of another.
    names: String,
}

impl Exports {
    /// Defined names that contain `text`.
    pub(super) fn containing(&self, text: &str) -> Vec<String> {
        // For each occurrence: where a name that holds it may begin, and where it ends.
        let hits = self.names.match_indices(text).map(|(at, _)| {
            let first = self.names[..at].rfind('\0').map_or(0, |end| end + 1);
            (first..=at, self.names[at..].find('\0').map_or(self.names.len(), |end| at + end))
        });
        let hits: Vec<(RangeInclusive<usize>, usize)> = hits.collect();
        let [Some((first, _)), Some((last, _))] = [hits.first(), hits.last()] else { return Vec::new() };
        let near = *first.start()..=*last.end();
        let defined = self.symbols.chunks_exact(SYMBOL).filter(|symbol| u16_at(symbol, 6) != 0);
        let name = |symbol: &[u8]| {
            let start = u32_at(symbol, 0) as usize;
            let near = near.contains(&start);
            let (_, end) = hits.iter().filter(|_| near).find(|(starts, _)| starts.contains(&start))?;
            self.names.get(start..*end).map(str::to_string)
        };
        defined.filter_map(name).collect()
    }
}

/// What the shared library at `path` exports, or one sentence, with the file called `name`, that says why
/// it is no library for this machine.
pub(super) fn exports(path: &Path, name: &str) -> Result<Exports, String> {
    let unreadable = |error: io::Error| format!("{name} cannot be read: {error}; check the path");
    if path.is_dir() {
        return Err(format!("{name} is a folder; give the library file inside it"));
    }
    let file = File::open(path).map_err(unreadable)?;
    let header = head(&file).map_err(unreadable)?;
    check(&header, name)?;
    dynamic_symbols(&file, &header)
        .ok_or_else(|| format!("{name} is damaged: its table of symbols cannot be read; fetch it again"))
}

/// The first bytes of a file, fewer where it is short.
fn head(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER];
    let mut filled = 0;
    loop {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn check(header: &[u8], name: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{name} {what}"));
    if header.starts_with(b"!<arch>\n") {
        return wrong("is a static library; give the shared one, whose name ends in .so");
    }
    if !header.starts_with(b"\x7fELF") {
        let text = String::from_utf8_lossy(header);
        return if ["GNU ld", "INPUT", "GROUP"].iter().any(|word| text.contains(word)) {
            wrong("is a script for the linker, not a library; give the file that it names")
        } else {
            wrong("is no library (it has no ELF header); give a shared library, whose name ends in .so")
        };
    }
    if header.len() < HEADER {
        return wrong("is cut off after its first bytes; fetch it again");
    }
    let machine = u16_at(header, 18);
    let (is_64_bit, is_little_endian) = (header[4] == 2, header[5] == 1);
    if machine != HERE || !is_64_bit || !is_little_endian {
        return wrong(&format!(
            "is built for {}, and this machine is {}; give the build for this machine",
            machine_name(machine),
            machine_name(HERE)
        ));
    }
    if u16_at(header, 16) != SHARED_OBJECT {
        return wrong("is an object or a program, not a shared library; give a file whose name ends in .so");
    }
    Ok(())
}

fn machine_name(machine: u16) -> String {
    MACHINES
        .iter()
        .find(|(number, _)| *number == machine)
        .map_or_else(|| format!("another processor (ELF machine {machine})"), |(_, name)| name.to_string())
}

/// The section `.dynsym` with the section of its names.
fn dynamic_symbols(file: &File, header: &[u8]) -> Option<Exports> {
    let (offset, count) = (u64_at(header, 40), u16_at(header, 60) as usize);
    let sections = read(file, offset, (count * SECTION) as u64)?;
    let sections: Vec<&[u8]> = sections.chunks_exact(SECTION).collect();
    let symbols = sections.iter().find(|section| u32_at(section, 4) == DYNAMIC_SYMBOLS)?;
    let names = sections.get(u32_at(symbols, 40) as usize)?;
    let bytes_of = |section: &[u8]| read(file, u64_at(section, 24), u64_at(section, 32));
    let names = String::from_utf8(bytes_of(names)?).ok()?;
    Some(Exports { symbols: bytes_of(symbols)?, names })
}

fn read(file: &File, offset: u64, len: u64) -> Option<Vec<u8>> {
    let inside = offset.checked_add(len)? <= file.metadata().ok()?.len();
    let mut bytes = vec![0; usize::try_from(len).ok().filter(|_| inside && len <= TABLE)?];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header of a 64-bit little-endian file.
    fn header(kind: u16, machine: u16) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16..18].copy_from_slice(&kind.to_le_bytes());
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes
    }

    #[test]
    fn what_is_no_library_for_this_machine_is_said_in_one_sentence() {
        let other = if HERE == 183 { 62 } else { 183 };
        let cases: [(Vec<u8>, &str); 8] = [
            (b"hello, world\n".to_vec(), "is no library"),
            (vec![], "is no library"),
            (b"/* GNU ld script */ INPUT(libx.so.1)".to_vec(), "script for the linker"),
            (b"!<arch>\nsomething".to_vec(), "static library"),
            (header(3, other), &format!("built for {}", machine_name(other))),
            (header(2, HERE), "not a shared library"),
            (header(3, HERE)[..20].to_vec(), "cut off"),
            (header(3, HERE), "damaged"),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        for (bytes, words) in cases {
            std::fs::write(&path, bytes).unwrap();
            let said = exports(&path, "libx.so").unwrap_err();
            assert!(said.contains(words) && said.starts_with("libx.so "), "{said} lacks `{words}`");
        }
    }

    #[test]
    fn a_folder_and_a_missing_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        assert!(exports(folder.path(), "x").unwrap_err().contains("is a folder"));
        assert!(exports(&folder.path().join("no"), "no").unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_damaged_table_is_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        for seed in 0..300 {
            let mut bytes = header(3, HERE);
            bytes[40] = HEADER as u8;
            bytes[60] = 4;
            // Mostly zeros, so that offsets and sizes stay near the file's own.
            bytes.extend((0..4 * SECTION as u64).map(|index| {
                let random = crate::random::bits(seed, 0, index);
                if random.is_multiple_of(6) { (random >> 8) as u8 & 0x3f } else { 0 }
            }));
            std::fs::write(&path, bytes).unwrap();
            let _ = exports(&path, "libx.so").map(|exports| exports.containing("x"));
        }
    }

    #[test]
    fn the_c_library_exports_its_functions() {
        let Some(libc) = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6"]
            .map(Path::new)
            .into_iter()
            .find(|path| path.is_file())
        else {
            return eprintln!("skipped: no C library at a usual place");
        };
        let exports = exports(libc, "libc.so.6").unwrap();
        assert!(exports.containing("malloc").iter().any(|name| name == "malloc"));
        assert_eq!(exports.containing("cblas_sgemm"), Vec::<String>::new());
    }
}
