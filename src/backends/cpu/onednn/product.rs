//! A step as a oneDNN product: operands' layouts, then a primitive.

use super::ID;
use super::api::Api;
use super::execution::{Execution, Weights};
use super::objects::{Extras, Layout};
use crate::backends::{Fault, Unsupported};
use crate::host::cpuid::adds_bytes_exactly;
use crate::ops::{GemmDims, Op};
use crate::tensor::{DType, ValueSpec};
use std::rc::Rc;
use std::sync::OnceLock;

/// A product that oneDNN may have.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Product {
    layouts: [Layout; 3],
    extras: Extras,
    zeros: [i32; 2],
}

/// Whether `input` times `input` to `output` exists on this processor.
fn check_types(input: DType, accumulate: DType, output: DType) -> Result<(), Unsupported> {
    // A plan asks for hundreds of products, and a hypervisor answers CPUID in its own good time.
    static HAS: OnceLock<[bool; 2]> = OnceLock::new();
    let [has_words, has_halves] = *HAS.get_or_init(|| {
        let features = crate::host::cpuid::cpuid().get_extended_feature_info();
        features.map_or([false; 2], |has| [has.has_avx512bw(), has.has_avx512_fp16()])
    });
    let needs = match (input, accumulate, output) {
        (DType::F32, DType::F32, DType::F32) => return Ok(()),
        (DType::Bf16, DType::F32, DType::F32 | DType::Bf16) if has_words => return Ok(()),
        (DType::F16, DType::F32, DType::F32 | DType::F16) if has_halves => return Ok(()),
        (DType::Bf16, DType::F32, DType::F32 | DType::Bf16) => "; it needs AVX-512",
        (DType::F16, DType::F32, DType::F32 | DType::F16) => "; it needs AVX-512 FP16",
        _ => "",
    };
    let (input, accumulate, output) = (input.name(), accumulate.name(), output.name());
    Err(Unsupported(format!("{ID} has no product from {input} to {output} that adds in {accumulate}{needs}")))
}

impl Product {
    /// The product that `op` is for these arguments, or why oneDNN has none.
    pub(super) fn new(op: &Op, args: &[ValueSpec]) -> Result<Self, Unsupported> {
        let refused = |error: crate::ops::ShapeError| Unsupported(error.0);
        match op {
            Op::Gemm(op) => {
                let dims = op.dims(args).map_err(refused)?;
                check_types(args[0].dtype, op.accumulate, op.output)?;
                let layouts =
                    layouts(dims, [op.trans_a, op.trans_b], [args[0].dtype, args[1].dtype, op.output]);
                let (alpha, beta) = (op.alpha as f32, op.beta as f32);
                Ok(Self { layouts, extras: Extras { alpha, beta, zero_points: [false; 2] }, zeros: [0; 2] })
            }
            Op::GemmI8(_) if !adds_bytes_exactly() => Err(Unsupported(format!(
                "{ID} adds pairs of products of bytes in 16 bits on a processor without VNNI, and they overflow"
            ))),
            Op::GemmI8(op) => {
                let dims = op.dims(args).map_err(refused)?;
                let layouts =
                    layouts(dims, [op.trans_a, op.trans_b], [args[0].dtype, args[1].dtype, DType::I32]);
                let zeros = [op.zero_a, op.zero_b];
                let zero_points = zeros.map(|zero| zero != 0);
                Ok(Self { layouts, extras: Extras { alpha: 1.0, beta: 0.0, zero_points }, zeros })
            }
            other => Err(Unsupported(format!(
                "{ID} is asked for matrix products and convolutions only, not for {}",
                other.operation().name()
            ))),
        }
    }

    /// The primitive with memories for its operands.
    pub(super) fn build(&self, api: &Rc<Api>, packed: bool) -> Result<Execution, Fault> {
        let [source, weights, destination] = &self.layouts;
        let (source, destination) = (api.strided(source)?, api.strided(destination)?);
        let weights = Weights::new(api, weights, packed)?;
        let matmul = api.matmul([&source, weights.wanted(), &destination], self.extras)?;
        let mut execution = Execution::new(api, matmul, weights, [&source, &destination], None)?;
        execution.accumulates = self.extras.beta != 0.0;
        execution.take_zero_points(self.zeros)?;
        Ok(execution)
    }
}

/// Layouts of A, B and D: three axes, of which the outermost counts the products.
fn layouts(dims: GemmDims, [trans_a, trans_b]: [bool; 2], [a, b, d]: [DType; 3]) -> [Layout; 3] {
    let GemmDims { batch, m, n, k, shared_b } = dims;
    // Products that share B are one with more rows, unless the rows of A do not follow on.
    let (batch, m) = if shared_b && !trans_a { (1, m * batch) } else { (batch, m) };
    let layout = |dtype, batch: usize, rows: usize, columns: usize, transposed: bool| {
        let (row, column) = if transposed { (1, rows) } else { (columns, 1) };
        let numbers = |sizes: [usize; 3]| sizes.map(|size| i64::try_from(size).unwrap_or(i64::MAX)).to_vec();
        Layout {
            dtype,
            extents: numbers([batch, rows, columns]),
            strides: numbers([rows * columns, row, column]),
        }
    };
    [
        layout(a, batch, m, k, trans_a),
        layout(b, if shared_b { 1 } else { batch }, k, n, trans_b),
        layout(d, batch, m, n, false),
    ]
}
