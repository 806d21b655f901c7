//! From the text of a suite to its cases.

use super::read::{Item, Source, Table};
use super::sweep::{MAX_POINTS, Row, Sweep, Term};
use super::{
    Case, Effort, Filter, Load, SCHEMA, Scope, Suite, SuiteError, Sync, Temperature, Threads, grammar,
};
use crate::backends::{FAMILIES, Packing, family_of};
use crate::nearest;
use crate::units::Bytes;
use crate::workloads::{Axis, Default, Param, WORKLOADS, Workload};
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

const SCOPES: [(&str, Scope); 3] =
    [("device", Scope::Device), ("resident", Scope::Resident), ("end_to_end", Scope::EndToEnd)];
const SYNCS: [(&str, Sync); 2] = [("each", Sync::Each), ("batch", Sync::Batch)];
const TEMPERATURES: [(&str, Temperature); 2] = [("hot", Temperature::Hot), ("cold", Temperature::Cold)];
const LOADS: [(&str, Load); 2] = [("burst", Load::Burst), ("sustained", Load::Sustained)];
const PACKINGS: [(&str, Packing); 2] = [("plain", Packing::Plain), ("packed", Packing::Packed)];
const EFFORTS: [(&str, Effort); 2] = [("full", Effort::Full), ("quick", Effort::Quick)];

const SUITE_KEYS: [&str; 6] = ["schema", "name", "about", "budget", "effort", "case"];
const CASE_KEYS: [&str; 18] = [
    "name",
    "workload",
    "why",
    "priority",
    "sweep",
    "points",
    "where",
    "backends",
    "threads",
    "packing",
    "scopes",
    "sync",
    "temperature",
    "load",
    "twin",
    "memory",
    "limit",
    "max_memory",
];

/// Reads a suite. `file` is its name in messages. Every key, workload, parameter and backend must be
/// known, and no case may have more than [`MAX_POINTS`] points; nothing is expanded yet.
pub fn parse(text: &str, file: &str) -> Result<Suite, SuiteError> {
    let source = Source { file, text };
    let document = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        source.error(start, format!("not TOML: {}", error.message().trim().replace('\n', "; ")))
    })?;
    let table = Table { source: &source, entries: document.get_ref(), start: 0, what: "the suite" };
    suite(&table)
}

fn suite(table: &Table) -> Result<Suite, SuiteError> {
    table.only(&SUITE_KEYS)?;
    let schema = table.need("schema", "`schema = 1`")?;
    if schema.int()? != SCHEMA {
        let message =
            format!("this program reads schema {SCHEMA}: install a newer cutgpu, or write {SCHEMA}");
        return Err(schema.error(message));
    }
    let list = table.need("case", "one [[case]] or more")?;
    let cases = list.some()?.iter().map(|item| case(&item.table("[[case]]")?)).collect::<Result<_, _>>()?;
    unique(&list)?;
    Ok(Suite {
        name: name(&table.need("name", "a short name")?)?,
        about: table.need("about", "one sentence about the suite")?.sentence()?,
        file: table.source.file.to_string(),
        budget: optional(table, "budget", |item| quantity(item, grammar::duration))?,
        effort: optional(table, "effort", |item| item.one_of(&EFFORTS))?.unwrap_or_default(),
        cases,
    })
}

/// Refuses two cases of one name.
fn unique(list: &Item) -> Result<(), SuiteError> {
    let mut seen = Vec::new();
    for item in list.list() {
        let Some(name) = item.table("[[case]]")?.get("name") else { continue };
        if seen.contains(&name.text()?) {
            return Err(name.error(format!("two cases are called `{}`", name.text()?)));
        }
        seen.push(name.text()?);
    }
    Ok(())
}

fn case(table: &Table) -> Result<Case, SuiteError> {
    table.only(&CASE_KEYS)?;
    let workload = workload(&table.need("workload", "the name of a workload")?)?;
    let why = table.need("why", "the reason for this case and the source of its shapes")?;
    Ok(Case {
        name: name(&table.need("name", "a short name")?)?,
        workload: workload.name.to_string(),
        why: why.sentence()?,
        line: table.source.line(table.start),
        priority: optional(table, "priority", |item| item.int())?.unwrap_or(0),
        sweep: sweep(table, workload)?,
        backends: optional(table, "backends", backends)?,
        threads: several(table, "threads", threads, Threads::All)?,
        packing: several(table, "packing", |item| item.one_of(&PACKINGS), Packing::Plain)?,
        scopes: optional(table, "scopes", |item| all(item, |item| item.one_of(&SCOPES)))?
            .unwrap_or_else(|| vec![Scope::Resident, Scope::EndToEnd]),
        syncs: several(table, "sync", |item| item.one_of(&SYNCS), Sync::Batch)?,
        temperatures: several(table, "temperature", |item| item.one_of(&TEMPERATURES), Temperature::Hot)?,
        loads: several(table, "load", |item| item.one_of(&LOADS), Load::Burst)?,
        twin: optional(table, "twin", |item| item.bool())?.unwrap_or(false),
        memory: optional(table, "memory", |item| item.bool())?.unwrap_or(false),
        limit: optional(table, "limit", |item| quantity(item, grammar::duration))?,
        max_memory: optional(table, "max_memory", |item| quantity(item, grammar::bytes))?.map(Bytes),
    })
}

fn optional<T>(
    table: &Table,
    key: &str,
    read: impl Fn(&Item) -> Result<T, SuiteError>,
) -> Result<Option<T>, SuiteError> {
    table.get(key).map(|item| read(&item)).transpose()
}

fn all<T: PartialEq>(
    item: &Item,
    read: impl Fn(&Item) -> Result<T, SuiteError>,
) -> Result<Vec<T>, SuiteError> {
    let mut values = Vec::new();
    for item in item.some()? {
        let value = read(&item)?;
        if values.contains(&value) {
            return Err(item.error("is listed twice"));
        }
        values.push(value);
    }
    Ok(values)
}

fn several<T: PartialEq>(
    table: &Table,
    key: &str,
    read: impl Fn(&Item) -> Result<T, SuiteError>,
    default: T,
) -> Result<Vec<T>, SuiteError> {
    Ok(optional(table, key, |item| all(item, &read))?.unwrap_or_else(|| vec![default]))
}

fn quantity<T>(item: &Item, read: impl Fn(&str) -> Result<T, String>) -> Result<T, SuiteError> {
    read(item.text()?).map_err(|message| item.error(message))
}

/// Names stand in ids and paths of files, so they hold small letters, digits and `-_.` only.
fn name(item: &Item) -> Result<String, SuiteError> {
    let text = item.text()?;
    let fine =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_.".contains(letter);
    let starts_well = text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    if starts_well && text.len() <= 40 && text.chars().all(fine) {
        return Ok(text.to_string());
    }
    Err(item
        .error("a name has 1 to 40 small letters, digits, `-`, `_` or `.`, the first a letter or a digit"))
}

fn workload(item: &Item) -> Result<&'static Workload, SuiteError> {
    let text = item.text()?;
    WORKLOADS.iter().find(|workload| workload.name == text).ok_or_else(|| {
        let hint = nearest::hint(text, WORKLOADS.iter().map(|workload| workload.name));
        item.error(format!("no workload is called `{text}`{hint} (`cutgpu list --workloads` shows them all)"))
    })
}

fn backends(item: &Item) -> Result<Vec<String>, SuiteError> {
    all(item, |item| {
        let text = item.text()?;
        check_backend(text).map_err(|message| item.error(message)).map(|()| text.to_string())
    })
}

/// Whether a name or a pattern can mean a backend of this build.
pub(crate) fn check_backend(text: &str) -> Result<(), String> {
    let known = match text.strip_suffix('*') {
        Some(start) => FAMILIES
            .iter()
            .any(|family| family.id().starts_with(start) || start.starts_with(&format!("{}/", family.id()))),
        None => family_of(text).is_some(),
    };
    if known {
        return Ok(());
    }
    let hint = nearest::hint(text, FAMILIES.iter().map(|family| family.id()));
    let names: Vec<_> = FAMILIES.iter().map(|family| family.id()).collect();
    Err(format!("no backend is called `{text}`{hint} (this build has {})", names.join(", ")))
}

fn threads(item: &Item) -> Result<Threads, SuiteError> {
    let count = match item.value.get_ref() {
        DeValue::String(text) if text == "all" => return Ok(Threads::All),
        DeValue::String(text) => text.parse::<usize>().ok(),
        _ => usize::try_from(item.int()?).ok(),
    };
    match count {
        Some(count @ 1..=4096) => Ok(Threads::Count(count)),
        _ => Err(item.error("a number of threads from 1 to 4096, or \"all\", is wanted")),
    }
}

fn sweep(table: &Table, workload: &Workload) -> Result<Sweep, SuiteError> {
    let axes = match table.get("sweep") {
        Some(item) => sweep_axes(&item.table("`sweep`")?, workload)?,
        None => Vec::new(),
    };
    let rows = match table.get("points") {
        Some(item) => rows(&item, workload)?,
        None => vec![Row { label: None, terms: BTreeMap::new() }],
    };
    let filters = optional(table, "where", |item| all(item, |item| filter(item, workload)))?;
    let sweep = Sweep { axes, rows, filters: filters.unwrap_or_default() };
    check(&sweep, table, workload)?;
    Ok(sweep)
}

fn sweep_axes(table: &Table, workload: &Workload) -> Result<Vec<(String, Vec<Term>)>, SuiteError> {
    let mut axes = Vec::new();
    for item in table.items() {
        let axis = axis(&item, workload)?;
        let mut values = Vec::new();
        for item in item.some()? {
            values.extend(terms(&item, axis)?);
        }
        axes.push((axis.name.to_string(), values));
    }
    axes.sort_by_key(|(name, _)| workload.axes.iter().position(|axis| axis.name == name));
    Ok(axes)
}

fn axis(item: &Item, workload: &Workload) -> Result<&'static Axis, SuiteError> {
    workload.axes.iter().find(|axis| axis.name == item.key).ok_or_else(|| {
        let names: Vec<_> = workload.axes.iter().map(|axis| axis.name).collect();
        let hint = nearest::hint(item.key, names.iter().copied());
        item.error(format!("`{}` has no such parameter{hint} (it has {})", workload.name, names.join(", ")))
    })
}

/// What one entry of a sweep stands for at `axis`.
fn terms(item: &Item, axis: &Axis) -> Result<Vec<Term>, SuiteError> {
    let terms = match item.value.get_ref() {
        DeValue::String(text) => {
            let is_name = matches!(axis.default, Some(Default::OneOf(_)));
            grammar::terms(text, is_name).map_err(|message| item.error(message))?
        }
        _ => {
            let value = item.int()?;
            let value = u64::try_from(value).map_err(|_| item.error(format!("{value} is negative")))?;
            grammar::check_extent(value).map_err(|message| item.error(message))?;
            vec![Term::Value(Param::Int(value))]
        }
    };
    let checked = |term| match term {
        Term::Value(value) => {
            let at = item.span().start;
            axis.check(value).map(Term::Value).map_err(|error| item.source.error(at, error.to_string()))
        }
        open => Ok(open),
    };
    terms.into_iter().map(checked).collect()
}

fn rows(item: &Item, workload: &Workload) -> Result<Vec<Row>, SuiteError> {
    item.some()?.iter().map(|item| row(&item.table("`points`")?, workload)).collect()
}

fn row(table: &Table, workload: &Workload) -> Result<Row, SuiteError> {
    let mut row = Row { label: None, terms: BTreeMap::new() };
    for item in table.items() {
        if item.key == "label" {
            row.label = Some(item.sentence()?);
            continue;
        }
        let axis = axis(&item, workload)?;
        match terms(&item, axis)?.as_slice() {
            [term] => drop(row.terms.insert(axis.name.to_string(), term.clone())),
            several => return Err(item.error(format!("one value is wanted here, not {}", several.len()))),
        }
    }
    Ok(row)
}

fn filter(item: &Item, workload: &Workload) -> Result<Filter, SuiteError> {
    let filter = Filter::parse(item.text()?).map_err(|message| item.error(message))?;
    let numbers = || workload.axes.iter().filter(|axis| !matches!(axis.default, Some(Default::OneOf(_))));
    for name in filter.axes() {
        if !numbers().any(|axis| axis.name == name) {
            let hint = nearest::hint(name, numbers().map(|axis| axis.name));
            let message = format!("`{}` has no number called `{name}`{hint}", workload.name);
            return Err(item.error(message));
        }
    }
    Ok(filter)
}

/// Refuses a sweep that is too large, lacks a parameter, sets one twice, or is tied in a knot.
fn check(sweep: &Sweep, table: &Table, workload: &Workload) -> Result<(), SuiteError> {
    let start = table.get("sweep").or(table.get("points")).map_or(table.start, |item| item.span().start);
    let wrong = |message: String| Err(table.source.error(start, message));
    let count = sweep.count();
    if count > MAX_POINTS {
        let sizes: Vec<_> =
            sweep.axes.iter().map(|(axis, terms)| format!("{axis} {}", terms.len())).collect();
        return wrong(format!(
            "the sweep has {count} points ({} x {} rows), and at most {MAX_POINTS} are allowed: use longer \
             steps, such as 64..4096*2",
            sizes.join(" x "),
            sweep.rows.len()
        ));
    }
    for row in &sweep.rows {
        check_row(sweep, row, workload).or_else(wrong)?;
    }
    Ok(())
}

fn check_row(sweep: &Sweep, row: &Row, workload: &Workload) -> Result<(), String> {
    let swept =
        |name: &str| sweep.axes.iter().find(|(axis, _)| axis == name).map(|(_, terms)| terms.as_slice());
    let fixed = |name: &str| row.terms.get(name).map(std::slice::from_ref);
    let of = |name: &str| fixed(name).or(swept(name));
    let mut footprints = 0;
    for axis in workload.axes {
        if fixed(axis.name).is_some() && swept(axis.name).is_some() {
            return Err(format!("`{}` is set both in `sweep` and in `points`", axis.name));
        }
        let Some(terms) = of(axis.name) else {
            if axis.default.is_some() {
                continue;
            }
            return Err(format!("`{}` needs the parameter `{}` ({})", workload.name, axis.name, axis.about));
        };
        footprints += usize::from(terms.iter().any(|term| matches!(term, Term::Footprint(_))));
        for term in terms {
            let Term::Tie { axis: other, .. } = term else { continue };
            check_tie(axis.name, other, of(other))?;
        }
    }
    if footprints > 1 { Err("only one parameter may be a size of memory".to_string()) } else { Ok(()) }
}

fn check_tie(axis: &str, other: &str, target: Option<&[Term]>) -> Result<(), String> {
    let Some(terms) = target else {
        return Err(format!("`{axis}` is tied to `{other}`, which has no value here"));
    };
    let is_number = |term: &Term| matches!(term, Term::Value(Param::Int(_)) | Term::Footprint(_));
    if terms.iter().all(is_number) {
        return Ok(());
    }
    Err(format!("`{axis}` is tied to `{other}`, which is no number of its own"))
}
