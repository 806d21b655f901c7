//! PyTorch's benchmark database: a list of records, one metric each, or one record a line.

use super::{ExchangeError, Foreign, json, sound};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

const ADVICE: &str = "its records have `benchmark`, `model` and `metric` with `benchmark_values`";

#[derive(Deserialize)]
struct Record {
    benchmark: Benchmark,
    model: Model,
    metric: Metric,
}

#[derive(Deserialize)]
struct Benchmark {
    name: String,
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    dtype: Option<String>,
    #[serde(default)]
    extra_info: Value,
}

#[derive(Deserialize)]
struct Model {
    name: String,
    #[serde(default)]
    backend: Option<String>,
}

#[derive(Deserialize)]
struct Metric {
    name: String,
    #[serde(default)]
    unit: Option<String>,
    /// Numbers; some writers put texts such as `inf` where there is none.
    benchmark_values: Vec<Value>,
}

/// Every metric with its values.
pub fn pytorch(text: &str) -> Result<Vec<Foreign>, ExchangeError> {
    let tool = "PyTorch's benchmarks";
    let records: Vec<Record> = if text.trim_start().starts_with('[') {
        json(text, tool, ADVICE)?
    } else {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(|line| json(line, tool, ADVICE)).collect::<Result<_, _>>()?
    };
    Ok(records.into_iter().map(foreign).collect())
}

fn foreign(record: Record) -> Foreign {
    let Record { benchmark, model, metric } = record;
    let of = |key: &str| benchmark.extra_info[key].as_str().unwrap_or_default().to_string();
    let device = [of("arch"), of("device")].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let values = sound(metric.benchmark_values.iter().filter_map(Value::as_f64));
    Foreign {
        tool: "pytorch",
        name: format!("{} {}: {}", benchmark.name, model.name, metric.name),
        device,
        settings: BTreeMap::from([
            ("mode".to_string(), benchmark.mode.unwrap_or_default()),
            ("dtype".to_string(), benchmark.dtype.unwrap_or_default()),
            ("backend".to_string(), model.backend.unwrap_or_default()),
        ]),
        unit: metric.unit.unwrap_or_default(),
        skipped: values.is_empty().then(|| "no value above zero".to_string()),
        values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../tests/foreign/pytorch.json");

    #[test]
    fn each_metric_is_a_row_with_its_unit() {
        let rows = pytorch(SAMPLE).unwrap();
        assert_eq!(rows.len(), 6);
        assert_eq!((rows[0].unit.as_str(), rows[0].values.len(), rows[0].device.as_str()), ("us", 1, "cpu"));
        assert!(
            rows[0].name.ends_with("matmul_M1_N1_K1_trans_aTrue_trans_bFalse_cpu: latency"),
            "{}",
            rows[0].name
        );
        assert!(
            rows[1].skipped.is_some() && rows[1].values.is_empty(),
            "no memory is counted on a processor"
        );
    }

    #[test]
    fn what_a_writer_leaves_out_or_cannot_say_is_passed_over() {
        let text = r#"{"benchmark": {"name": "b", "mode": null, "extra_info": null}, "model": {"name": "m"},
            "metric": {"name": "latency", "benchmark_values": ["inf", null, 2.5], "unit": null}}"#;
        let rows = pytorch(&text.replace('\n', "")).unwrap();
        assert_eq!((rows[0].values.as_slice(), rows[0].unit.as_str()), (&[2.5][..], ""));
    }

    #[test]
    fn other_json_is_refused_with_what_was_expected() {
        let error = pytorch("[{\"benchmark\": {}}]").unwrap_err().to_string();
        assert!(error.contains("benchmark_values"), "{error}");
    }
}
