//! Libraries with the C interface of BLAS, found and opened at run time: OpenBLAS, BLIS, MKL, and any
//! that the user names. They serve matrix products and nothing else.

mod functions;
mod identity;
mod product;
pub(in crate::backends) mod settings;
#[cfg(test)]
mod tests;

use super::dylib::{Examined, Location, SharedLibrary, Wanted};
use super::loaded::{CpuDevice, Kernel, Library};
use crate::backends::*;
use functions::Functions;
use product::Product;
use std::sync::{Arc, Mutex, PoisonError};

/// A family of CBLAS libraries.
#[derive(Debug)]
pub struct Cblas {
    id: &'static str,
    name: &'static str,
    /// Its files, best first.
    libraries: fn() -> Vec<Location>,
    /// Fetched libraries that it needs and the machine may lack.
    companions: &'static [&'static str],
    environment: fn(threads: usize) -> Vec<(&'static str, String)>,
    /// What to do where there is none.
    advice: &'static str,
    /// Whether a backend is named after its file.
    is_named_by_file: bool,
}

/// OpenBLAS.
pub static OPENBLAS: Cblas = Cblas {
    id: "cpu/openblas",
    name: "OpenBLAS",
    libraries: || OPENBLAS_FILES.find().into_iter().collect(),
    companions: &[],
    environment: settings::openblas,
    advice: "`make libs` fetches OpenBLAS, or name its file in CUTGPU_OPENBLAS",
    is_named_by_file: false,
};

/// BLIS.
pub static BLIS: Cblas = Cblas {
    id: "cpu/blis",
    name: "BLIS",
    libraries: || BLIS_FILES.find().into_iter().collect(),
    companions: &[],
    environment: settings::blis,
    advice: "`make peers` fetches BLIS, or name its file in CUTGPU_BLIS",
    is_named_by_file: false,
};

/// Intel's Math Kernel Library.
pub static MKL: Cblas = Cblas {
    id: "cpu/mkl",
    name: "MKL",
    libraries: || MKL_FILES.find().into_iter().collect(),
    companions: &[settings::INTEL_OPENMP],
    environment: settings::mkl,
    advice: "`make peers` fetches MKL, or name its libmkl_rt.so in CUTGPU_MKL",
    is_named_by_file: false,
};

/// Whatever the user names: `--blas PATH`, or CUTGPU_BLAS with paths between colons.
pub static USER: Cblas = Cblas {
    id: "cpu/blas",
    name: "BLAS",
    libraries: named_by_user,
    companions: &[],
    environment: settings::any,
    advice: "name a library's file with --blas PATH",
    is_named_by_file: true,
};

/// What every CBLAS has.
const SGEMM: &str = "cblas_sgemm";

const OPENBLAS_FILES: Wanted = Wanted {
    variable: "CUTGPU_OPENBLAS",
    fetched: &["pip/scipy-openblas32/libscipy_openblas.so"],
    sonames: &["libopenblas.so.0", "libopenblas.so", "libopenblasp.so.0", "libopenblas64_.so.0"],
};

pub(super) const BLIS_FILES: Wanted = Wanted {
    variable: "CUTGPU_BLIS",
    fetched: &["deb/libblis4-pthread/libblis.so.4"],
    sonames: &["libblis-mt.so.4", "libblis.so.5", "libblis.so.4", "libblis.so.3", "libblis.so"],
};

const MKL_FILES: Wanted = Wanted {
    variable: "CUTGPU_MKL",
    fetched: &["pip/mkl/libmkl_rt.so.3"],
    sonames: &["libmkl_rt.so.3", "libmkl_rt.so.2", "libmkl_rt.so.1", "libmkl_rt.so"],
};

/// Whether the library at `path` can be measured as `cpu/blas/<file>`, or why not. Loads nothing.
pub fn examine(path: &std::path::Path) -> Result<(), Unsupported> {
    Examined::new(Location::given(path))?.decoration(SGEMM).map(drop)
}

fn named_by_user() -> Vec<Location> {
    let listed = std::env::var_os("CUTGPU_BLAS").unwrap_or_default();
    let named = std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty());
    named.map(Location::given).collect()
}

/// What each file of a family says about itself.
type Files = Vec<Result<Examined, Unsupported>>;

impl Cblas {
    /// Each file with the name of its backend: the family's own, or with the name of the file behind it,
    /// counted where two files share one.
    fn backends(&self) -> Vec<(String, Location)> {
        let files = (self.libraries)();
        if !self.is_named_by_file {
            return files.into_iter().map(|file| (self.id.to_string(), file)).collect();
        }
        let mut named: Vec<(String, Location)> = Vec::new();
        for file in files {
            let name = format!("{}/{}", self.id, file.name());
            let same = named.iter().filter(|(_, other)| other.name() == file.name()).count();
            named.push((if same == 0 { name } else { format!("{name}~{}", same + 1) }, file));
        }
        named
    }

    fn location(&self, backend: &str) -> Result<Location, Unsupported> {
        let found = self.backends().into_iter().find(|(name, _)| name == backend);
        found.map(|(_, file)| file).ok_or_else(|| self.absent(backend))
    }

    fn opened(&self, file: Location, threads: usize) -> Result<Opened, Unsupported> {
        let file = Examined::new(file)?;
        let library = SharedLibrary::load(&file, SGEMM, self.companions)?;
        settings::set_threads(&library, threads);
        let identity = identity::of(&library, self.name, threads);
        Ok(Opened { id: self.id, file, identity, functions: Functions::of(&library) })
    }

    /// Whether one of the files has a function for the product. A plan asks for hundreds of products, and
    /// reading a file's names takes milliseconds, so the answer is kept.
    fn offers(&self, product: &Product) -> Result<(), Unsupported> {
        type Answers = BTreeMap<(&'static str, &'static str), Result<(), Unsupported>>;
        static ANSWERS: Mutex<Answers> = Mutex::new(BTreeMap::new());
        let mut answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (self.id, product.functions[0]);
        answers.entry(key).or_insert_with(|| self.look_for(product)).clone()
    }

    fn look_for(&self, product: &Product) -> Result<(), Unsupported> {
        let mut lacking = self.absent(self.id);
        for file in self.examined().iter() {
            match file.as_ref().map_err(Unsupported::clone).and_then(|file| product.find(file)) {
                Ok(_) => return Ok(()),
                Err(reason) => lacking = reason,
            }
        }
        Err(lacking)
    }

    /// The family's files, each read once.
    fn examined(&self) -> Arc<Files> {
        static FILES: Mutex<BTreeMap<&'static str, Arc<Files>>> = Mutex::new(BTreeMap::new());
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || Arc::new(self.backends().into_iter().map(|(_, file)| Examined::new(file)).collect());
        files.entry(self.id).or_insert_with(read).clone()
    }

    fn absent(&self, backend: &str) -> Unsupported {
        Unsupported(format!("there is no {backend} on this machine: {}", self.advice))
    }
}

impl Family for Cblas {
    fn id(&self) -> &'static str {
        self.id
    }

    fn devices(&self) -> Vec<Found> {
        let found = self.backends().into_iter();
        let about = |file: &Location| format!("{}, {}", self.name, file.origin);
        found.map(|(backend, file)| Found { about: about(&file), backend, kind: DeviceKind::Cpu }).collect()
    }

    fn supports(&self, lane: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        plain(self.id, lane)?;
        let product = Product::new(self.id, step, program)?;
        if product.is_single_precision() {
            return Ok(());
        }
        self.offers(&product)
    }

    fn open(&self, backend: &str, lane: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        plain(self.id, lane)?;
        Ok(Box::new(CpuDevice(self.opened(self.location(backend)?, lane.threads)?)))
    }

    fn environment(&self, lane: &Lane) -> Vec<(String, String)> {
        settings::applied((self.environment)(lane.threads))
    }
}

fn plain(id: &str, lane: &Lane) -> Result<(), Unsupported> {
    match lane.packing {
        Packing::Plain => Ok(()),
        Packing::Packed => {
            Err(Unsupported(format!("{id} is called through CBLAS, which packs nothing ahead")))
        }
    }
}

/// An open library.
struct Opened {
    id: &'static str,
    file: Examined,
    identity: Identity,
    functions: Functions,
}

impl Library for Opened {
    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn prepare(&self, step: &Step, program: &Program) -> Result<Box<dyn Kernel>, Unsupported> {
        let product = Product::new(self.id, step, program)?;
        product.find(&self.file)?;
        self.functions.kernel(&product)
    }
}
