//! Which Vulkan drivers are installed, by their files: cheap, and loads none of them.

use crate::backends::Unsupported;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Manifests of drivers and when each was last changed, and the variables that choose among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Drivers {
    manifests: Vec<(String, u64)>,
    variables: Vec<(String, String)>,
}

/// Variables that the loader heeds (Vulkan-Loader, "Application Interface to Loader").
const VARIABLES: [&str; 5] = [
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "VK_ADD_DRIVER_FILES",
    "VK_LOADER_DRIVERS_SELECT",
    "VK_LOADER_DRIVERS_DISABLE",
];

const PACKAGES: &str = "`mesa-vulkan-drivers` serves AMD's and Intel's, NVIDIA's driver brings its own";

impl Drivers {
    /// What is installed; a sentence where there is nothing to ask.
    pub(super) fn installed() -> Result<Self, Unsupported> {
        let variables: Vec<_> =
            VARIABLES.iter().filter_map(|name| Some((name.to_string(), std::env::var(name).ok()?))).collect();
        if !cfg!(target_os = "linux") {
            // Metal and Direct3D are parts of the system.
            return Ok(Self { manifests: Vec::new(), variables });
        }
        if !has_loader() {
            return Err(Unsupported(format!(
                "wgpu found no Vulkan loader: install `libvulkan1` and a driver ({PACKAGES})"
            )));
        }
        let chosen = VARIABLES[..2].iter().find_map(|name| std::env::var(name).ok());
        let files = match chosen {
            Some(chosen) => chosen.split(':').filter(|file| !file.is_empty()).map(PathBuf::from).collect(),
            None => folders().iter().flat_map(|folder| manifests_in(folder)).collect::<Vec<_>>(),
        };
        let present = |file: &PathBuf| Some((file.to_string_lossy().into_owned(), changed(file)?));
        let manifests: Vec<_> = files.iter().filter_map(present).collect();
        if manifests.is_empty() {
            return Err(Unsupported(format!("wgpu found no Vulkan driver: {PACKAGES}")));
        }
        Ok(Self { manifests, variables })
    }

    /// Files of the drivers.
    pub(super) fn files(&self) -> Vec<String> {
        self.manifests.iter().map(|(file, _)| file.clone()).collect()
    }

    #[cfg(test)]
    pub(super) fn of(files: &[&str]) -> Self {
        Self { manifests: files.iter().map(|file| (file.to_string(), 0)).collect(), variables: Vec::new() }
    }
}

/// Whether the Vulkan loader's library is in a place where the system looks, without loading it.
fn has_loader() -> bool {
    const NAME: &str = "libvulkan.so.1";
    let set = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let usual = ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    let multiarch = ["/lib", "/usr/lib"].map(|folder| Path::new(folder).join(&triple));
    let set = set.split(':').filter(|folder| !folder.is_empty()).map(PathBuf::from);
    if set.chain(usual).chain(multiarch).any(|folder| folder.join(NAME).exists()) {
        return true;
    }
    // Elsewhere: the loader of libraries knows of more places than are listed here.
    std::fs::read("/etc/ld.so.cache")
        .is_ok_and(|cache| cache.windows(NAME.len()).any(|window| window == NAME.as_bytes()))
}

/// Where manifests lie (Vulkan-Loader, "Driver Discovery on Linux").
fn folders() -> Vec<PathBuf> {
    let list =
        |name: &str, usual: &str| std::env::var(name).ok().filter(|v| !v.is_empty()).unwrap_or(usual.into());
    let home = std::env::var("HOME").unwrap_or_default();
    let bases = [
        list("XDG_CONFIG_HOME", &format!("{home}/.config")),
        list("XDG_CONFIG_DIRS", "/etc/xdg"),
        "/etc".to_string(),
        list("XDG_DATA_HOME", &format!("{home}/.local/share")),
        list("XDG_DATA_DIRS", "/usr/local/share:/usr/share"),
    ];
    let mut folders: Vec<PathBuf> = Vec::new();
    for base in bases.iter().flat_map(|list| list.split(':')).filter(|base| base.starts_with('/')) {
        let folder = Path::new(base).join("vulkan/icd.d");
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

fn manifests_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    files
}

/// Seconds since 1970 at which a file was last changed; none where there is no such file.
fn changed(file: &Path) -> Option<u64> {
    let modified = std::fs::metadata(file).ok()?.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Some(modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_the_json_files_of_a_folder_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.json", "a.json", "readme"] {
            std::fs::write(folder.path().join(name), "{}").unwrap();
        }
        let found = manifests_in(folder.path());
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.json", "b.json"]);
        assert!(changed(&found[0]).is_some());
        assert!(manifests_in(&folder.path().join("absent")).is_empty());
        assert_eq!(changed(&folder.path().join("absent")), None);
    }
}
