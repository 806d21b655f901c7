//! Whether a row of llama-bench that claims a graphics card was run on it.

use super::Foreign;
use crate::catalog::{Catalog, Finding, gpu_proof};

/// What is wrong with rows that claim a card: their tokens come no faster than the same file's processor makes them, or
/// far slower than the card's memory gives the weights.
pub fn fell_back(rows: &[Foreign], catalog: &Catalog) -> Vec<Finding> {
    rows.iter().filter_map(|row| one(row, rows, catalog)).collect()
}

fn one(row: &Foreign, rows: &[Foreign], catalog: &Catalog) -> Option<Finding> {
    let told = |row: &Foreign, name: &str| row.settings.get(name).cloned().unwrap_or_default();
    // Prompts are bound by arithmetic, of which these rules say nothing.
    if told(row, "on") != "gpu" || told(row, "prompt") != "0" {
        return None;
    }
    let is_same = |other: &&Foreign| {
        told(other, "on") == "cpu"
            && other.name == row.name
            && ["prompt", "generated", "depth"].iter().all(|name| told(other, name) == told(row, name))
    };
    let cpu = rows.iter().filter(is_same).filter_map(middle).reduce(f64::max);
    let card = catalog.devices.iter().find(|device| device.is_named(&row.device));
    let bandwidth = card.and_then(|card| Some(card.bandwidth_gb_s?.value * 1e9));
    let weights = told(row, "model_bytes").parse().ok().filter(|bytes: &f64| *bytes > 0.0);
    gpu_proof(&format!("{} on {}", row.name, row.device), middle(row)?, cpu, bandwidth.zip(weights))
}

fn middle(row: &Foreign) -> Option<f64> {
    let mut values = row.values.clone();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::llama_bench;

    const SAMPLE: &str = include_str!("../../tests/foreign/llama-bench.json");

    /// The sample's tests as a card claims them, with so many tokens a second, beside those of the processor.
    fn rows(card: &str, tokens: f64) -> Vec<Foreign> {
        let mut tests: Vec<serde_json::Value> = serde_json::from_str(SAMPLE).unwrap();
        let mut claimed = tests.clone();
        for test in &mut claimed {
            test["gpu_info"] = card.into();
            test["model_size"] = 4_100_000_000u64.into();
            test["samples_ts"] = vec![tokens; 3].into();
        }
        tests.extend(claimed);
        llama_bench(&serde_json::to_string(&tests).unwrap()).unwrap()
    }

    #[test]
    fn a_card_that_is_no_faster_than_the_processor_was_not_used() {
        let catalog = Catalog::embedded().unwrap();
        let slow = fell_back(&rows("A card nobody knows", 1.0), &catalog);
        assert_eq!(slow.len(), 2, "{slow:?}");
        assert!(slow[0].subject.ends_with("on A card nobody knows") && slow[0].rule == "fell_back");
        assert!(fell_back(&rows("A card nobody knows", 1e9), &catalog).is_empty());
        assert!(fell_back(&llama_bench(SAMPLE).unwrap(), &catalog).is_empty());
    }

    #[test]
    fn a_card_whose_memory_allows_far_more_is_doubted() {
        let catalog = Catalog::embedded().unwrap();
        let alone = |tokens| {
            let mut rows = rows("NVIDIA GeForce RTX 4090", tokens);
            rows.retain(|row| row.settings["on"] == "gpu");
            fell_back(&rows, &catalog)
        };
        // 1008 GB/s give 4.1 GB 246 times a second.
        assert_eq!((alone(20.0).len(), alone(150.0).len()), (2, 0));
    }
}
