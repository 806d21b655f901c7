//! Backends on the host's processor. [`loaded`] says how to add a library.

#[cfg(target_arch = "x86_64")]
mod amx;
pub mod blas;
pub mod buffer;
pub mod dylib;
pub mod float;
pub mod functions;
pub mod gemm;
pub mod indices;
pub mod isa;
pub mod layout;
pub mod loaded;
pub mod matrixmultiply;
pub mod naive;
pub mod native;
pub mod onednn;
pub mod parts;
pub mod pool;
pub mod probe;
pub mod streaming;
pub mod strided;
pub mod vector;
pub mod view;

use crate::backends::{DeviceKind, Found};

/// The one device of a family on the host's processor.
pub(super) fn host(backend: &str, about: &str) -> Vec<Found> {
    vec![Found { backend: backend.to_string(), kind: DeviceKind::Cpu, about: about.to_string() }]
}
