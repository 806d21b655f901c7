//! The phases of BERT-base's training step, each held against the probes right before and after the step.

use super::Measured;
use super::compose::bert;
use cutgpu::backends::cpu::probe::Probes;
use cutgpu::backends::{self, Lane, LoadOptions, Packing, ProbeKind, Unsupported};
use cutgpu::compare::OWN;
use cutgpu::host;
use cutgpu::ops::Work;
use cutgpu::program::{Phase, Program};
use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Steps that count; one more before them touches every page.
const STEPS: usize = 11;
/// A probe of arithmetic about as long as a phase, because a shared machine gives short bursts more than it gives for
/// seconds, and one of memory for each of its three ways.
const FMA_MS: f64 = 1000.0;
const ADAM_MS: f64 = 300.0;
/// Bytes that a thread of the memory's probe walks.
const BEYOND_CACHES: u64 = 256 << 20;

/// Shares of their probes that forward, backward and update reach on all cores, in per cent: the middle of several.
pub(crate) fn phases() -> Measured {
    let program = bert("train")?;
    let lane = Lane { threads: host::facts().usable_cores(), packing: Packing::Plain };
    let mut rates = prober(lane.threads);
    let mut device = backends::open(OWN, &lane).map_err(|error| error.to_string())?;
    let options = LoadOptions { seed: 1, sets: 1, keep_all: false };
    let mut loaded = device.load(&program, &options).map_err(|error| error.to_string())?;
    loaded.steps(0).map_err(|error| error.to_string())?;
    let mut shares: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    let mut before = rates()?;
    for _ in 0..STEPS {
        let ns = loaded.steps(0).map_err(|error| error.to_string())?;
        let after = rates()?;
        let [fma, adam] = [0, 1].map(|probe: usize| (before[probe] + after[probe]) / 2.0);
        let share = |phase: Phase, amount: fn(Work) -> u64, rate: f64| {
            let (work, seconds) = of_phase(&program, &ns, phase);
            100.0 * amount(work) as f64 / seconds / rate
        };
        let rows = [
            ("train.bert_forward", share(Phase::Forward, |work| work.flops, fma)),
            ("train.bert_backward", share(Phase::Backward, |work| work.flops, fma)),
            ("train.adamw", share(Phase::Update, |work| work.bytes(), adam)),
        ];
        eprintln!("FMA {:.1} GFLOP/s, Adam {:.2} GB/s: {rows:.1?}", fma / 1e9, adam / 1e9);
        rows.into_iter().for_each(|(name, share)| shares.entry(name).or_default().push(share));
        before = after;
    }
    Ok(shares.into_iter().map(|(name, shares)| (name, middle(shares))).collect())
}

/// What the probes reach whenever it is asked. They have a thread of their own, started before a device's team keeps the
/// caller on one core.
fn prober(threads: usize) -> impl FnMut() -> Result<[f64; 2], String> {
    let (ask, asked) = channel::<()>();
    let (answer, answers) = channel();
    std::thread::spawn(move || {
        let mut probes = Probes::new(threads);
        while asked.recv().is_ok() {
            let _ = answer.send(rates(&mut probes));
        }
    });
    move || {
        // An idle team spins for two milliseconds.
        std::thread::sleep(Duration::from_millis(10));
        ask.send(()).map_err(|error| error.to_string())?;
        answers.recv().map_err(|error| error.to_string())?
    }
}

fn rates(probes: &mut Result<Probes, Unsupported>) -> Result<[f64; 2], String> {
    let probes = probes.as_mut().map_err(|error| error.to_string())?;
    let mut rate = |kind, ms| {
        probes.rate(kind, BEYOND_CACHES, ms).map(|reached| reached.rate).map_err(|error| error.to_string())
    };
    Ok([rate(ProbeKind::Fma, FMA_MS)?, rate(ProbeKind::Adam, ADAM_MS)?])
}

/// Work of a phase on paper, and the seconds that its steps took.
fn of_phase(program: &Program, ns: &[f64], phase: Phase) -> (Work, f64) {
    let steps = program.steps.iter().zip(ns).filter(|(step, _)| step.phase == phase);
    steps.fold((Work::default(), 0.0), |(work, seconds), (step, ns)| {
        (work + program.work_of(step), seconds + ns * 1e-9)
    })
}

/// The middle one of an odd number.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
