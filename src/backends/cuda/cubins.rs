//! Cubins: compiled once and kept in the user's cache folder, or carried along for machines without NVRTC.

use super::compiler::{Compile, options};
use super::kernels::Source;
use crate::backends::Unsupported;
use crate::host::cache;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Environment variable: the folder of carried cubins; `cubins` beside this program where it is not set.
pub(super) const CARRIED: &str = "CUTGPU_CUBINS";

/// Where cubins come from.
pub(super) struct Cubins {
    /// None where there is no compiler, and why.
    compiler: Result<Box<dyn Compile>, Unsupported>,
    /// Where compiled ones are kept; none where there is no such folder.
    kept: Option<PathBuf>,
    /// Where carried ones lie.
    carried: Option<PathBuf>,
}

/// Machine code, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cubin {
    /// The image.
    pub(super) bytes: Vec<u8>,
    /// `compiled`, `kept` or `carried`.
    pub(super) from: &'static str,
}

impl Cubins {
    /// Those of this machine; an error where there is neither a compiler nor a folder of carried ones.
    pub(super) fn here(compiler: Result<Box<dyn Compile>, Unsupported>) -> Result<Self, Unsupported> {
        let beside = || Some(std::env::current_exe().ok()?.parent()?.join("cubins"));
        let carried =
            std::env::var_os(CARRIED).map(PathBuf::from).or_else(beside).filter(|path| path.is_dir());
        let kept = cache::folder().map(|folder| folder.join("cubins"));
        match (compiler, carried) {
            (Err(reason), None) => Err(reason),
            (compiler, carried) => Ok(Self { compiler, kept, carried }),
        }
    }

    /// With folders of the caller's choice.
    #[cfg(test)]
    pub(super) fn new(
        compiler: Result<Box<dyn Compile>, Unsupported>,
        kept: Option<PathBuf>,
        carried: Option<PathBuf>,
    ) -> Self {
        Self { compiler, kept, carried }
    }

    /// Who compiles: NVRTC, its version and where it came from, or that cubins are carried.
    pub(super) fn maker(&self) -> String {
        match &self.compiler {
            Ok(compiler) => format!("{}, {}", compiler.version(), compiler.origin()),
            Err(_) => "carried cubins".to_string(),
        }
    }

    /// The cubin of `source` for `target`. A kept one that is damaged, or that `accepts` refuses, is made
    /// anew. Compiled before carried: the compiler knows this card better than whoever packed the folder.
    pub(super) fn get<T>(
        &self,
        source: &Source,
        target: &str,
        accepts: impl Fn(&Cubin) -> Result<T, Unsupported>,
    ) -> Result<T, Unsupported> {
        let compiler = match &self.compiler {
            Ok(compiler) => compiler,
            Err(reason) => return accepts(&self.carried(source, target, reason)?),
        };
        let place =
            self.kept.as_ref().map(|folder| folder.join(file_name(source, target, &compiler.version())));
        let kept = place.as_deref().and_then(read).map(|bytes| Cubin { bytes, from: "kept" });
        if let Some(accepted) = kept.and_then(|cubin| accepts(&cubin).ok()) {
            return Ok(accepted);
        }
        let bytes = match compiler.compile(source, target) {
            Ok(bytes) => bytes,
            Err(reason) => return accepts(&self.carried(source, target, &reason)?),
        };
        // A folder that cannot be written costs time at the next start, nothing else.
        place.map(|place| write(&place, &bytes));
        accepts(&Cubin { bytes, from: "compiled" })
    }

    fn carried(&self, source: &Source, target: &str, reason: &Unsupported) -> Result<Cubin, Unsupported> {
        let name = file_name(source, target, "");
        let place = self.carried.as_ref().map(|folder| folder.join(&name));
        let bytes = place.as_deref().and_then(read).ok_or_else(|| {
            let source = source.name;
            let what = if self.carried.is_some() { "and no cubin of it for" } else { "to compile it for" };
            Unsupported(format!("the kernel {source} cannot be had, {what} {target}: {}", reason.0))
        })?;
        Ok(Cubin { bytes, from: "carried" })
    }
}

/// Writes the cubins of `sources` for all that their headers declare into `folder`, to be carried along;
/// returns how many.
pub(super) fn pack(compiler: &dyn Compile, sources: &[&Source], folder: &Path) -> Result<usize, Unsupported> {
    let mut count = 0;
    for source in sources {
        for target in source.archs() {
            let bytes = compiler.compile(source, target)?;
            write(&folder.join(file_name(source, target, "")), &bytes)
                .map_err(|error| Unsupported(format!("cannot write a cubin: {error}")))?;
            count += 1;
        }
    }
    Ok(count)
}

/// Names all that a cubin depends on; a carried one may be of any compiler.
fn file_name(source: &Source, target: &str, compiler: &str) -> String {
    let mut hash = Sha256::new();
    for part in [source.complete(), options(source, target).join(" "), compiler.to_string()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest: String = hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{target}-{digest}.cubin", source.name)
}

/// What a file begins with: a mark, then the SHA-256 of the rest.
const MARK: &[u8; 8] = b"cutgpu01";
const DIGEST: usize = 32;

/// The cubin in a file; none where there is no such file or it is damaged.
fn read(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).ok()?;
    let (digest, cubin) = bytes.strip_prefix(MARK)?.split_at_checked(DIGEST)?;
    (Sha256::digest(cubin).as_slice() == digest).then(|| cubin.to_vec())
}

fn write(path: &Path, cubin: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // By rename, so that two workers at once never leave half a file.
    let temporary = path.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&temporary, [MARK, Sha256::digest(cubin).as_slice(), cubin].concat())?;
    std::fs::rename(&temporary, path).inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use super::super::kernels::COPY;
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    /// Counts what it compiles.
    struct Counting(Rc<Cell<usize>>, &'static str);

    impl Compile for Counting {
        fn version(&self) -> String {
            self.1.to_string()
        }
        fn origin(&self) -> &str {
            "a test"
        }
        fn compile(&self, source: &Source, target: &str) -> Result<Vec<u8>, Unsupported> {
            self.0.set(self.0.get() + 1);
            if target == "sm_1" {
                return Err(Unsupported("no such card".to_string()));
            }
            Ok(format!("{} {target}", source.name).into_bytes())
        }
    }

    fn keep(cubin: &Cubin) -> Result<Cubin, Unsupported> {
        Ok(cubin.clone())
    }

    #[test]
    fn a_cubin_is_kept_by_source_options_target_and_compiler_and_a_damaged_one_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let count = Rc::new(Cell::new(0));
        let cubins = |version| {
            let compiler: Box<dyn Compile> = Box::new(Counting(count.clone(), version));
            Cubins::new(Ok(compiler), Some(folder.path().to_path_buf()), None)
        };
        let other = Source { defines: &["X=1"], ..COPY };
        for (source, target, version, from, compiled) in [
            (&COPY, "sm_80", "13.0", "compiled", 1),
            (&COPY, "sm_80", "13.0", "kept", 1),
            (&COPY, "sm_90", "13.0", "compiled", 2),
            (&COPY, "sm_80", "12.8", "compiled", 3),
            (&other, "sm_80", "13.0", "compiled", 4),
            (&other, "sm_80", "13.0", "kept", 4),
        ] {
            let got = cubins(version).get(source, target, keep).unwrap();
            assert_eq!((got.from, count.get()), (from, compiled), "{target} {version}");
        }
        for damage in [&b""[..], b"cutgpu01", b"\x7fELF whatever", &[0; 100]] {
            for file in std::fs::read_dir(folder.path()).unwrap() {
                std::fs::write(file.unwrap().path(), damage).unwrap();
            }
            let before = count.get();
            let got = cubins("13.0").get(&COPY, "sm_80", keep).unwrap();
            assert_eq!((got.bytes.as_slice(), count.get()), (&b"copy sm_80"[..], before + 1));
        }
        // Whole, and yet the driver does not take it: as after a copy of the folder from another machine.
        let only_new =
            |cubin: &Cubin| if cubin.from == "kept" { Err(Unsupported(String::new())) } else { keep(cubin) };
        assert_eq!(cubins("13.0").get(&COPY, "sm_80", only_new).unwrap().from, "compiled");
    }

    #[test]
    fn carried_cubins_serve_where_nothing_can_be_compiled() {
        let folder = tempfile::tempdir().unwrap();
        let count = Rc::new(Cell::new(0));
        let packed = pack(&Counting(count.clone(), "13.0"), &[&COPY], folder.path()).unwrap();
        assert_eq!(packed, COPY.archs().len());
        let missing = || Err(Unsupported("NVRTC is not here: install it".to_string()));
        let cubins = Cubins::new(missing(), None, Some(folder.path().to_path_buf()));
        let target = COPY.archs()[0];
        let got = cubins.get(&COPY, target, keep).unwrap();
        assert_eq!((got.from, got.bytes), ("carried", format!("copy {target}").into_bytes()));
        let said = cubins.get(&COPY, "sm_1", keep).unwrap_err().0;
        assert!(said.contains("no cubin of it for sm_1: NVRTC is not here"), "{said}");
        let said = Cubins::new(missing(), None, None).get(&COPY, target, keep).unwrap_err().0;
        assert!(said.contains("the kernel copy cannot be had"), "{said}");
        // A compiler that does not know the card gives way to what was carried.
        let compiler: Box<dyn Compile> = Box::new(Counting(count, "13.0"));
        let cubins = Cubins::new(Ok(compiler), None, Some(folder.path().to_path_buf()));
        let place = folder.path().join(file_name(&COPY, "sm_1", ""));
        write(&place, b"from elsewhere").unwrap();
        assert_eq!(cubins.get(&COPY, "sm_1", keep).unwrap().from, "carried");
    }
}
