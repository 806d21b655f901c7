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
const THREAD: &str = include_str!("thread.wgsl");
/// The same where an adapter has subgroups, for workgroups that have one row.
const THREAD_SUBGROUPS: &str = include_str!("thread_subgroups.wgsl");
/// What kernels share.
const COMMON: &str = include_str!("common.wgsl");
/// A thread takes one element at a time, or four.
const ONE: &str = include_str!("one.wgsl");
const FOUR: &str = include_str!("four.wgsl");

/// The whole text of a launch's kernel.
pub(super) fn text(launch: &Launch) -> String {
    let Wants { f16, subgroups, matrices, four } = launch.wants;
    let enable = |wanted: bool, name: &str| if wanted { format!("enable {name};\n") } else { String::new() };
    let enabled = enable(f16, "f16") + &enable(matrices, "wgpu_cooperative_matrix");
    let defined = launch.defines.join("\n");
    let thread = if subgroups { THREAD_SUBGROUPS } else { THREAD };
    let width = if four { FOUR } else { ONE };
    [&enabled, &defined, "\n", thread, COMMON, width, launch.source.text].concat()
}

const fn source(name: &'static str, text: &'static str) -> Source {
    Source { name, text }
}

/// Words as they are.
pub(super) static COPY: Source = source("copy", include_str!("copy.wgsl"));
/// Sums, biases, gelu, relu and tanh.
pub(super) static MAP: Source =
    source("map", concat!(include_str!("functions.wgsl"), include_str!("map.wgsl")));
/// Gradients element by element.
pub(super) static GRADIENTS: Source =
    source("gradients", concat!(include_str!("functions.wgsl"), include_str!("gradients.wgsl")));
/// Casts.
pub(super) static CAST: Source = source("cast", include_str!("cast.wgsl"));
/// Dropout.
pub(super) static DROPOUT: Source = source("dropout", include_str!("dropout.wgsl"));
/// AdamW.
pub(super) static ADAMW: Source = source("adamw", include_str!("adamw.wgsl"));
/// Gradient descent with momentum.
pub(super) static SGD: Source = source("sgd", include_str!("sgd.wgsl"));
/// Softmax over rows.
pub(super) static SOFTMAX: Source = source("softmax", include_str!("softmax.wgsl"));
/// Its gradient.
pub(super) static SOFTMAX_GRAD: Source = source("softmax_grad", include_str!("softmax_grad.wgsl"));
/// Layer normalisation, after a sum or not.
pub(super) static LAYER_NORM: Source = source("layer_norm", include_str!("layer_norm.wgsl"));
/// Its gradient by x.
pub(super) static LAYER_NORM_GRAD: Source = source("layer_norm_grad", include_str!("layer_norm_grad.wgsl"));
/// Its gradients by gain and bias.
pub(super) static LAYER_NORM_PARAM_GRAD: Source =
    source("layer_norm_param_grad", include_str!("layer_norm_param_grad.wgsl"));
/// Losses.
pub(super) static CROSS_ENTROPY: Source = source("cross_entropy", include_str!("cross_entropy.wgsl"));
/// Their gradient.
pub(super) static CROSS_ENTROPY_GRAD: Source =
    source("cross_entropy_grad", include_str!("cross_entropy_grad.wgsl"));
/// Sums down columns.
pub(super) static COLUMN_SUM: Source = source("column_sum", include_str!("column_sum.wgsl"));
/// Sums of sums.
pub(super) static PARTIAL_SUM: Source = source("partial_sum", include_str!("partial_sum.wgsl"));
/// Sums of rows.
pub(super) static ROW_SUM: Source = source("row_sum", include_str!("row_sum.wgsl"));
/// Rows of tables.
pub(super) static EMBEDDING: Source = source("embedding", include_str!("embedding.wgsl"));
/// The gradient of a table.
pub(super) static EMBEDDING_GRAD: Source = source("embedding_grad", include_str!("embedding_grad.wgsl"));
/// Elements in another order.
pub(super) static REARRANGE: Source = source("rearrange", include_str!("rearrange.wgsl"));
/// Rows written into matrices.
pub(super) static PUT_ROWS: Source = source("put_rows", include_str!("put_rows.wgsl"));
/// Largest of windows of pixels.
pub(super) static MAX_POOL: Source = source("max_pool", include_str!("max_pool.wgsl"));
/// Its gradient.
pub(super) static MAX_POOL_GRAD: Source = source("max_pool_grad", include_str!("max_pool_grad.wgsl"));
/// To 8 bits.
pub(super) static QUANTIZE: Source = source("quantize", include_str!("quantize.wgsl"));
/// Scales of rows.
pub(super) static SCALES: Source = source("scales", include_str!("scales.wgsl"));
/// The largest scale.
pub(super) static GREATEST_SCALE: Source = source("greatest_scale", include_str!("greatest_scale.wgsl"));
/// Scales in f16.
pub(super) static NARROW_SCALES: Source = source("narrow_scales", include_str!("narrow_scales.wgsl"));
/// From sums of 8 bits.
pub(super) static DEQUANTIZE: Source = source("dequantize", include_str!("dequantize.wgsl"));
/// Products of floating-point numbers.
pub(super) static GEMM: Source =
    source("gemm", concat!(include_str!("gemm.wgsl"), include_str!("product.wgsl")));
/// The sum of parts of a product.
pub(super) static GEMM_PARTS: Source = source("gemm_parts", include_str!("gemm_parts.wgsl"));
/// Products of f16 by cooperative matrices.
pub(super) static GEMM_MATRICES: Source = source("gemm_matrices", include_str!("gemm_matrices.wgsl"));
/// Products of 8-bit integers.
pub(super) static GEMM_I8: Source = source("gemm_i8", include_str!("gemm_i8.wgsl"));
/// Products with weights in blocks of 8 bits, of f32.
pub(super) static GEMM_Q8: Source =
    source("gemm_q8", concat!(include_str!("q8_floats.wgsl"), include_str!("gemm_q8.wgsl")));
/// The same, of such blocks.
pub(super) static GEMM_Q8_BYTES: Source =
    source("gemm_q8_bytes", concat!(include_str!("q8_bytes.wgsl"), include_str!("gemm_q8.wgsl")));
/// Convolutions.
pub(super) static CONV2D: Source =
    source("conv2d", concat!(include_str!("conv2d.wgsl"), include_str!("product.wgsl")));
/// Their gradients by images.
pub(super) static CONV2D_INPUT_GRAD: Source = source(
    "conv2d_input_grad",
    concat!(include_str!("conv2d_input_grad.wgsl"), include_str!("product.wgsl")),
);
/// Their gradients by weights.
pub(super) static CONV2D_WEIGHT_GRAD: Source = source(
    "conv2d_weight_grad",
    concat!(include_str!("conv2d_weight_grad.wgsl"), include_str!("product.wgsl")),
);
/// Attention.
pub(super) static ATTENTION: Source = source("attention", include_str!("attention.wgsl"));
/// Its gradients.
pub(super) static ATTENTION_GRAD: Source = source("attention_grad", include_str!("attention_grad.wgsl"));
/// What an adapter can do at best.
pub(super) static PROBES: Source = source("probes", include_str!("probes.wgsl"));
