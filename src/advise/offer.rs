//! From a price to an offer: what stands around the device, what it draws, and all that is not known exactly.

use super::assumptions::{Assumptions, Terms};
use super::quote::{Quote, module};
use crate::catalog::{Basis, Catalog, Class, Covers, Date, Device, Fact, Money, PriceKind};
use crate::compare::Interval;
use crate::cost::{
    Bill, Billing, Contract, CostError, Draw, Factor, MachinePrice, Memory, Offer, Owned, Pace, Power,
    PowerBasis, Rented, Seconds, Share, Size, Swing, Units, Way,
};

/// Memory that is bought for a processor: its module in the catalogue and how many. A server has twelve channels, and
/// one that is empty costs bandwidth; a desktop has two.
const SERVER_MODULES: (&str, f64) = ("ddr5-rdimm-64gb", 12.0);
const DESKTOP_MODULES: (&str, f64) = ("ddr5-udimm-kit-64gb-consumer", 1.0);

/// Bytes of a card that its driver, its libraries and fragmentation take.
const DRIVER: f64 = 1.0e9;

/// The factors between which the watts of a machine lie, over those of the datasheets of what is in it.
const DRAWN: [f64; 2] = [0.6, 1.25];

/// A way to have a device, with its ends, before the work that it does.
#[derive(Clone, Debug)]
pub(super) struct Had {
    pub way: Way,
    pub swings: Vec<Swing>,
    /// How it is had, for people: `bought (street, new)`.
    pub how: String,
    pub assumed: Vec<String>,
}

/// What a device holds of a job.
#[derive(Clone, Debug)]
pub(super) struct Room {
    pub bytes: Option<u64>,
    /// Modules that are bought for it.
    pub modules: Option<(Money, Date)>,
    pub assumed: Vec<String>,
}

fn confirmed(fact: Option<Fact>) -> Option<f64> {
    fact.filter(|fact| fact.basis != Basis::Unverified).map(|fact| fact.value)
}

/// Bytes that a device has for a job: as sold, less what its driver takes; of a processor, those of its modules.
pub(super) fn room(device: &Device, catalog: &Catalog, as_of: Date, terms: &Terms) -> Room {
    let fixed =
        |bytes: Option<f64>| Room { bytes: bytes.map(|bytes| bytes as u64), modules: None, assumed: vec![] };
    if let Some(bytes) = confirmed(device.memory_bytes) {
        return fixed(Some(bytes));
    }
    let (id, count) = match device.class {
        Class::CpuServer => SERVER_MODULES,
        Class::CpuDesktop => DESKTOP_MODULES,
        class => {
            let sold = confirmed(device.memory_nominal_gb);
            let taken = if class.is_gpu() { DRIVER } else { 4.0 * DRIVER };
            return fixed(sold.map(|gb| (gb * 1e9 - taken).max(0.0)));
        }
    };
    let Some((price, gb, date)) = module(catalog, id, as_of, terms.currency) else { return fixed(None) };
    let cost = Money { amount: price.amount * count, ..price };
    Room {
        bytes: Some((gb * count * 1e9) as u64),
        modules: Some((cost, date)),
        assumed: vec![format!(
            "{count} x {gb} GB of memory are bought with it, for {cost} by a price of {date}"
        )],
    }
}

/// A way to have what is quoted.
pub(super) fn had(
    quote: &Quote,
    room: &Room,
    assumptions: &Assumptions,
    terms: &Terms,
) -> Result<Had, CostError> {
    let swing = |factor, low: f64, high: f64| Swing { factor, side: None, low, high };
    let spread = (quote.high > quote.low).then(|| swing(Factor::Price, quote.low, quote.high));
    if quote.kind.is_rent() {
        return rented(quote, spread, terms);
    }
    let mut assumed = room.assumed.clone();
    let nothing = assumptions.money(0.0);
    let around = matches!(quote.covers, Covers::Card | Covers::Chip);
    if around {
        let host = assumptions.money(assumptions.host);
        assumed.push(format!("the machine around it costs {host}"));
    }
    let power = power(quote.device, assumptions)?;
    match &power {
        Some(power) => assumed.push(format!(
            "it draws {:.0} W at work with the machine around it, {} times the datasheet's",
            power.busy.get(),
            assumptions.all_in
        )),
        None => assumed.push("nobody confirms its watts, so that its energy is left out".to_string()),
    }
    let bill = Bill {
        device: quote.centre,
        host: if around { assumptions.money(assumptions.host) } else { nothing },
        host_share: Share::new(1.0)?,
        modules: room.modules.map_or(nothing, |(cost, _)| cost),
        supply: nothing,
    };
    let mut swings: Vec<Swing> = spread.into_iter().collect();
    if let Some(power) = &power {
        swings.push(swing(
            Factor::Busy,
            f64::max(power.busy.get() * DRAWN[0], power.idle.get()),
            power.busy.get() * DRAWN[1],
        ));
    }
    let how = format!("bought ({})", quote.kind.label());
    Ok(Had { way: Way::Owned(owned(bill, power, assumptions, terms)), swings, how, assumed })
}

fn owned(bill: Bill, power: Option<Power>, assumptions: &Assumptions, terms: &Terms) -> Owned {
    let hosting = assumptions.money(assumptions.hosting);
    Owned { bill, writeoff: terms.writeoff, power, tariff: terms.tariff, hosting }
}

fn rented(quote: &Quote, spread: Option<Swing>, terms: &Terms) -> Result<Had, CostError> {
    let (contract, how) = match quote.kind {
        PriceKind::CloudSpot => (Contract::Spot, "rented, spot"),
        PriceKind::CloudReserved => (Contract::Reserved, "rented, reserved"),
        _ => (Contract::OnDemand, "rented on demand"),
    };
    let mut assumed = Vec::new();
    let interruptions = (contract == Contract::Spot).then_some(terms.interruptions);
    if let Some(interruptions) = &interruptions {
        assumed.push(format!(
            "it is taken away {} times an hour, which stretches the work {:.3} times",
            interruptions.often.get(),
            interruptions.stretch()
        ));
    }
    // A machine for a term is paid whether used or not; another is given back after the work.
    let billing = if contract == Contract::Reserved { Billing::Whole } else { Billing::Used };
    let way =
        Way::Rented(Rented { hour: quote.centre, share: Share::new(1.0)?, contract, billing, interruptions });
    Ok(Had { way, swings: spread.into_iter().collect(), how: how.to_string(), assumed })
}

/// Watts of the machine: the datasheet's times what all around it adds.
fn power(device: &Device, assumptions: &Assumptions) -> Result<Option<Power>, CostError> {
    let Some(watts) = confirmed(device.watts) else { return Ok(None) };
    let busy = watts * assumptions.all_in;
    let idle = Draw::new(busy * assumptions.idle)?;
    Ok(Some(Power { busy: Draw::new(busy)?, idle, basis: PowerBasis::Datasheet }))
}

/// The machine at hand, for what the user says that it costs.
pub(super) fn machine(
    price: MachinePrice,
    assumptions: &Assumptions,
    terms: &Terms,
) -> Result<Had, CostError> {
    let nothing = assumptions.money(0.0);
    let whole = Share::new(1.0)?;
    let (way, how, assumed) = match price {
        MachinePrice::Hourly(hour) => {
            let hour = assumptions.money(hour);
            let rented = Rented {
                hour,
                share: whole,
                contract: Contract::OnDemand,
                billing: Billing::Used,
                interruptions: None,
            };
            (Way::Rented(rented), "rented", vec![])
        }
        MachinePrice::Bought(device) => {
            let bill = Bill {
                device: assumptions.money(device),
                host: nothing,
                host_share: whole,
                modules: nothing,
                supply: nothing,
            };
            let power = match assumptions.machine_watts {
                Some(watts) => {
                    let (busy, idle) = (Draw::new(watts)?, Draw::new(watts * assumptions.idle)?);
                    Some(Power { busy, idle, basis: PowerBasis::User })
                }
                None => None,
            };
            let said = match power {
                Some(_) => vec![],
                None => vec![
                    "nobody says what it draws, so that its energy is left out: --machine-watts".to_string(),
                ],
            };
            (Way::Owned(owned(bill, power, assumptions, terms)), "bought", said)
        }
    };
    Ok(Had { way, swings: vec![], how: how.to_string(), assumed })
}

/// The offer for work that takes `seconds` and yields `units`.
pub(super) fn offer(
    had: &Had,
    device: Option<&Device>,
    seconds: &Interval,
    units: f64,
    terms: &Terms,
) -> Result<(Offer, Vec<Swing>), CostError> {
    let pace = Pace { seconds: Seconds::new(seconds.centre)?, units: Units::new(units)? };
    let sizes = device.and_then(|device| {
        let (gb, gb_s) = (confirmed(device.memory_nominal_gb)?, confirmed(device.bandwidth_gb_s)?);
        Some(Memory { gb: Size::new(gb).ok()?, gb_s: Size::new(gb_s).ok()? })
    });
    let mut swings = had.swings.clone();
    if seconds.high > seconds.low {
        swings.insert(0, Swing { factor: Factor::Seconds, side: None, low: seconds.low, high: seconds.high });
    }
    Ok((Offer { way: had.way, pace, utilisation: terms.utilisation, memory: sizes }, swings))
}
