use super::*;
use crate::backends::cpu::conformance::{check, integer_products, is_present, products, single};
use crate::ops::{Gemm, Op};
use crate::tensor::{DType, ValueSpec};
use std::path::Path;
use std::process::Command;

fn lane(threads: usize) -> Lane {
    Lane { threads, packing: Packing::Plain }
}

/// Every product of a library that is here, on one thread and on two.
fn conforms(family: &'static Cblas) {
    if !is_present(family) {
        return;
    }
    for threads in [1, 2] {
        let mut device = family.open(family.id, &lane(threads)).unwrap();
        let identity = device.identity();
        assert!(!identity.version.is_empty() && identity.hash.len() == 16, "{identity:?}");
        assert_eq!(identity.threads, threads);
        assert!(!format!("{identity:?}").contains("/.peers"), "a path: {identity:?}");
        for (op, args) in products(DType::F32, DType::F32) {
            check(&mut *device, &single(op, &args, &[]));
        }
        for dtype in [DType::Bf16, DType::F16] {
            served(family, &mut *device, products(dtype, DType::F32));
        }
        served(family, &mut *device, integer_products(DType::U8, &[(0, 0), (128, 0), (7, -3)]));
    }
}

/// Checks those products that the family says it has; a load may refuse none of them.
fn served(family: &Cblas, device: &mut dyn Device, products: Vec<(Op, Vec<ValueSpec>)>) {
    for (op, args) in products {
        let program = single(op, &args, &[]);
        match family.supports(&lane(1), &program.steps[0], &program) {
            Ok(()) => check(device, &program),
            Err(reason) => {
                let options = LoadOptions { seed: 1, sets: 1, keep_all: false };
                assert!(device.load(&program, &options).is_err(), "{reason}");
            }
        }
    }
}

#[test]
fn openblas_conforms() {
    conforms(&OPENBLAS);
}

#[test]
fn blis_conforms() {
    conforms(&BLIS);
}

#[test]
fn mkl_conforms() {
    conforms(&MKL);
}
