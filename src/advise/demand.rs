//! How much work is wanted: `10M/day`, `100,000 examples a week`.

use serde::Serialize;

/// Hours of each period, and its names.
const PERIODS: &[(&str, f64)] = &[
    ("second", 1.0 / 3600.0),
    ("minute", 1.0 / 60.0),
    ("hour", 1.0),
    ("day", 24.0),
    ("week", 168.0),
    ("month", crate::cost::MONTH_HOURS),
    ("year", 8760.0),
];

/// Words for large numbers.
const SCALES: &[(&str, f64)] = &[
    ("k", 1e3),
    ("thousand", 1e3),
    ("m", 1e6),
    ("million", 1e6),
    ("b", 1e9),
    ("bn", 1e9),
    ("billion", 1e9),
    ("t", 1e12),
    ("trillion", 1e12),
];

/// An amount of work in a period.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Demand {
    /// As it was written.
    pub text: String,
    /// Units in a month of 730 hours.
    pub month: f64,
    /// Name of the unit, singular, where one was given.
    pub unit: Option<String>,
}

impl Demand {
    /// Reads an amount, perhaps a scale, perhaps a unit, and a period.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no volume: write an amount and a period, 10M/day or `100000 examples a week`"
            )
        };
        let lower = text.trim().to_lowercase().replace([',', '_'], "");
        let (amount, period) = split(&lower).ok_or_else(wrong)?;
        let period = period.trim_end_matches('s');
        let hours = PERIODS.iter().find(|(name, _)| *name == period).ok_or_else(wrong)?.1;
        let digits =
            amount.find(|c: char| !(c.is_ascii_digit() || "+-.e".contains(c))).unwrap_or(amount.len());
        // `1e9` is a number, `5examples` is not.
        let digits = amount[..digits].trim_end_matches('e').len();
        let mut number: f64 = amount[..digits].parse().map_err(|_| wrong())?;
        let mut words = amount[digits..].split_whitespace().peekable();
        let scale = words.peek().and_then(|word| SCALES.iter().find(|(name, _)| name == word));
        if let Some((_, scale)) = scale {
            number *= scale;
            words.next();
        }
        let unit = words.next().map(singular);
        if words.next().is_some() || !number.is_finite() {
            return Err(wrong());
        }
        if number < 0.0 {
            return Err(format!("`{text}` asks for less than nothing: give an amount from 0 on"));
        }
        Ok(Self { text: text.trim().to_string(), month: number * crate::cost::MONTH_HOURS / hours, unit })
    }
}

/// What stands before and after `/`, ` a `, ` an ` or ` per `.
fn split(text: &str) -> Option<(&str, &str)> {
    let parted = ["/", " per ", " a ", " an ", " each "].iter().find_map(|between| text.rsplit_once(between));
    parted.map(|(amount, period)| (amount.trim(), period.trim()))
}

fn singular(word: &str) -> String {
    word.strip_suffix('s').filter(|word| word.len() > 1).unwrap_or(word).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_in_many_ways() {
        let month = 730.0;
        for (text, wanted, unit) in [
            ("10M/day", 1e7 * month / 24.0, None),
            ("10 million sentences a day", 1e7 * month / 24.0, Some("sentence")),
            ("100,000 examples/week", 1e5 * month / 168.0, Some("example")),
            ("1e18/month", 1e18, None),
            ("2.5k tokens per second", 2500.0 * 3600.0 * month, Some("token")),
            ("0/day", 0.0, None),
            ("12 images an hour", 12.0 * month, Some("image")),
        ] {
            let got = Demand::parse(text).unwrap();
            assert!((got.month - wanted).abs() <= 1e-9 * wanted, "{text}: {got:?}");
            assert_eq!(got.unit.as_deref(), unit, "{text}");
        }
    }

    #[test]
    fn what_is_no_volume_says_how_to_write_one() {
        for text in [
            "",
            "10M",
            "many/day",
            "10/fortnight",
            "nan/day",
            "inf/day",
            "1e999/day",
            "10 big sentences a day",
        ] {
            assert!(Demand::parse(text).unwrap_err().contains("is no volume"), "{text}");
        }
        assert!(Demand::parse("-5/day").unwrap_err().contains("less than nothing"));
    }
}
