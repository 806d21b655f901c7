//! From a point of a sweep to a workload's parameters: footprints are solved for the machine at hand.

use crate::host::Facts;
use crate::program::Program;
use crate::suite::{CacheLevel, Footprint, Point, grammar};
use crate::units::Bytes;
use crate::workloads::{ParamError, Params, Workload};

/// A point whose parameters are all known.
#[derive(Clone, Debug)]
pub(super) struct Solved {
    /// What a reader calls it; may be empty.
    pub label: String,
    /// Every parameter of the workload.
    pub params: Params,
}

/// Why a point gives no parameters, or no program.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unsolved {
    /// The machine lacks what the point is relative to: the point is left out.
    NotHere(String),
    /// The point is wrong on every machine.
    Wrong(String),
}

impl From<ParamError> for Unsolved {
    fn from(error: ParamError) -> Self {
        Self::Wrong(error.to_string())
    }
}

/// Bytes of all values of a program, a carried pair counted once.
pub(super) fn bytes(program: &Program) -> u64 {
    program.bytes_by_state().values().fold(0, |sum, bytes| sum.saturating_add(*bytes))
}

/// The parameters at a point.
pub(super) fn solve(workload: &Workload, point: &Point, facts: &Facts) -> Result<Solved, Unsolved> {
    let (params, footprint) = match &point.footprint {
        None => (point.params.clone(), None),
        Some((_, size)) => (fitted(workload, point, target(*size, facts)?)?, Some(size.to_string())),
    };
    let params = workload.complete(&params)?;
    let label = point.label.clone().or(footprint).unwrap_or_default();
    Ok(Solved { label, params })
}

/// Bytes that a footprint means on this machine.
fn target(size: Footprint, facts: &Facts) -> Result<u64, Unsolved> {
    let (level, factor) = match size {
        Footprint::Bytes(bytes) => return Ok(bytes),
        Footprint::Cache { level, factor } => (level, factor),
    };
    let one = |number| facts.cache(number).map(|cache| cache.bytes);
    let cache = match level {
        CacheLevel::L1 => one(1),
        CacheLevel::L2 => one(2),
        CacheLevel::L3 => one(3),
        CacheLevel::Last => facts.last_level_bytes(),
    };
    let missing =
        || Unsolved::NotHere(format!("this machine does not tell the size of its {}", level.name()));
    let Bytes(bytes) = cache.ok_or_else(missing)?;
    Ok((bytes as f64 * factor) as u64)
}

/// The largest value of the open parameter at which the program holds at most `target` bytes, in whole
/// steps of 64 where it has room for them: no workload is about the last odd element.
fn fitted(workload: &Workload, point: &Point, target: u64) -> Result<Params, Unsolved> {
    let at = |value| point.with_footprint(value);
    let size = |value| workload.program(&at(value)).map(|program| bytes(&program));
    // A workload may refuse what is smaller than one of its elements.
    let smallest = (0..=40).map(|power| 1u64 << power).find(|&value| size(value).is_ok()).unwrap_or(1);
    let least = size(smallest)?;
    if least > target {
        let [least, target] = [least, target].map(Bytes);
        return Err(Unsolved::NotHere(format!("its smallest size is {least}, more than {target}")));
    }
    // Too large for the address space is too large for the target.
    let large = largest(smallest, grammar::MAX_EXTENT, target, |value| size(value).ok());
    Ok(at(if large >= 128 { large / 64 * 64 } else { large }))
}

/// The largest value of `low..high` whose size is at most `target`; `low` is one, and `high` is none. Bytes mostly grow
/// in proportion, so every second guess is where a line through the two ends says, and halving bounds the rest.
fn largest(mut low: u64, mut high: u64, target: u64, size: impl Fn(u64) -> Option<u64>) -> u64 {
    let mut below = size(low).unwrap_or(0) as f64;
    let mut above = f64::INFINITY;
    for turn in 0.. {
        if high - low <= 1 {
            break;
        }
        let room = target as f64 - below;
        let line = if above.is_finite() {
            (high - low) as f64 * room / (above - below)
        } else {
            low as f64 * room / below.max(1.0)
        };
        let step = if turn % 2 == 0 { line as u64 } else { (high - low) / 2 };
        let guess = low + step.clamp(1, high - low - 1);
        match size(guess) {
            Some(bytes) if bytes <= target => (low, below) = (guess, bytes as f64),
            bytes => (high, above) = (guess, bytes.map_or(f64::INFINITY, |bytes| bytes as f64)),
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_largest_value_that_fits_is_found_in_few_guesses() {
        type Size = fn(u64) -> Option<u64>;
        let rows: [(Size, usize); 5] = [
            (|x| Some(4 * x), 8),
            (|x| Some(1000 + 12 * x), 8),
            (|x| x.checked_mul(x), 60),
            (|x| (x < 1_000_000).then_some(8 * x), 60),
            (|x| Some(x / 100 * 400), 60),
        ];
        for (number, (size, most)) in rows.into_iter().enumerate() {
            for target in [1000, 1012, 4096, 1_000_003, 1 << 33] {
                let guesses = Cell::new(0);
                let counted = |x| {
                    guesses.set(guesses.get() + 1);
                    size(x)
                };
                if size(1).is_some_and(|bytes| bytes > target) {
                    continue;
                }
                let found = largest(1, grammar::MAX_EXTENT, target, counted);
                assert!(size(found).unwrap() <= target, "{number} {target}");
                assert!(size(found + 1).is_none_or(|bytes| bytes > target), "{number} {target}: {found}");
                assert!(guesses.get() <= most, "{number} {target}: {} guesses", guesses.get());
            }
        }
    }
}
