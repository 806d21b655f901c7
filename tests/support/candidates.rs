//! Candidates for one job, with offers of the cost model's vectors and swings of round shares.

use cutgpu::advise::{Candidate, PriceBasis, TimeBasis};
use cutgpu::catalog::{Date, PriceKind};
use cutgpu::compare::Interval;
use cutgpu::cost::{Factor, Offer, Swing, Utilisation, Way};

const VECTORS: &str = include_str!("../money/vectors.json");

/// Name of the offer, of the device, for people, and where the seconds come from.
const ROWS: [(&str, &str, &str, TimeBasis); 5] = [
    ("small-rent", "this-machine", "this machine, rented", TimeBasis::Measured),
    ("card", "card", "a card, bought", TimeBasis::MeasuredRoofs),
    ("accelerator", "accelerator", "an accelerator, bought", TimeBasis::DatasheetRoofs),
    ("instance", "accelerator", "an accelerator, rented", TimeBasis::DatasheetRoofs),
    ("spot", "accelerator", "an accelerator, spot", TimeBasis::DatasheetRoofs),
];

/// Every kind of offer: bought with a share of a host, rented by use, spot with interruptions.
pub(crate) fn candidates() -> Vec<Candidate> {
    let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    ROWS.into_iter()
        .map(|(offer, device, name, time)| candidate(&vectors["offers"][offer], device, name, time))
        .collect()
}

fn candidate(offer: &serde_json::Value, device: &str, name: &str, time: TimeBasis) -> Candidate {
    let offer: Offer = serde_json::from_value(offer.clone()).unwrap();
    let offer = Offer { utilisation: Utilisation::new(0.6).unwrap(), ..offer };
    let (seconds, price) = (offer.pace.seconds.get(), offer.price().amount);
    let swing = |factor, low: f64, high: f64| Swing { factor, side: None, low, high };
    let mut swings = vec![
        swing(Factor::Seconds, seconds * 0.8, seconds * 1.5),
        swing(Factor::Price, price * 0.7, price * 1.4),
    ];
    if let Way::Owned(owned) = &offer.way
        && let Some(power) = &owned.power
    {
        swings.push(swing(Factor::Busy, power.busy.get() * 0.9, power.busy.get() * 1.1));
    }
    let date = Date::parse("2026-10").unwrap();
    Candidate {
        device: device.to_string(),
        name: name.to_string(),
        seconds: Interval { low: seconds * 0.8, centre: seconds, high: seconds * 1.5 },
        offer,
        time,
        price: match time {
            TimeBasis::Measured => PriceBasis::User,
            _ => PriceBasis::Catalog { kind: PriceKind::StreetNew, date, stale: true },
        },
        swings,
        batch: 32,
        needs: 1 << 30,
        holds: None,
        assumed: vec!["a quarter of a host".to_string()],
    }
}
