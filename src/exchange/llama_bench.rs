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
    model_size: u64,
    #[serde(default)]
    n_threads: u64,
    #[serde(default)]
    n_gpu_layers: i64,
    n_prompt: u64,
    n_gen: u64,
    #[serde(default)]
    n_depth: u64,
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
    let on_gpu = test.n_gpu_layers != 0 && !test.gpu_info.is_empty();
    let device = if on_gpu { test.gpu_info } else { test.cpu_info };
    Foreign {
        tool: "llama-bench",
        name: test.model_type,
        device,
        settings: BTreeMap::from([
            ("backends".to_string(), test.backends),
            ("prompt".to_string(), test.n_prompt.to_string()),
            ("generated".to_string(), test.n_gen.to_string()),
            ("depth".to_string(), test.n_depth.to_string()),
            ("threads".to_string(), test.n_threads.to_string()),
            ("gpu_layers".to_string(), test.n_gpu_layers.to_string()),
            ("model_bytes".to_string(), test.model_size.to_string()),
            ("on".to_string(), if on_gpu { "gpu" } else { "cpu" }.to_string()),
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
    fn a_file_gives_samples_and_their_settings() {
        let rows = llama_bench(SAMPLE).unwrap();
        assert_eq!(rows.len(), 4);
        let told = |name: &str| rows.iter().map(|row| row.settings[name].clone()).collect::<Vec<_>>();
        assert_eq!(told("prompt"), ["64", "0", "64", "0"]);
        assert_eq!(told("generated"), ["0", "16", "0", "16"]);
        assert_eq!(told("depth"), ["0", "0", "32", "32"]);
        assert!(
            rows.iter().all(|row| row.values.len() == 3 && row.unit == "token/s" && row.skipped.is_none())
        );
    }

    #[test]
    fn layers_are_on_a_gpu_only_where_there_is_one() {
        let device = |text: &str| llama_bench(text).unwrap()[0].device.clone();
        // 99 layers were asked to be on a GPU, and the machine had none.
        assert!(SAMPLE.contains("\"n_gpu_layers\": 99"));
        assert_eq!(device(SAMPLE), "Intel(R) Xeon(R) Processor");
        let gpu = SAMPLE.replace("\"gpu_info\": \"\"", "\"gpu_info\": \"A card\"");
        assert_eq!(device(&gpu), "A card");
        assert_eq!(
            device(&gpu.replace("\"n_gpu_layers\": 99", "\"n_gpu_layers\": 0")),
            "Intel(R) Xeon(R) Processor"
        );
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
