//! To 8 bits and back.

use super::Argument::{F32, I32, I64, Input, Null, Output, Scratch};
use super::streams::over;
use super::{Argument, Launch, Plan, Shapes, along_x, extent, rows};
use crate::backends::Unsupported;
use crate::backends::cuda::kernels::{DEQUANTIZE, GEMM_Q8, QUANTIZE};
use crate::ops::{GemmQ8, Granularity, Quantize};
use crate::tensor::DType;

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

/// Rows of D that a warp makes, columns that a block does, and the most blocks along y.
const ROWS: usize = 4;
const WARPS: usize = 8;
const MOST_ALONG_Y: u32 = 65_535;

pub(super) fn gemm_q8(shapes: &Shapes, op: &GemmQ8) -> Result<Plan, Unsupported> {
    let dims = op.dims(shapes.args).map_err(|error| Unsupported(error.to_string()))?;
    let last = shapes.args.len() - 1;
    let (kernel, scales_a) = match (op.quantized_a, shapes.args[1].dtype) {
        (false, _) => ("gemm_q8_f32", Null),
        (true, DType::F16) => ("gemm_q8_i8_f16", Input(1)),
        (true, _) => ("gemm_q8_i8_f32", Input(1)),
    };
    let down = along_x(dims.m.div_ceil(ROWS) as u64)?;
    if down > MOST_ALONG_Y {
        let most = MOST_ALONG_Y as usize * ROWS;
        return Err(Unsupported(format!("cuda/native takes {most} rows of gemm_q8 at most, not {}", dims.m)));
    }
    let buffers = [Input(0), scales_a, Input(last - 1), Input(last), Output(0)];
    let sizes = [I32(extent(dims.m)?), I32(extent(dims.n)?), I32(extent(dims.k)?)];
    Ok(Plan::one(Launch {
        source: &GEMM_Q8,
        kernel: kernel.to_string(),
        grid: [along_x(dims.n.div_ceil(WARPS) as u64)?, down, 1],
        block: [THREADS, 1, 1],
        shared_bytes: 0,
        arguments: buffers.into_iter().chain(sizes).collect(),
    }))
}
