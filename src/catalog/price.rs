//! What a device cost, somewhere, on a day.

use crate::date::Date;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Currency of an amount. Amounts of different currencies are never added, compared or converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    /// US dollar.
    Usd,
    /// Euro.
    Eur,
    /// Pound sterling.
    Gbp,
}

impl Currency {
    /// Its ISO 4217 code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
            Self::Gbp => "GBP",
        }
    }
}

/// An amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Money {
    /// In units of the currency.
    pub amount: f64,
    /// Which currency.
    pub currency: Currency,
}

impl Money {
    /// US dollars.
    pub fn usd(amount: f64) -> Self {
        Self { amount, currency: Currency::Usd }
    }

    /// This amount divided by `by`, in the same currency.
    pub fn per(self, by: f64) -> Self {
        Self { amount: self.amount / by, ..self }
    }

    /// How many times `other` this is; none across currencies.
    pub fn ratio(self, other: Self) -> Option<f64> {
        (self.currency == other.currency && other.amount > 0.0).then(|| self.amount / other.amount)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let sign = match self.currency {
            Currency::Usd => "$",
            Currency::Eur => "€",
            Currency::Gbp => "£",
        };
        let amount = self.amount;
        match amount.abs() {
            a if a >= 1000.0 => write!(f, "{sign}{}", grouped(amount)),
            a if a >= 1.0 || a == 0.0 => write!(f, "{sign}{amount:.2}"),
            a if a >= 1e-4 => write!(f, "{sign}{}", crate::units::significant(amount, 3)),
            _ => write!(f, "{sign}{amount:.2e}"),
        }
    }
}

/// Whole units with a comma between thousands.
fn grouped(amount: f64) -> String {
    let digits = format!("{:.0}", amount.abs());
    let lead = digits.len() % 3;
    let mut groups: Vec<&str> = if lead > 0 { vec![&digits[..lead]] } else { vec![] };
    groups.extend((lead..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    format!("{}{}", if amount < 0.0 { "-" } else { "" }, groups.join(","))
}

/// What kind of observation a price is. Kinds are never mixed in one ranking unless asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceKind {
    /// What the maker asked at launch.
    LaunchMsrp,
    /// What shops ask for a new one.
    StreetNew,
    /// What a used one costs.
    Used,
    /// The price of a machine with several, divided by their number.
    SystemShare,
    /// A list price that is not of the launch.
    List,
    /// Between traders; below retail.
    Wholesale,
    /// Computed by a published model of ownership or rent.
    Model,
    /// Rented by the hour, no commitment.
    CloudOnDemand,
    /// Rented by the hour, may be taken away.
    CloudSpot,
    /// Rented under a commitment.
    CloudReserved,
}

impl PriceKind {
    /// Name for tables and charts.
    pub fn label(self) -> &'static str {
        match self {
            Self::LaunchMsrp => "launch MSRP",
            Self::StreetNew => "street, new",
            Self::Used => "used",
            Self::SystemShare => "share of a system",
            Self::List => "list",
            Self::Wholesale => "wholesale",
            Self::Model => "rental model",
            Self::CloudOnDemand => "cloud, on demand",
            Self::CloudSpot => "cloud, spot",
            Self::CloudReserved => "cloud, reserved",
        }
    }

    /// Whether the amount is for an hour of use.
    pub fn is_rent(self) -> bool {
        matches!(self, Self::Model | Self::CloudOnDemand | Self::CloudSpot | Self::CloudReserved)
    }
}

/// What an amount buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Covers {
    /// An add-in card: a host is needed as well.
    Card,
    /// A processor: board and memory are needed as well.
    Chip,
    /// Memory modules.
    Module,
    /// One accelerator with its share of the machine around it.
    NodeShare,
    /// A rented machine.
    Instance,
    /// A whole computer.
    System,
}

/// For how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Bought once.
    Unit,
    /// An hour of use.
    Hour,
}

/// How good a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// A range of blogs, a proxy, an estimate.
    Low,
    /// One shop or one tracker.
    Medium,
    /// The maker, or an archived offer.
    High,
}

/// One observation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Id of the device.
    pub device: String,
    /// Amount in `currency`.
    pub amount: f64,
    /// Its currency.
    pub currency: Currency,
    /// What kind of observation.
    pub kind: PriceKind,
    /// What the amount buys.
    pub covers: Covers,
    /// For how long.
    pub per: Per,
    /// How many devices the amount covers.
    #[serde(default = "one")]
    pub count: u32,
    /// Where it was asked: `US`, `EU`, `unstated`.
    pub region: String,
    /// `included`, `excluded`, `unclear` or `unstated`.
    pub vat: String,
    /// When.
    pub date: Date,
    /// How the source made the number.
    pub method: String,
    /// How good the source is.
    pub confidence: Confidence,
    /// No source confirmed the amount.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
    /// Who says so.
    pub source: String,
    /// Anything else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Memory of all devices together as the source states it, in GB; checked against the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_memory_gb: Option<f64>,
    /// Memory of the machine around the devices as the source states it, in GB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_host_memory_gb: Option<f64>,
}

fn one() -> u32 {
    1
}

impl Price {
    /// Amount for one device.
    pub fn each(&self) -> Money {
        Money { amount: self.amount / f64::from(self.count.max(1)), currency: self.currency }
    }

    /// Whether the price is too old to buy by on the day `as_of`: over 90 days, over 30 for memory
    /// (modules tripled within eight months of 2026).
    pub fn is_stale(&self, as_of: Date) -> bool {
        self.date.age_days(as_of) > if self.covers == Covers::Module { 30 } else { 90 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_prints_with_its_sign_and_three_digits() {
        for (amount, shown) in [
            (12_984.0, "$12,984"),
            (1_000_000.0, "$1,000,000"),
            (24.8, "$24.80"),
            (0.0286, "$0.0286"),
            (0.0, "$0.00"),
        ] {
            assert_eq!(Money::usd(amount).to_string(), shown);
        }
    }

    #[test]
    fn currencies_do_not_mix() {
        let euro = Money { amount: 2.0, currency: Currency::Eur };
        assert_eq!(euro.ratio(Money::usd(1.0)), None);
        assert_eq!(Money::usd(3.0).ratio(Money::usd(2.0)), Some(1.5));
    }
}
