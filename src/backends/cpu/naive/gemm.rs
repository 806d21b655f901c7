//! D = alpha A B + beta C, one dot product after another.

use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::{Fault, Unsupported};
use crate::ops::{Gemm, GemmDims};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};
use std::marker::PhantomData;

struct DotProducts<A, D> {
    op: Gemm,
    dims: GemmDims,
    types: PhantomData<(A, D)>,
}

pub(super) fn prepare(
    op: &Gemm,
    args: &[ValueSpec],
    outs: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(args).map_err(|error| Unsupported(error.0))?;
    let same = args[0].dtype == args[1].dtype && args.get(2).is_none_or(|c| c.dtype == outs[0].dtype);
    if !same || op.accumulate != DType::F32 {
        return Err(Unsupported(
            "cpu/naive multiplies A and B of one type, C like D, adding in f32".to_string(),
        ));
    }
    fn kernel<A: Float, D: Float>(op: &Gemm, dims: GemmDims) -> Result<Box<dyn Kernel>, Unsupported> {
        Ok(Box::new(DotProducts::<A, D> { op: op.clone(), dims, types: PhantomData }))
    }
    match (args[0].dtype, outs[0].dtype) {
        (DType::F32, DType::F32) => kernel::<f32, f32>(op, dims),
        (DType::Bf16, DType::F32) => kernel::<bf16, f32>(op, dims),
        (DType::Bf16, DType::Bf16) => kernel::<bf16, bf16>(op, dims),
        (DType::F16, DType::F32) => kernel::<f16, f32>(op, dims),
        (DType::F16, DType::F16) => kernel::<f16, f16>(op, dims),
        (a, d) => Err(Unsupported(format!("cpu/naive has no gemm from {} to {}", a.name(), d.name()))),
    }
}

impl<A: Float, D: Float> Kernel for DotProducts<A, D> {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let GemmDims { batch, m, n, k, shared_b } = self.dims;
        let Gemm { trans_a, trans_b, alpha, beta, .. } = self.op;
        let (alpha, beta) = (alpha as f32, beta as f32);
        let (a, b) = (args[0].slice::<A>(), args[1].slice::<A>());
        let c = args.get(2).map(View::slice::<D>);
        let d = outs[0].slice::<D>();
        // Distance between neighbours along rows and along columns.
        let (a_row, a_column) = if trans_a { (1, m) } else { (k, 1) };
        let (b_row, b_column) = if trans_b { (1, k) } else { (n, 1) };
        for i in 0..batch {
            let a = &a[i * m * k..][..m * k];
            let b = &b[if shared_b { 0 } else { i * k * n }..][..k * n];
            for row in 0..m {
                for column in 0..n {
                    let mut sum = 0.0;
                    for p in 0..k {
                        sum += a[row * a_row + p * a_column].to_f32()
                            * b[p * b_row + column * b_column].to_f32();
                    }
                    let at = (i * m + row) * n + column;
                    let old = c.map_or(0.0, |c| beta * c[at].to_f32());
                    d[at] = D::from_f32(alpha * sum + old);
                }
            }
        }
        Ok(())
    }
}
