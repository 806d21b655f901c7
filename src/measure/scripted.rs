//! Workers without processes, for tests: scripted devices that answer right, on a scripted clock.

use super::crash::{Crash, CrashKind};
use super::evidence::Evidence;
use super::group::{Bench, Interrupted, measure};
use super::peer::{Hire, Peer};
use super::protocol::{Ask, Reply};
use super::serve::Session;
use super::settings::Settings;
use crate::backends::null::{self, Behaviour};
use crate::backends::{Identity, Lane, Packing};
use crate::plan::{Cell, Contender, Fate, Group, SeriesKind};
use crate::program::ValueId;
use crate::suite::{Load, Scope, Sync, Temperature};
use crate::tensor::HostArray;
use crate::workloads::{self, Param, Params};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How one contender behaves.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// Its device.
    pub(super) behaviour: Behaviour,
    /// The crash that answers the n-th request of a name, counted from 0 over all its starts.
    pub(super) crash: Option<(&'static str, usize, CrashKind)>,
    /// It was disturbed while it was calibrated: one execution seemed to last as long as was wanted.
    pub(super) disturbed: bool,
    /// It finds memory for a program only while no other contender has one.
    pub(super) wants_all: bool,
    /// Nanoseconds that its samples wait for a core, one after another; the rest wait for none.
    pub(super) waits: Vec<u64>,
    /// How long a load takes by the real clock.
    pub(super) loads_for: Duration,
    /// What the driver of its device counts as taken, one look after another.
    pub(super) taken: Vec<u64>,
}

/// Who was asked what, in order: `null/a sample 8`.
pub(super) type Log = Rc<RefCell<Vec<String>>>;

/// A company of scripted contenders.
pub(super) struct Company {
    pub(super) parts: BTreeMap<String, Part>,
    pub(super) log: Log,
    counts: Rc<RefCell<BTreeMap<String, usize>>>,
    /// Contenders that have a program.
    loaded: Rc<RefCell<BTreeSet<String>>>,
    scratch: tempfile::TempDir,
}

impl Company {
    pub(super) fn of(parts: &[(&str, Part)]) -> Self {
        Self {
            parts: parts.iter().map(|(name, part)| (name.to_string(), part.clone())).collect(),
            log: Log::default(),
            counts: Rc::default(),
            loaded: Rc::default(),
            scratch: tempfile::tempdir().unwrap(),
        }
    }

    /// Entries of the log that begin with these words.
    pub(super) fn said(&self, words: &str) -> Vec<String> {
        self.log.borrow().iter().filter(|entry| entry.contains(words)).cloned().collect()
    }

    /// Measures one small product on all parts.
    pub(super) fn measure(&self, settings: Settings, kinds: &[SeriesKind]) -> Vec<Evidence> {
        self.try_measure(settings, kinds, &AtomicBool::new(false)).unwrap()
    }

    pub(super) fn try_measure(
        &self,
        settings: Settings,
        kinds: &[SeriesKind],
        interrupted: &AtomicBool,
    ) -> Result<Vec<Evidence>, Interrupted> {
        let group = group(self.parts.keys().map(String::as_str), kinds);
        let bench = Bench {
            settings,
            hire: self,
            last_level_cache: Some(1 << 16),
            free_memory: Some(1 << 30),
            interrupted,
            progress: &|_| {},
        };
        measure(&group, &bench)
    }
}

/// Hot executions back to back.
pub(super) const BATCH: SeriesKind = SeriesKind {
    scope: Scope::Resident,
    sync: Sync::Batch,
    load: Load::Burst,
    temperature: Temperature::Hot,
};

/// A product of small matrices on these contenders.
pub(super) fn group<'a>(backends: impl Iterator<Item = &'a str>, kinds: &[SeriesKind]) -> Group {
    let point: Params = ["m", "n", "k"].map(|axis| (axis.to_string(), Param::Int(8))).into();
    let program = Arc::new(workloads::find("gemm").unwrap().program(&point).unwrap());
    let cells = backends.map(|backend| Cell {
        contender: Contender {
            backend: backend.to_string(),
            lane: Lane { threads: 1, packing: Packing::Plain },
            twin: false,
        },
        program: program.clone(),
        expanded: vec![],
        fate: Fate::Run,
    });
    Group {
        id: "test/small/m=8,n=8,k=8".to_string(),
        suite: "test".to_string(),
        case: "small".to_string(),
        why: "tests".to_string(),
        workload: "gemm".to_string(),
        point,
        cells: cells.collect(),
        work: program.work(),
        program,
        series: kinds.to_vec(),
        priority: 0,
        label: String::new(),
        effort: crate::suite::Effort::Quick,
        memory: false,
        limit: None,
        max_memory: None,
        estimate: Duration::ZERO,
        first: Duration::ZERO,
    }
}

impl Hire for Company {
    fn hire(&self, contender: &Contender, _: Duration) -> Result<Box<dyn Peer>, Crash> {
        let part = &self.parts[&contender.backend];
        let mut peer = ScriptedPeer {
            name: contender.backend.clone(),
            session: Session::of(null::open(part.behaviour.clone(), &contender.lane)),
            part: part.clone(),
            log: self.log.clone(),
            counts: self.counts.clone(),
            loaded: self.loaded.clone(),
            file: self.scratch.path().join("value"),
            identity: Identity::default(),
            values: vec![],
        };
        peer.note("hire")?;
        Ok(Box::new(peer))
    }

    fn hire_prober(&self, _: Duration) -> Result<Box<dyn Peer>, Crash> {
        Err(Crash::new(CrashKind::Refused, "no probes here"))
    }
}

struct ScriptedPeer {
    name: String,
    session: Session,
    part: Part,
    log: Log,
    counts: Rc<RefCell<BTreeMap<String, usize>>>,
    loaded: Rc<RefCell<BTreeSet<String>>>,
    file: std::path::PathBuf,
    identity: Identity,
    values: Vec<crate::tensor::ValueSpec>,
}

impl ScriptedPeer {
    /// How often this was asked before; the crash, if it is due.
    fn note(&mut self, word: &str) -> Result<usize, Crash> {
        self.log.borrow_mut().push(format!("{} {word}", self.name));
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(format!("{} {word}", self.name)).or_default();
        *count += 1;
        match self.part.crash {
            Some((name, number, kind)) if name == word && number == *count - 1 => {
                Err(Crash::new(kind, "as scripted"))
            }
            _ => Ok(*count - 1),
        }
    }
}

impl Drop for ScriptedPeer {
    fn drop(&mut self) {
        self.loaded.borrow_mut().remove(&self.name);
    }
}

impl Peer for ScriptedPeer {
    fn ask(&mut self, ask: &Ask, _: Duration) -> Result<Reply, Crash> {
        let name = serde_json::to_value(ask).unwrap()["ask"].as_str().unwrap().to_string();
        let number = self.note(&name)?;
        if let Ask::Load { program, .. } = ask {
            std::thread::sleep(self.part.loads_for);
            let mut loaded = self.loaded.borrow_mut();
            if self.part.wants_all && loaded.iter().any(|name| *name != self.name) {
                return Err(Crash::new(CrashKind::OutOfMemory, "another has it all"));
            }
            loaded.insert(self.name.clone());
            self.values = program.values.iter().map(|value| value.spec.clone()).collect();
        }
        match self.session.answer(ask.clone()) {
            Reply::Fault(fault) => Err(fault.into()),
            Reply::Refused { why } => Err(Crash::new(CrashKind::Refused, why)),
            Reply::Sample(mut sampled) => {
                sampled.run_delay_ns = self.part.waits.get(number).copied().unwrap_or(0);
                sampled.steal_ns = 0;
                Ok(Reply::Sample(sampled))
            }
            Reply::Memory { bytes, resident, peak, .. } => {
                // Known, whatever this kernel keeps.
                let (peak, taken) = (peak.max(1), self.part.taken.get(number).copied());
                Ok(Reply::Memory { bytes, resident, peak, taken })
            }
            Reply::Calibrated { .. } if self.part.disturbed => {
                Ok(Reply::Calibrated { iters: 1, each_ns: 1e8 })
            }
            reply => Ok(reply),
        }
    }

    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Crash> {
        let path = self.file.to_string_lossy().into_owned();
        self.ask(
            &Ask::Read { value, set, offset: range.start, len: range.len(), path },
            Duration::from_secs(1),
        )?;
        let bytes = std::fs::read(&self.file).unwrap();
        Ok(HostArray::from_le_bytes(self.values[value].dtype, &bytes))
    }

    fn pause(&mut self) -> Result<(), Crash> {
        self.note("pause").map(|_| ())
    }

    fn resume(&mut self) -> Result<(), Crash> {
        self.note("resume").map(|_| ())
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn clock_precision_ns(&self) -> f64 {
        1.0
    }
}
