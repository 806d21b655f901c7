//! A machine that was bought.

use super::capital::{Bill, part, sum};
use super::energy::{Power, Tariff};
use super::error::CostError;
use super::quantity::Utilisation;
use super::writeoff::Writeoff;
use crate::catalog::Money;
use serde::{Deserialize, Serialize};

/// Hours of a month: a twelfth of 365 days.
pub const MONTH_HOURS: f64 = 730.0;

/// All that owning a machine costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owned {
    /// What it cost.
    pub bill: Bill,
    /// How that is written off.
    pub writeoff: Writeoff,
    /// What it draws. None where nobody knows: energy is then left out, and whoever shows the cost says so.
    pub power: Option<Power>,
    /// What electricity costs.
    pub tariff: Tariff,
    /// Rack space, network, software and upkeep, each month.
    pub hosting: Money,
}

impl Owned {
    /// Loss of value and interest of a month.
    pub fn capital_month(&self) -> Result<Money, CostError> {
        self.writeoff.month(self.bill.total()?)
    }

    /// Hosting and idle power of a month: what is paid after the purchase although nothing is done.
    pub fn running_month(&self) -> Result<Money, CostError> {
        let idle = self.power()?.map_or(0.0, |power| power.idle.get());
        let hour = self.tariff.hour(idle)?;
        let energy = Money { amount: hour.amount * MONTH_HOURS, ..hour };
        sum(&[part("price of hosting", self.hosting)?, energy])
    }

    /// Everything that is paid each month whether it works or not.
    pub fn standing_month(&self) -> Result<Money, CostError> {
        sum(&[self.capital_month()?, self.running_month()?])
    }

    /// What an hour of work adds: energy beyond that of an idle hour.
    pub fn working_hour(&self) -> Result<Money, CostError> {
        let watts = self.power()?.map_or(0.0, |power| power.busy.get() - power.idle.get());
        self.tariff.hour(watts)
    }

    /// An hour of the calendar, of which the machine works a share:
    /// standing month / 730 + utilisation x working hour.
    pub fn hour(&self, utilisation: Utilisation) -> Result<Money, CostError> {
        let (standing, working) = (self.standing_month()?, self.working_hour()?);
        let standing = standing.per(MONTH_HOURS);
        sum(&[standing, Money { amount: working.amount * utilisation.get(), ..working }])
    }

    fn power(&self) -> Result<Option<Power>, CostError> {
        self.power.map(Power::checked).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Currency;
    use crate::cost::example;

    #[test]
    fn an_hour_holds_capital_hosting_and_both_kinds_of_energy() {
        // 26,280 over 36 months of 730 hours is 1 an hour; hosting 73 a month is 0.10; 200 W idle at 0.5 a kWh is
        // 0.10 and 800 W more at work are 0.40.
        let owned = example::owned();
        let hour = |share| owned.hour(Utilisation::new(share).unwrap()).unwrap().amount;
        assert!((hour(1.0) - 1.60).abs() < 1e-12 && (hour(0.5) - 1.40).abs() < 1e-12);
        assert!((owned.running_month().unwrap().amount - 146.0).abs() < 1e-9);
    }

    #[test]
    fn without_watts_there_is_no_energy() {
        let dark = Owned { power: None, ..example::owned() };
        assert!((dark.hour(Utilisation::new(0.5).unwrap()).unwrap().amount - 1.10).abs() < 1e-12);
    }

    #[test]
    fn a_part_in_another_currency_is_refused() {
        let mut owned = example::owned();
        owned.tariff.kwh.currency = Currency::Gbp;
        assert!(owned.standing_month().unwrap_err().to_string().contains("GBP"));
        owned = example::owned();
        owned.hosting.amount = -1.0;
        assert!(owned.standing_month().unwrap_err().to_string().contains("-1 is no price of hosting"));
    }
}
