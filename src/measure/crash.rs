//! What ended a worker, or the one thing it was asked for.

use crate::backends::Fault;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Ways in which a cell fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrashKind {
    /// The worker's program could not be started.
    Start,
    /// A panic in Rust or an uncaught exception in Python.
    Panic,
    /// The process gave up by itself (SIGABRT).
    Abort,
    /// It touched memory that it must not (SIGSEGV, SIGBUS).
    Segfault,
    /// Any other signal that was not ours.
    Signal,
    /// No answer within the limit.
    Hang,
    /// The memory limit, the kernel's, or the device's.
    OutOfMemory,
    /// An answer that is not one.
    Garbage,
    /// The process ended without an answer.
    SilentExit,
    /// The library or the driver reported an error.
    Fault,
    /// The device is gone.
    DeviceLost,
    /// The program, or one of its sizes, cannot run there.
    Unsupported,
    /// The worker found that the request made no sense.
    Refused,
}

impl CrashKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Start,
        Self::Panic,
        Self::Abort,
        Self::Segfault,
        Self::Signal,
        Self::Hang,
        Self::OutOfMemory,
        Self::Garbage,
        Self::SilentExit,
        Self::Fault,
        Self::DeviceLost,
        Self::Unsupported,
        Self::Refused,
    ];

    /// Name in records: `out_of_memory`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Panic => "panic",
            Self::Abort => "abort",
            Self::Segfault => "segfault",
            Self::Signal => "signal",
            Self::Hang => "hang",
            Self::OutOfMemory => "out_of_memory",
            Self::Garbage => "garbage",
            Self::SilentExit => "silent_exit",
            Self::Fault => "fault",
            Self::DeviceLost => "device_lost",
            Self::Unsupported => "unsupported",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for CrashKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a worker gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Crash {
    /// What kind.
    pub kind: CrashKind,
    /// What happened, in one sentence, with the end of what the worker said on stderr.
    pub message: String,
}

impl Crash {
    /// A crash of `kind`.
    pub fn new(kind: CrashKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What a process that ended with `status` died of, judged also by the end of its stderr.
    /// `oom_kill` says that the kernel killed some process for want of memory meanwhile.
    pub(super) fn of_exit(status: ExitStatus, stderr: &str, oom_kill: bool) -> Self {
        let (kind, what) = match status.signal() {
            Some(signal) => of_signal(signal, stderr, oom_kill),
            None => of_code(status.code().unwrap_or(0), stderr),
        };
        let said = last_words(stderr);
        let message = if said.is_empty() { what } else { format!("{what}; it last said: {said}") };
        Self { kind, message }
    }
}

impl From<Fault> for Crash {
    fn from(fault: Fault) -> Self {
        let kind = match &fault {
            Fault::Unsupported(_) => CrashKind::Unsupported,
            Fault::OutOfMemory(_) => CrashKind::OutOfMemory,
            Fault::Library(_) => CrashKind::Fault,
            Fault::DeviceLost(_) => CrashKind::DeviceLost,
        };
        Self::new(kind, printable(&fault.to_string()))
    }
}

/// What allocators say before they abort, and Python before it exits.
const OUT_OF_MEMORY: [&str; 3] = ["memory allocation of ", "std::bad_alloc", "MemoryError"];
/// What Rust says of a panic, and Python of an exception.
const PANIC: [&str; 2] = ["panicked at ", "Traceback (most recent call last)"];

fn of_signal(signal: i32, stderr: &str, oom_kill: bool) -> (CrashKind, String) {
    use rustix::process::Signal;
    let is = |other: Signal| signal == other.as_raw();
    let (kind, what) = if is(Signal::SEGV) || is(Signal::BUS) {
        (CrashKind::Segfault, "the worker touched memory that it must not")
    } else if is(Signal::ABORT) {
        (if says(stderr, &PANIC) { CrashKind::Panic } else { CrashKind::Abort }, "the worker aborted")
    } else if is(Signal::KILL) && oom_kill {
        (CrashKind::OutOfMemory, "the kernel killed the worker because memory ran out")
    } else if is(Signal::KILL) {
        (CrashKind::Signal, "something outside cutgpu killed the worker")
    } else {
        (CrashKind::Signal, "the worker was ended")
    };
    let kind = if says(stderr, &OUT_OF_MEMORY) { CrashKind::OutOfMemory } else { kind };
    (kind, format!("{what} (signal {signal})"))
}

fn of_code(code: i32, stderr: &str) -> (CrashKind, String) {
    let kind = if code != 0 && says(stderr, &OUT_OF_MEMORY) {
        CrashKind::OutOfMemory
    } else if code != 0 && says(stderr, &PANIC) {
        CrashKind::Panic
    } else {
        CrashKind::SilentExit
    };
    (kind, format!("the worker ended with exit code {code} and gave no answer"))
}

fn says(stderr: &str, words: &[&str]) -> bool {
    words.iter().any(|words| stderr.contains(words))
}

/// The end of what a worker said, on one line that is safe to print, without the user's home folder.
fn last_words(stderr: &str) -> String {
    const LONGEST: usize = 400;
    let advice = |line: &&str| !line.trim().is_empty() && !line.contains("RUST_BACKTRACE");
    let lines: Vec<&str> = stderr.lines().filter(advice).collect();
    let said = printable(&lines[lines.len().saturating_sub(4)..].join(" | "));
    let said = match std::env::var("HOME") {
        Ok(home) if home.len() > 1 => said.replace(&home, "~"),
        _ => said,
    };
    let skipped = said.chars().count().saturating_sub(LONGEST);
    said.chars().skip(skipped).collect()
}

/// `text` with control characters, which could steer a terminal, replaced by spaces.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_told_from_its_status_and_its_last_words() {
        const SIGNAL: fn(i32) -> ExitStatus = ExitStatus::from_raw;
        let code = |code: i32| ExitStatus::from_raw(code << 8);
        let panic = "thread 'main' panicked at src/x.rs:1:1:\nboom";
        for (status, stderr, oom_kill, kind) in [
            (SIGNAL(11), "", false, CrashKind::Segfault),
            (SIGNAL(7), "", false, CrashKind::Segfault),
            (SIGNAL(6), "free(): invalid pointer", false, CrashKind::Abort),
            (SIGNAL(6), panic, false, CrashKind::Panic),
            (SIGNAL(6), "memory allocation of 8 bytes failed", false, CrashKind::OutOfMemory),
            (SIGNAL(9), "", true, CrashKind::OutOfMemory),
            (SIGNAL(9), "", false, CrashKind::Signal),
            (SIGNAL(15), "", true, CrashKind::Signal),
            (code(101), panic, false, CrashKind::Panic),
            (code(1), "Traceback (most recent call last):\nKeyError: 3", false, CrashKind::Panic),
            (code(1), "Traceback (most recent call last):\nMemoryError", false, CrashKind::OutOfMemory),
            (code(0), panic, false, CrashKind::SilentExit),
            (code(3), "", false, CrashKind::SilentExit),
        ] {
            let crash = Crash::of_exit(status, stderr, oom_kill);
            assert_eq!(crash.kind, kind, "{status} {stderr:?}: {crash}");
        }
    }

    #[test]
    fn last_words_are_one_short_safe_line() {
        let said = last_words(&format!("{}\n\n\u{1b}[31mred\u{7}\nthe end", "x".repeat(1000)));
        assert!(said.ends_with("[31mred  | the end"), "{said:?}");
        assert!(said.len() <= 400 && !said.contains(|c: char| c.is_control()));
    }

    #[test]
    fn names_are_what_is_serialised() {
        for kind in CrashKind::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
    }
}
