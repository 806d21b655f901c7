//! What measuring a cell leaves behind: evidence only, no judgement. Records are made of these.

use crate::backends::Identity;
use crate::measure::protocol::ProbeKind;
use crate::plan::SeriesKind;
use crate::program::{Phase, State};
pub use crate::units::Reading;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Verified and timed.
    Measured,
    /// Not tried.
    Skipped {
        /// Why, in one sentence.
        reason: String,
    },
    /// Tried and failed; other cells went on.
    Failed {
        /// `panic`, `abort`, `segfault`, `hang`, `out_of_memory`, `garbage`, `silent_exit`, `fault`, ...
        kind: String,
        /// What happened, in one sentence.
        message: String,
    },
    /// The answer was wrong; there is no timing.
    Wrong {
        /// The first element that is off, with what was wanted.
        message: String,
    },
}

/// What a judge of the numbers must know about the machine while they were taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// The measuring program was built without optimisation.
    pub debug_build: bool,
    /// Logical cores that the process might use: its affinity, not the machine's count. 0 where unknown.
    pub cores: usize,
    /// Cores that the container's quota grants; none without a quota.
    pub quota: Option<f64>,
    /// Processes outside the run that used the device.
    pub foreign: Reading<u32>,
    /// Samples taken while the device had lowered its clock.
    pub throttled: Reading<u32>,
    /// The device's power limit stood below its default.
    pub power_capped: Reading<bool>,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            debug_build: cfg!(debug_assertions),
            cores: 0,
            quota: None,
            foreign: Reading::Absent("not read".to_string()),
            throttled: Reading::Absent("not read".to_string()),
            power_capped: Reading::Absent("not read".to_string()),
        }
    }
}

/// What a device told of itself while a cell was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceConditions {
    /// Processes outside the run that used the device.
    pub foreign: Reading<u32>,
    /// Samples taken while the device had lowered its clock.
    pub throttled: Reading<u32>,
    /// The device's power limit stood below its default.
    pub power_capped: Reading<bool>,
}

impl Conditions {
    /// These, with what the device of a cell told.
    pub fn on(self, device: Option<DeviceConditions>) -> Self {
        let Some(DeviceConditions { foreign, throttled, power_capped }) = device else { return self };
        Self { foreign, throttled, power_capped, ..self }
    }
}

/// How an answer was checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Elements compared with the f64 reference.
    pub elements: u64,
    /// Every element was compared, not a sample; of several visits, in one at least.
    pub complete: bool,
    /// Largest |got - reference| / allowed; `null` in JSON where it is not finite.
    #[serde(deserialize_with = "null_is_infinite")]
    pub worst: f64,
    /// Median of |got - reference| / scale: tells a lower precision in disguise. `null` as above.
    #[serde(deserialize_with = "null_is_infinite")]
    pub median_relative: f64,
    /// The error is too large for the named precision although it is within the bound.
    pub fell_back_precision: bool,
    /// So many outputs are zero that the check proves little.
    pub mistrusted: bool,
}

/// Cost of making a program ready.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadCost {
    /// Whole load.
    pub load_ns: f64,
    /// Laying out parameters anew.
    pub packing_ns: f64,
    /// Extra bytes of packed copies.
    pub packing_bytes: u64,
}

/// Memory of a fresh worker that loads and executes once and never verifies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryPeak {
    /// Resident bytes before the load.
    pub baseline: u64,
    /// High-water mark over one execution, less the baseline.
    pub peak: u64,
    /// What the backend says that it holds, by state.
    pub held: BTreeMap<State, u64>,
    /// By how much the device's driver counts more as taken after the execution than before the load: what is held, and
    /// what the driver and libraries took for it. Of everybody on the device; none where no driver counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<u64>,
}

/// Where the time of a training step goes. Taken apart from the samples, in a worker of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseTimes {
    /// Nanoseconds of whole executions in turn with those whose steps were timed.
    pub whole_ns: f64,
    /// Nanoseconds of the steps of each phase.
    pub ns: BTreeMap<Phase, f64>,
}

/// Samples of one cell under one scope, sync, load and temperature. Columns of equal length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What kind.
    #[serde(flatten)]
    pub kind: SeriesKind,
    /// Executions in one sample, by start.
    pub iters: Vec<u64>,
    /// Nanoseconds per execution.
    pub ns: Vec<f64>,
    /// Start of each sample, from 0.
    pub start: Vec<u32>,
    /// Round of each sample, counted over all starts of a visit from the visit's own number.
    pub round: Vec<u32>,
    /// Nanoseconds that the worker's threads waited for a core during each sample.
    pub run_delay_ns: Vec<u64>,
    /// Nanoseconds stolen by the hypervisor during each sample.
    pub steal_ns: Vec<u64>,
    /// The adjacent probe.
    pub probe: Option<ProbeKind>,
    /// Its rate just before each sample, in operations or bytes a second; 0 where it did not run.
    pub probe_rate: Vec<f64>,
    /// Latencies of single executions (`sync: each`), pooled over the samples of a visit: p50, p90, p99 in
    /// nanoseconds; the median of each over visits.
    pub latency_ns: Option<[f64; 3]>,
    /// Samples taken again because they had waited for a core.
    pub discarded: u32,
    /// Samples kept although they had waited, because no quieter one came.
    pub noisy: u32,
    /// Why sampling ended: `settled` or `budget`.
    pub stop: String,
}

impl Series {
    /// Why the columns contradict each other, if they do: what makes a record unreadable.
    pub fn check(&self) -> Result<(), String> {
        let columns = [
            ("start", self.start.len()),
            ("round", self.round.len()),
            ("run_delay_ns", self.run_delay_ns.len()),
            ("steal_ns", self.steal_ns.len()),
            ("probe_rate", self.probe_rate.len()),
        ];
        let wanted = self.ns.len();
        if let Some((name, len)) = columns.into_iter().find(|(_, len)| *len != wanted) {
            return Err(format!("column `{name}` has {len} entries and `ns` has {wanted}"));
        }
        let finite = |values: &[f64]| values.iter().all(|value| value.is_finite() && *value >= 0.0);
        match finite(&self.ns) && finite(&self.probe_rate) {
            true => Ok(()),
            false => Err("`ns` or `probe_rate` holds a number below zero or none at all".to_string()),
        }
    }
}

/// JSON has no infinity and no NaN, and a wrong answer may be either.
fn null_is_infinite<'de, D: serde::Deserializer<'de>>(number: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(number)?.unwrap_or(f64::INFINITY))
}

/// All that measuring one cell left.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Library and device, as the worker named them.
    pub identity: Option<Identity>,
    /// What became of the cell.
    pub outcome: Outcome,
    /// Measured in rounds with other contenders.
    pub interleaved: bool,
    /// Data is in host memory; none where nothing was loaded.
    pub host_memory: Option<bool>,
    /// Smallest difference of two readings of the worker's clock that is not zero, in nanoseconds.
    pub clock_precision_ns: Option<f64>,
    /// The answer's check.
    pub verification: Option<Verification>,
    /// One entry a start.
    pub loads: Vec<LoadCost>,
    /// Peak memory of a fresh process.
    pub memory: Reading<MemoryPeak>,
    /// Time by phase.
    pub phases: Reading<PhaseTimes>,
    /// Energy of one execution in joules.
    pub energy_j: Reading<f64>,
    /// Timings.
    pub series: Vec<Series>,
    /// What the device told; none for a processor.
    pub device: Option<DeviceConditions>,
}

impl Evidence {
    /// A cell of which nothing is known but its outcome.
    pub fn of(outcome: Outcome) -> Self {
        Self {
            identity: None,
            outcome,
            interleaved: false,
            host_memory: None,
            clock_precision_ns: None,
            verification: None,
            loads: Vec::new(),
            memory: Reading::absent("not asked for"),
            phases: Reading::absent("not asked for"),
            energy_j: Reading::absent("this version reads no energy counter"),
            series: Vec::new(),
            device: None,
        }
    }
}
