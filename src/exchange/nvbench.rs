//! NVIDIA's nvbench: `--json FILE`.

use super::{ExchangeError, Foreign, json, sound};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The summary that holds a kernel's time: the mean of isolated executions by the GPU's clock, in seconds.
const TIME: &str = "nv/cold/time/gpu/mean";

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
    device: i64,
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
    let file: File = json(text, "nvbench", "make one with `--json FILE`")?;
    let name = |id: i64| file.devices.iter().find(|device| device.id == id).map(|device| device.name.clone());
    let of_benchmark = |benchmark: &Benchmark| -> Vec<Foreign> {
        benchmark.states.iter().map(|state| foreign(&benchmark.name, state, name(state.device))).collect()
    };
    Ok(file.benchmarks.iter().flat_map(of_benchmark).collect())
}

fn foreign(benchmark: &str, state: &State, device: Option<String>) -> Foreign {
    let time = state.summaries.iter().flatten().find(|summary| summary.tag == TIME);
    let value = time.and_then(|summary| summary.data.iter().flatten().find(|field| field.name == "value"));
    let values = sound(value.and_then(|field| number(&field.value)));
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
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].values.as_slice(), rows[0].unit.as_str()), (&[0.000125][..], "s"));
        assert!(rows[0].device.contains("Graphics") && rows[0].settings["Elements"] == "1048576");
        assert_eq!(rows[1].skipped.as_deref(), Some("too little memory"));
    }

    #[test]
    fn a_time_that_is_none_is_no_value() {
        let broken = SAMPLE.replace("\"0.000125\"", "\"-nan\"");
        assert!(nvbench(&broken).unwrap()[0].skipped.as_ref().unwrap().contains(TIME));
        assert!(nvbench("{}").unwrap_err().to_string().contains("--json"));
    }
}
