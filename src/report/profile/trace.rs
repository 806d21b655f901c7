//! A trace in the Trace Event Format ("complete" events), which Perfetto, chrome://tracing and
//! speedscope open.

use super::word;
use crate::compare::profile::Spent;
use serde_json::{Value, json};

/// Microseconds.
fn us(ns: f64) -> f64 {
    ns / 1e3
}

/// The steps one after another, each as long as it takes in the median of its executions: no execution was exactly
/// so, and `about` must say it. A slice for the workload, within it one for each run
/// of steps of a phase, within these the steps. `about` also tells where it was measured.
pub fn trace(workload: &str, steps: &[Spent], about: &Value) -> Value {
    let total = steps.iter().map(|step| step.ns).sum::<f64>();
    let slice = |name: &str, category: &str, begin: f64, ns: f64, args: Value| {
        json!({
            "name": name, "cat": category, "ph": "X", "ts": us(begin), "dur": us(ns),
            "pid": 1, "tid": 1, "args": args,
        })
    };
    let name = |what: &str, name: &str| json!({ "name": what, "ph": "M", "pid": 1, "tid": 1, "args": { "name": name } });
    let mut events = vec![
        name("process_name", "cutgpu profile"),
        name("thread_name", workload),
        slice(workload, "program", 0.0, total, json!({})),
    ];
    let mut begin = 0.0;
    for run in steps.chunk_by(|a, b| a.phase == b.phase) {
        let ns = run.iter().map(|step| step.ns).sum::<f64>();
        events.push(slice(word(run[0].phase), "phase", begin, ns, json!({ "steps": run.len() })));
        for step in run {
            let args = json!({
                "makes": step.what, "flops": step.work.flops, "bytes": step.work.bytes(),
                "share_of_roof": step.share(), "limit": step.limit,
            });
            events.push(slice(&step.op, word(step.phase), begin, step.ns, args));
            begin += step.ns;
        }
    }
    json!({ "traceEvents": events, "displayTimeUnit": "ms", "otherData": about })
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn slices_nest_and_follow_one_another() {
        let trace = trace("mlp", &example(), &json!({ "backend": "cpu/native" }));
        let events = trace["traceEvents"].as_array().unwrap();
        let slices: Vec<_> = events.iter().filter(|event| event["ph"] == "X").collect();
        let at = |event: &Value, key: &str| event[key].as_f64().unwrap();
        let names: Vec<_> = slices.iter().map(|slice| slice["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["mlp", "forward", "gemm", "add", "backward", "add"]);
        assert_eq!(at(slices[0], "dur"), 6.035);
        for slice in &slices {
            for key in ["name", "cat", "ph", "ts", "dur", "pid", "tid", "args"] {
                assert!(!slice[key].is_null(), "{key} of {slice}");
            }
            assert!(at(slice, "ts") + at(slice, "dur") <= at(slices[0], "dur") + 1e-9);
        }
        assert_eq!(at(slices[3], "ts"), at(slices[2], "ts") + at(slices[2], "dur"));
        assert_eq!(at(slices[4], "ts"), at(slices[1], "dur"));
    }
}
