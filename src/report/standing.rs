//! Our own kernels beside the best peer: the tables of the page, of the terminal, and for spreadsheets.

use super::csv::{interval, line};
use super::model::Model;
use super::scene::Numbers;
use super::text;
use crate::compare::{OWN, Overall, Place, Standing};
use std::io::{self, Write};

const COLUMNS: [&str; 21] = [
    "machine",
    "group",
    "case",
    "point",
    "threads",
    "packing",
    "clock",
    "contender",
    "rate",
    "rate_low",
    "rate_high",
    "rate_unit",
    "share_of_probe",
    "share_low",
    "share_high",
    "role",
    "own_over_best_peer",
    "ratio_low",
    "ratio_high",
    "verdict",
    "best_of_all",
];

/// One row a contender of each standing: its rate, its share of the adjacent probe, and on the row of our own
/// the ratio to the best peer with the verdict. What repeats the row above is left empty.
pub fn contenders<'a>(standings: impl IntoIterator<Item = &'a Standing>) -> Numbers {
    let columns = ["point", "lane", "contender", "rate", "share of probe", "times the best peer", "verdict"];
    let rows = standings.into_iter().flat_map(rows_of).collect();
    Numbers { columns: columns.map(String::from).into(), rows }
}

fn rows_of(standing: &Standing) -> Vec<Vec<String>> {
    let mut head = [name(standing), text::lane(&standing.lane)];
    let row = |place: &Place| {
        let own = standing.against.as_ref().filter(|_| place.contender.backend == OWN);
        let ratio = own.map(|own| format!("{} of {}", text::interval_times(&own.ratio), own.peer.backend));
        let mut row: Vec<String> = head.iter_mut().map(std::mem::take).collect();
        row.push(place.contender.backend.clone());
        row.push(text::interval_with_unit(&place.rate.value, place.rate.unit));
        row.push(place.share.map_or(String::new(), |share| text::interval_percent(&share)));
        row.extend([ratio.unwrap_or_default(), own.map_or(String::new(), |own| own.verdict.to_string())]);
        row
    };
    standing.places.iter().map(row).collect()
}

/// What a reader calls a standing's point: its case, the point, and what is unusual about the clock.
fn name(standing: &Standing) -> String {
    let usual = ["resident", "throughput"];
    let unusual = text::conditions(standing.kind).into_iter().filter(|word| !usual.contains(word));
    let point = format!("{} {}", standing.case, text::point_of(&standing.group));
    std::iter::once(point.as_str()).chain(unusual).collect::<Vec<_>>().join(", ")
}

/// One row a case and lane: the geometric mean of its ratios, their range, how many points are behind, and
/// the least share that our own kernels reach.
pub fn cases(overall: &[Overall]) -> Numbers {
    let columns =
        ["case", "lane", "points", "times the best peer", "least", "largest", "behind", "least share"];
    let row = |case: &Overall| {
        let ratio = |value: Option<f64>| value.map_or(String::new(), text::times);
        vec![
            case.case.clone(),
            text::lane(&case.lane),
            case.compared.to_string(),
            ratio(case.ratio),
            ratio(case.range.map(|range| range.0)),
            ratio(case.range.map(|range| range.1)),
            case.behind.to_string(),
            case.share.map_or(String::new(), text::percent),
        ]
    };
    Numbers { columns: columns.map(String::from).into(), rows: overall.iter().map(row).collect() }
}

/// Writes a header and one row a contender of each standing.
pub(super) fn csv(model: &Model, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))?;
    for (machine, standing) in &model.standings {
        let machine = model.machines.get(*machine).map_or("", |machine| machine.name.as_str());
        for place in &standing.places {
            writeln!(out, "{}", line(&fields(machine, standing, place)))?;
        }
    }
    Ok(())
}

fn fields(machine: &str, standing: &Standing, place: &Place) -> Vec<String> {
    let against = standing.against.as_ref();
    let own = against.filter(|_| place.contender.backend == OWN);
    let role = match against {
        _ if own.is_some() => "own",
        Some(against) if against.peer == place.contender => "best peer",
        _ => "peer",
    };
    let is_best = standing.best.as_ref().is_some_and(|best| best.contender == place.contender);
    let packing = format!("{:?}", standing.lane.packing).to_lowercase();
    let mut fields = vec![machine.to_string(), standing.group.clone(), standing.case.clone()];
    fields.extend([text::point_of(&standing.group), standing.lane.threads.to_string(), packing]);
    fields.extend([text::conditions(standing.kind).join(" "), place.contender.backend.clone()]);
    fields.extend(interval(Some(place.rate.value)));
    fields.push(place.rate.unit.to_string());
    fields.extend(interval(place.share));
    fields.push(role.to_string());
    fields.extend(interval(own.map(|own| own.ratio)));
    fields.push(own.map_or(String::new(), |own| own.verdict.to_string()));
    fields.push(if is_best { "yes" } else { "" }.to_string());
    fields
}
