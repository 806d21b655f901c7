//! Writing a run: append only, one system call a record, so that a kill costs at most the cell in
//! flight.

use super::read::{Unreadable, parse};
use super::{Record, RecordError};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What to do when the disk does not take a record.
const ADVICE: &str = "free some space or name another folder; `cutgpu run --resume` goes on from here";

/// Appends records to a file.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    length: u64,
}

/// A file opened for appending.
#[derive(Debug)]
pub struct Opened {
    /// Appends to it.
    pub writer: Writer,
    /// Where the file's last line was moved because it is no record, as after a kill, and why.
    pub aside: Option<(PathBuf, String)>,
}

impl Writer {
    /// Opens `path` for appending and creates it where it is absent. A last line that is no record
    /// moves to `<path>.rejected`. The caller holds the run's lock.
    pub fn open(path: &Path) -> Result<Opened, RecordError> {
        let failed = |error| RecordError::io(path, error, ADVICE);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).open(path).map_err(failed)?;
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let start = last_line(&mut file, length).map_err(failed)?;
        let tail = bytes(&mut file, start, length).map_err(failed)?;
        let mut writer = Self { path: path.to_path_buf(), file, length };
        let aside = match parse(&tail) {
            _ if tail.trim_ascii().is_empty() => None,
            Ok(_) if tail.ends_with(b"\n") => None,
            Ok(_) => writer.append_bytes(b"\n").map(|()| None)?,
            Err(Unreadable::Newer(found)) => {
                let before = bytes(&mut writer.file, 0, start).map_err(failed)?;
                let line = before.split(|&byte| byte == b'\n').count();
                return Err(RecordError::NewerMajor { path: path.to_path_buf(), line, found });
            }
            Err(Unreadable::Foreign(why)) => Some((writer.move_aside(&tail, start)?, why)),
        };
        Ok(Opened { writer, aside })
    }

    /// Appends one record. After an error the file holds what it held before.
    pub fn append(&mut self, record: &Record) -> Result<(), RecordError> {
        let inconsistent = |why| RecordError::Inconsistent { group: record.group.clone(), why };
        record.check().map_err(inconsistent)?;
        let mut line = serde_json::to_vec(record).map_err(|error| inconsistent(error.to_string()))?;
        line.push(b'\n');
        self.append_bytes(&line)
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        if let Err(error) = self.file.write_all(bytes) {
            // A full disk takes half a line; best effort, since the reader sets such a line aside too.
            let _ = self.file.set_len(self.length);
            return Err(RecordError::io(&self.path, error, ADVICE));
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Moves the file's tail, which begins at `start`, to `<path>.rejected`.
    fn move_aside(&mut self, tail: &[u8], start: u64) -> Result<PathBuf, RecordError> {
        let mut name = self.path.clone().into_os_string();
        name.push(".rejected");
        let aside = PathBuf::from(name);
        let mut kept = OpenOptions::new();
        kept.append(true)
            .create(true)
            .open(&aside)
            .and_then(|mut file| file.write_all(&[tail.trim_ascii_end(), b"\n"].concat()))
            .map_err(|error| RecordError::io(&aside, error, ADVICE))?;
        self.file.set_len(start).map_err(|error| RecordError::io(&self.path, error, ADVICE))?;
        self.length = start;
        Ok(aside)
    }
}

/// Offset of the last line's first byte; a line break at the very end belongs to that line.
fn last_line(file: &mut File, length: u64) -> io::Result<u64> {
    const BLOCK: u64 = 1 << 16;
    let mut end = length.saturating_sub(1);
    while end > 0 {
        let begin = end.saturating_sub(BLOCK);
        let block = bytes(file, begin, end)?;
        if let Some(at) = block.iter().rposition(|&byte| byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

fn bytes(file: &mut File, begin: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(begin))?;
    Read::take(file, end - begin).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{example, read_visits};

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        (folder, path)
    }

    #[test]
    fn appended_records_are_read_back_and_a_second_writer_goes_on() {
        let (folder, path) = folder();
        let records = example::every_outcome();
        for record in &records {
            Writer::open(&path).unwrap().writer.append(record).unwrap();
        }
        let run = read_visits(folder.path()).unwrap();
        assert_eq!((run.records, run.rejected), (records, vec![]));
    }

    #[test]
    fn a_torn_or_foreign_last_line_is_kept_aside() {
        let whole = serde_json::to_string(&example::measured()).unwrap();
        for torn in [&whole[..whole.len() - 9], "hello\n", "\u{0}\u{0}"] {
            let (_folder, path) = folder();
            std::fs::write(&path, format!("{whole}\n{torn}")).unwrap();
            let Opened { mut writer, aside } = Writer::open(&path).unwrap();
            writer.append(&example::measured()).unwrap();
            let run = read_visits(&path).unwrap();
            assert_eq!((run.records.len(), run.rejected.len()), (2, 0), "{torn}");
            let kept = std::fs::read_to_string(aside.unwrap().0).unwrap();
            assert_eq!(kept.trim_end(), torn.trim_end());
        }
    }

    #[test]
    fn a_whole_last_line_without_its_end_is_completed() {
        let (_folder, path) = folder();
        std::fs::write(&path, serde_json::to_string(&example::measured()).unwrap()).unwrap();
        let Opened { mut writer, aside } = Writer::open(&path).unwrap();
        writer.append(&example::measured()).unwrap();
        assert!(aside.is_none());
        assert_eq!(read_visits(&path).unwrap().records.len(), 2);
    }

    #[test]
    fn a_newer_major_is_not_appended_to() {
        let (_folder, path) = folder();
        std::fs::write(&path, "a\nb\n{\"schema\":\"2.0\"}\n").unwrap();
        let error = Writer::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("newer cutgpu"), "{error}");
    }

    #[test]
    fn a_full_disk_and_a_contradiction_are_errors_that_leave_the_file_alone() {
        let full = Writer::open(Path::new("/dev/full"));
        let error = full.unwrap().writer.append(&example::measured()).unwrap_err().to_string();
        assert!(error.contains("free some space"), "{error}");

        let (_folder, path) = folder();
        let mut record = example::measured();
        record.series[0].ns.pop();
        assert!(Writer::open(&path).unwrap().writer.append(&record).is_err());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn the_last_line_is_found_across_blocks() {
        let (_folder, path) = folder();
        for (text, start) in [
            (String::new(), 0),
            ("a".to_string(), 0),
            ("a\n".to_string(), 0),
            ("a\nb\n".to_string(), 2),
            (format!("ab\n{}\n", "c".repeat(200_000)), 3),
        ] {
            std::fs::write(&path, &text).unwrap();
            assert_eq!(last_line(&mut File::open(&path).unwrap(), text.len() as u64).unwrap(), start);
        }
    }
}
