//! What an interrupted run has finished.

use super::RunError;
use super::folder::Folder;
use crate::plan::{Contender, Group, Plan};
use crate::record::{self, Record};
use std::collections::{BTreeMap, BTreeSet};

/// Groups of which every cell has its record, by id and repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished(BTreeSet<(String, u32)>);

impl Finished {
    /// Whether `group` needs no measuring in this repetition.
    pub fn holds(&self, group: &Group, repeat: u32) -> bool {
        self.0.contains(&(group.id.clone(), repeat))
    }
}

/// Reads the folder's records and tells finished groups from the one that was in flight, whose records
/// are moved aside: cells of a group are measured together or not at all. The sentence says so.
pub fn sort_out(folder: &mut Folder, plan: &Plan) -> Result<(Finished, Option<String>), RunError> {
    let run = record::read(folder.path())?;
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

/// Finished groups, the records to keep, and those of groups that are not complete. Records of groups
/// that the plan does not know stay.
fn split(plan: &Plan, records: Vec<Record>) -> (Finished, Vec<Record>, Vec<Record>) {
    let wanted: BTreeMap<&str, BTreeSet<&Contender>> = plan
        .groups
        .iter()
        .map(|group| (group.id.as_str(), group.cells.iter().map(|cell| &cell.contender).collect()))
        .collect();
    let mut have: BTreeMap<(String, u32), BTreeSet<Contender>> = BTreeMap::new();
    for record in &records {
        have.entry((record.group.clone(), record.repeat)).or_default().insert(record.contender.clone());
    }
    let whole = |id: &str, have: &BTreeSet<Contender>| {
        wanted.get(id).is_none_or(|wanted| wanted.iter().all(|contender| have.contains(*contender)))
    };
    let finished = have.iter().filter(|((id, _), contenders)| whole(id, contenders));
    let finished = Finished(finished.map(|(name, _)| name.clone()).collect());
    let (kept, aside) =
        records.into_iter().partition(|record| finished.0.contains(&(record.group.clone(), record.repeat)));
    (finished, kept, aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;
    use crate::plan::{Available, Options, ad_hoc, build};
    use crate::record::example;
    use crate::suite::Threads;

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

    fn records(plan: &Plan, repeat: u32) -> Vec<Record> {
        let of = |group: &Group| -> Vec<Record> {
            let record = |contender: &Contender| Record {
                group: group.id.clone(),
                contender: contender.clone(),
                repeat,
                ..example::measured()
            };
            group.cells.iter().map(|cell| record(&cell.contender)).collect()
        };
        plan.groups.iter().flat_map(of).collect()
    }

    #[test]
    fn a_group_is_finished_with_its_last_cell() {
        let plan = plan();
        let all = records(&plan, 0);
        assert_eq!(all.len(), 4);
        for (count, finished, aside) in [(0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 1), (4, 2, 0)] {
            let (done, kept, moved) = split(&plan, all[..count].to_vec());
            let whole = plan.groups.iter().filter(|group| done.holds(group, 0)).count();
            assert_eq!((whole, moved.len(), kept.len()), (finished, aside, count - aside), "{count}");
            assert!(!done.holds(&plan.groups[0], 1));
        }
    }

    #[test]
    fn repetitions_and_strangers_are_kept_apart() {
        let plan = plan();
        let mut all = records(&plan, 0);
        all.truncate(2);
        all.extend(records(&plan, 1).into_iter().take(3));
        all.push(Record { group: "another/plan/x=1".to_string(), ..example::measured() });
        let (done, kept, aside) = split(&plan, all);
        assert!(done.holds(&plan.groups[0], 0) && done.holds(&plan.groups[0], 1));
        assert!(!done.holds(&plan.groups[1], 1));
        assert_eq!((kept.len(), aside.len()), (5, 1));
    }
}
