use super::*;
use crate::backends::testing::{is_present, single, squares};
use crate::host;
use crate::ops::{Gemm, GemmI8};
use crate::program::State;
use crate::tensor::{DType, ValueSpec};

fn lane(threads: usize, packing: Packing) -> Lane {
    Lane { threads, packing }
}

#[test]
fn onednn_says_who_it_is_and_uses_the_threads_of_its_lane() {
    if !is_present(&OneDnn) {
        return;
    }
    for threads in [1, 2] {
        let identity = OneDnn.open(ID, &lane(threads, Packing::Plain)).unwrap().identity();
        assert!(identity.version.starts_with("3.") && identity.hash.len() == 16, "{identity:?}");
        assert_eq!(identity.threads, threads);
    }
}

#[test]
fn single_precision_is_served_everywhere_and_integers_where_their_sums_are_exact() {
    let integers = |a| (Op::GemmI8(GemmI8::default()), [a, DType::I8]);
    let single_precision = (Op::Gemm(Gemm::plain(DType::F32)), [DType::F32; 2]);
    for (op, dtypes) in [integers(DType::U8), integers(DType::I8), single_precision] {
        let program = single(op, &squares(&dtypes), &[]);
        let answer = OneDnn.supports(&lane(1, Packing::Plain), &program.steps[0], &program);
        let is_exact = dtypes[0] == DType::F32 || host::cpuid::adds_bytes_exactly();
        assert!(is_exact == answer.is_ok(), "{dtypes:?}: {answer:?}");
    }
}

#[test]
fn packing_has_a_cost_and_a_second_copy() {
    if !is_present(&OneDnn) {
        return;
    }
    let spec = |rows, columns| ValueSpec::new(&[rows, columns], DType::F32);
    let op = || Op::Gemm(Gemm::plain(DType::F32));
    let program = single(op(), &[spec(64, 256), spec(256, 512)], &[State::Batch, State::Parameter]);
    let options = LoadOptions { seed: 1, sets: 3, keep_all: false };
    let mut device = OneDnn.open(ID, &lane(1, Packing::Packed)).unwrap();
    let (ns, bytes) = device.load(&program, &options).unwrap().packing_cost();
    let anew = ns > 0.0 && bytes >= 3 * 256 * 512 * 4;
    // Without AVX-512 it multiplies weights where they lie, so that the packed lane costs nothing and gains nothing.
    let in_place = (ns, bytes) == (0.0, 0) && !host::facts().has("avx512f");
    assert!(anew || in_place, "{ns} ns, {bytes} bytes");
    let mut device = OneDnn.open(ID, &lane(1, Packing::Plain)).unwrap();
    assert_eq!(device.load(&program, &options).unwrap().packing_cost(), (0.0, 0));
}

#[test]
fn nothing_is_packed_that_changes_or_is_new_each_time() {
    let spec = ValueSpec::new(&[4, 4], DType::F32);
    let op = Op::Gemm(Gemm::plain(DType::F32));
    let packed = lane(1, Packing::Packed);
    let supports = |program: &Program| OneDnn.supports(&packed, &program.steps[0], program);
    let new = single(op.clone(), &[spec.clone(), spec.clone()], &[State::Batch, State::Batch]);
    assert!(supports(&new).is_err());
    let mut stays = single(op, &[spec.clone(), spec], &[State::Batch, State::Parameter]);
    assert!(supports(&stays).is_ok());
    stays.carry(2, 1);
    assert!(supports(&stays).is_err());
}
