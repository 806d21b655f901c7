//! Candidates for tests, with round numbers: a slow machine that is bought, a fast one that is bought, and the fast
//! one rented.

use super::candidate::{Candidate, PriceBasis, TimeBasis};
use crate::catalog::{Date, Money, PriceKind};
use crate::compare::Interval;
use crate::cost::{
    Bill, Billing, Contract, Draw, Factor, Interest, Loss, Offer, Owned, Pace, Power, PowerBasis, Pue,
    Rented, Seconds, Share, Swing, Tariff, Units, Utilisation, Way, Writeoff, Years,
};

fn owned(device: f64, watts: f64) -> Way {
    Way::Owned(Owned {
        bill: Bill {
            device: Money::usd(device),
            host: Money::usd(0.0),
            host_share: Share::new(1.0).unwrap(),
            modules: Money::usd(0.0),
            supply: Money::usd(0.0),
        },
        writeoff: Writeoff {
            years: Years::new(3.0).unwrap(),
            loss: Loss::new(0.3).unwrap(),
            interest: Interest::new(0.05).unwrap(),
        },
        power: Some(Power {
            busy: Draw::new(watts).unwrap(),
            idle: Draw::new(watts / 4.0).unwrap(),
            basis: PowerBasis::Datasheet,
        }),
        tariff: Tariff { kwh: Money::usd(0.12), pue: Pue::new(1.3).unwrap() },
        hosting: Money::usd(0.0),
    })
}

fn rented(hour: f64) -> Way {
    Way::Rented(Rented {
        hour: Money::usd(hour),
        share: Share::new(1.0).unwrap(),
        contract: Contract::OnDemand,
        billing: Billing::Used,
        interruptions: None,
    })
}

fn candidate(name: &str, way: Way, seconds: f64, time: TimeBasis) -> Candidate {
    let pace = Pace { seconds: Seconds::new(seconds).unwrap(), units: Units::new(1.0).unwrap() };
    let offer = Offer { way, pace, utilisation: Utilisation::new(0.5).unwrap(), memory: None };
    let price = offer.price().amount;
    let swing = |factor, low, high| Swing { factor, side: None, low, high };
    let catalogue = PriceBasis::Catalog {
        kind: PriceKind::StreetNew,
        date: Date::parse("2026-10").unwrap(),
        stale: false,
    };
    Candidate {
        device: name.replace(' ', "-"),
        name: name.to_string(),
        offer,
        seconds: Interval { low: seconds * 0.9, centre: seconds, high: seconds * 1.2 },
        time,
        price: if time == TimeBasis::Measured { PriceBasis::User } else { catalogue },
        swings: vec![
            swing(Factor::Seconds, seconds * 0.9, seconds * 1.2),
            swing(Factor::Price, price * 0.8, price * 1.3),
        ],
        batch: 8,
        needs: 1 << 30,
        holds: Some(16 << 30),
        assumed: vec!["a whole host".to_string()],
    }
}

pub(crate) fn candidates() -> Vec<Candidate> {
    vec![
        candidate("slow machine, bought", owned(1500.0, 100.0), 1.0, TimeBasis::Measured),
        candidate("fast card, bought", owned(30_000.0, 800.0), 0.02, TimeBasis::MeasuredRoofs),
        candidate("fast card, rented", rented(2.5), 0.02, TimeBasis::DatasheetRoofs),
    ]
}
