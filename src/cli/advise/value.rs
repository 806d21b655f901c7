//! The answer as JSON.

use super::page::{Asked, verdict};
use crate::advise::{Answer, Candidate, Duel, PriceBasis, Ranked};
use serde_json::{Value, json};

/// Everything.
pub(super) fn json(asked: &Asked, answer: &Answer) -> Value {
    let candidates: Vec<Value> =
        answer.candidates.iter().zip(&answer.ranks).map(|(candidate, rank)| one(candidate, rank)).collect();
    let memory: Vec<Value> = answer
        .memory
        .iter()
        .map(|fit| {
            json!({
                "device": fit.device, "holds": fit.holds, "needs": fit.needs, "total": fit.total(), "fits": fit.fits(),
                "largest_batch": fit.largest,
            })
        })
        .collect();
    json!({
        "job": {
            "name": asked.job.name, "workload": asked.job.workload.name, "point": asked.job.params,
            "batch": asked.job.batch, "months": asked.job.months, "volume": asked.job.demand.text,
        },
        "as_of": asked.day, "assumptions": asked.assumptions, "unit": answer.unit, "units_a_month": answer.volume,
        "verdict": verdict(asked, answer), "first": answer.first(), "candidates": candidates,
        "memory": memory, "processor_or_card": answer.duel.as_ref().map(duel), "left_out": answer.left_out,
        "notes": answer.notes,
    })
}

fn one(candidate: &Candidate, rank: &Ranked) -> Value {
    let price = match &candidate.price {
        PriceBasis::User => json!({ "basis": "user" }),
        PriceBasis::Catalog { kind, date, stale } => {
            json!({ "basis": "catalog", "kind": kind, "date": date, "stale": stale })
        }
    };
    json!({
        "device": candidate.device, "name": candidate.name, "batch": candidate.batch, "seconds": candidate.seconds,
        "time": candidate.time.label(), "price": price, "needs": candidate.needs, "holds": candidate.holds,
        "offer": candidate.offer, "swings": candidate.swings, "assumed": candidate.assumed, "cost": rank,
    })
}

/// Infinite means never and is `null`.
fn duel(duel: &Duel) -> Value {
    let bars: Vec<Value> =
        duel.bars.iter().map(|flip| json!({ "bar": flip.bar, "flips": flip.flips })).collect();
    json!({
        "processor": duel.cpu, "card": duel.gpu, "speed_up": duel.speed_up, "worth": duel.worth,
        "break_even_volume": duel.volume, "break_even_month": duel.month, "flip_price": duel.flip_price, "bars": bars,
    })
}
