//! NVIDIA's cards by way of CUDA: this program's kernels (`cuda/native`) and NVIDIA's own products
//! (`cuda/cublas`, `cuda/cublaslt`), one backend a GPU: `cuda/native/0`, `cuda/native/1`.
//!
//! [`kernels`] holds the sources in CUDA C, [`launch`] says how an op is launched: which kernels, with which
//! grids and arguments. Both are plain data without a driver, so that a test without a card runs the same
//! launches on the processor.
//!
//! The rest needs a driver and finds it at run time. From the bottom up: `libraries` opens shared libraries,
//! `driver` is CUDA's driver as a trait with a fake of it, `gpu` owns what is taken from a device, `clock`
//! times launches, `arena` and `transfer` hold values, `engine` computes steps by `native` kernels or by
//! `blas`, `loaded` is a program on a device, `family` is what plans and workers see.
//!
//! Not yet run on hardware: everything that calls a driver is proved against the fake one only.

pub mod kernels;
pub mod launch;

#[cfg(feature = "cuda")]
mod arena;
#[cfg(feature = "cuda")]
mod blas;
#[cfg(feature = "cuda")]
mod cards;
#[cfg(feature = "cuda")]
mod ceilings;
#[cfg(feature = "cuda")]
mod clock;
#[cfg(feature = "cuda")]
mod compiler;
#[cfg(feature = "cuda")]
mod cubins;
#[cfg(feature = "cuda")]
mod driver;
#[cfg(feature = "cuda")]
mod engine;
#[cfg(feature = "cuda")]
mod family;
#[cfg(feature = "cuda")]
mod gpu;
#[cfg(feature = "cuda")]
mod libraries;
#[cfg(feature = "cuda")]
mod loaded;
#[cfg(feature = "cuda")]
mod native;
#[cfg(feature = "cuda")]
mod nvml;
#[cfg(test)]
#[cfg(feature = "cuda")]
mod tests;
#[cfg(feature = "cuda")]
mod transfer;

#[cfg(feature = "cuda")]
pub use compiler::options;
#[cfg(feature = "cuda")]
pub use family::{CUBLAS, CUBLASLT, Cuda, NATIVE, pack_cubins};

/// How many cards CUDA would number, or why there is none.
#[cfg(feature = "cuda")]
pub(in crate::backends) fn visible_cards() -> Result<usize, super::Unsupported> {
    let seen = cards::Seen::here();
    match seen.visible().len() {
        0 => Err(seen.absence()),
        count => Ok(count),
    }
}

/// How many cards CUDA would number: none in a build without it.
#[cfg(not(feature = "cuda"))]
pub(in crate::backends) fn visible_cards() -> Result<usize, super::Unsupported> {
    Err(super::Unsupported("this build has no CUDA".to_string()))
}

/// Variables of a worker on a card: numbers mean the order of the bus, as the files that list the cards do; and no
/// variable of the user's says which products may be made in TF32: each program does.
pub(in crate::backends) fn variables() -> impl Iterator<Item = (String, String)> {
    let variables = [("CUDA_DEVICE_ORDER", "PCI_BUS_ID"), ("NVIDIA_TF32_OVERRIDE", "")];
    variables.into_iter().map(|(name, value)| (name.to_string(), value.to_string()))
}

/// Compiles the kernels for every card that they are written for: a build without CUDA cannot.
#[cfg(not(feature = "cuda"))]
pub fn pack_cubins(folder: &std::path::Path) -> Result<usize, super::Unsupported> {
    let why = format!("this build has no CUDA, so nothing goes into {}", folder.display());
    Err(super::Unsupported(why))
}
