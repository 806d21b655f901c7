//! What fits into memory at once, and what one execution of a fresh process takes of it.

use super::crash::{Crash, CrashKind};
use super::evidence::{MemoryPeak, Reading};
use super::peer::{Hire, Peer};
use super::protocol::{Ask, Reply};
use crate::plan::Cell;
use crate::program::{Program, State};
use crate::suite::{Scope, Sync};
use std::collections::BTreeMap;
use std::time::Duration;

/// Share of free memory that contenders loaded at the same time may take together.
const TOGETHER: f64 = 0.6;
/// A cold series cycles through at least so many times the last-level cache.
const COLD: u64 = 2;

/// Bytes of all values of a program.
pub fn bytes(program: &Program) -> u64 {
    program.bytes_by_state().values().fold(0, |sum, &bytes| sum.saturating_add(bytes))
}

/// Copies of a program's values that together exceed the last-level cache twice.
pub fn cold_sets(program: &Program, last_level_cache: u64) -> usize {
    let wanted = last_level_cache.saturating_mul(COLD);
    usize::try_from(wanted / bytes(program).max(1) + 1).unwrap_or(usize::MAX)
}

/// Whether programs of these sizes may be loaded at the same time.
pub fn fit_together(sizes: impl Iterator<Item = u64>, free: Option<u64>) -> bool {
    let sum = sizes.fold(0u64, u64::saturating_add);
    free.is_none_or(|free| sum as f64 <= TOGETHER * free as f64)
}

/// The memory of a fresh worker that loads and executes once and never verifies.
pub fn peak(hire: &dyn Hire, cell: &Cell, seed: u64, limit: Duration) -> Reading<MemoryPeak> {
    match measured_peak(hire, cell, seed, limit) {
        Ok(peak) => Reading::Value(peak),
        Err(crash) => Reading::Absent(crash.to_string()),
    }
}

fn measured_peak(hire: &dyn Hire, cell: &Cell, seed: u64, limit: Duration) -> Result<MemoryPeak, Crash> {
    let mut peer = hire.hire(&cell.contender, limit)?;
    let before = look(&mut *peer, false, limit)?;
    let program = (*cell.program).clone();
    peer.ask(&Ask::Load { program, seed, sets: 1, keep_all: false }, limit)?;
    look(&mut *peer, true, limit)?;
    peer.ask(&Ask::Sample { scope: Scope::Resident, sync: Sync::Each, iters: 1 }, limit)?;
    let after = look(&mut *peer, false, limit)?;
    if after.peak == 0 {
        return Err(Crash::new(CrashKind::Refused, "the kernel keeps no high-water mark"));
    }
    let driver = after.taken.zip(before.taken).map(|(after, before)| after.saturating_sub(before));
    let (baseline, peak) = (before.resident, after.peak.saturating_sub(before.resident));
    Ok(MemoryPeak { baseline, peak, held: after.bytes, driver })
}

/// What [`Reply::Memory`] says.
struct Look {
    bytes: BTreeMap<State, u64>,
    resident: u64,
    peak: u64,
    taken: Option<u64>,
}

fn look(peer: &mut dyn Peer, reset_peak: bool, limit: Duration) -> Result<Look, Crash> {
    match peer.ask(&Ask::Memory { reset_peak }, limit)? {
        Reply::Memory { bytes, resident, peak, taken } => Ok(Look { bytes, resident, peak, taken }),
        _ => Err(Crash::new(CrashKind::Garbage, "the worker did not answer `memory`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::scripted::{Company, Part, group};

    #[test]
    fn a_drivers_count_is_what_it_grew_by() {
        for (taken, want) in [(vec![], None), (vec![100, 150, 170], Some(70)), (vec![100, 90, 80], Some(0))] {
            let company = Company::of(&[("null/a", Part { taken, ..Part::default() })]);
            let cell = group(["null/a"].into_iter(), &[]).cells.remove(0);
            let Reading::Value(memory) = peak(&company, &cell, 1, Duration::from_secs(1)) else {
                panic!("a scripted peer knows its peak");
            };
            assert_eq!(memory.driver, want);
            assert!(memory.held.values().sum::<u64>() >= 3 * 64 * 4);
        }
    }

    #[test]
    fn only_what_leaves_room_is_loaded_together() {
        for (sizes, free, together) in [
            (vec![300, 300], Some(1000), true),
            (vec![300, 301], Some(1000), false),
            (vec![u64::MAX, 1], Some(1000), false),
            (vec![u64::MAX], None, true),
        ] {
            assert_eq!(fit_together(sizes.iter().copied(), free), together, "{sizes:?}");
        }
    }
}
