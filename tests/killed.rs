//! Kills the parent at random moments: what was finished stays, nothing is recorded twice, no worker
//! survives, and the run can always be completed. `CUTGPU_KILLS` sets the number of kills.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]
#![cfg(target_os = "linux")]

mod bench;

use bench::{Bench, assert_no_duplicates, names, said, within, workers_of};
use cutgpu::plan::Pace;
use cutgpu::random;
use cutgpu::record::Record;
use cutgpu::suite::Effort;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Rows of the products, one a group, in the order in which the plan measures them.
const SIZES: [usize; 5] = [4, 5, 6, 7, 8];
/// Kills of one run before it is left to end.
const KILLS_OF_A_RUN: u64 = 8;

fn kills() -> u64 {
    std::env::var("CUTGPU_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(50)
}

/// A visit to the group of a size: the visit's number, then the size, in the order of a run.
type Visit = (u32, usize);

/// Every visit of a whole run, in order.
fn all_visits() -> Vec<Visit> {
    let visits = Pace::of(Effort::Quick).visits;
    (0..visits).flat_map(|number| SIZES.map(|size| (number, size))).collect()
}

/// Sizes in the order in which the workers' own log has samples of them since `from` bytes: one entry a
/// visit.
fn sampled(log: &Path, from: usize) -> Vec<usize> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines = text[from.min(text.len())..].lines();
    let mut sizes: Vec<usize> =
        lines.filter_map(|line| line.split(' ').nth(1).and_then(|word| word.parse().ok())).collect();
    sizes.dedup();
    sizes
}

/// What the kills did.
#[derive(Default)]
struct Damage {
    /// Groups that were measured to the end and are not recorded, and records that are there twice.
    cells: usize,
    /// Worker processes alive two seconds after their parent.
    workers: usize,
    /// Kills that came after the run had ended.
    late: usize,
}

struct Killed {
    bench: Bench,
    log: PathBuf,
    begun: bool,
}

impl Killed {
    fn new() -> Self {
        let bench = Bench::products(&format!("{SIZES:?}"), "[\"null*\"]", "");
        let log = bench.folder.path().join("log");
        let behaviour = serde_json::json!({ "log": log });
        let bench = bench.script(serde_json::json!({ "null/a": behaviour, "null/b": behaviour }));
        Self { bench, log, begun: false }
    }

    /// Starts or resumes the run and kills it after `delay`; whether it was still running.
    fn kill_after(&mut self, delay: Duration, damage: &mut Damage) -> bool {
        let from = fs::metadata(&self.log).map_or(0, |file| file.len() as usize);
        let before = self.finished();
        let arguments: &[&str] =
            if self.begun { &["run", "--resume", "RUN"] } else { &["run", "SUITE", "--out", "RUN"] };
        let mut child = self.bench.command(arguments).spawn().unwrap();
        let parent = child.id();
        std::thread::sleep(delay);
        let late = child.try_wait().unwrap().is_some();
        damage.late += usize::from(late);
        child.kill().unwrap();
        child.wait().unwrap();
        if !within(Duration::from_secs(2), || workers_of(parent).is_empty()) {
            damage.workers += workers_of(parent).len().max(1);
        }
        self.begun = self.bench.run_folder().join("plan.json").exists();
        // Whoever samples a group has finished all that it sampled before.
        let done = sampled(&self.log, from);
        let pending = all_visits().into_iter().filter(|visit| !before.contains(visit));
        let begun: Vec<Visit> = pending.take(done.len()).collect();
        assert_eq!(begun.iter().map(|visit| visit.1).collect::<Vec<_>>(), done);
        let after = self.finished();
        let expected: BTreeSet<Visit> =
            before.iter().chain(begun.split_last().map_or(&[][..], |b| b.1)).copied().collect();
        damage.cells += expected.difference(&after).count() + doubled(&self.records());
        !late
    }

    fn records(&self) -> Vec<Record> {
        let exists = self.bench.run_folder().join("run.jsonl").exists();
        if exists { self.bench.visits() } else { Vec::new() }
    }

    /// Visits of which both contenders are recorded.
    fn finished(&self) -> BTreeSet<Visit> {
        let records = self.records();
        let of = |(number, size): &Visit| {
            let name = format!("m={size},");
            records.iter().filter(|r| r.visit == *number && r.group.contains(&name)).count()
        };
        all_visits().into_iter().filter(|visit| of(visit) == 2).collect()
    }

    /// Lets the run end.
    fn complete(self) {
        let arguments: &[&str] =
            if self.begun { &["run", "--resume", "RUN"] } else { &["run", "SUITE", "--out", "RUN"] };
        let (code, text) = said(&self.bench.cutgpu(arguments));
        assert_eq!(code, 0, "{text}");
        let records = self.bench.visits();
        assert_no_duplicates(&records);
        assert_eq!(names(&records).len(), 2 * all_visits().len());
    }
}

/// Records beyond the first of a name.
fn doubled(records: &[Record]) -> usize {
    let names = names(records);
    names.len() - names.iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn a_killed_parent_loses_at_most_the_group_in_flight() {
    let begin = Instant::now();
    let whole = Killed::new();
    assert_eq!(said(&whole.bench.measure()).0, 0);
    let mut length = begin.elapsed();
    let (mut killed, mut kills_here, mut damage) = (Killed::new(), 0, Damage::default());
    for number in 0..kills() {
        // From nothing to most of a whole run, so that kills fall on every part of one.
        let share = (random::bits(1, 0, number) >> 40) as f64 / (1u64 << 24) as f64;
        // What is left of a resumed run is shorter than a whole one: one kill in six may come too late.
        let in_time = killed.kill_after(length.mul_f64(0.8 * share), &mut damage);
        length = length.mul_f64(if in_time { 1.02 } else { 0.9 });
        kills_here += 1;
        if kills_here == KILLS_OF_A_RUN {
            std::mem::replace(&mut killed, Killed::new()).complete();
            kills_here = 0;
        }
    }
    killed.complete();
    println!("kills: {} ({} of them after the run had ended)", kills(), damage.late);
    println!("cells lost or doubled: {}", damage.cells);
    println!("workers left: {}", damage.workers);
    assert!(damage.cells == 0 && damage.workers == 0);
    assert!(2 * damage.late < kills() as usize, "most kills came too late to prove anything");
}
