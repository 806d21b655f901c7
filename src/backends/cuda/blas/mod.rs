//! NVIDIA's own matrix products, cuBLAS and cuBLASLt: the ceiling that this program's kernels are shown
//! against. A reduced precision is never chosen in silence: f32 multiplies in f32.

mod cublas;
mod cublaslt;
mod engine;
mod product;

pub(super) use cublas::Cublas;
pub(super) use cublaslt::CublasLt;
pub(super) use engine::{BlasEngine, LtEngine};
pub(super) use product::Product;
#[cfg(test)]
pub(super) use product::Stored;

use super::driver::Address;
use super::gpu::Stream;
use crate::backends::Fault;

/// A call of cuBLAS or cuBLASLt that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call} gave status {status}, {}", meaning(*status))]
pub(super) struct BlasError {
    /// Name of the function.
    pub(super) call: &'static str,
    /// Its cublasStatus_t.
    pub(super) status: i32,
}

/// CUBLAS_STATUS_ALLOC_FAILED
const ALLOC_FAILED: i32 = 3;
/// CUBLAS_STATUS_NOT_SUPPORTED
pub(super) const NOT_SUPPORTED: i32 = 15;

fn meaning(status: i32) -> &'static str {
    match status {
        1 => "the library could not start: take one of the driver's CUDA version, and look at nvidia-smi",
        ALLOC_FAILED => "the library got no memory on the device: end other programs on it",
        7 => "a value was refused",
        8 => "this GPU lacks what the product needs",
        11 => "the device's memory could not be reached",
        13 => "the product's kernel failed",
        14 => "an error inside the library: its files may be of different versions",
        NOT_SUPPORTED => "there is no algorithm for these types, sizes and transposes",
        16 => "the library is not licensed here",
        _ => "an unknown error",
    }
}

impl From<BlasError> for Fault {
    fn from(error: BlasError) -> Self {
        match error.status {
            ALLOC_FAILED => Self::OutOfMemory(error.to_string()),
            8 | NOT_SUPPORTED => Self::Unsupported(error.to_string()),
            11 | 13 => Self::DeviceLost(error.to_string()),
            _ => Self::Library(error.to_string()),
        }
    }
}

fn check(call: &'static str, status: i32) -> Result<(), BlasError> {
    if status == 0 { Ok(()) } else { Err(BlasError { call, status }) }
}

/// Where the operands of a product lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operands {
    pub(super) a: Address,
    pub(super) b: Address,
    /// What is added; the address of D where nothing is.
    pub(super) c: Address,
    pub(super) d: Address,
}

/// cuBLAS, with a handle on the current context.
pub(super) trait Blas {
    /// Version of the library.
    fn version(&self) -> String;
    /// D = alpha A B + beta D (cublasGemmStridedBatchedEx).
    fn gemm(&self, product: &Product, operands: Operands, stream: &Stream) -> Result<(), BlasError>;
}

/// An algorithm of cuBLASLt for one product.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Algorithm {
    /// What the library knows it by.
    pub(super) data: [u64; 8],
    /// Bytes of scratch memory that it needs.
    pub(super) workspace: usize,
    /// What it is, for the record.
    pub(super) label: String,
}

/// cuBLASLt, with a handle on the current context.
pub(super) trait BlasLt {
    /// Version of the library.
    fn version(&self) -> String;
    /// A product, described to the library, with its algorithms that need at most `workspace` bytes, what it
    /// thinks best first.
    fn describe(&self, product: &Product, workspace: usize) -> Result<Box<dyn Described>, BlasError>;
}

/// A product that cuBLASLt knows.
pub(super) trait Described {
    /// What can compute it; never none.
    fn algorithms(&self) -> &[Algorithm];
    /// D = alpha A B + beta C (cublasLtMatmul).
    fn run(
        &self,
        algorithm: &Algorithm,
        operands: Operands,
        workspace: Address,
        stream: &Stream,
    ) -> Result<(), BlasError>;
}
