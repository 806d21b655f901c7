//! The vocabulary of computations. An op is data: what is computed, its work on paper, the slow and
//! obvious answer. Never how it runs.
//!
//! Adding an op is a file here, an arm in [`Op`] and one in [`Op::operation`]. Backends match on [`Op`]
//! and end with `_ => Err(Unsupported)`, so none of them has to change.

mod adamw;
mod add_layer_norm;
mod attention;
mod attention_grad;
mod column_sum;
mod conv2d;
mod conv2d_grad;
mod cross_entropy;
mod dequantize;
mod dropout;
mod embedding;
mod expected;
mod filtering;
mod functions;
mod gelu;
mod gelu_grad;
mod gemm;
mod gemm_i8;
mod gemm_q8;
mod layer_norm;
mod layer_norm_grad;
mod max_pool;
mod parallel;
mod pointwise;
mod put_rows;
mod quantize;
mod rearrange;
mod relu;
mod scale;
mod sgd;
mod shapes;
mod softmax;
mod softmax_grad;
mod streams;
mod sum;
mod tanh;

pub use adamw::Adamw;
pub use add_layer_norm::AddLayerNorm;
pub use attention::Attention;
pub use attention_grad::AttentionGrad;
pub use column_sum::{ChannelSum, ColumnSum};
pub use conv2d::{Conv2d, ConvDims, ImageLayout};
pub use conv2d_grad::{Conv2dInputGrad, Conv2dWeightGrad};
pub use cross_entropy::{CrossEntropy, CrossEntropyGrad};
pub use dequantize::Dequantize;
pub use dropout::Dropout;
pub use embedding::{Embedding, EmbeddingGrad};
pub use expected::{Arg, Expected};
pub use functions::{erf, gelu_erf, gelu_erf_slope, gelu_tanh, gelu_tanh_slope};
pub use gelu::{BiasGelu, Gelu, GeluForm};
pub use gelu_grad::{BiasGeluGrad, GeluGrad};
pub use gemm::{Factors, Gemm, GemmDims};
pub use gemm_i8::GemmI8;
pub use gemm_q8::GemmQ8;
pub use layer_norm::LayerNorm;
pub use layer_norm_grad::{LayerNormGrad, LayerNormParamGrad};
pub use max_pool::{MaxPool, MaxPoolGrad, PoolDims};
pub use parallel::in_parallel;
pub use put_rows::{PutRows, PutRowsDims};
pub use quantize::{BLOCK, Granularity, Quantize};
pub use rearrange::{Rearrange, RearrangeRuns};
pub use relu::{BiasRelu, Relu, ReluGrad};
pub use scale::{Cast, Scale};
pub use sgd::SgdMomentum;
pub use shapes::ShapeError;
pub use softmax::Softmax;
pub use softmax_grad::SoftmaxGrad;
pub use streams::{Add, BiasAdd, Copied, Triad};
pub use tanh::{Tanh, TanhGrad};

use crate::random::Fill;
use crate::tensor::ValueSpec;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Work that a computation must do on any device: the numerator of every rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Arithmetic operations; a multiply-add counts as two.
    pub flops: u64,
    /// Compulsory reads: each input byte that the answer depends on, once.
    pub bytes_read: u64,
    /// Compulsory writes: each output byte, once.
    pub bytes_written: u64,
    /// Those of `flops` that a method in use does without: a convolution by 3 x 3 counts its direct sums, as everywhere,
    /// and minimal filtering needs 16 products for 36.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub spared: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_nothing(operations: &u64) -> bool {
    *operations == 0
}

impl Work {
    /// Compulsory traffic in both directions.
    pub fn bytes(self) -> u64 {
        self.bytes_read.saturating_add(self.bytes_written)
    }

    /// Operations that no method in use does without: what a roof allows the time for.
    pub fn least_flops(self) -> u64 {
        self.flops.saturating_sub(self.spared)
    }

    /// `flops` over inputs and outputs that are each touched once.
    pub fn of(flops: u64, inputs: &[ValueSpec], outputs: &[ValueSpec]) -> Self {
        let total =
            |specs: &[ValueSpec]| specs.iter().fold(0u64, |sum, spec| sum.saturating_add(spec.bytes()));
        Self { flops, bytes_read: total(inputs), bytes_written: total(outputs), spared: 0 }
    }

    /// The work of doing it so often.
    pub fn times(self, count: u64) -> Self {
        Self {
            flops: self.flops.saturating_mul(count),
            bytes_read: self.bytes_read.saturating_mul(count),
            bytes_written: self.bytes_written.saturating_mul(count),
            spared: self.spared.saturating_mul(count),
        }
    }
}

impl std::ops::Add for Work {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            flops: self.flops.saturating_add(other.flops),
            bytes_read: self.bytes_read.saturating_add(other.bytes_read),
            bytes_written: self.bytes_written.saturating_add(other.bytes_written),
            spared: self.spared.saturating_add(other.spared),
        }
    }
}

/// The same computation in smaller ops.
///
/// Values are numbered: `0..args` are the fused op's arguments, later numbers the outputs of the steps
/// in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    /// What to compute, and which values each step reads.
    pub steps: Vec<(Op, Vec<usize>)>,
    /// Which values are the fused op's outputs.
    pub outputs: Vec<usize>,
}

/// What every op must say about itself.
///
/// An answer is cut into independent *units* (a row of a product, one row of a softmax, a run of
/// elements) so that a large answer can be checked at a sample of units. Methods other than
/// [`Self::outputs`] are asked only about arguments that it accepted.
pub trait Operation: std::fmt::Debug + Sync {
    /// Name used in suites, records and messages.
    fn name(&self) -> &'static str;

    /// What the outputs look like, or why these arguments do not fit.
    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError>;

    /// Work on paper.
    fn work(&self, args: &[ValueSpec]) -> Work;

    /// The least and the greatest number that the integers of argument `arg` may be, where they name a place: a
    /// program holds its inputs to it.
    fn indices(&self, args: &[ValueSpec], arg: usize) -> Option<[i64; 2]> {
        let _ = (args, arg);
        None
    }

    /// The argument whose integers number the units that sums go to, where most units may be named by none:
    /// a sample must hold units that are.
    fn names_units(&self) -> Option<usize> {
        None
    }

    /// What a random input in position `arg` of `args` should hold: a number of a place where that is wanted,
    /// else [`Self::fill`].
    fn input(&self, args: &[ValueSpec], arg: usize) -> Fill {
        match self.indices(args, arg) {
            Some([low, high]) => Fill::Integers { low, high },
            None => self.fill(arg, &args[arg]),
        }
    }

    /// What a random input in position `arg` should hold, whatever the other arguments are.
    fn fill(&self, arg: usize, spec: &ValueSpec) -> Fill {
        let _ = arg;
        Fill::natural(spec.dtype)
    }

    /// Number of independent units of the answer.
    fn units(&self, args: &[ValueSpec]) -> usize;

    /// Elements of each argument that a unit depends on.
    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let _ = unit;
        args.iter().map(|arg| 0..arg.elements()).collect()
    }

    /// Elements of each output that a unit makes. Over all units they cover every output once, in order.
    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>>;

    /// The f64 answer of one unit: for each output, the elements of [`Self::writes`]. The arguments hold
    /// at least the elements of [`Self::reads`]. The file that implements it says where the error bound
    /// comes from.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>>;

    /// How far apart two right answers may be beyond the rounding of their type, in parts of the largest element of a
    /// unit: libraries that may compute in several precisions choose anew at each load.
    fn leeway(&self, args: &[ValueSpec]) -> f64 {
        let _ = args;
        0.0
    }

    /// The same computation in smaller ops, for a backend that lacks this one.
    fn expand(&self, args: &[ValueSpec]) -> Option<Expansion> {
        let _ = args;
        None
    }
}

/// One computation, about the size of a vendor library's call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Op {
    /// D = alpha A B + beta C.
    Gemm(Gemm),
    /// D = (A - za)(B - zb) in integers.
    GemmI8(GemmI8),
    /// D = A B^T with weights of 8 bits in blocks that share a scale.
    GemmQ8(GemmQ8),
    /// Convolution of images.
    Conv2d(Conv2d),
    /// From f32 to 8 bits and their scales.
    Quantize(Quantize),
    /// From 32-bit integers to f32.
    Dequantize(Dequantize),
    /// y = x.
    Copy(Copied),
    /// a = b + s c.
    Triad(Triad),
    /// z = x + y.
    Add(Add),
    /// y = x + bias, the bias repeated over rows.
    BiasAdd(BiasAdd),
    /// Gaussian error linear unit.
    Gelu(Gelu),
    /// gelu(x + bias).
    BiasGelu(BiasGelu),
    /// Each row's exponentials over their sum.
    Softmax(Softmax),
    /// Each row to mean 0 and variance 1, then gain and bias.
    LayerNorm(LayerNorm),
    /// The sum of two arrays, and its layer norm.
    AddLayerNorm(AddLayerNorm),
    /// softmax(scale q k^T) v.
    Attention(Attention),
    /// One step of the AdamW optimizer.
    Adamw(Adamw),
    /// One step of gradient descent with momentum.
    SgdMomentum(SgdMomentum),
    /// max(x, 0).
    Relu(Relu),
    /// max(x + bias, 0).
    BiasRelu(BiasRelu),
    /// The gradient of the rectifier.
    ReluGrad(ReluGrad),
    /// The hyperbolic tangent.
    Tanh(Tanh),
    /// Its gradient.
    TanhGrad(TanhGrad),
    /// The gradient of gelu.
    GeluGrad(GeluGrad),
    /// The gradient of gelu(x + bias) by x.
    BiasGeluGrad(BiasGeluGrad),
    /// y = a x.
    Scale(Scale),
    /// Another floating-point type.
    Cast(Cast),
    /// Random elements become 0.
    Dropout(Dropout),
    /// The sum of all rows.
    ColumnSum(ColumnSum),
    /// The sum of each channel of images.
    ChannelSum(ChannelSum),
    /// Rows of a table by number.
    Embedding(Embedding),
    /// The gradient of the table.
    EmbeddingGrad(EmbeddingGrad),
    /// The loss of a classifier.
    CrossEntropy(CrossEntropy),
    /// Its gradient.
    CrossEntropyGrad(CrossEntropyGrad),
    /// The gradient of softmax.
    SoftmaxGrad(SoftmaxGrad),
    /// The gradient of layer normalisation by x.
    LayerNormGrad(LayerNormGrad),
    /// The same by gain and bias.
    LayerNormParamGrad(LayerNormParamGrad),
    /// The gradients of attention by q, k and v.
    AttentionGrad(AttentionGrad),
    /// The gradient of a convolution by its images.
    Conv2dInputGrad(Conv2dInputGrad),
    /// The same by its weights.
    Conv2dWeightGrad(Conv2dWeightGrad),
    /// The largest element of each window.
    MaxPool(MaxPool),
    /// Its gradient.
    MaxPoolGrad(MaxPoolGrad),
    /// The same elements in another order.
    Rearrange(Rearrange),
    /// Rows written into a matrix.
    PutRows(PutRows),
}

impl Op {
    /// Every op's name, in the order of the enum.
    pub const NAMES: &[&str] = &[
        "gemm",
        "gemm_i8",
        "gemm_q8",
        "conv2d",
        "quantize",
        "dequantize",
        "copy",
        "triad",
        "add",
        "bias_add",
        "gelu",
        "bias_gelu",
        "softmax",
        "layer_norm",
        "add_layer_norm",
        "attention",
        "adamw",
        "sgd_momentum",
        "relu",
        "bias_relu",
        "relu_grad",
        "tanh",
        "tanh_grad",
        "gelu_grad",
        "bias_gelu_grad",
        "scale",
        "cast",
        "dropout",
        "column_sum",
        "channel_sum",
        "embedding",
        "embedding_grad",
        "cross_entropy",
        "cross_entropy_grad",
        "softmax_grad",
        "layer_norm_grad",
        "layer_norm_param_grad",
        "attention_grad",
        "conv2d_input_grad",
        "conv2d_weight_grad",
        "max_pool",
        "max_pool_grad",
        "rearrange",
        "put_rows",
    ];

    /// The op's own description of itself.
    pub fn operation(&self) -> &dyn Operation {
        match self {
            Self::Gemm(op) => op,
            Self::GemmI8(op) => op,
            Self::GemmQ8(op) => op,
            Self::Conv2d(op) => op,
            Self::Quantize(op) => op,
            Self::Dequantize(op) => op,
            Self::Copy(op) => op,
            Self::Triad(op) => op,
            Self::Add(op) => op,
            Self::BiasAdd(op) => op,
            Self::Gelu(op) => op,
            Self::BiasGelu(op) => op,
            Self::Softmax(op) => op,
            Self::LayerNorm(op) => op,
            Self::AddLayerNorm(op) => op,
            Self::Attention(op) => op,
            Self::Adamw(op) => op,
            Self::SgdMomentum(op) => op,
            Self::Relu(op) => op,
            Self::BiasRelu(op) => op,
            Self::ReluGrad(op) => op,
            Self::Tanh(op) => op,
            Self::TanhGrad(op) => op,
            Self::GeluGrad(op) => op,
            Self::BiasGeluGrad(op) => op,
            Self::Scale(op) => op,
            Self::Cast(op) => op,
            Self::Dropout(op) => op,
            Self::ColumnSum(op) => op,
            Self::ChannelSum(op) => op,
            Self::Embedding(op) => op,
            Self::EmbeddingGrad(op) => op,
            Self::CrossEntropy(op) => op,
            Self::CrossEntropyGrad(op) => op,
            Self::SoftmaxGrad(op) => op,
            Self::LayerNormGrad(op) => op,
            Self::LayerNormParamGrad(op) => op,
            Self::AttentionGrad(op) => op,
            Self::Conv2dInputGrad(op) => op,
            Self::Conv2dWeightGrad(op) => op,
            Self::MaxPool(op) => op,
            Self::MaxPoolGrad(op) => op,
            Self::Rearrange(op) => op,
            Self::PutRows(op) => op,
        }
    }
}

#[cfg(test)]
mod tests;
