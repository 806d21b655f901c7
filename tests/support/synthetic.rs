//! Records of machines that do not exist, with numbers that could be real: for tests of the page, and
//! for timing it. Nothing here was measured, and every identity says so.
#![allow(unreachable_pub, dead_code)]

use cutgpu::backends::{DeviceKind, Identity, Lane, Packing};
use cutgpu::measure::protocol::ProbeKind;
use cutgpu::ops::Work;
use cutgpu::plan::{Contender, SeriesKind};
use cutgpu::program::{Phase, State};
use cutgpu::record::{
    Conditions, LoadCost, MemoryPeak, Outcome, PhaseTimes, Reading, Record, Run, SCHEMA, Series, Verification,
};
use cutgpu::suite::{Load, Scope, Sync, Temperature};
use cutgpu::workloads::{Param, Params, Yield};
use std::collections::BTreeMap;
use std::path::Path;

/// A pseudo-random number in 0..1 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators").
fn noise(seed: u64) -> f64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// A point to measure.
#[derive(Clone)]
struct Point {
    suite: &'static str,
    case: String,
    workload: &'static str,
    params: Vec<(&'static str, Param)>,
    work: Work,
    bytes: Vec<(State, u64)>,
    yields: (&'static str, f64),
    probe: ProbeKind,
}

fn int(value: u64) -> Param {
    Param::Int(value)
}

fn gemm(case: &str, m: u64, n: u64, k: u64) -> Point {
    let work =
        Work { flops: 2 * m * n * k, bytes_read: 4 * (m * k + k * n), bytes_written: 4 * m * n, spared: 0 };
    Point {
        suite: "quick",
        case: case.to_string(),
        workload: "gemm",
        params: vec![
            ("m", int(m)),
            ("n", int(n)),
            ("k", int(k)),
            ("batch", int(1)),
            ("dtype", Param::Text("f32".into())),
        ],
        work,
        bytes: vec![(State::Batch, work.bytes_read), (State::Activation, work.bytes_written)],
        yields: ("PFLOP", work.flops as f64 / 1e15),
        probe: if work.flops > 8 * work.bytes() { ProbeKind::Fma } else { ProbeKind::Read },
    }
}

fn stream(case: &'static str, bytes: u64) -> Point {
    let (read, flops, probe) = match case {
        "copy" => (bytes / 2, 0, ProbeKind::Copy),
        "triad" => (bytes / 3 * 2, bytes / 6, ProbeKind::Triad),
        _ => (bytes / 4 * 4, bytes, ProbeKind::Adam),
    };
    let work = Work { flops, bytes_read: read, bytes_written: bytes - read.min(bytes - 1), spared: 0 };
    let states = match case {
        "adamw" => {
            vec![(State::Parameter, bytes / 4), (State::Gradient, bytes / 4), (State::Optimizer, bytes / 2)]
        }
        _ => vec![(State::Batch, read), (State::Activation, bytes - read)],
    };
    Point {
        suite: "quick",
        case: case.to_string(),
        workload: case,
        params: vec![("bytes", int(bytes)), ("dtype", Param::Text("f32".into()))],
        work,
        bytes: states,
        yields: ("GB", work.bytes() as f64 / 1e9),
        probe,
    }
}

fn mlp(tokens: u64) -> Point {
    let (width, hidden) = (768, 3072);
    let weights = 4 * 2 * width * hidden;
    let work = Work {
        flops: 4 * tokens * width * hidden,
        bytes_read: weights + 4 * tokens * width,
        bytes_written: 4 * tokens * width,
        spared: 0,
    };
    Point {
        suite: "quick",
        case: "mlp-block".to_string(),
        workload: "mlp_block",
        params: vec![("tokens", int(tokens)), ("width", int(width)), ("ratio", int(4))],
        work,
        bytes: vec![
            (State::Batch, 4 * tokens * width),
            (State::Parameter, weights),
            (State::Activation, 4 * tokens * (2 * width + 2 * hidden)),
        ],
        yields: ("token", tokens as f64),
        probe: ProbeKind::Fma,
    }
}

/// The points of a run like the quick suite's.
fn points() -> Vec<Point> {
    let mut points: Vec<Point> =
        (6..=12).map(|power| gemm("square", 1 << power, 1 << power, 1 << power)).collect();
    points.push(gemm("bert-ffn", 384, 3072, 768));
    points.push(gemm("gpt2-head", 64, 50257, 768));
    points.push(gemm("one-row", 1, 3072, 768));
    for case in ["copy", "triad", "adamw"] {
        points.extend([32 << 10, 512 << 10, 8 << 20, 256 << 20].map(|bytes| stream(case, bytes)));
    }
    points.extend([16, 128, 512].map(mlp));
    points
}

/// Largest rates of the machine.
#[derive(Clone, Copy)]
struct Rates {
    flops: f64,
    bytes: f64,
    last_level: f64,
}

/// Contenders: backend, threads, packing, share of the peak at its best, size at which it has half of it.
const CONTENDERS: [(&str, usize, Packing, f64, f64); 12] = [
    ("cpu/naive", 1, Packing::Plain, 0.021, 0.0),
    ("cpu/native", 1, Packing::Plain, 0.93, 40.0),
    ("cpu/native", 2, Packing::Plain, 0.96, 60.0),
    ("cpu/native", 2, Packing::Packed, 0.97, 20.0),
    ("cpu/matrixmultiply", 1, Packing::Plain, 0.61, 70.0),
    ("cpu/matrixmultiply", 2, Packing::Plain, 0.55, 120.0),
    ("cpu/gemm", 1, Packing::Plain, 0.83, 60.0),
    ("cpu/gemm", 2, Packing::Plain, 0.78, 110.0),
    ("cpu/openblas", 1, Packing::Plain, 0.94, 50.0),
    ("cpu/openblas", 2, Packing::Plain, 0.93, 80.0),
    ("cpu/onednn", 1, Packing::Plain, 0.95, 90.0),
    ("cpu/onednn", 2, Packing::Plain, 0.95, 150.0),
];

/// The record of one contender at one point.
fn record(point: &Point, number: usize, lane: usize, twin: bool, rates: Rates, host: &str) -> Record {
    let (backend, threads, packing, best, half) = CONTENDERS[lane];
    let is_arithmetic = matches!(point.probe, ProbeKind::Fma);
    let footprint: f64 = point.bytes.iter().map(|(_, bytes)| *bytes as f64).sum();
    let cached = 1.0 + 9.0 / (1.0 + (footprint / rates.last_level).powi(2));
    let peak = if is_arithmetic { rates.flops } else { rates.bytes * cached } * threads as f64 / 2.0;
    let amount = if is_arithmetic { point.work.flops } else { point.work.bytes() } as f64;
    let size = (point.work.flops.max(point.work.bytes()) as f64).cbrt();
    let reached = match (is_arithmetic, backend) {
        (true, _) => peak * best * size / (size + half),
        (false, "cpu/naive") => peak * 0.4,
        (false, _) => peak * (0.9 + 0.08 * best),
    };
    let seed = (number * 1009 + lane * 31 + usize::from(twin) * 7) as u64;
    let (starts, rounds) = (3u32, 8u32);
    let samples = starts * rounds;
    let wobble = |sample: u32| {
        let start = 1.0 + 0.012 * (noise(seed ^ u64::from(sample / rounds) << 40) - 0.5);
        start * (1.0 + 0.02 * noise(seed ^ u64::from(sample) << 20).powi(3))
    };
    let series = |scope: Scope, sync: Sync, load: Load, factor: f64| Series {
        kind: SeriesKind { scope, sync, load, temperature: Temperature::Hot },
        iters: vec![64; starts as usize],
        ns: (0..samples).map(|sample| amount / reached * 1e9 * factor * wobble(sample)).collect(),
        start: (0..samples).map(|sample| sample / rounds).collect(),
        round: (0..samples).collect(),
        run_delay_ns: vec![0; samples as usize],
        steal_ns: vec![0; samples as usize],
        probe: Some(point.probe),
        probe_rate: (0..samples).map(|sample| peak * (2.0 - wobble(sample))).collect(),
        latency_ns: (sync == Sync::Each).then_some([1.0, 1.1, 1.4].map(|f| f * amount / reached * 1e9)),
        discarded: (seed % 3) as u32,
        noisy: if seed.is_multiple_of(23) { samples / 4 } else { 0 },
        stop: "settled".to_string(),
    };
    let params: Params = point.params.iter().map(|(axis, value)| (axis.to_string(), value.clone())).collect();
    let shown: Vec<String> = point
        .params
        .iter()
        .filter(|(axis, _)| !["batch", "dtype", "ratio"].contains(axis))
        .map(|(axis, value)| format!("{axis}={value}"))
        .collect();
    let mut all = vec![series(Scope::Resident, Sync::Batch, Load::Burst, 1.0)];
    if number.is_multiple_of(5) && !twin {
        all.push(series(Scope::Resident, Sync::Each, Load::Burst, 1.03));
        all.push(series(Scope::Resident, Sync::Batch, Load::Sustained, 1.06));
    }
    Record {
        schema: SCHEMA.to_string(),
        key: format!("{number:08x}{lane:07x}{}", u8::from(twin)),
        repeat: 0,
        visit: 0,
        group: format!("{}/{}/{}", point.suite, point.case, shown.join(",")),
        suite: point.suite.to_string(),
        case: point.case.clone(),
        workload: point.workload.to_string(),
        point: params,
        contender: Contender { backend: backend.to_string(), lane: Lane { threads, packing }, twin },
        program: "5e17".to_string(),
        expanded: Vec::new(),
        build: "b111d".to_string(),
        host: host.to_string(),
        started: format!("2026-11-23T12:{:02}:{:02}Z", number / 60 % 60, number % 60),
        seed: 1,
        quick: true,
        work: point.work,
        yields: Yield { unit: point.yields.0.to_string(), amount: point.yields.1 },
        bytes: point.bytes.iter().copied().collect(),
        identity: Some(Identity {
            name: format!("synthetic {backend}"),
            version: "0".to_string(),
            origin: "synthetic".to_string(),
            threads,
            ..Identity::default()
        }),
        device: Some(DeviceKind::Cpu),
        conditions: Conditions { debug_build: false, cores: 2, ..Conditions::default() },
        outcome: Outcome::Measured,
        interleaved: true,
        host_memory: Some(true),
        clock_precision_ns: Some(20.0),
        verification: Some(Verification {
            elements: 4096,
            complete: false,
            worst: 0.2,
            median_relative: 1e-8,
            fell_back_precision: false,
            mistrusted: false,
        }),
        loads: vec![LoadCost { load_ns: 1e6, packing_ns: 0.0, packing_bytes: 0 }],
        memory: Reading::Value(MemoryPeak {
            baseline: 9 << 20,
            peak: (footprint * (1.04 + 0.1 * noise(seed))) as u64,
            held: BTreeMap::new(),
            driver: None,
        }),
        phases: Reading::Absent("not asked for".to_string()),
        energy_j: Reading::Absent("no energy counter is readable here".to_string()),
        series: all,
    }
}

fn without_number(record: Record, outcome: Outcome) -> Record {
    let absent = || "not run".to_string();
    Record {
        outcome,
        identity: None,
        device: None,
        verification: None,
        loads: Vec::new(),
        memory: Reading::Absent(absent()),
        phases: Reading::Absent(absent()),
        energy_j: Reading::Absent(absent()),
        series: Vec::new(),
        ..record
    }
}

/// One model trained, fine-tuned and asked, by one backend: a full step takes 4 times as long as inference and holds
/// 5 times as much; the head on cached features takes a hundredth.
pub(crate) fn training(host: &str) -> Vec<Record> {
    let uses = [("infer", 1.0, [1.0, 0.0, 0.0], 200), ("train", 4.0, [0.25, 0.7, 0.05], 1000)]
        .into_iter()
        .chain([("features", 0.04, [0.3, 0.3, 0.4], 210)]);
    let of = |(number, (mode, slower, shares, held)): (usize, (&'static str, f64, [f64; 3], u64))| {
        let mut point = mlp(1024);
        (point.suite, point.workload) = ("finetune", "bert");
        point.case = "bert-modes".to_string();
        point.params = vec![("mode", Param::Text(mode.into())), ("batch", int(8)), ("length", int(128))];
        point.params.push(("last", int(1)));
        let rates = Rates { flops: 140e9 / slower, bytes: 18e9 / slower, last_level: 32e6 };
        let record = record(&point, number, 1, false, rates, host);
        let [forward, backward, update] = shares.map(|share| share * slower * 1e8);
        let ns = [(Phase::Forward, forward), (Phase::Backward, backward), (Phase::Update, update)];
        let held = BTreeMap::from([(State::Parameter, 100 << 20), (State::Activation, (held - 100) << 20)]);
        let peak = held.values().sum::<u64>() + (4 << 20);
        Record {
            memory: Reading::Value(MemoryPeak { baseline: 9 << 20, peak, held, driver: None }),
            phases: Reading::Value(PhaseTimes { whole_ns: slower * 1e8, ns: ns.into() }),
            ..record
        }
    };
    uses.enumerate().map(of).collect()
}

/// Records of one run on a machine whose facts hash to `host`: what the quick suite leaves, with a
/// skipped backend, a crash and a wrong answer.
pub(crate) fn quick(host: &str, speed: f64) -> Vec<Record> {
    let rates = Rates { flops: 140e9 * speed, bytes: 18e9 * speed, last_level: 32e6 };
    let mut records = Vec::new();
    for (number, point) in points().iter().enumerate() {
        for (lane, contender) in CONTENDERS.iter().enumerate() {
            let takes = point.workload == "gemm" || ["cpu/naive", "cpu/native"].contains(&contender.0);
            // Naive loops would take minutes at the largest sizes.
            let too_slow = contender.0 == "cpu/naive" && point.work.flops > 20_000_000_000;
            let streams = point.workload != "gemm" && contender.2 == Packing::Packed;
            if takes && !too_slow && !streams {
                records.push(record(point, number, lane, false, rates, host));
            }
        }
        if point.workload == "gemm" && number % 2 == 0 {
            records.push(record(point, number, 9, true, rates, host));
        }
        let mkl = record(point, number, 9, false, rates, host);
        let reason =
            "cpu/mkl: no library called libmkl_rt.so.2 was found; `make peers` fetches it".to_string();
        let contender = Contender { backend: "cpu/mkl".to_string(), ..mkl.contender.clone() };
        records.push(Record { contender, ..without_number(mkl, Outcome::Skipped { reason }) });
    }
    let points = points();
    let crash =
        Outcome::Failed { kind: "segfault".into(), message: "the worker was ended by signal 11".into() };
    let wrong = Outcome::Wrong { message: "element 7 of gemm0.0 is 3.25 and should be 3.5 ± 1e-5".into() };
    for (point, (backend, outcome)) in [("cpu/blis", crash), ("peer/numpy", wrong)].into_iter().enumerate() {
        let like = record(&points[point], point, 9, false, rates, host);
        let contender = Contender { backend: backend.to_string(), ..like.contender.clone() };
        records.push(Record { contender, ..without_number(like, outcome) });
    }
    records
}

/// `count` records of as many sizes as that takes.
pub(crate) fn many(count: usize) -> Vec<Record> {
    let rates = Rates { flops: 140e9, bytes: 18e9, last_level: 32e6 };
    let sizes = (0..).flat_map(|number| (0..CONTENDERS.len()).map(move |lane| (number, lane)));
    sizes
        .take(count)
        .map(|(number, lane)| {
            let size = 64 + 8 * (number as u64 % 500);
            let mut point = gemm("square", size, size, size);
            point.case = format!("sweep-{}", number / 500);
            record(&point, number, lane, false, rates, "5e17e71c")
        })
        .collect()
}

/// The contents of host.json on this machine under another name for its processor; no measured ceilings.
pub(crate) fn host(processor: &str) -> serde_json::Value {
    let mut facts = serde_json::to_value(cutgpu::host::facts()).unwrap();
    facts["cpu"]["model"] = serde_json::json!({ "value": processor });
    let build = serde_json::to_value(cutgpu::host::build()).unwrap();
    serde_json::json!({ "hash": "5e17e71c", "facts": facts, "peaks": { "rows": [] }, "builds": { "b111d": build } })
}

/// A text that would be harmful if any part of it were taken for markup.
pub(crate) const HOSTILE: &str =
    "</script><script>alert(1)</script>\"'&<img src=x onerror=alert(2)>\u{202e}\u{0}\u{1b}[2J\u{ffff}";

/// Records and facts full of it.
pub(crate) fn hostile() -> Run {
    let mut records = quick("5e17e71c", 1.0);
    for record in &mut records {
        record.case += HOSTILE;
        record.group = format!("{}/{}/m=1,{HOSTILE}=2", record.suite, record.case);
        record.contender.backend += HOSTILE;
        record.host = HOSTILE.to_string();
        record.started = HOSTILE.to_string();
        record.yields.unit += HOSTILE;
        record.memory = Reading::Absent(HOSTILE.to_string());
        if let Outcome::Skipped { reason } = &mut record.outcome {
            *reason = HOSTILE.to_string();
        }
    }
    Run { name: HOSTILE.to_string(), records, host: Some(host(HOSTILE)), ..Run::default() }
}

/// Writes a run's folder.
pub(crate) fn write(folder: &Path, records: &[Record], facts: &serde_json::Value) {
    std::fs::create_dir_all(folder).unwrap();
    let lines: Vec<String> = records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
    std::fs::write(folder.join("run.jsonl"), lines.join("\n") + "\n").unwrap();
    std::fs::write(folder.join("host.json"), facts.to_string()).unwrap();
}
