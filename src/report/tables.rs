//! Tables of one run: fewer bits beside f32, and how time and memory grow.

use super::scene::Numbers;
use super::text;
use crate::compare::{Exponent, Growth, Interval, Narrow};
use crate::units::significant;
use crate::workloads::Params;

/// One row a cell of fewer bits.
pub fn fewer_bits(narrows: &[Narrow]) -> Numbers {
    let columns = [
        "case",
        "point",
        "lane",
        "contender",
        "times its own f32",
        "times the best f32",
        "size of parameters",
        "bound",
        "times by the roofs",
        "error",
        "instructions",
    ];
    let row = |narrow: &Narrow| {
        let ratio = |ratio: Option<&Interval>| ratio.map_or(String::new(), text::interval_times);
        let best = narrow
            .over_best
            .as_ref()
            .map(|(ratio, name)| format!("{} of {name}", text::interval_times(ratio)));
        vec![
            narrow.case.clone(),
            named(&narrow.point),
            text::lane(&narrow.contender.lane),
            narrow.contender.backend.clone(),
            ratio(narrow.over_own.as_ref()),
            best.unwrap_or_default(),
            text::percent(narrow.size),
            narrow.bound.map_or(String::new(), |bound| bound.to_string()),
            narrow.roofs.map_or(String::new(), text::times),
            narrow.error.map_or(String::new(), error),
            narrow.instructions.clone().unwrap_or_default(),
        ]
    };
    Numbers { columns: columns.map(String::from).into(), rows: narrows.iter().map(row).collect() }
}

fn error(error: f64) -> String {
    if error == 0.0 { "exact sums".to_string() } else { format!("{} %", significant(100.0 * error, 2)) }
}

/// One row a law: exponents with their 95 % intervals, and those of the last two points.
pub fn laws(growths: &[Growth]) -> Numbers {
    let columns = [
        "case",
        "what stays",
        "what grows",
        "contender",
        "time grows as the power",
        "at the end",
        "peak bytes grow as the power",
        "at the end",
    ];
    let row = |growth: &Growth| {
        let (least, most) = growth.range;
        let of = |exponent: Option<&Exponent>| exponent.map_or([String::new(), String::new()], powers);
        let mut row = vec![
            growth.case.clone(),
            named(&growth.fixed),
            format!("{} {least} to {most}", growth.extent),
            growth.contender.to_string(),
        ];
        row.extend(of(Some(&growth.time)));
        row.extend(of(growth.bytes.as_ref()));
        row
    };
    Numbers { columns: columns.map(String::from).into(), rows: growths.iter().map(row).collect() }
}

/// `1.98 (1.95–2.01)` and the exponent at the end.
fn powers(exponent: &Exponent) -> [String; 2] {
    let Exponent { low, centre, high, last } = exponent;
    [format!("{centre:.2} ({low:.2}–{high:.2})"), format!("{last:.2}")]
}

/// `m 128, n 768`.
fn named(point: &Params) -> String {
    point.iter().map(|(axis, value)| format!("{axis} {value}")).collect::<Vec<_>>().join(", ")
}
