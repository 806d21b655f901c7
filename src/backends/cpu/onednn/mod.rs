//! oneDNN's matrix product and convolution, found and opened at run time.
//!
//! Two lanes: plain takes the weights where they lie; packed lets the library choose a layout for parameters
//! and reorders them at load.

mod api;
mod convolution;
mod execution;
mod objects;
mod product;
#[cfg(test)]
mod tests;

use super::blas::settings;
use super::dylib::{Examined, SharedLibrary, Wanted};
use super::loaded::{CpuDevice, Kernel, Library, is_packable};
use crate::backends::*;
use crate::ops::Op;
use api::Api;
use convolution::Convolution;
use product::Product;
use std::ffi::c_int;
use std::rc::Rc;

/// The family.
pub struct OneDnn;

const ID: &str = "cpu/onednn";
const LIBGOMP: &str = "deb/libgomp1/libgomp.so.1";

const FILES: Wanted = Wanted {
    variable: "CUTGPU_ONEDNN",
    fetched: &["pip/onednn-cpu-gomp/libdnnl.so.3"],
    sonames: &["libdnnl.so.3"],
};

const THREADS: Wanted = Wanted { variable: "", fetched: &[LIBGOMP], sonames: &["libgomp.so.1"] };

impl Family for OneDnn {
    fn id(&self) -> &'static str {
        ID
    }

    fn devices(&self) -> Vec<Found> {
        let found = |file: super::dylib::Location| super::host(ID, &format!("oneDNN, {}", file.origin));
        FILES.find().map(found).unwrap_or_default()
    }

    fn supports(&self, lane: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        Request::new(step, program)?;
        match lane.packing {
            Packing::Packed if !packs(step, program) => Err(Unsupported(format!(
                "{ID} packs parameters that stay the same, and the weights of this program are none"
            ))),
            _ => Ok(()),
        }
    }

    fn open(&self, _: &str, lane: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        let absent = "there is no oneDNN on this machine: `make libs` fetches it, or name its libdnnl.so.3 in \
                      CUTGPU_ONEDNN";
        let file = FILES.find().ok_or_else(|| Unsupported(absent.to_string()))?;
        let library = SharedLibrary::load(&Examined::new(file)?, "dnnl_version", &[LIBGOMP])?;
        let api = Api::new(&library)?;
        let identity = identity(&library, &api, threads(lane.threads));
        Ok(Box::new(CpuDevice(Opened { api, identity, packing: lane.packing })))
    }

    fn environment(&self, lane: &Lane) -> Vec<(String, String)> {
        settings::applied(settings::gomp(lane.threads))
    }

    fn packings(&self) -> &'static [Packing] {
        &[Packing::Packed, Packing::Plain]
    }
}

/// Whether the packed lane lays out this step's weights anew.
fn packs(step: &Step, program: &Program) -> bool {
    matches!(step.op, Op::Gemm(_) | Op::GemmI8(_) | Op::Conv2d(_)) && is_packable(program, step.args[1])
}

/// Asks the OpenMP runtime that oneDNN is built on for `wanted` threads; returns how many it says it
/// uses, `None` where it cannot be asked.
fn threads(wanted: usize) -> Option<usize> {
    let library =
        SharedLibrary::load(&Examined::new(THREADS.find()?).ok()?, "omp_set_num_threads", &[]).ok()?;
    // SAFETY: `void omp_set_num_threads(int)`.
    let set: unsafe extern "C" fn(c_int) = unsafe { library.function("omp_set_num_threads") }?;
    // SAFETY: `int omp_get_max_threads(void)`.
    let get: unsafe extern "C" fn() -> c_int = unsafe { library.function("omp_get_max_threads") }?;
    // SAFETY: as above; any positive number is allowed.
    unsafe { set(c_int::try_from(wanted).unwrap_or(1)) };
    // SAFETY: as above.
    usize::try_from(unsafe { get() }).ok()
}

fn identity(library: &SharedLibrary, api: &Api, threads: Option<usize>) -> Identity {
    let mut notes = BTreeMap::new();
    let in_effect = settings::in_effect();
    notes.extend((!in_effect.is_empty()).then(|| ("environment".to_string(), in_effect)));
    notes.extend(std::env::var(settings::REPLACED).ok().map(|them| ("replaced".to_string(), them)));
    notes.extend(
        threads.is_none().then(|| ("threads".to_string(), "the OpenMP runtime was not found".to_string())),
    );
    Identity {
        name: "oneDNN".to_string(),
        version: api.version.map(|number| number.to_string()).join("."),
        origin: library.origin().to_string(),
        hash: library.hash(),
        threads: threads.unwrap_or_default(),
        notes,
    }
}

/// The open library.
struct Opened {
    api: Rc<Api>,
    identity: Identity,
    packing: Packing,
}

impl Library for Opened {
    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn prepare(&self, step: &Step, program: &Program) -> Result<Box<dyn Kernel>, Unsupported> {
        let packed = self.packing == Packing::Packed && packs(step, program);
        Request::new(step, program)?.kernel(&self.api, packed)
    }
}

/// What the library is asked for.
enum Request {
    Product(Product),
    Convolution(Convolution),
}

impl Request {
    /// What `step` is, or why oneDNN has no such thing.
    fn new(step: &Step, program: &Program) -> Result<Self, Unsupported> {
        let args = program.specs(&step.args);
        match &step.op {
            Op::Conv2d(op) => Convolution::new(op, &args).map(Self::Convolution),
            _ => Product::new(&step.op, &args).map(Self::Product),
        }
    }

    /// The primitive with memories for its operands.
    fn kernel(&self, api: &Rc<Api>, packed: bool) -> Result<Box<dyn Kernel>, Unsupported> {
        let built = match self {
            Self::Product(product) => product.build(api, packed),
            Self::Convolution(convolution) => convolution.build(api, packed),
        };
        let execution = built.map_err(|fault| Unsupported(fault.to_string()))?;
        Ok(Box::new(execution))
    }
}
