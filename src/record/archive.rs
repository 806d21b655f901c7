//! Runs as another machine packed them: `tar -czf NAME.tar.gz FOLDER`, or a `run.jsonl` under gzip. Nothing is
//! unpacked to disk, so a path inside an archive can do no harm.

use super::Record;
use super::read::{RecordError, Rejected, read_lines};
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

/// Most bytes that are unpacked: a small archive may unpack to any length.
const MOST: u64 = 4 << 30;
/// Most bytes of a `host.json`.
const LONGEST_HOST: u64 = 16 << 20;
/// Bytes at the start of a file that tell its kind: a tar header has its mark at 257.
const HEAD: u64 = 262;

const REPACK: &str = "pack the run's folder with `tar -czf NAME.tar.gz FOLDER`";
const COPY_AGAIN: &str = "copy it again";

/// What a file is, by its first bytes: its name may be anything.
pub(super) enum Stream {
    /// Records, one a line.
    Lines(Box<dyn Read>),
    /// A tar archive.
    Tar(Box<dyn Read>),
}

/// What an archive holds of one run.
pub(super) struct Packed {
    /// Its records.
    pub records: Vec<Record>,
    /// Lines that are no records.
    pub rejected: Vec<Rejected>,
    /// `host.json` beside them, if it is there and JSON.
    pub host: Option<serde_json::Value>,
}

/// Looks at the first bytes of a file, and below gzip where it is so packed.
pub(super) fn open(file: File, path: &Path) -> Result<Stream, RecordError> {
    let damaged = |error: io::Error| packed(path, error, COPY_AGAIN);
    let (head, whole) = peek(file).map_err(damaged)?;
    if let Some(kind) = foreign(&head) {
        return Err(packed(path, format!("{kind} archives are not read"), REPACK));
    }
    if !head.starts_with(&[0x1f, 0x8b]) {
        return Ok(kind(&head, whole));
    }
    let unpacked = MultiGzDecoder::new(BufReader::new(whole)).take(MOST);
    let (head, whole) = peek(unpacked).map_err(damaged)?;
    Ok(kind(&head, whole))
}

fn kind(head: &[u8], whole: Box<dyn Read>) -> Stream {
    match head.get(257..262) == Some(b"ustar") {
        true => Stream::Tar(whole),
        false => Stream::Lines(whole),
    }
}

/// Kinds of archives that people send and this program does not read.
fn foreign(head: &[u8]) -> Option<&'static str> {
    let marks: [(&[u8], &str); 5] = [
        (b"PK\x03\x04", "zip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ", "xz"),
        (b"BZh", "bzip2"),
        (b"7z\xbc\xaf", "7z"),
    ];
    marks.into_iter().find(|(mark, _)| head.starts_with(mark)).map(|(_, kind)| kind)
}

/// The first bytes, and a reader of everything, those included.
fn peek(mut from: impl Read + 'static) -> io::Result<(Vec<u8>, Box<dyn Read>)> {
    let mut head = Vec::new();
    from.by_ref().take(HEAD).read_to_end(&mut head)?;
    Ok((head.clone(), Box::new(Cursor::new(head).chain(from))))
}

/// Reads the one run of an archive.
pub(super) fn read(archive: impl Read, path: &Path) -> Result<Packed, RecordError> {
    let damaged = |error: io::Error| packed(path, error, COPY_AGAIN);
    let mut archive = tar::Archive::new(archive);
    let mut run: Option<(PathBuf, Vec<Record>, Vec<Rejected>)> = None;
    let mut hosts = BTreeMap::new();
    for entry in archive.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let inside = entry.path().map_err(damaged)?.into_owned();
        let folder = inside.parent().map(Path::to_path_buf).unwrap_or_default();
        match inside.file_name().and_then(|name| name.to_str()) {
            Some("run.jsonl") => {
                if let Some((first, ..)) = &run {
                    let both = format!("it holds two runs, {} and {}", first.display(), folder.display());
                    return Err(packed(path, both, "pack each run by itself"));
                }
                let (records, rejected) =
                    read_lines(BufReader::new(entry), path).map_err(|error| match error {
                        RecordError::Io { source, .. } => damaged(source),
                        other => other,
                    })?;
                run = Some((folder, records, rejected));
            }
            Some("host.json") => {
                hosts.insert(folder, serde_json::from_reader(entry.take(LONGEST_HOST)).ok());
            }
            _ => {}
        }
    }
    let Some((folder, records, rejected)) = run else {
        return Err(packed(path, "there is no run.jsonl in it", REPACK));
    };
    Ok(Packed { records, rejected, host: hosts.remove(&folder).flatten() })
}

fn packed(path: &Path, why: impl ToString, advice: &'static str) -> RecordError {
    RecordError::Packed { path: path.to_path_buf(), why: why.to_string(), advice }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use crate::record::{example, read_visits};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn lines() -> String {
        example::every_outcome().iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect()
    }

    fn tarred(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    fn kept(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn a_run_is_read_however_it_was_packed() {
        let whole = tarred(&[
            ("box/quick/host.json", "{\"hash\": \"8899aabb\"}"),
            ("box/quick/report/index.html", "<html>"),
            ("box/quick/run.jsonl", &lines()),
            ("box/other/host.json", "{\"hash\": \"1\"}"),
        ]);
        for (name, bytes) in
            [("seven.tar", whole.clone()), ("seven.tar.gz", gzipped(&whole)), ("seven", whole)]
        {
            let (_folder, path) = kept(name, &bytes);
            let run = read_visits(&path).unwrap();
            assert_eq!((run.records.len(), run.rejected.len(), run.name.as_str()), (4, 0, "seven"), "{name}");
            assert_eq!(run.host.unwrap()["hash"], "8899aabb");
        }
        let (_folder, path) = kept("run.jsonl.gz", &gzipped(lines().as_bytes()));
        assert_eq!(read_visits(&path).unwrap().records, example::every_outcome());
    }

    #[test]
    fn what_cannot_be_read_says_what_to_do() {
        let one = tarred(&[("a/run.jsonl", &lines())]);
        let packed = gzipped(&one);
        let newer = lines().replace("\"schema\":\"1.3\"", "\"schema\":\"2.0\"");
        for (bytes, says) in [
            (b"PK\x03\x04rest".to_vec(), "zip archives are not read; pack the run's folder with `tar"),
            (b"\x28\xb5\x2f\xfdrest".to_vec(), "zstd"),
            (packed[..packed.len() / 2].to_vec(), "copy it again"),
            (tarred(&[("a/readme", "no run")]), "no run.jsonl"),
            (
                tarred(&[("a/run.jsonl", ""), ("b/run.jsonl", "")]),
                "two runs, a and b; pack each run by itself",
            ),
            (gzipped(&tarred(&[("a/run.jsonl", &newer)])), "newer cutgpu"),
        ] {
            let (_folder, path) = kept("sent.tar.gz", &bytes);
            let error = read_visits(&path).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("sent.tar.gz"), "{error} lacks {says}");
        }
    }

    #[test]
    fn no_mutation_of_an_archive_panics() {
        let whole = tarred(&[("a/host.json", "{}"), ("a/run.jsonl", &lines())]);
        let draw = |case, index, below: usize| random::bits(case, 0, index) as usize % below;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sent.tar");
        for case in 0..2000 {
            let mut bytes = whole.clone();
            for change in 0..1 + draw(case, 0, 4) as u64 {
                // Half of them in headers.
                let at = draw(case, 3 * change + 1, if change % 2 == 0 { 2048 } else { whole.len() });
                bytes[at] = draw(case, 3 * change + 2, 256) as u8;
            }
            std::fs::write(&path, if case % 2 == 0 { bytes } else { gzipped(&bytes) }).unwrap();
            let _ = read_visits(&path);
        }
    }

    #[test]
    fn an_archive_that_is_cut_anywhere_is_an_error_or_a_shorter_run() {
        let whole = tarred(&[("a/run.jsonl", &lines())]);
        for end in (0..whole.len()).step_by(997) {
            let (_folder, path) = kept("cut.tar", &whole[..end]);
            if let Ok(run) = read_visits(&path) {
                assert!(run.records.len() <= 4);
            }
        }
    }
}
