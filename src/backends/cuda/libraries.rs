//! NVIDIA's libraries, found and opened at run time, so that nothing has to be installed to build or start
//! this program.
//!
//! In order: a file that the user names, the wheels of Python environments, the toolkit's folder, what the
//! system's loader knows. Nothing here panics: a library that is missing, broken or too old is one sentence.
//! A library is never closed: it keeps threads, and CUDA's are known to crash when unloaded.

use crate::backends::Unsupported;
use crate::backends::cpu::dylib::{Location, in_system, stores, without_folders};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::env;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

/// What to look for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// What it is, for messages.
    pub(super) about: &'static str,
    /// Variable that names a file, which goes before everything else.
    pub(super) variable: &'static str,
    /// Names of the file, best known first.
    pub(super) names: &'static [&'static str],
    /// Folders of wheels that may hold it, below `site-packages/nvidia`.
    pub(super) wheels: &'static [&'static str],
    /// What to do where it is missing.
    pub(super) advice: &'static str,
}

/// Where to look, in order. The environment's in life, made up in tests.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Folders of Python packages.
    pub(super) packages: Vec<PathBuf>,
    /// Folders of CUDA toolkits.
    pub(super) toolkits: Vec<PathBuf>,
}

impl Places {
    /// Those of this process.
    pub(super) fn of_environment() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let fetched = stores().into_iter().map(|store| store.join("python"));
        let listed = env::var_os("PYTHONPATH").unwrap_or_default();
        let mut packages: Vec<PathBuf> = env::split_paths(&listed).chain(fetched).collect();
        let on_path = env::split_paths(&env::var_os("PATH").unwrap_or_default())
            .find(|folder| folder.join("python3").exists())
            .and_then(|folder| folder.parent().map(Path::to_path_buf));
        let prefixes = [set("VIRTUAL_ENV"), set("CONDA_PREFIX"), on_path];
        let usual = ["/usr/local", "/usr"].map(|prefix| Some(PathBuf::from(prefix)));
        let user = set("HOME").map(|home| home.join(".local"));
        for prefix in prefixes.into_iter().chain(usual).chain([user]).flatten() {
            packages.extend(packages_below(&prefix));
        }
        let toolkits = ["CUDA_HOME", "CUDA_PATH"].iter().filter_map(|name| set(name));
        Self { packages, toolkits: toolkits.chain([PathBuf::from("/usr/local/cuda")]).collect() }
    }

    /// The first file of `wanted`, less what the user names and what the loader knows.
    fn find(&self, wanted: &Wanted) -> Option<Location> {
        let in_wheel = |folder: &Path, name: &str| {
            wanted.wheels.iter().find_map(|wheel| {
                let path = folder.join("nvidia").join(wheel).join("lib").join(name);
                path.is_file().then(|| Location { path, origin: format!("pip:nvidia/{wheel}/{name}") })
            })
        };
        let in_toolkit = |folder: &Path, name: &str| {
            ["lib64", "lib", "targets/x86_64-linux/lib"].iter().find_map(|below| {
                let path = folder.join(below).join(name);
                path.is_file().then(|| Location { path, origin: format!("toolkit:{name}") })
            })
        };
        let first = |folders: &[PathBuf], inside: &dyn Fn(&Path, &str) -> Option<Location>| {
            let pairs = folders.iter().flat_map(|folder| wanted.names.iter().map(move |name| (folder, name)));
            pairs.into_iter().find_map(|(folder, name)| inside(folder, name))
        };
        first(&self.packages, &in_wheel).or_else(|| first(&self.toolkits, &in_toolkit))
    }
}

/// `lib/python3.*/{site,dist}-packages` of a prefix, newest version first.
fn packages_below(prefix: &Path) -> Vec<PathBuf> {
    let entries = ["lib", "lib64"].iter().filter_map(|lib| std::fs::read_dir(prefix.join(lib)).ok());
    let is_python =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python3"));
    let mut pythons: Vec<PathBuf> =
        entries.flatten().flatten().map(|entry| entry.path()).filter(is_python).collect();
    pythons.sort();
    let both = |python: PathBuf| ["site-packages", "dist-packages"].map(|folder| python.join(folder));
    pythons.into_iter().rev().flat_map(both).collect()
}

impl Wanted {
    /// The file that answers first; one that the user named is returned even if it is not there, so that
    /// opening it says so.
    pub(super) fn find(&self) -> Option<Location> {
        self.find_in(&Places::of_environment())
    }

    /// The same in these places.
    fn find_in(&self, places: &Places) -> Option<Location> {
        let given = env::var_os(self.variable).filter(|value| !value.is_empty()).map(Location::given);
        given.or_else(|| places.find(self)).or_else(|| self.names.iter().find_map(|name| in_system(name)))
    }
}

/// A library of NVIDIA's that has been opened.
#[derive(Debug)]
pub(super) struct Opened {
    handle: ManuallyDrop<Library>,
    location: Location,
}

impl Opened {
    /// Finds and opens a library.
    pub(super) fn open(wanted: &Wanted) -> Result<Self, Unsupported> {
        let Wanted { about, variable, names, advice, .. } = wanted;
        let location = wanted.find().ok_or_else(|| {
            Unsupported(format!(
                "{about} ({}) is not on this machine: {advice}, or name it in {variable}",
                names[0]
            ))
        })?;
        Self::at(location, wanted)
    }

    /// Opens a file.
    pub(super) fn at(location: Location, wanted: &Wanted) -> Result<Self, Unsupported> {
        // Global, so that libraries of the same family find each other by name wherever they lie.
        // SAFETY: loading runs the library's initialisers; it is NVIDIA's, or one that the user named.
        let handle = unsafe { Library::open(Some(&location.path), RTLD_NOW | RTLD_GLOBAL) };
        let handle = handle.map_err(|error| {
            let why = without_folders(&error.to_string());
            Unsupported(format!("{} cannot be opened ({why}): {}", location.name(), wanted.advice))
        })?;
        Ok(Self { handle: ManuallyDrop::new(handle), location })
    }

    /// The function `name`.
    ///
    /// # Safety
    /// `F` is a pointer to a function with the C signature of `name`, or an option of one.
    pub(super) unsafe fn function<F: Copy>(&self, name: &str) -> Result<F, Unsupported> {
        // SAFETY: the caller vouches for the signature, and the library is never closed.
        let found = unsafe { self.handle.get::<F>(name.as_bytes()) };
        found.map(|function| *function).map_err(|_| {
            let file = self.location.name();
            Unsupported(format!(
                "{file} has no function {name}: it is damaged or too old, install a newer one"
            ))
        })
    }

    /// Where it came from, as records call it: `pip:nvidia/cu13/libnvrtc.so.13`.
    pub(super) fn origin(&self) -> &str {
        &self.location.origin
    }

    /// The folder that it lies in.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.location.path.parent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted {
        about: "a library of tests",
        variable: "CUTGPU_NO_SUCH_VARIABLE",
        names: &["libcutgpu-x.so.13", "libcutgpu-x.so.12"],
        wheels: &["cu13", "x"],
        advice: "write one",
    };

    fn place(folder: &Path, file: &str) {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "no library").unwrap();
    }

    #[test]
    fn wheels_go_before_the_toolkit_and_newer_names_before_older() {
        let folder = tempfile::tempdir().unwrap();
        let venv = folder.path().join("venv");
        let places =
            || Places { packages: packages_below(&venv), toolkits: vec![folder.path().join("cuda")] };
        assert!(WANTED.find_in(&places()).is_none());
        for (file, origin) in [
            ("cuda/targets/x86_64-linux/lib/libcutgpu-x.so.12", "toolkit:libcutgpu-x.so.12"),
            ("cuda/lib64/libcutgpu-x.so.13", "toolkit:libcutgpu-x.so.13"),
            (
                "venv/lib/python3.9/site-packages/nvidia/x/lib/libcutgpu-x.so.12",
                "pip:nvidia/x/libcutgpu-x.so.12",
            ),
            (
                "venv/lib/python3.9/site-packages/nvidia/cu13/lib/libcutgpu-x.so.13",
                "pip:nvidia/cu13/libcutgpu-x.so.13",
            ),
        ] {
            place(folder.path(), file);
            assert_eq!(WANTED.find_in(&places()).unwrap().origin, origin, "{file}");
        }
    }

    #[test]
    fn what_is_no_library_and_what_lacks_a_function_are_one_sentence_without_a_folder() {
        let missing = Opened::open(&WANTED).unwrap_err().0;
        assert!(
            missing.starts_with("a library of tests (libcutgpu-x.so.13) is not on this machine: write one")
        );
        let folder = tempfile::tempdir().unwrap();
        place(folder.path(), "libcutgpu-x.so.13");
        let broken = Location::given(folder.path().join("libcutgpu-x.so.13"));
        let said = Opened::at(broken, &WANTED).unwrap_err().0;
        assert!(said.contains("libcutgpu-x.so.13 cannot be opened"), "{said}");
        assert!(!said.contains(folder.path().to_str().unwrap()), "{said}");
        let Some(libc) = in_system("libc.so.6") else { return };
        let libc = Opened::at(libc, &WANTED).unwrap();
        // SAFETY: never called.
        let said = unsafe { libc.function::<unsafe extern "C" fn()>("cuInit") }.unwrap_err().0;
        assert!(said.starts_with("libc.so.6 has no function cuInit"), "{said}");
    }
}
