//! The cost model against what it was not written from: vectors of decimal arithmetic, which the page's
//! script is held to as well, and cases of the total cost of ownership that are computed by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod script;
mod tco;

use cutgpu::cost::{Offer, Pair, Question, Swing, Volume, Years};
use serde_json::Value;
use std::collections::BTreeMap;

/// Questions with their answers; `vectors.py` beside it says how they were made.
const VECTORS: &str = include_str!("vectors.json");

/// Fewest vectors.
const FEWEST: usize = 40;

fn vectors() -> Value {
    serde_json::from_str(VECTORS).unwrap()
}

/// Both offers of a vector; the error is what a user would read.
fn pair(vector: &Value, offers: &Value) -> Result<Pair, String> {
    let offer = |side: &str| {
        let offer = offers[vector[side].as_str().unwrap()].clone();
        serde_json::from_value::<Offer>(offer).map_err(|error| error.to_string())
    };
    Ok(Pair {
        a: offer("a")?,
        b: offer("b")?,
        volume: Volume::new(vector["volume"].as_f64().unwrap()).map_err(|error| error.to_string())?,
        years: Years::new(vector["years"].as_f64().unwrap()).map_err(|error| error.to_string())?,
    })
}

/// Whether `got` is `want` to 1e-9; null is an answer that is never.
fn is_close(got: f64, want: &Value) -> bool {
    match want.as_f64() {
        Some(want) => (got - want).abs() <= 1e-9 * want.abs(),
        None => got == f64::INFINITY,
    }
}

/// What is wrong with the model's answer to a vector.
fn miss(vector: &Value, offers: &Value) -> Option<String> {
    let question: Question = serde_json::from_value(vector["question"].clone()).unwrap();
    let swings: Vec<Swing> =
        vector.get("swings").map_or(Vec::new(), |swings| serde_json::from_value(swings.clone()).unwrap());
    let pair = pair(vector, offers);
    let asked = |error: cutgpu::cost::CostError| error.to_string();
    if let Some(says) = vector.get("refuse") {
        let said = pair.and_then(|pair| pair.answer(question).map_err(asked));
        let refused = said.as_ref().is_err_and(|said| said.contains(says.as_str().unwrap()));
        return (!refused).then(|| format!("{said:?}"));
    }
    let pair = pair.unwrap();
    if let Some(want) = vector.get("spread") {
        let got = pair.spread(question, &swings).unwrap();
        let all = [(got.low, &want[0]), (got.centre, &want[1]), (got.high, &want[2])];
        return (!all.iter().all(|(got, want)| is_close(*got, want))).then(|| format!("{got:?}"));
    }
    if let Some(want) = vector.get("tornado") {
        let bars = pair.tornado(question, &swings).unwrap();
        let fits = bars.iter().zip(want.as_array().unwrap()).all(|(bar, want)| {
            let factor = serde_json::to_value(bar.swing.factor).unwrap();
            factor == want[0] && is_close(bar.low, &want[1]) && is_close(bar.high, &want[2])
        });
        return (!fits || bars.len() != swings.len()).then(|| format!("{bars:?}"));
    }
    let got = pair.answer(question).unwrap();
    (!is_close(got, &vector["value"])).then(|| format!("{got}"))
}

#[test]
fn the_model_agrees_with_every_vector() {
    let data = vectors();
    let all = data["vectors"].as_array().unwrap();
    let misses: Vec<String> = all
        .iter()
        .filter_map(|vector| Some(format!("{vector}: {}", miss(vector, &data["offers"])?)))
        .collect();
    println!("vectors: {}\nvectors missed by Rust: {}", all.len(), misses.len());
    assert!(misses.is_empty(), "\n{}", misses.join("\n"));
    assert!(all.len() >= FEWEST);
}

#[test]
fn every_question_has_vectors_and_edges_are_among_them() {
    let data = vectors();
    let all = data["vectors"].as_array().unwrap();
    let mut words: BTreeMap<String, usize> = BTreeMap::new();
    for vector in all {
        let question = &vector["question"];
        let word = question.as_object().and_then(|sides| sides.keys().next().cloned());
        *words.entry(word.unwrap_or_else(|| question.as_str().unwrap().to_string())).or_default() += 1;
    }
    assert_eq!(words.len(), 17, "{words:?}");
    let volumes: Vec<f64> = all.iter().filter_map(|vector| vector["volume"].as_f64()).collect();
    assert!(volumes.contains(&0.0) && volumes.contains(&1e18) && volumes.contains(&-1.0));
    assert!(all.iter().filter(|vector| vector.get("refuse").is_some()).count() >= 15);
    assert!(all.iter().any(|vector| vector.get("value").is_some_and(Value::is_null)));
}

#[test]
fn a_model_that_is_a_millionth_off_is_caught() {
    assert!(is_close(2.0, &Value::from(2.0 + 1e-10)) && !is_close(2.0, &Value::from(2.000_002)));
    assert!(!is_close(1e-30, &Value::from(0.0)) && !is_close(1e300, &Value::Null));
    assert!(is_close(f64::INFINITY, &Value::Null) && !is_close(f64::NAN, &Value::from(1.0)));
}
