//! $ per unit of work: from a measured rate of this machine, or from the roof that a datasheet draws.

use crate::catalog::{Basis, Catalog, Class, Date, Device, Money, Price, PriceKind};
use crate::ops::Work;
use std::collections::BTreeMap;

/// What turns a purchase price into an hourly one. The user may change each; the page states them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assumptions {
    /// Years until the device is written off, without residual value.
    pub years: f64,
    /// Share of all hours in which it does this work.
    pub utilisation: f64,
    /// $ per kWh.
    pub energy_price: f64,
    /// Power of the building over power of the computers.
    pub pue: f64,
}

impl Default for Assumptions {
    // Straight-line write-off over three years, a machine that is always busy, a US industrial tariff
    // and an efficient hall: round figures for a first answer, each of which the user is asked to replace.
    fn default() -> Self {
        Self { years: 3.0, utilisation: 1.0, energy_price: 0.12, pue: 1.3 }
    }
}

/// Where an hourly amount comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum HourlyBasis {
    /// The user said what this machine costs.
    User,
    /// A rent of the catalogue.
    Rent(PriceKind),
    /// A purchase price of the catalogue, written off under the assumptions.
    Purchase(PriceKind),
}

/// What an hour of a device costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Hourly {
    /// Amount for an hour of work.
    pub amount: Money,
    /// Where it comes from.
    pub basis: HourlyBasis,
    /// Day of the price.
    pub date: Date,
    /// Too old to buy by.
    pub stale: bool,
}

impl Assumptions {
    /// An hour of work on a machine bought for `capital`: straight-line write-off plus energy,
    /// [P / (Y 8760) + W PUE e / 1000] / U, with energy left out where the watts are unknown.
    pub fn hour_of(&self, capital: Money, watts: Option<f64>) -> Money {
        let energy = watts.unwrap_or(0.0) / 1000.0 * self.pue * self.energy_price;
        let hourly = capital.amount / (self.years * 8760.0) + energy;
        Money { amount: hourly / self.utilisation, ..capital }
    }

    /// What an hour costs by one observation: a rent is paid idle or busy, a purchase is written off.
    fn hourly(&self, device: &Device, price: &Price, as_of: Date) -> Hourly {
        let (amount, basis) = if price.kind.is_rent() {
            (price.each().per(self.utilisation), HourlyBasis::Rent(price.kind))
        } else {
            let watts = device.watts.filter(|fact| fact.basis != Basis::Unverified).map(|fact| fact.value);
            (self.hour_of(price.each(), watts), HourlyBasis::Purchase(price.kind))
        };
        Hourly { amount, basis, date: price.date, stale: price.is_stale(as_of) }
    }
}

/// Where a rate of work comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateBasis {
    /// It was run and timed.
    Measured,
    /// No machine reaches it: work divided by the datasheet's peaks.
    Datasheet,
}

/// What one unit of work costs on one device.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitCost {
    /// Id of the device, or `this machine`.
    pub device: String,
    /// Name for tables and charts.
    pub name: String,
    /// Unit: `token`, `step`, `PFLOP`.
    pub unit: String,
    /// $ per unit: low, middle, high. A datasheet's figure is a single lower bound, three times.
    pub cost: [Money; 3],
    /// What an hour costs and why.
    pub hourly: Hourly,
    /// Where the rate comes from.
    pub rate: RateBasis,
}

/// Cost of a unit at a measured time per execution.
///
/// `seconds` is the interval [low, middle, high] of one execution, which yields `amount` of `unit`.
/// None where nothing was yielded or the time is not a positive number.
pub fn measured_cost(
    name: &str,
    unit: &str,
    amount: f64,
    seconds: [f64; 3],
    hourly: &Hourly,
) -> Option<UnitCost> {
    let usable = amount > 0.0 && seconds.iter().all(|time| time.is_finite() && *time > 0.0);
    usable.then(|| UnitCost {
        device: "this machine".to_string(),
        name: name.to_string(),
        unit: unit.to_string(),
        cost: seconds
            .map(|time| Money { amount: hourly.amount.amount * time / 3600.0 / amount, ..hourly.amount }),
        hourly: hourly.clone(),
        rate: RateBasis::Measured,
    })
}

/// Least seconds that `work` of `precision` can take on a device: the larger of its arithmetic over the
/// dense peak and its compulsory bytes over the peak bandwidth (Williams, Waterman, Patterson,
/// "Roofline", CACM 2009). None where a peak is unknown or unconfirmed.
pub fn datasheet_seconds(device: &Device, work: Work, precision: &str) -> Option<f64> {
    let rate = device.rate(precision)?.value * 1e12;
    let bandwidth = device.bandwidth_gb_s.filter(|fact| fact.basis != Basis::Unverified)?.value * 1e9;
    Some((work.least_flops() as f64 / rate).max(work.bytes() as f64 / bandwidth))
}

/// What a unit would cost at the datasheet's peaks on every device of the catalogue with a price, by
/// kind of price: the newest of each device that `as_of` knew, cheapest first.
pub fn datasheet_costs(
    catalog: &Catalog,
    as_of: Date,
    assumptions: &Assumptions,
    work: Work,
    precision: &str,
    (unit, amount): (&str, f64),
) -> BTreeMap<PriceKind, Vec<UnitCost>> {
    let mut newest: BTreeMap<_, (&Device, &Price)> = BTreeMap::new();
    for (device, price) in
        catalog.known(as_of).filter(|(device, price)| device.class != Class::Ram && !price.unverified)
    {
        let entry = newest.entry((&device.id, price.kind)).or_insert((device, price));
        if price.date.last_day() >= entry.1.date.last_day() {
            *entry = (device, price);
        }
    }
    let mut kinds: BTreeMap<PriceKind, Vec<UnitCost>> = BTreeMap::new();
    for (device, price) in newest.into_values() {
        let Some(seconds) = datasheet_seconds(device, work, precision) else { continue };
        let hourly = assumptions.hourly(device, price, as_of);
        let cost = measured_cost(&device.name, unit, amount, [seconds; 3], &hourly);
        let bound =
            cost.map(|cost| UnitCost { device: device.id.clone(), rate: RateBasis::Datasheet, ..cost });
        kinds.entry(price.kind).or_default().extend(bound);
    }
    for costs in kinds.values_mut() {
        costs.sort_by(|a, b| a.cost[1].amount.total_cmp(&b.cost[1].amount));
    }
    kinds.retain(|_, costs| !costs.is_empty());
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> Date {
        Date::parse("2026-11-23").unwrap()
    }

    #[test]
    fn an_owned_hour_is_write_off_plus_energy_over_utilisation() {
        let assumptions = Assumptions { years: 2.0, utilisation: 0.5, energy_price: 0.10, pue: 1.5 };
        // 17520 over 2 x 8760 hours is 1 an hour; 1 kW x 1.5 x 0.10 is 0.15; half of the hours are used.
        let hour = assumptions.hour_of(Money::usd(17_520.0), Some(1000.0));
        assert!((hour.amount - 2.30).abs() < 1e-12);
        assert_eq!(assumptions.hour_of(Money::usd(17_520.0), None), Money::usd(2.0));
    }

    #[test]
    fn a_unit_costs_its_share_of_the_hour() {
        let hourly =
            Hourly { amount: Money::usd(3.6), basis: HourlyBasis::User, date: today(), stale: false };
        let cost = measured_cost("cpu", "step", 2.0, [0.9, 1.0, 1.2], &hourly).unwrap();
        assert_eq!(cost.cost.map(|money| (money.amount * 1e6).round()), [450.0, 500.0, 600.0]);
        assert_eq!(cost.rate, RateBasis::Measured);
        for (amount, seconds) in [(0.0, [1.0; 3]), (1.0, [0.0; 3]), (1.0, [f64::NAN; 3])] {
            assert_eq!(measured_cost("cpu", "step", amount, seconds, &hourly), None);
        }
    }

    #[test]
    fn the_roofline_takes_the_slower_of_arithmetic_and_memory() {
        let catalog = Catalog::embedded().unwrap();
        let card = catalog.device("geforce-rtx-4090").unwrap();
        let compute = Work { flops: 82_600_000_000_000, bytes_read: 1, bytes_written: 0, spared: 0 };
        let memory = Work { flops: 1, bytes_read: 1_008_000_000_000, bytes_written: 0, spared: 0 };
        for work in [compute, memory] {
            assert!((datasheet_seconds(card, work, "f32").unwrap() - 1.0).abs() < 1e-9);
        }
        assert_eq!(datasheet_seconds(card, compute, "fp4"), None);
    }

    #[test]
    fn a_datasheet_figure_never_calls_itself_measured() {
        let catalog = Catalog::embedded().unwrap();
        let work = Work { flops: 1 << 40, bytes_read: 1 << 30, bytes_written: 0, spared: 0 };
        let kinds = datasheet_costs(&catalog, today(), &Assumptions::default(), work, "f32", ("step", 1.0));
        assert!(kinds.len() >= 4);
        for (kind, costs) in kinds {
            assert!(costs.iter().all(|cost| cost.rate == RateBasis::Datasheet));
            let of_kind = |cost: &UnitCost| match &cost.hourly.basis {
                HourlyBasis::Rent(k) | HourlyBasis::Purchase(k) => *k == kind,
                HourlyBasis::User => false,
            };
            assert!(costs.iter().all(of_kind), "kinds are never mixed");
        }
    }

    // $4,608 a month at $10 a million tokens buys 460.8 million tokens: a published page said 0.46.
    #[test]
    fn money_over_a_price_per_unit_is_units() {
        let per_token = Money::usd(10.0).per(1e6);
        assert!((Money::usd(4608.0).ratio(per_token).unwrap() - 460.8e6).abs() < 1e-3);
    }
}
