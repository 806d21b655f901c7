//! This program's own plans on every generation of cards: what is planned is loaded, bound and launched with
//! extents that a card takes.

use super::*;
use crate::workloads::{Param, Params, find};

/// A workload at a point: `m=5,n=7`.
fn program(workload: &str, point: &str) -> Program {
    let set = |part: &str| {
        let (axis, value) = part.split_once('=').unwrap();
        (axis.to_string(), value.parse().map_or(Param::Text(value.to_string()), Param::Int))
    };
    find(workload).unwrap().program(&point.split(',').map(set).collect::<Params>()).unwrap()
}

const POINTS: &[(&str, &str)] = &[
    ("gemm", "m=65,n=33,k=17"),
    ("gemm", "m=128,n=256,k=64,dtype=bf16"),
    ("gemm", "m=1,n=3072,k=768,b=parameter"),
    ("gemm_i8", "m=64,n=64,k=64,a=i8"),
    ("copy", "bytes=1048576"),
    ("triad", "bytes=1048572"),
    ("adamw", "bytes=1048576"),
    ("adamw", "bytes=1048576,p16=yes"),
    ("sgd_momentum", "bytes=4096"),
    ("softmax", "rows=3,columns=1000"),
    ("layer_norm", "rows=3,columns=768"),
    ("attention", "queries=65,heads=2"),
    ("attention", "queries=128,heads=2,dtype=bf16,mask=causal"),
];

#[test]
fn every_plan_is_bound_and_launched_on_every_generation() {
    let lane = Lane { threads: 1, packing: Packing::Plain };
    for capability in [(7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0)] {
        for (workload, point) in POINTS {
            let program = program(workload, point);
            let supported = program.steps.iter().all(|step| NATIVE.supports(&lane, step, &program).is_ok());
            assert!(supported, "{workload} {point}");
            let driver = FakeDriver::new(Script { capability, kernels: Default::default(), ..script() });
            let mut device = native(&driver, "cuda/native/0").unwrap();
            let mut loaded = device
                .load(&program, &options(1, false))
                .unwrap_or_else(|fault| panic!("{workload} {point} on {capability:?}: {fault}"));
            loaded.enqueue(0).unwrap();
            loaded.wait().unwrap();
            loaded.intact().unwrap();
            let calls = driver.calls();
            let launches: Vec<_> = calls.iter().filter(|call| call.starts_with("cuLaunchKernel")).collect();
            assert!(!launches.is_empty(), "{workload} {point}");
            launches.iter().for_each(|launch| check(launch));
        }
    }
}

/// A launch's extents are those that every card takes (CUDA C++ Programming Guide, "Technical Specifications per
/// Compute Capability").
fn check(launch: &str) {
    let numbers = |part: &str| -> Vec<u64> { part.split(", ").map(|word| word.parse().unwrap()).collect() };
    let mut brackets = launch.split(['[', ']']).skip(1).step_by(2).map(numbers);
    let (grid, block) = (brackets.next().unwrap(), brackets.next().unwrap());
    assert!(
        grid.iter().all(|extent| *extent > 0) && grid[0] < 1 << 31 && grid[1] < 65536 && grid[2] < 65536,
        "{launch}"
    );
    assert!(block.iter().all(|extent| *extent > 0) && block.iter().product::<u64>() <= 1024, "{launch}");
    let shared: u64 = launch.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(shared <= 227 << 10, "{launch}");
}

#[test]
fn the_optimizers_state_is_held_once() {
    let driver = FakeDriver::new(Script { kernels: Default::default(), ..script() });
    let program = program("adamw", "bytes=1048576");
    let mut device = native(&driver, "cuda/native/0").unwrap();
    let loaded = device.load(&program, &options(1, false)).unwrap();
    let inputs: u64 = program.inputs().map(|id| program.values[id].spec.bytes()).sum();
    assert_eq!(loaded.memory().values().sum::<u64>(), inputs);
}
