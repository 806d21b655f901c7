//! How an op is launched on an adapter: which kernels, with how many workgroups, memory and numbers.
//!
//! Pure: the same plan is launched on an adapter and translated for others by the tests. Values are row-major without
//! gaps and begin at multiples of 256 bytes. An input is never the memory of an output: where [`in_place`] lists a
//! pair, the output holds the input's elements when the kernels start, and they bind the output alone.

mod attention;
mod conv;
pub(super) mod gemm;
mod map;
mod places;
mod pool;
mod quantize;
mod rows;
mod sums;

use super::kernels::Source;
use crate::backends::Unsupported;
use crate::ops::{Op, PutRows};
use crate::tensor::{DType, ValueSpec};

/// What an adapter can do, as far as plans depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Can {
    /// Shaders compute with binary16 (`SHADER_F16`).
    pub(super) f16: bool,
    /// Subgroup operations.
    pub(super) subgroups: bool,
    /// Matrices of 16 x 16 in f16 with sums in f32 (`EXPERIMENTAL_COOPERATIVE_MATRIX`).
    pub(super) matrices: bool,
    /// Bytes that a workgroup may share.
    pub(super) shared: u32,
    /// Name of the tile of f32 products, from the table of [`gemm`].
    pub(super) tile: &'static str,
    /// That tile for every product, also where a smaller one would keep more of the adapter busy: tiles are compared.
    pub(super) only: bool,
}

impl Can {
    /// What some adapter can: plans are made before one is opened.
    pub(super) const MOST: Self =
        Self { f16: true, subgroups: true, matrices: true, shared: 32 << 10, tile: gemm::USUAL, only: false };
}

/// Launches in order, and memory that they hand to each other.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What is launched, in order.
    pub(super) launches: Vec<Launch>,
    /// Bytes of each scratch buffer.
    pub(super) scratch: Vec<u64>,
}

impl Plan {
    /// A scratch buffer of f32.
    fn buffer(&mut self, elements: usize) -> Binding {
        self.scratch.push(4 * elements as u64);
        Binding::Scratch(self.scratch.len() - 1)
    }
}

/// One launch of a kernel.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    /// Its file.
    pub(super) source: &'static Source,
    /// Its entry point.
    pub(super) entry: &'static str,
    /// Lines before its text: `alias T = f32;`, `const GROUP: u32 = 256u;`.
    pub(super) defines: Vec<String>,
    /// Whether its text wants f16, subgroups, matrices.
    pub(super) wants: Wants,
    /// Workgroups; folded into a grid by [`grid`].
    pub(super) groups: u64,
    /// Storage buffers in order.
    pub(super) bindings: Vec<Binding>,
    /// Members of the uniform `numbers`; none where it has none.
    pub(super) numbers: Vec<Number>,
}

/// What a kernel's text uses beyond what every adapter has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    /// `enable f16;`.
    pub(super) f16: bool,
    /// The subgroup form of `Thread` and its sums.
    pub(super) subgroups: bool,
    /// `enable wgpu_cooperative_matrix;`.
    pub(super) matrices: bool,
    /// F is four f32, not one.
    pub(super) four: bool,
}

/// A storage buffer of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// An input of the op, `read`.
    Input(usize),
    /// An output of the op, `read_write`.
    Output(usize),
    /// A scratch buffer of the plan, `read_write`.
    Scratch(usize),
    /// 256 bytes that nobody reads, where the kernel declares `read`.
    NoInput,
    /// 256 bytes that nobody reads, where the kernel declares `read_write`.
    NoOutput,
}

/// A number of a kernel, 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// `u32`.
    U32(u32),
    /// `i32`.
    I32(i32),
    /// `f32`.
    F32(f32),
}

/// Threads of a workgroup, unless a launch has others.
pub(super) const THREADS: u64 = 256;

impl Launch {
    /// A launch of `groups` workgroups that binds nothing.
    pub(super) fn new(source: &'static Source, entry: &'static str, groups: u64) -> Self {
        let (defines, wants) = (Vec::new(), Wants::default());
        Self { source, entry, defines, wants, groups, bindings: Vec::new(), numbers: Vec::new() }
            .constant("GROUP", THREADS)
            .constant("LANES", THREADS)
    }

    /// A launch in which a thread answers for one of `count`.
    fn over(source: &'static Source, entry: &'static str, count: u64) -> Self {
        Self::new(source, entry, count.div_ceil(THREADS))
    }

    /// With this constant of type u32 in its text, in place of an earlier one of that name.
    pub(super) fn constant(mut self, name: &str, value: u64) -> Self {
        let start = format!("const {name}: u32 = ");
        self.defines.retain(|line| !line.starts_with(&start));
        self.defines.push(format!("{start}{value}u;"));
        self
    }

    /// With this constant of type bool.
    fn flag(mut self, name: &str, value: bool) -> Self {
        self.defines.push(format!("const {name}: bool = {value};"));
        self
    }

    /// Whose threads take four elements at a time.
    fn four(mut self, four: bool) -> Self {
        self.wants.four = four;
        self
    }

    /// With this name for the type of an element or, where it takes four at a time, of four.
    fn alias(mut self, name: &str, float: Float) -> Self {
        let bare = float.name();
        let of = if self.wants.four { format!("vec4<{bare}>") } else { bare.to_string() };
        self.wants.f16 |= float == Float::F16;
        self.defines.push(format!("alias {name} = {of};"));
        self
    }

    /// That binds these buffers.
    pub(super) fn bind(mut self, bindings: Vec<Binding>) -> Self {
        self.bindings = bindings;
        self
    }

    /// That is given these numbers.
    pub(super) fn give(mut self, numbers: Vec<Number>) -> Self {
        self.numbers = numbers;
        self
    }

    fn plan(self) -> Plan {
        Plan { launches: vec![self], scratch: vec![] }
    }
}

/// A floating-point type of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Float {
    F32,
    F16,
}

impl Float {
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }
}

/// The type that kernels have for `dtype`.
fn float(op: &str, dtype: DType, can: &Can) -> Result<Float, Unsupported> {
    match dtype {
        DType::F32 => Ok(Float::F32),
        DType::F16 if can.f16 => Ok(Float::F16),
        DType::F16 => {
            Err(Unsupported(format!("this adapter has no {op} in f16: its shaders do not compute with it")))
        }
        DType::Bf16 => {
            Err(Unsupported(format!("wgpu has no {op} in bf16, which WGSL does not have: f32 or f16 do")))
        }
        other => Err(Unsupported(format!("wgpu has {op} in f32 and f16, not in {}", other.name()))),
    }
}

/// What a planner knows.
struct Shapes<'a> {
    args: &'a [ValueSpec],
    can: &'a Can,
}

/// An extent or a number of elements, which kernels count in 31 bits: threads of workgroups that a folded grid has too
/// many have numbers beyond, which must not begin at 0 again.
fn count(extent: usize) -> Result<Number, Unsupported> {
    let beyond = || Unsupported(format!("wgpu counts elements in 31 bits, and {extent} is beyond"));
    let number = i32::try_from(extent).map_err(|_| beyond())?;
    Ok(Number::U32(number.cast_unsigned()))
}

fn counts<const N: usize>(extents: [usize; N]) -> Result<Vec<Number>, Unsupported> {
    extents.into_iter().map(count).collect()
}

fn wrong(error: impl ToString) -> Unsupported {
    Unsupported(error.to_string())
}

/// The launches of `op` on an adapter that `can` do this much, or why there are none. `args` and `outs` are what the op
/// accepted and answers.
pub(super) fn launches(
    op: &Op,
    args: &[ValueSpec],
    outs: &[ValueSpec],
    can: &Can,
) -> Result<Plan, Unsupported> {
    let shapes = Shapes { args, can };
    for spec in args.iter().chain(outs) {
        count(spec.elements())?;
    }
    match op {
        Op::Gemm(op) => gemm::gemm(&shapes, op),
        Op::GemmI8(op) => gemm::gemm_i8(&shapes, op),
        Op::GemmQ8(op) => gemm::gemm_q8(&shapes, op),
        Op::Attention(op) => attention::attention(&shapes, op),
        Op::AttentionGrad(op) => attention::attention_grad(&shapes, op),
        Op::Conv2d(op) => conv::conv2d(&shapes, op),
        Op::Conv2dInputGrad(op) => conv::input_grad(&shapes, op),
        Op::Conv2dWeightGrad(op) => conv::weight_grad(&shapes, op),
        Op::Copy(_) => map::copy(&shapes),
        Op::Triad(op) => map::map(&shapes, "triad", op.scale),
        Op::Add(_) => map::map(&shapes, "add", 0.0),
        Op::Scale(op) => map::map(&shapes, "scale", op.factor),
        Op::Relu(_) => map::map(&shapes, "relu", 0.0),
        Op::Tanh(_) => map::map(&shapes, "tanh_of", 0.0),
        Op::Gelu(op) => map::map(&shapes, map::gelu(op.form), 0.0),
        Op::BiasAdd(_) => map::biased(&shapes, "bias_add"),
        Op::BiasRelu(_) => map::biased(&shapes, "bias_relu"),
        Op::BiasGelu(op) => map::biased(&shapes, map::bias_gelu(op.form)),
        Op::ReluGrad(_) => map::gradient(&shapes, "relu_grad"),
        Op::TanhGrad(_) => map::gradient(&shapes, "tanh_grad"),
        Op::GeluGrad(op) => map::gradient(&shapes, map::gelu_grad(op.form)),
        Op::BiasGeluGrad(op) => map::gradient(&shapes, map::bias_gelu_grad(op.form)),
        Op::Cast(op) => map::cast(&shapes, op.output),
        Op::Dropout(op) => map::dropout(&shapes, op),
        Op::Adamw(op) => map::adamw(&shapes, op),
        Op::SgdMomentum(op) => map::sgd(&shapes, op),
        Op::Softmax(op) => rows::softmax(&shapes, op),
        Op::SoftmaxGrad(op) => rows::softmax_grad(&shapes, op),
        Op::LayerNorm(op) => rows::layer_norm(&shapes, op.eps),
        Op::AddLayerNorm(op) => rows::layer_norm(&shapes, op.eps),
        Op::LayerNormGrad(_) => rows::layer_norm_grad(&shapes),
        Op::CrossEntropy(_) => rows::cross_entropy(&shapes),
        Op::CrossEntropyGrad(op) => rows::cross_entropy_grad(&shapes, op),
        Op::ColumnSum(_) => sums::column_sum(&shapes),
        Op::ChannelSum(_) => sums::channel_sum(&shapes),
        Op::LayerNormParamGrad(_) => sums::layer_norm_param_grad(&shapes),
        Op::Embedding(_) => places::embedding(&shapes),
        Op::EmbeddingGrad(op) => places::embedding_grad(&shapes, op),
        Op::Rearrange(op) => places::rearrange(&shapes, op),
        Op::PutRows(op) => places::put_rows(&shapes, op),
        Op::MaxPool(op) => pool::max_pool(&shapes, op),
        Op::MaxPoolGrad(op) => pool::max_pool_grad(&shapes, op),
        Op::Quantize(op) => quantize::quantize(&shapes, op),
        Op::Dequantize(_) => quantize::dequantize(&shapes),
        #[allow(unreachable_patterns, reason = "a new op need not touch every backend")]
        other => Err(Unsupported(format!("wgpu has no {}", other.operation().name()))),
    }
}

/// The most workgroups along one axis that WebGPU grants.
const MOST_ALONG: u64 = 65_535;

/// `groups` workgroups as a grid of at least as many: x first, the rest along y.
pub(super) fn grid(groups: u64) -> Result<[u32; 3], Unsupported> {
    let x = groups.min(MOST_ALONG);
    let y = groups.div_ceil(x.max(1));
    if y > MOST_ALONG {
        return Err(Unsupported(format!(
            "wgpu launches {} workgroups at most, not {groups}",
            MOST_ALONG * MOST_ALONG
        )));
    }
    Ok([x as u32, y as u32, 1])
}

/// Pairs (output, argument) that are one memory while `op` runs.
pub(super) fn in_place(op: &Op) -> &'static [(usize, usize)] {
    match op {
        Op::Adamw(_) => &[(0, 0), (1, 2), (2, 3)],
        Op::SgdMomentum(_) => &[(0, 0), (1, 2)],
        Op::PutRows(_) => PutRows::IN_PLACE,
        _ => &[],
    }
}
