//! The parent's side of a worker: one process that serves one contender.

use super::crash::{Crash, CrashKind, printable};
use super::pipes::{Pipes, Silence};
use super::process::Process;
use super::protocol::{Ask, PROTOCOL, Reply};
use crate::backends::{DeviceKind, Identity, Lane, family_of};
use crate::host::{child, process};
use crate::program::ValueId;
use crate::tensor::{HostArray, ValueSpec};
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a worker may take to say good-bye, to stop, or to finish its last words.
const GRACE: Duration = Duration::from_secs(1);
/// How long a worker may take to write a value to a file.
const READ_LIMIT: Duration = Duration::from_secs(60);
/// How often memory is looked at: rarely enough that the look costs under 0.1 % of one core.
const SLICE: Duration = Duration::from_millis(50);
/// The leader's memory is looked at in every slice; the whole group's, which reads all of `/proc`, in
/// every such number of slices.
const GROUP_EVERY: u32 = 20;

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Backend to open: `cpu/native`.
    pub backend: String,
    /// How to set it up.
    pub lane: Lane,
    /// This program, which also starts external commands.
    pub program: PathBuf,
    /// Program and arguments of a worker that is not this program.
    pub external: Option<Vec<String>>,
    /// Variables that the worker gets beside this process's own; an empty one is taken away.
    pub environment: Vec<(String, String)>,
    /// Resident bytes of the worker's process group above which it is killed.
    pub memory_limit: Option<u64>,
    /// Folder for values that cross; it exists.
    pub scratch: PathBuf,
}

impl Launch {
    /// Whoever computes on one thread of the processor does so on one core, the same for all.
    fn one_core(&self) -> bool {
        let devices = family_of(&self.backend).map_or_else(Vec::new, |family| family.devices());
        let is_cpu =
            devices.iter().any(|found| found.backend == self.backend && found.kind == DeviceKind::Cpu);
        self.lane.threads == 1 && is_cpu
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["worker", "--parent", &std::process::id().to_string()]);
        if let Some(external) = &self.external {
            command.arg("--exec").args(external);
        }
        // A backtrace would push the message out of the end of stderr that is kept.
        command.env("RUST_BACKTRACE", "0");
        child::set_all(&mut command, &self.environment);
        command
    }
}

/// A live worker. Dropping it kills its whole process group and reaps it.
#[derive(Debug)]
pub struct Worker {
    process: Process,
    pipes: Pipes,
    identity: Identity,
    clock_precision_ns: f64,
    memory_limit: Option<u64>,
    scratch: PathBuf,
    values: Vec<ValueSpec>,
    files: u64,
    paused: bool,
    oom_kills: Option<u64>,
}

impl Worker {
    /// Starts a process and opens its backend, within `limit`.
    pub fn start(launch: &Launch, limit: Duration) -> Result<Self, Crash> {
        let cannot = |error: std::io::Error| {
            let program = launch.program.file_name().unwrap_or_default().to_string_lossy();
            Crash::new(CrashKind::Start, format!("cannot start {program} as a worker: {error}"))
        };
        let mut process = Process::start(launch.command(), launch.one_core()).map_err(cannot)?;
        let pipes = Pipes::of(process.child()).map_err(cannot)?;
        let mut worker = Self {
            process,
            pipes,
            identity: Identity::default(),
            clock_precision_ns: 0.0,
            memory_limit: launch.memory_limit,
            scratch: launch.scratch.clone(),
            values: Vec::new(),
            files: 0,
            paused: false,
            oom_kills: process::oom_kills(),
        };
        worker.greet(launch, limit)?;
        Ok(worker)
    }

    fn greet(&mut self, launch: &Launch, limit: Duration) -> Result<(), Crash> {
        let hello =
            Ask::Hello { protocol: PROTOCOL, backend: launch.backend.clone(), lane: launch.lane.clone() };
        match self.ask(&hello, limit)? {
            Reply::Hello { protocol: PROTOCOL, identity, clock_precision_ns, .. } => {
                (self.identity, self.clock_precision_ns) = (identity, clock_precision_ns);
                Ok(())
            }
            Reply::Hello { protocol, .. } => Err(Crash::new(
                CrashKind::Refused,
                format!("the worker speaks protocol {protocol}; {PROTOCOL} is wanted: update it"),
            )),
            _ => Err(Crash::new(CrashKind::Garbage, "the worker did not answer hello with hello")),
        }
    }

    /// Sends one request and waits for its answer. Replies `fault` and `refused` come back as crashes
    /// too, and leave the worker alive; after every other crash it is dead ([`Self::is_alive`]).
    /// A paused worker is resumed first.
    pub fn ask(&mut self, ask: &Ask, limit: Duration) -> Result<Reply, Crash> {
        self.resume()?;
        if !self.process.is_alive() {
            return Err(self.bury(Silence::Closed, limit));
        }
        let mut line = serde_json::to_vec(ask)
            .map_err(|error| Crash::new(CrashKind::Refused, format!("this request has no JSON: {error}")))?;
        line.push(b'\n');
        let reply = self.exchange(&line, limit)?;
        match self.understand(ask, &reply)? {
            Reply::Fault(fault) => Err(fault.into()),
            Reply::Refused { why } => Err(Crash::new(CrashKind::Refused, printable(&why))),
            reply => {
                self.note(ask);
                Ok(reply)
            }
        }
    }

    fn exchange(&mut self, line: &[u8], limit: Duration) -> Result<Vec<u8>, Crash> {
        let (group, memory_limit) = (self.process.id(), self.memory_limit.unwrap_or(u64::MAX));
        let slice = if self.memory_limit.is_some() { SLICE } else { limit };
        let mut watch = MemoryWatch { group, limit: memory_limit, looked: Instant::now(), looks: 0, seen: 0 };
        match self.pipes.exchange(line, limit, slice, || watch.is_over()) {
            Ok(reply) => Ok(reply),
            Err(Silence::Watch) => {
                self.process.end();
                let (held, limit) = (crate::units::Bytes(watch.seen), crate::units::Bytes(memory_limit));
                let message = format!("the worker held {held} of memory, over its limit of {limit}");
                Err(Crash::new(CrashKind::OutOfMemory, message))
            }
            Err(silence) => Err(self.bury(silence, limit)),
        }
    }

    /// The reply on `line`; anything else kills the worker, because the next line would answer an
    /// earlier question.
    fn understand(&mut self, ask: &Ask, line: &[u8]) -> Result<Reply, Crash> {
        let reply = serde_json::from_slice::<Reply>(line).map_err(|error| error.to_string());
        let reply = reply.and_then(|reply| if reply.answers(ask) { Ok(reply) } else { Err(other(&reply)) });
        reply.map_err(|why| {
            self.process.end();
            let begin: String = String::from_utf8_lossy(line).chars().take(120).collect();
            let begin = printable(&begin);
            Crash::new(CrashKind::Garbage, format!("the worker answered with garbage: {begin:?} ({why})"))
        })
    }

    /// Ends a worker that gave no answer and finds out why.
    fn bury(&mut self, silence: Silence, limit: Duration) -> Crash {
        let by_itself = silence == Silence::Closed && self.process.ends_within(GRACE);
        let status = self.process.end();
        let said = self.pipes.last_words(Duration::from_millis(200));
        let (kind, message) = match (silence, status) {
            (Silence::Closed, Some(status)) if by_itself => {
                return Crash::of_exit(status, &said, self.oom_killed());
            }
            (Silence::TimeUp | Silence::Watch, _) => (
                CrashKind::Hang,
                format!("no answer within {:.1} s; the worker was killed", limit.as_secs_f64()),
            ),
            (Silence::Endless, _) => (CrashKind::Garbage, "the worker's answer did not end".to_string()),
            (Silence::Unasked, _) => (CrashKind::Garbage, "the worker spoke without being asked".to_string()),
            (Silence::Closed, None) => (CrashKind::SilentExit, "the worker had ended before".to_string()),
            (Silence::Closed, Some(_)) => {
                (CrashKind::SilentExit, "the worker closed its answers and went on".to_string())
            }
        };
        Crash { kind, message }
    }

    fn oom_killed(&self) -> bool {
        process::oom_kills() > self.oom_kills
    }

    fn note(&mut self, ask: &Ask) {
        match ask {
            Ask::Load { program, .. } => {
                self.values = program.values.iter().map(|value| value.spec.clone()).collect();
            }
            Ask::Free => self.values.clear(),
            _ => {}
        }
    }

    /// Stops every thread of the worker. Only between an answer and the next request, so that no work
    /// is in flight.
    pub fn pause(&mut self) -> Result<(), Crash> {
        if self.paused {
            return Ok(());
        }
        self.paused = true;
        self.process.stop(GRACE * 5).map_err(|error| {
            self.process.end();
            Crash::new(CrashKind::Hang, format!("the worker could not be stopped: {error}"))
        })
    }

    /// Lets a paused worker go on.
    pub fn resume(&mut self) -> Result<(), Crash> {
        if std::mem::take(&mut self.paused) {
            let dead = |error| Crash::new(CrashKind::SilentExit, format!("the worker is gone: {error}"));
            self.process.go_on().map_err(dead)?;
        }
        Ok(())
    }

    /// Elements `range` of a value of the loaded program, through a file.
    pub fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Crash> {
        let refused = |why: String| Crash::new(CrashKind::Refused, why);
        let known = self.values.get(value).map(|spec| (spec.dtype, spec.elements()));
        let (dtype, elements) = known.ok_or_else(|| refused(format!("no value {value} is loaded")))?;
        if range.start > range.end || range.end > elements {
            return Err(refused(format!("value {value} has {elements} elements, not {range:?}")));
        }
        self.files += 1;
        let path = self.scratch.join(format!("value-{}-{}", self.process.id(), self.files));
        let ask = Ask::Read {
            value,
            set,
            offset: range.start,
            len: range.len(),
            path: path.to_string_lossy().into_owned(),
        };
        let answer = self.ask(&ask, READ_LIMIT);
        let bytes = fs::read(&path);
        let _ = fs::remove_file(&path);
        answer?;
        let bytes = bytes.map_err(|error| refused(format!("the file of value {value}: {error}")))?;
        if bytes.len() != range.len() * dtype.size() {
            let wanted = range.len() * dtype.size();
            let message = format!("value {value} came as {} bytes instead of {wanted}", bytes.len());
            return Err(Crash::new(CrashKind::Garbage, message));
        }
        Ok(HostArray::from_le_bytes(dtype, &bytes))
    }

    /// Who computes, as the worker says.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Smallest step of the worker's clock in nanoseconds, as the worker says.
    pub fn clock_precision_ns(&self) -> f64 {
        self.clock_precision_ns
    }

    /// Id of the worker's process, and of its process group.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether it can be asked again.
    pub fn is_alive(&self) -> bool {
        self.process.is_alive()
    }

    /// Asks the worker to end, and ends it.
    pub fn quit(mut self) {
        if self.ask(&Ask::Quit, GRACE).is_ok() {
            self.process.ends_within(GRACE);
        }
    }
}

fn other(reply: &Reply) -> String {
    let name = serde_json::to_value(reply).ok();
    let name = name.as_ref().and_then(|value| value["reply"].as_str()).unwrap_or("?");
    format!("`{name}` is no answer to this, or holds impossible numbers")
}

/// Follows the memory of a worker while it works.
struct MemoryWatch {
    group: u32,
    limit: u64,
    looked: Instant,
    looks: u32,
    seen: u64,
}

impl MemoryWatch {
    fn is_over(&mut self) -> bool {
        // A chatty worker wakes the parent more often than the slice.
        if self.looked.elapsed() < SLICE || self.limit == u64::MAX {
            return false;
        }
        self.looked = Instant::now();
        self.looks += 1;
        self.seen = if self.looks.is_multiple_of(GROUP_EVERY) {
            process::group_resident(self.group)
        } else {
            process::resident(Some(self.group)).map_or(0, |memory| memory.now)
        };
        self.seen > self.limit
    }
}
