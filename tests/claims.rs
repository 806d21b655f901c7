//! The article's claims by the recorded runs: every finding follows from records, and moves with them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use cutgpu::catalog::{Catalog, Date};
use cutgpu::claims::{CLAIMS, Cell, Finding, Judgement, Test, judge, matrix};
use cutgpu::record::{self, Record, Run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Claims that no graphics card is needed for. A2, A6b, A7 and A11 name one, and A5 is an accuracy on data sets.
const PROCESSOR: [usize; 7] = [1, 3, 4, 6, 8, 9, 10];

/// Folders of recorded runs.
fn folders() -> Vec<PathBuf> {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let folders = std::fs::read_dir(results).unwrap().flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = folders.filter(|folder| folder.join("run.jsonl").exists()).collect();
    folders.sort();
    folders
}

fn runs() -> Vec<Run> {
    folders().iter().map(|folder| record::read(folder).unwrap()).collect()
}

fn judged(runs: &[Run]) -> Vec<Judgement> {
    judge(runs, &Catalog::embedded().unwrap(), Date::parse("2026-11-23").unwrap())
}

fn of<'a>(judgements: &'a [Judgement], id: &str) -> &'a Judgement {
    judgements.iter().find(|judgement| judgement.id == id).unwrap()
}

/// Cells that findings rest on, taken from records.
fn cells(judgements: &[Judgement]) -> Vec<&Cell> {
    judgements
        .iter()
        .flat_map(|claim| [&claim.own, &claim.honest])
        .filter_map(|side| side.cell.as_ref())
        .collect()
}

/// Median of all samples of a record, whatever their start.
fn median(record: &Record) -> f64 {
    let mut ns: Vec<f64> = record.series.iter().flat_map(|series| series.ns.iter().copied()).collect();
    ns.sort_by(f64::total_cmp);
    ns[ns.len() / 2]
}

#[test]
fn every_claim_is_judged_with_its_baselines_its_source_and_an_interval_or_a_reason() {
    let judgements = judged(&runs());
    let (mut whole, mut measured, mut processor) = (0, 0, 0);
    for number in 1..=11 {
        let claim = of(&judgements, &format!("A{number}"));
        let has_interval = claim.own.ratio.is_some() || claim.honest.ratio.is_some();
        let said = has_interval || claim.reason.is_some();
        let named =
            !claim.source.is_empty() && !claim.own.baseline.is_empty() && !claim.honest.baseline.is_empty();
        whole += usize::from(said && named);
        measured += usize::from(has_interval);
        processor += usize::from(has_interval && PROCESSOR.contains(&number));
    }
    println!("claims judged: {whole}\nclaims with an interval: {measured}");
    println!("claims of a processor with an interval: {processor}");
    assert_eq!(whole, 11);
}

/// The interval of each timed cell against the plain ratio of medians of the records that it names.
#[test]
fn intervals_are_those_of_the_records_they_name() {
    let runs = runs();
    let judgements = judged(&runs);
    let timed: Vec<&Cell> = cells(&judgements).into_iter().filter(|cell| cell.scope.is_some()).collect();
    assert!(!timed.is_empty(), "no claim rests on a time");
    for cell in timed {
        let run = runs.iter().find(|run| run.name == cell.run).unwrap();
        let subject =
            |record: &&Record| record.group == cell.group && record.contender.to_string() == cell.subject;
        let subject = run.records.iter().find(subject).unwrap();
        let name = cell.baseline.split(" in ").next().unwrap();
        let same = |record: &&Record| {
            let axes = ["m", "n", "k"].iter().all(|axis| record.point.get(*axis) == subject.point.get(*axis));
            axes && record.contender.to_string() == name && !record.series.is_empty()
        };
        let near = run.records.iter().filter(same).any(|base| {
            let ratio = median(base) / median(subject);
            ratio > 0.8 * cell.ratio.low && ratio < 1.25 * cell.ratio.high
        });
        assert!(near, "{cell:?}");
    }
}

/// Slower subjects make a timed claim worse and faster ones make it better: a finding that stays is no finding.
#[test]
fn no_finding_is_a_constant() {
    let runs = runs();
    let rank = |finding| match finding {
        Finding::NotTestable => 0,
        Finding::NotReproduced => 1,
        Finding::Partial => 2,
        Finding::BaselineDependent => 3,
        Finding::Reproduced => 4,
    };
    let mut constant = 0;
    for claim in
        judged(&runs).iter().filter(|claim| claim.own.cell.as_ref().is_some_and(|cell| cell.scope.is_some()))
    {
        let Test::Ratio { subject, .. } = CLAIMS.iter().find(|row| row.id == claim.id).unwrap().test else {
            continue;
        };
        let scaled = |factor: f64| {
            let mut runs = runs.clone();
            let records = runs.iter_mut().flat_map(|run| &mut run.records);
            for record in records.filter(|record| subject.fits(record, None)) {
                record.series.iter_mut().flat_map(|series| &mut series.ns).for_each(|ns| *ns *= factor);
            }
            rank(of(&judged(&runs), claim.id).finding)
        };
        let (slow, fast) = (scaled(1e3), scaled(1e-3));
        println!("{}: {} in records, {slow} slowed down, {fast} sped up", claim.id, rank(claim.finding));
        constant += usize::from(slow >= fast);
    }
    println!("claims by a constant: {constant}");
    assert_eq!(constant, 0);
}

#[test]
fn the_matrix_shows_what_a_processor_gains_over_plain_loops() {
    let rows = matrix(&runs());
    let product = |row: &&cutgpu::claims::Row| row.op == "gemm" && row.over[0].is_some();
    let row = rows.iter().find(product).expect("a recorded product has plain loops beside it");
    assert!(!row.gpu && row.over[0].as_ref().unwrap().ratio.low > 1.0, "{row:?}");
    assert!(rows.iter().any(|row| row.op == "gemv") && rows.iter().any(|row| row.op == "softmax"));
}

fn cutgpu(words: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cutgpu")).args(words).args(folders()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_command_prints_tables_and_json() {
    let (ok, text, said) = cutgpu(&["claims", "--as-of", "2026-11-23"]);
    assert!(ok && said.is_empty(), "{said}");
    assert!(CLAIMS.iter().all(|claim| text.contains(claim.id) && text.contains(claim.sentence)));
    let (_, text, _) = cutgpu(&["claims", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["claims"].as_array().unwrap().len(), CLAIMS.len());
    assert!(json["claims"].as_array().unwrap().iter().all(|claim| claim["finding"].is_string()));
    let (ok, text, _) = cutgpu(&["claims", "--matrix"]);
    assert!(ok && text.contains("plain loops") && text.contains("gemm"), "{text}");
    let (_, text, _) = cutgpu(&["claims", "--matrix", "--json"]);
    assert!(
        !serde_json::from_str::<serde_json::Value>(&text).unwrap()["rows"].as_array().unwrap().is_empty()
    );
}

#[test]
fn a_folder_that_is_no_run_is_one_sentence() {
    let output = Command::new(env!("CARGO_BIN_EXE_cutgpu")).args(["claims", "nowhere"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.lines().count() == 1 && said.contains("nowhere"), "{said}");
}
