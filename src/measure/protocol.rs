//! The worker protocol: one JSON object a line, one reply a request. `docs/worker-protocol.md` is its
//! description for other languages.

pub use crate::backends::ProbeKind;
use crate::backends::{Ceiling, Fault, Identity, Lane, Telemetry};
use crate::program::{Program, State, ValueId};
use crate::suite::{Scope, Sync};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the protocol; a worker of another version is refused.
pub const PROTOCOL: u32 = 1;

/// What a parent asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Who are you? Opens the device.
    Hello {
        /// Version of the protocol.
        protocol: u32,
        /// Backend to open.
        backend: String,
        /// How to set it up.
        lane: Lane,
    },
    /// Make a program ready; replaces the loaded one.
    Load {
        /// What to load; every fused op that the backend lacks is already expanded.
        program: Program,
        /// Seed of the inputs.
        seed: u64,
        /// Input sets to cycle through.
        sets: usize,
        /// Keep every value readable.
        keep_all: bool,
    },
    /// Reset, then execute each set once on the buffers that will be timed.
    Verify,
    /// Find how many executions last `min_ns`.
    Calibrate {
        /// What the clock covers.
        scope: Scope,
        /// How executions follow one another.
        sync: Sync,
        /// Wanted length of a sample.
        min_ns: u64,
    },
    /// Time `iters` executions, after a reset outside the clock.
    Sample {
        /// What the clock covers.
        scope: Scope,
        /// How executions follow one another.
        sync: Sync,
        /// Executions.
        iters: u64,
    },
    /// Time whole executions and, in turn with them, each step of executions that wait after every step.
    Profile {
        /// Executions of either kind.
        times: u64,
    },
    /// Run a peak probe for `ms` milliseconds on `threads` threads.
    Probe {
        /// Which ceiling.
        probe: ProbeKind,
        /// Threads that compute.
        threads: usize,
        /// Bytes touched by each thread; a probe of arithmetic ignores it.
        footprint: u64,
        /// Length.
        ms: f64,
    },
    /// Measure the ceilings of the open device, which may take some seconds.
    Ceilings,
    /// Write little-endian elements of a value to a file.
    Read {
        /// Which value.
        value: ValueId,
        /// Of which set.
        set: usize,
        /// First element.
        offset: usize,
        /// Number of elements.
        len: usize,
        /// File to write; created or replaced.
        path: String,
    },
    /// Bytes held by this process and by the loaded program. `reset_peak` restarts the kernel's
    /// high-water mark first.
    Memory {
        /// Restart the high-water mark.
        reset_peak: bool,
    },
    /// Drop the loaded program.
    Free,
    /// End.
    Quit,
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// To `hello`.
    Hello {
        /// Version of the protocol.
        protocol: u32,
        /// Process id.
        pid: u32,
        /// Who computes.
        identity: Identity,
        /// Smallest difference of two readings of the clock that is not zero.
        clock_precision_ns: f64,
    },
    /// To `load`.
    Loaded {
        /// Whole load, packing included.
        load_ns: f64,
        /// Laying out parameters anew.
        packing_ns: f64,
        /// Extra bytes of packed copies.
        packing_bytes: u64,
        /// Bytes by state.
        bytes: BTreeMap<State, u64>,
        /// `end_to_end` equals `resident`.
        host_memory: bool,
        /// What was chosen at load: the algorithm of a product.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        notes: BTreeMap<String, String>,
    },
    /// To `calibrate`.
    Calibrated {
        /// Executions that last the wanted time.
        iters: u64,
        /// Nanoseconds that one took.
        each_ns: f64,
    },
    /// To `sample`.
    Sample(Sampled),
    /// To `profile`.
    Profiled {
        /// Nanoseconds of whole executions.
        whole_ns: Vec<f64>,
        /// For each other execution, nanoseconds of each step of the program.
        steps_ns: Vec<Vec<f64>>,
    },
    /// To `probe`.
    Probed {
        /// Operations or bytes a second.
        rate: f64,
        /// Nanoseconds that the probe's threads waited for a core.
        run_delay_ns: u64,
    },
    /// To `ceilings`.
    Ceilings {
        /// What the device can do at best; empty where it is held against the processor's.
        ceilings: Vec<Ceiling>,
    },
    /// To `memory`.
    Memory {
        /// Bytes by state of the loaded program.
        bytes: BTreeMap<State, u64>,
        /// Resident bytes of the process now.
        resident: u64,
        /// High-water mark of resident bytes; 0 where the kernel does not say.
        peak: u64,
        /// Bytes of the device's memory that its driver counts as taken, by whomever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken: Option<u64>,
    },
    /// To `verify`, `read`, `free`, `quit`.
    Done,
    /// To anything: the device could not.
    Fault(Fault),
    /// To anything: the request made no sense here.
    Refused {
        /// Why.
        why: String,
    },
}

impl Reply {
    /// Whether this can be the answer to `ask`, with numbers that a measurement can have.
    pub fn answers(&self, ask: &Ask) -> bool {
        match (self, ask) {
            (Self::Fault(_) | Self::Refused { .. }, _) => true,
            (Self::Hello { clock_precision_ns, .. }, Ask::Hello { .. }) => *clock_precision_ns >= 0.0,
            (Self::Loaded { load_ns, packing_ns, .. }, Ask::Load { .. }) => {
                *load_ns >= 0.0 && *packing_ns >= 0.0
            }
            (Self::Calibrated { iters, each_ns }, Ask::Calibrate { .. }) => *iters > 0 && *each_ns >= 0.0,
            (Self::Sample(sample), Ask::Sample { .. }) => sample.is_possible(),
            (Self::Profiled { whole_ns, steps_ns }, Ask::Profile { .. }) => {
                whole_ns.iter().chain(steps_ns.iter().flatten()).all(is_time)
                    && !whole_ns.is_empty()
                    && steps_ns.windows(2).all(|pair| pair[0].len() == pair[1].len())
            }
            (Self::Probed { rate, .. }, Ask::Probe { .. }) => *rate >= 0.0,
            (Self::Memory { .. }, Ask::Memory { .. }) | (Self::Ceilings { .. }, Ask::Ceilings) => true,
            (Self::Done, ask) => matches!(ask, Ask::Verify | Ask::Read { .. } | Ask::Free | Ask::Quit),
            _ => false,
        }
    }
}

/// Longest `each_ns` of a sample: of more executions, every second, third, ... is kept.
pub const MOST_EACH: usize = 4096;

/// What one sample took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// Nanoseconds of all executions together.
    pub ns: f64,
    /// Nanoseconds that this process's threads waited for a core meanwhile.
    pub run_delay_ns: u64,
    /// Nanoseconds that the hypervisor took from this machine meanwhile; 0 where unknown.
    pub steal_ns: u64,
    /// With `sync: each`, nanoseconds of each execution; of every n-th where there are more than
    /// [`MOST_EACH`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub each_ns: Vec<f64>,
    /// The state of the device just before and just after, where it tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<[Telemetry; 2]>,
}

/// Whether these nanoseconds can have been measured: JSON has no infinity, but a number may be too large for f64.
fn is_time(ns: &f64) -> bool {
    *ns >= 0.0 && ns.is_finite()
}

impl Sampled {
    fn is_possible(&self) -> bool {
        is_time(&self.ns) && self.each_ns.len() <= MOST_EACH && self.each_ns.iter().all(is_time)
    }
}
