//! What owning costs each month: loss of value and interest.

use super::error::CostError;
use super::quantity::{Interest, Loss, Years};
use crate::catalog::Money;
use serde::{Deserialize, Serialize};

/// How a purchase turns into a monthly charge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writeoff {
    /// Years of use, after which the machine is sold.
    pub years: Years,
    /// Share of its value lost each year: declining balance. 1 leaves nothing to sell.
    pub loss: Loss,
    /// What the money would have earned, or what it was borrowed at.
    pub interest: Interest,
}

impl Writeoff {
    /// Share of the price that the machine is sold for: (1 - loss)^years.
    pub fn resale(&self) -> f64 {
        (1.0 - self.loss.get()).powf(self.years.get())
    }

    /// Interest of a month: a twelfth of the nominal rate.
    pub fn monthly_interest(&self) -> f64 {
        self.interest.get() / 12.0
    }

    /// Share of a loan that each of its n equal monthly payments is: i / (1 - (1 + i)^-n), and 1/n without
    /// interest. The capital recovery factor of engineering economy (Grant and Ireson, "Principles of
    /// Engineering Economy").
    pub fn recovery(&self) -> f64 {
        let (months, interest) = (12.0 * self.years.get(), self.monthly_interest());
        if interest == 0.0 {
            return 1.0 / months;
        }
        // As logarithms, because a small rate would cancel.
        interest / -(-months * interest.ln_1p()).exp_m1()
    }

    /// Monthly charge for `capital`, of which the resale value L comes back at the end:
    /// (P - L) x recovery + L x interest of a month.
    pub fn month(&self, capital: Money) -> Result<Money, CostError> {
        let sold = capital.amount * self.resale();
        let lost = capital.amount - sold;
        Ok(Money { amount: lost * self.recovery() + sold * self.monthly_interest(), ..capital })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::example::writeoff;

    #[test]
    fn without_interest_and_resale_it_is_a_straight_line() {
        let straight = writeoff(3.0, 1.0, 0.0);
        assert_eq!(straight.resale(), 0.0);
        assert!((straight.month(Money::usd(3600.0)).unwrap().amount - 100.0).abs() < 1e-12);
    }

    #[test]
    fn half_lost_each_year_leaves_an_eighth_after_three() {
        let halved = writeoff(3.0, 0.5, 0.0);
        assert!((halved.resale() - 0.125).abs() < 1e-15);
        assert!((halved.month(Money::usd(3600.0)).unwrap().amount - 87.5).abs() < 1e-12);
    }

    #[test]
    fn payments_discounted_at_the_rate_give_back_the_price() {
        for interest in [1e-12, 0.01, 0.06, 0.5] {
            let plan = writeoff(2.0, 0.3, interest);
            let month = plan.month(Money::usd(1000.0)).unwrap().amount;
            let i = interest / 12.0;
            let payments: f64 = (1..=24).map(|n| month / (1.0 + i).powi(n)).sum();
            let sold = 1000.0 * plan.resale() / (1.0 + i).powi(24);
            assert!((payments + sold - 1000.0).abs() < 1e-6, "{interest}: {}", payments + sold);
        }
    }
}
