//! How an op is launched on a card: which kernels, with which grids, memory and arguments.
//!
//! Pure: the same plan is launched by the driver on a card and executed on the processor by the tests.
//! Buffers begin at multiples of 256 bytes, as the driver's allocations do; values are row-major without
//! gaps. Kernels of element-wise ops may write to the buffers that they read.

mod attention;
mod conv;
mod gemm;
mod places;
mod quantize;
mod rows;
mod streams;
mod sums;

use super::kernels::Source;
use crate::backends::Unsupported;
use crate::ops::Op;
use crate::tensor::{DType, ValueSpec};

/// Compute capability of a card, ten times the major number plus the minor one: 75, 80, 86, 89, 90, 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arch(pub u32);

impl Arch {
    /// The oldest card that any kernel runs on: NVRTC 13 knows none before it.
    pub const OLDEST: Self = Self(75);
    /// The cards whose tensor cores are driven by wgmma: later ones have another way.
    pub const HOPPER: Self = Self(90);

    /// Bytes of shared memory that one block may ask for (CUDA C++ Programming Guide, "Technical
    /// Specifications per Compute Capability").
    pub fn shared_limit(self) -> u32 {
        let kilobytes = match self.0 {
            75 => 64,
            80 | 87 => 163,
            90..=119 => 227,
            _ => 99,
        };
        kilobytes * 1024
    }
}

/// Launches in order, and memory that they hand to each other.
#[derive(Debug, Default)]
pub struct Plan {
    /// What is launched, in order on one stream.
    pub launches: Vec<Launch>,
    /// Bytes of each scratch buffer.
    pub scratch: Vec<u64>,
}

/// One launch of a kernel.
#[derive(Debug)]
pub struct Launch {
    /// The unit that holds the kernel.
    pub source: &'static Source,
    /// Its entry point.
    pub kernel: String,
    /// Blocks along x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y and z.
    pub block: [u32; 3],
    /// Dynamic shared memory of a block; beyond 48 KiB the driver wants it as an attribute first.
    pub shared_bytes: u32,
    /// Parameters in order.
    pub arguments: Vec<Argument>,
}

/// A parameter of a kernel.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// Address of an input of the op.
    Input(usize),
    /// Address of an output of the op.
    Output(usize),
    /// Address of a scratch buffer of the plan.
    Scratch(usize),
    /// The null address.
    Null,
    /// A number in binary32.
    F32(f32),
    /// A signed integer of 32 bits.
    I32(i32),
    /// An unsigned integer of 32 bits.
    U32(u32),
    /// A signed integer of 64 bits.
    I64(i64),
    /// A tensor map (cuTensorMapEncodeTiled), passed by value as 128 bytes aligned to 64.
    TensorMap(TensorMap),
}

/// What the tensor memory accelerator must know of an input, innermost axis first.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorMap {
    /// Number of the input.
    pub input: usize,
    /// Type of its elements.
    pub dtype: DType,
    /// Elements along each axis.
    pub extents: Vec<u64>,
    /// Bytes between neighbours along each axis but the innermost.
    pub strides: Vec<u64>,
    /// Elements of a tile along each axis.
    pub tile: Vec<u32>,
    /// Bytes over which rows of a tile are swizzled: 0, 32, 64 or 128.
    pub swizzle: u32,
}

/// The launches of `op` on a card of `arch`, or why there are none. `args` and `outs` are what the op
/// accepted and answers.
pub fn launches(op: &Op, args: &[ValueSpec], outs: &[ValueSpec], arch: Arch) -> Result<Plan, Unsupported> {
    if arch < Arch::OLDEST {
        let oldest = "cuda/native needs a card of compute capability 7.5 (Turing, 2018) or later";
        return Err(Unsupported(oldest.to_string()));
    }
    debug_assert!(op.operation().outputs(args).is_ok_and(|expected| expected == outs), "{op:?} {args:?}");
    let shapes = Shapes { args, arch };
    match op {
        Op::Attention(op) => attention::attention(&shapes, op),
        Op::Gemm(op) => gemm::gemm(&shapes, op),
        Op::GemmI8(op) => gemm::gemm_i8(&shapes, op),
        Op::Copy(_) => streams::copy(&shapes),
        Op::Triad(op) => streams::elementwise(&shapes, "triad", op.scale),
        Op::Add(_) => streams::elementwise(&shapes, "add", 0.0),
        Op::BiasAdd(_) => streams::elementwise(&shapes, "bias_add", 0.0),
        Op::Gelu(op) => streams::elementwise(&shapes, &format!("gelu_{}", streams::form_name(op.form)), 0.0),
        Op::BiasGelu(op) => {
            streams::elementwise(&shapes, &format!("bias_gelu_{}", streams::form_name(op.form)), 0.0)
        }
        Op::Adamw(op) => streams::adamw(&shapes, op),
        Op::SgdMomentum(op) => streams::sgd(&shapes, op),
        Op::Softmax(op) => rows::softmax(&shapes, op),
        Op::LayerNorm(op) => rows::layer_norm(&shapes, "layer_norm", op.eps),
        Op::AddLayerNorm(op) => rows::layer_norm(&shapes, "add_layer_norm", op.eps),
        Op::Quantize(op) => quantize::quantize(&shapes, op),
        Op::Dequantize(_) => quantize::dequantize(&shapes),
        Op::GemmQ8(op) => quantize::gemm_q8(&shapes, op),
        Op::Conv2d(op) => conv::conv2d(&shapes, op),
        Op::Relu(_) => streams::elementwise(&shapes, "relu", 0.0),
        Op::BiasRelu(_) => streams::elementwise(&shapes, "bias_relu", 0.0),
        Op::Tanh(_) => streams::elementwise(&shapes, "tanh", 0.0),
        Op::Scale(op) => streams::elementwise(&shapes, "scale", op.factor),
        Op::Cast(op) => streams::cast(&shapes, op.output),
        Op::Dropout(op) => streams::dropout(&shapes, op),
        Op::ReluGrad(_) => streams::gradient(&shapes, "relu_grad"),
        Op::TanhGrad(_) => streams::gradient(&shapes, "tanh_grad"),
        Op::GeluGrad(op) => streams::gradient(&shapes, &format!("gelu_grad_{}", streams::form_name(op.form))),
        Op::BiasGeluGrad(op) => {
            streams::gradient(&shapes, &format!("bias_gelu_grad_{}", streams::form_name(op.form)))
        }
        Op::ColumnSum(_) => sums::column_sum(&shapes),
        Op::ChannelSum(_) => sums::channel_sum(&shapes),
        Op::LayerNormParamGrad(_) => sums::layer_norm_param_grad(&shapes),
        Op::LayerNormGrad(_) => rows::layer_norm_grad(&shapes),
        Op::SoftmaxGrad(op) => rows::softmax_grad(&shapes, op),
        Op::CrossEntropy(_) => rows::cross_entropy(&shapes),
        Op::CrossEntropyGrad(op) => rows::cross_entropy_grad(&shapes, op),
        Op::Embedding(_) => rows::embedding(&shapes),
        Op::EmbeddingGrad(op) => rows::embedding_grad(&shapes, op),
        Op::AttentionGrad(op) => attention::attention_grad(&shapes, op),
        Op::Conv2dInputGrad(op) => conv::input_grad(&shapes, op),
        Op::Conv2dWeightGrad(op) => conv::weight_grad(&shapes, op),
        Op::MaxPool(op) => {
            let dims = op.dims(&args[0]).map_err(|error| Unsupported(error.to_string()))?;
            conv::max_pool("max_pool", &dims, vec![Argument::Input(0), Argument::Output(0)])
        }
        Op::MaxPoolGrad(op) => {
            let dims = op.forward().dims(&args[1]).map_err(|error| Unsupported(error.to_string()))?;
            let inputs = (0..3).map(Argument::Input).chain([Argument::Output(0)]);
            conv::max_pool("max_pool_grad", &dims, inputs.collect())
        }
        Op::Rearrange(op) => places::rearrange(&shapes, op),
        Op::PutRows(op) => places::put_rows(&shapes, op),
        #[allow(unreachable_patterns, reason = "a new op need not touch every backend")]
        other => Err(Unsupported(format!("cuda/native has no {}", other.operation().name()))),
    }
}

/// What a planner knows.
struct Shapes<'a> {
    args: &'a [ValueSpec],
    arch: Arch,
}

impl Plan {
    /// A plan of one launch.
    fn one(launch: Launch) -> Self {
        Self { launches: vec![launch], scratch: vec![] }
    }
}

/// `blocks` as an extent of a grid along x, whose limit is 2^31 - 1.
fn along_x(blocks: u64) -> Result<u32, Unsupported> {
    let limit = |count: &u32| *count <= i32::MAX as u32;
    let beyond = || Unsupported("cuda/native: more blocks than a grid holds".to_string());
    u32::try_from(blocks).ok().filter(limit).ok_or_else(beyond)
}

/// Part of a kernel's name: the types that floating-point kernels are made for.
fn float_name(op: &str, dtype: DType) -> Result<&'static str, Unsupported> {
    match dtype {
        DType::F32 | DType::Bf16 | DType::F16 => Ok(dtype.name()),
        _ => Err(Unsupported(format!("cuda/native has {op} in f32, bf16 and f16, not in {}", dtype.name()))),
    }
}

/// An extent that kernels count in 32 bits.
fn extent(extent: usize) -> Result<i32, Unsupported> {
    let beyond = |_| Unsupported(format!("cuda/native counts an extent in 31 bits, and {extent} is beyond"));
    i32::try_from(extent).map_err(beyond)
}
