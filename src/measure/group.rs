//! Measures all contenders at one point: starts, phases, rounds.

use super::evidence::{Evidence, Outcome, Reading};
use super::memory;
use super::peer::Hire;
use super::probe::Prober;
use super::rounds::{self, Position};
use super::schedule;
use super::settings::Settings;
use super::trial::{Phase, Trial};
use crate::plan::{Fate, Group};
use crate::suite::{Load, Temperature};
use std::sync::atomic::{AtomicBool, Ordering};

/// The user wants to stop: nothing of the group is worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// What a group is measured with.
pub struct Bench<'a> {
    /// Lengths, counts and limits.
    pub settings: Settings,
    /// Whoever starts workers.
    pub hire: &'a dyn Hire,
    /// Bytes of the last-level cache; none where unknown.
    pub last_level_cache: Option<u64>,
    /// Bytes of memory that are free now; none where unknown.
    pub free_memory: Option<u64>,
    /// Set when the user wants to stop.
    pub interrupted: &'a AtomicBool,
    /// Told where the group stands, in a few words.
    pub progress: &'a dyn Fn(&str),
}

impl Bench<'_> {
    pub(super) fn check(&self) -> Result<(), Interrupted> {
        if self.interrupted.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
    }
}

/// Measures every cell of `group`, one piece of evidence each, in the group's order.
pub fn measure(group: &Group, bench: &Bench) -> Result<Vec<Evidence>, Interrupted> {
    let runs = group.cells.iter().filter(|cell| cell.fate == Fate::Run);
    let mut trials: Vec<Trial> = runs.map(|cell| Trial::new(cell, &group.series, &bench.settings)).collect();
    let phases = phases(group, bench);
    let widest = phases.iter().map(|phase| phase.sets).max().unwrap_or(1) as u64;
    let sizes = trials.iter().map(|trial| memory::bytes(&trial.cell.program).saturating_mul(widest));
    let together = memory::fit_together(sizes, bench.free_memory);
    let mut prober = Prober::new(bench.hire);
    let mut position = Position::default();
    for start in 0..bench.settings.starts {
        position.start = start;
        let batch = if together { trials.len().max(1) } else { 1 };
        for trials in trials.chunks_mut(batch) {
            session(&mut trials.iter_mut().collect::<Vec<_>>(), &phases, &mut position, &mut prober, bench)?;
        }
    }
    let mut evidence = trials.into_iter().map(|trial| trial.finish(together));
    let cells = group.cells.iter().map(|cell| match &cell.fate {
        Fate::Skip(reason) => Some(Evidence::of(Outcome::Skipped { reason: reason.clone() })),
        Fate::Run => evidence.next(),
    });
    let mut cells: Vec<Evidence> = cells.flatten().collect();
    for (cell, evidence) in group.cells.iter().zip(&mut cells) {
        bench.check()?;
        if evidence.outcome == Outcome::Measured && bench.settings.memory_peak {
            (bench.progress)(&format!("memory of {}", cell.contender));
            let limit = bench.settings.time_limit;
            evidence.memory = memory::peak(bench.hire, cell, bench.settings.seed, limit);
        } else if evidence.outcome != Outcome::Measured {
            evidence.memory = Reading::Absent("the cell was not measured".to_string());
        }
    }
    Ok(cells)
}

/// The layouts that the group's series need, hot before cold.
fn phases(group: &Group, bench: &Bench) -> Vec<Phase> {
    let wants = |temperature| group.series.iter().any(|kind| kind.temperature == temperature);
    let cache = bench.last_level_cache.unwrap_or(DEFAULT_CACHE);
    [(Temperature::Hot, 1), (Temperature::Cold, memory::cold_sets(&group.program, cache))]
        .into_iter()
        .filter(|(temperature, _)| wants(*temperature))
        .map(|(temperature, sets)| Phase { temperature, sets })
        .collect()
}

/// Larger than most last-level caches: for machines that do not tell.
const DEFAULT_CACHE: u64 = 128 << 20;

/// One start of these contenders, all loaded at the same time.
fn session(
    trials: &mut [&mut Trial],
    phases: &[Phase],
    position: &mut Position,
    prober: &mut Prober,
    bench: &Bench,
) -> Result<(), Interrupted> {
    let order = schedule::order(trials.len(), bench.settings.seed.wrapping_add(1), u64::from(position.start));
    for &phase in phases {
        for &number in &order {
            bench.check()?;
            (bench.progress)(&format!("start {}: {}", position.start + 1, trials[number].cell.contender));
            trials[number].attempt(|trial| trial.prepare(phase, position.start, bench.hire, prober));
        }
        (bench.progress)(&format!("start {}: rounds", position.start + 1));
        let kinds = rounds::kinds(trials, phase.temperature, Load::Burst);
        rounds::run(trials, &kinds, position, prober, bench)?;
        for trial in trials.iter_mut() {
            bench.check()?;
            trial.attempt(|trial| trial.sustain(phase, position, prober, bench));
            trial.attempt(|trial| trial.conclude(phase));
        }
    }
    for trial in trials.iter_mut() {
        trial.dismiss();
    }
    Ok(())
}
