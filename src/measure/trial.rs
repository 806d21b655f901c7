//! One cell while it is measured: its worker of the moment and the evidence so far.

use super::crash::{Crash, CrashKind};
use super::evidence::{Evidence, LoadCost, Outcome};
use super::peer::{Hire, Peer};
use super::probe::{Probe, Prober};
use super::proof::Proof;
use super::protocol::{Ask, Reply};
use super::settings::Settings;
use super::stop::Stop;
use super::tally::Tally;
use super::verify::Verifier;
use super::watch::Watch;
use crate::backends::{DeviceKind, family_of};
use crate::plan::{Cell, SeriesKind};
use crate::program::ValueId;
use crate::suite::{Load, Temperature};
use crate::tensor::HostArray;
use crate::units::Nanos;
use std::ops::Range;
use std::time::{Duration, Instant};

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

/// What all trials of a group share.
pub(super) struct Tools<'a> {
    /// Whoever starts workers.
    pub(super) hire: &'a dyn Hire,
    /// The worker that serves probes.
    pub(super) prober: Prober<'a>,
    /// Bytes of all caches of the last level together.
    pub(super) last_level_cache: u64,
    /// The reference answers.
    pub(super) verifier: Verifier,
}

/// Whether a backend computes on a graphics card.
pub(super) fn is_on_a_card(backend: &str) -> bool {
    let of_family = || family_of(backend).map(|family| family.kind());
    kind_of(backend).or_else(of_family) == Some(DeviceKind::Gpu)
}

/// One cell while it is measured.
pub(super) struct Trial<'a> {
    pub(super) cell: &'a Cell,
    pub(super) settings: &'a Settings,
    peer: Option<Box<dyn Peer>>,
    /// When the rounds of this start end.
    pub(super) stop: Stop,
    /// Processes so far.
    starts: usize,
    left: Duration,
    pub(super) evidence: Evidence,
    pub(super) tallies: Vec<Tally>,
    pub(super) probe: Option<Probe>,
    pub(super) proof: Proof,
    /// What the device told around samples.
    pub(super) watch: Watch,
    /// Input sets whose answers have been seen.
    pub(super) proven_sets: usize,
}

impl<'a> Trial<'a> {
    pub(super) fn new(cell: &'a Cell, kinds: &[SeriesKind], settings: &'a Settings) -> Self {
        Self {
            cell,
            settings,
            stop: settings.stop,
            peer: None,
            starts: 0,
            left: settings.time_limit,
            evidence: Evidence::of(Outcome::Measured),
            tallies: kinds.iter().copied().map(Tally::new).collect(),
            probe: None,
            proof: Proof::default(),
            watch: Watch::default(),
            proven_sets: 1,
        }
    }

    /// Whether it is still in.
    pub(super) fn is_alive(&self) -> bool {
        self.evidence.outcome == Outcome::Measured
    }

    /// Whether it computes on a graphics card.
    pub(super) fn is_on_a_card(&self) -> bool {
        is_on_a_card(&self.cell.contender.backend)
    }

    /// Whether its card had no memory left, or was another process's: in a driver's words, or PyTorch's.
    pub(super) fn found_no_room_on_its_card(&self) -> bool {
        let taken = |message: &str| {
            ["uses the device exclusively", "busy or unavailable"].iter().any(|words| message.contains(words))
        };
        self.is_on_a_card()
            && match &self.evidence.outcome {
                Outcome::Failed { kind, message } => kind == CrashKind::OutOfMemory.name() || taken(message),
                Outcome::Skipped { reason } => taken(reason),
                Outcome::Measured | Outcome::Wrong { .. } => false,
            }
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

    /// Proves the answer in a fresh process and times nothing.
    pub(super) fn prove(&mut self, tools: &mut Tools) -> Result<(), Trouble> {
        self.hire(tools.hire)?;
        self.prove_steps(&mut tools.verifier)?;
        self.load(1, false)?;
        self.prove_answer(1, &mut tools.verifier)?;
        Ok(())
    }

    /// After the rounds of a phase: the state that timing left is finite, and the buffers that were timed
    /// still give the right answer.
    pub(super) fn conclude(&mut self, phase: Phase) -> Result<(), Trouble> {
        self.prove_again()?;
        for tally in self.tallies.iter_mut().filter(|tally| tally.kind().temperature == phase.temperature) {
            tally.end();
        }
        self.pause()
    }

    /// All that is known now.
    pub(super) fn finish(self, interleaved: bool) -> Evidence {
        let mut evidence = self.evidence;
        evidence.interleaved = interleaved;
        if evidence.outcome == Outcome::Measured {
            self.watch.conclude(&mut evidence);
            evidence.series = self.tallies.into_iter().filter_map(Tally::finish).collect();
        }
        evidence
    }

    /// A fresh process.
    fn hire(&mut self, hire: &dyn Hire) -> Result<(), Trouble> {
        let begin = Instant::now();
        let peer = hire.hire(&self.cell.contender, self.left);
        self.spend(begin);
        let peer = peer?;
        self.evidence.identity = Some(peer.identity().clone());
        self.evidence.clock_precision_ns = Some(peer.clock_precision_ns());
        self.peer = Some(peer);
        self.starts += 1;
        Ok(())
    }

    /// The process ends.
    pub(super) fn dismiss(&mut self) {
        self.peer = None;
    }

    /// Loads, proves the answer, warms up, decides how many executions make a sample, and stops.
    pub(super) fn prepare(&mut self, phase: Phase, start: u32, tools: &mut Tools) -> Result<(), Trouble> {
        if self.peer.is_none() {
            self.hire(tools.hire)?;
        }
        self.prove_steps(&mut tools.verifier)?;
        self.load(phase.sets, false)?;
        let first = self.prove_answer(phase.sets, &mut tools.verifier)?;
        let (program, threads) = (&self.cell.program, self.cell.contender.lane.threads);
        let probe = Probe::of(program, threads, phase.sets, tools.last_level_cache);
        let wanted =
            self.settings.probe.0 > 0.0 && kind_of(&self.cell.contender.backend) == Some(DeviceKind::Cpu);
        self.probe = if wanted { tools.prober.available(probe) } else { None };
        self.warm_up(phase.temperature, start, Nanos(first.0 / phase.sets as f64))?;
        self.pause()
    }

    pub(super) fn load(&mut self, sets: usize, keep_all: bool) -> Result<(), Trouble> {
        let program = (*self.cell.program).clone();
        let reply = self.ask(&Ask::Load { program, seed: self.settings.seed, sets, keep_all })?;
        let Reply::Loaded { load_ns, packing_ns, packing_bytes, host_memory, notes, .. } = reply else {
            return Err(unexpected("load"));
        };
        self.evidence.identity.iter_mut().for_each(|identity| identity.notes.extend(notes.clone()));
        if !keep_all {
            // A start's later phases lay out more copies, at another cost.
            if self.evidence.loads.len() < self.starts {
                self.evidence.loads.push(LoadCost { load_ns, packing_ns, packing_bytes });
            }
            self.evidence.host_memory = Some(host_memory);
            if host_memory {
                self.drop_views();
            }
        }
        Ok(())
    }

    /// The series of a phase under a load.
    pub(super) fn kinds(&self, temperature: Temperature, load: Load) -> Vec<SeriesKind> {
        let kinds = self.tallies.iter().map(Tally::kind);
        kinds.filter(|kind| kind.temperature == temperature && kind.load == load).collect()
    }

    /// Whether a series wants more samples of this start.
    pub(super) fn is_open(&self, kind: SeriesKind) -> bool {
        self.is_alive() && self.tally(kind).is_some_and(|tally| tally.decision().is_none())
    }

    /// Whether a series may take another sample of this start.
    pub(super) fn may_go_on(&self, kind: SeriesKind) -> bool {
        self.is_alive() && self.tally(kind).is_some_and(|tally| !tally.is_exhausted(&self.stop))
    }

    pub(super) fn tally(&self, kind: SeriesKind) -> Option<&Tally> {
        self.tallies.iter().find(|tally| tally.kind() == kind)
    }

    pub(super) fn tally_mut(&mut self, kind: SeriesKind) -> Option<&mut Tally> {
        self.tallies.iter_mut().find(|tally| tally.kind() == kind)
    }

    /// Sends a request within what is left of the cell's time.
    pub(super) fn ask(&mut self, ask: &Ask) -> Result<Reply, Trouble> {
        let (begin, left) = (Instant::now(), self.left);
        let reply = self.peer()?.ask(ask, left);
        self.spend(begin);
        Ok(reply.map_err(|crash| self.explain(crash))?)
    }

    /// Elements of a value of the loaded program.
    pub(super) fn read(
        &mut self,
        value: ValueId,
        set: usize,
        range: Range<usize>,
    ) -> Result<HostArray, Trouble> {
        let begin = Instant::now();
        let array = self.peer()?.read(value, set, range);
        self.spend(begin);
        Ok(array?)
    }

    fn spend(&mut self, begin: Instant) {
        // Never nothing: the worker may still say by itself why it is late.
        self.left = self.left.saturating_sub(begin.elapsed()).max(Duration::from_millis(1));
    }

    /// Whoever sees that an answer did not come must know how much time there was in all.
    fn explain(&self, crash: Crash) -> Crash {
        if crash.kind != CrashKind::Hang {
            return crash;
        }
        let limit = self.settings.time_limit.as_secs_f64();
        Crash { message: format!("{}; the cell may take {limit} s in one visit", crash.message), ..crash }
    }

    pub(super) fn pause(&mut self) -> Result<(), Trouble> {
        Ok(self.peer()?.pause()?)
    }

    pub(super) fn peer(&mut self) -> Result<&mut Box<dyn Peer>, Trouble> {
        let gone = || Trouble::Crash(Crash::new(CrashKind::SilentExit, "the worker is gone"));
        self.peer.as_mut().ok_or_else(gone)
    }
}

/// What kind of device a backend runs on; none where its family does not list it.
fn kind_of(backend: &str) -> Option<DeviceKind> {
    let devices = family_of(backend)?.devices();
    devices.into_iter().find(|found| found.backend == backend).map(|found| found.kind)
}

/// A reply of the wrong kind, which the worker's own parent lets through only by mistake.
pub(super) fn unexpected(asked: &str) -> Trouble {
    Trouble::Crash(Crash::new(CrashKind::Garbage, format!("the worker did not answer `{asked}`")))
}
