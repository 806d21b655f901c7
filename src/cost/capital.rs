//! What a machine costs to buy: the device and all that it cannot work without.

use super::error::CostError;
use super::quantity::Share;
use crate::catalog::Money;
use serde::{Deserialize, Serialize};

/// Dearest amount that is no slip of the keyboard.
const DEAREST: f64 = 1e12;

/// The bill of a machine. A card needs a host, a processor needs memory modules: comparing a bare card
/// with a bare processor is the commonest error of price tables.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bill {
    /// The card or the processor.
    pub device: Money,
    /// The machine around it, whole.
    pub host: Money,
    /// The device's part of that machine: an eighth where eight cards share it.
    pub host_share: Share,
    /// Memory modules that are bought for it.
    pub modules: Money,
    /// Power supply and cooling that are bought for it.
    pub supply: Money,
}

impl Bill {
    /// device + host x share + modules + supply. A device for nothing is refused, since a missing price is
    /// the likelier reason; the rest may be 0.
    pub fn total(&self) -> Result<Money, CostError> {
        let host = part("price of a host", self.host)?;
        sum(&[
            price("price of a device", self.device)?,
            Money { amount: host.amount * self.host_share.get(), ..host },
            part("price of memory modules", self.modules)?,
            part("price of a power supply", self.supply)?,
        ])
    }
}

/// `money`, if something can cost that.
pub(super) fn price(what: &'static str, money: Money) -> Result<Money, CostError> {
    let fits = money.amount > 0.0 && money.amount <= DEAREST;
    let want = "an amount above 0 (leave out what has no price)";
    if fits { Ok(money) } else { Err(CostError::OutOfRange { what, found: money.amount, want }) }
}

/// `money`, if it can be a part of a price: nothing is allowed.
pub(super) fn part(what: &'static str, money: Money) -> Result<Money, CostError> {
    let fits = (0.0..=DEAREST).contains(&money.amount);
    let want = "an amount from 0 on";
    if fits { Ok(money) } else { Err(CostError::OutOfRange { what, found: money.amount, want }) }
}

/// All of them together; an error across currencies, because a rate of exchange is a price of its own.
pub(super) fn sum(amounts: &[Money]) -> Result<Money, CostError> {
    let Some(first) = amounts.first() else { return Ok(Money::usd(0.0)) };
    let other = amounts.iter().find(|money| money.currency != first.currency);
    match other {
        Some(other) => Err(CostError::Currencies(first.currency, other.currency)),
        None => Ok(Money { amount: amounts.iter().map(|money| money.amount).sum(), ..*first }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Currency;
    use crate::cost::example;

    #[test]
    fn a_bill_holds_the_share_of_the_host_and_everything_else() {
        let bill =
            Bill { host_share: Share::new(0.125).unwrap(), ..example::bill([8000.0, 4000.0, 300.0, 200.0]) };
        assert_eq!(bill.total(), Ok(Money::usd(9000.0)));
    }

    #[test]
    fn what_cannot_be_a_price_is_refused_with_what_to_do() {
        for (amounts, says) in [
            ([0.0, 1.0, 1.0, 1.0], "0 is no price of a device"),
            ([-5.0, 1.0, 1.0, 1.0], "-5 is no price of a device"),
            ([f64::NAN, 1.0, 1.0, 1.0], "NaN is no price of a device"),
            ([1.0, -1.0, 1.0, 1.0], "-1 is no price of a host"),
            ([1.0, 1.0, -1.0, 1.0], "memory modules"),
            ([1.0, 1.0, 1.0, 1e13], "power supply"),
        ] {
            let said = example::bill(amounts).total().unwrap_err().to_string();
            assert!(said.contains(says) && said.contains("give "), "{said}");
        }
    }

    #[test]
    fn currencies_are_never_added() {
        let mut bill = example::bill([1.0, 1.0, 1.0, 1.0]);
        bill.modules.currency = Currency::Eur;
        let said = bill.total().unwrap_err().to_string();
        assert!(said.contains("USD and EUR") && said.contains("one currency"), "{said}");
    }
}
