//! The rules of the source tree that the compiler does not check: imports point down, files stay
//! small, features stay in the backends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, tests included.
const LINES: usize = 600;

/// Uniform tables that may be longer, by path.
const TABLES: &[&str] = &[];

/// Layers from the bottom up: a module may import those before it, and itself.
const LAYERS: &[&str] = &[
    "units",
    "nearest",
    "date",
    "float8",
    "tensor",
    "random",
    "ops",
    "program",
    "workloads",
    "host",
    "backends",
    "accuracy",
    "train",
    "suite",
    "plan",
    "measure",
    "record",
    "run",
    "compare",
    "catalog",
    "exchange",
    "cost",
    "advise",
    "claims",
    "report",
    "cli",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Every Rust file of the repository with its text, by path relative to the root.
fn sources() -> BTreeMap<String, String> {
    let mut files = Vec::new();
    for folder in ["src", "tests", "suites"] {
        rust_files(&root().join(folder), &mut files);
    }
    let named = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    files.into_iter().map(named).collect()
}

/// The layer of a file under `src`: its first folder, or its own name.
fn layer_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let name = inside.split('/').next()?.trim_end_matches(".rs");
    (!["lib", "main"].contains(&name)).then_some(name)
}

fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|known| *known == layer)
}

/// Layers that a line names as `crate::layer`, or as `crate::{layer, ..}`.
fn imported(line: &str) -> Vec<&str> {
    let direct = line
        .split("crate::")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next());
    let grouped = line.split("crate::{").skip(1).flat_map(|rest| rest.split([',', '}'])).map(str::trim);
    direct
        .chain(grouped.map(|name| name.split("::").next().unwrap_or(name)))
        .filter(|name| rank(name).is_some())
        .collect()
}

#[test]
fn every_module_has_a_layer() {
    for path in sources().keys() {
        if let Some(layer) = layer_of(path) {
            assert!(
                rank(layer).is_some(),
                "{path}: the module `{layer}` stands in no layer: add it to LAYERS"
            );
        }
    }
}

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(from) = layer_of(&path) else { continue };
        for (number, line) in
            text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            for to in imported(line).into_iter().filter(|to| rank(to) > rank(from)) {
                wrong.push(format!("{path}:{}: {from} imports {to}, which is above it", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn imports_are_recognised() {
    assert_eq!(imported("use crate::cli::exit;"), ["cli"]);
    assert_eq!(imported("use crate::{cost, tensor::DType};"), ["cost", "tensor"]);
    assert_eq!(imported("    crate::host::clock::now()"), ["host"]);
    assert!(imported("use std::fs;").is_empty());
}

#[test]
fn files_stay_small() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|(path, text)| text.lines().count() > LINES && !TABLES.contains(&path.as_str()))
        .map(|(path, text)| format!("{path}: {} lines, {LINES} are allowed", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn features_are_named_by_backends_only() {
    for (path, text) in sources() {
        let allowed = path.starts_with("src/backends/") && path.ends_with("/mod.rs");
        let named = concat!("cfg(", "feature");
        assert!(
            allowed || !text.contains(named),
            "{path}: cargo features belong into src/backends/**/mod.rs"
        );
    }
}

#[test]
fn no_path_of_a_machine_is_written_down() {
    let places = [concat!("/", "root/"), concat!("/", "home/"), concat!("/", "tmp/")];
    for (path, text) in sources() {
        for place in places {
            assert!(!text.contains(place), "{path} names {place}: use a temporary folder of the library");
        }
    }
}
