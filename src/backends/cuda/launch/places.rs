//! The same elements elsewhere: other orders, rows written into matrices.

use super::Argument::{I32, I64, Input, Null, Output};
use super::streams::over;
use super::{Argument, Plan, Shapes, extent, float_name};
use crate::backends::Unsupported;
use crate::backends::cuda::kernels::REARRANGE;
use crate::ops::{PutRows, Rearrange};

/// Axes that the kernel walks.
const AXES: usize = 6;

/// The largest word that `elements` of so many bytes are a whole number of.
fn word(elements: usize, size: usize) -> usize {
    [16, 4, 2].into_iter().find(|word| (elements * size).is_multiple_of(*word)).unwrap_or(size)
}

pub(super) fn rearrange(shapes: &Shapes, op: &Rearrange) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    float_name("rearrange", x.dtype)?;
    let runs = op.runs(shapes.args);
    let axes = runs.axes();
    if axes.len() > AXES {
        return Err(Unsupported(format!(
            "cuda/native has no rearrange of {} axes, only of {AXES}",
            axes.len()
        )));
    }
    let (size, whole) = (x.dtype.size(), x.elements() * shapes.args.len());
    let piece: usize = op.output.iter().product();
    // A run is a whole number of words, and so is every argument and output.
    let word = word(runs.len, size);
    let words = |elements: usize| I64((elements * size / word) as i64);
    let buffers = |count: usize, of: fn(usize) -> Argument| {
        (0..Rearrange::PIECES).map(move |number| if number < count { of(number) } else { Null })
    };
    let padded = axes.iter().copied().chain(std::iter::repeat([1, 0])).take(AXES);
    // Axes that are not there come first: what is left of a run's number by the others is 0.
    let mut padded: Vec<[usize; 2]> = padded.collect();
    padded.rotate_right(AXES - axes.len());
    let mut arguments: Vec<Argument> =
        buffers(shapes.args.len(), Input).chain(buffers(whole / piece, Output)).collect();
    arguments.extend([words(whole), words(x.elements()), words(piece), words(runs.len)]);
    for [extent_of, _] in &padded {
        arguments.push(I32(extent(*extent_of)?));
    }
    arguments.extend(padded.iter().map(|[_, stride]| I64(*stride as i64)));
    let count = (whole * size / word) as u64;
    Ok(Plan::one(over(&REARRANGE, format!("rearrange_{word}"), count, 1, arguments)?))
}

pub(super) fn put_rows(shapes: &Shapes, op: &PutRows) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    float_name("put_rows", x.dtype)?;
    let dims = op.dims(shapes.args).map_err(|error| Unsupported(error.to_string()))?;
    let size = x.dtype.size();
    let word = word(dims.columns, size);
    let columns = dims.columns * size / word;
    let count = dims.batch * dims.rows * columns;
    let sizes = [count, dims.rows, dims.new, columns, op.at].map(|size| I64(size as i64));
    let arguments = [Input(0), Input(1), Output(0)].into_iter().chain(sizes).collect();
    Ok(Plan::one(over(&REARRANGE, format!("put_rows_{word}"), count as u64, 1, arguments)?))
}
