//! A worker's process: started, stopped, continued, ended, and never left behind.

use crate::host::affinity::OneCore;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

/// What to start, whether on one core alone, and where the child goes.
type Job = (Command, bool, SyncSender<io::Result<Child>>);

/// Starts `command` from a thread that lives as long as this process, because the parent-death signal
/// fires when the *thread* that forked ends.
fn spawn(command: Command, one_core: bool) -> io::Result<Child> {
    static SPAWNER: OnceLock<Option<Sender<Job>>> = OnceLock::new();
    let gone = || io::Error::other("the thread that starts workers could not be started");
    let (reply, child) = sync_channel(1);
    let spawner = SPAWNER.get_or_init(spawner).as_ref().ok_or_else(gone)?;
    spawner.send((command, one_core, reply)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

fn spawner() -> Option<Sender<Job>> {
    let (jobs, queue) = channel::<Job>();
    let serve = move || {
        for (mut command, one_core, reply) in queue {
            // A child begins on the cores of the thread that forks it.
            let _kept = if one_core { OneCore::keep() } else { None };
            // Who asked may have given up; then the child's pipes close and it ends.
            let _ = reply.send(command.spawn());
        }
    };
    std::thread::Builder::new().name("spawner".to_string()).spawn(serve).ok()?;
    Some(jobs)
}

/// A child that leads a process group of its own.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pid: Pid,
    reaped: bool,
}

impl Process {
    /// Starts `command` with pipes for its three streams; on `one_core` it and its threads share one.
    pub(super) fn start(mut command: Command, one_core: bool) -> io::Result<Self> {
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = spawn(command, one_core)?;
        let pid = Pid::from_child(&child);
        Ok(Self { child, pid, reaped: false })
    }

    /// The child, whose pipes the caller takes.
    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Process id, which is also the group's.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the leader of the group still runs or is stopped.
    pub(super) fn is_alive(&self) -> bool {
        !self.reaped && !self.has(WaitIdOptions::EXITED)
    }

    /// Stops the group and returns when every thread of its leader has stopped, or after `limit`.
    pub(super) fn stop(&self, limit: Duration) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        let stopped = || self.has(WaitIdOptions::STOPPED | WaitIdOptions::EXITED);
        if wait_for(limit, stopped) { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
    }

    /// Continues a stopped group.
    pub(super) fn go_on(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Whether the leader ends by itself within `grace`.
    pub(super) fn ends_within(&self, grace: Duration) -> bool {
        wait_for(grace, || !self.is_alive())
    }

    /// Kills what is left of the group, and reaps its leader. None where that was done before or the
    /// kernel cannot end it yet: it is reaped in the background then.
    pub(super) fn end(&mut self) -> Option<ExitStatus> {
        const KILLED: Duration = Duration::from_secs(2);
        if self.reaped {
            return None;
        }
        // The group is killed before its leader is reaped: until then its number cannot be given away.
        let _ = self.signal(Signal::KILL);
        let dead = self.ends_within(KILLED);
        self.reaped = true;
        if dead { self.child.wait().ok() } else { None }
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process_group(self.pid, signal)?)
    }

    /// Whether the leader is in one of these states, left as it is for later questions.
    fn has(&self, states: WaitIdOptions) -> bool {
        let options = states | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.pid), options), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if let Ok(None) = self.child.try_wait() {
            let pid = self.pid;
            // A driver may hold it in the kernel for minutes: nobody waits for that.
            let reap = move || rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            let _ = std::thread::Builder::new().name("reaper".to_string()).spawn(reap);
        }
    }
}

/// Asks until it is so or `limit` has passed; says which.
fn wait_for(limit: Duration, is_so: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        if is_so() {
            return true;
        }
        if begin.elapsed() >= limit {
            return false;
        }
        // Short at first: a process usually stops within microseconds and dies within milliseconds.
        std::thread::sleep((begin.elapsed() / 4).clamp(Duration::from_micros(50), Duration::from_millis(5)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(program: &str, arguments: &[&str]) -> Process {
        let mut command = Command::new(program);
        command.args(arguments);
        Process::start(command, false).unwrap()
    }

    #[test]
    fn a_stopped_process_is_ended_and_reaped() {
        let mut process = start("sleep", &["1000"]);
        process.stop(Duration::from_secs(5)).unwrap();
        process.go_on().unwrap();
        process.stop(Duration::from_secs(5)).unwrap();
        assert!(process.is_alive());
        assert!(process.end().is_some());
        assert!(!process.is_alive());
    }

    #[test]
    fn children_of_the_worker_end_with_it() {
        let process = start("sh", &["-c", "sleep 1000 & sleep 1000 & wait"]);
        let group = process.id();
        let members = || crate::host::process::members(group).len();
        assert!(wait_for(Duration::from_secs(5), || members() == 3));
        drop(process);
        assert!(wait_for(Duration::from_secs(5), || members() == 0));
    }

    #[test]
    fn who_ends_by_itself_keeps_its_status() {
        let mut process = start("sh", &["-c", "exit 7"]);
        assert!(process.ends_within(Duration::from_secs(5)));
        assert_eq!(process.end().unwrap().code(), Some(7));
    }
}
