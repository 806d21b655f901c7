//! Candidates in order of cost, with what is sure of that order.

use super::Candidate;
use crate::compare::Interval;
use crate::cost::{CostError, Pair, Question, Side, Swing, Volume, Years};
use serde::Serialize;

/// What a candidate costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ranked {
    /// All that is paid over the months.
    pub total: Interval,
    /// A unit on machines that are as busy as they can be.
    pub unit: Interval,
    /// Machines that the volume takes.
    pub machines: f64,
    /// The whole interval lies above that of another candidate, so that it cannot be the cheapest.
    pub surely_dearer: bool,
    /// The whole interval lies above what may be paid.
    pub over_budget: bool,
}

/// Sorts candidates, the cheapest first at the centre, and says what each costs.
pub(super) fn rank(
    candidates: &mut Vec<Candidate>,
    volume: Volume,
    years: Years,
    budget: Option<f64>,
) -> Result<Vec<Ranked>, CostError> {
    let costs = candidates.drain(..).map(|candidate| {
        let cost = cost(&candidate, volume, years)?;
        Ok((candidate, cost))
    });
    let mut costs = costs.collect::<Result<Vec<(Candidate, Ranked)>, CostError>>()?;
    costs.sort_by(|a, b| a.1.total.centre.total_cmp(&b.1.total.centre).then_with(|| a.0.name.cmp(&b.0.name)));
    let least = costs.iter().map(|(_, cost)| cost.total.high).fold(f64::INFINITY, f64::min);
    let mut ranks = Vec::new();
    for (candidate, cost) in costs {
        let surely_dearer = cost.total.low > least;
        let over_budget = budget.is_some_and(|budget| cost.total.low > budget);
        ranks.push(Ranked { surely_dearer, over_budget, ..cost });
        candidates.push(candidate);
    }
    Ok(ranks)
}

fn cost(candidate: &Candidate, volume: Volume, years: Years) -> Result<Ranked, CostError> {
    let pair = Pair { a: candidate.offer, b: candidate.offer, volume, years };
    let swings = on(Side::A, &candidate.swings);
    let spread = |question| pair.spread(question, &swings);
    let machines = pair.answer(Question::Machines(Side::A))?;
    let (total, unit) = (spread(Question::Total(Side::A))?, spread(Question::Unit(Side::A))?);
    Ok(Ranked { total, unit, machines, surely_dearer: false, over_budget: false })
}

/// Swings of one side of a pair.
pub(super) fn on(side: Side, swings: &[Swing]) -> Vec<Swing> {
    swings.iter().map(|swing| Swing { side: Some(side), ..*swing }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advise::example::candidates;

    fn ranked(volume: f64, budget: Option<f64>) -> Vec<(String, Ranked)> {
        let mut all = candidates();
        let ranks = rank(&mut all, Volume::new(volume).unwrap(), Years::new(2.0).unwrap(), budget).unwrap();
        all.into_iter().map(|candidate| candidate.name).zip(ranks).collect()
    }

    #[test]
    fn the_cheapest_comes_first_and_only_what_another_surely_beats_is_dearer() {
        for volume in [1e3, 1e6, 1e9] {
            let rows = ranked(volume, None);
            assert!(rows.is_sorted_by(|a, b| a.1.total.centre <= b.1.total.centre), "{rows:?}");
            for (name, row) in &rows {
                let beaten = rows.iter().any(|(_, other)| other.total.high < row.total.low);
                assert_eq!(row.surely_dearer, beaten, "{volume}: {name} of {rows:?}");
            }
            // Somebody is the cheapest.
            assert!(rows.iter().any(|(_, row)| !row.surely_dearer));
        }
        // A card that stands idle costs its price; one that is rented by use, next to nothing.
        assert_eq!(ranked(1e3, None)[0].0, "fast card, rented");
        assert_ne!(ranked(1e9, None)[0].0, "fast card, rented");
    }

    #[test]
    fn a_budget_rules_out_what_surely_exceeds_it() {
        let rows = ranked(1e3, Some(5000.0));
        let over: Vec<_> =
            rows.iter().filter(|(_, row)| row.over_budget).map(|(name, _)| name.as_str()).collect();
        assert_eq!(over, ["fast card, bought"]);
    }
}
