//! Interleaved passes over the contenders of a group.

use super::group::{Bench, Interrupted};
use super::probe::Prober;
use super::schedule;
use super::trial::Trial;
use crate::plan::SeriesKind;
use crate::suite::Load;

/// Where a group stands: how many rounds there have been.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    /// The start that is running.
    pub(super) start: u32,
    /// Rounds so far, over the whole group.
    pub(super) round: u32,
}

/// Makes rounds over `trials` until each of these series has settled or used up its time.
pub(super) fn run(
    trials: &mut [&mut Trial],
    kinds: &[SeriesKind],
    position: &mut Position,
    prober: &mut Prober,
    bench: &Bench,
) -> Result<(), Interrupted> {
    while kinds.iter().any(|kind| trials.iter_mut().any(|trial| trial.is_open(*kind))) {
        for (number, &kind) in kinds.iter().enumerate() {
            let order = schedule::order(
                trials.len(),
                bench.settings.order(),
                (u64::from(position.round) << 8) + number as u64,
            );
            // A settled contender keeps the others company, so that rounds stay pairs.
            let company = trials.iter_mut().any(|trial| trial.is_open(kind));
            for trial in order {
                bench.check()?;
                let trial = &mut trials[trial];
                if company && trial.may_go_on(kind) {
                    trial.attempt(|trial| trial.turn(kind, *position, prober));
                }
            }
        }
        position.round += 1;
    }
    Ok(())
}

/// The distinct series among the trials that a phase samples in rounds, in the order they were asked for.
pub(super) fn kinds(
    trials: &[&mut Trial],
    temperature: crate::suite::Temperature,
    load: Load,
) -> Vec<SeriesKind> {
    let mut kinds = Vec::new();
    for kind in trials.iter().flat_map(|trial| trial.kinds(temperature, load)) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}
