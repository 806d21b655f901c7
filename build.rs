//! Captures what a record must say about the build: compiler, profile, revision, sources.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiled in from outside the folders of sources.
const SCHEMA: &str = "docs/record.schema.json";

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_string());
    set("RUSTC", &output(&rustc, &["--version"]).unwrap_or_else(|| "unknown".to_string()));
    for (name, variable) in [("PROFILE", "PROFILE"), ("TARGET", "TARGET"), ("OPT_LEVEL", "OPT_LEVEL")] {
        set(name, &std::env::var(variable).unwrap_or_else(|_| "unknown".to_string()));
    }
    set("REVISION", &revision().unwrap_or_else(|| "unknown".to_string()));
    set("SOURCES", &format!("{:016x}", sources()));
}

fn set(name: &str, value: &str) {
    println!("cargo::rustc-env=CUTGPU_{name}={}", value.replace(['\n', '\r'], " "));
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_string())
}

/// The commit of this repository, `+dirty` where tracked files differ from it; none outside one.
fn revision() -> Option<String> {
    let root = std::fs::canonicalize(std::env::var("CARGO_MANIFEST_DIR").ok()?).ok()?;
    // A copy of the sources inside somebody else's repository has no revision of its own.
    let top = std::fs::canonicalize(output("git", &["rev-parse", "--show-toplevel"])?).ok()?;
    if top != root {
        return None;
    }
    // Not the index: every `git status` may write it, and it says nothing that these and the sources do not.
    for file in ["HEAD", "logs/HEAD"] {
        let path = output("git", &["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changes = output("git", &["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"])?;
    Some(if changes.is_empty() { commit } else { format!("{commit}+dirty") })
}

/// A hash of everything that is compiled in, so that two builds of one dirty revision differ.
fn sources() -> u64 {
    let mut files = ["Cargo.lock", "build.rs", SCHEMA].map(PathBuf::from).to_vec();
    println!("cargo::rerun-if-changed={SCHEMA}");
    for folder in ["src", "suites", "catalog", "assets"] {
        println!("cargo::rerun-if-changed={folder}");
        collect(Path::new(folder), &mut files);
    }
    files.sort();
    let parts = files.iter().flat_map(|file| {
        let name = file.to_string_lossy().into_owned().into_bytes();
        [name, std::fs::read(file).unwrap_or_default()]
    });
    parts.fold(0xcbf2_9ce4_8422_2325, |hash, bytes| fnv(hash, &bytes))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

/// FNV-1a with 64 bits; the length keeps neighbouring files apart.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = bytes.iter().fold(hash, step);
    (bytes.len() as u64).to_le_bytes().iter().fold(hash, step)
}
