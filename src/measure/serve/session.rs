//! What a worker holds between requests: an open device and at most one loaded program.

use super::probes::ProbeTeams;
use super::timing;
use crate::backends::cpu::probe::Reached;
use crate::backends::{
    self, Device, DeviceKind, Fault, Lane, LoadOptions, Loaded, ProbeKind, Telemetry, Unsupported,
};
use crate::host::{clock, process};
use crate::measure::protocol::{Ask, PROTOCOL, Reply};
use crate::program::{Program, ValueId};
use crate::suite::{Scope, Sync};
use crate::units::Bytes;
use std::collections::BTreeMap;
use std::fs;

/// More threads than any host has: a request beyond it is a mistake.
const MOST_THREADS: usize = 4096;
/// More executions than a profile needs.
const MOST_PROFILED: u64 = 1000;
/// More input sets than any cache needs.
const MOST_SETS: usize = 1 << 16;

/// Why a request was not met.
enum Failure {
    /// The device could not.
    Fault(Fault),
    /// It made no sense here.
    Refused(String),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

type Answer = Result<Reply, Failure>;

fn refused<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Refused(why.into()))
}

/// A program on the device.
struct Held {
    loaded: Box<dyn Loaded>,
    program: Program,
    sets: usize,
}

/// An open device.
struct Opened {
    device: Box<dyn Device>,
    backend: String,
}

/// Opens a backend by name at a lane.
pub type Open = fn(&str, &Lane) -> Result<Box<dyn Device>, Unsupported>;

/// Everything a worker holds; the program is dropped before its device.
pub(crate) struct Session {
    open: Open,
    held: Option<Held>,
    opened: Option<Opened>,
    probes: ProbeTeams,
    peak_is_known: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self::with(backends::open)
    }
}

impl Session {
    /// A session whose backend `open` opens.
    pub(crate) fn with(open: Open) -> Self {
        Self { open, held: None, opened: None, probes: ProbeTeams::default(), peak_is_known: true }
    }

    /// A session that has said hello to `device`.
    #[cfg(test)]
    pub(crate) fn of(device: Box<dyn Device>) -> Self {
        Self { opened: Some(Opened { device, backend: "null".to_string() }), ..Self::default() }
    }

    /// Does what `ask` wants.
    pub(crate) fn answer(&mut self, ask: Ask) -> Reply {
        let answer = match ask {
            Ask::Hello { protocol, backend, lane } => self.hello(protocol, backend, &lane),
            Ask::Load { program, seed, sets, keep_all } => {
                self.load(program, &LoadOptions { seed, sets, keep_all })
            }
            Ask::Verify => self.held().and_then(verify),
            Ask::Calibrate { scope, sync, min_ns } => self.held().and_then(|held| {
                let calibrated = timing::calibrate(&mut *held.loaded, held.sets, scope, sync, min_ns);
                let (iters, each_ns) = calibrated?;
                Ok(Reply::Calibrated { iters, each_ns })
            }),
            Ask::Sample { iters: 0, .. } => refused("a sample of 0 executions takes no time"),
            Ask::Sample { scope, sync, iters } => self.sample(scope, sync, iters),
            Ask::Profile { times } if !(1..=MOST_PROFILED).contains(&times) => {
                refused(format!("{times} profiled executions: 1 to {MOST_PROFILED} are possible"))
            }
            Ask::Profile { times } => self.held().and_then(|held| {
                let (whole_ns, steps_ns) = timing::profile(&mut *held.loaded, times)?;
                Ok(Reply::Profiled { whole_ns, steps_ns })
            }),
            Ask::Probe { probe, threads, footprint, ms } => self.probe(threads, (probe, footprint, ms)),
            Ask::Ceilings => self.ceilings(),
            Ask::Read { value, set, offset, len, path } => {
                self.held().and_then(|held| read(held, value, set, (offset, len), &path))
            }
            Ask::Memory { reset_peak } => Ok(self.memory(reset_peak)),
            Ask::Free | Ask::Quit => {
                self.held = None;
                Ok(Reply::Done)
            }
        };
        match answer {
            Ok(reply) => reply,
            Err(Failure::Fault(fault)) => Reply::Fault(fault),
            Err(Failure::Refused(why)) => Reply::Refused { why },
        }
    }

    fn hello(&mut self, protocol: u32, backend: String, lane: &Lane) -> Answer {
        if protocol != PROTOCOL {
            return refused(format!("this worker speaks protocol {PROTOCOL}, not {protocol}"));
        }
        if let Some(opened) = &self.opened {
            return refused(format!("{} is open already: a worker serves one backend", opened.backend));
        }
        check_threads(lane.threads)?;
        let device = (self.open)(&backend, lane).map_err(Fault::from)?;
        let identity = device.identity();
        self.opened = Some(Opened { device, backend });
        let clock_precision_ns = timing::precision(clock::now);
        Ok(Reply::Hello { protocol: PROTOCOL, pid: std::process::id(), identity, clock_precision_ns })
    }

    fn load(&mut self, program: Program, options: &LoadOptions) -> Answer {
        let Some(opened) = &mut self.opened else { return refused("say hello first") };
        if options.sets == 0 || options.sets > MOST_SETS {
            return refused(format!("{} input sets: 1 to {MOST_SETS} are possible", options.sets));
        }
        if let Err(why) = program.validate() {
            return refused(format!("the program is wrong: {why}"));
        }
        fits(&program, options.sets, &opened.backend)?;
        self.held = None;
        let begin = clock::now();
        let loaded = opened.device.load(&program, options)?;
        let load_ns = (clock::now() - begin) as f64;
        let (packing_ns, packing_bytes) = loaded.packing_cost();
        let (bytes, host_memory, notes) = (loaded.memory(), loaded.is_host_memory(), loaded.notes());
        self.held = Some(Held { loaded, program, sets: options.sets });
        Ok(Reply::Loaded { load_ns, packing_ns, packing_bytes, bytes, host_memory, notes })
    }

    fn probe(&mut self, threads: usize, job: (ProbeKind, u64, f64)) -> Answer {
        check_threads(threads)?;
        let Reached { rate, run_delay_ns } = self.probes.rate(threads, job)?;
        Ok(Reply::Probed { rate, run_delay_ns })
    }

    fn sample(&mut self, scope: Scope, sync: Sync, iters: u64) -> Answer {
        let before = self.telemetry();
        let held = self.held()?;
        let mut sampled = timing::sample(&mut *held.loaded, held.sets, scope, sync, iters)?;
        sampled.device = before.zip(self.telemetry()).map(|(before, after)| [before, after]);
        Ok(Reply::Sample(sampled))
    }

    fn telemetry(&self) -> Option<Telemetry> {
        self.opened.as_ref()?.device.telemetry()
    }

    fn ceilings(&mut self) -> Answer {
        let Some(opened) = &mut self.opened else { return refused("say hello first") };
        Ok(Reply::Ceilings { ceilings: opened.device.ceilings()? })
    }

    fn held(&mut self) -> Result<&mut Held, Failure> {
        self.held.as_mut().ok_or_else(|| Failure::Refused("no program is loaded".to_string()))
    }

    fn memory(&mut self, reset_peak: bool) -> Reply {
        if reset_peak {
            // A mark that could not be restarted covers the wrong time: then it is unknown for good.
            self.peak_is_known &= process::reset_peak();
        }
        // A device's own memory is what a case on it takes; the host's share of it is the driver's.
        let on_device = self.opened.as_ref().and_then(|opened| opened.device.on_device(reset_peak));
        let resident = process::resident(None).unwrap_or_default();
        let taken = on_device.and_then(|held| held.taken);
        let (now, peak) = match on_device {
            Some(held) => (held.now, held.peak.max(1)),
            None => (resident.now, if self.peak_is_known { resident.peak } else { 0 }),
        };
        let held = self.held.as_ref();
        let bytes = held.map_or_else(BTreeMap::new, |held| held.loaded.memory());
        Reply::Memory { bytes, resident: now, peak, taken }
    }
}

fn check_threads(threads: usize) -> Result<(), Failure> {
    if (1..=MOST_THREADS).contains(&threads) {
        return Ok(());
    }
    refused(format!("{threads} threads: 1 to {MOST_THREADS} are possible"))
}

/// Refuses what host memory can never hold, before the attempt makes the machine swap.
fn fits(program: &Program, sets: usize, backend: &str) -> Result<(), Failure> {
    let wanted = program.bytes_by_state().values().fold(0u64, |sum, &bytes| sum.saturating_add(bytes));
    let wanted = wanted.saturating_mul(sets as u64);
    let Some(physical) = process::physical_memory().filter(|&physical| physical < wanted) else {
        return Ok(());
    };
    // Only now is it worth asking, because looking for devices may be slow.
    let found = backends::family_of(backend).map(|family| family.devices()).unwrap_or_default();
    if found.iter().any(|found| found.backend == backend && found.kind == DeviceKind::Gpu) {
        return Ok(());
    }
    let (wanted, physical) = (Bytes(wanted), Bytes(physical));
    let why = format!("the values take {wanted} and this machine has {physical}");
    Err(Fault::OutOfMemory(why).into())
}

fn verify(held: &mut Held) -> Answer {
    held.loaded.reset()?;
    for set in 0..held.sets {
        held.loaded.enqueue(set)?;
    }
    held.loaded.wait()?;
    held.loaded.intact()?;
    Ok(Reply::Done)
}

fn read(held: &mut Held, value: ValueId, set: usize, (offset, len): (usize, usize), path: &str) -> Answer {
    let Some(spec) = held.program.values.get(value).map(|value| &value.spec) else {
        return refused(format!("there is no value {value}"));
    };
    if set >= held.sets {
        return refused(format!("there is no input set {set}"));
    }
    let end = offset.checked_add(len).filter(|&end| end <= spec.elements());
    let Some(end) = end else {
        let elements = spec.elements();
        return refused(format!("value {value} has {elements} elements, not {len} from {offset} on"));
    };
    held.loaded.intact()?;
    let array = held.loaded.read(value, set, offset..end)?;
    match fs::write(path, array.to_le_bytes()) {
        Ok(()) => Ok(Reply::Done),
        Err(error) => refused(format!("cannot write the value's file: {error}")),
    }
}
