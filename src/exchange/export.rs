//! A run for continuous benchmarking: Bencher's metric format, and github-action-benchmark's.

use crate::compare::{Noise, Word, estimate_with, validity};
use crate::record::{Outcome, Record, Series};
use serde_json::{Map, Value, json};

/// Every timed series that a conclusion may rest on, with a name of its own.
fn timed(records: &[Record]) -> Vec<(String, &Record, &Series, crate::compare::Estimate)> {
    let noise = Noise::of(records);
    let measured =
        records.iter().filter(|record| record.outcome == Outcome::Measured && !record.contender.twin);
    let series = measured.flat_map(|record| record.series.iter().map(move |series| (record, series)));
    let sound =
        series.filter(|(record, series)| validity(record, Some(series), &noise).word != Word::Invalid);
    sound
        .filter_map(|(record, series)| {
            let estimate = estimate_with(series, &noise.times)?;
            Some((name(record, series), record, series, estimate))
        })
        .collect()
}

/// Group, contender and clock; the repetition where there are several.
fn name(record: &Record, series: &Series) -> String {
    let kind = serde_json::to_value(series.kind).unwrap_or_default();
    let words: Vec<&str> =
        ["scope", "sync", "load", "temperature"].iter().filter_map(|part| kind[part].as_str()).collect();
    let again = if record.repeat > 0 { format!(" repeat {}", record.repeat) } else { String::new() };
    format!("{} {} {}{again}", record.group, record.contender, words.join(" "))
}

/// Bencher's metric format: nanoseconds as `latency`, executions a second as `throughput`, each with the ends
/// of its interval where it has any.
pub fn bencher(records: &[Record]) -> Value {
    let measure = |low: f64, centre: f64, high: f64| {
        let mut measure = Map::from_iter([("value".to_string(), json!(centre))]);
        if low > 0.0 && high.is_finite() {
            measure.insert("lower_value".to_string(), json!(low));
            measure.insert("upper_value".to_string(), json!(high));
        }
        Value::Object(measure)
    };
    let entry = |(name, _, _, estimate): (String, &Record, &Series, crate::compare::Estimate)| {
        let (ns, rate) = (estimate.ns, estimate.ns.inverse().times(1e9));
        let latency = measure(ns.low, ns.centre, ns.high);
        let throughput = measure(rate.low, rate.centre, rate.high);
        (name, json!({ "latency": latency, "throughput": throughput }))
    };
    Value::Object(timed(records).into_iter().map(entry).collect())
}

/// What github-action-benchmark reads as `customSmallerIsBetter`: nanoseconds, half the interval as range.
pub fn github_action(records: &[Record]) -> Value {
    let entry = |(name, record, _, estimate): (String, &Record, &Series, crate::compare::Estimate)| {
        let ns = estimate.ns;
        let half = (ns.high - ns.low) / 2.0;
        let range = if half.is_finite() { format!("± {half:.3}") } else { "unknown".to_string() };
        let extra =
            format!("{} starts, {} samples, build {}", estimate.starts, estimate.samples, record.build);
        json!({ "name": name, "unit": "ns", "value": ns.centre, "range": range, "extra": extra })
    };
    Value::Array(timed(records).into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::example;

    #[test]
    fn both_formats_hold_each_sound_series_once_with_its_interval() {
        let mut debug = example::measured();
        debug.conditions.debug_build = true;
        let mut again = example::measured();
        again.repeat = 1;
        let records = [example::every_outcome(), vec![debug, again]].concat();
        let bmf = bencher(&records);
        let names: Vec<&String> = bmf.as_object().unwrap().keys().collect();
        assert_eq!(names.len(), 2, "{names:?}");
        let first = &bmf[names[0]];
        let latency = &first["latency"];
        let number = |value: &Value| value.as_f64().unwrap();
        assert!((number(&latency["value"]) / 1e6 - 1.0).abs() < 0.01);
        assert!(number(&latency["lower_value"]) <= number(&latency["value"]));
        assert!((number(&first["throughput"]["value"]) / 1000.0 - 1.0).abs() < 0.01);
        let rows = github_action(&records);
        assert_eq!(rows.as_array().unwrap().len(), 2);
        assert_eq!(
            (rows[0]["unit"].as_str(), rows[0]["value"].as_f64()),
            (Some("ns"), latency["value"].as_f64())
        );
        assert!(rows[0]["range"].as_str().unwrap().starts_with("± "));
    }

    #[test]
    fn a_single_start_has_no_ends() {
        let mut record = example::measured();
        record.series[0].start.fill(0);
        let bmf = bencher(&[record.clone()]);
        let latency = bmf.as_object().unwrap().values().next().unwrap()["latency"].clone();
        assert!(latency.get("lower_value").is_none() && latency["value"].is_number());
        assert_eq!(github_action(&[record])[0]["range"], "unknown");
    }
}
