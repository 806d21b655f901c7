//! Sums over rows, columns and channels: by slabs of rows, until one is left.

use super::Binding::{Input, Output};
use super::rows::of_rows;
use super::{Binding, Launch, Plan, Shapes, THREADS, count, float};
use crate::backends::Unsupported;
use crate::backends::wgpu::kernels::{COLUMN_SUM, LAYER_NORM_PARAM_GRAD, PARTIAL_SUM, ROW_SUM, Source};

/// Rows of a slab.
const SLAB: usize = 256;
/// Columns of a workgroup.
const ACROSS: usize = 32;

/// A first round: slabs of `rows` rows of an op's inputs.
fn first(
    source: &'static Source,
    entry: &'static str,
    [rows, columns]: [usize; 2],
) -> Result<Launch, Unsupported> {
    let slabs = rows.div_ceil(SLAB).max(1) as u64;
    let groups = slabs * columns.div_ceil(ACROSS) as u64;
    let launch =
        Launch::new(source, entry, groups).constant("SLAB", SLAB as u64).constant("ACROSS", ACROSS as u64);
    Ok(launch.give(vec![count(rows)?, count(columns)?]))
}

impl Plan {
    /// Adds launches that sum the columns of `from`, which holds `rows` rows of f32, into `to`.
    pub(super) fn add_rows(
        &mut self,
        mut from: Binding,
        [mut rows, columns]: [usize; 2],
        to: Binding,
    ) -> Result<(), Unsupported> {
        loop {
            let left = rows.div_ceil(SLAB);
            let answer = if left <= 1 { to } else { self.buffer(left * columns) };
            let launch =
                Launch::new(&PARTIAL_SUM, "partial_sum", ((left * columns) as u64).div_ceil(THREADS));
            let launch = launch.constant("SLAB", SLAB as u64).bind(vec![from, answer]);
            self.launches.push(launch.give(vec![count(rows)?, count(columns)?]));
            if left <= 1 {
                return Ok(());
            }
            (from, rows) = (answer, left);
        }
    }
}

pub(super) fn column_sum(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let (rows, columns) = (x.rows(), x.columns());
    let launch = first(&COLUMN_SUM, "column_sum", [rows, columns])?;
    let launch = launch.alias("V", float("column_sum", x.dtype, shapes.can)?);
    let mut plan = Plan::default();
    let slabs = rows.div_ceil(SLAB);
    if slabs <= 1 {
        plan.launches.push(launch.bind(vec![Input(0), Output(0)]));
        return Ok(plan);
    }
    let parts = plan.buffer(slabs * columns);
    plan.launches.push(launch.bind(vec![Input(0), parts]));
    plan.add_rows(parts, [slabs, columns], Output(0))?;
    Ok(plan)
}

/// Planes of each image first, then images.
pub(super) fn channel_sum(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let &[images, channels, ..] = &x.shape[..] else {
        return Err(Unsupported("wgpu sums the channels of images".to_string()));
    };
    let planes = images * channels;
    let columns = x.elements() / planes.max(1);
    let launch = of_rows(&ROW_SUM, "sum_of_row", [planes, columns], shapes);
    let launch = launch.alias("V", float("channel_sum", x.dtype, shapes.can)?);
    let launch = launch.give(vec![count(planes)?, count(columns)?]);
    let mut plan = Plan::default();
    if images == 1 {
        plan.launches.push(launch.bind(vec![Input(0), Output(0)]));
        return Ok(plan);
    }
    let sums = plan.buffer(planes);
    plan.launches.push(launch.bind(vec![Input(0), sums]));
    plan.add_rows(sums, [images.max(1), channels], Output(0))?;
    Ok(plan)
}

pub(super) fn layer_norm_param_grad(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let (rows, columns) = (x.rows(), x.columns());
    let launch = first(&LAYER_NORM_PARAM_GRAD, "layer_norm_param_grad", [rows, columns])?;
    let launch = launch.alias("V", float("layer_norm_param_grad", x.dtype, shapes.can)?);
    let inputs = || (0..4).map(Input);
    let mut plan = Plan::default();
    let slabs = rows.div_ceil(SLAB);
    if slabs <= 1 {
        plan.launches.push(launch.bind(inputs().chain([Output(0), Output(1)]).collect()));
        return Ok(plan);
    }
    let parts = [plan.buffer(slabs * columns), plan.buffer(slabs * columns)];
    plan.launches.push(launch.bind(inputs().chain(parts).collect()));
    for (number, part) in parts.into_iter().enumerate() {
        plan.add_rows(part, [slabs, columns], Output(number))?;
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::wgpu::launch::Can;
    use crate::tensor::{DType, ValueSpec};

    #[test]
    fn sums_of_slabs_are_added_until_one_is_left() {
        for (rows, launches) in [(0, 1), (1, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 3)] {
            let args = [ValueSpec::new(&[rows, 5], DType::F32)];
            let plan = column_sum(&Shapes { args: &args, can: &Can::MOST }).unwrap();
            assert_eq!(plan.launches.len(), launches, "{rows}");
            assert_eq!(plan.launches.last().unwrap().bindings[1], Output(0));
        }
    }
}
