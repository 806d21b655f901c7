//! How much effort goes into a cell.

use super::memory;
use super::stop::Stop;
use super::verify;
use crate::backends::family_of;
use crate::plan::{Group, Pace};
use crate::suite::Effort;
use crate::units::Nanos;
use std::time::Duration;

/// Lengths, counts and limits of one cell's measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which visit to the group this is, from 0.
    pub visit: u32,
    /// Fresh processes a cell and visit: the unit of replication.
    pub starts: u32,
    /// Executing for this long comes before the first sample of a start.
    pub warm_up: Nanos,
    /// Wanted length of a sample on a processor.
    pub slice: Nanos,
    /// Wanted length of a sample on a device whose clock takes its time to rise.
    pub device_slice: Nanos,
    /// Executing for this long, untimed, follows each wake-up of a stopped worker.
    pub wake: Nanos,
    /// Length of the probe beside each sample; zero measures none.
    pub probe: Nanos,
    /// A sample that waited is taken again at most so often.
    pub retakes: u32,
    /// When the rounds of a start end.
    pub stop: Stop,
    /// Length of the window of a sustained load.
    pub sustained: Nanos,
    /// Time that all work of one cell may take in a visit, stopped time left out.
    pub time_limit: Duration,
    /// Reference operations that checking a program may cost before it is checked at a sample.
    pub reference: u64,
    /// Measure each cell's memory peak in a process of its own.
    pub memory_peak: bool,
    /// Windows are short, and records say so.
    pub quick: bool,
    /// Seed of the inputs.
    pub seed: u64,
}

/// Bytes of values that are made, read back and checked in a second, at the least.
const CHECKED: f64 = 2e7;

/// What a group's large values may take beyond the usual time: a whole model is checked step by step, and some
/// contenders compile it.
fn checking(group: &Group) -> Duration {
    let families = group.cells.iter().filter_map(|cell| family_of(&cell.contender.backend));
    let compiling = families.map(|family| family.compiling(&group.program)).max().unwrap_or_default();
    Duration::from_secs_f64(memory::bytes(&group.program) as f64 / CHECKED) + compiling
}

impl Settings {
    /// What a group's case asks for in a visit; what is measured once, is measured in the first.
    pub fn of_visit(group: &Group, visit: u32, seed: u64) -> Self {
        let usual = Self::of(group.effort, seed);
        Self {
            time_limit: group.limit.unwrap_or(usual.time_limit + checking(group)),
            reference: usual.reference / Pace::sampling(visit),
            memory_peak: visit == 0 && (usual.memory_peak || group.memory),
            visit,
            ..usual
        }
    }

    /// Seed of the order of contenders, another one in each visit.
    pub fn order(&self) -> u64 {
        self.seed ^ (u64::from(self.visit) << 32)
    }

    /// The settings of an effort: its pace, on which estimates rest too, and what goes with it.
    pub fn of(effort: Effort, seed: u64) -> Self {
        let pace = Pace::of(effort);
        let quick = effort == Effort::Quick;
        Self {
            visit: 0,
            starts: pace.starts,
            warm_up: Nanos::from_seconds(pace.warm_up),
            slice: Nanos::from_seconds(pace.slice),
            device_slice: Nanos::from_seconds(0.2),
            wake: Nanos::from_seconds(0.001),
            probe: Nanos::from_seconds(pace.probe),
            retakes: if quick { 2 } else { 3 },
            stop: Stop {
                min_rounds: pace.rounds as usize,
                max_rounds: if quick { 12 } else { 150 },
                half_width: if quick { 0.015 } else { 0.01 },
                budget: Nanos::from_seconds(pace.budget),
            },
            sustained: Nanos::from_seconds(pace.sustained),
            time_limit: Duration::from_secs(if quick { 30 } else { 180 }),
            reference: if quick { verify::COMPLETE / 8 } else { verify::COMPLETE },
            memory_peak: !quick,
            quick,
            seed,
        }
    }
}
