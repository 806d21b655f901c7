//! One cell while it is measured: its worker of the moment and the evidence so far.

use super::crash::{Crash, CrashKind};
use super::evidence::{Evidence, LoadCost, Outcome};
use super::peer::{Hire, Peer};
use super::probe::{Probe, Prober};
use super::protocol::{Ask, Reply, Sampled};
use super::settings::Settings;
use super::tally::{Tally, Turn};
use crate::host::clock;
use crate::plan::{Cell, SeriesKind};
use crate::suite::{Load, Scope, Temperature};
use crate::units::Nanos;
use std::time::{Duration, Instant};

/// Share of a sample that its threads may have waited for a core.
const WAITED: f64 = 0.01;
/// Times the smallest step of the clock that a sample lasts at least.
const CLOCK_STEPS: f64 = 100.0;

/// Why a contender is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Its worker died, hung, or reported an error.
    Crash(Crash),
    /// Its answer is wrong.
    Wrong(String),
}

impl From<Crash> for Trouble {
    fn from(crash: Crash) -> Self {
        Self::Crash(crash)
    }
}

impl Trouble {
    fn outcome(self) -> Outcome {
        match self {
            Self::Wrong(message) => Outcome::Wrong { message },
            Self::Crash(Crash { kind: CrashKind::Unsupported, message }) => {
                Outcome::Skipped { reason: message }
            }
            Self::Crash(Crash { kind, message }) => {
                Outcome::Failed { kind: kind.name().to_string(), message }
            }
        }
    }
}

/// How a program is laid out for a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    /// State of the caches.
    pub(super) temperature: Temperature,
    /// Copies of every value that executions cycle through.
    pub(super) sets: usize,
}

/// One cell while it is measured.
pub(super) struct Trial<'a> {
    pub(super) cell: &'a Cell,
    settings: &'a Settings,
    peer: Option<Box<dyn Peer>>,
    left: Duration,
    evidence: Evidence,
    tallies: Vec<Tally>,
    probe: Option<Probe>,
    proof: Proof,
}

impl<'a> Trial<'a> {
    pub(super) fn new(cell: &'a Cell, kinds: &[SeriesKind], settings: &'a Settings) -> Self {
        Self {
            cell,
            settings,
            peer: None,
            left: settings.time_limit,
            evidence: Evidence::of(Outcome::Measured),
            tallies: kinds.iter().copied().map(Tally::new).collect(),
            probe: None,
            proof: Proof::default(),
        }
    }

    /// Whether it is still in.
    pub(super) fn is_alive(&self) -> bool {
        self.evidence.outcome == Outcome::Measured
    }

    /// Does `work`; trouble costs this cell and nothing else.
    pub(super) fn attempt(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Trouble>) {
        if !self.is_alive() {
            return;
        }
        if let Err(trouble) = work(self) {
            self.evidence.outcome = trouble.outcome();
            self.peer = None;
        }
    }

    /// A fresh process.
    pub(super) fn hire(&mut self, hire: &dyn Hire) -> Result<(), Trouble> {
        let begin = Instant::now();
        let peer = hire.hire(&self.cell.contender, self.left);
        self.spend(begin);
        let peer = peer?;
        self.evidence.identity = Some(peer.identity().clone());
        self.evidence.clock_precision_ns = Some(peer.clock_precision_ns());
        self.peer = Some(peer);
        Ok(())
    }

    /// The process ends.
    pub(super) fn dismiss(&mut self) {
        self.peer = None;
    }

    /// Loads, proves the answer, warms up, decides how many executions make a sample, and stops.
    pub(super) fn prepare(&mut self, phase: Phase, start: u32, prober: &mut Prober) -> Result<(), Trouble> {
        self.prove_steps()?;
        self.load(phase.sets, false)?;
        let first = self.prove_answer(start)?;
        let probe = Probe::of(&self.cell.program, self.cell.contender.lane.threads, phase.sets);
        let wanted = self.settings.probe.0 > 0.0 && self.is_on_host();
        self.probe = if wanted { prober.available(probe) } else { None };
        self.warm_up(phase.temperature, Nanos(first.0 / phase.sets as f64))?;
        self.pause()
    }

    fn load(&mut self, sets: usize, keep_all: bool) -> Result<(), Trouble> {
        let program = (*self.cell.program).clone();
        let reply = self.ask(&Ask::Load { program, seed: self.settings.seed, sets, keep_all })?;
        let Reply::Loaded { load_ns, packing_ns, packing_bytes, host_memory, .. } = reply else {
            return Err(unexpected("load"));
        };
        if !keep_all {
            self.evidence.loads.push(LoadCost { load_ns, packing_ns, packing_bytes });
            self.evidence.host_memory = Some(host_memory);
            if host_memory {
                self.drop_views();
            }
        }
        Ok(())
    }

    /// On a host's memory nothing is transferred: `end_to_end` is `resident` by another name, and there
    /// is no device's clock.
    fn drop_views(&mut self) {
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
    fn warm_up(&mut self, temperature: Temperature, first: Nanos) -> Result<(), Trouble> {
        let mut warm = self.settings.warm_up;
        for index in 0..self.tallies.len() {
            let kind = self.tallies[index].kind();
            if kind.temperature != temperature {
                continue;
            }
            let slice = self.slice(kind);
            // One of these already lasts for many samples: that was warm-up enough.
            let iters = if first.0 > 10.0 * slice.0 { 1 } else { self.calibrate(kind, slice, warm)? };
            warm = Nanos(0.0);
            self.tallies[index].begin(iters, self.probe.map(|probe| probe.kind));
        }
        Ok(())
    }

    fn calibrate(&mut self, kind: SeriesKind, slice: Nanos, warm: Nanos) -> Result<u64, Trouble> {
        let begin = clock::now();
        let ask = Ask::Calibrate { scope: kind.scope, sync: kind.sync, min_ns: slice.0 as u64 };
        let Reply::Calibrated { mut iters, each_ns } = self.ask(&ask)? else {
            return Err(unexpected("calibrate"));
        };
        let mut worked = each_ns * iters as f64;
        while worked.max((clock::now() - begin) as f64) < warm.0 {
            let sampled = self.sample(kind, iters)?;
            worked += sampled.ns.max(1.0);
            // Caches and clocks have warmed up since: what lasted a slice may be shorter now.
            let each = sampled.ns / iters as f64;
            if each > 0.0 {
                iters = ((slice.0 / each).ceil() as u64).clamp(1, iters.saturating_mul(2));
            }
        }
        Ok(iters)
    }

    fn slice(&self, kind: SeriesKind) -> Nanos {
        let steps = self.evidence.clock_precision_ns.unwrap_or(0.0) * CLOCK_STEPS;
        let long = kind.load == Load::Sustained || self.evidence.host_memory == Some(false);
        let slice = if long { self.settings.device_slice } else { self.settings.slice };
        Nanos(slice.0.max(steps))
    }

    /// The series that belong to a phase and a load, by their numbers.
    pub(super) fn series(&self, temperature: Temperature, load: Load) -> Vec<usize> {
        let belongs = |kind: SeriesKind| kind.temperature == temperature && kind.load == load;
        (0..self.tallies.len()).filter(|&index| belongs(self.tallies[index].kind())).collect()
    }

    /// The number of the series of `kind`.
    pub(super) fn find(&mut self, kind: SeriesKind) -> Option<&mut Tally> {
        self.tallies.iter_mut().find(|tally| tally.kind() == kind)
    }

    /// One turn: probe, wake, sample, stop; again if it had to wait for a core.
    pub(super) fn turn(
        &mut self,
        kind: SeriesKind,
        (start, round): (u32, u32),
        prober: &mut Prober,
    ) -> Result<(), Trouble> {
        let begin = clock::now();
        let Some(iters) = self.find(kind).map(|tally| tally.iters()) else { return Ok(()) };
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
        let stop = self.settings.stop;
        if let (Some((_, turn)), Some(tally)) = (best, self.find(kind)) {
            tally.push(Turn { spent, ..turn }, start, round, &stop);
        }
        Ok(())
    }

    /// The probe's rate and how long it waited for a core; 0 where there is none.
    fn beside(&self, prober: &mut Prober) -> (f64, u64) {
        self.probe.and_then(|probe| prober.rate(probe, self.settings.probe)).unwrap_or((0.0, 0))
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

    /// Sends a request within what is left of the cell's time.
    pub(super) fn ask(&mut self, ask: &Ask) -> Result<Reply, Trouble> {
        let (begin, left) = (Instant::now(), self.left);
        let reply = self.peer()?.ask(ask, left);
        self.spend(begin);
        Ok(reply?)
    }

    fn spend(&mut self, begin: Instant) {
        // Never nothing: the limit of the next request then tells a slow cell from a hung one.
        self.left = self.left.saturating_sub(begin.elapsed()).max(Duration::from_millis(1));
    }

    pub(super) fn pause(&mut self) -> Result<(), Trouble> {
        Ok(self.peer()?.pause()?)
    }

    fn peer(&mut self) -> Result<&mut Box<dyn Peer>, Trouble> {
        let gone = || Trouble::Crash(Crash::new(CrashKind::SilentExit, "the worker is gone"));
        self.peer.as_mut().ok_or_else(gone)
    }
}

/// A reply of the wrong kind, which the worker's own parent lets through only by mistake.
fn unexpected(asked: &str) -> Trouble {
    Trouble::Crash(Crash::new(CrashKind::Garbage, format!("the worker did not answer `{asked}`")))
}
