//! Reading runs, however they ended: a line that is no record is set aside with its number and why,
//! and the rest is read.

use super::archive::{self, Packed, Stream};
use super::{Record, SCHEMA, fold};
use rayon::prelude::*;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Longest accepted line. A record of 10^5 samples is a tenth of this.
const LONGEST_LINE: u64 = 64 << 20;

/// A line that is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its number, from 1.
    pub line: usize,
    /// Why, in one sentence.
    pub why: String,
}

/// All that a run left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Name of the folder, or of the file.
    pub name: String,
    /// Records in the order they were written, one a cell unless visits were asked for.
    pub records: Vec<Record>,
    /// When the first and the last visit began; none without a record.
    pub span: Option<(String, String)>,
    /// Lines that are no records.
    pub rejected: Vec<Rejected>,
    /// The machine's facts, from `host.json` beside the records; none where it is absent or no JSON.
    pub host: Option<serde_json::Value>,
}

impl Run {
    /// Several runs as one: their starts stand side by side. Facts are the first one's.
    pub fn merge(runs: Vec<Self>) -> Self {
        let mut merged = Self::default();
        let mut names = Vec::new();
        for mut run in runs {
            let after =
                merged.records.iter().map(|record| record.repeat.saturating_add(1)).max().unwrap_or(0);
            run.records.iter_mut().for_each(|record| record.repeat = record.repeat.saturating_add(after));
            names.push(run.name);
            merged.records.append(&mut run.records);
            merged.rejected.append(&mut run.rejected);
            merged.span = match (merged.span, run.span) {
                (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
                (a, b) => a.or(b),
            };
            merged.host = merged.host.or(run.host);
        }
        Self { name: names.join(" + "), ..merged }
    }
}

/// Why a run cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system refused.
    #[error("{path}: {source}; {advice}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// It is packed in a way that is not read, or damaged.
    #[error("{path}: {why}; {advice}")]
    Packed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        advice: &'static str,
    },
    /// A later program wrote the records, and they no longer mean the same.
    #[error(
        "{path}, line {line}: its format is {found}, and this cutgpu reads {}.x only; use a newer cutgpu",
        SCHEMA.split('.').next().unwrap_or(SCHEMA)
    )]
    NewerMajor {
        /// Which file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// The line's version.
        found: String,
    },
    /// A record that is about to be written contradicts itself.
    #[error("a record of {group} was not written: {why}; this is a defect of cutgpu, please report it")]
    Inconsistent {
        /// The record's group.
        group: String,
        /// What contradicts what.
        why: String,
    },
}

impl RecordError {
    pub(super) fn io(path: &Path, source: io::Error, advice: &'static str) -> Self {
        Self::Io { path: path.to_path_buf(), source, advice }
    }
}

/// Reads a run from its folder, from its `run.jsonl`, or from an archive of its folder (`.tar`, `.tar.gz`), the
/// visits of each cell folded into one record.
pub fn read(path: &Path) -> Result<Run, RecordError> {
    let run = read_visits(path)?;
    Ok(Run { records: fold(run.records), ..run })
}

/// Reads a run with one record for each line.
pub fn read_visits(path: &Path) -> Result<Run, RecordError> {
    let file = if path.is_dir() { path.join("run.jsonl") } else { path.to_path_buf() };
    let advice = "name a folder that `cutgpu run` made, its run.jsonl, or a .tar.gz of it";
    let opened = File::open(&file).map_err(|error| RecordError::io(&file, error, advice))?;
    let Packed { records, rejected, host } = match archive::open(opened, &file)? {
        Stream::Tar(stream) => archive::read(stream, &file)?,
        Stream::Lines(stream) => {
            let (records, rejected) = read_lines(BufReader::with_capacity(1 << 18, stream), &file)?;
            let host = std::fs::read(file.with_file_name("host.json")).ok();
            Packed { records, rejected, host: host.and_then(|text| serde_json::from_slice(&text).ok()) }
        }
    };
    let started = || records.iter().map(|record| record.started.clone());
    let span = started().min().zip(started().max());
    Ok(Run { span, name: name(path), records, rejected, host })
}

/// Name of the folder or file, without the ending of an archive.
fn name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let short = [".tar.gz", ".tgz", ".tar"].iter().find_map(|ending| name.strip_suffix(ending));
    short.map_or(name.clone(), str::to_string)
}

/// Bytes of lines that are parsed together, on all cores.
const TOGETHER: usize = 8 << 20;

/// Reads records, one a line; `path` is for messages. Empty lines are passed over in silence.
pub fn read_lines(mut lines: impl BufRead, path: &Path) -> Result<(Vec<Record>, Vec<Rejected>), RecordError> {
    let (mut records, mut rejected) = (Vec::new(), Vec::new());
    let (mut line, mut ended) = (0, false);
    while !ended {
        let (first, mut batch, mut size) = (line + 1, Vec::new(), 0);
        while size < TOGETHER && !ended {
            let read =
                next_line(&mut lines).map_err(|error| RecordError::io(path, error, "check the disk"))?;
            match read {
                Line::End => ended = true,
                Line::Whole(bytes) => {
                    size += bytes.len();
                    batch.push(Some(bytes));
                }
                Line::TooLong => batch.push(None),
            }
        }
        line += batch.len();
        let parsed: Vec<Parsed> = batch.par_iter().map(|bytes| parsed(bytes.as_deref())).collect();
        for (line, parsed) in (first..).zip(parsed) {
            match parsed {
                Ok(record) => records.extend(record),
                Err(Unreadable::Foreign(why)) => rejected.push(Rejected { line, why }),
                Err(Unreadable::Newer(found)) => {
                    return Err(RecordError::NewerMajor { path: path.to_path_buf(), line, found });
                }
            }
        }
    }
    Ok((records, rejected))
}

/// What a line is: nothing where it is empty.
type Parsed = Result<Option<Record>, Unreadable>;

fn parsed(line: Option<&[u8]>) -> Parsed {
    match line {
        None => Err(Unreadable::Foreign(format!("it is longer than {LONGEST_LINE} bytes"))),
        Some(line) if line.trim_ascii().is_empty() => Ok(None),
        Some(line) => parse(line).map(Some),
    }
}

/// Why a line is no record.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// A newer major version, which is this.
    Newer(String),
    /// Anything else.
    Foreign(String),
}

/// The record on a line.
pub(super) fn parse(line: &[u8]) -> Result<Record, Unreadable> {
    /// What tells a newer format apart from a foreign line.
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    // A line break would become part of a text that is cut short, and hide that it is.
    let line = line.trim_ascii();
    let whole = serde_json::from_slice::<Record>(line);
    let schema = match &whole {
        Ok(record) => Some(record.schema.clone()),
        Err(_) => serde_json::from_slice::<Head>(line).ok().map(|head| head.schema),
    };
    match schema.as_deref().map(major) {
        Some(Some(found)) if Some(found) > major(SCHEMA) => {
            return Err(Unreadable::Newer(schema.unwrap_or_default()));
        }
        Some(None) => return Err(Unreadable::Foreign("its `schema` is no version".to_string())),
        Some(Some(_)) | None => {}
    }
    let record = whole.map_err(|error| Unreadable::Foreign(said(&error)))?;
    record.check().map_err(Unreadable::Foreign)?;
    Ok(record)
}

/// What the parser said: cut short, because it may quote the line, and free of its own line number.
fn said(error: &serde_json::Error) -> String {
    let text: String = error.to_string().chars().take(200).collect();
    match error.is_eof() {
        true => "it is cut short".to_string(),
        false => text.replace(" at line 1 column", " at column"),
    }
}

/// The number before the point of `major.minor`.
fn major(schema: &str) -> Option<u64> {
    let (major, minor) = schema.split_once('.')?;
    minor.parse::<u64>().ok()?;
    major.parse().ok()
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
    End,
}

/// Reads the next line, passing over the rest of one that is too long.
fn next_line(lines: &mut impl BufRead) -> io::Result<Line> {
    let mut bytes = Vec::new();
    lines.take(LONGEST_LINE).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(Line::End);
    }
    if (bytes.len() as u64) < LONGEST_LINE || bytes.ends_with(b"\n") {
        return Ok(Line::Whole(bytes));
    }
    lines.skip_until(b'\n')?;
    Ok(Line::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use crate::record::{Verification, example};

    fn line(record: &Record) -> String {
        serde_json::to_string(record).unwrap()
    }

    fn read_text(text: &[u8]) -> Result<(Vec<Record>, Vec<Rejected>), RecordError> {
        read_lines(text, Path::new("run.jsonl"))
    }

    #[test]
    fn every_outcome_survives_the_way_to_a_file_and_back() {
        let written = example::every_outcome();
        let text: String = written.iter().map(|record| line(record) + "\n").collect();
        let (read, rejected) = read_text(text.as_bytes()).unwrap();
        assert_eq!((read, rejected), (written, vec![]));
    }

    #[test]
    fn a_nan_error_comes_back_as_infinite() {
        let mut record = example::measured();
        record.verification = record.verification.map(|check| Verification { worst: f64::NAN, ..check });
        let (read, _) = read_text(line(&record).as_bytes()).unwrap();
        assert_eq!(read[0].verification.as_ref().unwrap().worst, f64::INFINITY);
    }

    #[test]
    fn what_is_no_record_is_set_aside_with_its_line_number() {
        let good = line(&example::measured());
        let uneven = good.replace("\"steal_ns\":[0,", "\"steal_ns\":[");
        let odd = good.replace("\"schema\":\"1.3\"", "\"schema\":\"one\"");
        let negative = good.replace("\"probe_rate\":[3", "\"probe_rate\":[-3");
        let late = good.replace("\"visit\":0", "\"visit\":1001");
        for (bad, why) in [
            (&good[..good.len() / 2], "cut short"),
            ("[1, 2, 3]", "invalid"),
            ("{\"a\": 1}", "missing field"),
            ("\u{1b}[31m", "expected value"),
            (uneven.as_str(), "column `steal_ns` has 11 entries"),
            (odd.as_str(), "no version"),
            (negative.as_str(), "below zero"),
            (late.as_str(), "`visit` is 1001"),
        ] {
            let (records, rejected) = read_text(format!("{good}\n\n{bad}\n{good}").as_bytes()).unwrap();
            assert_eq!((records.len(), rejected.len(), rejected[0].line), (2, 1, 3), "{bad}");
            assert!(rejected[0].why.contains(why), "{} lacks {why}", rejected[0].why);
        }
    }

    #[test]
    fn a_newer_minor_is_read_and_a_newer_major_refused() {
        let good = line(&example::measured());
        let newer = good.replace("\"schema\":\"1.3\"", "\"schema\":\"1.7\",\"later\":{\"x\":[1]}");
        assert_eq!(read_text(newer.as_bytes()).unwrap().0.len(), 1);
        for major in [good.replace("\"schema\":\"1.3\"", "\"schema\":\"2.0\""), "{\"schema\":\"7.1\"}".into()]
        {
            let error = read_text(format!("{good}\n{major}").as_bytes()).unwrap_err().to_string();
            assert!(error.contains("line 2") && error.contains("newer cutgpu"), "{error}");
        }
    }

    #[test]
    fn lines_keep_their_order_and_numbers_however_many_are_parsed_together() {
        let long = " ".repeat(TOGETHER / 3);
        let mut text = String::new();
        for number in 0..10 {
            let mut record = example::measured();
            record.group = format!("{number}");
            text += &format!("{long}\nno record{long}\n{}\n", line(&record));
        }
        let (records, rejected) = read_text(text.as_bytes()).unwrap();
        let groups: Vec<String> = records.into_iter().map(|record| record.group).collect();
        assert_eq!(groups, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
        let lines: Vec<usize> = rejected.iter().map(|rejected| rejected.line).collect();
        assert_eq!(lines, (0..10).map(|number| 3 * number + 2).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_without_end_costs_no_more_than_the_limit() {
        let endless = io::repeat(b'[').take(LONGEST_LINE * 2 + 7);
        let (records, rejected) = read_lines(BufReader::new(endless), Path::new("x")).unwrap();
        assert_eq!((records.len(), rejected.len()), (0, 1));
    }

    /// `FUZZ_CASES` sets the number of mutations.
    #[test]
    fn no_mutation_of_a_line_panics() {
        let cases = std::env::var("FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
        let seeds: Vec<Vec<u8>> = example::every_outcome().iter().map(|r| line(r).into_bytes()).collect();
        for case in 0..cases {
            let mut text = seeds[case as usize % seeds.len()].clone();
            for change in 0..=random::bits(case, 0, 0) % 4 {
                mutate(&mut text, case, 1 + change);
            }
            let _ = read_text(&text);
        }
    }

    /// Overwrites, removes, repeats or inserts something at a random place.
    fn mutate(text: &mut Vec<u8>, case: u64, change: u64) {
        const PIECES: [&[u8]; 12] = [
            b"\"",
            b"{",
            b"]",
            b"null",
            b"-1",
            b"1e999",
            b"18446744073709551616",
            b"\n",
            b"\\u0000",
            b"\xff\xfe",
            b"[[[[[[[[",
            b"true",
        ];
        let draw = |index, below: usize| (random::bits(case, change, index) % below.max(1) as u64) as usize;
        let (at, length) = (draw(0, text.len()), draw(1, 30));
        let end = (at + length).min(text.len());
        match draw(2, 4) {
            0 => text[at] = draw(3, 256) as u8,
            1 => drop(text.drain(at..end)),
            2 => drop(text.splice(at..at, text[at..end].to_vec())),
            _ => drop(text.splice(at..end.min(at + 4), PIECES[draw(3, PIECES.len())].iter().copied())),
        }
    }
}
