//! The same elements elsewhere: other orders, rows of tables, rows written into matrices.

use super::Binding::{Input, Output};
use super::{Float, Launch, Plan, Shapes, count, counts, float};
use crate::backends::Unsupported;
use crate::backends::wgpu::kernels::{EMBEDDING, EMBEDDING_GRAD, PUT_ROWS, REARRANGE};
use crate::ops::{EmbeddingGrad, PutRows, Rearrange};

/// Axes that the kernel walks.
const AXES: usize = 6;

/// The largest word that `elements` of an element type are a whole number of: its name, and elements in it.
fn word(elements: usize, of: Float) -> (&'static str, usize) {
    let size = if of == Float::F32 { 4 } else { 2 };
    let fits = |bytes: usize| bytes >= size && (elements * size).is_multiple_of(bytes);
    match [16, 8, 4].into_iter().find(|&bytes| fits(bytes)) {
        Some(16) => ("vec4u", 16 / size),
        Some(8) => ("vec2u", 8 / size),
        Some(4) => ("u32", 4 / size),
        _ => ("f16", 1),
    }
}

fn of_words(mut launch: Launch, word: &str) -> Launch {
    launch.wants.f16 |= word == "f16";
    launch.defines.push(format!("alias W = {word};"));
    launch
}

/// A launch for each argument and output: its threads write what the one gives to the other.
pub(super) fn rearrange(shapes: &Shapes, op: &Rearrange) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let of = float("rearrange", x.dtype, shapes.can)?;
    let runs = op.runs(shapes.args);
    let axes = runs.axes();
    if axes.len() > AXES {
        return Err(Unsupported(format!("wgpu has no rearrange of {} axes, only of {AXES}", axes.len())));
    }
    let piece: usize = op.output.iter().product();
    // A run is a whole number of words, and so is every argument and output.
    let (name, each) = word(runs.len, of);
    // Axes that are not there come first: what is left of a run's number by the others is 0.
    let mut padded: Vec<[usize; 2]> =
        axes.iter().copied().chain(std::iter::repeat([1, 0])).take(AXES).collect();
    padded.rotate_right(AXES - axes.len());
    let outputs = x.elements() * shapes.args.len() / piece.max(1);
    let mut plan = Plan::default();
    for (output, input) in
        (0..outputs).flat_map(|output| (0..shapes.args.len()).map(move |input| (output, input)))
    {
        let launch = Launch::over(&REARRANGE, "rearrange", (piece / each) as u64);
        let starts = [piece / each, output * piece / each, input * x.elements() / each, x.elements() / each];
        let mut numbers = counts(starts)?;
        numbers.push(count(runs.len / each)?);
        for column in 0..2 {
            numbers.extend(padded.iter().map(|axis| count(axis[column])).collect::<Result<Vec<_>, _>>()?);
        }
        plan.launches.push(of_words(launch, name).bind(vec![Input(input), Output(output)]).give(numbers));
    }
    Ok(plan)
}

pub(super) fn put_rows(shapes: &Shapes, op: &PutRows) -> Result<Plan, Unsupported> {
    let of = float("put_rows", shapes.args[0].dtype, shapes.can)?;
    let dims = op.dims(shapes.args).map_err(super::wrong)?;
    let (name, each) = word(dims.columns, of);
    let columns = dims.columns / each;
    let elements = dims.batch * dims.new * columns;
    let launch = of_words(Launch::over(&PUT_ROWS, "put_rows", elements as u64), name);
    let numbers = counts([elements, dims.rows, dims.new.max(1), columns.max(1), op.at])?;
    Ok(launch.bind(vec![Input(1), Output(0)]).give(numbers).plan())
}

pub(super) fn embedding(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let [table, ids] = shapes.args else {
        return Err(Unsupported("embedding takes a table and ids".to_string()));
    };
    let four = table.columns().is_multiple_of(4);
    let vectors = if four { table.columns() / 4 } else { table.columns() };
    let elements = ids.elements() * vectors;
    let launch = Launch::over(&EMBEDDING, "embedding", elements as u64).four(four);
    let launch = launch.alias("V", float("embedding", table.dtype, shapes.can)?);
    Ok(launch.bind(vec![Input(0), Input(1), Output(0)]).give(counts([elements, vectors.max(1)])?).plan())
}

/// Zeros first, then the sums of the ids that there are.
pub(super) fn embedding_grad(shapes: &Shapes, op: &EmbeddingGrad) -> Result<Plan, Unsupported> {
    let dy = &shapes.args[0];
    let of = float("embedding_grad", dy.dtype, shapes.can)?;
    let elements = op.rows * dy.columns();
    let numbers = counts([elements, dy.rows(), dy.columns()])?;
    let with = |launch: Launch| {
        launch.alias("V", of).bind(vec![Input(0), Input(1), Output(0)]).give(numbers.clone())
    };
    let zeros = with(Launch::over(&EMBEDDING_GRAD, "zeros", elements as u64));
    let sums = with(Launch::new(&EMBEDDING_GRAD, "embedding_grad", dy.rows() as u64));
    Ok(Plan { launches: vec![zeros, sums], scratch: vec![] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_largest_that_fit() {
        for (elements, of, want) in [
            (8, Float::F32, ("vec4u", 4)),
            (6, Float::F32, ("vec2u", 2)),
            (3, Float::F32, ("u32", 1)),
            (8, Float::F16, ("vec4u", 8)),
            (4, Float::F16, ("vec2u", 4)),
            (6, Float::F16, ("u32", 2)),
            (3, Float::F16, ("f16", 1)),
        ] {
            assert_eq!(word(elements, of), want, "{elements} {of:?}");
        }
    }
}
