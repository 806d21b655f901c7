//! NVIDIA's cards by way of CUDA.
//!
//! [`kernels`] holds the sources in CUDA C, [`launch`] says how an op is launched: which kernels, with which
//! grids and arguments. Both are plain data without a driver, so that a test without a card runs the same
//! launches on the processor.

pub mod kernels;
pub mod launch;
