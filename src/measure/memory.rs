//! What fits into memory at once, and what one execution of a fresh process takes of it.

use super::crash::{Crash, CrashKind};
use super::evidence::{MemoryPeak, Reading};
use super::peer::{Hire, Peer};
use super::protocol::{Ask, Reply};
use crate::plan::Cell;
use crate::program::Program;
use crate::suite::{Scope, Sync};
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
    let (_, baseline, _) = look(&mut *peer, false, limit)?;
    let program = (*cell.program).clone();
    peer.ask(&Ask::Load { program, seed, sets: 1, keep_all: false }, limit)?;
    look(&mut *peer, true, limit)?;
    peer.ask(&Ask::Sample { scope: Scope::Resident, sync: Sync::Each, iters: 1 }, limit)?;
    let (held, _, peak) = look(&mut *peer, false, limit)?;
    if peak == 0 {
        return Err(Crash::new(CrashKind::Refused, "the kernel keeps no high-water mark"));
    }
    Ok(MemoryPeak { baseline, peak: peak.saturating_sub(baseline), held })
}

/// Bytes by state, resident bytes, and their high-water mark.
fn look(
    peer: &mut dyn Peer,
    reset_peak: bool,
    limit: Duration,
) -> Result<(std::collections::BTreeMap<crate::program::State, u64>, u64, u64), Crash> {
    match peer.ask(&Ask::Memory { reset_peak }, limit)? {
        Reply::Memory { bytes, resident, peak } => Ok((bytes, resident, peak)),
        _ => Err(Crash::new(CrashKind::Garbage, "the worker did not answer `memory`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
