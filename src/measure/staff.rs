//! Real workers for a run.

use super::crash::{Crash, CrashKind};
use super::peer::{Hire, Peer};
use super::protocol::{Ask, Reply};
use super::worker::{Launch, Worker};
use crate::backends::{Identity, Lane, Packing, family_of};
use crate::plan::Contender;
use crate::program::ValueId;
use crate::tensor::HostArray;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// The backend whose workers serve probes: it opens everywhere and holds nothing.
const PROBER: &str = "null";

/// Starts workers of this program.
#[derive(Clone, Debug)]
pub struct Staff {
    /// This program.
    pub program: PathBuf,
    /// Folder for values that cross; it exists.
    pub scratch: PathBuf,
    /// Variables for every worker: what a family asks for comes later and wins.
    pub environment: Vec<(String, String)>,
    /// Resident bytes that one worker may reach.
    pub memory_limit: Option<u64>,
}

impl Staff {
    fn start(&self, backend: &str, lane: &Lane, limit: Duration) -> Result<Worker, Crash> {
        let unknown = || Crash::new(CrashKind::Unsupported, format!("there is no backend `{backend}`"));
        let family = family_of(backend).ok_or_else(unknown)?;
        let external = family.external().transpose();
        let external = external.map_err(|why| Crash::new(CrashKind::Unsupported, why.to_string()))?;
        let launch = Launch {
            backend: backend.to_string(),
            lane: lane.clone(),
            program: self.program.clone(),
            external: external.map(|external| external.command),
            environment: [self.environment.clone(), family.environment(lane)].concat(),
            memory_limit: self.memory_limit,
            scratch: self.scratch.clone(),
        };
        Worker::start(&launch, limit)
    }
}

impl Hire for Staff {
    fn hire(&self, contender: &Contender, limit: Duration) -> Result<Box<dyn Peer>, Crash> {
        Ok(Box::new(self.start(&contender.backend, &contender.lane, limit)?))
    }

    fn hire_prober(&self, limit: Duration) -> Result<Box<dyn Peer>, Crash> {
        let lane = Lane { threads: 1, packing: Packing::Plain };
        Ok(Box::new(self.start(PROBER, &lane, limit)?))
    }
}

impl Peer for Worker {
    fn ask(&mut self, ask: &Ask, limit: Duration) -> Result<Reply, Crash> {
        self.ask(ask, limit)
    }
    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Crash> {
        self.read(value, set, range)
    }
    fn pause(&mut self) -> Result<(), Crash> {
        self.pause()
    }
    fn resume(&mut self) -> Result<(), Crash> {
        self.resume()
    }
    fn identity(&self) -> &Identity {
        self.identity()
    }
    fn clock_precision_ns(&self) -> f64 {
        self.clock_precision_ns()
    }
}
