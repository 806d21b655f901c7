//! The published JSON Schema against the types: what is written conforms to it, and every field of either
//! is in the other.

use super::*;
use crate::program::Phase;
use serde_json::Value;
use std::collections::BTreeSet;

const PUBLISHED: &str = include_str!("../../docs/record.schema.json");

fn published() -> Value {
    serde_json::from_str(PUBLISHED).unwrap()
}

/// Checks values against the subset of JSON Schema 2020-12 that the published schema uses. Stricter in one
/// way: a property that the schema does not name is an error.
struct Checker {
    root: Value,
    /// Places in the schema whose properties some value had.
    used: BTreeSet<String>,
}

impl Checker {
    fn new() -> Self {
        Self { root: published(), used: BTreeSet::new() }
    }

    /// What is wrong with `value` at `at` of the schema, named by its path from the root.
    fn check(&mut self, schema: &Value, at: &str, value: &Value) -> Result<(), String> {
        for (keyword, rule) in schema.as_object().ok_or(format!("{at} is no schema"))? {
            self.keyword(keyword, rule, schema, at, value).map_err(|why| format!("{at}: {why}"))?;
        }
        Ok(())
    }

    fn keyword(
        &mut self,
        keyword: &str,
        rule: &Value,
        schema: &Value,
        at: &str,
        value: &Value,
    ) -> Result<(), String> {
        let claim =
            |holds: bool| if holds { Ok(()) } else { Err(format!("{value} breaks {keyword} {rule}")) };
        match keyword {
            "$schema" | "$defs" | "title" | "description" | "propertyNames" => Ok(()),
            "$ref" => {
                let path = rule.as_str().unwrap();
                let target = self.root.pointer(&path[1..]).ok_or(format!("{path} is nowhere"))?.clone();
                self.check(&target, path, value)
            }
            "type" => claim(match rule {
                Value::Array(kinds) => kinds.iter().any(|kind| is_of(value, kind)),
                kind => is_of(value, kind),
            }),
            "enum" => claim(rule.as_array().unwrap().contains(value)),
            "const" => claim(rule == value),
            "minimum" => claim(value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap())),
            "minItems" => {
                claim(value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()))
            }
            "maxItems" => {
                claim(value.as_array().is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap()))
            }
            "pattern" => claim(matches(rule.as_str().unwrap(), value.as_str().unwrap_or_default())),
            "required" => {
                let names = rule.as_array().unwrap();
                claim(
                    value
                        .as_object()
                        .is_none_or(|o| names.iter().all(|n| o.contains_key(n.as_str().unwrap()))),
                )
            }
            "items" => {
                let items = value.as_array().into_iter().flatten();
                items.into_iter().try_for_each(|item| self.check(rule, &format!("{at}/items"), item))
            }
            "anyOf" | "oneOf" => {
                let branches = rule.as_array().unwrap().iter().enumerate();
                let fits: Vec<_> = branches
                    .map(|(number, branch)| self.check(branch, &format!("{at}/{keyword}/{number}"), value))
                    .collect();
                let count = fits.iter().filter(|fit| fit.is_ok()).count();
                let enough = if keyword == "oneOf" { count == 1 } else { count >= 1 };
                if enough { Ok(()) } else { Err(format!("{count} branches fit: {fits:?}")) }
            }
            "properties" | "additionalProperties" => self.properties(schema, at, value),
            other => Err(format!("the checker does not know {other}")),
        }
    }

    fn properties(&mut self, schema: &Value, at: &str, value: &Value) -> Result<(), String> {
        let Some(fields) = value.as_object() else { return Ok(()) };
        for (name, field) in fields {
            if let Some(rule) = schema["properties"].get(name) {
                let inner = format!("{at}/properties/{name}");
                self.used.insert(inner.clone());
                self.check(rule, &inner, field)?;
            } else if let Some(rule) = schema.get("additionalProperties") {
                self.check(rule, &format!("{at}/additionalProperties"), field)?;
            } else {
                return Err(format!("{name} is not described"));
            }
        }
        Ok(())
    }
}

fn is_of(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        _ => false,
    }
}

/// The two patterns that the schema uses.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        r"^1\.[0-9]+$" => text.strip_prefix("1.").is_some_and(|minor| minor.parse::<u64>().is_ok()),
        r"^[0-9a-f]{16}$" => {
            text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        }
        _ => false,
    }
}

/// Every place in a schema that describes a property.
fn described(at: &str, schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let here = format!("{at}/{name}");
                if at.ends_with("/properties") {
                    found.insert(here.clone());
                }
                described(&here, inner, found);
            }
        }
        Value::Array(items) => {
            for (number, inner) in items.iter().enumerate() {
                described(&format!("{at}/{number}"), inner, found);
            }
        }
        _ => {}
    }
}

/// Records that together have every optional part.
fn everything() -> Vec<Record> {
    let mut records = example::every_outcome();
    let full = &mut records[0];
    full.contender.twin = true;
    full.work.spared = 1;
    full.conditions = Conditions {
        quota: Some(1.5),
        foreign: Reading::Value(0),
        throttled: Reading::Value(1),
        power_capped: Reading::Value(false),
        ..full.conditions.clone()
    };
    full.phases = Reading::Value(PhaseTimes { whole_ns: 3.0, ns: [(Phase::Forward, 1.0)].into() });
    full.energy_j = Reading::Value(0.5);
    if let Reading::Value(memory) = &mut full.memory {
        memory.driver = Some(4 << 20);
    }
    full.series[0].latency_ns = Some([1.0, 2.0, 3.0]);
    if let Some(identity) = &mut full.identity {
        identity.notes.insert("core".to_string(), "Zen".to_string());
    }
    records
}

#[test]
fn what_is_written_conforms_and_uses_all_that_is_described() {
    let mut checker = Checker::new();
    let root = checker.root.clone();
    for record in everything() {
        let value = serde_json::to_value(&record).unwrap();
        checker.check(&root, "#", &value).unwrap_or_else(|why| panic!("{:?}: {why}", record.outcome));
    }
    let mut all = BTreeSet::new();
    described("#", &root, &mut all);
    let unused: Vec<_> = all.difference(&checker.used).collect();
    assert_eq!(unused, Vec::<&String>::new(), "described and never written");
}

#[test]
fn what_a_reader_may_leave_out_is_what_the_types_can_do_without() {
    let record = serde_json::to_value(&everything()[0]).unwrap();
    let required = published()["required"].clone();
    for name in record.as_object().unwrap().keys() {
        let mut without = record.clone();
        without.as_object_mut().unwrap().remove(name);
        let reads = serde_json::from_value::<Record>(without).is_ok();
        let is_required = required.as_array().unwrap().iter().any(|field| field == name.as_str());
        // Serde takes an absent field of an optional type for null.
        let optional = record[name].is_null() || reads;
        assert!(optional != is_required || nullable(name), "{name}: required {is_required}, reads {reads}");
    }
}

fn nullable(name: &str) -> bool {
    ["identity", "verification", "host_memory", "clock_precision_ns"].contains(&name)
}

#[test]
fn a_wrong_type_a_missing_and_an_unknown_field_are_caught() {
    let good = serde_json::to_value(&everything()[0]).unwrap();
    let mut checker = Checker::new();
    let root = checker.root.clone();
    let changes: [fn(&mut Value); 6] = [
        |record| record["repeat"] = serde_json::json!(-1),
        |record| record["key"] = serde_json::json!("0123"),
        |record| record["schema"] = serde_json::json!("2.0"),
        |record| record["outcome"] = serde_json::json!({"skipped": {}}),
        |record| record["series"][0]["scope"] = serde_json::json!("everything"),
        |record| record["surprise"] = serde_json::json!(1),
    ];
    for change in changes {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(checker.check(&root, "#", &bad).is_err(), "{bad}");
    }
}
