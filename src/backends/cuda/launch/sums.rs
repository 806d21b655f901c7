//! Sums over rows, columns and channels: by slabs of rows, until one is left.

use super::Argument::{I64, Input, Output, Scratch};
use super::rows::Rows;
use super::{Argument, Launch, Plan, Shapes, along_x, float_name};
use crate::backends::Unsupported;
use crate::backends::cuda::kernels::{SUMS, Source};
use crate::tensor::ValueSpec;

/// Rows of a slab, as the kernel has them.
const SLAB: usize = 256;
/// Columns and rows that a block takes at once.
const BLOCK: [u32; 3] = [32, 8, 1];

/// Where sums of columns are read, and what they are.
pub(super) struct From {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Addresses before those of the answers.
    pub(super) inputs: Vec<Argument>,
}

/// One round: sums of slabs of `from`, by `kernel`.
fn round(source: &'static Source, kernel: &str, from: &From, to: &[Argument]) -> Result<Launch, Unsupported> {
    let across = from.columns.div_ceil(BLOCK[0] as usize) as u64;
    let sizes = [I64(from.rows as i64), I64(from.columns as i64)];
    Ok(Launch {
        source,
        kernel: kernel.to_string(),
        grid: [along_x(across.saturating_mul(from.rows.div_ceil(SLAB) as u64))?, 1, 1],
        block: BLOCK,
        shared_bytes: to.len() as u32 * BLOCK[0] * BLOCK[1] * 4,
        arguments: from.inputs.iter().chain(to).cloned().chain(sizes).collect(),
    })
}

impl Plan {
    /// A scratch buffer of f32.
    pub(super) fn buffer(&mut self, elements: usize) -> Argument {
        self.scratch.push(4 * elements as u64);
        Scratch(self.scratch.len() - 1)
    }

    /// Sums of the columns of `from` by `kernel`, which has an answer for each of `outputs`; what is left after the
    /// first round is added by `adds`.
    pub(super) fn sum_columns(
        &mut self,
        source: &'static Source,
        [kernel, adds]: [&str; 2],
        from: &From,
        outputs: &[Argument],
    ) -> Result<(), Unsupported> {
        let left = from.rows.div_ceil(SLAB);
        if left <= 1 {
            self.launches.push(round(source, kernel, from, outputs)?);
            return Ok(());
        }
        let parts: Vec<_> = outputs.iter().map(|_| self.buffer(left * from.columns)).collect();
        self.launches.push(round(source, kernel, from, &parts)?);
        for (part, output) in parts.into_iter().zip(outputs) {
            let from = From { rows: left, columns: from.columns, inputs: vec![part] };
            self.sum_columns(source, [adds, adds], &from, std::slice::from_ref(output))?;
        }
        Ok(())
    }
}

const ADDS: &str = "column_sum_f32";

pub(super) fn column_sum(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let kernel = format!("column_sum_{}", float_name("column_sum", x.dtype)?);
    let from = From { rows: x.rows(), columns: x.columns(), inputs: vec![Input(0)] };
    let mut plan = Plan::default();
    plan.sum_columns(&SUMS, [&kernel, ADDS], &from, &[Output(0)])?;
    Ok(plan)
}

/// Planes of each image first, then images.
pub(super) fn channel_sum(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let &[images, channels, ..] = &x.shape[..] else {
        return Err(Unsupported("cuda/native sums the channels of images".to_string()));
    };
    let kernel = format!("row_sum_{}", float_name("channel_sum", x.dtype)?);
    let planes = images * channels;
    let rows = Rows::of(&ValueSpec::new(&[planes, x.elements() / planes.max(1)], x.dtype));
    let mut plan = Plan::default();
    let sums = if images == 1 { Output(0) } else { plan.buffer(planes) };
    let arguments = vec![Input(0), sums.clone(), I64(planes as i64), I64(rows.columns() as i64)];
    plan.launches.push(rows.launch(&SUMS, kernel, false, arguments)?);
    if images > 1 {
        let from = From { rows: images, columns: channels, inputs: vec![sums] };
        plan.sum_columns(&SUMS, [ADDS; 2], &from, &[Output(0)])?;
    }
    Ok(plan)
}

pub(super) fn layer_norm_param_grad(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let kernel = format!("layer_norm_param_grad_{}", float_name("layer_norm_param_grad", x.dtype)?);
    let inputs = (0..4).map(Input).collect();
    let from = From { rows: x.rows(), columns: x.columns(), inputs };
    let mut plan = Plan::default();
    plan.sum_columns(&SUMS, [&kernel, ADDS], &from, &[Output(0), Output(1)])?;
    Ok(plan)
}
