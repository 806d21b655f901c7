//! Where a library's file may be. Looking is cheap: nothing is loaded.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What to look for, in order of preference.
#[derive(Debug)]
pub struct Wanted {
    /// Variable that names a file, which goes before everything else; empty for none.
    pub variable: &'static str,
    /// `kind/package/file` below the folder of fetched libraries.
    pub fetched: &'static [&'static str],
    /// Names that the system's loader may know.
    pub sonames: &'static [&'static str],
}

/// A library's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Where it is. Never shown: it may name a person.
    pub path: PathBuf,
    /// What records call it: `pip:package/file`, `system:soname`, `user:file name`.
    pub origin: String,
}

impl Location {
    /// A file that the user named.
    pub fn given(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let origin = format!("user:{}", file_name(&path));
        Self { path, origin }
    }

    /// Name of the file, without its folder.
    pub fn name(&self) -> String {
        file_name(&self.path)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

impl Wanted {
    /// The first file that answers. A file that the user named is returned even if it is not there, so
    /// that opening it says so.
    pub fn find(&self) -> Option<Location> {
        let given = env::var_os(self.variable).filter(|value| !value.is_empty()).map(Location::given);
        given
            .or_else(|| self.fetched.iter().find_map(|entry| fetched(entry)))
            .or_else(|| self.sonames.iter().find_map(|soname| in_environments(soname)))
            .or_else(|| self.sonames.iter().find_map(|soname| in_system(soname)))
    }
}

/// The file of `entry` (`kind/package/file`) among what `make libs` and `make peers` fetched.
pub fn fetched(entry: &str) -> Option<Location> {
    fetched_into(&stores(), entry)
}

fn fetched_into(stores: &[PathBuf], entry: &str) -> Option<Location> {
    let path = stores.iter().map(|store| store.join(entry)).find(|path| path.is_file())?;
    Some(Location { path, origin: entry.replacen('/', ":", 1) })
}

/// Folders that may hold fetched libraries: the one in CUTGPU_PEERS; else `.peers` in the current
/// folder, or in one above this program (which lies in `target/release` of the repository).
pub fn stores() -> Vec<PathBuf> {
    if let Some(store) = env::var_os("CUTGPU_PEERS").filter(|value| !value.is_empty()) {
        return vec![store.into()];
    }
    let program = env::current_exe().unwrap_or_default();
    let above = program.ancestors().skip(1).take(4).map(Path::to_path_buf);
    env::current_dir().into_iter().chain(above).map(|folder| folder.join(".peers")).collect()
}

/// In the active virtual environment of Python or conda.
fn in_environments(soname: &str) -> Option<Location> {
    [("VIRTUAL_ENV", "venv"), ("CONDA_PREFIX", "conda")].iter().find_map(|(variable, kind)| {
        let path = PathBuf::from(env::var_os(variable)?).join("lib").join(soname);
        path.is_file().then(|| Location { path, origin: format!("{kind}:{soname}") })
    })
}

/// Where the loader would look.
pub fn in_system(soname: &str) -> Option<Location> {
    let listed = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let listed = env::split_paths(&listed).filter(|folder| !folder.as_os_str().is_empty());
    let usual = ["/usr/local/lib", "/usr/lib64", "/usr/lib", "/lib64", "/lib"].map(PathBuf::from);
    let beside = listed.map(|folder| folder.join(soname)).find(|path| path.is_file());
    let path = beside
        .or_else(|| in_cache(&std::fs::read("/etc/ld.so.cache").unwrap_or_default(), soname))
        .or_else(|| usual.map(|folder| folder.join(soname)).into_iter().find(|path| path.is_file()))?;
    Some(Location { path, origin: format!("system:{soname}") })
}

/// The path of `soname` in the loader's cache, whose strings end in 0: reading them beats starting the
/// loader, and an entry of another architecture is found out by its header.
fn in_cache(cache: &[u8], soname: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    cache
        .split(|&byte| byte == 0)
        .filter(|text| text.starts_with(b"/"))
        .map(|text| PathBuf::from(OsStr::from_bytes(text)))
        .find(|path| path.file_name() == Some(OsStr::new(soname)) && path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_a_fetched_file_is_its_kind_and_package() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("pip/some-blas")).unwrap();
        std::fs::write(folder.path().join("pip/some-blas/libb.so"), "").unwrap();
        let stores = [folder.path().join("empty"), folder.path().to_path_buf()];
        let found = fetched_into(&stores, "pip/some-blas/libb.so").unwrap();
        assert_eq!(found.origin, "pip:some-blas/libb.so");
        assert_eq!(fetched_into(&stores, "pip/other/libb.so"), None);
    }

    #[test]
    fn no_record_holds_the_folder_of_a_named_file() {
        let location = Location::given("/opt/someone/private/libb.so.3");
        assert_eq!((location.origin.as_str(), location.name().as_str()), ("user:libb.so.3", "libb.so.3"));
    }

    #[test]
    fn the_loaders_cache_is_searched_by_whole_names() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("libb.so.3");
        std::fs::write(&file, "").unwrap();
        let mut cache = b"ld.so-1.7.0\0\x01\x02libb.so.3\0".to_vec();
        cache.extend(file.to_string_lossy().as_bytes());
        cache.push(0);
        assert_eq!(in_cache(&cache, "libb.so.3"), Some(file));
        assert_eq!(in_cache(&cache, "libb.so"), None);
        assert_eq!(in_cache(&cache, "b.so.3"), None);
    }
}
