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
