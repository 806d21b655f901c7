//! Ops that answer row by row: a warp has a row, or a block where rows are long.

use super::Argument::{F32, I32, I64, Input, Null, Output};
use super::{Argument, Launch, Plan, Shapes, along_x, extent, float_name};
use crate::backends::Unsupported;
use crate::backends::cuda::kernels::{LAYER_NORM, QUANTIZE, SOFTMAX, Source};
use crate::ops::Softmax;
use crate::tensor::ValueSpec;

/// Columns up to which a warp has a row.
const SHORT: usize = 512;
/// Columns up to which 256 threads have enough of a row.
const MIDDLE: usize = 4096;
/// Columns up to which a row stays in shared memory, in f32: beside it lie the parts of a block's sums, and
/// 48 KiB need no leave of the driver.
const CACHED: usize = 11 * 1024;
/// Bytes of the parts.
const PARTS: usize = 32 * 4;

/// How rows of `columns` are spread over blocks and threads.
pub(super) struct Rows {
    count: usize,
    columns: usize,
}

impl Rows {
    pub(super) fn of(spec: &ValueSpec) -> Self {
        Self { count: spec.rows(), columns: spec.columns() }
    }

    /// Threads of a row, and rows of a block.
    fn block(&self) -> [u32; 2] {
        if self.columns <= SHORT {
            [32, 8]
        } else if self.columns <= MIDDLE {
            [256, 1]
        } else {
            [512, 1]
        }
    }

    fn is_cached(&self) -> bool {
        self.columns <= CACHED
    }

    fn shared_bytes(&self, cached: bool) -> u32 {
        let kept = if cached { self.block()[1] as usize * self.columns * 4 } else { 0 };
        (PARTS + kept) as u32
    }

    /// Elements that a thread takes at once: rows begin at multiples of so many.
    pub(super) fn width(&self) -> u32 {
        if self.columns.is_multiple_of(4) { 4 } else { 1 }
    }

    pub(super) fn launch(
        &self,
        source: &'static Source,
        kernel: String,
        cached: bool,
        arguments: Vec<Argument>,
    ) -> Result<Launch, Unsupported> {
        let [threads, rows] = self.block();
        Ok(Launch {
            source,
            kernel,
            grid: [along_x(self.count.div_ceil(rows as usize) as u64)?, 1, 1],
            block: [threads, rows, 1],
            shared_bytes: self.shared_bytes(cached),
            arguments,
        })
    }
}

pub(super) fn softmax(shapes: &Shapes, op: &Softmax) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let (from, to) = (float_name("softmax", x.dtype)?, float_name("softmax", op.output)?);
    if from != to && from != "f32" {
        return Err(Unsupported(format!("cuda/native has no softmax from {from} to {to}")));
    }
    let rows = Rows::of(x);
    let matrix_rows = if op.causal { x.shape[x.shape.len().saturating_sub(2)] } else { 0 };
    let log_sum_exp = if op.log_sum_exp { Output(1) } else { Null };
    let arguments = vec![
        Input(0),
        Output(0),
        log_sum_exp,
        I64(rows.count as i64),
        I32(extent(rows.columns)?),
        I32(extent(matrix_rows)?),
        F32(op.scale as f32),
        I32(i32::from(rows.is_cached())),
    ];
    let kernel = format!("softmax_{from}_{to}_x{}", rows.width());
    Ok(Plan::one(rows.launch(&SOFTMAX, kernel, rows.is_cached(), arguments)?))
}

/// `name` is layer_norm or, where a second input is added first, add_layer_norm.
pub(super) fn layer_norm(shapes: &Shapes, name: &str, eps: f64) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let rows = Rows::of(x);
    let buffers = if shapes.args.len() == 4 {
        [Input(0), Input(1), Input(2), Input(3), Output(0), Output(1), Output(2), Output(3)]
    } else {
        [Input(0), Null, Input(1), Input(2), Output(0), Null, Output(1), Output(2)]
    };
    let sizes = [
        I64(rows.count as i64),
        I32(extent(rows.columns)?),
        F32(eps as f32),
        I32(i32::from(rows.is_cached())),
    ];
    let kernel = format!("{name}_{}_x{}", float_name(name, x.dtype)?, rows.width());
    let arguments = buffers.into_iter().chain(sizes).collect();
    Ok(Plan::one(rows.launch(&LAYER_NORM, kernel, rows.is_cached(), arguments)?))
}

/// Quantisation with a scale for each row; `steps` describe the type.
pub(super) fn quantize_rows(shapes: &Shapes, steps: Vec<Argument>) -> Result<Plan, Unsupported> {
    let rows = Rows::of(&shapes.args[0]);
    let sizes = [I64(rows.count as i64), I32(extent(rows.columns)?)];
    let arguments = [Input(0), Output(0), Output(1)].into_iter().chain(sizes).chain(steps).collect();
    let kernel = format!("rows_x{}", rows.width());
    Ok(Plan::one(rows.launch(&QUANTIZE, kernel, false, arguments)?))
}
