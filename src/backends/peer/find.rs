//! The Python that has a library's packages, as far as can be told without starting it.

use super::Python;
use crate::backends::Unsupported;
use crate::backends::cpu::dylib::stores;
use std::env;
use std::path::{Path, PathBuf};

/// The program to start for `library`, or what is missing.
pub(super) fn python(library: &Python) -> Result<PathBuf, Unsupported> {
    if let Some(given) = env::var_os("CUTGPU_PYTHON").filter(|value| !value.is_empty()) {
        return Ok(given.into());
    }
    let absent = |what: &str, advice: &str| {
        Unsupported(format!("there is no {} on this machine: {what}; {advice}", library.id))
    };
    let searched = env::var_os("PATH").unwrap_or_default();
    let python = env::split_paths(&searched).map(|folder| folder.join("python3")).find(|path| path.is_file());
    let python =
        python.ok_or_else(|| absent("there is no python3", "install it, or name one in CUTGPU_PYTHON"))?;
    let folders: Vec<PathBuf> = fetched().into_iter().chain(installed(&python)).collect();
    let has = |package: &&&str| folders.iter().any(|folder| folder.join(package).is_dir());
    match library.packages.iter().find(|package| !has(package)) {
        Some(package) => Err(absent(&format!("python3 has no {package}"), "`make peers` fetches it")),
        None => Ok(python),
    }
}

/// PYTHONPATH for a worker of `library`: fetched packages before the user's own folders.
pub(super) fn path_of_packages(library: &Python) -> Option<String> {
    let has_one = |folder: &PathBuf| library.packages.iter().any(|package| folder.join(package).is_dir());
    let fetched = fetched().filter(has_one)?;
    let own = env::var_os("PYTHONPATH").unwrap_or_default();
    let own = env::split_paths(&own).filter(|path| !path.as_os_str().is_empty());
    let paths = env::join_paths(std::iter::once(fetched).chain(own)).ok()?;
    Some(paths.to_string_lossy().into_owned())
}

/// The folder of fetched Python packages.
fn fetched() -> Option<PathBuf> {
    stores().into_iter().map(|store| store.join("python")).find(|folder| folder.is_dir())
}

/// Where packages of `python` usually lie: beside the program as found and as its link resolves, in
/// Debian's folders, and in PYTHONPATH.
fn installed(python: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = env::split_paths(&env::var_os("PYTHONPATH").unwrap_or_default()).collect();
    let resolved = python.canonicalize().unwrap_or_default();
    for prefix in [python, &resolved].into_iter().filter_map(|program| program.parent()?.parent()) {
        let folders = [prefix.join("lib"), prefix.join("local/lib")];
        let versions = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
        for version in versions.filter(|entry| entry.file_name().to_string_lossy().starts_with("python3")) {
            found.extend(["site-packages", "dist-packages"].map(|name| version.path().join(name)));
        }
    }
    found
}
