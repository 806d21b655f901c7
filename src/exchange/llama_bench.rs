//! llama-bench of llama.cpp: `-o json`, a list of tests, or `-o jsonl`, one a line.

use super::{ExchangeError, Foreign, json, sound};
use serde::Deserialize;
use std::collections::BTreeMap;

const ADVICE: &str = "make one with `llama-bench -o json`";

/// One test; fields that this program does not show are passed over.
#[derive(Deserialize)]
struct Test {
    #[serde(default)]
    cpu_info: String,
    #[serde(default)]
    gpu_info: String,
    #[serde(default)]
    backends: String,
    model_type: String,
    #[serde(default)]
    n_threads: u64,
    #[serde(default)]
    n_gpu_layers: i64,
    n_prompt: u64,
    n_gen: u64,
    avg_ts: f64,
    #[serde(default)]
    samples_ts: Vec<f64>,
}

/// Tokens a second of each test. Only layers on a GPU make it a GPU's: a build with CUDA may run on the processor.
pub fn llama_bench(text: &str) -> Result<Vec<Foreign>, ExchangeError> {
    let tests: Vec<Test> = if text.trim_start().starts_with('[') {
        json(text, "llama-bench", ADVICE)?
    } else {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(|line| json(line, "llama-bench", ADVICE)).collect::<Result<_, _>>()?
    };
    Ok(tests.into_iter().map(foreign).collect())
}

fn foreign(test: Test) -> Foreign {
    let values = sound(if test.samples_ts.is_empty() { vec![test.avg_ts] } else { test.samples_ts });
    let device =
        if test.n_gpu_layers != 0 && !test.gpu_info.is_empty() { test.gpu_info } else { test.cpu_info };
    Foreign {
        tool: "llama-bench",
        name: test.model_type,
        device,
        settings: BTreeMap::from([
            ("backends".to_string(), test.backends),
            ("prompt".to_string(), test.n_prompt.to_string()),
            ("generated".to_string(), test.n_gen.to_string()),
            ("threads".to_string(), test.n_threads.to_string()),
            ("gpu_layers".to_string(), test.n_gpu_layers.to_string()),
        ]),
        unit: "token/s".to_string(),
        skipped: values.is_empty().then(|| "no rate above zero".to_string()),
        values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../tests/foreign/llama-bench.json");

    #[test]
    fn a_file_gives_samples_and_says_where_they_ran() {
        let rows = llama_bench(SAMPLE).unwrap();
        assert_eq!(rows.len(), 3);
        assert_eq!((rows[0].values.len(), rows[0].unit.as_str()), (3, "token/s"));
        assert!(rows[0].device.contains("Processor") && rows[2].device.contains("Graphics"), "{rows:#?}");
        assert_eq!(rows[1].settings["generated"], "128");
    }

    #[test]
    fn lines_are_read_as_a_list_is() {
        let tests: Vec<serde_json::Value> = serde_json::from_str(SAMPLE).unwrap();
        let lines: Vec<String> = tests.iter().map(ToString::to_string).collect();
        assert_eq!(llama_bench(&lines.join("\n")).unwrap(), llama_bench(SAMPLE).unwrap());
    }

    #[test]
    fn what_is_no_such_file_says_how_to_make_one() {
        for text in ["", "[{}]", "{\"a\": 1}", "[1]", "nonsense"] {
            let Err(error) = llama_bench(text) else { continue };
            assert!(error.to_string().contains("llama-bench -o json"), "{error}");
        }
        assert!(llama_bench("[{}]").is_err() && llama_bench("").unwrap().is_empty());
    }
}
