//! Makes a plan smaller: a part of its groups, or as many as a time allows.

use super::{Group, Plan, PlanError};
use crate::suite::Suite;
use std::time::Duration;

/// Keeps groups whose id contains one of `parts`; all of them where there are none.
pub(super) fn only<P>(plan: &mut Plan<P>, parts: &[String]) -> Result<(), PlanError> {
    if parts.is_empty() {
        return Ok(());
    }
    let ids = plan.groups.iter().map(|group| group.id.as_str());
    let example = ids.clone().next().unwrap_or_default().to_string();
    if let Some(part) = parts.iter().find(|part| !ids.clone().any(|id| id.contains(part.as_str()))) {
        let message = format!("no group has `{part}` in its name; they look like `{example}`");
        return Err(PlanError::Request(message));
    }
    plan.groups.retain(|group| parts.iter().any(|part| group.id.contains(part.as_str())));
    Ok(())
}

/// Keeps part `part` of `parts`. Groups are dealt out in turn, so that every part gets its share of each
/// case, and all parts together are the plan, whatever each machine drops for want of time.
pub(super) fn shard<P>(plan: &mut Plan<P>, shard: Option<(usize, usize)>) {
    let Some((part, parts)) = shard else { return };
    let mut number = 0;
    plan.groups.retain(|_| {
        number += 1;
        (number - 1) % parts == part - 1
    });
}

/// Drops groups until the estimate fits: of all groups into `minutes`, else of each suite's into its own
/// budget.
pub(super) fn trim<P>(plan: &mut Plan<P>, suites: &[Suite], minutes: Option<f64>) {
    if let Some(minutes) = minutes {
        let allowed = Duration::try_from_secs_f64(minutes * 60.0).unwrap_or(Duration::MAX);
        return drop_until(plan, |_| true, allowed);
    }
    for suite in suites {
        let Some(budget) = suite.budget else { continue };
        drop_until(plan, |group| group.suite == suite.name, budget);
    }
}

/// Drops the lowest priority first, and of one priority the longest.
fn drop_until<P>(plan: &mut Plan<P>, concerns: impl Fn(&Group<P>) -> bool, allowed: Duration) {
    let total = |plan: &Plan<P>| -> Duration {
        plan.groups.iter().filter(|group| concerns(group)).map(|group| group.estimate).sum()
    };
    let all = total(plan);
    let mut left = all;
    while left > allowed {
        let candidates = plan.groups.iter().enumerate().filter(|(_, group)| concerns(group));
        let lowest = candidates.min_by_key(|(_, group)| (group.priority, std::cmp::Reverse(group.estimate)));
        let Some((number, _)) = lowest else { return };
        let group = plan.groups.remove(number);
        left = total(plan);
        let reason = format!(
            "all of it would take about {:.0} s and {:.0} s are allowed; of what was left it had the lowest \
             priority, {}, and took about {:.1} s",
            all.as_secs_f64(),
            allowed.as_secs_f64(),
            group.priority,
            group.estimate.as_secs_f64()
        );
        plan.dropped.push((group.id, reason));
    }
}
