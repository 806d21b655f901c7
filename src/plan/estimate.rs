//! How long a group will take, from its work on paper. An estimate: nothing here is a measurement, and
//! nothing here is ever reported as one.

use super::size::Size;
use super::{Cell, Fate, Group, SeriesKind};
use crate::program::Program;
use crate::suite::{Effort, Load, Scope};
use std::sync::Arc;
use std::time::Duration;

/// Seconds and counts of one cell's measurement, as `measure` spends them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// How often a run comes back to a group. A neighbour on the same machine disturbs for seconds, which is
    /// longer than all starts of a small group together: only starts that lie minutes apart show by how
    /// much such a group moves.
    pub visits: u32,
    /// Fresh processes of each contender in one visit.
    pub starts: u32,
    /// Warm-up of each.
    pub warm_up: f64,
    /// One sample. On a shared machine the speed changes within tenths of a second, so contenders must take
    /// turns faster than that: at equal budgets the starts of a product's twins differed several times less
    /// with slices of 5 ms than with slices of 30 ms.
    pub slice: f64,
    /// The probe beside it.
    pub probe: f64,
    /// Fewest rounds of a start.
    pub rounds: f64,
    /// Time after which the rounds of a start end.
    pub budget: f64,
    /// Window of a sustained load.
    pub sustained: f64,
}

impl Pace {
    /// The budget of a start's rounds as a share of the time that preparing it took, where that is more than the usual
    /// budget.
    pub const OF_PREPARATION: f64 = 0.125;

    /// How many times fewer reference operations a visit may cost than the first: that one has checked the
    /// same program on the same inputs, and a sample tells whether a later process computes it too.
    pub fn sampling(visit: u32) -> u64 {
        if visit == 0 { 1 } else { 16 }
    }

    /// The pace of an effort.
    pub fn of(effort: Effort) -> Self {
        match effort {
            Effort::Full => Self {
                visits: 1,
                starts: 5,
                warm_up: 0.2,
                slice: 0.006,
                probe: 0.003,
                rounds: 12.0,
                budget: 1.5,
                sustained: 10.0,
            },
            Effort::Quick => Self {
                visits: 5,
                starts: 1,
                warm_up: 0.03,
                slice: 0.005,
                probe: 0.002,
                rounds: 8.0,
                budget: 0.1,
                sustained: 3.0,
            },
        }
    }
}

/// How fast the machine is taken to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// f32 operations a second of one thread.
    pub operations: f64,
    /// Bytes a second of one thread.
    pub bytes: f64,
    /// They were measured on this machine, not assumed.
    pub measured: bool,
}

impl Default for Rates {
    /// One core of a server of about 2020.
    fn default() -> Self {
        Self { operations: 5e10, bytes: 1e10, measured: false }
    }
}

/// Starting a process, loading a library, opening the device.
const START: f64 = 0.1;
/// The same where Python imports the library.
const PYTHON_START: f64 = 0.5;
/// Seconds for each byte of a program and start: making its inputs here and there, touching them for the
/// first time, reading answers back.
const FILL: f64 = 5e-9;
/// Seconds for each byte that is reset before a sample: outputs, and inputs that were carried.
const RESET: f64 = 1e-9;
/// Seconds for each operation of the f64 reference, which is checked at samples where it would take long.
const REFERENCE: f64 = 1e-9;
const LONGEST_REFERENCE: f64 = 0.3;
/// Share of the machine's rate that a contender is expected to reach.
const SHARE: f64 = 0.5;
/// Operations a second of plain loops.
const PLAIN_LOOPS: f64 = 1e9;

/// Expected duration of a group, all of its visits and of the first alone: its contenders run one after
/// another, and only the first visit has a sustained window. `size` is that of a cell's program.
pub(super) fn group(
    group: &Group,
    size: impl Fn(&Arc<Program>) -> Size,
    rates: &Rates,
) -> (Duration, Duration) {
    let pace = Pace::of(group.effort);
    let running = group.cells.iter().filter(|cell| cell.fate == Fate::Run);
    let running: Vec<(&Cell, Size)> = running.map(|cell| (cell, size(&cell.program))).collect();
    let of = |visit: u32| -> f64 {
        let wanted = |kind: &&SeriesKind| visit == 0 || kind.load == Load::Burst;
        let series: Vec<SeriesKind> = group.series.iter().filter(wanted).copied().collect();
        let running = running.iter().filter(|_| !series.is_empty());
        running.map(|(cell, size)| of_cell(cell, size, &series, visit, &pace, rates)).sum()
    };
    let duration = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    let (first, later) = (of(0), of(1));
    (duration(first + f64::from(pace.visits - 1) * later), duration(first))
}

/// Expected seconds of a visit.
fn of_cell(cell: &Cell, size: &Size, series: &[SeriesKind], visit: u32, pace: &Pace, rates: &Rates) -> f64 {
    let once = execution(cell, size, rates);
    let sample = pace.slice.max(once) + pace.probe + size.reset as f64 * RESET;
    let longest = LONGEST_REFERENCE / Pace::sampling(visit) as f64;
    let reference = (size.work.flops as f64 * REFERENCE).min(longest);
    let is_python = cell.contender.backend.starts_with("peer/");
    let process = if is_python { PYTHON_START } else { START };
    let start = process + size.bytes as f64 * FILL + reference + 2.0 * once;
    let budget = pace.budget.max(Pace::OF_PREPARATION * start);
    // Slow rounds end once they have taken twice the budget.
    let rounds = (pace.rounds * sample).min(2.0 * budget + sample);
    let rounds = rounds.max(budget.min(2.0 * pace.rounds * sample));
    let starts = f64::from(pace.starts);
    let window = |kind: &SeriesKind| match kind.load {
        Load::Burst => starts * (pace.warm_up.max(once) + rounds),
        Load::Sustained => pace.sustained.max(once),
    };
    // On the host's memory the scopes are one.
    let counted = series.iter().filter(|kind| kind.scope == Scope::Resident);
    let timed: f64 = counted.map(window).sum();
    starts * start + timed
}

/// Expected seconds of one execution.
fn execution(cell: &Cell, Size { work, .. }: &Size, rates: &Rates) -> f64 {
    let threads = cell.contender.lane.threads as f64;
    let operations = match cell.contender.backend.as_str() {
        "cpu/naive" => PLAIN_LOOPS,
        _ => rates.operations * SHARE * threads,
    };
    work.flops as f64 / operations + work.bytes() as f64 / rates.bytes
}
