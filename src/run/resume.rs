//! What an interrupted run has finished.

use super::RunError;
use super::folder::Folder;
use crate::plan::{Cell, Contender, Fate, Group, Plan};
use crate::record::{self, Outcome, Record};
use crate::suite::Load;
use std::collections::{BTreeMap, BTreeSet};

/// A visit to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visit {
    /// Repetition of the run (`--repeat`), from 0.
    pub repeat: u32,
    /// Visit within it, from 0.
    pub number: u32,
}

/// What need not be measured any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Visits in which every cell of the group, by its id, has its record.
    visits: BTreeSet<(String, Visit)>,
    /// Cells that failed, were wrong or were skipped in a repetition: later visits pass them over.
    out: BTreeSet<(String, u32, Contender)>,
}

impl Finished {
    /// What of `group` is to be measured in this visit, if anything: in the first all of it; later the cells
    /// that have not failed, and no sustained load, which one window answers.
    pub(super) fn rest(&self, group: &Group, visit: Visit) -> Option<Group> {
        if self.visits.contains(&(group.id.clone(), visit)) {
            return None;
        }
        let mut group = group.clone();
        if visit.number > 0 {
            let is_in =
                |cell: &Cell| cell.fate == Fate::Run && !self.gave_up(&group.id, visit, &cell.contender);
            group.cells.retain(is_in);
            group.series.retain(|kind| kind.load == Load::Burst);
        }
        (!group.cells.is_empty() && !group.series.is_empty()).then_some(group)
    }

    /// Visits that are to be made, in order: groups by their number in the plan. Every group comes once
    /// before any comes again, so that the visits of one lie as far apart as the run is long.
    pub fn pending(&self, plan: &Plan, repeat: u32) -> Vec<(usize, Visit)> {
        let most = plan.groups.iter().map(Group::visits).max().unwrap_or(0);
        let visits = (0..repeat).flat_map(|repeat| (0..most).map(move |number| Visit { repeat, number }));
        let of = |visit: Visit| {
            let groups =
                plan.groups.iter().enumerate().filter(move |(_, group)| visit.number < group.visits());
            let left = groups.filter(move |(_, group)| self.rest(group, visit).is_some());
            left.map(move |(place, _)| (place, visit))
        };
        visits.flat_map(of).collect()
    }

    /// Whether an earlier visit of the same repetition ended without a measurement of this cell.
    fn gave_up(&self, group: &str, visit: Visit, contender: &Contender) -> bool {
        self.out.contains(&(group.to_string(), visit.repeat, contender.clone()))
    }

    /// Remembers a cell that later visits pass over.
    pub(super) fn note(&mut self, record: &Record) {
        if record.outcome != Outcome::Measured {
            self.out.insert((record.group.clone(), record.repeat, record.contender.clone()));
        }
    }
}

/// Reads the folder's records and tells finished visits from the one that was in flight, whose records
/// are moved aside: cells of a group are measured together or not at all. The sentence says so.
pub fn sort_out(folder: &mut Folder, plan: &Plan) -> Result<(Finished, Option<String>), RunError> {
    let run = record::read_visits(folder.path())?;
    let (finished, kept, aside) = split(plan, run.records);
    if aside.is_empty() {
        return Ok((finished, None));
    }
    folder.replace(&kept, &aside)?;
    let groups: BTreeSet<&str> = aside.iter().map(|record| record.group.as_str()).collect();
    let groups: Vec<&str> = groups.into_iter().collect();
    let said = format!(
        "{} had been interrupted and is measured again; its {} record(s) were moved to run.jsonl.rejected",
        groups.join(", "),
        aside.len()
    );
    Ok((finished, Some(said)))
}

/// Finished visits, the records to keep, and those of visits that are not complete. Records of groups
/// that the plan does not know stay.
fn split(plan: &Plan, records: Vec<Record>) -> (Finished, Vec<Record>, Vec<Record>) {
    let wanted: BTreeMap<&str, &Group> = plan.groups.iter().map(|group| (group.id.as_str(), group)).collect();
    let mut visits: BTreeMap<(Visit, String), Vec<Record>> = BTreeMap::new();
    for record in records {
        visits.entry((visit(&record), record.group.clone())).or_default().push(record);
    }
    let (mut finished, mut kept, mut aside) = (Finished::default(), Vec::new(), Vec::new());
    // In the order of visits, because a cell that failed is in no later one.
    for ((visit, group), records) in visits {
        let have: BTreeSet<&Contender> = records.iter().map(|record| &record.contender).collect();
        let is_there = |cell: &Cell| {
            let later = visit.number > 0;
            have.contains(&cell.contender)
                || later && (cell.fate != Fate::Run || finished.gave_up(&group, visit, &cell.contender))
        };
        if wanted.get(group.as_str()).is_some_and(|wanted| !wanted.cells.iter().all(is_there)) {
            aside.extend(records);
            continue;
        }
        records.iter().for_each(|record| finished.note(record));
        kept.extend(records);
        finished.visits.insert((group, visit));
    }
    (finished, kept, aside)
}

fn visit(record: &Record) -> Visit {
    Visit { repeat: record.repeat, number: record.visit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;
    use crate::plan::{Available, Options, SeriesKind, ad_hoc, build};
    use crate::record::example;
    use crate::suite::{Effort, Threads};

    /// Two groups of two contenders each.
    fn plan() -> Plan {
        let options = Options {
            backends: Some(vec!["null".to_string(), "cpu/naive".to_string()]),
            threads: Some(vec![Threads::Count(1)]),
            available: Available::look(),
            ..Options::default()
        };
        build(&[ad_hoc("gemm", "m=4|5,n=4,k=4").unwrap()], &host::facts(), &options).unwrap()
    }

    /// The same in several short visits.
    fn quick() -> Plan {
        let mut plan = plan();
        plan.groups.iter_mut().for_each(|group| group.effort = Effort::Quick);
        plan
    }

    fn records(plan: &Plan, repeat: u32, visit: u32) -> Vec<Record> {
        let of = |group: &Group| -> Vec<Record> {
            let record = |contender: &Contender| Record {
                group: group.id.clone(),
                contender: contender.clone(),
                repeat,
                visit,
                ..example::measured()
            };
            group.cells.iter().map(|cell| record(&cell.contender)).collect()
        };
        plan.groups.iter().flat_map(of).collect()
    }

    /// The visits that are left of a plan that is made twice.
    fn left(done: &Finished, plan: &Plan) -> Vec<(usize, u32, u32)> {
        let pending = done.pending(plan, 2).into_iter();
        pending.map(|(place, visit)| (place, visit.repeat, visit.number)).collect()
    }

    #[test]
    fn a_visit_is_finished_with_the_last_cell() {
        let plan = plan();
        let all = records(&plan, 0, 0);
        assert_eq!(all.len(), 4);
        for (count, finished, aside) in [(0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 1), (4, 2, 0)] {
            let (done, kept, moved) = split(&plan, all[..count].to_vec());
            let left: Vec<_> = left(&done, &plan).into_iter().filter(|visit| visit.1 == 0).collect();
            assert_eq!(
                (2 - left.len(), moved.len(), kept.len()),
                (finished, aside, count - aside),
                "{count}"
            );
        }
    }

    #[test]
    fn repetitions_and_strangers_are_kept_apart() {
        let plan = plan();
        let mut all = records(&plan, 0, 0);
        all.truncate(2);
        all.extend(records(&plan, 1, 0).into_iter().take(3));
        all.push(Record { group: "another/plan/x=1".to_string(), ..example::measured() });
        let (done, kept, aside) = split(&plan, all);
        assert_eq!(left(&done, &plan), [(1, 0, 0), (1, 1, 0)]);
        assert_eq!((kept.len(), aside.len()), (5, 1));
    }

    #[test]
    fn every_group_is_visited_once_before_any_is_visited_again() {
        let plan = quick();
        let visits = plan.groups[0].visits();
        assert!(visits > 2, "{visits}");
        let (done, ..) = split(&plan, [records(&plan, 0, 0), records(&plan, 0, 2)].concat());
        let wanted = [1].into_iter().chain(3..visits).map(|number| (0, number));
        let wanted = wanted.chain((0..visits).map(|number| (1, number)));
        let wanted: Vec<_> = wanted.flat_map(|(repeat, n)| [(0, repeat, n), (1, repeat, n)]).collect();
        assert_eq!(left(&done, &plan), wanted);
    }

    #[test]
    fn cells_that_failed_are_not_visited_again() {
        let plan = quick();
        let (first, second) = (&plan.groups[0], &plan.groups[1]);
        let mut all = records(&plan, 0, 0);
        let failed = Outcome::Failed { kind: "hang".to_string(), message: String::new() };
        for number in [0, 2, 3] {
            all[number].outcome = failed.clone();
        }
        let next = Visit { repeat: 0, number: 1 };
        let (done, ..) = split(&plan, all.clone());
        let rest = done.rest(first, next).unwrap();
        assert_eq!((rest.cells.len(), &rest.cells[0].contender), (1, &first.cells[1].contender));
        assert_eq!(done.rest(second, next), None);
        assert_eq!(done.rest(second, Visit { repeat: 1, number: 0 }).unwrap().cells.len(), 2);
        // A later visit is whole without the cell that is out.
        all.push(records(&plan, 0, 1).remove(1));
        let (done, kept, aside) = split(&plan, all.clone());
        assert_eq!((done.rest(first, next), kept.len(), aside.len()), (None, 5, 0));
        // What a torn visit said of a cell is moved aside with it, and the cell is tried again.
        let torn = Record { outcome: failed, ..records(&plan, 0, 1).remove(1) };
        let (done, kept, aside) = split(&plan, [records(&plan, 0, 0), vec![torn]].concat());
        assert_eq!((done.rest(first, next).unwrap().cells.len(), kept.len(), aside.len()), (2, 4, 1));
    }

    #[test]
    fn a_long_window_is_measured_once() {
        let mut plan = quick();
        let burst = plan.groups[0].series[0];
        plan.groups[0].series.push(SeriesKind { load: Load::Sustained, ..burst });
        let done = Finished::default();
        let series = |number| done.rest(&plan.groups[0], Visit { repeat: 0, number }).unwrap().series.len();
        assert_eq!((series(0), series(1)), (5, 4));
        plan.groups[0].series = vec![SeriesKind { load: Load::Sustained, ..burst }];
        assert_eq!(done.rest(&plan.groups[0], Visit { repeat: 0, number: 1 }), None);
    }
}
