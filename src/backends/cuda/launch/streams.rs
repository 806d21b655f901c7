//! Element-wise ops: a thread for every 16 bytes.

use super::{Argument, Launch, Plan, Shapes, along_x};
use crate::backends::Unsupported;
use crate::backends::cuda::kernels;

/// Threads of a block.
const THREADS: u32 = 256;

pub(super) fn copy(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let bytes = shapes.args[0].bytes();
    let launch = Launch {
        source: &kernels::COPY,
        kernel: "copy_bytes".to_string(),
        grid: [along_x(bytes.div_ceil(16).div_ceil(u64::from(THREADS)))?, 1, 1],
        block: [THREADS, 1, 1],
        shared_bytes: 0,
        arguments: vec![Argument::Input(0), Argument::Output(0), Argument::I64(bytes as i64)],
    };
    Ok(Plan::one(launch))
}
