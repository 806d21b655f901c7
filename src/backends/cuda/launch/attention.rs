//! Attention: which kernel for which depth.

use super::Argument::{F32, I32, Input, Null, Output};
use super::{Arch, Argument, Launch, Plan, Shapes, along_x, extent};
use crate::backends::Unsupported;
use crate::backends::cuda::kernels::{
    ATTENTION_BF16, ATTENTION_F16, ATTENTION_F32, ATTENTION_GRAD_BF16, ATTENTION_GRAD_F16,
    ATTENTION_GRAD_F32, ATTENTION_MMA_BF16, ATTENTION_MMA_F16, Source,
};
use crate::ops::{Attention, AttentionGrad};
use crate::tensor::DType;

/// The first cards whose tensor cores take 16 x 8 x 16 elements of 16 bits.
const AMPERE: Arch = Arch(80);
/// Depths and widths that kernels are made for: a smaller one is filled up with zeros.
const DEPTHS: [usize; 3] = [32, 64, 128];

/// Queries, threads and bytes of shared memory of a block, as the sources lay it out.
struct Block {
    queries: usize,
    threads: u32,
    shared_bytes: usize,
}

/// Queries, and 32 keys and values, in f32 an odd number of elements apart; the weights likewise.
fn simt(depth: usize) -> Block {
    let queries = if depth == 128 { 32 } else { 64 };
    let elements = (queries + 2 * 32) * (depth + 1) + queries * (32 + 1);
    Block { queries, threads: 256, shared_bytes: 4 * elements }
}

/// Queries, and two tiles each of keys and of values, 64 rows of 16-bit elements.
fn mma(depth: usize) -> Block {
    Block { queries: 64, threads: 128, shared_bytes: 5 * 64 * (depth + 8) * 2 }
}

fn unit(dtype: DType, has_tensor_cores: bool) -> Option<(&'static Source, &'static str)> {
    Some(match (dtype, has_tensor_cores) {
        (DType::F32, _) => (&ATTENTION_F32, "simt"),
        (DType::Bf16, true) => (&ATTENTION_MMA_BF16, "mma"),
        (DType::F16, true) => (&ATTENTION_MMA_F16, "mma"),
        (DType::Bf16, false) => (&ATTENTION_BF16, "simt"),
        (DType::F16, false) => (&ATTENTION_F16, "simt"),
        _ => return None,
    })
}

fn made_for(depth: usize) -> Result<usize, Unsupported> {
    let beyond = || Unsupported(format!("cuda/native has attention up to a depth of 128, not {depth}"));
    DEPTHS.into_iter().find(|&made_for| depth <= made_for).ok_or_else(beyond)
}

/// Keys of a block of the gradients.
const KEYS: usize = 32;

/// dk and dv by blocks of keys, then dq by blocks of queries.
pub(super) fn attention_grad(shapes: &Shapes, op: &AttentionGrad) -> Result<Plan, Unsupported> {
    let [_, q, k, v, ..] = shapes.args else {
        return Err(Unsupported("attention_grad takes dy, q, k, v, y and lse".to_string()));
    };
    let source = match q.dtype {
        DType::F32 => &ATTENTION_GRAD_F32,
        DType::Bf16 => &ATTENTION_GRAD_BF16,
        DType::F16 => &ATTENTION_GRAD_F16,
        other => return Err(Unsupported(format!("cuda/native has no attention_grad in {}", other.name()))),
    };
    let (queries, keys) = (q.shape[q.shape.len() - 2], k.shape[k.shape.len() - 2]);
    let (depth, width, heads) = (q.columns(), v.columns(), q.rows() / queries);
    let made_for = made_for(depth.max(width))?;
    let tile = if made_for == 128 { 16 } else { 32 };
    // Queries, their dy, keys and values, an odd number of elements apart; weights and slopes likewise.
    let elements = 2 * (tile + KEYS) * (made_for + 1) + 2 * tile * (KEYS + 1);
    let sizes = [queries, keys, depth, width].map(|size| Ok(I32(extent(size)?)));
    let sizes = sizes.into_iter().collect::<Result<Vec<_>, Unsupported>>()?;
    let launch = |name: &str, blocks: usize, outputs: [Argument; 2]| {
        let numbers = [F32(op.scale as f32), I32(i32::from(op.causal))];
        Ok::<_, Unsupported>(Launch {
            source,
            kernel: format!("attention_grad_{name}_{made_for}"),
            grid: [along_x(blocks.saturating_mul(heads) as u64)?, 1, 1],
            block: [256, 1, 1],
            shared_bytes: 4 * elements as u32,
            arguments: (0..6).map(Input).chain(outputs).chain(sizes.clone()).chain(numbers).collect(),
        })
    };
    let of_keys = launch("keys", keys.div_ceil(KEYS), [Output(1), Output(2)])?;
    let of_queries = launch("queries", queries.div_ceil(tile), [Output(0), Null])?;
    Ok(Plan { launches: vec![of_keys, of_queries], scratch: vec![] })
}

pub(super) fn attention(shapes: &Shapes, op: &Attention) -> Result<Plan, Unsupported> {
    let [q, k, v] = shapes.args else { return Err(Unsupported("attention takes q, k and v".to_string())) };
    let (queries, keys) = (q.shape[q.shape.len() - 2], k.shape[k.shape.len() - 2]);
    let (depth, width) = (q.columns(), v.columns());
    let heads = q.rows() / queries;
    let made_for = made_for(depth.max(width))?;
    let of_type = unit(q.dtype, shapes.arch >= AMPERE);
    let (source, family) =
        of_type.ok_or_else(|| Unsupported(format!("cuda/native has no attention in {}", q.dtype.name())))?;
    let block = if family == "mma" { mma(made_for) } else { simt(made_for) };
    let tiles = queries.div_ceil(block.queries).saturating_mul(heads);
    let log_sum_exp = if op.log_sum_exp { Output(1) } else { Null };
    let mut arguments = vec![Input(0), Input(1), Input(2), Output(0), log_sum_exp];
    for size in [queries, keys, depth, width] {
        arguments.push(I32(extent(size)?));
    }
    arguments.extend([F32(op.scale as f32), I32(i32::from(op.causal))]);
    Ok(Plan::one(Launch {
        source,
        kernel: format!("attention_{family}_{made_for}"),
        grid: [along_x(tiles as u64)?, 1, 1],
        block: [block.threads, 1, 1],
        shared_bytes: block.shared_bytes as u32,
        arguments,
    }))
}
