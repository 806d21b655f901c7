//! What is taken for granted, each with its reason; the command line changes any of it.

use crate::catalog::{Currency, Money};
use crate::cost::{
    CostError, Duration, Interest, Interruptions, Loss, MachinePrice, PerHour, Pue, Tariff, Utilisation,
    Writeoff, Years,
};
use serde::Serialize;

/// Numbers that prices and records do not tell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Assumptions {
    /// Currency of every amount here, and of the prices that are looked at: none is converted.
    pub currency: Currency,
    /// Price of a kWh: a tariff of industry in the US.
    pub kwh: f64,
    /// Power of the building over power of its computers: an efficient hall.
    pub pue: f64,
    /// Share of all hours that can be filled with the work: half, since people sleep and load comes in waves.
    pub utilisation: f64,
    /// Years until a machine that was bought is sold or thrown away: the usual write-off.
    pub years: f64,
    /// Share of its value that it loses each year: all, so that nothing is left to sell; the cautious end.
    pub loss: f64,
    /// Yearly rate of interest: what the money would earn elsewhere.
    pub interest: f64,
    /// Price of the machine around a card or a processor, without memory modules: board, case, power supply, and a
    /// small processor around a card.
    pub host: f64,
    /// Hosting of a month: none, since most buyers have a place for a machine.
    pub hosting: f64,
    /// Watts of the whole machine at work over watts of the datasheet: fans, memory, host and conversion.
    pub all_in: f64,
    /// Watts without work over watts at work.
    pub idle: f64,
    /// Times an hour that a spot machine is taken away: about once a day.
    pub interruptions: f64,
    /// What the machine that measured costs; without it, it has no place in the ranking.
    pub machine: Option<MachinePrice>,
    /// Watts of that machine at work, where the user knows them.
    pub machine_watts: Option<f64>,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            currency: Currency::Usd,
            kwh: 0.12,
            pue: 1.3,
            utilisation: 0.5,
            years: 3.0,
            loss: 1.0,
            interest: 0.05,
            host: 1500.0,
            hosting: 0.0,
            all_in: 2.0,
            idle: 0.3,
            interruptions: 0.04,
            machine: None,
            machine_watts: None,
        }
    }
}

/// Hours that a checkpoint of a spot machine takes, and hours until another one works: a minute and five.
const CHECKPOINT: f64 = 1.0 / 60.0;
const RESTART: f64 = 5.0 / 60.0;

/// The assumptions as the cost model takes them: every number is in the range that makes sense.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub currency: Currency,
    pub tariff: Tariff,
    pub utilisation: Utilisation,
    pub writeoff: Writeoff,
    pub interruptions: Interruptions,
}

impl Assumptions {
    pub(super) fn terms(&self) -> Result<Terms, CostError> {
        let between = |what, found: f64, low: f64, high: f64, want| match (low..=high).contains(&found) {
            true => Ok(()),
            false => Err(CostError::OutOfRange { what, found, want }),
        };
        between("price of a kWh", self.kwh, 0.0, 1e6, "an amount from 0 on")?;
        between("price of a machine around a card", self.host, 0.0, 1e9, "an amount from 0 on")?;
        between("price of hosting", self.hosting, 0.0, 1e9, "an amount from 0 on")?;
        between(
            "factor from a datasheet's watts to a machine's",
            self.all_in,
            1.0,
            10.0,
            "a factor between 1 and 10",
        )?;
        between("share of power without work", self.idle, 0.0, 1.0, "a share between 0 and 1")?;
        Ok(Terms {
            currency: self.currency,
            tariff: Tariff { kwh: self.money(self.kwh), pue: Pue::new(self.pue)? },
            utilisation: Utilisation::new(self.utilisation)?,
            writeoff: Writeoff {
                years: Years::new(self.years)?,
                loss: Loss::new(self.loss)?,
                interest: Interest::new(self.interest)?,
            },
            interruptions: Interruptions {
                often: PerHour::new(self.interruptions)?,
                checkpoint: Duration::new(CHECKPOINT)?,
                every: None,
                restart: Duration::new(RESTART)?,
            },
        })
    }

    /// An amount in the currency of the answer.
    pub(super) fn money(&self, amount: f64) -> Money {
        Money { amount, currency: self.currency }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense_and_what_does_not_is_refused() {
        assert!(Assumptions::default().terms().is_ok());
        type Change = fn(&mut Assumptions);
        let cases: [(Change, &str); 7] = [
            (|a| a.utilisation = 0.0, "0 is no utilisation"),
            (|a| a.utilisation = 1.5, "1.5 is no utilisation"),
            (|a| a.kwh = -0.1, "-0.1 is no price of a kWh"),
            (|a| a.pue = 0.9, "0.9 is no PUE"),
            (|a| a.years = 0.0, "0 is no time of use in years"),
            (|a| a.idle = f64::NAN, "NaN is no share of power"),
            (|a| a.interest = -0.01, "-0.01 is no yearly rate"),
        ];
        for (change, says) in cases {
            let mut assumptions = Assumptions::default();
            change(&mut assumptions);
            let said = assumptions.terms().unwrap_err().to_string();
            assert!(said.contains(says) && said.contains("give "), "{said}");
        }
    }
}
