//! Before the first sample of a start: which series there are, warm-up, and how many executions make a
//! sample.

use super::crash::{Crash, CrashKind};
use super::protocol::{Ask, Reply};
use super::tally::Tally;
use super::trial::{Trial, Trouble, unexpected};
use crate::host::clock;
use crate::plan::SeriesKind;
use crate::suite::{Load, Scope, Temperature};
use crate::units::Nanos;

/// Times the smallest step of the clock that a sample lasts at least.
const CLOCK_STEPS: f64 = 100.0;

impl Trial<'_> {
    /// On a host's memory nothing is transferred: `end_to_end` is `resident` by another name, and there
    /// is no device's clock.
    pub(super) fn drop_views(&mut self) {
        let kinds: Vec<SeriesKind> = self.tallies.iter().map(Tally::kind).collect();
        let resident = |kind: &SeriesKind| SeriesKind { scope: Scope::Resident, ..*kind };
        for tally in &mut self.tallies {
            let kind = tally.kind();
            if kind.scope != Scope::Resident && !kinds.contains(&resident(&kind)) {
                *tally = Tally::new(resident(&kind));
            }
        }
        self.tallies.retain(|tally| tally.kind().scope == Scope::Resident);
        self.tallies.dedup_by_key(|tally| tally.kind());
    }

    /// Finds the number of executions of every sample. `first` is how long the first one took.
    pub(super) fn warm_up(
        &mut self,
        temperature: Temperature,
        start: u32,
        first: Nanos,
    ) -> Result<(), Trouble> {
        let mut warm = self.settings.warm_up;
        let mut without_clock = Vec::new();
        for index in 0..self.tallies.len() {
            let kind = self.tallies[index].kind();
            let later_window = kind.load == Load::Sustained && start > 0;
            if kind.temperature != temperature || later_window {
                continue;
            }
            let slice = self.slice(kind);
            // One of these already lasts for many samples: that was warm-up enough.
            let iters = if first.0 > 10.0 * slice.0 { Ok(1) } else { self.calibrate(kind, slice, warm) };
            match iters {
                Ok(iters) => self.tallies[index].begin(iters, self.probe.map(|probe| probe.kind)),
                // A device without a clock of its own still has the host's.
                Err(Trouble::Crash(Crash { kind: CrashKind::Unsupported, .. }))
                    if kind.scope == Scope::Device =>
                {
                    without_clock.push(kind);
                }
                Err(trouble) => return Err(trouble),
            }
            warm = Nanos(0.0);
        }
        self.tallies.retain(|tally| !without_clock.contains(&tally.kind()));
        Ok(())
    }

    /// Executions that last a slice, found while executing for at least `warm`. Waiting for a core makes
    /// an execution look long, never short, so the shortest one seen counts.
    fn calibrate(&mut self, kind: SeriesKind, slice: Nanos, warm: Nanos) -> Result<u64, Trouble> {
        const TRIES: u32 = 4;
        const LONG_ENOUGH: f64 = 0.8;
        let begin = clock::now();
        let ask = Ask::Calibrate { scope: kind.scope, sync: kind.sync, min_ns: slice.0 as u64 };
        let Reply::Calibrated { mut iters, mut each_ns } = self.ask(&ask)? else {
            return Err(unexpected("calibrate"));
        };
        let mut worked = each_ns * iters as f64;
        for tries in 1.. {
            let lasted = self.sample(kind, iters)?.ns;
            worked += lasted.max(1.0);
            if lasted > 0.0 {
                each_ns = each_ns.min(lasted / iters as f64);
                iters = ((slice.0 / each_ns).ceil() as u64).clamp(1, iters.saturating_mul(100));
            }
            let warmed = worked.max((clock::now() - begin) as f64) >= warm.0;
            if warmed && (lasted >= LONG_ENOUGH * slice.0 || tries >= TRIES) {
                break;
            }
        }
        Ok(iters)
    }

    pub(super) fn slice(&self, kind: SeriesKind) -> Nanos {
        let steps = self.evidence.clock_precision_ns.unwrap_or(0.0) * CLOCK_STEPS;
        let long = kind.load == Load::Sustained || self.evidence.host_memory == Some(false);
        let slice = if long { self.settings.device_slice } else { self.settings.slice };
        Nanos(slice.0.max(steps))
    }
}
