//! The worker's side of the protocol: one backend, one loaded program, one answer a line.

mod probes;
mod session;
mod timing;

use super::protocol::{Ask, Reply};
use crate::backends;
pub use session::Open;
pub(super) use session::Session;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
pub use timing::sample;

/// Longest request in bytes; a program of thousands of steps is far below it.
const LONGEST_ASK: u64 = 64 << 20;

/// Serves the parent until it says `quit` or closes the pipe.
///
/// Requests and answers move to private descriptors: what a library prints goes to stderr, which is a
/// log, and what it reads is empty.
pub fn serve() -> io::Result<()> {
    serve_with(backends::open)
}

/// The same for a program with a backend of its own.
pub fn serve_with(open: Open) -> io::Result<()> {
    let (asks, replies) = private_streams()?;
    converse(Session::with(open), &mut BufReader::new(asks), replies)
}

fn private_streams() -> io::Result<(File, File)> {
    use rustix::io::fcntl_dupfd_cloexec;
    use rustix::stdio::{dup2_stdin, dup2_stdout, stderr, stdin, stdout};
    const FIRST_PRIVATE: i32 = 3;
    let asks = fcntl_dupfd_cloexec(stdin(), FIRST_PRIVATE)?;
    let replies = fcntl_dupfd_cloexec(stdout(), FIRST_PRIVATE)?;
    dup2_stdin(File::open("/dev/null")?)?;
    dup2_stdout(stderr())?;
    Ok((asks.into(), replies.into()))
}

/// Answers each line of `asks` with one line of `replies`.
fn converse(mut session: Session, asks: &mut impl BufRead, mut replies: impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    while let Some(complete) = next_line(asks, &mut line)? {
        let (reply, flow) = if complete { answer(&mut session, &line) } else { refuse_long() };
        let mut answer = serde_json::to_vec(&reply)?;
        answer.push(b'\n');
        replies.write_all(&answer)?;
        replies.flush()?;
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}

/// Reads a line without its end; false where it was too long to keep, none at the end of input.
fn next_line(asks: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    if asks.by_ref().take(LONGEST_ASK).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') || (line.len() as u64) < LONGEST_ASK {
        return Ok(Some(true));
    }
    while line.last() != Some(&b'\n') {
        line.clear();
        if asks.by_ref().take(LONGEST_ASK).read_until(b'\n', line)? == 0 {
            break;
        }
    }
    Ok(Some(false))
}

fn answer(session: &mut Session, line: &[u8]) -> (Reply, ControlFlow<()>) {
    match serde_json::from_slice::<Ask>(line) {
        Ok(Ask::Quit) => (Reply::Done, ControlFlow::Break(())),
        Ok(ask) => (session.answer(ask), ControlFlow::Continue(())),
        Err(error) => {
            let why = format!("this line is no request of the worker protocol: {error}");
            (Reply::Refused { why }, ControlFlow::Continue(()))
        }
    }
}

fn refuse_long() -> (Reply, ControlFlow<()>) {
    let why = format!("a request may have at most {LONGEST_ASK} bytes");
    (Reply::Refused { why }, ControlFlow::Continue(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(asks: &str) -> Vec<Reply> {
        let mut written = Vec::new();
        converse(Session::default(), &mut asks.as_bytes(), &mut written).unwrap();
        let lines = written.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    #[test]
    fn every_line_has_one_answer_and_bad_ones_are_refused() {
        let bad = ["", "{", "null", "[1]", "{\"ask\":\"dance\"}", "{\"ask\":\"sample\"}", "\u{0}", "1e999"];
        for line in bad {
            let got = replies(&format!("{line}\n{{\"ask\":\"free\"}}\n"));
            assert!(matches!(&got[0], Reply::Refused { .. }), "{line:?}: {got:?}");
            assert_eq!(got[1], Reply::Done, "{line:?}");
        }
    }

    #[test]
    fn nothing_is_answered_after_quit_or_the_end() {
        assert_eq!(replies("{\"ask\":\"quit\"}\n{\"ask\":\"free\"}\n"), [Reply::Done]);
        assert_eq!(replies(""), []);
        assert_eq!(replies("{\"ask\":\"free\"}"), [Reply::Done]);
    }

    #[test]
    fn an_endless_line_is_refused_without_being_kept() {
        let mut asks = BufReader::new(io::repeat(b'x').take(3 * LONGEST_ASK / 2));
        let mut line = Vec::new();
        assert_eq!(next_line(&mut asks, &mut line).unwrap(), Some(false));
        assert!(line.len() as u64 <= LONGEST_ASK);
        assert_eq!(next_line(&mut asks, &mut line).unwrap(), None);
    }
}
