//! Ops that answer element by element, and optimizers.

use super::Binding::{Input, NoInput, Output};
use super::Number::{F32, U32};
use super::{Launch, Plan, Shapes, count, float};
use crate::backends::Unsupported;
use crate::backends::wgpu::kernels::{ADAMW, CAST, COPY, DROPOUT, GRADIENTS, MAP, SGD};
use crate::ops::{Adamw, Dropout, GeluForm, SgdMomentum};
use crate::tensor::DType;

/// Entries by the form of gelu.
pub(super) fn gelu(form: GeluForm) -> &'static str {
    of(form, ["gelu_of_erf", "gelu_of_tanh"])
}
pub(super) fn bias_gelu(form: GeluForm) -> &'static str {
    of(form, ["bias_gelu_of_erf", "bias_gelu_of_tanh"])
}
pub(super) fn gelu_grad(form: GeluForm) -> &'static str {
    of(form, ["gelu_grad_of_erf", "gelu_grad_of_tanh"])
}
pub(super) fn bias_gelu_grad(form: GeluForm) -> &'static str {
    of(form, ["bias_gelu_grad_of_erf", "bias_gelu_grad_of_tanh"])
}
fn of(form: GeluForm, [erf, tanh]: [&'static str; 2]) -> &'static str {
    match form {
        GeluForm::Erf => erf,
        GeluForm::Tanh => tanh,
    }
}

/// Whether elements are taken by fours, and how many of those there are.
fn fours(elements: usize, columns: usize) -> (bool, usize) {
    let four = elements.is_multiple_of(4) && columns.is_multiple_of(4);
    (four, if four { elements / 4 } else { elements })
}

/// Words of a value, whatever it holds; the last may hold less.
pub(super) fn copy(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let words = shapes.args[0].bytes().div_ceil(4) as usize;
    let (four, vectors) = fours(words, 4);
    let mut launch = Launch::over(&COPY, "copy", vectors as u64).four(four);
    launch.defines.push(format!("alias W = {};", if four { "vec4u" } else { "u32" }));
    Ok(launch.bind(vec![Input(0), Output(0)]).give(vec![count(vectors)?]).plan())
}

/// z = f(x, y) or f(x).
pub(super) fn map(shapes: &Shapes, entry: &'static str, factor: f64) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let (four, vectors) = fours(x.elements(), 4);
    let y = if shapes.args.len() == 2 { Input(1) } else { NoInput };
    let launch =
        Launch::over(&MAP, entry, vectors as u64).four(four).alias("V", float(entry, x.dtype, shapes.can)?);
    let numbers = vec![count(vectors)?, U32(1), F32(factor as f32)];
    Ok(launch.bind(vec![Input(0), y, Output(0)]).give(numbers).plan())
}

/// z = f(x + bias).
pub(super) fn biased(shapes: &Shapes, entry: &'static str) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let (four, vectors) = fours(x.elements(), x.columns());
    let launch =
        Launch::over(&MAP, entry, vectors as u64).four(four).alias("V", float(entry, x.dtype, shapes.can)?);
    let columns = if four { x.columns() / 4 } else { x.columns() };
    let numbers = vec![count(vectors)?, count(columns)?, F32(0.0)];
    Ok(launch.bind(vec![Input(0), Input(1), Output(0)]).give(numbers).plan())
}

/// dx = dy slope(x), or slope(x + bias).
pub(super) fn gradient(shapes: &Shapes, entry: &'static str) -> Result<Plan, Unsupported> {
    let dy = &shapes.args[0];
    let (four, vectors) = fours(dy.elements(), dy.columns());
    let bias = if shapes.args.len() == 3 { Input(2) } else { NoInput };
    let launch = Launch::over(&GRADIENTS, entry, vectors as u64).four(four);
    let launch = launch.alias("V", float(entry, dy.dtype, shapes.can)?);
    let columns = if four { dy.columns() / 4 } else { dy.columns() };
    let numbers = vec![count(vectors)?, count(columns)?];
    Ok(launch.bind(vec![Input(0), Input(1), bias, Output(0)]).give(numbers).plan())
}

pub(super) fn cast(shapes: &Shapes, output: DType) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let (from, to) = (float("cast", x.dtype, shapes.can)?, float("cast", output, shapes.can)?);
    let (four, vectors) = fours(x.elements(), 4);
    let launch = Launch::over(&CAST, "cast_each", vectors as u64).four(four).alias("V", from).alias("U", to);
    Ok(launch.bind(vec![Input(0), Output(0)]).give(vec![count(vectors)?]).plan())
}

pub(super) fn dropout(shapes: &Shapes, op: &Dropout) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let launch = Launch::over(&DROPOUT, "dropout", x.elements() as u64);
    let launch = launch.alias("V", float("dropout", x.dtype, shapes.can)?);
    let seed = [op.seed as u32, (op.seed >> 32) as u32].map(U32);
    let rest = [U32(op.threshold()), F32(op.factor() as f32)];
    let numbers = [count(x.elements())?].into_iter().chain(seed).chain(rest).collect();
    Ok(launch.bind(vec![Input(0), Input(1), Output(0)]).give(numbers).plan())
}

/// The launch of an optimizer whose first inputs are p and g.
fn optimizer(
    shapes: &Shapes,
    launch: Launch,
    name: &str,
    p16: bool,
    factors: &[f64],
) -> Result<Launch, Unsupported> {
    let (p, g) = (&shapes.args[0], &shapes.args[1]);
    if p.dtype != DType::F32 {
        return Err(Unsupported(format!("wgpu keeps the state of {name} in f32 only")));
    }
    if p16 {
        return Err(Unsupported(format!("wgpu has no {name} with a copy in bf16, which WGSL does not have")));
    }
    let (four, vectors) = fours(p.elements(), 4);
    let numbers =
        [count(vectors)?].into_iter().chain(factors.iter().map(|&factor| F32(factor as f32))).collect();
    let launch = Launch { groups: (vectors as u64).div_ceil(super::THREADS), ..launch };
    Ok(launch.four(four).alias("V", float(name, g.dtype, shapes.can)?).give(numbers))
}

pub(super) fn adamw(shapes: &Shapes, op: &Adamw) -> Result<Plan, Unsupported> {
    let correction = |beta: f64| 1.0 - beta.powf(f64::from(op.step));
    let factors = [
        op.beta1,
        1.0 - op.beta1,
        op.beta2,
        1.0 - op.beta2,
        op.rate / correction(op.beta1),
        1.0 / correction(op.beta2),
        op.eps,
        op.rate * op.weight_decay,
    ];
    let launch = Launch::over(&ADAMW, "adamw", 0).bind(vec![Output(0), Input(1), Output(1), Output(2)]);
    Ok(optimizer(shapes, launch, "adamw", op.p16, &factors)?.plan())
}

pub(super) fn sgd(shapes: &Shapes, op: &SgdMomentum) -> Result<Plan, Unsupported> {
    let launch = Launch::over(&SGD, "sgd", 0).bind(vec![Output(0), Input(1), Output(1)]);
    Ok(optimizer(shapes, launch, "sgd", op.p16, &[op.rate, op.momentum, op.weight_decay])?.plan())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::wgpu::launch::{Can, Number, launches};
    use crate::ops::{BiasAdd, Op};
    use crate::tensor::ValueSpec;

    #[test]
    fn rows_are_taken_by_fours_only_where_they_are_whole_fours() {
        for (shape, four, vectors, columns, groups) in
            [([3, 8], true, 6, 2, 1), ([4, 6], false, 24, 6, 1), ([1024, 1028], true, 263_168, 257, 1028)]
        {
            let args = [ValueSpec::new(&shape, DType::F32), ValueSpec::new(&shape[1..], DType::F32)];
            let plan = launches(&Op::BiasAdd(BiasAdd {}), &args, &args[..1], &Can::MOST).unwrap();
            let launch = &plan.launches[0];
            assert_eq!((launch.wants.four, launch.groups), (four, groups), "{shape:?}");
            assert_eq!(launch.numbers[..2], [Number::U32(vectors), Number::U32(columns)]);
        }
        assert_eq!(of(GeluForm::Erf, ["a", "b"]), "a");
    }
}
