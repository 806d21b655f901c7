//! Attention: which tile for which depth.

use super::Binding::{Input, NoOutput, Output};
use super::Number::{F32, U32};
use super::{Launch, Number, Plan, Shapes, THREADS, counts, float};
use crate::backends::Unsupported;
use crate::backends::wgpu::kernels::{ATTENTION, ATTENTION_GRAD, Source};
use crate::ops::{Attention, AttentionGrad};
use crate::tensor::ValueSpec;

/// Depths and widths that kernels are made for: a smaller one is filled up with zeros.
const DEPTHS: [u64; 3] = [32, 64, 128];

/// Queries and keys of a tile.
struct Tile {
    queries: u64,
    keys: u64,
    depth: u64,
}

impl Tile {
    /// With the constants that kernels know it by.
    fn set(&self, launch: Launch) -> Launch {
        launch.constant("QUERIES", self.queries).constant("KEYS", self.keys).constant("DEPTH", self.depth)
    }
}

fn made_for(depth: usize) -> Result<u64, Unsupported> {
    let beyond = || Unsupported(format!("wgpu has attention up to a depth of 128, not {depth}"));
    DEPTHS.into_iter().find(|&made_for| depth as u64 <= made_for).ok_or_else(beyond)
}

/// The largest of `tiles` whose `bytes` a workgroup may share.
fn largest(
    shapes: &Shapes,
    depth: u64,
    tiles: &[[u64; 2]],
    bytes: fn(&Tile) -> u64,
) -> Result<Tile, Unsupported> {
    let shared = u64::from(shapes.can.shared);
    let mut made = tiles.iter().map(|&[queries, keys]| Tile { queries, keys, depth });
    made.find(|tile| bytes(tile) <= shared).ok_or_else(|| {
        Unsupported(format!(
            "wgpu has attention of depth {depth} only where workgroups share more than {shared} bytes"
        ))
    })
}

/// Extents, heads, mask and factor.
fn numbers(
    q: &ValueSpec,
    k: &ValueSpec,
    v: &ValueSpec,
    causal: bool,
    scale: f64,
) -> Result<Vec<Number>, Unsupported> {
    let [queries, keys, heads] = extents(q, k);
    let mut numbers = counts([queries, keys, q.columns(), v.columns(), heads])?;
    numbers.extend([U32(u32::from(causal)), F32(scale as f32)]);
    Ok(numbers)
}

/// Queries and keys of a head, and heads.
fn extents(q: &ValueSpec, k: &ValueSpec) -> [usize; 3] {
    let (queries, keys) = (q.shape[q.shape.len() - 2], k.shape[k.shape.len() - 2]);
    [queries, keys, q.rows() / queries.max(1)]
}

pub(super) fn attention(shapes: &Shapes, op: &Attention) -> Result<Plan, Unsupported> {
    let [q, k, v] = shapes.args else { return Err(Unsupported("attention takes q, k and v".to_string())) };
    let of = float("attention", q.dtype, shapes.can)?;
    let depth = made_for(q.columns().max(v.columns()))?;
    // Queries, keys or their values an odd number of elements apart, and weights.
    let bytes = |tile: &Tile| {
        4 * ((tile.queries + tile.keys) * (tile.depth + 1) + tile.queries * tile.keys + THREADS)
    };
    let tile = largest(shapes, depth, &[[32, 32], [16, 32], [16, 16], [8, 16], [8, 8]], bytes)?;
    let [queries, _, heads] = extents(q, k);
    let groups = (queries as u64).div_ceil(tile.queries) * heads as u64;
    let launch =
        tile.set(Launch::new(&ATTENTION, "attention", groups)).alias("X", of).flag("LOG", op.log_sum_exp);
    let log = if op.log_sum_exp { Output(1) } else { NoOutput };
    let bindings = vec![Input(0), Input(1), Input(2), Output(0), log];
    Ok(launch.bind(bindings).give(numbers(q, k, v, op.causal, op.scale)?).plan())
}

/// dk and dv by tiles of keys, then dq by tiles of queries.
pub(super) fn attention_grad(shapes: &Shapes, op: &AttentionGrad) -> Result<Plan, Unsupported> {
    let [_, q, k, v, ..] = shapes.args else {
        return Err(Unsupported("attention_grad takes dy, q, k, v, y and lse".to_string()));
    };
    let of = float("attention_grad", q.dtype, shapes.can)?;
    let depth = made_for(q.columns().max(v.columns()))?;
    // Queries, their dy, keys and values; weights and slopes.
    let bytes = |tile: &Tile| {
        let both = tile.queries + tile.keys;
        4 * (2 * both * (tile.depth + 1) + 2 * tile.queries * tile.keys + tile.queries + THREADS)
    };
    let tile = largest(shapes, depth, &[[32, 32], [16, 16], [8, 16], [8, 8]], bytes)?;
    let [queries, keys, heads] = extents(q, k);
    let launch = |source: &'static Source, entry: &'static str, own: usize, each: u64| {
        let groups = (own as u64).div_ceil(each) * heads as u64;
        let bindings = (0..6).map(Input).chain((0..3).map(Output)).collect();
        let launch = tile.set(Launch::new(source, entry, groups)).alias("X", of).bind(bindings);
        Ok::<_, Unsupported>(launch.give(numbers(q, k, v, op.causal, op.scale)?))
    };
    let of_keys = launch(&ATTENTION_GRAD, "of_keys", keys, tile.keys)?;
    let of_queries = launch(&ATTENTION_GRAD, "of_queries", queries, tile.queries)?;
    Ok(Plan { launches: vec![of_keys, of_queries], scratch: vec![] })
}
