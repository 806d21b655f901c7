//! To 8 bits and back.

use super::Binding::{Input, NoInput, NoOutput, Output};
use super::Number::{F32, I32, U32};
use super::rows::of_rows;
use super::{Binding, Launch, Plan, Shapes, count};
use crate::backends::Unsupported;
use crate::backends::wgpu::kernels::{DEQUANTIZE, GREATEST_SCALE, NARROW_SCALES, QUANTIZE, SCALES};
use crate::ops::{BLOCK, Granularity, Quantize};

/// Elements of which a workgroup looks for the extremes, where all elements share a scale.
const LOOKED_AT: usize = 4096;

/// Quotients by scales of `group` elements each, or by one that is given.
fn quotients(
    shapes: &Shapes,
    op: &Quantize,
    scales: Option<(Binding, usize)>,
) -> Result<Launch, Unsupported> {
    let elements = shapes.args[0].elements();
    let [low, high] = op.range();
    let (binding, group) = scales.unwrap_or((NoOutput, 1));
    let given = op.scale.unwrap_or_default() as f32;
    let numbers = vec![count(elements)?, count(group.max(1))?, F32(given), I32(op.zero), I32(low), I32(high)];
    let launch =
        Launch::over(&QUANTIZE, "quotients", elements.div_ceil(4) as u64).flag("FOUND", scales.is_some());
    Ok(launch.bind(vec![Input(0), binding, Output(0)]).give(numbers))
}

/// The scales of rows of `columns` elements.
fn scales(shapes: &Shapes, op: &Quantize, columns: usize, to: Binding) -> Result<Launch, Unsupported> {
    let elements = shapes.args[0].elements();
    let rows = elements.div_ceil(columns.max(1));
    let [below, above] = op.room();
    let numbers = vec![count(rows)?, count(columns)?, count(elements)?, F32(below as f32), F32(above as f32)];
    Ok(of_rows(&SCALES, "scales_of_rows", [rows, columns], shapes).bind(vec![Input(0), to]).give(numbers))
}

pub(super) fn quantize(shapes: &Shapes, op: &Quantize) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let mut plan = Plan::default();
    if op.scale.is_some() {
        return Ok(quotients(shapes, op, None)?.plan());
    }
    match op.granularity {
        Granularity::Row => {
            plan.launches.push(scales(shapes, op, x.columns(), Output(1))?);
            plan.launches.push(quotients(shapes, op, Some((Output(1), x.columns())))?);
        }
        Granularity::Tensor => {
            let parts = x.elements().div_ceil(LOOKED_AT);
            let each = plan.buffer(parts.max(1));
            plan.launches.push(scales(shapes, op, LOOKED_AT, each)?);
            let greatest = Launch::new(&GREATEST_SCALE, "greatest_scale", 1);
            plan.launches.push(greatest.bind(vec![each, Output(1)]).give(vec![count(parts)?]));
            plan.launches.push(quotients(shapes, op, Some((Output(1), x.elements())))?);
        }
        Granularity::Block => {
            if !shapes.can.f16 {
                return Err(Unsupported(
                    "this adapter has no scales in f16: its shaders do not compute with it".into(),
                ));
            }
            let blocks = x.elements() / BLOCK;
            let each = plan.buffer(blocks);
            plan.launches.push(scales(shapes, op, BLOCK, each)?);
            let mut narrow = Launch::over(&NARROW_SCALES, "narrow_scales", blocks as u64);
            narrow.wants.f16 = true;
            plan.launches.push(narrow.bind(vec![each, Output(1)]).give(vec![count(blocks)?]));
            plan.launches.push(quotients(shapes, op, Some((each, BLOCK)))?);
        }
    }
    Ok(plan)
}

pub(super) fn dequantize(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let (x, scale_a, scale_b) = (&shapes.args[0], &shapes.args[1], &shapes.args[2]);
    let adds = shapes.args.len() == 4;
    let each = |scale: &crate::tensor::ValueSpec| U32(u32::from(!scale.shape.is_empty()));
    let launch = Launch::over(&DEQUANTIZE, "dequantize", x.elements() as u64).flag("BIAS", adds);
    let bindings = vec![Input(0), Input(1), Input(2), if adds { Input(3) } else { NoInput }, Output(0)];
    let numbers = vec![count(x.elements())?, count(x.columns().max(1))?, each(scale_a), each(scale_b)];
    Ok(launch.bind(bindings).give(numbers).plan())
}
