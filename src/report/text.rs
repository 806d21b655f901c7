//! How numbers and names are written on the page and on charts.

use crate::backends::{Lane, Packing};
use crate::compare::Interval;
use crate::plan::SeriesKind;
use crate::record::Record;
use crate::suite::{Load, Scope, Sync, Temperature};
use crate::units::{self, Bytes};

/// Whether an interval has two ends: a single start has none.
pub(super) fn is_bounded(interval: &Interval) -> bool {
    interval.low > 0.0 && interval.high.is_finite()
}

/// The ends of an interval, where it has two.
pub(super) fn ends(interval: &Interval) -> Option<(f64, f64)> {
    is_bounded(interval).then_some((interval.low, interval.high))
}

/// `213 GFLOP/s`.
pub(super) fn with_unit(value: f64, unit: &str) -> String {
    format!("{}{unit}", units::si(value))
}

/// `213 GFLOP/s (210–216)`, both ends in the prefix of the middle.
pub(super) fn interval_with_unit(interval: &Interval, unit: &str) -> String {
    let middle = units::si(interval.centre);
    let (number, prefix) = middle.split_once(' ').unwrap_or((&middle, ""));
    let Some((low, high)) = ends(interval) else { return format!("{number} {prefix}{unit}") };
    // The middle's prefix without its digits' rounding: 999.6 prints as 1.00 k.
    let scale = match number.parse::<f64>() {
        Ok(shown) if shown != 0.0 => 10f64.powi(3 * ((interval.centre / shown).log10() / 3.0).round() as i32),
        _ => 1.0,
    };
    let end = |value: f64| units::significant(value / scale, 3);
    format!("{number} {prefix}{unit} ({}–{})", end(low), end(high))
}

/// `1.23×`.
pub(super) fn times(value: f64) -> String {
    format!("{}×", units::significant(value, 3))
}

/// `1.23× (1.20–1.26)`.
pub(super) fn interval_times(interval: &Interval) -> String {
    match ends(interval) {
        Some((low, high)) => {
            let end = |value| units::significant(value, 3);
            format!("{} ({}–{})", times(interval.centre), end(low), end(high))
        }
        None => times(interval.centre),
    }
}

/// `94 %`; small shares keep two digits.
pub(super) fn percent(share: f64) -> String {
    let value = share * 100.0;
    if value.abs() >= 10.0 { format!("{value:.0} %") } else { format!("{} %", units::significant(value, 2)) }
}

/// `94 % (92–95)`.
pub(super) fn interval_percent(interval: &Interval) -> String {
    match ends(interval) {
        Some((low, high)) => {
            let end = |value: f64| percent(value).trim_end_matches(" %").to_string();
            format!("{} ({}–{})", percent(interval.centre), end(low), end(high))
        }
        None => percent(interval.centre),
    }
}

/// `1 thread`, `2 threads`.
pub(super) fn threads(count: usize) -> String {
    plural(count, "thread")
}

/// `1 thread`, `2 threads, packed`.
pub(super) fn lane(lane: &Lane) -> String {
    match lane.packing {
        Packing::Plain => threads(lane.threads),
        Packing::Packed => format!("{}, packed", threads(lane.threads)),
    }
}

/// `1 cell`, `2 cells`, `2,000 cells`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A count with a comma between thousands.
pub(super) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a reader calls a record's point.
pub(super) fn point(record: &Record) -> String {
    point_of(&record.group)
}

/// What a reader calls a group's point: `512 × 512 × 512`, `tokens 128, width 768`.
pub(super) fn point_of(group: &str) -> String {
    let name = group.splitn(3, '/').nth(2).unwrap_or_default();
    let parts: Vec<(&str, &str)> = name.split(',').filter_map(|part| part.split_once('=')).collect();
    let (extents, rest): (Vec<_>, Vec<_>) =
        parts.into_iter().partition(|(axis, _)| ["m", "n", "k"].contains(axis));
    let mut pieces = Vec::new();
    if !extents.is_empty() {
        pieces.push(extents.iter().map(|(_, value)| *value).collect::<Vec<_>>().join(" × "));
    }
    pieces.extend(rest.iter().map(|(axis, value)| parameter(axis, value)));
    if pieces.is_empty() { name.to_string() } else { pieces.join(", ") }
}

fn parameter(axis: &str, value: &str) -> String {
    match (axis, value.parse::<u64>()) {
        ("bytes", Ok(bytes)) => Bytes(bytes).to_string(),
        ("dtype", _) => value.to_string(),
        ("b", Err(_)) if value == "parameter" => "weights".to_string(),
        ("out", _) => format!("to {value}"),
        _ => format!("{axis} {value}"),
    }
}

/// What sets a series apart from a throughput in hot caches on data that is already there.
pub(super) fn conditions(kind: SeriesKind) -> Vec<&'static str> {
    let mut words = Vec::new();
    words.push(match kind.scope {
        Scope::Device => "device clock",
        Scope::Resident => "resident",
        Scope::EndToEnd => "end to end",
    });
    words.push(match kind.sync {
        Sync::Each => "latency",
        Sync::Batch => "throughput",
    });
    if kind.load == Load::Sustained {
        words.push("sustained");
    }
    if kind.temperature == Temperature::Cold {
        words.push("cold");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::example;

    fn interval(low: f64, centre: f64, high: f64) -> Interval {
        Interval { low, centre, high }
    }

    #[test]
    fn intervals_share_the_prefix_of_their_middle() {
        for (low, centre, high, shown) in [
            (2.10e11, 2.13e11, 2.16e11, "213 GFLOP/s (210–216)"),
            (0.99e9, 1.01e9, 1.03e9, "1.01 GFLOP/s (0.990–1.03)"),
            (9.5e8, 9.996e8, 1.1e9, "1.00 GFLOP/s (0.950–1.10)"),
            (0.0, 5e3, f64::INFINITY, "5.00 kFLOP/s"),
        ] {
            assert_eq!(interval_with_unit(&interval(low, centre, high), "FLOP/s"), shown);
        }
        assert_eq!(interval_times(&interval(1.2, 1.234, 1.26)), "1.23× (1.20–1.26)");
        assert_eq!(interval_percent(&interval(0.92, 0.94, 0.953)), "94 % (92–95)");
        assert_eq!(interval_percent(&interval(0.0, 0.02, f64::INFINITY)), "2.0 %");
    }

    #[test]
    fn points_and_counts_read_well() {
        let mut record = example::measured();
        for (group, shown) in [
            ("matmul/square/m=512,n=256,k=64", "512 × 256 × 64"),
            ("matmul/square/m=1,n=2,k=3,dtype=bf16,b=parameter", "1 × 2 × 3, bf16, weights"),
            ("memory/copy/bytes=32768", "32.8 kB"),
            ("ops/attention/queries=128", "queries 128"),
            ("ops/odd/name", "name"),
        ] {
            record.group = group.to_string();
            assert_eq!(point(&record), shown);
        }
        assert_eq!(plural(1, "cell"), "1 cell");
        assert_eq!(plural(20_000, "cell"), "20,000 cells");
    }
}
