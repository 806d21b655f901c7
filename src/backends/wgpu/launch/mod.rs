//! How an op is launched on an adapter: which kernels, with how many workgroups, memory and numbers.
//!
//! Pure: the same plan is launched on an adapter and translated for others by the tests. Values are row-major without
//! gaps and begin at multiples of 256 bytes. An input is never the memory of an output: where [`in_place`] lists a
//! pair, the output holds the input's elements when the kernels start, and they bind the output alone.

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
    /// Name of the tile of f32 products, from the table of [`gemm`].
    pub(super) tile: &'static str,
}

impl Can {
    /// What some adapter can: plans are made before one is opened.
    pub(super) const MOST: Self = Self { f16: true, subgroups: true, matrices: true, tile: gemm::USUAL };
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
    /// A plan of one launch.
    fn one(launch: Launch) -> Self {
        Self { launches: vec![launch], scratch: vec![] }
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

/// The most workgroups along one axis that WebGPU grants.
const MOST_ALONG: u64 = 65_535;

/// `groups` workgroups as a grid of at least as many: x first, the rest along y.
pub(super) fn grid(groups: u64) -> Result<[u32; 3], Unsupported> {
    let x = groups.min(MOST_ALONG);
    let y = groups.div_ceil(x.max(1));
    if y > MOST_ALONG {
        return Err(Unsupported(format!("wgpu launches {} workgroups at most, not {groups}", MOST_ALONG * MOST_ALONG)));
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
