//! How two runs' surroundings differ: what a reader must know before a ratio.

use crate::record::Run;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A fact that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which: `host.cpu.model`, `build`, `cpu/openblas version`.
    pub what: String,
    /// In the first run; `-` where it is absent.
    pub first: String,
    /// In the second run.
    pub second: String,
}

/// Facts of a moment, which differ between any two runs.
const MOMENTARY: [&str; 2] = ["now", "clock_precision_ns"];

/// What differs: the machine's lasting facts, the build, and what the backends said about themselves.
pub fn differences(a: &Run, b: &Run) -> Vec<Difference> {
    let (first, second) = (facts(a), facts(b));
    let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let shown = |facts: &BTreeMap<String, BTreeSet<String>>, name: &String| match facts.get(name) {
        Some(values) => values.iter().map(String::as_str).collect::<Vec<_>>().join(" | "),
        None => "-".to_string(),
    };
    names
        .into_iter()
        .filter(|name| first.get(*name) != second.get(*name))
        .map(|name| Difference {
            what: name.clone(),
            first: shown(&first, name),
            second: shown(&second, name),
        })
        .collect()
}

/// Facts by name; several values where the records of a run disagree.
fn facts(run: &Run) -> BTreeMap<String, BTreeSet<String>> {
    let mut facts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |name: String, value: &str| {
        facts.entry(name).or_default().insert(value.to_string());
    };
    if let Some(host) = &run.host {
        flatten("host", host, &mut add);
    }
    for record in &run.records {
        add("build".to_string(), &record.build);
        if run.host.is_none() {
            add("host".to_string(), &record.host);
        }
        let Some(identity) = &record.identity else { continue };
        let contender = &record.contender;
        let noted = identity.notes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let fields = [
            ("name", identity.name.as_str()),
            ("version", &identity.version),
            ("origin", &identity.origin),
            ("hash", &identity.hash),
        ];
        for (name, value) in fields.into_iter().chain(noted) {
            add(format!("{}:{} {name}", contender.backend, contender.lane), value);
        }
    }
    facts
}

/// Names the leaves of a JSON value by their paths.
fn flatten(path: &str, value: &Value, add: &mut impl FnMut(String, &str)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !MOMENTARY.contains(&name.as_str())) {
                // How a fact was wrapped is no part of its name.
                let inner = if name == "value" { path.to_string() } else { format!("{path}.{name}") };
                flatten(&inner, value, add);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object()) => {
            for (number, item) in items.iter().enumerate() {
                flatten(&format!("{path}.{number}"), item, add);
            }
        }
        Value::String(text) => add(path.to_string(), text),
        other => add(path.to_string(), &other.to_string()),
    }
}

/// Whether both runs come from one kind of processor under one kind of machine, so that a probe's change
/// tells how much of it there was, and not which.
pub(super) fn same_processor(a: &Run, b: &Run) -> bool {
    let hosts: BTreeSet<&str> =
        a.records.iter().chain(&b.records).map(|record| record.host.as_str()).collect();
    if hosts.len() <= 1 {
        return true;
    }
    let processor = |run: &Run| {
        let facts = run.host.as_ref()?.get("facts")?;
        let cpu = facts.get("cpu")?;
        let of = ["vendor", "model", "signature", "logical"].map(|name| cpu.get(name).cloned());
        Some((of, facts.get("hypervisor").cloned()))
    };
    processor(a).is_some() && processor(a) == processor(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Record, example};
    use serde_json::json;

    fn run(host: Option<Value>, change: impl Fn(&mut Record)) -> Run {
        let mut record = example::measured();
        change(&mut record);
        Run { records: vec![record], host, ..Run::default() }
    }

    fn host(kernel: &str, load: f64) -> Option<Value> {
        let facts = json!({
            "cpu": {"model": {"value": "X"}, "flags": ["avx2", "fma"], "logical": 2},
            "caches": [{"level": 1, "bytes": 49152}],
            "system": {"kernel": {"value": kernel}},
            "now": {"load": load},
        });
        Some(json!({ "facts": facts }))
    }

    fn names(a: &Run, b: &Run) -> Vec<String> {
        differences(a, b).into_iter().map(|d| format!("{} {} {}", d.what, d.first, d.second)).collect()
    }

    #[test]
    fn only_lasting_facts_that_differ_are_named() {
        let a = run(host("6.1", 0.1), |_| {});
        assert_eq!(names(&a, &a), Vec::<String>::new());
        let b = run(host("6.2", 0.9), |record| {
            record.build = "b2".into();
            let notes = &mut record.identity.as_mut().unwrap().notes;
            notes.insert("core".into(), "Zen".into());
        });
        assert_eq!(
            names(&a, &b),
            ["build 44556677 b2", "cpu/native:t2 core - Zen", "host.facts.system.kernel 6.1 6.2"]
        );
    }

    #[test]
    fn a_new_kernel_is_the_same_processor_and_another_model_is_not() {
        let a = run(host("6.1", 0.1), |_| {});
        let later = run(host("6.2", 0.1), |record| record.host = "other".into());
        assert!(same_processor(&a, &later));
        let mut other = later.clone();
        other.host.as_mut().unwrap()["facts"]["cpu"]["model"] = json!({"value": "Y"});
        assert!(!same_processor(&a, &other));
        assert!(!same_processor(&a, &Run { host: None, ..later }));
    }
}
