//! Ops that answer row by row: some threads of a workgroup have a row, or all where rows are long.

use super::Binding::{Input, NoInput, NoOutput, Output};
use super::Number::{F32, U32};
use super::{Launch, Plan, Shapes, THREADS, count, float};
use crate::backends::Unsupported;
use crate::backends::wgpu::kernels::{
    CROSS_ENTROPY, CROSS_ENTROPY_GRAD, LAYER_NORM, LAYER_NORM_GRAD, SOFTMAX, SOFTMAX_GRAD, Source,
};
use crate::ops::{CrossEntropyGrad, Softmax, SoftmaxGrad};
use crate::tensor::ValueSpec;

/// Columns up to which a few threads have a row, and how many those are.
const SHORT: usize = 512;
const FEW: u64 = 32;

/// A launch for `rows` rows of `columns` elements.
pub(super) fn of_rows(
    source: &'static Source,
    entry: &'static str,
    [rows, columns]: [usize; 2],
    shapes: &Shapes,
) -> Launch {
    let lanes = if columns <= SHORT { FEW } else { THREADS };
    let groups = (rows as u64).div_ceil(THREADS / lanes);
    let mut launch = Launch::new(source, entry, groups).constant("LANES", lanes);
    launch.wants.subgroups = lanes == THREADS && shapes.can.subgroups;
    launch
}

/// Rows and columns of a value.
fn extents(spec: &ValueSpec) -> [usize; 2] {
    [spec.rows(), spec.columns()]
}

/// Whether rows are whole fours, and how many of what a thread takes a row is.
fn vectors(columns: usize) -> (bool, usize) {
    let four = columns.is_multiple_of(4);
    (four, if four { columns / 4 } else { columns })
}

pub(super) fn softmax(shapes: &Shapes, op: &Softmax) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let (from, to) = (float("softmax", x.dtype, shapes.can)?, float("softmax", op.output, shapes.can)?);
    let matrix_rows = if op.causal { x.shape[x.shape.len().saturating_sub(2)] } else { 0 };
    let launch = of_rows(&SOFTMAX, "softmax", extents(x), shapes).four(vectors(x.columns()).0);
    let launch = launch.alias("V", from).alias("U", to).flag("LOG", op.log_sum_exp);
    let log = if op.log_sum_exp { Output(1) } else { NoOutput };
    let numbers = vec![count(x.rows())?, count(x.columns())?, count(matrix_rows)?, F32(op.scale as f32)];
    Ok(launch.bind(vec![Input(0), Output(0), log]).give(numbers).plan())
}

pub(super) fn softmax_grad(shapes: &Shapes, op: &SoftmaxGrad) -> Result<Plan, Unsupported> {
    let (dy, y) = (&shapes.args[0], &shapes.args[1]);
    let [of_dy, of_y] = [dy, y].map(|spec| float("softmax_grad", spec.dtype, shapes.can));
    let (four, vectors) = vectors(y.columns());
    let launch = of_rows(&SOFTMAX_GRAD, "softmax_grad", extents(y), shapes).four(four);
    let launch = launch.alias("U", of_dy?).alias("V", of_y?);
    let numbers = vec![count(y.rows())?, count(vectors)?, F32(op.scale as f32)];
    Ok(launch.bind(vec![Input(0), Input(1), Output(0)]).give(numbers).plan())
}

/// With a fourth argument, the first two are added first.
pub(super) fn layer_norm(shapes: &Shapes, eps: f64) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let (four, vectors) = vectors(x.columns());
    let adds = shapes.args.len() == 4;
    let launch = of_rows(&LAYER_NORM, "layer_norm", extents(x), shapes).four(four);
    let launch = launch.alias("V", float("layer_norm", x.dtype, shapes.can)?).flag("ADD", adds);
    let bindings = match adds {
        true => vec![Input(0), Input(1), Input(2), Input(3), Output(0), Output(1), Output(2), Output(3)],
        false => vec![Input(0), NoInput, Input(1), Input(2), Output(0), NoOutput, Output(1), Output(2)],
    };
    let numbers = vec![count(x.rows())?, count(vectors)?, F32(x.columns() as f32), F32(eps as f32)];
    Ok(launch.bind(bindings).give(numbers).plan())
}

pub(super) fn layer_norm_grad(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let (four, vectors) = vectors(x.columns());
    let launch = of_rows(&LAYER_NORM_GRAD, "layer_norm_grad", extents(x), shapes).four(four);
    let launch = launch.alias("V", float("layer_norm_grad", x.dtype, shapes.can)?);
    let bindings = (0..5).map(Input).chain([Output(0)]).collect();
    let numbers = vec![count(x.rows())?, count(vectors)?, F32(x.columns() as f32)];
    Ok(launch.bind(bindings).give(numbers).plan())
}

pub(super) fn cross_entropy(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let launch = of_rows(&CROSS_ENTROPY, "cross_entropy", extents(x), shapes);
    let launch = launch.alias("V", float("cross_entropy", x.dtype, shapes.can)?);
    let numbers = vec![count(x.rows())?, count(x.columns())?];
    Ok(launch.bind(vec![Input(0), Input(1), Output(0), Output(1)]).give(numbers).plan())
}

pub(super) fn cross_entropy_grad(shapes: &Shapes, op: &CrossEntropyGrad) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let launch = Launch::over(&CROSS_ENTROPY_GRAD, "cross_entropy_grad", x.elements() as u64);
    let launch = launch.alias("V", float("cross_entropy_grad", x.dtype, shapes.can)?);
    let numbers = vec![count(x.elements())?, U32(x.columns().max(1) as u32), F32(op.scale as f32)];
    Ok(launch.bind(vec![Input(0), Input(1), Input(2), Output(0)]).give(numbers).plan())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::wgpu::launch::Can;
    use crate::tensor::DType;

    #[test]
    fn short_rows_share_a_workgroup_and_only_long_ones_use_subgroups() {
        for (shape, groups, subgroups) in [([9, 512], 2, false), ([9, 513], 9, true), ([0, 8], 0, false)] {
            let args = [ValueSpec::new(&shape, DType::F32)];
            let plan =
                softmax(&Shapes { args: &args, can: &Can::MOST }, &Softmax::plain(DType::F32)).unwrap();
            let launch = &plan.launches[0];
            assert_eq!((launch.groups, launch.wants.subgroups), (groups, subgroups), "{shape:?}");
            let least = Can { subgroups: false, ..Can::MOST };
            let plan = softmax(&Shapes { args: &args, can: &least }, &Softmax::plain(DType::F32)).unwrap();
            assert!(!plan.launches[0].wants.subgroups);
        }
    }
}
