//! "GPU memory costs ten times system RAM per GB": computed per segment and date, with its range.

use super::memory::{MemoryPrice, memory_price};
use crate::catalog::{Basis, Catalog, Class, Covers, Date, Money, PriceKind};
use std::collections::BTreeSet;

/// A GPU segment and the memory that its buyer would put into a computer instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// Gaming cards against desktop memory kits.
    Consumer,
    /// Workstation cards against registered server modules.
    Workstation,
    /// Data-centre accelerators against registered server modules.
    Datacentre,
}

impl Segment {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Consumer, Self::Workstation, Self::Datacentre];

    /// Name for tables and charts.
    pub fn label(self) -> &'static str {
        match self {
            Self::Consumer => "consumer GPU / desktop RAM",
            Self::Workstation => "workstation GPU / server RAM",
            Self::Datacentre => "data-centre GPU / server RAM",
        }
    }

    fn class(self) -> Class {
        match self {
            Self::Consumer => Class::GpuConsumer,
            Self::Workstation => Class::GpuWorkstation,
            Self::Datacentre => Class::GpuDatacentre,
        }
    }

    /// Whether a memory product belongs to the segment's computers: registered modules to servers.
    fn uses(self, ram: &str) -> bool {
        ram.contains("rdimm") != (self == Self::Consumer) && ram.starts_with("ddr5")
    }
}

/// How many times RAM a segment's GPU memory cost around a date.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryRatio {
    /// Segment.
    pub segment: Segment,
    /// Date of the newest RAM price used.
    pub date: Date,
    /// Smallest and largest ratio over all pairs of a GPU and a RAM price.
    pub range: (f64, f64),
    /// Cheapest and dearest GPU memory per GB, with the device's name.
    pub gpu: [(String, Money); 2],
    /// Cheapest and dearest RAM per GB.
    pub ram: (Money, Money),
    /// Kinds of the GPU prices used.
    pub gpu_kinds: BTreeSet<PriceKind>,
    /// Kinds of the RAM prices used.
    pub ram_kinds: BTreeSet<PriceKind>,
    /// Date of the oldest price used: a purchase price of an accelerator may be years old.
    pub oldest: Date,
}

/// Days around a RAM price within which other RAM prices count as of the same time: modules moved by
/// a factor of three within eight months, so two months is already generous.
const WINDOW_DAYS: i64 = 60;

/// Days after which a GPU's price says nothing about its segment any more.
const GPU_DAYS: i64 = 730;

/// The ratio of every segment at every time for which the catalogue has RAM prices up to `as_of`, in
/// order of date. Purchase prices only; what no source confirmed is left out, and so are prices that
/// cover more than the device.
pub fn memory_ratios(catalog: &Catalog, as_of: Date) -> Vec<MemoryRatio> {
    let ram = purchases(catalog, as_of, |class, covers| class == Class::Ram && covers == Covers::Module);
    let mut ratios = Vec::new();
    for segment in Segment::ALL {
        let used: Vec<&MemoryPrice> = ram.iter().filter(|price| segment.uses(&price.device)).collect();
        let gpus =
            purchases(catalog, as_of, |class, covers| class == segment.class() && covers != Covers::System);
        for moment in moments(&used) {
            let near = |price: &&&MemoryPrice| {
                (0..=WINDOW_DAYS).contains(&(moment.last_day() - price.date.last_day()))
            };
            let ram_then: Vec<&MemoryPrice> = used.iter().filter(near).copied().collect();
            ratios.extend(ratio(segment, moment, &newest_by(&gpus, moment), &ram_then));
        }
    }
    ratios
}

/// Confirmed purchase prices per GB of the classes that `wanted` accepts.
fn purchases(catalog: &Catalog, as_of: Date, wanted: impl Fn(Class, Covers) -> bool) -> Vec<MemoryPrice> {
    let confirmed = |price: &crate::catalog::Price, device: &crate::catalog::Device| {
        !price.unverified && device.memory_nominal_gb.is_some_and(|fact| fact.basis != Basis::Unverified)
    };
    catalog
        .known(as_of)
        .filter(|(device, price)| {
            wanted(device.class, price.covers) && !price.kind.is_rent() && confirmed(price, device)
        })
        .filter_map(|(device, price)| memory_price(device, price, as_of))
        .collect()
}

/// Dates of RAM prices, each the newest of its window.
fn moments(ram: &[&MemoryPrice]) -> Vec<Date> {
    let mut dates: Vec<Date> = ram.iter().map(|price| price.date).collect();
    dates.sort_by_key(|date| date.last_day());
    dates.dedup();
    let mut moments: Vec<Date> = Vec::new();
    for date in dates {
        match moments.last_mut() {
            Some(last) if date.last_day() - last.last_day() <= WINDOW_DAYS => *last = date,
            _ => moments.push(date),
        }
    }
    moments
}

/// For each device the newest prices that `moment` knew, if they are of the last two years.
fn newest_by(prices: &[MemoryPrice], moment: Date) -> Vec<&MemoryPrice> {
    let current = |price: &&MemoryPrice| {
        price.date.first_day() <= moment.last_day() && price.date.age_days(moment) <= GPU_DAYS
    };
    let known: Vec<&MemoryPrice> = prices.iter().filter(current).collect();
    let newest = |device: &str| {
        known.iter().filter(|price| price.device == device).map(|price| price.date.last_day()).max()
    };
    known.iter().filter(|price| Some(price.date.last_day()) == newest(&price.device)).copied().collect()
}

fn ratio(segment: Segment, date: Date, gpus: &[&MemoryPrice], ram: &[&MemoryPrice]) -> Option<MemoryRatio> {
    let amount = |price: &&&MemoryPrice| price.per_gb.map_or(f64::NAN, |money| money.amount);
    let ends = |prices: &[&MemoryPrice]| {
        let cheapest = prices.iter().min_by(|a, b| amount(a).total_cmp(&amount(b)))?;
        let dearest = prices.iter().max_by(|a, b| amount(a).total_cmp(&amount(b)))?;
        Some([(cheapest.name.clone(), cheapest.per_gb?), (dearest.name.clone(), dearest.per_gb?)])
    };
    let (gpu, ram_ends) = (ends(gpus)?, ends(ram)?);
    let range = (gpu[0].1.ratio(ram_ends[1].1)?, gpu[1].1.ratio(ram_ends[0].1)?);
    let oldest = gpus.iter().chain(ram).map(|price| price.date).min_by_key(|date| date.last_day())?;
    Some(MemoryRatio {
        segment,
        date,
        range,
        gpu,
        ram: (ram_ends[0].1, ram_ends[1].1),
        gpu_kinds: gpus.iter().map(|price| price.kind).collect(),
        ram_kinds: ram.iter().map(|price| price.kind).collect(),
        oldest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratios() -> Vec<MemoryRatio> {
        memory_ratios(&Catalog::embedded().unwrap(), Date::parse("2026-11-23").unwrap())
    }

    #[test]
    fn the_claim_has_a_range_for_every_segment_and_changes_with_the_date() {
        let ratios = ratios();
        for segment in Segment::ALL {
            assert!(ratios.iter().filter(|ratio| ratio.segment == segment).count() >= 2, "{segment:?}");
        }
        assert!(ratios.iter().all(|ratio| ratio.range.0 <= ratio.range.1 && ratio.range.0 > 0.0));
        let consumer: Vec<_> = ratios.iter().filter(|ratio| ratio.segment == Segment::Consumer).collect();
        // RAM rose fivefold between mid-2025 and autumn 2026 and cards by less than twofold.
        assert!(consumer[0].range.1 > 2.0 * consumer[consumer.len() - 1].range.1);
    }

    #[test]
    fn the_range_is_that_of_the_rows_it_names() {
        for ratio in ratios() {
            assert!((ratio.range.1 - ratio.gpu[1].1.amount / ratio.ram.0.amount).abs() < 1e-9);
            assert!((ratio.range.0 - ratio.gpu[0].1.amount / ratio.ram.1.amount).abs() < 1e-9);
            assert!(ratio.oldest.first_day() <= ratio.date.last_day());
        }
    }

    #[test]
    fn rents_and_unconfirmed_prices_are_left_out() {
        for ratio in ratios() {
            assert!(ratio.gpu_kinds.iter().all(|kind| !kind.is_rent()));
            assert!(
                ratio.gpu.iter().all(|(name, _)| !name.contains("5060 Ti")),
                "its specification is unverified"
            );
        }
    }
}
