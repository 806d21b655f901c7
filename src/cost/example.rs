//! Offers for tests, with round numbers.

use super::capital::Bill;
use super::energy::{Power, PowerBasis, Tariff};
use super::offer::{Offer, Pace, Way};
use super::owned::Owned;
use super::quantity::{Draw, Interest, Loss, Pue, Seconds, Share, Units, Utilisation, Years};
use super::rented::{Billing, Contract, Rented};
use super::writeoff::Writeoff;
use crate::catalog::Money;

pub(super) fn bill([device, host, modules, supply]: [f64; 4]) -> Bill {
    let [device, host, modules, supply] = [device, host, modules, supply].map(Money::usd);
    Bill { device, host, host_share: Share::new(1.0).unwrap(), modules, supply }
}

pub(super) fn writeoff(years: f64, loss: f64, interest: f64) -> Writeoff {
    Writeoff {
        years: Years::new(years).unwrap(),
        loss: Loss::new(loss).unwrap(),
        interest: Interest::new(interest).unwrap(),
    }
}

pub(super) fn power(busy: f64, idle: f64) -> Power {
    Power { busy: Draw::new(busy).unwrap(), idle: Draw::new(idle).unwrap(), basis: PowerBasis::Measured }
}

pub(super) fn tariff(kwh: f64, pue: f64) -> Tariff {
    Tariff { kwh: Money::usd(kwh), pue: Pue::new(pue).unwrap() }
}

/// 1 $ of capital, 0.10 of hosting and 0.10 of idle power each hour; 0.40 more at work.
pub(super) fn owned() -> Owned {
    Owned {
        bill: bill([20_000.0, 5_000.0, 1_000.0, 280.0]),
        writeoff: writeoff(3.0, 1.0, 0.0),
        power: Some(power(1000.0, 200.0)),
        tariff: tariff(0.4, 1.25),
        hosting: Money::usd(73.0),
    }
}

pub(super) fn rented(hour: f64) -> Rented {
    Rented {
        hour: Money::usd(hour),
        share: Share::new(1.0).unwrap(),
        contract: Contract::OnDemand,
        billing: Billing::Used,
        interruptions: None,
    }
}

/// A unit a second, at all hours.
fn offer(way: Way) -> Offer {
    let pace = Pace { seconds: Seconds::new(1.0).unwrap(), units: Units::new(1.0).unwrap() };
    Offer { way, pace, utilisation: Utilisation::new(1.0).unwrap(), memory: None }
}

pub(super) fn buying() -> Offer {
    offer(Way::Owned(owned()))
}

pub(super) fn renting(hour: f64) -> Offer {
    offer(Way::Rented(rented(hour)))
}

pub(super) fn all_month(hour: f64) -> Offer {
    offer(Way::Rented(Rented { billing: Billing::Whole, ..rented(hour) }))
}
