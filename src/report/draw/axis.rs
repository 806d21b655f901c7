//! From values to pixels, and which ticks to write.

use crate::report::scene::{Axis, Format, Scale};
use crate::units;

/// Most ticks on a short axis.
const FEW: usize = 5;

/// The part of an axis that is in view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) scale: Scale,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Range {
    /// The range that shows all of `values` and what the axis must include, with a little air.
    pub(super) fn around(axis: &Axis, values: impl Iterator<Item = f64>) -> Self {
        // Nothing physical is outside; the squares of what is inside stay finite.
        let usable = |value: &f64| match axis.scale {
            Scale::Linear => value.abs() < 1e100,
            Scale::Log => (1e-100..1e100).contains(value),
        };
        let (low, high) = values
            .chain(axis.include.iter().copied())
            .filter(usable)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return Self { scale: axis.scale, low: 1.0, high: 10.0 };
        }
        match axis.scale {
            Scale::Linear => Self::linear(low, high),
            Scale::Log => Self::log(low, high),
        }
    }

    fn linear(low: f64, high: f64) -> Self {
        let span = if high > low { high - low } else { high.abs().max(1e-30) };
        // An axis that begins at zero keeps its zero.
        let below = if low == 0.0 { 0.0 } else { span * 0.06 };
        Self { scale: Scale::Linear, low: low - below, high: high + span * 0.04 }
    }

    fn log(low: f64, high: f64) -> Self {
        let air = (high / low).powf(0.06).max(1.12);
        Self { scale: Scale::Log, low: low / air, high: high * air }
    }

    /// Where `value` stands, 0 at the low end and 1 at the high end; outside values are clipped.
    pub(super) fn share(self, value: f64) -> f64 {
        self.unclipped(value).clamp(0.0, 1.0)
    }

    /// Where `value` stands, also far outside of the view; never NaN or infinite.
    pub(super) fn unclipped(self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        if share.is_nan() { 0.0 } else { share.clamp(-1e3, 1e3) }
    }

    /// Whether a value is in view.
    pub(super) fn holds(self, value: f64) -> bool {
        value >= self.low && value <= self.high
    }

    /// Round values in view, at most about `most`.
    pub(super) fn ticks(self, most: usize) -> Vec<f64> {
        let ticks = match self.scale {
            Scale::Linear => linear_ticks(self.low, self.high, most),
            Scale::Log => log_ticks(self.low, self.high, most),
        };
        ticks.into_iter().filter(|tick| self.holds(*tick)).collect()
    }
}

fn linear_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let raw = (high - low) / most.max(2) as f64;
    let unit = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|step| step * unit >= raw).unwrap_or(10.0) * unit;
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last.min(first + 100)).map(|number| units::round_to(number as f64 * step, 12)).collect()
}

/// Powers of ten, with 2 and 5 or only 3 between them where there is room; even steps below a decade.
fn log_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let decades = (high / low).log10();
    if decades < 1.0 {
        let ticks = linear_ticks(low, high, most.min(FEW));
        return ticks.into_iter().filter(|tick| *tick > 0.0).collect();
    }
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let powers = |digits: &[f64], every: i32| -> Vec<f64> {
        (first..=last)
            .filter(|power| power.rem_euclid(every) == 0)
            .flat_map(|power| digits.iter().map(move |digit| units::round_to(digit * 10f64.powi(power), 12)))
            .collect()
    };
    let in_view = |ticks: &Vec<f64>| ticks.iter().filter(|tick| **tick >= low && **tick <= high).count();
    let dense = [powers(&[1.0, 2.0, 5.0], 1), powers(&[1.0, 3.0], 1)];
    let sparse = (1..=last - first + 1).map(|every| powers(&[1.0], every));
    dense.into_iter().chain(sparse).find(|ticks| in_view(ticks) <= most).unwrap_or_default()
}

/// A whole number in full, any other with as many digits as it needs, at most three.
fn trimmed(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e5 {
        return format!("{value}");
    }
    let text = units::significant(value, 3);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

fn binary(value: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power = (value.max(1.0).log2() / 10.0).floor().min(4.0) as usize;
    format!("{} {}", trimmed(value / 1024f64.powi(power as i32)), units[power])
}

fn month(value: f64) -> String {
    let months = value.clamp(0.0, 1e5).floor() as u32;
    format!("{}-{:02}", 1970 + months / 12, 1 + months % 12)
}

/// What is written beside a tick.
pub(super) fn tick_text(value: f64, format: Format) -> String {
    match format {
        Format::Prefix => {
            let text = units::si(value);
            let (number, prefix) = text.split_once(' ').unwrap_or((&text, ""));
            let number = if number.contains('.') {
                number.trim_end_matches('0').trim_end_matches('.')
            } else {
                number
            };
            format!("{number} {prefix}").trim_end().to_string()
        }
        Format::Times => format!("{}×", trimmed(value)),
        Format::Percent => format!("{} %", trimmed(value * 100.0)),
        Format::Dollars => format!("${}", trimmed(value)),
        Format::Binary => binary(value),
        Format::Month => return month(value),
        Format::Plain => trimmed(value),
    }
    .replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(scale: Scale, low: f64, high: f64) -> Range {
        Range { scale, low, high }
    }

    #[test]
    fn ticks_are_round_and_few() {
        for (scale, low, high, most, wanted) in [
            (Scale::Linear, 0.0, 1.04, 6, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (Scale::Linear, -3.0, 12.0, 4, vec![0.0, 5.0, 10.0]),
            (Scale::Log, 0.9, 120.0, 8, vec![1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]),
            (Scale::Log, 0.9, 1200.0, 7, vec![1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]),
            (Scale::Log, 1.0, 1e9, 4, vec![1.0, 1e3, 1e6, 1e9]),
            (Scale::Log, 0.8, 1.3, 8, vec![0.8, 0.9, 1.0, 1.1, 1.2, 1.3]),
        ] {
            assert_eq!(range(scale, low, high).ticks(most), wanted, "{scale:?} {low} {high}");
        }
    }

    #[test]
    fn ticks_are_short() {
        for (value, format, wanted) in [
            (2.5e6, Format::Prefix, "2.5 M"),
            (100.0, Format::Prefix, "100"),
            (0.0, Format::Prefix, "0"),
            (0.5, Format::Times, "0.5×"),
            (1.0, Format::Percent, "100 %"),
            (0.25, Format::Dollars, "$0.25"),
            (-3.0, Format::Plain, "−3"),
            (1024.0, Format::Plain, "1024"),
            (32768.0, Format::Binary, "32 KiB"),
            (0.0, Format::Binary, "0 B"),
            (680.5, Format::Month, "2026-09"),
        ] {
            assert_eq!(tick_text(value, format), wanted);
        }
    }

    #[test]
    fn nothing_falls_out_of_view_and_nothing_is_nan() {
        let axis =
            Axis { label: String::new(), scale: Scale::Log, format: Format::Plain, include: vec![1.0] };
        let seen = Range::around(&axis, [0.0, f64::NAN, -1.0, 40.0].into_iter());
        assert!(seen.holds(1.0) && seen.holds(40.0));
        for value in [0.0, f64::NAN, f64::INFINITY, -5.0, 3.0] {
            assert!((0.0..=1.0).contains(&seen.share(value)), "{value}");
        }
        let empty = Range::around(&Axis { include: vec![], ..axis }, std::iter::empty());
        assert!(empty.low < empty.high);
    }
}
