//! A short question to a process of its own, because what answers it may crash or hang.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often an answer is looked for.
const GLANCE: Duration = Duration::from_millis(2);

/// Sets a variable of a process that will start, or takes it away where the value is empty.
pub fn set(command: &mut Command, name: &OsStr, value: &OsStr) {
    match value.is_empty() {
        true => command.env_remove(name),
        false => command.env(name, value),
    };
}

/// The same with several.
pub fn set_all(command: &mut Command, variables: &[(String, String)]) {
    variables.iter().for_each(|(name, value)| set(command, name.as_ref(), value.as_ref()));
}

/// What `program` printed, if it ended well within `limit`; else how it did not.
pub fn output_within(
    program: &Path,
    arguments: &[&str],
    variables: &[(String, String)],
    limit: Duration,
) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    command.args(arguments);
    set_all(&mut command, variables);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("did not start: {error}"))?;
    let pipe = child.stdout.take();
    // Read beside it: a full pipe would keep it from ending.
    let reader = std::thread::spawn(move || {
        let mut output = Vec::new();
        pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut output)).map(|_| output)
    });
    let ended = end(&mut child, limit)?;
    if !ended.success() {
        return Err(said(ended));
    }
    let lost = || "answered nothing".to_string();
    reader.join().ok().and_then(Result::ok).ok_or_else(lost)
}

fn end(child: &mut Child, limit: Duration) -> Result<ExitStatus, String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if start.elapsed() < limit => std::thread::sleep(GLANCE),
            Ok(None) => {
                // Whatever it says to that, it is given up.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("did not answer within {} s", limit.as_secs_f64()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn said(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("crashed (signal {signal})");
    }
    format!("failed ({status})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_taken_away() {
        let variables =
            [("HOME", ""), ("WORD", "yes")].map(|(name, value)| (name.to_string(), value.to_string()));
        let said = ["-c", "printf %s \"$WORD ${HOME-gone}\""];
        let output = output_within(Path::new("/bin/sh"), &said, &variables, Duration::from_secs(10));
        assert_eq!(output.unwrap(), b"yes gone");
        assert!(std::env::var_os("HOME").is_some(), "there is something to take away");
    }

    #[test]
    fn a_child_answers_crashes_fails_or_hangs() {
        let ask = |script: &str, limit| {
            let variables = [("WORD".to_string(), "yes".to_string())];
            output_within(Path::new("/bin/sh"), &["-c", script], &variables, Duration::from_millis(limit))
        };
        assert_eq!(ask("printf $WORD", 10_000).unwrap(), b"yes");
        assert_eq!(ask("kill -SEGV $$", 10_000).unwrap_err(), "crashed (signal 11)");
        assert!(ask("exit 3", 10_000).unwrap_err().starts_with("failed"));
        assert_eq!(ask("exec sleep 60", 50).unwrap_err(), "did not answer within 0.05 s");
        let long = ask("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done", 60_000);
        assert_eq!(long.unwrap().len(), 220_000);
        let absent = output_within(Path::new("/nowhere"), &[], &[], Duration::ZERO);
        assert!(absent.unwrap_err().starts_with("did not start"));
    }
}
