//! cuBLAS, found and opened at run time.

use super::{Blas, BlasError, Operands, Product, check};
use crate::backends::Unsupported;
use crate::backends::cuda::gpu::Stream;
use crate::backends::cuda::libraries::{Opened, Wanted};
use std::ffi::{c_int, c_longlong, c_void};
use std::ptr;

/// Where cuBLAS may be.
const CUBLAS: Wanted = Wanted {
    about: "NVIDIA's cuBLAS",
    variable: "CUTGPU_LIBCUBLAS",
    names: &["libcublas.so.13", "libcublas.so.12"],
    wheels: &["cu13", "cublas"],
    advice: "pip install nvidia-cublas (CUDA 13) or nvidia-cublas-cu12",
};

type Handle = *mut c_void;

/// cublasGemmStridedBatchedEx
type GemmEx = unsafe extern "C" fn(
    Handle,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    *const c_void,
    *const c_void,
    c_int,
    c_int,
    c_longlong,
    *const c_void,
    c_int,
    c_int,
    c_longlong,
    *const c_void,
    *mut c_void,
    c_int,
    c_int,
    c_longlong,
    c_int,
    c_int,
    c_int,
) -> c_int;

/// The library and a handle.
pub(in crate::backends::cuda) struct Cublas {
    handle: Handle,
    destroy: unsafe extern "C" fn(Handle) -> c_int,
    set_stream: unsafe extern "C" fn(Handle, *mut c_void) -> c_int,
    gemm: GemmEx,
    version: i32,
    library: Opened,
}

impl Cublas {
    /// Opens the library; a context is current.
    pub(in crate::backends::cuda) fn open() -> Result<Self, Unsupported> {
        // It needs cuBLASLt, and finds it by name once it is open.
        let _ = super::cublaslt::library()?;
        let library = Opened::open(&CUBLAS)?;
        // SAFETY: the types are the signatures of cublas_api.h.
        unsafe {
            let create: unsafe extern "C" fn(*mut Handle) -> c_int = library.function("cublasCreate_v2")?;
            let ask: unsafe extern "C" fn(Handle, *mut c_int) -> c_int =
                library.function("cublasGetVersion_v2")?;
            let destroy = library.function("cublasDestroy_v2")?;
            let set_stream = library.function("cublasSetStream_v2")?;
            let gemm = library.function("cublasGemmStridedBatchedEx")?;
            let mut handle = ptr::null_mut();
            let failed = |error: BlasError| Unsupported(error.to_string());
            check("cublasCreate", create(&mut handle)).map_err(failed)?;
            let mut opened = Self { handle, destroy, set_stream, gemm, version: 0, library };
            check("cublasGetVersion", ask(handle, &mut opened.version)).map_err(failed)?;
            Ok(opened)
        }
    }

    /// Where it came from.
    pub(in crate::backends::cuda) fn origin(&self) -> &str {
        self.library.origin()
    }
}

impl Drop for Cublas {
    fn drop(&mut self) {
        // SAFETY: the handle is alive and nobody uses it after this.
        unsafe { (self.destroy)(self.handle) };
    }
}

/// Extents as C counts them.
fn int(value: u64) -> Result<c_int, BlasError> {
    const INVALID_VALUE: i32 = 7;
    c_int::try_from(value)
        .map_err(|_| BlasError { call: "cublasGemmStridedBatchedEx", status: INVALID_VALUE })
}

impl Blas for Cublas {
    fn version(&self) -> String {
        let (major, minor, patch) = (self.version / 10_000, self.version / 100 % 100, self.version % 100);
        format!("{major}.{minor}.{patch}")
    }

    fn gemm(&self, product: &Product, operands: Operands, stream: &Stream) -> Result<(), BlasError> {
        const DEFAULT_ALGORITHM: c_int = -1;
        let Product { left, right, out, k, batch, compute, alpha, beta, .. } = product;
        let stream = ptr::with_exposed_provenance_mut(stream.id.0);
        // SAFETY: the handle is alive, and the stream is of its context.
        check("cublasSetStream", unsafe { (self.set_stream)(self.handle, stream) })?;
        let address = |address| ptr::with_exposed_provenance::<c_void>(address as usize);
        // SAFETY: extents, strides and types are those of the operands, which are on the device; alpha and beta
        // are read before the call returns.
        let status = unsafe {
            (self.gemm)(
                self.handle,
                c_int::from(left.transposed),
                c_int::from(right.transposed),
                int(out.rows)?,
                int(out.columns)?,
                int(*k)?,
                alpha.0.as_ptr().cast(),
                address(operands.b),
                left.kind.0,
                int(left.rows)?,
                left.stride,
                address(operands.a),
                right.kind.0,
                int(right.rows)?,
                right.stride,
                beta.0.as_ptr().cast(),
                address(operands.d).cast_mut(),
                out.kind.0,
                int(out.rows)?,
                out.stride,
                int(*batch)?,
                *compute,
                DEFAULT_ALGORITHM,
            )
        };
        check("cublasGemmStridedBatchedEx", status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_has_every_function_and_without_a_gpu_says_that_it_cannot_start() {
        if CUBLAS.find().is_none() || std::path::Path::new("/dev/nvidiactl").exists() {
            return eprintln!("skipped: needs cuBLAS and no GPU");
        }
        let said = Cublas::open().map(drop).unwrap_err().0;
        assert!(said.starts_with("cublasCreate gave status"), "{said}");
    }
}
