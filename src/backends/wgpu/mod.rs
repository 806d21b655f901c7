//! Any GPU that has Vulkan, Metal or Direct3D 12, by way of wgpu: `wgpu/<adapter>`, one backend an adapter. An adapter
//! that a CPU stands behind is there to prove kernels right and is never counted as a GPU.
//!
//! `kernels` holds the sources in WGSL, `launch` says how an op is launched: which kernels, with which workgroups,
//! buffers and numbers. Both are plain data, so that tests translate every kernel for interfaces that are not here.
//! From the bottom up: `drivers` and `adapters` look for what is here, `gpu` is an open adapter, `arena` holds values,
//! `calls` records launches and submits them, `ceilings` measures what an adapter can do at best, `clock` whether its
//! time stamps can be believed, `loaded` is a program on an adapter, `family` is what plans and workers see, `tuned`
//! remembers which tile won.
//!
//! Not yet run on a GPU: only on Mesa's lavapipe, a Vulkan driver that computes on the CPU.

mod adapters;
mod arena;
mod calls;
mod ceilings;
mod clock;
mod drivers;
mod family;
mod gpu;
mod kernels;
mod launch;
mod loaded;
mod shaders;
#[cfg(test)]
mod tests;
mod tuned;

pub use family::{Wgpu, nothing};
pub use shaders::{Shader, shaders};

/// The adapters of this process's drivers, as JSON: what the child prints that looks for them.
pub fn adapters_json() -> String {
    serde_json::to_string(&adapters::enumerate()).unwrap_or_else(|_| "[]".to_string())
}
