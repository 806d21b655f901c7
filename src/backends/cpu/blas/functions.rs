//! The functions of an open BLAS, and the kernels that call them.

use super::identity;
use super::product::{INT8, Product};
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::dylib::SharedLibrary;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::{Fault, Unsupported};
use std::collections::BTreeMap;
use std::ffi::c_int;

/// Order, two transpositions, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc.
type Gemm<I> =
    unsafe extern "C" fn(c_int, c_int, c_int, I, I, I, f32, *const u8, I, *const u8, I, f32, *mut u8, I);
/// The same with the distance between neighbouring products after each ld, and their number at the end.
type GemmBatch<I> = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    I,
    I,
    I,
    f32,
    *const u8,
    I,
    I,
    *const u8,
    I,
    I,
    f32,
    *mut u8,
    I,
    I,
    I,
);
/// Order, transposition, m, n, alpha, A, lda, x, its step, beta, y, its step.
type Gemv<I> = unsafe extern "C" fn(c_int, c_int, I, I, f32, *const u8, I, *const u8, I, f32, *mut u8, I);
/// As [`Gemm`], with what C is offset by after the transpositions, what is added to the elements of A and
/// of B after each ld, and the offset of C at the end.
type GemmInt8<I> = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    c_int,
    I,
    I,
    I,
    f32,
    *const u8,
    I,
    i8,
    *const u8,
    I,
    i8,
    f32,
    *mut u8,
    I,
    *const i32,
);

const ROW_MAJOR: c_int = 101;
const FIXED_OFFSET: c_int = 173;

/// CBLAS's number for a matrix used as it lies, or transposed.
fn transposition(transposed: bool) -> c_int {
    if transposed { 112 } else { 111 }
}

/// The functions of one library, by the width of its integers.
pub(super) enum Functions {
    Narrow(Table<i32>),
    Wide(Table<i64>),
}

/// Functions whose integers are `I`.
pub(super) struct Table<I> {
    /// Every function with [`Gemm`]'s arguments, by its undecorated name.
    gemm: BTreeMap<&'static str, Gemm<I>>,
    sgemv: Option<Gemv<I>>,
    batch: Option<GemmBatch<I>>,
    int8: Option<GemmInt8<I>>,
}

const GEMMS: [&str; 5] =
    ["cblas_sgemm", "cblas_sbgemm", "cblas_gemm_bf16bf16f32", "cblas_shgemm", "cblas_gemm_f16f16f32"];

impl Functions {
    pub(super) fn of(library: &SharedLibrary) -> Self {
        if identity::is_wide(library) {
            Self::Wide(Table::of(library))
        } else {
            Self::Narrow(Table::of(library))
        }
    }

    pub(super) fn kernel(&self, product: &Product) -> Result<Box<dyn Kernel>, Unsupported> {
        match self {
            Self::Narrow(table) => table.kernel(product),
            Self::Wide(table) => table.kernel(product),
        }
    }
}

/// An integer of a BLAS.
trait Integer: Copy + TryFrom<usize> + 'static {}
impl Integer for i32 {}
impl Integer for i64 {}

/// `size` as the library's integer.
fn integer<I: Integer>(size: usize) -> Result<I, Unsupported> {
    I::try_from(size)
        .map_err(|_| Unsupported(format!("an extent of {size} exceeds the 32-bit integers of this library")))
}

#[expect(private_bounds, reason = "the integers of a BLAS are these two and no other")]
impl<I: Integer> Table<I> {
    fn of(library: &SharedLibrary) -> Self {
        // SAFETY: signatures from cblas.h of OpenBLAS and mkl_cblas.h; pointers are passed as bytes, and
        // elements of 16 bits are never looked at here.
        unsafe {
            Self {
                gemm: GEMMS.into_iter().filter_map(|name| Some((name, library.function(name)?))).collect(),
                sgemv: library.function("cblas_sgemv"),
                batch: library.function("cblas_sgemm_batch_strided"),
                int8: library.function(INT8),
            }
        }
    }

    /// The call that serves `product` best.
    fn kernel(&self, product: &Product) -> Result<Box<dyn Kernel>, Unsupported> {
        if let Some(function) = self.int8.filter(|_| product.functions.contains(&INT8)) {
            let shape = Shape::new(product)?;
            let zeros = product.zeros.map(|zero| i8::try_from(-zero).unwrap_or(0));
            return Ok(Box::new(Int8 { function, shape, zeros }));
        }
        if let Some(function) = self.sgemv.filter(|_| product.is_single_precision())
            && let Some(kernel) = Vector::new(function, product)?
        {
            return Ok(Box::new(kernel));
        }
        let shape = Shape::new(product)?;
        if let Some(function) = self.batch.filter(|_| product.is_single_precision() && shape.calls > 1) {
            return Ok(Box::new(Batch { function, shape }));
        }
        let function = product.functions.iter().find_map(|name| self.gemm.get(name)).copied();
        let function =
            function.ok_or_else(|| Unsupported(format!("no {}", product.functions.join(", no "))))?;
        Ok(Box::new(Single { function, shape }))
    }
}

/// The arguments of a product, row-major, and how often it is called.
struct Shape<I> {
    trans: [c_int; 2],
    m: I,
    n: I,
    k: I,
    alpha: f32,
    beta: f32,
    /// Distance between rows of A, B and C as stored.
    ld: [I; 3],
    calls: usize,
    /// Elements of A, B and C from one product to the next.
    strides: [usize; 3],
    /// Bytes of an element of A, B and C.
    elements: [usize; 3],
}

impl<I: Integer> Shape<I> {
    fn new(product: &Product) -> Result<Self, Unsupported> {
        let dims = product.dims;
        // Products that share B are one product with more rows, unless the rows of A do not follow on.
        let folds = dims.shared_b && !product.trans_a;
        let (calls, m) = if folds { (1, dims.m * dims.batch) } else { (dims.batch, dims.m) };
        let (n, k) = (dims.n, dims.k);
        let ld = [if product.trans_a { m } else { k }, if product.trans_b { k } else { n }, n];
        Ok(Self {
            trans: [transposition(product.trans_a), transposition(product.trans_b)],
            m: integer(m)?,
            n: integer(n)?,
            k: integer(k)?,
            alpha: product.alpha,
            beta: product.beta,
            ld: [integer(ld[0])?, integer(ld[1])?, integer(ld[2])?],
            calls,
            strides: [m * k, if dims.shared_b { 0 } else { k * n }, m * n],
            elements: [product.element, product.element, 4],
        })
    }

    /// Addresses of product number `call`.
    fn at(&self, call: usize, args: &[View], out: &mut ViewMut) -> (*const u8, *const u8, *mut u8) {
        let offset = |operand: usize| call * self.strides[operand] * self.elements[operand];
        let (a, b) = (args[0].as_ptr().wrapping_add(offset(0)), args[1].as_ptr().wrapping_add(offset(1)));
        (a, b, out.as_mut_ptr().wrapping_add(offset(2)))
    }
}

/// C is an argument of D = alpha A B + beta C only where beta is not 0, and BLAS writes D over it.
fn over_c(beta: f32) -> &'static [(usize, usize)] {
    if beta == 0.0 { &[] } else { &[(0, 2)] }
}

/// One call a product.
struct Single<I> {
    function: Gemm<I>,
    shape: Shape<I>,
}

impl<I: Integer> Kernel for Single<I> {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let Shape { trans: [ta, tb], m, n, k, alpha, beta, ld: [lda, ldb, ldc], calls, .. } = self.shape;
        for call in 0..calls {
            let (a, b, c) = self.shape.at(call, args, &mut outs[0]);
            // SAFETY: the views hold as many elements as these extents say; `Shape` comes from the specs
            // that they were made for.
            unsafe { (self.function)(ROW_MAJOR, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) };
        }
        Ok(())
    }
    fn in_place(&self) -> &'static [(usize, usize)] {
        over_c(self.shape.beta)
    }
}

/// One call for all products.
struct Batch<I> {
    function: GemmBatch<I>,
    shape: Shape<I>,
}

impl<I: Integer> Kernel for Batch<I> {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let Shape { trans: [ta, tb], m, n, k, alpha, beta, ld: [lda, ldb, ldc], calls, strides, .. } =
            self.shape;
        let (a, b, c) = self.shape.at(0, args, &mut outs[0]);
        let size = |size: usize| integer::<I>(size).map_err(Fault::from);
        let ([sa, sb, sc], calls) = ([size(strides[0])?, size(strides[1])?, size(strides[2])?], size(calls)?);
        // SAFETY: as for one product; the last of them ends where the views end.
        unsafe {
            (self.function)(
                ROW_MAJOR, ta, tb, m, n, k, alpha, a, lda, sa, b, ldb, sb, beta, c, ldc, sc, calls,
            )
        };
        Ok(())
    }
    fn in_place(&self) -> &'static [(usize, usize)] {
        over_c(self.shape.beta)
    }
}

/// Products of u8 and i8.
struct Int8<I> {
    function: GemmInt8<I>,
    shape: Shape<I>,
    /// What is added to each element of A and of B.
    zeros: [i8; 2],
}

impl<I: Integer> Kernel for Int8<I> {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let Shape { trans: [ta, tb], m, n, k, ld: [lda, ldb, ldc], calls, .. } = self.shape;
        let [za, zb] = self.zeros;
        for call in 0..calls {
            let (a, b, c) = self.shape.at(call, args, &mut outs[0]);
            // SAFETY: as in `Single`; C's offset is one number, which the function reads.
            unsafe {
                (self.function)(
                    ROW_MAJOR,
                    ta,
                    tb,
                    FIXED_OFFSET,
                    m,
                    n,
                    k,
                    1.0,
                    a,
                    lda,
                    za,
                    b,
                    ldb,
                    zb,
                    0.0,
                    c,
                    ldc,
                    &0,
                )
            };
        }
        Ok(())
    }
}

/// A product with one row or one column: a matrix times a vector.
struct Vector<I> {
    function: Gemv<I>,
    trans: c_int,
    /// Rows and columns of the matrix as stored.
    rows: I,
    columns: I,
    /// Which argument is the matrix.
    matrix: usize,
    alpha: f32,
    beta: f32,
}

impl<I: Integer> Vector<I> {
    /// None for a product that is not one.
    fn new(function: Gemv<I>, product: &Product) -> Result<Option<Self>, Unsupported> {
        let Product { dims, trans_a, trans_b, alpha, beta, .. } = *product;
        // x A = (A^T x)^T, so a row times B uses B transposed.
        let (matrix, rows, columns, transposed) = match (dims.batch, dims.m, dims.n) {
            (1, 1, _) if trans_b => (1, dims.n, dims.k, false),
            (1, 1, _) => (1, dims.k, dims.n, true),
            (1, _, 1) if trans_a => (0, dims.k, dims.m, true),
            (1, _, 1) => (0, dims.m, dims.k, false),
            _ => return Ok(None),
        };
        let (trans, rows, columns) = (transposition(transposed), integer(rows)?, integer(columns)?);
        Ok(Some(Self { function, trans, rows, columns, matrix, alpha, beta }))
    }
}

impl<I: Integer> Kernel for Vector<I> {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let Self { trans, rows, columns, alpha, beta, .. } = *self;
        let one = integer::<I>(1)?;
        let (matrix, x, y) =
            (args[self.matrix].as_ptr(), args[1 - self.matrix].as_ptr(), outs[0].as_mut_ptr());
        // SAFETY: the views hold as many elements as these extents say, x and y without gaps.
        unsafe {
            (self.function)(ROW_MAJOR, trans, rows, columns, alpha, matrix, columns, x, one, beta, y, one)
        };
        Ok(())
    }
    fn in_place(&self) -> &'static [(usize, usize)] {
        over_c(self.beta)
    }
}
