//! How much effort goes into a cell.

use super::stop::Stop;
use super::verify;
use crate::plan::Group;
use crate::suite::Effort;
use crate::units::Nanos;
use std::time::Duration;

/// Lengths, counts and limits of one cell's measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Fresh processes a cell: the unit of replication.
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
    /// Time that all work of one cell may take, stopped time left out.
    pub time_limit: Duration,
    /// Reference operations that checking a program may cost before it is checked at a sample.
    pub reference: u64,
    /// Measure each cell's memory peak in a process of its own.
    pub memory_peak: bool,
    /// Windows are short, and records say so.
    pub quick: bool,
    /// Seed of the inputs and of the order of contenders.
    pub seed: u64,
}

const MS: f64 = 1e6;

impl Settings {
    /// What a group's case asks for.
    pub fn of_group(group: &Group, seed: u64) -> Self {
        let usual = Self::of(group.effort, seed);
        Self {
            time_limit: group.limit.unwrap_or(usual.time_limit),
            memory_peak: usual.memory_peak || group.memory,
            ..usual
        }
    }

    /// The settings of an effort.
    pub fn of(effort: Effort, seed: u64) -> Self {
        match effort {
            Effort::Quick => Self::quick(seed),
            Effort::Full => Self::full(seed),
        }
    }

    fn full(seed: u64) -> Self {
        Self {
            starts: 5,
            warm_up: Nanos(200.0 * MS),
            slice: Nanos(30.0 * MS),
            device_slice: Nanos(200.0 * MS),
            wake: Nanos(3.0 * MS),
            probe: Nanos(27.0 * MS),
            retakes: 3,
            stop: Stop { min_rounds: 6, max_rounds: 40, half_width: 0.01, budget: Nanos(1500.0 * MS) },
            sustained: Nanos(10_000.0 * MS),
            time_limit: Duration::from_secs(180),
            reference: verify::COMPLETE,
            memory_peak: true,
            quick: false,
            seed,
        }
    }

    fn quick(seed: u64) -> Self {
        let full = Self::full(seed);
        Self {
            starts: 3,
            warm_up: Nanos(30.0 * MS),
            slice: Nanos(12.0 * MS),
            wake: Nanos(2.0 * MS),
            probe: Nanos(8.0 * MS),
            retakes: 2,
            stop: Stop { max_rounds: 9, half_width: 0.015, budget: Nanos(200.0 * MS), ..full.stop },
            sustained: Nanos(3_000.0 * MS),
            time_limit: Duration::from_secs(30),
            reference: verify::COMPLETE / 8,
            memory_peak: false,
            quick: true,
            ..full
        }
    }
}
