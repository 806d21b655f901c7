//! criterion's clock around a library's `cblas_sgemm`, to hold cutgpu's against: a plain `b.iter`, with
//! nothing of cutgpu in between. `CUTGPU_TRUTH_LIBRARY` names the library, `CUTGPU_TRUTH_N` the size.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]
#![allow(unsafe_code, reason = "a function of a library opened at run time is called")]

use criterion::{Criterion, criterion_group, criterion_main};
use std::ffi::c_int;

type Sgemm = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    f32,
    *const f32,
    c_int,
    *const f32,
    c_int,
    f32,
    *mut f32,
    c_int,
);

fn gemm(criterion: &mut Criterion) {
    let Ok(path) = std::env::var("CUTGPU_TRUTH_LIBRARY") else { return };
    let n: usize = std::env::var("CUTGPU_TRUTH_N").ok().and_then(|text| text.parse().ok()).unwrap_or(512);
    // SAFETY: the library is a BLAS that the caller chose; its constructors are its own. It is leaked,
    // since a BLAS keeps threads that outlive an unloading.
    let library = Box::leak(Box::new(unsafe { libloading::Library::new(path) }.expect("the library opens")));
    let names = ["cblas_sgemm", "scipy_cblas_sgemm"];
    let found = names.iter().find_map(|name| {
        // SAFETY: the symbol of this name has the type of CBLAS with 32-bit integers.
        unsafe { library.get::<Sgemm>(name.as_bytes()) }.ok()
    });
    let sgemm = *found.expect("the library has cblas_sgemm");
    let values = |seed| {
        cutgpu::random::fill(cutgpu::random::Fill::UNIT, seed, 0, cutgpu::tensor::DType::F32, 0..n * n)
    };
    let [cutgpu::tensor::HostArray::F32(a), cutgpu::tensor::HostArray::F32(b)] = [values(1), values(2)]
    else {
        unreachable!("f32 was asked for")
    };
    let (mut c, size) = (vec![0f32; n * n], n as c_int);
    criterion.bench_function("truth", |bencher| {
        // SAFETY: three arrays of n x n elements, row-major, as the arguments say.
        bencher.iter(|| unsafe {
            sgemm(
                101,
                111,
                111,
                size,
                size,
                size,
                1.0,
                a.as_ptr(),
                size,
                b.as_ptr(),
                size,
                0.0,
                c.as_mut_ptr(),
                size,
            );
        });
    });
}

// Its plots need fonts that this build leaves out.
criterion_group! { name = benches; config = Criterion::default().without_plots(); targets = gemm }
criterion_main!(benches);
