//! Several runs read together, as a fleet's are: told apart by name, each measurement counted once, and what a
//! reader must know about them said.

use super::{Record, RecordError, Run, SCHEMA, read};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Runs with what is odd about them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    /// The runs, in the order named, under names that differ.
    pub runs: Vec<Run>,
    /// One sentence each.
    pub remarks: Vec<String>,
}

/// Reads runs and sets them side by side.
pub fn gather<P: AsRef<Path>>(paths: &[P]) -> Result<Gathered, RecordError> {
    let mut runs = paths.iter().map(|path| read(path.as_ref())).collect::<Result<Vec<_>, _>>()?;
    name_apart(&mut runs, paths);
    let mut remarks: Vec<String> = runs.iter().flat_map(of_one).collect();
    remarks.extend(count_once(&mut runs));
    Ok(Gathered { runs, remarks })
}

/// Gives runs of one name the names of their folders too, and a number where even these agree.
fn name_apart<P: AsRef<Path>>(runs: &mut [Run], paths: &[P]) {
    let shared = |runs: &[Run]| -> BTreeSet<String> {
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        runs.iter().for_each(|run| *times.entry(&run.name).or_default() += 1);
        times.into_iter().filter(|(_, times)| *times > 1).map(|(name, _)| name.to_string()).collect()
    };
    let twice = shared(runs);
    for (run, path) in runs.iter_mut().zip(paths).filter(|(run, _)| twice.contains(&run.name)) {
        let folder = path.as_ref().parent().and_then(Path::file_name);
        if let Some(folder) = folder {
            run.name = format!("{}/{}", folder.to_string_lossy(), run.name);
        }
    }
    let twice = shared(runs);
    let mut number: BTreeMap<String, usize> = BTreeMap::new();
    for run in runs.iter_mut().filter(|run| twice.contains(&run.name)) {
        let number = number.entry(run.name.clone()).or_default();
        *number += 1;
        run.name = format!("{} ({number})", run.name);
    }
}

/// What is odd about a run by itself.
fn of_one(run: &Run) -> Vec<String> {
    let name = &run.name;
    let mut said: Vec<String> = run
        .rejected
        .iter()
        .map(|line| format!("{name}, line {}, is left out: {}", line.line, line.why))
        .collect();
    let hosts: BTreeSet<&str> = run.records.iter().map(|record| record.host.as_str()).collect();
    let stated = run.host.as_ref().map(|host| host["hash"].as_str().unwrap_or_default());
    match (run.records.is_empty(), stated) {
        (true, _) => said.push(format!("{name} holds no record")),
        (false, None) => said.push(format!(
            "{name} has no host.json: what machine {} is cannot be shown; copy the whole folder",
            joined(&hosts)
        )),
        (false, Some(stated)) if !hosts.contains(stated) => said.push(format!(
            "{name}: its host.json is of machine {stated} and its records are of {}: copy the folder anew",
            joined(&hosts)
        )),
        (false, Some(_)) => {}
    }
    let newer: Vec<&Record> = run.records.iter().filter(|record| is_newer(&record.schema)).collect();
    if let Some(first) = newer.first() {
        said.push(format!(
            "{name}: {} records are of format {}, newer than {SCHEMA}: what it added is not shown",
            newer.len(),
            first.schema
        ));
    }
    said
}

fn joined(words: &BTreeSet<&str>) -> String {
    words.iter().copied().collect::<Vec<_>>().join(", ")
}

/// A minor version above this program's; a newer major is never read.
fn is_newer(schema: &str) -> bool {
    let minor = |text: &str| text.split_once('.').and_then(|(_, minor)| minor.parse::<u64>().ok());
    minor(schema) > minor(SCHEMA)
}

/// Leaves out copies: the same cell of the same machine whose measurement began at the same moment. Starts that
/// were counted twice would make intervals too narrow. Of an older and a fuller copy the fuller one stays.
fn count_once(runs: &mut [Run]) -> Vec<String> {
    type Cell<'a> = (&'a str, String, &'a str, &'a str, u32);
    let mut kept: BTreeMap<Cell, (usize, usize)> = BTreeMap::new();
    let mut copies: BTreeMap<(usize, usize), BTreeSet<usize>> = BTreeMap::new();
    for (at, run) in runs.iter().enumerate() {
        for (place, record) in run.records.iter().enumerate() {
            let cell = (
                record.key.as_str(),
                record.contender.to_string(),
                record.host.as_str(),
                record.started.as_str(),
                record.repeat,
            );
            let Some(&(other, earlier)) = kept.get(&cell) else {
                kept.insert(cell, (at, place));
                continue;
            };
            if other == at {
                continue;
            }
            if samples(record) > samples(&runs[other].records[earlier]) {
                copies.entry((other, at)).or_default().insert(earlier);
                kept.insert(cell, (at, place));
            } else {
                copies.entry((at, other)).or_default().insert(place);
            }
        }
    }
    let said: Vec<String> = copies
        .iter()
        .map(|((at, other), places)| {
            let (name, other) = (&runs[*at].name, &runs[*other].name);
            format!("{} records of {name} are in {other} too and count once", places.len())
        })
        .collect();
    for ((at, _), places) in copies {
        let mut place = 0..;
        runs[at].records.retain(|_| place.next().is_none_or(|place| !places.contains(&place)));
    }
    said
}

fn samples(record: &Record) -> usize {
    record.series.iter().map(|series| series.ns.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::example;
    use std::path::PathBuf;

    /// A run's folder with these records, and with a host.json that names `host`.
    fn folder(at: &Path, name: &str, records: &[Record], host: Option<&str>) -> PathBuf {
        let path = at.join(name);
        std::fs::create_dir_all(&path).unwrap();
        let lines: String =
            records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
        std::fs::write(path.join("run.jsonl"), lines).unwrap();
        if let Some(host) = host {
            std::fs::write(path.join("host.json"), format!("{{\"hash\": \"{host}\"}}")).unwrap();
        }
        path
    }

    fn of_machine(host: &str) -> Vec<Record> {
        vec![Record { host: host.to_string(), ..example::measured() }]
    }

    #[test]
    fn runs_of_two_machines_under_one_name_are_told_apart() {
        let at = tempfile::tempdir().unwrap();
        let one = folder(at.path(), "seven/quick", &of_machine("a1"), Some("a1"));
        let other = folder(at.path(), "eight/quick", &of_machine("b2"), Some("b2"));
        let Gathered { runs, remarks } = gather(&[&one, &other]).unwrap();
        assert_eq!((runs[0].name.as_str(), runs[1].name.as_str()), ("seven/quick", "eight/quick"));
        assert_eq!(remarks, Vec::<String>::new());
        assert!(runs.iter().all(|run| run.records.len() == 1));
    }

    #[test]
    fn the_same_run_twice_counts_once() {
        let at = tempfile::tempdir().unwrap();
        let run = folder(at.path(), "quick", &of_machine("a1"), Some("a1"));
        let Gathered { runs, remarks } = gather(&[&run, &run]).unwrap();
        assert_eq!(runs.iter().map(|run| run.records.len()).collect::<Vec<_>>(), [1, 0]);
        let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        assert!(names[0] != names[1] && names.iter().all(|name| name.contains("quick")), "{names:?}");
        assert!(remarks[0].starts_with("1 records of") && remarks[0].ends_with("count once"), "{remarks:?}");
    }

    #[test]
    fn of_an_older_and_a_fuller_copy_the_fuller_one_stays() {
        let at = tempfile::tempdir().unwrap();
        let later = Record { visit: 1, ..of_machine("a1").remove(0) };
        let older = folder(at.path(), "older", &of_machine("a1"), Some("a1"));
        let fuller = folder(at.path(), "fuller", &[of_machine("a1"), vec![later]].concat(), Some("a1"));
        for paths in [[&older, &fuller], [&fuller, &older]] {
            let Gathered { runs, remarks } = gather(&paths).unwrap();
            let left: Vec<(&str, usize)> = runs
                .iter()
                .flat_map(|run| run.records.iter().map(|record| (run.name.as_str(), samples(record))))
                .collect();
            assert_eq!(left, [("fuller", 24)], "{remarks:?}");
        }
    }

    #[test]
    fn repeated_runs_of_one_machine_all_count() {
        let at = tempfile::tempdir().unwrap();
        let again = Record { started: "2026-11-24T12:00:00Z".to_string(), ..of_machine("a1").remove(0) };
        let first = folder(at.path(), "first", &of_machine("a1"), Some("a1"));
        let second = folder(at.path(), "second", &[again], Some("a1"));
        let Gathered { runs, remarks } = gather(&[first, second]).unwrap();
        assert!(runs.iter().all(|run| run.records.len() == 1) && remarks.is_empty(), "{remarks:?}");
    }

    #[test]
    fn what_is_odd_about_a_run_is_said() {
        let at = tempfile::tempdir().unwrap();
        let newer = Record { schema: "1.99".to_string(), ..of_machine("a1").remove(0) };
        for (records, host, says) in [
            (of_machine("a1"), None, "quick has no host.json: what machine a1 is"),
            (of_machine("a1"), Some("b2"), "host.json is of machine b2 and its records are of a1"),
            (vec![newer], Some("a1"), "1 records are of format 1.99, newer than"),
            (vec![], None, "quick holds no record"),
        ] {
            let path = folder(at.path(), "quick", &records, host);
            let remarks = gather(&[&path]).unwrap().remarks;
            std::fs::remove_dir_all(path).unwrap();
            assert!(remarks.len() == 1 && remarks[0].contains(says), "{remarks:?} lacks {says}");
        }
        let path = folder(at.path(), "quick", &of_machine("a1"), Some("a1"));
        std::fs::write(path.join("run.jsonl"), "no record\n").unwrap();
        let remarks = gather(&[&path]).unwrap().remarks;
        assert!(remarks[0].starts_with("quick, line 1, is left out: "), "{remarks:?}");
    }
}
