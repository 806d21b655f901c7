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
