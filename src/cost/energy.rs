//! Electricity: watts with their basis, the building's overhead, the tariff.

use super::capital::part;
use super::error::CostError;
use super::quantity::{Draw, Pue};
use crate::catalog::Money;
use serde::{Deserialize, Serialize};

/// Where watts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerBasis {
    /// A counter was read while the work ran.
    Measured,
    /// The board's or package's limit, which work seldom reaches: marked wherever it is shown.
    Datasheet,
    /// The user says so.
    User,
}

/// What a machine draws.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// Watts at work, of the whole machine or of the device's share of it.
    pub busy: Draw,
    /// Watts without work.
    pub idle: Draw,
    /// Where the two come from.
    pub basis: PowerBasis,
}

impl Power {
    /// The same, if it is no more idle than busy.
    pub fn checked(self) -> Result<Self, CostError> {
        let (idle, busy) = (self.idle.get(), self.busy.get());
        if idle > busy { Err(CostError::IdleAboveBusy { idle, busy }) } else { Ok(self) }
    }
}

/// What electricity costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// Price of a kWh.
    pub kwh: Money,
    /// Power of the building over power of its computers.
    pub pue: Pue,
}

impl Tariff {
    /// An hour at `watts`: W / 1000 x PUE x price of a kWh.
    pub fn hour(&self, watts: f64) -> Result<Money, CostError> {
        let kwh = part("price of a kWh", self.kwh)?;
        Ok(Money { amount: watts / 1000.0 * self.pue.get() * kwh.amount, ..kwh })
    }
}

#[cfg(test)]
mod tests {
    use crate::cost::example::{power, tariff};

    #[test]
    fn an_hour_of_a_kilowatt_costs_a_kilowatt_hour_and_the_building() {
        assert!((tariff(0.20, 1.5).hour(1000.0).unwrap().amount - 0.30).abs() < 1e-15);
        assert_eq!(tariff(0.0, 1.0).hour(500.0).unwrap().amount, 0.0);
    }

    #[test]
    fn a_negative_tariff_and_an_idle_machine_that_draws_more_are_refused() {
        let said = tariff(-0.1, 1.2).hour(100.0).unwrap_err().to_string();
        assert!(said.contains("-0.1 is no price of a kWh"), "{said}");
        let said = power(100.0, 101.0).checked().unwrap_err().to_string();
        assert!(said.contains("101 W") && said.contains("exchange"), "{said}");
        assert!(power(100.0, 100.0).checked().is_ok());
    }
}
