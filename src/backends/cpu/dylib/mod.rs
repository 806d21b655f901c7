//! Shared libraries that are looked for and opened at run time, so that nothing has to be installed to
//! build or start this program.
//!
//! A library is never closed: a BLAS keeps threads and thread-local data, and unloading it crashes at
//! exit. Before the loader sees a file, its header and its exported names are read, so that each wrong
//! file is told apart in one sentence.

mod elf;
mod find;

pub use find::{Location, Wanted, fetched, in_system, stores};

use crate::backends::Unsupported;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::mem::ManuallyDrop;

/// What a build put around the name of each function: `scipy_cblas_sgemm64_`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoration {
    /// Before the name.
    pub prefix: String,
    /// After the name.
    pub suffix: String,
}

/// Suffixes in use. With `64` the library takes 64-bit integers, by convention.
const SUFFIXES: [&str; 5] = ["", "_", "64_", "_64", "_64_"];

impl Decoration {
    /// The least decorated form in which `exports` holds `name`.
    pub fn find(exports: &[String], name: &str) -> Option<Self> {
        let decoration = |export: &String| {
            let (prefix, suffix) = export.split_once(name)?;
            let fits = SUFFIXES.contains(&suffix) && (prefix.is_empty() || prefix.ends_with('_'));
            fits.then(|| Self { prefix: prefix.to_string(), suffix: suffix.to_string() })
        };
        exports.iter().filter_map(decoration).min_by_key(|found| {
            (found.prefix.len() + found.suffix.len(), found.prefix.clone(), found.suffix.clone())
        })
    }

    /// Whether the name says that integers have 64 bits.
    pub fn is_wide(&self) -> bool {
        self.suffix.contains("64")
    }
}

/// A library's file, read but not loaded.
#[derive(Debug)]
pub struct Examined {
    /// Where it is.
    pub location: Location,
    exports: elf::Exports,
}

impl Examined {
    /// Reads the header and the exported names, or says why this is no library for this machine.
    pub fn new(location: Location) -> Result<Self, Unsupported> {
        let exports = elf::exports(&location.path, &location.name()).map_err(Unsupported)?;
        Ok(Self { location, exports })
    }

    /// How the library decorates `name`, or that it lacks it.
    pub fn decoration(&self, name: &str) -> Result<Decoration, Unsupported> {
        Decoration::find(&self.exports.containing(name), name).ok_or_else(|| {
            Unsupported(format!(
                "{} lacks the function {name} (tried it with any prefix that ends in _, and with the \
                 endings _, 64_, _64 and _64_); give a library that has the C interface",
                self.location.name()
            ))
        })
    }
}

/// A loaded library.
#[derive(Debug)]
pub struct SharedLibrary {
    handle: ManuallyDrop<Library>,
    decoration: Decoration,
    location: Location,
}

impl SharedLibrary {
    /// Loads an examined library, whose functions are named like `function`. `companions`
    /// (`kind/package/file`) are loaded first where they were fetched: libraries that it needs and the
    /// machine may lack.
    pub fn load(examined: &Examined, function: &str, companions: &[&str]) -> Result<Self, Unsupported> {
        let decoration = examined.decoration(function)?;
        for companion in companions.iter().filter_map(|entry| fetched(entry)) {
            std::mem::forget(open(&companion)?);
        }
        let handle = ManuallyDrop::new(open(&examined.location)?);
        Ok(Self { handle, decoration, location: examined.location.clone() })
    }

    /// What the build put around each name.
    pub fn decoration(&self) -> &Decoration {
        &self.decoration
    }

    /// The function `name`, decorated like the others or less.
    ///
    /// # Safety
    /// `F` is a pointer to a function with the C signature of `name`.
    pub unsafe fn function<F: Copy>(&self, name: &str) -> Option<F> {
        let Decoration { prefix, suffix } = &self.decoration;
        let forms = [
            format!("{prefix}{name}{suffix}"),
            format!("{prefix}{name}"),
            format!("{name}{suffix}"),
            name.to_string(),
        ];
        // SAFETY: the caller vouches for the signature, and the library is never closed.
        forms
            .iter()
            .find_map(|form| unsafe { self.handle.get::<F>(form.as_bytes()).ok() }.map(|found| *found))
    }

    /// Where it came from, as records call it.
    pub fn origin(&self) -> &str {
        &self.location.origin
    }

    /// Name of the file.
    pub fn name(&self) -> String {
        self.location.name()
    }

    /// First 16 hex digits of the SHA-256 of the file; empty where it cannot be read any more.
    pub fn hash(&self) -> String {
        let Ok(bytes) = std::fs::read(&self.location.path) else { return String::new() };
        Sha256::digest(bytes).iter().take(8).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

fn open(location: &Location) -> Result<Library, Unsupported> {
    // SAFETY: loading runs the library's initialisers; it is one that the user fetched, installed or
    // named to be called.
    unsafe { Library::open(Some(&location.path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| {
        let why = without_folders(&error.to_string());
        Unsupported(format!("{} cannot be loaded: {why}", location.name()))
    })
}

/// `text` with each path cut down to its file name: records hold no paths.
pub fn without_folders(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.rsplit_once('/') {
        Some((folder, name)) if folder.is_empty() || folder.contains('/') => name,
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(exports: &[&str]) -> Option<(String, String)> {
        let exports: Vec<String> = exports.iter().map(|name| name.to_string()).collect();
        Decoration::find(&exports, "cblas_sgemm").map(|found| (found.prefix, found.suffix))
    }

    #[test]
    fn decorations_are_read_off_the_exported_names() {
        for (exports, want) in [
            (&["cblas_sgemm", "cblas_sgemm_64"][..], Some(("", ""))),
            (&["cblas_dgemm", "scipy_cblas_sgemm"], Some(("scipy_", ""))),
            (&["scipy_cblas_sgemm64_", "cblas_sgemm_batch_strided", "cblas_sgemmt"], Some(("scipy_", "64_"))),
            (&["cblas_sgemm_64"], Some(("", "_64"))),
            (&["my_own_cblas_sgemm_"], Some(("my_own_", "_"))),
            (&["cblas_sgemmt", "cblas_sgemm_batch", "mkl_cblas_sgemm_omp_offload_lp64"], None),
            (&["xcblas_sgemm"], None),
            (&[], None),
        ] {
            let want = want.map(|(prefix, suffix)| (prefix.to_string(), suffix.to_string()));
            assert_eq!(found(exports), want, "{exports:?}");
        }
        assert!(Decoration { prefix: String::new(), suffix: "64_".to_string() }.is_wide());
    }

    #[test]
    fn a_loaders_message_loses_its_folders() {
        let message = "/opt/someone/lib/libb.so: undefined symbol: x (needed by /opt/a/libc.so.6)";
        assert_eq!(without_folders(message), "libb.so: undefined symbol: x (needed by libc.so.6)");
        assert_eq!(without_folders("read/write error"), "read/write error");
    }

    #[test]
    fn a_library_that_lacks_the_function_is_refused_by_name() {
        let Some(libc) = (Wanted { variable: "", fetched: &[], sonames: &["libc.so.6"] }).find() else {
            return eprintln!("skipped: the loader's cache has no libc.so.6");
        };
        assert_eq!(libc.origin, "system:libc.so.6");
        let examined = Examined::new(libc).unwrap();
        let said = SharedLibrary::load(&examined, "cblas_sgemm", &[]).unwrap_err().0;
        assert!(said.starts_with("libc.so.6 lacks the function cblas_sgemm"), "{said}");
        let library = SharedLibrary::load(&examined, "getpid", &[]).unwrap();
        assert_eq!((library.hash().len(), library.name().as_str()), (16, "libc.so.6"));
        // SAFETY: getpid takes nothing and returns an int.
        let getpid = unsafe { library.function::<unsafe extern "C" fn() -> i32>("getpid") }.unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { getpid() }, std::process::id() as i32);
        // SAFETY: never called.
        assert!(unsafe { library.function::<unsafe extern "C" fn()>("no_such_function") }.is_none());
    }
}
