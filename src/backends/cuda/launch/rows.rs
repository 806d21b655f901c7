//! Ops that answer row by row: a warp has a row, or a block where rows are long.

use super::Argument::{F32, I32, I64, Input, Null, Output};
use super::streams::over;
use super::{Argument, Launch, Plan, Shapes, along_x, extent, float_name};
use crate::backends::Unsupported;
use crate::backends::cuda::kernels::{
    CROSS_ENTROPY, EMBEDDING, LAYER_NORM, QUANTIZE, ROW_GRADIENTS, SOFTMAX, Source,
};
use crate::ops::{CrossEntropyGrad, EmbeddingGrad, Softmax, SoftmaxGrad};
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

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// `buffers`, then rows and columns, then `more`.
    fn arguments(&self, buffers: Vec<Argument>, more: Option<f64>) -> Vec<Argument> {
        let sizes = [I64(self.count as i64), I64(self.columns as i64)];
        buffers.into_iter().chain(sizes).chain(more.map(|x| F32(x as f32))).collect()
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

pub(super) fn softmax_grad(shapes: &Shapes, op: &SoftmaxGrad) -> Result<Plan, Unsupported> {
    let [from, to] = [0, 1].map(|arg: usize| float_name("softmax_grad", shapes.args[arg].dtype));
    let (from, to) = (from?, to?);
    if from != to && from != "f32" {
        return Err(Unsupported(format!("cuda/native has no softmax_grad from {from} to {to}")));
    }
    let rows = Rows::of(&shapes.args[1]);
    let arguments = rows.arguments(vec![Input(0), Input(1), Output(0)], Some(op.scale));
    Ok(Plan::one(rows.launch(&ROW_GRADIENTS, format!("softmax_grad_{from}_{to}"), false, arguments)?))
}

pub(super) fn layer_norm_grad(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let (rows, kernel) =
        (Rows::of(x), format!("layer_norm_grad_{}", float_name("layer_norm_grad", x.dtype)?));
    let buffers = (0..5).map(Input).chain([Output(0)]).collect();
    Ok(Plan::one(rows.launch(&ROW_GRADIENTS, kernel, false, rows.arguments(buffers, None))?))
}

pub(super) fn cross_entropy(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let (rows, kernel) = (Rows::of(x), format!("cross_entropy_{}", float_name("cross_entropy", x.dtype)?));
    let arguments = rows.arguments(vec![Input(0), Input(1), Output(0), Output(1)], None);
    Ok(Plan::one(rows.launch(&CROSS_ENTROPY, kernel, false, arguments)?))
}

pub(super) fn cross_entropy_grad(shapes: &Shapes, op: &CrossEntropyGrad) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let kernel = format!("cross_entropy_grad_{}", float_name("cross_entropy_grad", x.dtype)?);
    let rows = Rows::of(x);
    let arguments = rows.arguments(vec![Input(0), Input(1), Input(2), Output(0)], Some(op.scale));
    Ok(Plan::one(rows.launch(&CROSS_ENTROPY, kernel, false, arguments)?))
}

pub(super) fn embedding(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let [table, ids] = shapes.args else {
        return Err(Unsupported("embedding takes a table and ids".to_string()));
    };
    let rows = Rows { count: ids.elements(), columns: table.columns() };
    let kernel = format!("embedding_{}_x{}", float_name("embedding", table.dtype)?, rows.width());
    let arguments = rows.arguments(vec![Input(0), Input(1), Output(0)], None);
    Ok(Plan::one(rows.launch(&EMBEDDING, kernel, false, arguments)?))
}

/// Zeros first, then the sums of the ids that there are.
pub(super) fn embedding_grad(shapes: &Shapes, op: &EmbeddingGrad) -> Result<Plan, Unsupported> {
    let dy = &shapes.args[0];
    let rows = Rows::of(dy);
    let count = (op.rows * rows.columns) as u64;
    let zeros = over(&EMBEDDING, "zeros".to_string(), count, 1, vec![Output(0), I64(count as i64)])?;
    let kernel = format!("embedding_grad_{}", float_name("embedding_grad", dy.dtype)?);
    let arguments = rows.arguments(vec![Input(0), Input(1), Output(0)], None);
    let sums = rows.launch(&EMBEDDING, kernel, false, arguments)?;
    Ok(Plan { launches: vec![zeros, sums], scratch: vec![] })
}
