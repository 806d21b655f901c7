//! One way to have work done, as a line: what a month costs anyway, and what each unit adds.

use super::error::CostError;
use super::owned::{MONTH_HOURS, Owned};
use super::quantity::{Seconds, Size, Units, Utilisation, Volume};
use super::rented::{Billing, Rented};
use crate::catalog::Money;
use serde::{Deserialize, Serialize};

/// Owned or rented.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Bought, written off and run.
    Owned(Owned),
    /// Rented by the hour.
    Rented(Rented),
}

/// How fast the work goes: measured on the machine, or a datasheet's bound and then marked as one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Seconds of one execution.
    pub seconds: Seconds,
    /// What one execution yields: tokens, images, steps, PFLOP.
    pub units: Units,
}

/// Memory of a machine, for $/GB and $/(GB/s).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// GB as sold.
    pub gb: Size,
    /// Bandwidth in GB/s.
    pub gb_s: Size,
}

/// A machine with its pace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Owned or rented.
    pub way: Way,
    /// How fast the work goes.
    pub pace: Pace,
    /// Share of all hours that can be filled with work: less than 1 where users sleep at night.
    pub utilisation: Utilisation,
    /// Memory, where it is asked for.
    pub memory: Option<Memory>,
}

/// What an offer costs each month: machines x standing + units x each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Of one machine, whether it works or not.
    pub standing: Money,
    /// What one unit adds.
    pub each: Money,
    /// Units that one machine can do in a month.
    pub capacity: f64,
    /// Paid even when there is no work at all.
    pub always: bool,
}

impl Offer {
    /// Units that an hour of work yields: 3600 x units / seconds, over the hours that interruptions add.
    pub fn units_an_hour(&self) -> f64 {
        let stretch = match self.way {
            Way::Owned(_) => 1.0,
            Way::Rented(rented) => rented.stretch(),
        };
        3600.0 * self.pace.units.get() / (self.pace.seconds.get() * stretch)
    }

    /// The offer's line.
    pub fn line(&self) -> Result<Line, CostError> {
        let rate = self.units_an_hour();
        let (standing, hour) = match self.way {
            Way::Owned(owned) => (owned.standing_month()?, owned.working_hour()?),
            Way::Rented(rented) => by_billing(rented.paid_hour()?, rented.billing),
        };
        super::capital::sum(&[standing, hour])?;
        let capacity = MONTH_HOURS * self.utilisation.get() * rate;
        let always = matches!(self.way, Way::Owned(_));
        Ok(Line { standing, each: hour.per(rate), capacity, always })
    }

    /// What a unit costs on a machine that is as busy as it can be.
    pub fn unit(&self) -> Result<Money, CostError> {
        let line = self.line()?;
        Ok(Money { amount: line.standing.amount / line.capacity + line.each.amount, ..line.each })
    }

    /// What an hour of work costs on a machine that is as busy as it can be.
    pub fn busy_hour(&self) -> Result<Money, CostError> {
        let unit = self.unit()?;
        Ok(Money { amount: unit.amount * self.units_an_hour(), ..unit })
    }

    /// What a month costs in which `volume` units are wanted, on as many whole machines as that takes.
    pub fn month(&self, volume: Volume) -> Result<Money, CostError> {
        let line = self.line()?;
        let amount = line.machines(volume.get()) * line.standing.amount + volume.get() * line.each.amount;
        Ok(Money { amount, ..line.each })
    }
}

/// A month that is paid anyway, and an hour that is paid for work.
fn by_billing(hour: Money, billing: Billing) -> (Money, Money) {
    let nothing = Money { amount: 0.0, ..hour };
    match billing {
        Billing::Used => (nothing, hour),
        Billing::Whole => (Money { amount: hour.amount * MONTH_HOURS, ..hour }, nothing),
    }
}

impl Line {
    /// Machines that `volume` units a month take. What is owned stands there without work too.
    pub fn machines(&self, volume: f64) -> f64 {
        let least = if self.always || volume > 0.0 { 1.0 } else { 0.0 };
        (volume / self.capacity).ceil().max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::example;

    fn month(offer: &Offer, volume: f64) -> f64 {
        offer.month(Volume::new(volume).unwrap()).unwrap().amount
    }

    #[test]
    fn a_unit_on_a_busy_machine_is_a_month_over_what_it_can_do() {
        for offer in [example::buying(), example::renting(2.0), example::all_month(2.0)] {
            let line = offer.line().unwrap();
            let full = month(&offer, line.capacity) / line.capacity;
            assert!((offer.unit().unwrap().amount / full - 1.0).abs() < 1e-12);
            let hour = offer.busy_hour().unwrap().amount;
            assert!((hour / offer.units_an_hour() / full - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn whole_machines_are_paid_and_only_owned_ones_without_work() {
        // A unit takes a second: 2,628,000 a month.
        let (owned, used, whole) = (example::buying(), example::renting(3.6), example::all_month(2.0));
        let standing = 730.0 * 1.20;
        for (offer, volume, want) in [
            (owned, 0.0, standing),
            (owned, 2_628_000.0, standing + 730.0 * 0.40),
            (owned, 2_628_001.0, 2.0 * standing + 2_628_001.0 / 3600.0 * 0.40),
            (used, 0.0, 0.0),
            (used, 1000.0, 1.0),
            (whole, 0.0, 0.0),
            (whole, 1.0, 1460.0),
            (whole, 2_628_001.0, 2920.0),
        ] {
            assert!(
                (month(&offer, volume) - want).abs() < 1e-9 * want.max(1.0),
                "{volume}: {}",
                month(&offer, volume)
            );
        }
    }

    #[test]
    fn a_volume_beyond_counting_is_still_a_number() {
        assert!(month(&example::buying(), 1e18).is_finite() && month(&example::renting(1.0), 1e18) > 1e14);
    }

    #[test]
    fn a_machine_that_is_half_busy_costs_twice_by_the_month_and_the_same_by_use() {
        let half = |offer: Offer| Offer { utilisation: Utilisation::new(0.5).unwrap(), ..offer };
        let unit = |offer: Offer| offer.unit().unwrap().amount;
        let (used, whole) = (example::renting(2.0), example::all_month(2.0));
        assert!((unit(half(used)) / unit(used) - 1.0).abs() < 1e-12);
        assert!((unit(half(whole)) / unit(whole) - 2.0).abs() < 1e-12);
    }
}
