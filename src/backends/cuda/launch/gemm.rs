//! Products: which kernel, which tile.

use super::Argument::{F32, I32, I64, Input, Null, Output};
use super::{Arch, Argument, Launch, Plan, Shapes, TensorMap, along_x, extent};
use crate::backends::Unsupported;
use crate::backends::cuda::kernels::{
    GEMM_BF16, GEMM_F16, GEMM_F32, GEMM_FEW_BF16, GEMM_FEW_F16, GEMM_FEW_F32, GEMM_I8_DOT, GEMM_I8_MMA,
    GEMM_MMA_BF16, GEMM_MMA_F16, GEMM_WGMMA_BF16, GEMM_WGMMA_F16, Source,
};
use crate::ops::{Gemm, GemmDims, GemmI8};
use crate::tensor::DType;

/// The first cards whose tensor cores take 16 x 8 x 16 elements of 16 bits, and that copy asynchronously.
const AMPERE: Arch = Arch(80);
/// Tiles that keep a card busy: fewer leave multiprocessors idle, and then smaller ones are faster.
const BUSY: usize = 96;

/// A kernel's tile, rows and columns, and what a block of it takes.
struct Kernel {
    tile: [usize; 2],
    threads: u32,
    shared_bytes: u32,
}

/// Kernels of a family by tile, the largest first. Bytes of shared memory as the source lays it out.
const SIMT: [Kernel; 2] = [
    // 2 stages x 2 operands x 16 depths x (tile + 4) elements of 4 bytes.
    Kernel { tile: [128; 2], threads: 256, shared_bytes: 2 * 2 * 16 * (128 + 4) * 4 },
    Kernel { tile: [64; 2], threads: 256, shared_bytes: 2 * 2 * 16 * (64 + 4) * 4 },
];

/// Bytes of an operand's tile in `gemm_mma.cu`: rows of 32 depths or of the tile, eight elements apart.
const fn operand_bytes(tile: usize, along: bool) -> usize {
    if along { tile * (32 + 8) * 2 } else { 32 * (tile + 8) * 2 }
}

fn mma(tile: usize, op: &Gemm) -> Kernel {
    let stage = operand_bytes(tile, !op.trans_a) + operand_bytes(tile, op.trans_b);
    Kernel { tile: [tile; 2], threads: if tile == 128 { 256 } else { 128 }, shared_bytes: 3 * stage as u32 }
}

/// Most rows of the kernels that read B once, which are made for each power of two.
const FEW: usize = 8;
/// Warps of a block of theirs.
const FEW_WARPS: usize = 8;
/// Blocks that should read memory at its pace, two on each multiprocessor of a large card. Not tuned yet.
const FEW_BLOCKS: usize = 264;
/// Fewest depths that a block is worth starting for.
const FEW_DEPTHS: usize = 64;

/// Rows and depths of a tile in `gemm_wgmma.cu`, and elements of the rows of 128 bytes in which it lies.
const WGMMA_TILE: [usize; 2] = [128, 64];
const WGMMA_ROW: usize = 64;

/// `stages` of both operands' tiles, and two barriers for each.
const fn wgmma(columns: usize, stages: usize) -> Kernel {
    let [rows, depth] = WGMMA_TILE;
    let shared_bytes = stages * ((rows + columns) * depth * 2 + 2 * 8);
    Kernel { tile: [rows, columns], threads: 3 * 128, shared_bytes: shared_bytes as u32 }
}

/// Kernels with the fewest tiles that they are taken for. The larger one fetches less for each product; a tile of the
/// smaller one is four of `mma`'s small ones. Not tuned: no card has run them yet.
const WGMMA: [(Kernel, usize); 2] = [(wgmma(256, 4), BUSY), (wgmma(128, 5), BUSY / 2)];

/// Tiles that cover all products.
fn tiles(dims: &GemmDims, [rows, columns]: [usize; 2]) -> usize {
    dims.m.div_ceil(rows).saturating_mul(dims.n.div_ceil(columns)).saturating_mul(dims.batch)
}

/// Products that share B are one product with more rows.
fn flat(op: &Gemm, dims: GemmDims) -> GemmDims {
    let is_one = dims.shared_b && !op.trans_a;
    if is_one { GemmDims { batch: 1, m: dims.batch * dims.m, ..dims } } else { dims }
}

pub(super) fn gemm(shapes: &Shapes, op: &Gemm) -> Result<Plan, Unsupported> {
    let dims = flat(op, op.dims(shapes.args).map_err(|error| Unsupported(error.to_string()))?);
    if op.accumulate != DType::F32 {
        let accumulate = op.accumulate.name();
        return Err(Unsupported(format!(
            "cuda/native accumulates products in f32 only, not in {accumulate}"
        )));
    }
    let input = super::float_name("gemm", shapes.args[0].dtype)?;
    super::float_name("gemm", op.output)?;
    // Rows in memory are whole vectors of 16 bytes.
    let width = 16 / shapes.args[0].dtype.size();
    let vectors = [if op.trans_a { dims.m } else { dims.k }, if op.trans_b { dims.k } else { dims.n }]
        .map(|columns| columns.is_multiple_of(width));
    if dims.m <= FEW && !op.trans_a {
        return few(op, &dims, shapes.args[0].dtype, vectors[1]);
    }
    if shapes.arch == Arch::HOPPER && input != "f32" && vectors == [true, true] {
        let busy = WGMMA.into_iter().find(|(kernel, fewest)| tiles(&dims, kernel.tile) >= *fewest);
        if let Some((kernel, _)) = busy {
            return by_warpgroups(op, &dims, shapes.args[0].dtype, kernel);
        }
    }
    let is_busy = tiles(&dims, [128; 2]) >= BUSY;
    let (family, source, kernel): (_, &'static Source, _) = match input {
        "f32" => ("simt", &GEMM_F32, simt(op, is_busy)),
        "bf16" if shapes.arch < AMPERE => ("simt", &GEMM_BF16, simt(op, is_busy)),
        "f16" if shapes.arch < AMPERE => ("simt", &GEMM_F16, simt(op, is_busy)),
        _ => {
            let source = if input == "bf16" { &GEMM_MMA_BF16 } else { &GEMM_MMA_F16 };
            // The large tile is made for whole vectors.
            ("mma", source, mma(if is_busy && vectors == [true, true] { 128 } else { 64 }, op))
        }
    };
    let [c, d] = outputs(op);
    let buffers = [Input(0), Input(1), c, d];
    let arguments =
        buffers.into_iter().chain(sizes(&dims)?).chain(scales(op)).chain(vectors.map(flag)).collect();
    launch(source, name(family, op, kernel.tile[1]), &kernel, &dims, arguments)
}

fn name(family: &str, op: &Gemm, tile: usize) -> String {
    let letter = |transposed| if transposed { 't' } else { 'n' };
    format!("gemm_{family}_{}{}_{tile}", letter(op.trans_a), letter(op.trans_b))
}

/// C and D.
fn outputs(op: &Gemm) -> [Argument; 2] {
    [if op.beta == 0.0 { Null } else { Input(2) }, Output(0)]
}

/// alpha, beta and the type of D.
fn scales(op: &Gemm) -> [Argument; 3] {
    let output = match op.output {
        DType::F32 => 0,
        DType::Bf16 => 1,
        _ => 2,
    };
    [F32(op.alpha as f32), F32(op.beta as f32), I32(output)]
}

/// Products of few rows; where B has few columns, its depth is split over blocks whose sums are added up.
fn few(op: &Gemm, dims: &GemmDims, dtype: DType, vectors: bool) -> Result<Plan, Unsupported> {
    let source: &'static Source = match dtype {
        DType::F32 => &GEMM_FEW_F32,
        DType::Bf16 => &GEMM_FEW_BF16,
        _ => &GEMM_FEW_F16,
    };
    // A lane has a vector of 16 bytes of B: of its columns, or of its depth.
    let lanes = 32 * 16 / dtype.size();
    let columns = if op.trans_b { FEW_WARPS } else { lanes };
    let blocks = dims.n.div_ceil(columns).saturating_mul(dims.batch);
    let splits = if op.trans_b { 1 } else { (FEW_BLOCKS / blocks).min(dims.k / FEW_DEPTHS).max(1) };
    let each = dims.k.div_ceil(splits).next_multiple_of(FEW_WARPS);
    let splits = dims.k.div_ceil(each);
    let [c, d] = outputs(op);
    let mut plan = Plan::default();
    let elements = dims.batch * dims.m * dims.n;
    let parts = if splits > 1 { plan.buffer(splits * elements) } else { Null };
    let buffers = [Input(0), Input(1), c.clone(), d.clone()];
    let rest = [flag(vectors), parts.clone(), I32(extent(each)?)];
    let arguments = buffers.into_iter().chain(sizes(dims)?).chain(scales(op)).chain(rest).collect();
    plan.launches.push(Launch {
        source,
        kernel: name("few", op, dims.m.next_power_of_two()),
        grid: [along_x(blocks as u64)?, splits as u32, 1],
        block: [32 * FEW_WARPS as u32, 1, 1],
        shared_bytes: if op.trans_b { 0 } else { (FEW_WARPS * lanes * 4) as u32 },
        arguments,
    });
    if splits > 1 {
        let sizes = [I64(elements as i64), I32(extent(splits)?)];
        plan.launches.push(Launch {
            source,
            kernel: "gemm_few_sum".to_string(),
            grid: [along_x(elements.div_ceil(256) as u64)?, 1, 1],
            block: [256, 1, 1],
            shared_bytes: 0,
            arguments: [parts, c, d].into_iter().chain(sizes).chain(scales(op)).collect(),
        });
    }
    Ok(plan)
}

fn by_warpgroups(op: &Gemm, dims: &GemmDims, dtype: DType, kernel: Kernel) -> Result<Plan, Unsupported> {
    let source = if dtype == DType::Bf16 { &GEMM_WGMMA_BF16 } else { &GEMM_WGMMA_F16 };
    let operand = |input: usize| {
        let (lines, across) = [(dims.m, op.trans_a), (dims.n, !op.trans_b)][input];
        let [columns, rows] = if across { [lines, dims.k] } else { [dims.k, lines] };
        let products = if input == 1 && dims.shared_b { 1 } else { dims.batch };
        let row = columns as u64 * dtype.size() as u64;
        Argument::TensorMap(TensorMap {
            input,
            dtype,
            extents: [columns, rows, products].map(|extent| extent as u64).into(),
            strides: vec![row, row * rows as u64],
            // Rows of a tile are depths where lines lie across them, else lines.
            tile: vec![WGMMA_ROW as u32, if across { WGMMA_TILE[1] } else { kernel.tile[input] } as u32, 1],
            swizzle: 128,
        })
    };
    let [m, n, k, _] = sizes(dims)?;
    let [c, d] = outputs(op);
    let buffers = [operand(0), operand(1), c, d, m, n, k, flag(dims.shared_b)];
    let arguments = buffers.into_iter().chain(scales(op)).collect();
    launch(source, name("wgmma", op, kernel.tile[1]), &kernel, dims, arguments)
}

fn simt(op: &Gemm, is_busy: bool) -> Kernel {
    let [large, small] = SIMT;
    // With both operands transposed the large tile wants more registers than a thread may have.
    if is_busy && !(op.trans_a && op.trans_b) { large } else { small }
}

fn flag(set: bool) -> Argument {
    I32(i32::from(set))
}

/// m, n, k, and how far the next product's B is.
fn sizes(dims: &GemmDims) -> Result<[Argument; 4], Unsupported> {
    let stride_b = if dims.shared_b { 0 } else { dims.k as i64 * dims.n as i64 };
    Ok([I32(extent(dims.m)?), I32(extent(dims.n)?), I32(extent(dims.k)?), I64(stride_b)])
}

fn launch(
    source: &'static Source,
    name: String,
    kernel: &Kernel,
    dims: &GemmDims,
    arguments: Vec<Argument>,
) -> Result<Plan, Unsupported> {
    Ok(Plan::one(Launch {
        source,
        kernel: name,
        grid: [along_x(tiles(dims, kernel.tile) as u64)?, 1, 1],
        block: [kernel.threads, 1, 1],
        shared_bytes: kernel.shared_bytes,
        arguments,
    }))
}

pub(super) fn gemm_i8(shapes: &Shapes, op: &GemmI8) -> Result<Plan, Unsupported> {
    let dims = op.dims(shapes.args).map_err(|error| Unsupported(error.to_string()))?;
    let (family, source) = if shapes.arch < AMPERE { ("dot", &GEMM_I8_DOT) } else { ("mma", &GEMM_I8_MMA) };
    // Lines of 64 bytes, 16 apart; two stages of two operands, and 64 sums of each.
    let kernel = Kernel { tile: [64; 2], threads: 128, shared_bytes: 2 * 2 * 64 * (64 + 16) + 2 * 64 * 4 };
    let name = format!("gemm_i8_{family}_{}", shapes.args[0].dtype.name());
    let whole = flag(dims.k.is_multiple_of(16));
    let rest = [I32(op.zero_a), I32(op.zero_b), flag(!op.trans_a), flag(op.trans_b), whole.clone(), whole];
    let buffers = [Input(0), Input(1), Output(0)];
    let arguments = buffers.into_iter().chain(sizes(&dims)?).chain(rest).collect();
    launch(source, name, &kernel, &dims, arguments)
}
