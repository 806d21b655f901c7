use super::*;
use crate::backends::cpu::conformance::{check, integer_products, is_present, products, single};
use crate::program::State;
use crate::tensor::{DType, ValueSpec};

fn lane(threads: usize, packing: Packing) -> Lane {
    Lane { threads, packing }
}

/// Every product that this processor has.
fn all() -> Vec<(Op, Vec<ValueSpec>)> {
    let mut all = products(DType::F32, DType::F32);
    for (input, output) in [
        (DType::Bf16, DType::F32),
        (DType::Bf16, DType::Bf16),
        (DType::F16, DType::F32),
        (DType::F16, DType::F16),
    ] {
        all.extend(products(input, output));
    }
    all.extend(integer_products(DType::U8, &[(0, 0), (128, 0), (7, -3)]));
    all.extend(integer_products(DType::I8, &[(0, 0), (-5, 9)]));
    all
}

#[test]
fn onednn_conforms() {
    if !is_present(&OneDnn) {
        return;
    }
    for (packing, state) in [(Packing::Plain, State::Batch), (Packing::Packed, State::Parameter)] {
        for threads in [1, 2] {
            let lane = lane(threads, packing);
            let mut device = OneDnn.open(ID, &lane).unwrap();
            let identity = device.identity();
            assert!(identity.version.starts_with("3.") && identity.hash.len() == 16, "{identity:?}");
            assert_eq!(identity.threads, threads);
            for (op, args) in all() {
                let program = single(op, &args, &[State::Batch, state]);
                match OneDnn.supports(&lane, &program.steps[0], &program) {
                    Ok(()) => check(&mut *device, &program),
                    Err(reason) => assert!(args[0].dtype.size() == 2, "{reason}"),
                }
            }
        }
    }
}

#[test]
fn packing_has_a_cost_and_a_second_copy() {
    if !is_present(&OneDnn) {
        return;
    }
    let spec = |rows, columns| ValueSpec::new(&[rows, columns], DType::F32);
    let op = || Op::Gemm(crate::ops::Gemm::plain(DType::F32));
    let program = single(op(), &[spec(64, 256), spec(256, 512)], &[State::Batch, State::Parameter]);
    let options = LoadOptions { seed: 1, sets: 3, keep_all: false };
    let mut device = OneDnn.open(ID, &lane(1, Packing::Packed)).unwrap();
    let (ns, bytes) = device.load(&program, &options).unwrap().packing_cost();
    assert!(ns > 0.0 && bytes >= 3 * 256 * 512 * 4, "{ns} ns, {bytes} bytes");
    let mut device = OneDnn.open(ID, &lane(1, Packing::Plain)).unwrap();
    assert_eq!(device.load(&program, &options).unwrap().packing_cost(), (0.0, 0));
}

#[test]
fn nothing_is_packed_that_changes_or_is_new_each_time() {
    let spec = ValueSpec::new(&[4, 4], DType::F32);
    let op = Op::Gemm(crate::ops::Gemm::plain(DType::F32));
    let packed = lane(1, Packing::Packed);
    let supports = |program: &Program| OneDnn.supports(&packed, &program.steps[0], program);
    let new = single(op.clone(), &[spec.clone(), spec.clone()], &[State::Batch, State::Batch]);
    assert!(supports(&new).is_err());
    let mut stays = single(op, &[spec.clone(), spec], &[State::Batch, State::Parameter]);
    assert!(supports(&stays).is_ok());
    stays.carry(2, 1);
    assert!(supports(&stays).is_err());
}
