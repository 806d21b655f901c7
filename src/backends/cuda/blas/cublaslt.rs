//! cuBLASLt, found and opened at run time. It proposes algorithms; which is fastest is measured.

use super::product::{Kind, Stored};
use super::{Algorithm, BlasError, BlasLt, Described, NOT_SUPPORTED, Operands, Product, check};
use crate::backends::Unsupported;
use crate::backends::cuda::driver::Address;
use crate::backends::cuda::gpu::Stream;
use crate::backends::cuda::libraries::{Opened, Wanted};
use std::ffi::{c_int, c_void};
use std::ptr;
use std::rc::Rc;

/// Where cuBLASLt may be.
const CUBLASLT: Wanted = Wanted {
    about: "NVIDIA's cuBLASLt",
    variable: "CUTGPU_LIBCUBLASLT",
    names: &["libcublasLt.so.13", "libcublasLt.so.12"],
    wheels: &["cu13", "cublas"],
    advice: "pip install nvidia-cublas (CUDA 13) or nvidia-cublas-cu12",
};

/// The library alone.
pub(super) fn library() -> Result<Opened, Unsupported> {
    Opened::open(&CUBLASLT)
}

type Pointer = *mut c_void;

// Numbers of cublasLt.h.
const DESC_TRANSA: c_int = 3;
const DESC_TRANSB: c_int = 4;
const LAYOUT_BATCH_COUNT: c_int = 5;
const LAYOUT_STRIDE: c_int = 6;
const PREF_MAX_WORKSPACE: c_int = 1;
const CONFIG_ID: c_int = 0;
const CONFIG_TILE: c_int = 1;
const CONFIG_SPLIT_K: c_int = 2;
const CONFIG_STAGES: c_int = 6;
/// Algorithms that are asked for.
const MOST: usize = 16;

/// cublasLtMatmulHeuristicResult_t
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Proposal {
    algorithm: [u64; 8],
    workspace: usize,
    state: c_int,
    waves: f32,
    reserved: [c_int; 4],
}

type CreateDesc = unsafe extern "C" fn(*mut Pointer, c_int, c_int) -> c_int;
type CreateLayout = unsafe extern "C" fn(*mut Pointer, c_int, u64, u64, i64) -> c_int;
type Create = unsafe extern "C" fn(*mut Pointer) -> c_int;
type Destroy = unsafe extern "C" fn(Pointer) -> c_int;
type Set = unsafe extern "C" fn(Pointer, c_int, *const c_void, usize) -> c_int;
type Configuration = unsafe extern "C" fn(*const u64, c_int, *mut c_void, usize, *mut usize) -> c_int;
type Heuristic = unsafe extern "C" fn(
    Pointer,
    Pointer,
    Pointer,
    Pointer,
    Pointer,
    Pointer,
    Pointer,
    c_int,
    *mut Proposal,
    *mut c_int,
) -> c_int;
type Matmul = unsafe extern "C" fn(
    Pointer,
    Pointer,
    *const c_void,
    *const c_void,
    Pointer,
    *const c_void,
    Pointer,
    *const c_void,
    *const c_void,
    Pointer,
    *mut c_void,
    Pointer,
    *const u64,
    *mut c_void,
    usize,
    Pointer,
) -> c_int;

struct Functions {
    destroy: Destroy,
    create_desc: CreateDesc,
    destroy_desc: Destroy,
    set_desc: Set,
    create_layout: CreateLayout,
    destroy_layout: Destroy,
    set_layout: Set,
    create_preference: Create,
    destroy_preference: Destroy,
    set_preference: Set,
    heuristic: Heuristic,
    configuration: Configuration,
    matmul: Matmul,
}

/// The library and a handle.
struct Api {
    functions: Functions,
    handle: Pointer,
    version: usize,
    library: Opened,
}

impl Drop for Api {
    fn drop(&mut self) {
        // SAFETY: the handle is alive and nobody uses it after this.
        unsafe { (self.functions.destroy)(self.handle) };
    }
}

/// cuBLASLt, ready to describe products.
pub(in crate::backends::cuda) struct CublasLt(Rc<Api>);

impl CublasLt {
    /// Opens the library; a context is current.
    pub(in crate::backends::cuda) fn open() -> Result<Self, Unsupported> {
        let library = library()?;
        // SAFETY: the types are the signatures of cublasLt.h.
        unsafe {
            let create: Create = library.function("cublasLtCreate")?;
            let version: unsafe extern "C" fn() -> usize = library.function("cublasLtGetVersion")?;
            let functions = Functions {
                destroy: library.function("cublasLtDestroy")?,
                create_desc: library.function("cublasLtMatmulDescCreate")?,
                destroy_desc: library.function("cublasLtMatmulDescDestroy")?,
                set_desc: library.function("cublasLtMatmulDescSetAttribute")?,
                create_layout: library.function("cublasLtMatrixLayoutCreate")?,
                destroy_layout: library.function("cublasLtMatrixLayoutDestroy")?,
                set_layout: library.function("cublasLtMatrixLayoutSetAttribute")?,
                create_preference: library.function("cublasLtMatmulPreferenceCreate")?,
                destroy_preference: library.function("cublasLtMatmulPreferenceDestroy")?,
                set_preference: library.function("cublasLtMatmulPreferenceSetAttribute")?,
                heuristic: library.function("cublasLtMatmulAlgoGetHeuristic")?,
                configuration: library.function("cublasLtMatmulAlgoConfigGetAttribute")?,
                matmul: library.function("cublasLtMatmul")?,
            };
            let mut handle = ptr::null_mut();
            check("cublasLtCreate", create(&mut handle)).map_err(|error| Unsupported(error.to_string()))?;
            Ok(Self(Rc::new(Api { functions, handle, version: version(), library })))
        }
    }

    /// Where it came from.
    pub(in crate::backends::cuda) fn origin(&self) -> &str {
        self.0.library.origin()
    }
}

/// A descriptor, given back when it is dropped.
struct Owned {
    pointer: Pointer,
    destroy: Destroy,
}

impl Owned {
    fn new(
        call: &'static str,
        destroy: Destroy,
        create: impl FnOnce(*mut Pointer) -> c_int,
    ) -> Result<Self, BlasError> {
        let mut pointer = ptr::null_mut();
        check(call, create(&mut pointer))?;
        Ok(Self { pointer, destroy })
    }

    fn set<T>(&self, call: &'static str, set: Set, attribute: c_int, value: &T) -> Result<(), BlasError> {
        // SAFETY: the descriptor is alive, and the value has the size that is said.
        check(call, unsafe { set(self.pointer, attribute, ptr::from_ref(value).cast(), size_of::<T>()) })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the descriptor is alive and nobody uses it after this.
        unsafe { (self.destroy)(self.pointer) };
    }
}

impl Api {
    fn layout(&self, stored: Stored, batch: u64) -> Result<Owned, BlasError> {
        const SET: &str = "cublasLtMatrixLayoutSetAttribute";
        let functions = &self.functions;
        let Stored { kind: Kind(kind), rows, columns, stride, .. } = stored;
        let layout = Owned::new("cublasLtMatrixLayoutCreate", functions.destroy_layout, |place| {
            // SAFETY: `place` takes the new descriptor.
            unsafe { (functions.create_layout)(place, kind, rows, columns, rows as i64) }
        })?;
        if batch > 1 {
            layout.set(SET, functions.set_layout, LAYOUT_BATCH_COUNT, &(batch as i32))?;
            layout.set(SET, functions.set_layout, LAYOUT_STRIDE, &stride)?;
        }
        Ok(layout)
    }

    fn descriptor(&self, product: &Product) -> Result<Owned, BlasError> {
        const SET: &str = "cublasLtMatmulDescSetAttribute";
        let functions = &self.functions;
        let descriptor = Owned::new("cublasLtMatmulDescCreate", functions.destroy_desc, |place| {
            // SAFETY: `place` takes the new descriptor.
            unsafe { (functions.create_desc)(place, product.compute, product.scale.0) }
        })?;
        for (attribute, stored) in [(DESC_TRANSA, product.left), (DESC_TRANSB, product.right)] {
            descriptor.set(SET, functions.set_desc, attribute, &c_int::from(stored.transposed))?;
        }
        Ok(descriptor)
    }

    /// A number of an algorithm's configuration; -1 where it has none.
    fn configured(&self, algorithm: &[u64; 8], attribute: c_int) -> i32 {
        let (mut value, mut written) = (-1i32, 0);
        // SAFETY: the algorithm is one of the library's, and the buffer has four bytes.
        unsafe {
            let value = ptr::from_mut(&mut value).cast();
            (self.functions.configuration)(algorithm.as_ptr(), attribute, value, 4, &mut written);
        }
        value
    }

    fn label(&self, proposal: &Proposal) -> String {
        let number = |attribute| self.configured(&proposal.algorithm, attribute);
        let (id, tile) = (number(CONFIG_ID), number(CONFIG_TILE));
        let (stages, split) = (number(CONFIG_STAGES), number(CONFIG_SPLIT_K));
        format!("algorithm {id}, tile {tile}, stages {stages}, split-k {split}")
    }
}

/// A product with its descriptors.
struct Plan {
    api: Rc<Api>,
    descriptor: Owned,
    layouts: [Owned; 3],
    product: Product,
    algorithms: Vec<Algorithm>,
}

impl BlasLt for CublasLt {
    fn version(&self) -> String {
        let version = self.0.version;
        format!("{}.{}.{}", version / 10_000, version / 100 % 100, version % 100)
    }

    fn describe(&self, product: &Product, workspace: usize) -> Result<Box<dyn Described>, BlasError> {
        const CALL: &str = "cublasLtMatmulAlgoGetHeuristic";
        let (api, functions) = (&self.0, &self.0.functions);
        let descriptor = api.descriptor(product)?;
        let [left, right, out] =
            [product.left, product.right, product.out].map(|stored| api.layout(stored, product.batch));
        let layouts = [left?, right?, out?];
        let preference =
            Owned::new("cublasLtMatmulPreferenceCreate", functions.destroy_preference, |place| {
                // SAFETY: `place` takes the new descriptor.
                unsafe { (functions.create_preference)(place) }
            })?;
        let set = "cublasLtMatmulPreferenceSetAttribute";
        preference.set(set, functions.set_preference, PREF_MAX_WORKSPACE, &(workspace as u64))?;
        let mut proposals = [Proposal::default(); MOST];
        let mut count = 0;
        // SAFETY: the descriptors are alive, and the array has as many entries as is said.
        let status = unsafe {
            let [left, right, out] = layouts.each_ref().map(|layout| layout.pointer);
            let (to, found) = (proposals.as_mut_ptr(), &mut count);
            let most = MOST as c_int;
            (functions.heuristic)(
                api.handle,
                descriptor.pointer,
                left,
                right,
                out,
                out,
                preference.pointer,
                most,
                to,
                found,
            )
        };
        check(CALL, status)?;
        let count = usize::try_from(count).unwrap_or(0).min(MOST);
        let usable = proposals[..count].iter().filter(|proposal| proposal.state == 0);
        let algorithms: Vec<Algorithm> = usable
            .map(|proposal| Algorithm {
                data: proposal.algorithm,
                workspace: proposal.workspace,
                label: api.label(proposal),
            })
            .collect();
        if algorithms.is_empty() {
            return Err(BlasError { call: CALL, status: NOT_SUPPORTED });
        }
        Ok(Box::new(Plan { api: api.clone(), descriptor, layouts, product: product.clone(), algorithms }))
    }
}

impl Described for Plan {
    fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    fn run(
        &self,
        algorithm: &Algorithm,
        operands: Operands,
        workspace: Address,
        stream: &Stream,
    ) -> Result<(), BlasError> {
        let address = |address: Address| ptr::with_exposed_provenance_mut::<c_void>(address as usize);
        let [left, right, out] = self.layouts.each_ref().map(|layout| layout.pointer);
        // SAFETY: descriptors and handle are alive, the operands are on the device and as large as the layouts
        // say; alpha and beta are read before the call returns.
        let status = unsafe {
            (self.api.functions.matmul)(
                self.api.handle,
                self.descriptor.pointer,
                self.product.alpha.0.as_ptr().cast(),
                address(operands.b),
                left,
                address(operands.a),
                right,
                self.product.beta.0.as_ptr().cast(),
                address(operands.c),
                out,
                address(operands.d),
                out,
                algorithm.data.as_ptr(),
                address(workspace),
                algorithm.workspace,
                ptr::with_exposed_provenance_mut(stream.id.0),
            )
        };
        check("cublasLtMatmul", status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proposal_is_laid_out_as_the_header_says() {
        assert_eq!((size_of::<Proposal>(), align_of::<Proposal>()), (96, 8));
    }

    #[test]
    fn the_library_has_every_function() {
        if CUBLASLT.find().is_none() || std::path::Path::new("/dev/nvidiactl").exists() {
            return eprintln!("skipped: needs cuBLASLt and no GPU");
        }
        match CublasLt::open() {
            Ok(library) => assert!(library.version().starts_with("1"), "{}", library.version()),
            Err(said) => assert!(said.0.starts_with("cublasLtCreate gave status"), "{said}"),
        }
    }
}
