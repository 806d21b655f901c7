//! Kernels in WGSL, one file each, embedded as text and compiled by the adapter's driver.
//!
//! A kernel's text is put together from lines that its launch defines (`alias T = f32;`), [`THREAD`] or
//! [`THREAD_SUBGROUPS`], [`COMMON`] and its file. An entry point takes one argument, `thread: Thread`, and has
//! `@workgroup_size(GROUP)`, a constant that its launch defines. Storage buffers are `@group(0) @binding(0)` and so
//! on, in the order of the launch's bindings: inputs are `read`, everything else `read_write`. The numbers of a launch
//! are the members of the uniform `numbers`, whose binding comes last. Every bounds check is a comparison that the
//! kernel makes itself: shaders are compiled without the checks that wgpu would add.

use super::launch::{Launch, Wants};

/// A kernel's file.
#[derive(Debug)]
pub(super) struct Source {
    /// Its name without the ending.
    pub(super) name: &'static str,
    /// Its text.
    pub(super) text: &'static str,
}

/// Who a thread is, and sums over rows of threads through workgroup memory.
pub(super) const THREAD: &str = include_str!("thread.wgsl");
/// The same where an adapter has subgroups.
pub(super) const THREAD_SUBGROUPS: &str = include_str!("thread_subgroups.wgsl");
/// What kernels share.
pub(super) const COMMON: &str = include_str!("common.wgsl");

/// The whole text of a launch's kernel.
pub(super) fn text(launch: &Launch) -> String {
    let Wants { f16, subgroups, matrices } = launch.wants;
    let enable = |wanted: bool, name: &str| if wanted { format!("enable {name};\n") } else { String::new() };
    let enabled = enable(f16, "f16") + &enable(matrices, "wgpu_cooperative_matrix");
    let defined = launch.defines.join("\n");
    let thread = if subgroups { THREAD_SUBGROUPS } else { THREAD };
    [&enabled, &defined, "\n", thread, COMMON, launch.source.text].concat()
}

/// What an adapter can do at best.
pub(super) static PROBES: Source = Source { name: "probes", text: include_str!("probes.wgsl") };
