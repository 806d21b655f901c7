//! A step seen as a product of column-major matrices, as cuBLAS knows them. Needs no library.

use crate::backends::Unsupported;
use crate::ops::{Factors, Gemm, GemmDims, Op};
use crate::tensor::{DType, ValueSpec};

/// cudaDataType
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backends::cuda) struct Kind(pub(in crate::backends::cuda) i32);

const R_32F: Kind = Kind(0);
const R_64F: Kind = Kind(1);
const R_16F: Kind = Kind(2);
const R_8I: Kind = Kind(3);
const R_32I: Kind = Kind(10);
const R_16BF: Kind = Kind(14);
const R_8F_E4M3: Kind = Kind(28);

/// cublasComputeType_t. Only the one that says so rounds f32 to fewer bits.
const COMPUTE_16F: i32 = 64;
const COMPUTE_32F: i32 = 68;
const COMPUTE_64F: i32 = 70;
const COMPUTE_32I: i32 = 72;
const COMPUTE_32F_FAST_TF32: i32 = 77;

/// Types that go together: A and B, accumulate, D; and how cuBLAS says that.
#[rustfmt::skip]
const TYPES: &[(DType, DType, DType, Kind, i32, Kind, Kind)] = &[
    (DType::F32,  DType::F32, DType::F32,  R_32F,  COMPUTE_32F, R_32F,  R_32F),
    (DType::F64,  DType::F64, DType::F64,  R_64F,  COMPUTE_64F, R_64F,  R_64F),
    (DType::Bf16, DType::F32, DType::F32,  R_16BF, COMPUTE_32F, R_32F,  R_32F),
    (DType::Bf16, DType::F32, DType::Bf16, R_16BF, COMPUTE_32F, R_16BF, R_32F),
    (DType::F16,  DType::F32, DType::F32,  R_16F,  COMPUTE_32F, R_32F,  R_32F),
    (DType::F16,  DType::F32, DType::F16,  R_16F,  COMPUTE_32F, R_16F,  R_32F),
    (DType::F16,  DType::F16, DType::F16,  R_16F,  COMPUTE_16F, R_16F,  R_16F),
    (DType::F8e4m3, DType::F32, DType::F32,  R_8F_E4M3, COMPUTE_32F, R_32F,  R_32F),
    (DType::F8e4m3, DType::F32, DType::Bf16, R_8F_E4M3, COMPUTE_32F, R_16BF, R_32F),
    (DType::I8,   DType::I32, DType::I32,  R_8I,   COMPUTE_32I, R_32I,  R_32I),
];

/// alpha or beta, in the type that the library reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backends::cuda) struct Scalar(pub(in crate::backends::cuda) [u8; 8]);

impl Scalar {
    fn new(value: f64, kind: Kind) -> Self {
        let mut bytes = [0; 8];
        let mut put = |number: &[u8]| bytes[..number.len()].copy_from_slice(number);
        match kind {
            R_64F => put(&value.to_le_bytes()),
            R_32I => put(&(value as i32).to_le_bytes()),
            R_16F => put(&half::f16::from_f64(value).to_le_bytes()),
            _ => put(&(value as f32).to_le_bytes()),
        }
        Self(bytes)
    }
}

/// A stored matrix: column-major, `rows` x `columns`, one after another in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backends::cuda) struct Stored {
    /// Type of its elements.
    pub(in crate::backends::cuda) kind: Kind,
    /// Length of a column, and the distance of two.
    pub(in crate::backends::cuda) rows: u64,
    /// Number of columns.
    pub(in crate::backends::cuda) columns: u64,
    /// Elements from one to the next of a batch; 0 where all share one.
    pub(in crate::backends::cuda) stride: i64,
    /// Whether the product takes its transpose.
    pub(in crate::backends::cuda) transposed: bool,
}

/// D' = alpha left right + beta C', where D' is D read by columns, so that `left` is B and `right` is A.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::backends::cuda) struct Product {
    /// B.
    pub(in crate::backends::cuda) left: Stored,
    /// A.
    pub(in crate::backends::cuda) right: Stored,
    /// C and D.
    pub(in crate::backends::cuda) out: Stored,
    /// Inner extent.
    pub(in crate::backends::cuda) k: u64,
    /// Products that differ in their operands only.
    pub(in crate::backends::cuda) batch: u64,
    /// cublasComputeType_t
    pub(in crate::backends::cuda) compute: i32,
    /// Type of alpha and beta.
    pub(in crate::backends::cuda) scale: Kind,
    /// alpha
    pub(in crate::backends::cuda) alpha: Scalar,
    /// beta
    pub(in crate::backends::cuda) beta: Scalar,
    /// Whether C is read.
    pub(in crate::backends::cuda) adds: bool,
}

impl Product {
    /// The product that `op` is, or why neither library computes it; `id` is the asking family.
    pub(in crate::backends::cuda) fn new(id: &str, op: &Op, args: &[ValueSpec]) -> Result<Self, Unsupported> {
        let refused = |why: &str| Err(Unsupported(format!("{id} {why}")));
        let shape = |error: crate::ops::ShapeError| Unsupported(error.0);
        match op {
            Op::Gemm(op) => {
                let product = Self::of(id, op, op.dims(args).map_err(shape)?, args[0].dtype)?;
                let is_f32 = product.compute == COMPUTE_32F && op.factors == Factors::Tf32;
                let compute = if is_f32 { COMPUTE_32F_FAST_TF32 } else { product.compute };
                Ok(Self { compute, ..product })
            }
            Op::GemmI8(op) => {
                let dims = op.dims(args).map_err(shape)?;
                if args[0].dtype != DType::I8 {
                    return refused("multiplies i8 by i8, and A is u8");
                }
                if (op.zero_a, op.zero_b) != (0, 0) {
                    return refused("multiplies 8-bit integers without zero points only");
                }
                let (trans_a, trans_b) = (op.trans_a, op.trans_b);
                let plain = Gemm { trans_a, trans_b, accumulate: DType::I32, ..Gemm::plain(DType::I32) };
                Self::of(id, &plain, dims, DType::I8)
            }
            other => refused(&format!("has matrix products only, not {}", other.operation().name())),
        }
    }

    fn of(id: &str, op: &Gemm, dims: GemmDims, input: DType) -> Result<Self, Unsupported> {
        let row = TYPES.iter().find(|row| (row.0, row.1, row.2) == (input, op.accumulate, op.output));
        let Some(&(.., from, compute, to, scale)) = row else {
            let (from, to, sums) = (input.name(), op.output.name(), op.accumulate.name());
            return Err(Unsupported(format!("{id} has no product from {from} to {to} that adds in {sums}")));
        };
        let GemmDims { mut batch, mut m, n, k, shared_b } = dims;
        if input == DType::F8e4m3 {
            eight_bits(id, op, [n, k])?;
        }
        if shared_b && !op.trans_a {
            // Products that share B are one product with more rows.
            (m, batch) = (m * batch, 1);
        }
        let stored = |kind, transposed, (rows, columns): (usize, usize), shared| Stored {
            kind,
            // What is stored by rows, read by columns, is the transpose.
            rows: if transposed { columns } else { rows } as u64,
            columns: if transposed { rows } else { columns } as u64,
            stride: if shared { 0 } else { (rows * columns) as i64 },
            transposed,
        };
        Ok(Self {
            left: stored(from, op.trans_b, (n, k), shared_b),
            right: stored(from, op.trans_a, (k, m), false),
            out: stored(to, false, (n, m), false),
            k: k as u64,
            batch: batch as u64,
            compute,
            scale,
            alpha: Scalar::new(op.alpha, scale),
            beta: Scalar::new(op.beta, scale),
            adds: op.beta != 0.0,
        })
    }

    /// What is said of a product that rounds its factors.
    pub(in crate::backends::cuda) fn note(&self) -> Option<&'static str> {
        (self.compute == COMPUTE_32F_FAST_TF32).then_some("factors may be in TF32")
    }

    /// Bytes of D.
    pub(in crate::backends::cuda) fn bytes_out(&self) -> u64 {
        let size = match self.out.kind {
            R_64F => 8,
            R_32F | R_32I => 4,
            _ => 2,
        };
        self.out.rows * self.out.columns * self.batch * size
    }
}

/// What products of 8-bit floating-point numbers ask for: cuBLASLt, both operands along k (its "TN" format), and rows
/// of whole 16 bytes (cuBLAS documentation, "cublasLtMatmul").
fn eight_bits(id: &str, op: &Gemm, extents: [usize; 2]) -> Result<(), Unsupported> {
    let why = match () {
        () if id != "cuda/cublaslt" => "has no 8-bit floating-point products; cuda/cublaslt has",
        () if op.trans_a || !op.trans_b => {
            "multiplies 8-bit floating-point numbers only where B is stored transposed"
        }
        () if !extents.iter().all(|extent| extent.is_multiple_of(16)) => {
            "multiplies 8-bit floating-point numbers only where n and k are multiples of 16"
        }
        () => return Ok(()),
    };
    Err(Unsupported(format!("{id} {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(op: Gemm, a: &[usize], b: &[usize]) -> Product {
        let args = [ValueSpec::new(a, DType::F32), ValueSpec::new(b, DType::F32)];
        Product::new("x", &Op::Gemm(op), &args).unwrap()
    }

    #[test]
    fn rows_become_columns_and_operands_change_places() {
        let plain = Gemm::plain(DType::F32);
        let transposed = Gemm { trans_a: true, trans_b: true, ..plain.clone() };
        for (op, a, b, left, right) in
            [(&plain, [2, 3], [3, 5], (5, 3), (3, 2)), (&transposed, [3, 2], [5, 3], (3, 5), (2, 3))]
        {
            let product = product(op.clone(), &a, &b);
            let extents = |stored: Stored| (stored.rows, stored.columns);
            assert_eq!((extents(product.left), extents(product.right)), (left, right));
            assert_eq!((extents(product.out), product.k, product.bytes_out()), ((5, 2), 3, 40));
        }
    }

    #[test]
    fn a_batch_that_shares_b_is_one_product_unless_a_is_transposed() {
        let plain = Gemm::plain(DType::F32);
        let shared = product(plain.clone(), &[7, 2, 3], &[3, 5]);
        assert_eq!((shared.batch, shared.right.columns), (1, 14));
        let transposed = product(Gemm { trans_a: true, ..plain.clone() }, &[7, 3, 2], &[3, 5]);
        assert_eq!((transposed.batch, transposed.left.stride, transposed.right.stride), (7, 0, 6));
        let own = product(plain, &[7, 2, 3], &[7, 3, 5]);
        assert_eq!((own.batch, own.left.stride, own.out.stride), (7, 15, 10));
    }

    #[test]
    fn no_precision_is_swapped_for_another() {
        let of = |input, accumulate, output| {
            let args = [ValueSpec::new(&[4, 4], input), ValueSpec::new(&[4, 4], input)];
            let op = Op::Gemm(Gemm { accumulate, ..Gemm::plain(output) });
            Product::new("cuda/cublas", &op, &args)
        };
        assert_eq!(of(DType::F32, DType::F32, DType::F32).unwrap().compute, COMPUTE_32F);
        assert_eq!(of(DType::F16, DType::F16, DType::F16).unwrap().scale, R_16F);
        let leave = Gemm { factors: Factors::Tf32, ..Gemm::plain(DType::F32) };
        let tf32 = product(leave, &[4, 4], &[4, 4]);
        assert_eq!((tf32.compute, tf32.scale), (COMPUTE_32F_FAST_TF32, R_32F));
        assert_eq!(
            (tf32.note(), of(DType::F32, DType::F32, DType::F32).unwrap().note()),
            (Some("factors may be in TF32"), None)
        );
        for (input, accumulate, output) in [
            (DType::F32, DType::Bf16, DType::F32),
            (DType::F32, DType::F32, DType::Bf16),
            (DType::Bf16, DType::Bf16, DType::Bf16),
        ] {
            let said = of(input, accumulate, output).unwrap_err().0;
            assert!(said.starts_with("cuda/cublas has no product from"), "{said}");
        }
    }

    #[test]
    fn products_of_8_bit_numbers_are_cublaslts_and_lie_along_k() {
        let of = |id, n: usize, k: usize, op: Gemm| {
            let (a, b) = (if op.trans_a { [k, 4] } else { [4, k] }, if op.trans_b { [n, k] } else { [k, n] });
            let args = [a, b].map(|shape| ValueSpec::new(&shape, DType::F8e4m3));
            Product::new(id, &Op::Gemm(op), &args)
        };
        let plain = Gemm { trans_b: true, ..Gemm::plain(DType::Bf16) };
        let lt = of("cuda/cublaslt", 32, 48, plain.clone()).unwrap();
        assert_eq!((lt.left.kind, lt.left.transposed, lt.right.transposed), (R_8F_E4M3, true, false));
        assert_eq!((lt.out.kind, lt.compute, lt.bytes_out()), (R_16BF, COMPUTE_32F, 2 * 4 * 32));
        for (id, n, k, op, why) in [
            ("cuda/cublas", 32, 48, plain.clone(), "cuda/cublaslt has"),
            ("cuda/cublaslt", 32, 48, Gemm::plain(DType::Bf16), "B is stored transposed"),
            ("cuda/cublaslt", 32, 48, Gemm { trans_a: true, ..plain.clone() }, "B is stored transposed"),
            ("cuda/cublaslt", 33, 48, plain.clone(), "multiples of 16"),
            ("cuda/cublaslt", 32, 40, plain.clone(), "multiples of 16"),
            (
                "cuda/cublaslt",
                32,
                48,
                Gemm { output: DType::F8e4m3, ..plain },
                "no product from f8e4m3 to f8e4m3",
            ),
        ] {
            let said = of(id, n, k, op).unwrap_err().0;
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn scalars_are_in_the_type_that_is_read() {
        assert_eq!(Scalar::new(1.0, R_32F).0, [0, 0, 0x80, 0x3f, 0, 0, 0, 0]);
        assert_eq!(Scalar::new(1.0, R_16F).0, [0, 0x3c, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Scalar::new(1.0, R_32I).0, [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Scalar::new(1.0, R_64F).0, 1f64.to_le_bytes());
    }
}
