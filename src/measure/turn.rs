//! Samples: one turn in a round, or one window alone.

use super::group::{Bench, Interrupted};
use super::probe::Prober;
use super::protocol::{Ask, Reply, Sampled};
use super::rounds::Position;
use super::tally::{Tally, Turn};
use super::trial::{Phase, Trial, Trouble, unexpected};
use crate::host::clock;
use crate::plan::SeriesKind;
use crate::suite::Load;
use crate::units::Nanos;

/// Share of a sample that its threads may have waited for a core.
const WAITED: f64 = 0.01;

impl Trial<'_> {
    /// One turn: probe, wake, sample, stop; again if it had to wait for a core.
    pub(super) fn turn(
        &mut self,
        kind: SeriesKind,
        position: Position,
        prober: &mut Prober,
    ) -> Result<(), Trouble> {
        let begin = clock::now();
        let Some(iters) = self.tally(kind).map(Tally::iters) else { return Ok(()) };
        let mut best: Option<(u64, Turn)> = None;
        let mut reported = 0.0;
        for attempt in 0..=self.settings.retakes {
            let (probe_rate, probe_waited) = self.beside(prober);
            self.wake(kind, iters)?;
            let sampled = self.sample(kind, iters)?;
            self.pause()?;
            reported += sampled.ns;
            let waited = sampled.run_delay_ns + sampled.steal_ns + probe_waited;
            let noisy = waited as f64 > WAITED * sampled.ns;
            if best.as_ref().is_none_or(|(least, _)| waited < *least) {
                let turn = Turn { sampled, probe_rate, noisy, ..Turn::default() };
                best = Some((waited, turn));
            }
            if let Some((_, turn)) = &mut best {
                turn.discarded = attempt;
            }
            if !noisy {
                break;
            }
        }
        let spent = Nanos(reported.max((clock::now() - begin) as f64));
        let stop = self.stop;
        if let Some((_, turn)) = &best {
            self.watch.note(kind, iters, &turn.sampled);
        }
        if let (Some((_, turn)), Some(tally)) = (best, self.tally_mut(kind)) {
            tally.push(Turn { spent, ..turn }, position, &stop);
        }
        Ok(())
    }

    /// The probe's rate and how long it waited for a core; 0 where there is none.
    fn beside(&self, prober: &mut Prober) -> (f64, u64) {
        self.probe.and_then(|probe| prober.rate(probe, self.settings.probe)).unwrap_or((0.0, 0))
    }

    /// The best of several probes: nothing is beside a window, so one that was disturbed must not stand for
    /// all of it.
    fn undisturbed(&self, prober: &mut Prober) -> f64 {
        const PROBES: usize = 9;
        (0..PROBES).map(|_| self.beside(prober).0).fold(0.0, f64::max)
    }

    /// One short untimed stretch after a stop: threads come back, caches fill.
    fn wake(&mut self, kind: SeriesKind, iters: u64) -> Result<(), Trouble> {
        self.peer()?.resume()?;
        let slice = self.slice(kind);
        let share = (self.settings.wake.0 / slice.0 * iters as f64).ceil() as u64;
        // A single execution longer than a slice outlasts its own start.
        if iters > 1 && share > 0 {
            self.sample(kind, share.min(iters))?;
        }
        Ok(())
    }

    /// Times `iters` executions.
    pub(super) fn sample(&mut self, kind: SeriesKind, iters: u64) -> Result<Sampled, Trouble> {
        match self.ask(&Ask::Sample { scope: kind.scope, sync: kind.sync, iters })? {
            Reply::Sample(sampled) => Ok(sampled),
            _ => Err(unexpected("sample")),
        }
    }

    /// One contiguous window for each sustained series of a phase, in the first start.
    pub(super) fn sustain(
        &mut self,
        phase: Phase,
        position: &mut Position,
        prober: &mut Prober,
        bench: &Bench,
    ) -> Result<(), Trouble> {
        for kind in self.kinds(phase.temperature, Load::Sustained) {
            if position.start > 0 || bench.check() == Err(Interrupted) {
                break;
            }
            (bench.progress)(&format!("{}: {} alone", self.cell.contender, self.settings.sustained));
            self.window(kind, position, prober, bench)?;
        }
        Ok(())
    }

    fn window(
        &mut self,
        kind: SeriesKind,
        position: &mut Position,
        prober: &mut Prober,
        bench: &Bench,
    ) -> Result<(), Trouble> {
        let Some(iters) = self.tally(kind).map(Tally::iters) else { return Ok(()) };
        let mut probe_rate = self.undisturbed(prober);
        self.wake(kind, iters)?;
        let (begin, mut reported) = (clock::now(), 0.0f64);
        while reported.max((clock::now() - begin) as f64) < self.settings.sustained.0 {
            if bench.check() == Err(Interrupted) {
                break;
            }
            let sampled = self.sample(kind, iters)?;
            self.watch.note(kind, iters, &sampled);
            reported += sampled.ns.max(1.0);
            let noisy = (sampled.run_delay_ns + sampled.steal_ns) as f64 > WAITED * sampled.ns;
            let turn = Turn { sampled, probe_rate, noisy, ..Turn::default() };
            if let Some(tally) = self.tally_mut(kind) {
                tally.extend(turn, *position);
            }
            (probe_rate, position.round) = (0.0, position.round + 1);
        }
        self.pause()
    }
}
