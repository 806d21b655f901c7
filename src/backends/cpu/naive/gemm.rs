//! Matrix products, one dot product after another.

use super::Plain;
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{Element, View, ViewMut};
use crate::backends::cpu::float::{Float, Number};
use crate::backends::cpu::layout::Layout;
use crate::backends::cpu::loaded::Kernel;
use crate::float8::F8e4m3;
use crate::ops::{Gemm, GemmDims, GemmI8};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// For each element of D in order: its number, and the sum over k of what `term` makes of two factors.
fn products<A, B, S>(
    layout: &Layout,
    a: &[A],
    b: &[B],
    term: impl Fn(&A, &B) -> S,
    mut give: impl FnMut(usize, S),
) where
    S: Default + std::ops::AddAssign,
{
    let Layout { dims: GemmDims { batch, m, n, k, .. }, a: [a_row, a_column], b: [b_row, b_column] } =
        *layout;
    for i in 0..batch {
        let (a, b) = (&a[layout.a_start(i)..], &b[layout.b_start(i)..]);
        for row in 0..m {
            for column in 0..n {
                let mut sum = S::default();
                for p in 0..k {
                    sum += term(&a[row * a_row + p * a_column], &b[p * b_row + column * b_column]);
                }
                give(layout.d_start(i) + row * n + column, sum);
            }
        }
    }
}

type Product = (Gemm, Layout);

/// D = alpha A B + beta C.
pub(super) fn prepare(
    op: &Gemm,
    args: &[ValueSpec],
    outs: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(args).map_err(|error| Unsupported(error.to_string()))?;
    if op.accumulate != DType::F32 {
        return Err(Unsupported("cpu/naive adds products in f32 only".to_string()));
    }
    let run = match (args[0].dtype, outs[0].dtype) {
        (DType::F32, DType::F32) => multiply::<f32, f32>,
        (DType::Bf16, DType::F32) => multiply::<bf16, f32>,
        (DType::Bf16, DType::Bf16) => multiply::<bf16, bf16>,
        (DType::F16, DType::F32) => multiply::<f16, f32>,
        (DType::F16, DType::F16) => multiply::<f16, f16>,
        (DType::F8e4m3, DType::F32) => multiply::<F8e4m3, f32>,
        (DType::F8e4m3, DType::Bf16) => multiply::<F8e4m3, bf16>,
        (a, d) => {
            return Err(Unsupported(format!("cpu/naive has no gemm from {} to {}", a.name(), d.name())));
        }
    };
    let layout = Layout::new(dims, op.trans_a, op.trans_b);
    Ok(Plain::boxed((op.clone(), layout), args.to_vec(), 0, run))
}

fn multiply<A: Number, D: Float>(call: super::Call<Product>, args: &[View], outs: &mut [ViewMut]) {
    let (op, layout) = call.op;
    let (alpha, beta) = (op.alpha as f32, op.beta as f32);
    let c = args.get(2).map(View::slice::<D>);
    let d = outs[0].slice::<D>();
    let term = |a: &A, b: &A| a.to_f32() * b.to_f32();
    products(layout, args[0].slice(), args[1].slice(), term, |at, sum| {
        let old = c.map_or(0.0, |c| beta * c[at].to_f32());
        d[at] = D::from_f32(alpha * sum + old);
    });
}

type Integers = (GemmI8, Layout);

/// D = (A - zero_a)(B - zero_b) in integers.
pub(super) fn prepare_i8(op: &GemmI8, args: &[ValueSpec]) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(args).map_err(|error| Unsupported(error.to_string()))?;
    let layout = Layout::new(dims, op.trans_a, op.trans_b);
    let run = if args[0].dtype == DType::U8 { multiply_i8::<u8> } else { multiply_i8::<i8> };
    Ok(Plain::boxed((op.clone(), layout), args.to_vec(), 0, run))
}

fn multiply_i8<A: Element + Into<i32>>(call: super::Call<Integers>, args: &[View], outs: &mut [ViewMut]) {
    let (op, layout) = call.op;
    let d = outs[0].slice::<i32>();
    let term = |a: &A, b: &i8| ((*a).into() - op.zero_a) * (i32::from(*b) - op.zero_b);
    products(layout, args[0].slice(), args[1].slice(), term, |at, sum| d[at] = sum);
}
