//! Work over time.

use super::ceiling::counts_operations;
use super::estimate::Interval;
use crate::measure::protocol::ProbeKind;
use crate::record::{Record, Series};
use serde::Serialize;

/// A rate with its unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// Per second.
    pub value: Interval,
    /// `FLOP/s`, `op/s` or `B/s`.
    pub unit: &'static str,
}

/// The rate of a series whose executions take `time` nanoseconds, in what limits the program: operations,
/// or bytes where it has few or none of them.
pub fn rate(record: &Record, series: &Series, time: &Interval) -> Rate {
    let in_bytes = match series.probe {
        Some(probe) => !counts_operations(probe),
        None => record.work.flops < record.work.bytes(),
    };
    let (amount, unit) = match (in_bytes, series.probe) {
        (true, _) => (record.work.bytes(), "B/s"),
        (false, Some(ProbeKind::Vnni)) => (record.work.flops, "op/s"),
        (false, _) => (record.work.flops, "FLOP/s"),
    };
    Rate { value: time.inverse().times(amount as f64 * 1e9), unit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::example;

    #[test]
    fn the_probe_says_what_is_counted() {
        let record = example::measured();
        let time = Interval { low: 1e6, centre: 1e6, high: 2e6 };
        for (probe, unit, amount) in [
            (Some(ProbeKind::Fma), "FLOP/s", record.work.flops),
            (Some(ProbeKind::Vnni), "op/s", record.work.flops),
            (Some(ProbeKind::Read), "B/s", record.work.bytes()),
            (None, "FLOP/s", record.work.flops),
        ] {
            let rate = rate(&record, &Series { probe, ..example::series(1e6) }, &time);
            assert_eq!(rate.unit, unit, "{probe:?}");
            assert!((rate.value.centre / (amount as f64 * 1e3) - 1.0).abs() < 1e-12, "{probe:?}");
            assert!(rate.value.low < rate.value.high);
        }
    }
}
