//! What a device told of itself around the samples of a cell: whether it held its clock, who else was there,
//! and the energy that it took.

use super::evidence::{Evidence, Reading};
use super::protocol::Sampled;
use crate::backends::Telemetry;
use crate::plan::SeriesKind;
use crate::suite::Load;
use std::collections::BTreeMap;

/// Reasons that lower the clock below what the card is sold for: a hardware slowdown, heat by software or
/// hardware, the power brake (nvmlClocksThrottleReason). The limit of power is not among them: at its default
/// it is how a card works, and below it a record says `power_capped`.
const THROTTLES: u64 = 0x8 | 0x20 | 0x40 | 0x80;
/// The limit of power holds the clock.
const AT_POWER_LIMIT: u64 = 0x4;
/// The energy counter moves in steps of up to a tenth of a second: a shorter window than this is no measurement.
const SHORTEST_WINDOW_NS: f64 = 2e9;
/// Counter and integrated power may differ by so much before it is said.
const AGREEMENT: f64 = 0.1;

/// A window of samples without a break.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Window {
    /// The counter before the first sample and after the last, in millijoules.
    counter: Option<(u64, u64)>,
    executions: u64,
    ns: f64,
    /// Power times time, in millijoules.
    integrated: f64,
}

/// Everything that was told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Watch {
    samples: u32,
    throttled: Option<u32>,
    at_power_limit: u32,
    foreign: Option<u32>,
    power_capped: Option<bool>,
    mhz: Option<(u32, u32)>,
    hottest: Option<u32>,
    pcie: Option<[u32; 2]>,
    window: Window,
}

impl Watch {
    /// Adds a sample of `iters` executions; without telemetry, as on a processor, nothing.
    pub(super) fn note(&mut self, kind: SeriesKind, iters: u64, sampled: &Sampled) {
        let Some([before, after]) = &sampled.device else { return };
        self.samples += 1;
        for state in [before, after] {
            self.see(state);
        }
        // Before a sample the device may have been idle, which is no throttling.
        if let Some(reasons) = after.reasons {
            *self.throttled.get_or_insert(0) += u32::from(reasons & THROTTLES != 0);
            self.at_power_limit += u32::from(reasons & AT_POWER_LIMIT != 0);
        }
        if kind.load == Load::Sustained {
            self.window.extend(before, after, iters, sampled.ns);
        }
    }

    fn see(&mut self, state: &Telemetry) {
        let larger = |known: Option<u32>, new: Option<u32>| known.max(new);
        self.foreign = larger(self.foreign, state.foreign);
        self.hottest = larger(self.hottest, state.temperature_c);
        self.power_capped = state.power_capped.or(self.power_capped);
        // A link sleeps while nothing crosses it.
        self.pcie = self.pcie.max(state.pcie);
        if let Some(mhz) = state.sm_mhz {
            let (low, high) = self.mhz.unwrap_or((mhz, mhz));
            self.mhz = Some((low.min(mhz), high.max(mhz)));
        }
    }

    /// Puts it into the evidence of a cell.
    pub(super) fn conclude(&self, evidence: &mut Evidence) {
        if self.samples == 0 {
            return;
        }
        let untold = |what: &str| format!("the device does not tell {what}");
        let reading =
            |value: Option<u32>, what| value.map_or_else(|| Reading::Absent(untold(what)), Reading::Value);
        evidence.device = Some(super::evidence::DeviceConditions {
            foreign: reading(self.foreign, "who uses it"),
            throttled: reading(self.throttled, "why it lowers its clock"),
            power_capped: self
                .power_capped
                .map_or_else(|| Reading::Absent(untold("its limit of power")), Reading::Value),
        });
        evidence.energy_j = self.window.energy_j();
        if let Some(identity) = &mut evidence.identity {
            identity.notes.extend(self.notes());
        }
    }

    fn notes(&self) -> BTreeMap<String, String> {
        let mut notes = BTreeMap::new();
        let mut note = |name: &str, text: Option<String>| {
            notes.extend(text.map(|text| (name.to_string(), text)));
        };
        note("sm_mhz", self.mhz.map(|(low, high)| format!("{low} to {high}")));
        note("hottest_c", self.hottest.map(|degrees| degrees.to_string()));
        note("pcie", self.pcie.map(|[generation, width]| format!("generation {generation}, {width} lanes")));
        let limited =
            format!("{} of {} samples ended at the limit of power", self.at_power_limit, self.samples);
        note("power_limit", (self.at_power_limit > 0).then_some(limited));
        note("energy", self.window.note());
        notes
    }
}

impl Window {
    fn extend(&mut self, before: &Telemetry, after: &Telemetry, iters: u64, ns: f64) {
        if let (Some(begin), Some(end)) = (before.energy_mj, after.energy_mj) {
            self.counter = Some((self.counter.map_or(begin, |(first, _)| first), end));
        }
        self.executions += iters;
        self.ns += ns;
        let powers = [before.milliwatts, after.milliwatts];
        if let [Some(first), Some(last)] = powers {
            self.integrated += (f64::from(first) + f64::from(last)) / 2.0 * ns / 1e9;
        }
    }

    /// Joules of one execution, the idle device's share included.
    fn energy_j(&self) -> Reading<f64> {
        let Some((first, last)) = self.counter else {
            return Reading::absent("the device has no energy counter, or no sustained window was asked for");
        };
        if self.ns < SHORTEST_WINDOW_NS {
            return Reading::absent("the sustained window was shorter than the energy counter needs, 2 s");
        }
        match last.checked_sub(first) {
            Some(millijoules) if millijoules > 0 && self.executions > 0 => {
                Reading::Value(millijoules as f64 / 1e3 / self.executions as f64)
            }
            _ => Reading::absent("the energy counter did not move"),
        }
    }

    fn note(&self) -> Option<String> {
        self.energy_j().value()?;
        let counted = self.counter.map(|(first, last)| (last - first) as f64)?;
        let method = "NVML's counter over the sustained window, idle power not subtracted";
        let ratio = self.integrated / counted;
        let check = match ratio {
            0.0 => "no power to check it by".to_string(),
            ratio if (ratio - 1.0).abs() > AGREEMENT => {
                format!("DISAGREES with integrated power by {:+.0} %", (ratio - 1.0) * 100.0)
            }
            ratio => format!("integrated power differs by {:+.0} %", (ratio - 1.0) * 100.0),
        };
        Some(format!("{method}; {check}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::Outcome;
    use super::super::scripted::BATCH;
    use super::*;
    use crate::backends::Identity;

    fn state(energy: u64, reasons: u64) -> Telemetry {
        Telemetry {
            sm_mhz: Some(1700 + energy as u32 / 1000),
            reasons: Some(reasons),
            temperature_c: Some(60),
            milliwatts: Some(500_000),
            power_capped: Some(false),
            energy_mj: Some(energy),
            foreign: Some(0),
            pcie: Some([5, 16]),
        }
    }

    fn evidence(samples: &[(u64, u64, u64, f64)]) -> Evidence {
        let mut watch = Watch::default();
        let kind = SeriesKind { load: Load::Sustained, ..BATCH };
        for &(begin, end, reasons, ns) in samples {
            let device = Some([state(begin, 1), state(end, reasons)]);
            watch.note(kind, 10, &Sampled { ns, device, ..Sampled::default() });
        }
        let mut evidence = Evidence::of(Outcome::Measured);
        evidence.identity = Some(Identity::default());
        watch.conclude(&mut evidence);
        evidence
    }

    #[test]
    fn energy_is_the_counters_difference_over_a_window_that_is_long_enough() {
        let long = evidence(&[(1_000_000, 1_500_000, 0, 1e9), (1_500_000, 2_000_000, 0, 1e9)]);
        assert_eq!(long.energy_j, Reading::Value(1000.0 / 20.0));
        let notes = long.identity.unwrap().notes;
        assert!(notes["energy"].ends_with("integrated power differs by +0 %"), "{notes:?}");
        assert_eq!((notes["pcie"].as_str(), notes["hottest_c"].as_str()), ("generation 5, 16 lanes", "60"));
        let wrong = evidence(&[(1_000_000, 3_000_000, 0, 2e9)]);
        assert!(wrong.identity.unwrap().notes["energy"].contains("DISAGREES with integrated power by -50 %"));
        for short in [evidence(&[(0, 500, 0, 1e9)]), evidence(&[(7, 7, 0, 3e9)])] {
            assert!(matches!(short.energy_j, Reading::Absent(_)));
        }
    }

    #[test]
    fn heat_is_throttling_and_the_limit_of_power_is_a_note() {
        for (reasons, throttled, noted) in
            [(0, 0, false), (0x20, 1, false), (0x40, 1, false), (0x4, 0, true), (0x1, 0, false)]
        {
            let evidence = evidence(&[(0, 1000, reasons, 1e9)]);
            assert_eq!(evidence.device.unwrap().throttled, Reading::Value(throttled), "{reasons:#x}");
            assert_eq!(evidence.identity.unwrap().notes.contains_key("power_limit"), noted);
        }
    }

    #[test]
    fn a_processor_tells_nothing() {
        let mut watch = Watch::default();
        watch.note(BATCH, 1, &Sampled::default());
        let mut evidence = Evidence::of(Outcome::Measured);
        watch.conclude(&mut evidence);
        assert_eq!(evidence, Evidence::of(Outcome::Measured));
    }
}
