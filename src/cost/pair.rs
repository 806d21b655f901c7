//! Two offers side by side: which is cheaper, from which volume and which month on, at which price.

use super::capital::sum;
use super::error::CostError;
use super::offer::{Line, Offer, Way};
use super::quantity::{Volume, Years};
use crate::catalog::Money;
use serde::{Deserialize, Serialize};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// What there is: renting, or the processor.
    A,
    /// What might be better: buying, or the GPU.
    B,
}

/// Two offers for the same work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// What there is.
    pub a: Offer,
    /// What might be better.
    pub b: Offer,
    /// Units wanted each month.
    pub volume: Volume,
    /// For how long.
    pub years: Years,
}

/// Most steps of whole machines that a break-even is looked for in.
const STEPS: usize = 10_000;

impl Pair {
    /// One of the two.
    pub fn side(&self, side: Side) -> &Offer {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }

    /// Both lines, in one currency.
    fn lines(&self) -> Result<[Line; 2], CostError> {
        let lines = [self.a.line()?, self.b.line()?];
        sum(&[lines[0].standing, lines[1].standing])?;
        Ok(lines)
    }

    /// All that is paid over the years.
    pub fn total(&self, side: Side) -> Result<Money, CostError> {
        let month = self.side(side).month(self.volume)?;
        Ok(Money { amount: month.amount * 12.0 * self.years.get(), ..month })
    }

    /// The least volume a month at which B costs no more than A: 0 where it never costs more, infinite where
    /// it always does within ten thousand steps of whole machines. Between two steps both are straight lines,
    /// (n_b standing_b - n_a standing_a) / (each_a - each_b); at a step of A its next machine is paid.
    pub fn break_even_volume(&self) -> Result<f64, CostError> {
        let [a, b] = self.lines()?;
        let (mut machines_a, mut machines_b, mut start) = (1.0, 1.0, 0.0);
        let slope = a.each.amount - b.each.amount;
        for _ in 0..STEPS {
            let (end_a, end_b) = (machines_a * a.capacity, machines_b * b.capacity);
            let end = f64::min(end_a, end_b);
            let more = machines_b * b.standing.amount - machines_a * a.standing.amount;
            if more <= slope * start {
                return Ok(start);
            }
            if slope > 0.0 && more / slope <= end {
                return Ok(more / slope);
            }
            machines_a += if end_a <= end { 1.0 } else { 0.0 };
            machines_b += if end_b <= end { 1.0 } else { 0.0 };
            start = end;
        }
        Ok(f64::INFINITY)
    }

    /// Months after which buying B has cost less than going on with A at the volume wanted, the machines not
    /// being sold: n such that the saving of each month, discounted at the interest i of a month, pays the
    /// price P, n = -ln(1 - P i / saving) / ln(1 + i), and P / saving without interest. Infinite where it
    /// never does.
    pub fn break_even_month(&self) -> Result<f64, CostError> {
        let Way::Owned(owned) = self.b.way else {
            return Err(CostError::Missing { what: "a break-even month", lacks: "what B costs to buy" });
        };
        let line = self.b.line()?;
        let machines = line.machines(self.volume.get());
        let paid = owned.bill.total()?.amount * machines;
        let [running, going_on] = [owned.running_month()?, self.a.month(self.volume)?];
        sum(&[running, going_on])?;
        let own = machines * running.amount + self.volume.get() * line.each.amount;
        let (saving, interest) = (going_on.amount - own, owned.writeoff.monthly_interest());
        Ok(match () {
            () if saving <= 0.0 || paid * interest >= saving => f64::INFINITY,
            () if interest == 0.0 => paid / saving,
            () => -(-paid * interest / saving).ln_1p() / interest.ln_1p(),
        })
    }

    /// How many times as many units B does in an hour of work.
    pub fn speed_up(&self) -> f64 {
        self.b.units_an_hour() / self.a.units_an_hour()
    }

    /// How many times as much an hour of work on B costs.
    pub fn price_ratio(&self) -> Result<f64, CostError> {
        let [a, b] = [self.a.busy_hour()?, self.b.busy_hour()?];
        b.ratio(a).ok_or(CostError::Currencies(a.currency, b.currency))
    }

    /// Worth factor: speed-up over price ratio. Above 1 B pays, at the stated utilisations. A speed-up alone
    /// says nothing about money.
    pub fn worth(&self) -> Result<f64, CostError> {
        Ok(self.speed_up() / self.price_ratio()?)
    }

    /// The price of B's device, or of an hour of it where it is rented, at which a unit costs as much on
    /// both: the ranking flips there. Below 0 where B would be dearer as a gift.
    pub fn flip_price(&self) -> Result<Money, CostError> {
        let target = self.a.unit()?;
        let [once, twice] = [self.b, self.b.repriced(2.0)].map(|offer| offer.unit());
        let (once, twice) = (once?, twice?);
        sum(&[target, once])?;
        let price = self.b.price();
        // A unit's cost is c0 + k x price.
        let slope = (twice.amount - once.amount) / price.amount;
        Ok(Money { amount: price.amount + (target.amount - once.amount) / slope, ..price })
    }
}

impl Offer {
    /// Price of the device, or of an hour.
    pub fn price(&self) -> Money {
        match self.way {
            Way::Owned(owned) => owned.bill.device,
            Way::Rented(rented) => rented.hour,
        }
    }

    /// The same at `factor` times that price.
    pub fn repriced(mut self, factor: f64) -> Self {
        match &mut self.way {
            Way::Owned(owned) => owned.bill.device.amount *= factor,
            Way::Rented(rented) => rented.hour.amount *= factor,
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Currency;
    use crate::cost::example;
    use crate::cost::quantity::{Interest, Seconds};

    fn pair(a: Offer, b: Offer, volume: f64) -> Pair {
        Pair { a, b, volume: Volume::new(volume).unwrap(), years: Years::new(3.0).unwrap() }
    }

    /// How much more a month of B costs.
    fn more(pair: &Pair, volume: f64) -> f64 {
        let month = |offer: &Offer| offer.month(Volume::new(volume).unwrap()).unwrap().amount;
        month(&pair.b) - month(&pair.a)
    }

    #[test]
    fn at_the_break_even_both_cost_the_same_and_below_it_b_more() {
        let mut fast = example::buying();
        fast.pace.seconds = Seconds::new(0.25).unwrap();
        for b in [example::buying(), fast] {
            let pair = pair(example::renting(3.6), b, 0.0);
            let volume = pair.break_even_volume().unwrap();
            assert!(volume > 0.0 && more(&pair, volume).abs() < 1e-6, "{volume}");
            assert!(more(&pair, volume * 0.999) > 0.0 && more(&pair, volume * 1.001) < 0.0);
        }
    }

    #[test]
    fn a_rent_below_the_energy_is_never_beaten_and_a_dear_month_always() {
        let never = pair(example::renting(0.30), example::buying(), 0.0);
        assert_eq!(never.break_even_volume(), Ok(f64::INFINITY));
        let always = pair(example::all_month(5.0), example::buying(), 0.0);
        assert_eq!(always.break_even_volume(), Ok(0.0));
    }

    #[test]
    fn the_next_machine_of_a_can_tip_the_scales() {
        // One month of A is cheaper than B's, two are not; B holds four times as much.
        let mut b = example::buying();
        b.pace.seconds = Seconds::new(0.25).unwrap();
        let pair = pair(example::all_month(0.70), b, 0.0);
        let volume = pair.break_even_volume().unwrap();
        assert!((volume - pair.a.line().unwrap().capacity).abs() < 1e-6, "{volume}");
        assert!(more(&pair, volume + 1.0) < 0.0 && more(&pair, volume - 1.0) > 0.0);
    }

    #[test]
    fn a_purchase_is_paid_back_by_what_each_month_saves() {
        // Rent 2.20 an hour, all month; running costs 146 + 292: 1168 saved each month.
        let mut pair = pair(example::all_month(2.2), example::buying(), 2_628_000.0);
        let plain = pair.break_even_month().unwrap();
        assert!((plain - 26_280.0 / 1168.0).abs() < 1e-9, "{plain}");
        let with_interest = |pair: &mut Pair, rate: f64| {
            if let Way::Owned(owned) = &mut pair.b.way {
                owned.writeoff.interest = Interest::new(rate).unwrap();
            }
            pair.break_even_month().unwrap()
        };
        let months = with_interest(&mut pair, 0.12);
        // The saved months are worth the price when discounted.
        let worth = 1168.0 * (1.0 - 1.01f64.powf(-months)) / 0.01;
        assert!((worth - 26_280.0).abs() < 1e-6 && months > plain);
        assert_eq!(with_interest(&mut pair, 0.60), f64::INFINITY);
        let rented = Pair { b: pair.a, ..pair };
        assert!(rented.break_even_month().unwrap_err().to_string().contains("what B costs to buy"));
    }

    #[test]
    fn the_worth_factor_is_one_units_cost_over_the_others() {
        let pair = pair(example::renting(0.5), example::buying(), 0.0);
        let unit = |offer: Offer| offer.unit().unwrap().amount;
        assert!((pair.worth().unwrap() - unit(pair.a) / unit(pair.b)).abs() < 1e-12);
        assert!((pair.worth().unwrap() - pair.speed_up() / pair.price_ratio().unwrap()).abs() < 1e-15);
    }

    #[test]
    fn at_the_flip_price_a_unit_costs_the_same() {
        for (a, b) in [
            (example::renting(2.0), example::buying()),
            (example::buying(), example::renting(2.0)),
            (example::renting(0.9), example::all_month(2.0)),
        ] {
            let pair = pair(a, b, 0.0);
            let flip = pair.flip_price().unwrap();
            let level = b.repriced(flip.amount / b.price().amount).unit().unwrap().amount;
            assert!((level / a.unit().unwrap().amount - 1.0).abs() < 1e-9, "{flip:?}");
        }
        let gift = pair(example::renting(0.01), example::buying(), 0.0).flip_price().unwrap();
        assert!(gift.amount < 0.0);
    }

    #[test]
    fn offers_in_two_currencies_have_no_answer() {
        let mut a = example::renting(2.0);
        if let Way::Rented(rented) = &mut a.way {
            rented.hour.currency = Currency::Eur;
        }
        let pair = pair(a, example::buying(), 1.0);
        let errors = [
            pair.break_even_volume().unwrap_err(),
            pair.break_even_month().unwrap_err(),
            pair.worth().unwrap_err(),
            pair.flip_price().unwrap_err(),
        ];
        assert!(errors.iter().all(|error| error.to_string().contains("one currency")), "{errors:?}");
    }
}
