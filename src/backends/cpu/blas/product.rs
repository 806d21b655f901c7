//! A step seen as a call of a BLAS: which function, which extents. Needs no library.

use crate::backends::Unsupported;
use crate::backends::cpu::dylib::Examined;
use crate::ops::{GemmDims, Op};
use crate::program::{Program, Step};
use crate::tensor::DType;

/// A matrix product that some BLAS has a function for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Product {
    /// Functions that compute it, best known first.
    pub(super) functions: &'static [&'static str],
    /// Bytes of an element of A and B.
    pub(super) element: usize,
    pub(super) dims: GemmDims,
    pub(super) trans_a: bool,
    pub(super) trans_b: bool,
    pub(super) alpha: f32,
    pub(super) beta: f32,
    /// What the stored numbers of A and B lie above the meant ones; integers only.
    pub(super) zeros: [i32; 2],
}

const SINGLE: &[&str] = &["cblas_sgemm"];
/// MKL's, row-major: unsigned A, signed B.
pub(super) const INT8: &str = "cblas_gemm_s8u8s32";

/// Functions by the type of A and B that add in f32 and answer in f32; OpenBLAS's name, then MKL's.
const FUNCTIONS: &[(DType, &[&str])] = &[
    (DType::F32, SINGLE),
    (DType::Bf16, &["cblas_sbgemm", "cblas_gemm_bf16bf16f32"]),
    (DType::F16, &["cblas_shgemm", "cblas_gemm_f16f16f32"]),
];

impl Product {
    /// The product that `step` is, or why no BLAS computes it; `id` is the asking family.
    pub(super) fn new(id: &str, step: &Step, program: &Program) -> Result<Self, Unsupported> {
        let args = program.specs(&step.args);
        let refused = |why: String| Err(Unsupported(format!("{id} {why}")));
        match &step.op {
            Op::Gemm(op) => {
                let dims = op.dims(&args).map_err(|error| Unsupported(error.0))?;
                let (input, output) = (args[0].dtype, op.output);
                let functions = FUNCTIONS.iter().find(|(dtype, _)| *dtype == input);
                let (Some((_, functions)), DType::F32, DType::F32) = (functions, op.accumulate, output)
                else {
                    let (input, output) = (input.name(), output.name());
                    return refused(format!(
                        "has no product from {input} to {output} that adds in {}",
                        op.accumulate.name()
                    ));
                };
                let (alpha, beta) = (op.alpha as f32, op.beta as f32);
                let (trans_a, trans_b) = (op.trans_a, op.trans_b);
                let element = input.size();
                Ok(Self { functions, element, dims, trans_a, trans_b, alpha, beta, zeros: [0, 0] })
            }
            Op::GemmI8(op) => {
                let dims = op.dims(&args).map_err(|error| Unsupported(error.0))?;
                let zeros = [op.zero_a, op.zero_b];
                if args[0].dtype != DType::U8 {
                    return refused("multiplies u8 by i8, and A is i8".to_string());
                }
                // The function adds an i8 to each element.
                if zeros.iter().any(|zero| i8::try_from(-zero).is_err()) {
                    return refused(format!("has no zero points beyond 128 (asked for {zeros:?})"));
                }
                let (trans_a, trans_b) = (op.trans_a, op.trans_b);
                Ok(Self {
                    functions: &[INT8],
                    element: 1,
                    dims,
                    trans_a,
                    trans_b,
                    alpha: 1.0,
                    beta: 0.0,
                    zeros,
                })
            }
            other => refused(format!("has matrix products only, not {}", other.operation().name())),
        }
    }

    /// Whether every CBLAS has it.
    pub(super) fn is_single_precision(&self) -> bool {
        self.functions == SINGLE
    }

    /// The function of `file` that computes it, or that there is none.
    pub(super) fn find(&self, file: &Examined) -> Result<&'static str, Unsupported> {
        let has = |name: &&&str| file.decoration(name).is_ok();
        self.functions.iter().find(has).copied().ok_or_else(|| {
            Unsupported(format!("{} has no {}", file.location.name(), self.functions.join(" and no ")))
        })
    }
}
