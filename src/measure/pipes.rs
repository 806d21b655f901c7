//! Lines to and from a worker, none of which can block the parent.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio, read, write};
use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::{Duration, Instant};

/// Longest line that a worker may answer with.
const LONGEST_LINE: usize = 16 << 20;
/// Bytes of stderr that are kept.
const KEPT_STDERR: usize = 4096;

/// Why no line came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// The other side closed its end.
    Closed,
    /// The time is up.
    TimeUp,
    /// More than any answer can have, and still no end of line.
    Endless,
    /// It wrote something before it was asked.
    Unasked,
    /// The caller's watch wanted to stop.
    Watch,
}

/// The parent's ends of a worker's streams.
#[derive(Debug)]
pub(super) struct Pipes {
    asks: Option<OwnedFd>,
    replies: OwnedFd,
    log: Option<OwnedFd>,
    unread: Vec<u8>,
    said: Vec<u8>,
}

impl Pipes {
    /// Takes the pipes of `child`.
    pub(super) fn of(child: &mut Child) -> io::Result<Self> {
        let missing = || io::Error::other("the worker has no pipes");
        let asks = OwnedFd::from(child.stdin.take().ok_or_else(missing)?);
        let replies = OwnedFd::from(child.stdout.take().ok_or_else(missing)?);
        let log = OwnedFd::from(child.stderr.take().ok_or_else(missing)?);
        for pipe in [&asks, &replies, &log] {
            ioctl_fionbio(pipe, true)?;
        }
        Ok(Self { asks: Some(asks), replies, log: Some(log), unread: Vec::new(), said: Vec::new() })
    }

    /// Writes `line` and returns the line that comes back, without its end. `watch` is called about
    /// every `slice` and ends the wait when it says so.
    pub(super) fn exchange(
        &mut self,
        line: &[u8],
        limit: Duration,
        slice: Duration,
        mut watch: impl FnMut() -> bool,
    ) -> Result<Vec<u8>, Silence> {
        let begin = Instant::now();
        let mut unsent = line;
        drain(&self.replies, &mut self.unread);
        if !self.unread.is_empty() {
            return Err(Silence::Unasked);
        }
        loop {
            let left = limit.saturating_sub(begin.elapsed());
            self.turn(&mut unsent, left.min(slice))?;
            if let Some(reply) = self.take_line() {
                return Ok(reply);
            }
            if self.unread.len() > LONGEST_LINE {
                return Err(Silence::Endless);
            }
            if left.is_zero() {
                return Err(Silence::TimeUp);
            }
            if watch() {
                return Err(Silence::Watch);
            }
        }
    }

    /// Closes the worker's stdin and returns the end of what it says on stderr until that closes too,
    /// or for `limit`.
    pub(super) fn last_words(&mut self, limit: Duration) -> String {
        self.asks = None;
        let begin = Instant::now();
        while let Some(log) = &self.log {
            let left = limit.saturating_sub(begin.elapsed());
            if left.is_zero() || wait_until_ready(&mut [PollFd::new(log, PollFlags::IN)], left).is_err() {
                break;
            }
            self.listen();
        }
        String::from_utf8_lossy(&self.said).into_owned()
    }

    /// Waits for any pipe to be ready and moves what there is.
    fn turn(&mut self, unsent: &mut &[u8], limit: Duration) -> Result<(), Silence> {
        let mut ready = vec![PollFd::new(&self.replies, PollFlags::IN)];
        ready.extend(self.log.iter().map(|log| PollFd::new(log, PollFlags::IN)));
        if let Some(asks) = self.asks.iter().find(|_| !unsent.is_empty()) {
            ready.push(PollFd::new(asks, PollFlags::OUT));
        }
        wait_until_ready(&mut ready, limit).map_err(|_| Silence::Closed)?;
        self.listen();
        if let Some(asks) = &self.asks {
            send(asks, unsent);
        }
        let before = self.unread.len();
        let open = drain(&self.replies, &mut self.unread);
        // A last answer may stand in the pipe of a process that has ended.
        if open || self.unread.len() > before { Ok(()) } else { Err(Silence::Closed) }
    }

    fn listen(&mut self) {
        let Some(log) = &self.log else { return };
        if !drain(log, &mut self.said) {
            self.log = None;
        }
        let surplus = self.said.len().saturating_sub(KEPT_STDERR);
        self.said.drain(..surplus);
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.unread.iter().position(|&byte| byte == b'\n')?;
        let mut line: Vec<u8> = self.unread.drain(..=end).collect();
        line.pop();
        Some(line)
    }
}

fn wait_until_ready(pipes: &mut [PollFd], limit: Duration) -> rustix::io::Result<()> {
    let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
    match poll(pipes, Some(&limit)) {
        Err(Errno::INTR) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes what the pipe takes now; a worker that closed it is noticed by its missing answer.
fn send(asks: &OwnedFd, unsent: &mut &[u8]) {
    while !unsent.is_empty() {
        match write(asks, unsent) {
            Ok(written) => *unsent = &unsent[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return,
            Err(_) => *unsent = &[],
        }
    }
}

/// Appends what the pipe holds now, at most a turn's worth; false at its end.
fn drain(pipe: &OwnedFd, into: &mut Vec<u8>) -> bool {
    const MOST: usize = 1 << 20;
    let mut buffer = [0u8; 1 << 14];
    let before = into.len();
    while into.len() - before < MOST {
        match read(pipe, &mut buffer) {
            Ok(0) => return false,
            Ok(count) => into.extend_from_slice(&buffer[..count]),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return true,
            Err(_) => return false,
        }
    }
    true
}
