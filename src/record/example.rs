//! Records for tests.

use super::*;
use crate::backends::{Lane, Packing};
use crate::measure::protocol::ProbeKind;
use crate::plan::SeriesKind;
use crate::suite::{Load, Scope, Sync, Temperature};
use crate::workloads::Param;

/// A throughput series of 3 starts x 4 rounds about `ns` nanoseconds.
pub(crate) fn series(ns: f64) -> Series {
    let samples = 12;
    Series {
        kind: SeriesKind {
            scope: Scope::Resident,
            sync: Sync::Batch,
            load: Load::Burst,
            temperature: Temperature::Hot,
        },
        iters: vec![100; 3],
        ns: (0..samples).map(|sample| ns * (1.0 + 0.001 * f64::from(sample % 5))).collect(),
        start: (0..samples).map(|sample| sample / 4).collect(),
        round: (0..samples).collect(),
        run_delay_ns: vec![0; samples as usize],
        steal_ns: vec![0; samples as usize],
        probe: Some(ProbeKind::Fma),
        probe_rate: vec![3e11; samples as usize],
        latency_ns: None,
        discarded: 0,
        noisy: 0,
        stop: "settled".to_string(),
    }
}

/// A cell that was measured.
pub(crate) fn measured() -> Record {
    let point: Params = [("m", 512), ("n", 512), ("k", 512)]
        .map(|(axis, extent)| (axis.to_string(), Param::Int(extent)))
        .into_iter()
        .collect();
    Record {
        schema: SCHEMA.to_string(),
        key: "0123456789abcdef".to_string(),
        repeat: 0,
        visit: 0,
        group: "matmul/square/m=512,n=512,k=512".to_string(),
        suite: "matmul".to_string(),
        case: "square".to_string(),
        workload: "gemm".to_string(),
        point,
        contender: Contender {
            backend: "cpu/native".to_string(),
            lane: Lane { threads: 2, packing: Packing::Plain },
            twin: false,
        },
        program: "00112233".to_string(),
        expanded: vec!["layer_norm".to_string()],
        build: "44556677".to_string(),
        host: "8899aabb".to_string(),
        started: "2026-11-23T12:00:00Z".to_string(),
        work: Work { flops: 2 << 27, bytes_read: 2 << 20, bytes_written: 1 << 20, spared: 0 },
        yields: Yield { unit: "PFLOP".to_string(), amount: 2.6e-7 },
        bytes: [(State::Batch, 2 << 20), (State::Activation, 1 << 20)].into_iter().collect(),
        identity: Some(Identity { name: "cutgpu".to_string(), threads: 2, ..Identity::default() }),
        device: Some(DeviceKind::Cpu),
        conditions: Conditions { debug_build: false, cores: 2, ..Conditions::default() },
        outcome: Outcome::Measured,
        seed: 0,
        quick: false,
        interleaved: true,
        host_memory: Some(true),
        clock_precision_ns: Some(20.0),
        verification: Some(Verification {
            elements: 1 << 18,
            complete: true,
            worst: 0.25,
            median_relative: 0.0625,
            fell_back_precision: false,
            mistrusted: false,
        }),
        loads: vec![LoadCost { load_ns: 1e6, packing_ns: 0.0, packing_bytes: 0 }],
        memory: Reading::Value(MemoryPeak {
            baseline: 1 << 24,
            peak: 3 << 20,
            held: [(State::Batch, 2 << 20)].into_iter().collect(),
            driver: None,
        }),
        phases: Reading::Absent("the program has one phase".to_string()),
        energy_j: Reading::Absent("no energy counter is readable here".to_string()),
        series: vec![series(1e6)],
    }
}

/// One record of every outcome.
pub(crate) fn every_outcome() -> Vec<Record> {
    let without = |outcome| Record { outcome, series: vec![], loads: vec![], ..measured() };
    let reason = "cpu/mkl: no library was found".to_string();
    let wrong = Record {
        verification: measured().verification.map(|check| Verification {
            worst: f64::INFINITY,
            mistrusted: true,
            ..check
        }),
        ..without(Outcome::Wrong { message: "element 7 is NaN".to_string() })
    };
    let skipped = Record {
        identity: None,
        device: None,
        verification: None,
        memory: Reading::Absent("not run".to_string()),
        ..without(Outcome::Skipped { reason })
    };
    let failed = without(Outcome::Failed { kind: "segfault".to_string(), message: "signal 11".to_string() });
    vec![measured(), skipped, failed, wrong]
}
