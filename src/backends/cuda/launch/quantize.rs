//! To 8 bits and back.

use super::Argument::{F32, I32, I64, Input, Null, Output, Scratch};
use super::streams::over;
use super::{Argument, Launch, Plan, Shapes, rows};
use crate::backends::Unsupported;
use crate::backends::cuda::kernels::{DEQUANTIZE, QUANTIZE};
use crate::ops::{Granularity, Quantize};

/// Blocks that look for the extremes of a whole value, at most.
const LOOKERS: u64 = 1024;
/// Threads of a block, and bytes that they hand each other.
const THREADS: u32 = 256;
const PARTS: u32 = 32 * 4;

pub(super) fn quantize(shapes: &Shapes, op: &Quantize) -> Result<Plan, Unsupported> {
    match (op.scale, op.granularity) {
        (Some(scale), _) => Ok(Plan::one(quotients(shapes, op, [Null, F32(scale as f32)])?)),
        (None, Granularity::Tensor) => whole(shapes, op),
        (None, Granularity::Row) => rows::quantize_rows(shapes, steps(op)),
        (None, Granularity::Block) => {
            let count = shapes.args[0].elements();
            let start = [Input(0), Output(0), Output(1), I64(count as i64)];
            let arguments = start.into_iter().chain(steps(op)).collect();
            Ok(Plan::one(over(&QUANTIZE, "blocks".to_string(), count as u64, 4, arguments)?))
        }
    }
}

/// The parameters that describe q's type.
fn steps(op: &Quantize) -> Vec<Argument> {
    let ([low, high], [below, above]) = (op.range(), op.room());
    vec![I32(op.zero), I32(low), I32(high), F32(below as f32), F32(above as f32)]
}

fn quotients(shapes: &Shapes, op: &Quantize, scale: [Argument; 2]) -> Result<Launch, Unsupported> {
    let count = shapes.args[0].elements();
    let start = [Input(0), Output(0)].into_iter().chain(scale).chain([I64(count as i64)]);
    over(&QUANTIZE, "quotients".to_string(), count as u64, 4, start.chain(steps(op)).collect())
}

/// One scale for all: extremes by block, the scale from them, quotients.
fn whole(shapes: &Shapes, op: &Quantize) -> Result<Plan, Unsupported> {
    let count = shapes.args[0].elements() as u64;
    let blocks = count.div_ceil(u64::from(THREADS) * 4).min(LOOKERS);
    let launch = |kernel: &str, blocks, arguments| Launch {
        source: &QUANTIZE,
        kernel: kernel.to_string(),
        grid: [blocks, 1, 1],
        block: [THREADS, 1, 1],
        shared_bytes: PARTS,
        arguments,
    };
    let extremes = launch("extremes", blocks as u32, vec![Input(0), Scratch(0), I64(count as i64)]);
    let start = vec![Scratch(0), Output(1), I32(blocks as i32)];
    let scale = launch("scale", 1, start.into_iter().chain(steps(op)).collect());
    let quotients = quotients(shapes, op, [Output(1), F32(0.0)])?;
    Ok(Plan { launches: vec![extremes, scale, quotients], scratch: vec![blocks * 8] })
}

pub(super) fn dequantize(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let (x, scale_a, scale_b) = (&shapes.args[0], &shapes.args[1], &shapes.args[2]);
    let bias = if shapes.args.len() == 4 { Input(3) } else { Null };
    let each = |scale: &crate::tensor::ValueSpec| I32(i32::from(!scale.shape.is_empty()));
    let arguments = vec![
        Input(0),
        Input(1),
        Input(2),
        bias,
        Output(0),
        I64(x.elements() as i64),
        I64(x.columns() as i64),
        each(scale_a),
        each(scale_b),
    ];
    let launch = over(&DEQUANTIZE, "dequantize".to_string(), x.elements() as u64, 4, arguments)?;
    Ok(Plan::one(launch))
}
