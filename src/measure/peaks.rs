//! The machine's ceilings, measured once: arithmetic in registers, and memory level by level.

use super::peer::{Hire, Peer};
use super::protocol::{Ask, ProbeKind, Reply};
use crate::backends::{Ceiling, Lane, Packing};
use crate::host::Facts;
use crate::plan::Contender;
use crate::units::Reading;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A probe that takes longer than this has hung.
const LIMIT: Duration = Duration::from_secs(10);
/// The same for all probes of a device, whose kernels may have to be compiled.
const DEVICE_LIMIT: Duration = Duration::from_secs(60);
/// Tries of each probe, of which the best counts: a ceiling is what the machine can do undisturbed.
const TRIES: usize = 2;
/// Bytes that stand for main memory where the size of the last cache is unknown, and the most that one
/// thread touches: filling more would take longer than reading it.
const MEMORY: u64 = 256 << 20;

/// Measured ceilings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// One entry a probe, thread count and place.
    pub rows: Vec<Peak>,
    /// Ceilings of devices with memory of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceCeilings>,
}

/// Ceilings of one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceCeilings {
    /// The backend whose kernels measured them.
    pub backend: String,
    /// What it can do at best.
    pub ceilings: Vec<Ceiling>,
}

/// One ceiling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// Which.
    pub probe: ProbeKind,
    /// Threads that computed.
    pub threads: usize,
    /// Where the data lay: `registers`, `L1`, `L2`, `L3`, `memory`.
    pub place: String,
    /// Bytes touched by each thread; 0 for arithmetic.
    pub footprint: u64,
    /// Operations or bytes a second, all threads together; the reason where there is none.
    pub rate: Reading<f64>,
}

/// What to measure.
type Wanted = (ProbeKind, String, u64);

impl Peaks {
    /// Measures every ceiling on one thread and on all cores, about `ms` milliseconds each.
    pub fn measure(hire: &dyn Hire, facts: &Facts, ms: f64) -> Self {
        let all = facts.usable_cores();
        let counts: &[usize] = if all > 1 { &[1, all] } else { &[1] };
        let mut rows = Vec::new();
        let mut prober = hire.hire_prober(LIMIT).map_err(|crash| crash.to_string());
        for &threads in counts {
            for (probe, place, footprint) in ceilings(facts, threads) {
                let rate = match &mut prober {
                    Ok(peer) => best(peer.as_mut(), probe, threads, footprint, ms / TRIES as f64),
                    Err(reason) => Reading::absent(reason.clone()),
                };
                rows.push(Peak { probe, threads, place, footprint, rate });
            }
        }
        Self { rows, devices: Vec::new() }
    }

    /// Adds the ceilings of the devices of `backends`, which open. One that tells none, or cannot, adds nothing:
    /// its own check says why.
    pub fn add_devices<'a>(&mut self, hire: &dyn Hire, backends: impl Iterator<Item = &'a str>) {
        for backend in backends {
            let lane = Lane { threads: 1, packing: Packing::Plain };
            let contender = Contender { backend: backend.to_string(), lane, twin: false };
            let answer =
                hire.hire(&contender, LIMIT).and_then(|mut peer| peer.ask(&Ask::Ceilings, DEVICE_LIMIT));
            if let Ok(Reply::Ceilings { ceilings }) = answer
                && !ceilings.is_empty()
            {
                self.devices.push(DeviceCeilings { backend: backend.to_string(), ceilings });
            }
        }
    }

    /// The ceiling of a probe on `threads` threads at a place.
    pub fn rate(&self, probe: ProbeKind, threads: usize, place: &str) -> Option<f64> {
        let is = |peak: &&Peak| peak.probe == probe && peak.threads == threads && peak.place == place;
        self.rows.iter().find(is)?.rate.value().copied()
    }
}

/// Every ceiling worth measuring on `threads` threads.
fn ceilings(facts: &Facts, threads: usize) -> Vec<Wanted> {
    let arithmetic = [ProbeKind::Fma, ProbeKind::Vnni, ProbeKind::Bf16];
    let mut list: Vec<Wanted> = arithmetic.map(|probe| (probe, "registers".to_string(), 0)).into();
    for cache in &facts.caches {
        // Half of a thread's part: the other half is for the stack and for whoever else runs.
        let sharers = cache.shared_by.min(threads).max(1) as u64;
        list.push((ProbeKind::Read, format!("L{}", cache.level), cache.bytes.0 / sharers / 2));
    }
    let last = facts.last_level_bytes().map_or(MEMORY, |bytes| bytes.0.saturating_mul(4));
    let each = (last / threads as u64).clamp(16 << 20, MEMORY);
    for probe in [ProbeKind::Read, ProbeKind::Copy, ProbeKind::Triad, ProbeKind::Adam] {
        list.push((probe, "memory".to_string(), each));
    }
    list
}

fn best(peer: &mut dyn Peer, probe: ProbeKind, threads: usize, footprint: u64, ms: f64) -> Reading<f64> {
    let mut best: Reading<f64> = Reading::absent("the probe gave no rate");
    for _ in 0..TRIES {
        match peer.ask(&Ask::Probe { probe, threads, footprint, ms }, LIMIT) {
            Ok(Reply::Probed { rate, .. }) if best.value().is_none_or(|&other| rate > other) => {
                best = Reading::Value(rate);
            }
            Ok(_) => {}
            Err(crash) if best.value().is_none() => return Reading::absent(crash.to_string()),
            Err(_) => {}
        }
    }
    best
}
