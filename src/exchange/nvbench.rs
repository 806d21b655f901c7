//! NVIDIA's nvbench: `--json FILE`.

use super::{ExchangeError, Foreign, json, sound};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The summary that holds a kernel's time: the mean of isolated executions by the GPU's clock, in seconds.
const TIME: &str = "nv/cold/time/gpu/mean";
/// The same of a benchmark that runs on the processor only.
const CPU_TIME: &str = "nv/cpu_only/time/cpu/mean";

const ADVICE: &str = "make one with `--json FILE` of nvbench 0.1.0 or later";

#[derive(Deserialize)]
struct File {
    devices: Vec<Device>,
    benchmarks: Vec<Benchmark>,
}

#[derive(Deserialize)]
struct Device {
    id: i64,
    name: String,
}

#[derive(Deserialize)]
struct Benchmark {
    name: String,
    states: Vec<State>,
}

#[derive(Deserialize)]
struct State {
    name: String,
    /// None for a benchmark that runs on the processor only.
    #[serde(default)]
    device: Option<i64>,
    #[serde(default)]
    axis_values: Option<Vec<Axis>>,
    #[serde(default)]
    summaries: Option<Vec<Summary>>,
    #[serde(default)]
    is_skipped: bool,
    #[serde(default)]
    skip_reason: Option<String>,
}

#[derive(Deserialize)]
struct Axis {
    name: String,
    value: Value,
}

#[derive(Deserialize)]
struct Summary {
    tag: String,
    #[serde(default)]
    data: Option<Vec<Axis>>,
}

/// Seconds of every state; what was skipped keeps its reason.
pub fn nvbench(text: &str) -> Result<Vec<Foreign>, ExchangeError> {
    let file: File = json(text, "nvbench", ADVICE)?;
    let name = |id: Option<i64>| Some(file.devices.iter().find(|device| Some(device.id) == id)?.name.clone());
    let of_benchmark = |benchmark: &Benchmark| -> Vec<Foreign> {
        benchmark.states.iter().map(|state| foreign(&benchmark.name, state, name(state.device))).collect()
    };
    Ok(file.benchmarks.iter().flat_map(of_benchmark).collect())
}

fn foreign(benchmark: &str, state: &State, device: Option<String>) -> Foreign {
    let values = sound(value(state, TIME).or_else(|| value(state, CPU_TIME)));
    let unmeasured = || match (state.is_skipped, &state.skip_reason) {
        (true, Some(reason)) => reason.clone(),
        (true, None) => "skipped".to_string(),
        (false, _) => format!("no {TIME}"),
    };
    let setting = |axis: &Axis| (axis.name.clone(), shown(&axis.value));
    Foreign {
        tool: "nvbench",
        name: format!("{benchmark}: {}", state.name),
        device: device.unwrap_or_default(),
        settings: state.axis_values.iter().flatten().map(setting).collect::<BTreeMap<_, _>>(),
        unit: "s".to_string(),
        skipped: values.is_empty().then(unmeasured),
        values,
    }
}

/// The number of a summary.
fn value(state: &State, tag: &str) -> Option<f64> {
    let summary = state.summaries.iter().flatten().find(|summary| summary.tag == tag)?;
    number(&summary.data.iter().flatten().find(|field| field.name == "value")?.value)
}

/// nvbench writes numbers as texts, so that none loses digits.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../tests/foreign/nvbench.json");

    #[test]
    fn states_are_read_with_device_axes_and_time() {
        let rows = nvbench(SAMPLE).unwrap();
        let devices: Vec<&str> = rows.iter().map(|row| row.device.as_str()).collect();
        assert_eq!(devices, ["Quadro GV100", "Quadro GP100", "Quadro GV100"]);
        assert_eq!((rows[0].values.as_slice(), rows[0].unit.as_str()), (&[0.0010034006580799991][..], "s"));
        assert_eq!(rows[2].name, "single_float64_axis: Device=0 Duration=0");
        assert_eq!((rows[2].settings["Duration"].as_str(), rows[2].values[0]), ("0", 3.918024581663389e-06));
    }

    #[test]
    fn what_was_skipped_keeps_its_reason() {
        let skipped = SAMPLE.replacen(
            "\"is_skipped\": false",
            "\"is_skipped\": true, \"skip_reason\": \"too little memory\"",
            1,
        );
        let without = skipped.replacen("nv/cold/time/gpu/mean", "other", 1);
        assert_eq!(nvbench(&without).unwrap()[0].skipped.as_deref(), Some("too little memory"));
    }

    #[test]
    fn a_benchmark_of_the_processor_has_no_device() {
        let text = r#"{"devices": [], "benchmarks": [{"name": "sort", "states": [{"name": "", "device": null,
            "summaries": [{"tag": "nv/cpu_only/time/cpu/mean", "data": [{"name": "value", "value": "0.25"}]}]}]}]}"#;
        let rows = nvbench(text).unwrap();
        assert_eq!((rows[0].device.as_str(), rows[0].values.as_slice()), ("", &[0.25][..]));
    }

    #[test]
    fn a_time_that_is_none_is_no_value() {
        let broken = SAMPLE.replace("\"0.0010034006580799991\"", "\"-nan\"");
        assert!(nvbench(&broken).unwrap()[0].skipped.as_ref().unwrap().contains(TIME));
        let older =
            r#"{"devices": [], "benchmarks": [{"name": "simple", "states": {"Device=0": {"device": 0}}}]}"#;
        for text in ["{}", older] {
            assert!(nvbench(text).unwrap_err().to_string().contains("nvbench 0.1.0 or later"), "{text}");
        }
    }
}
