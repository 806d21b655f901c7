//! Element-wise ops and optimizers: a thread answers for the elements of one or a few vectors.

use super::Argument::{F32, I64, Input, Null, Output, U32};
use super::{Argument, Launch, Plan, Shapes, along_x, float_name};
use crate::backends::Unsupported;
use crate::backends::cuda::kernels::{CAST, COPY, DROPOUT, ELEMENTWISE, GRADIENTS, OPTIMIZERS, Source};
use crate::ops::{Adamw, Dropout, GeluForm, SgdMomentum};
use crate::tensor::DType;

/// Threads of a block.
const THREADS: u64 = 256;

/// A launch in which each thread answers for `each` of `count` elements.
pub(super) fn over(
    source: &'static Source,
    kernel: String,
    count: u64,
    each: u64,
    arguments: Vec<Argument>,
) -> Result<Launch, Unsupported> {
    let blocks = count.div_ceil(each).div_ceil(THREADS);
    Ok(Launch {
        source,
        kernel,
        grid: [along_x(blocks)?, 1, 1],
        block: [THREADS as u32, 1, 1],
        shared_bytes: 0,
        arguments,
    })
}

pub(super) fn copy(shapes: &Shapes) -> Result<Plan, Unsupported> {
    let bytes = shapes.args[0].bytes();
    let arguments = vec![Input(0), Output(0), I64(bytes as i64)];
    Ok(Plan::one(over(&COPY, "copy_bytes".to_string(), bytes, 16, arguments)?))
}

/// z = f(x, y) or f(x): the kernel `name` for the type of x.
pub(super) fn elementwise(shapes: &Shapes, name: &str, scale: f64) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let kernel = format!("{name}_{}", float_name(name, x.dtype)?);
    let second = Input(shapes.args.len() - 1);
    let (count, columns) = (x.elements() as i64, x.columns() as i64);
    let arguments = vec![Input(0), second, Output(0), I64(count), I64(columns), F32(scale as f32)];
    let each = 16 / x.dtype.size() as u64;
    Ok(Plan::one(over(&ELEMENTWISE, kernel, count as u64, each, arguments)?))
}

/// dx = dy slope(x), or slope(x + bias): the kernel `name` for the type of dy.
pub(super) fn gradient(shapes: &Shapes, name: &str) -> Result<Plan, Unsupported> {
    let dy = &shapes.args[0];
    let kernel = format!("{name}_{}", float_name(name, dy.dtype)?);
    let (count, columns) = (dy.elements() as i64, dy.columns() as i64);
    let last = Input(shapes.args.len() - 1);
    let arguments = vec![Input(0), Input(1), last, Output(0), I64(count), I64(columns)];
    Ok(Plan::one(over(&GRADIENTS, kernel, count as u64, 16 / dy.dtype.size() as u64, arguments)?))
}

pub(super) fn dropout(shapes: &Shapes, op: &Dropout) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let kernel = format!("dropout_{}", float_name("dropout", x.dtype)?);
    let numbers = [I64(op.seed.cast_signed()), U32(op.threshold()), F32(op.factor() as f32)];
    let buffers = [Input(0), Input(1), Output(0), I64(x.elements() as i64)];
    let arguments = buffers.into_iter().chain(numbers).collect();
    Ok(Plan::one(over(&DROPOUT, kernel, x.elements() as u64, 16 / x.dtype.size() as u64, arguments)?))
}

pub(super) fn cast(shapes: &Shapes, output: DType) -> Result<Plan, Unsupported> {
    let x = &shapes.args[0];
    let (from, to) = (float_name("cast", x.dtype)?, float_name("cast", output)?);
    if from == to {
        return Err(Unsupported(format!("cuda/native has no cast from {from} to {to}")));
    }
    let arguments = vec![Input(0), Output(0), I64(x.elements() as i64)];
    Ok(Plan::one(over(&CAST, format!("cast_{from}_{to}"), x.elements() as u64, 4, arguments)?))
}

/// Part of a kernel's name.
pub(super) fn form_name(form: GeluForm) -> &'static str {
    match form {
        GeluForm::Erf => "erf",
        GeluForm::Tanh => "tanh",
    }
}

/// The launch of an optimizer whose first inputs are p and g, after the addresses `buffers`.
fn optimizer(
    shapes: &Shapes,
    name: &str,
    buffers: Vec<Argument>,
    factors: &[f64],
) -> Result<Plan, Unsupported> {
    let (p, g) = (&shapes.args[0], &shapes.args[1]);
    if p.dtype != DType::F32 {
        return Err(Unsupported(format!("cuda/native keeps the state of {name} in f32 only")));
    }
    let kernel = format!("{name}_{}", float_name(name, g.dtype)?);
    let factors = factors.iter().map(|&factor| F32(factor as f32));
    let count = I64(p.elements() as i64);
    let arguments = buffers.into_iter().chain([count]).chain(factors).collect();
    Ok(Plan::one(over(&OPTIMIZERS, kernel, p.elements() as u64, 4, arguments)?))
}

pub(super) fn adamw(shapes: &Shapes, op: &Adamw) -> Result<Plan, Unsupported> {
    let p16 = if op.p16 { Output(3) } else { Null };
    let buffers = vec![Input(0), Input(1), Input(2), Input(3), Output(0), Output(1), Output(2), p16];
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
    optimizer(shapes, "adamw", buffers, &factors)
}

pub(super) fn sgd(shapes: &Shapes, op: &SgdMomentum) -> Result<Plan, Unsupported> {
    let p16 = if op.p16 { Output(2) } else { Null };
    let buffers = vec![Input(0), Input(1), Input(2), Output(0), Output(1), p16];
    optimizer(shapes, "sgd", buffers, &[op.rate, op.momentum, op.weight_decay])
}
