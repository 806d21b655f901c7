//! A run's folder: its lock, its facts, its records.

use super::RunError;
use super::host::Host;
use super::request::Request;
use crate::date::Date;
use crate::record::{Opened, Record, Writer};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What to do when a folder cannot be written to.
const ADVICE: &str = "free some space, or name a folder that can be written to by --out";

/// A locked folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    writer: Writer,
    // Held for its lock, which the kernel gives back when the process ends, however it ends.
    _lock: File,
}

/// Where a run of `suite` that begins `now` is kept: `runs/2026-11-23T13-05-09-quick`.
fn name_for(suite: &str, now: SystemTime) -> PathBuf {
    let (date, [hours, minutes, seconds]) = Date::at(now);
    let suite: String = suite.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    PathBuf::from("runs").join(format!("{date}T{hours:02}-{minutes:02}-{seconds:02}-{suite}"))
}

impl Folder {
    /// A new run of `suite` in a new folder under `runs/`, named for the moment and counted where another
    /// run began in the same second.
    pub fn create_new(suite: &str, request: &Request) -> Result<Self, RunError> {
        const MOST: u32 = 100;
        let path = name_for(suite, SystemTime::now());
        let numbered = |number: u32| match number {
            1 => path.clone(),
            _ => path.with_file_name(format!("{}-{number}", path.file_name().unwrap_or_default().display())),
        };
        let is_taken = |made: &Result<Self, RunError>| {
            matches!(made, Err(RunError::Occupied(_) | RunError::InUse { .. }))
        };
        let mut attempts = (1..=MOST).map(|number| Self::create(&numbered(number), request));
        attempts.find(|made| !is_taken(made)).unwrap_or(Err(RunError::Occupied(path)))
    }

    /// A new run in a folder that holds none yet.
    pub fn create(path: &Path, request: &Request) -> Result<Self, RunError> {
        fs::create_dir_all(path).map_err(|error| RunError::io(path, error, ADVICE))?;
        let lock = lock(path)?;
        let records = path.join("run.jsonl");
        let holds_run = path.join("plan.json").exists();
        if holds_run || fs::metadata(&records).is_ok_and(|file| file.len() > 0) {
            return Err(RunError::Occupied(path.to_path_buf()));
        }
        write_json(path, "plan.json", request)?;
        let Opened { writer, .. } = Writer::open(&records)?;
        Ok(Self { path: path.to_path_buf(), writer, _lock: lock })
    }

    /// An old run and what was asked for then. The sentence says what had to be moved aside.
    pub fn open(path: &Path) -> Result<(Self, Request, Option<String>), RunError> {
        let plan = path.join("plan.json");
        let no_run = |why: String| RunError::NoRun(path.to_path_buf(), why);
        let text = fs::read(&plan).map_err(|error| no_run(error.to_string()))?;
        let request = serde_json::from_slice(&text).map_err(|error| no_run(error.to_string()))?;
        let lock = lock(path)?;
        let Opened { writer, aside } = Writer::open(&path.join("run.jsonl"))?;
        let said = aside.map(|(file, why)| {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            format!("the last line of run.jsonl is no record ({why}); it was moved to {name}")
        });
        Ok((Self { path: path.to_path_buf(), writer, _lock: lock }, request, said))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the machine's facts beside the records. Builds that measured here before stay listed; another
    /// machine is refused.
    pub fn write_host(&self, mut host: Host) -> Result<(), RunError> {
        let before = fs::read(self.path.join("host.json")).ok();
        if let Some(before) = before.and_then(|text| serde_json::from_slice::<Host>(&text).ok()) {
            if before.hash != host.hash {
                return Err(RunError::OtherMachine(self.path.clone()));
            }
            for (hash, build) in before.builds {
                host.builds.entry(hash).or_insert(build);
            }
        }
        write_json(&self.path, "host.json", &host)
    }

    /// Keeps what was asked for, when resuming has changed it.
    pub fn write_request(&self, request: &Request) -> Result<(), RunError> {
        write_json(&self.path, "plan.json", request)
    }

    /// Appends a record; when this returns, a crash of this process cannot lose it.
    pub fn append(&mut self, record: &Record) -> Result<(), RunError> {
        Ok(self.writer.append(record)?)
    }

    /// Replaces all records by `kept` and keeps `aside` in `run.jsonl.rejected`.
    pub(super) fn replace(&mut self, kept: &[Record], aside: &[Record]) -> Result<(), RunError> {
        let records = self.path.join("run.jsonl");
        let lines = |records: &[Record]| -> Vec<u8> {
            let lines = records.iter().filter_map(|record| serde_json::to_vec(record).ok());
            lines.flat_map(|line| [line, b"\n".to_vec()].concat()).collect()
        };
        let rejected = self.path.join("run.jsonl.rejected");
        let appended = OpenOptions::new().append(true).create(true).open(&rejected);
        appended
            .and_then(|mut file| file.write_all(&lines(aside)))
            .map_err(|error| RunError::io(&rejected, error, ADVICE))?;
        write_whole(&records, &lines(kept))?;
        self.writer = Writer::open(&records)?.writer;
        Ok(())
    }

    /// An empty folder for values that cross from workers, removed with the guard.
    pub fn scratch(&self) -> Result<Scratch, RunError> {
        let path = self.path.join("values");
        // A run that was killed may have left some; the lock says that nobody uses them now.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|error| RunError::io(&path, error, ADVICE))?;
        let path = fs::canonicalize(&path).map_err(|error| RunError::io(&path, error, ADVICE))?;
        Ok(Scratch(path))
    }
}

/// A folder that goes when this does.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A folder of this process among the system's temporary ones.
    pub fn temporary() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("cutgpu-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where it is; absolute, because a worker may have another working folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed when the run is resumed.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Takes the folder for this process. A lock whose holder has died is free.
fn lock(folder: &Path) -> Result<File, RunError> {
    let path = folder.join(".lock");
    let failed = |error| RunError::io(&path, error, ADVICE);
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let read = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
            let holder = if read { holder.trim().to_string() } else { "unknown".to_string() };
            return Err(RunError::InUse { path: folder.to_path_buf(), holder });
        }
        // A file system without locks: as safe as before there were any.
        Err(Errno::NOSYS | Errno::NOTSUP | Errno::NOLCK) => {}
        Err(error) => return Err(failed(error.into())),
    }
    let written = file.set_len(0).and_then(|()| file.rewind());
    written.and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

fn write_json(folder: &Path, name: &str, value: &impl Serialize) -> Result<(), RunError> {
    let path = folder.join(name);
    let text = serde_json::to_vec_pretty(value).map_err(|error| RunError::io(&path, error.into(), ADVICE))?;
    write_whole(&path, &text)
}

/// Replaces a file at once: a kill leaves the old one or the new one.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let fresh = path.with_extension("new");
    let written = fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, path));
    written.map_err(|error| {
        // Half a file is worth nothing.
        let _ = fs::remove_file(&fresh);
        RunError::io(path, error, ADVICE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::SuiteText;
    use std::time::Duration;

    fn request(suite: &str) -> Request {
        let suite = SuiteText { name: suite.to_string(), ..SuiteText::default() };
        Request { suites: vec![suite], ..Request::default() }
    }

    #[test]
    fn two_runs_do_not_share_a_folder_and_a_dead_holder_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let first = Folder::create(folder.path(), &request("a")).unwrap();
        let error = Folder::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        // The file with the old number is still there.
        assert!(folder.path().join(".lock").exists());
        let (_held, found, said) = Folder::open(folder.path()).unwrap();
        assert_eq!((found, said), (request("a"), None));
        assert!(matches!(Folder::create(folder.path(), &request("a")), Err(RunError::InUse { .. })));
    }

    #[test]
    fn a_new_run_never_lands_in_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        drop(Folder::create(folder.path(), &request("a")).unwrap());
        let error = Folder::create(folder.path(), &request("a")).unwrap_err().to_string();
        assert!(error.contains("--resume"), "{error}");
    }

    #[test]
    fn what_cannot_be_written_is_said_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Folder::create(&file.join("run"), &request("a")).unwrap_err().to_string();
        assert!(error.contains("--out"), "{error}");
        let error = Folder::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no run"), "{error}");
    }

    #[test]
    fn names_are_dates_and_tame() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 + 3_661);
        assert_eq!(name_for("../x", now), PathBuf::from("runs/1970-01-02T01-01-01----x"));
    }
}
