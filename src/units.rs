//! Quantities with their units in the type, and the one place that prints them.
//!
//! Prefixes are decimal (1 GB = 10^9 bytes) unless the name says binary (GiB = 2^30).

use serde::{Deserialize, Serialize};
use std::fmt;

/// Nanoseconds on some clock: a duration, never a date.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub f64);

/// A count of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// Decimal gigabytes (10^9 bytes), as memory is sold and priced.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gigabytes(pub f64);

/// Binary gigabytes (2^30 bytes), as memory chips are built.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gibibytes(pub f64);

/// Hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hours(pub f64);

/// Watts.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watts(pub f64);

/// A fact or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// It was read.
    Value(T),
    /// It could not be; one sentence.
    Absent(String),
}

impl<T> Reading<T> {
    /// What was read.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent(_) => None,
        }
    }
    /// Nothing, for this reason.
    pub fn absent(reason: impl Into<String>) -> Self {
        Self::Absent(reason.into())
    }
    /// A reading from an option and the reason for its absence.
    pub fn or(value: Option<T>, reason: &str) -> Self {
        value.map_or_else(|| Self::absent(reason), Self::Value)
    }
}

impl<T: fmt::Display> fmt::Display for Reading<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Absent(reason) => write!(f, "unknown: {reason}"),
        }
    }
}

impl Nanos {
    /// As seconds.
    pub fn seconds(self) -> f64 {
        self.0 * 1e-9
    }
    /// From seconds.
    pub fn from_seconds(seconds: f64) -> Self {
        Self(seconds * 1e9)
    }
}

impl Bytes {
    /// As decimal gigabytes.
    pub fn gigabytes(self) -> Gigabytes {
        Gigabytes(self.0 as f64 / 1e9)
    }
    /// As binary gigabytes.
    pub fn gibibytes(self) -> Gibibytes {
        Gibibytes(self.0 as f64 / (1u64 << 30) as f64)
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}s", si(self.0 * 1e-9))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}B", si(self.0 as f64))
    }
}

/// Three significant digits and a decimal prefix: `si(1234.0)` is `"1.23 k"`.
///
/// The result ends in a space and the prefix, ready for a unit to follow.
pub fn si(value: f64) -> String {
    const PREFIXES: [(f64, &str); 9] = [
        (1e15, "P"),
        (1e12, "T"),
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1.0, ""),
        (1e-3, "m"),
        (1e-6, "µ"),
        (1e-9, "n"),
    ];
    if value == 0.0 || !value.is_finite() {
        return format!("{value} ");
    }
    // 999.6 would print as 1000: choose the prefix after rounding to three digits.
    let rounded = round_to(value, 3);
    let (scale, prefix) =
        PREFIXES.into_iter().find(|(scale, _)| rounded.abs() >= *scale).unwrap_or((1e-9, "n"));
    format!("{} {prefix}", significant(rounded / scale, 3))
}

/// `value` rounded to `digits` significant digits.
pub fn round_to(value: f64, digits: i32) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(digits - 1 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

/// `value` in plain notation with `digits` significant digits: `significant(12.345, 3)` is `"12.3"`.
pub fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let value = round_to(value, digits);
    let decimals = (digits - 1 - value.abs().log10().floor() as i32).max(0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_with_three_digits_and_a_prefix() {
        for (value, shown) in [
            (0.0, "0 "),
            (1.0, "1.00 "),
            (1234.0, "1.23 k"),
            (999.6, "1.00 k"),
            (0.0316, "31.6 m"),
            (2.5e-7, "250 n"),
            (-1.5e9, "-1.50 G"),
        ] {
            assert_eq!(si(value), shown);
        }
        assert_eq!(Nanos(1.5e6).to_string(), "1.50 ms");
        assert_eq!(Bytes(64_000).to_string(), "64.0 kB");
    }

    #[test]
    fn a_gigabyte_is_not_a_gibibyte() {
        assert_eq!(Bytes(1 << 30).gibibytes(), Gibibytes(1.0));
        assert_eq!(Bytes(1_000_000_000).gigabytes(), Gigabytes(1.0));
    }
}
