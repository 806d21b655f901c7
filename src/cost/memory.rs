//! $/GB and $/(GB/s), always together: they point opposite ways.

use crate::catalog::{Basis, Catalog, Class, Covers, Date, Device, Money, Price, PriceKind};
use std::collections::BTreeMap;

/// What the memory of one device costs by one observation.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryPrice {
    /// Id of the device.
    pub device: String,
    /// Name as sold.
    pub name: String,
    /// Market segment.
    pub class: Class,
    /// Kind of the price: rankings hold one kind only.
    pub kind: PriceKind,
    /// What the price buys.
    pub covers: Covers,
    /// Amount per GB as sold; per GB and hour for rents.
    pub per_gb: Option<Money>,
    /// Amount per GB/s of peak bandwidth; per hour for rents.
    pub per_gb_s: Option<Money>,
    /// Day of the price.
    pub date: Date,
    /// Too old to buy by on the day asked for.
    pub stale: bool,
    /// The price, the memory or the bandwidth is not confirmed by any source.
    pub unverified: bool,
    /// Who says what it costs.
    pub source: String,
}

/// The newest observation of each device and kind that was known on `as_of`, cheapest per GB first
/// within each kind.
pub fn memory_prices(catalog: &Catalog, as_of: Date) -> BTreeMap<PriceKind, Vec<MemoryPrice>> {
    let mut newest: BTreeMap<_, (&Device, &Price)> = BTreeMap::new();
    for (device, price) in catalog.known(as_of) {
        let entry =
            newest.entry((&device.id, price.kind, price.covers, price.currency)).or_insert((device, price));
        if price.date.last_day() >= entry.1.date.last_day() {
            *entry = (device, price);
        }
    }
    let mut kinds: BTreeMap<PriceKind, Vec<MemoryPrice>> = BTreeMap::new();
    for (device, price) in newest.into_values() {
        kinds.entry(price.kind).or_default().extend(memory_price(device, price, as_of));
    }
    for prices in kinds.values_mut() {
        let amount = |price: &MemoryPrice| price.per_gb.map_or(f64::INFINITY, |money| money.amount);
        // Amounts of two currencies have no order.
        let currency = |price: &MemoryPrice| price.per_gb.or(price.per_gb_s).map(|money| money.currency);
        prices.sort_by(|a, b| {
            let order = currency(a).cmp(&currency(b)).then(amount(a).total_cmp(&amount(b)));
            order.then_with(|| a.device.cmp(&b.device))
        });
    }
    kinds.retain(|_, prices| !prices.is_empty());
    kinds
}

/// All observations of one kind that were known on `as_of`, of each device that has two dates or more: oldest first.
pub fn memory_history(catalog: &Catalog, kind: PriceKind, as_of: Date) -> BTreeMap<String, Vec<MemoryPrice>> {
    let mut devices: BTreeMap<String, Vec<MemoryPrice>> = BTreeMap::new();
    for (device, price) in catalog.known(as_of).filter(|(_, price)| price.kind == kind) {
        devices.entry(device.id.clone()).or_default().extend(memory_price(device, price, as_of));
    }
    for prices in devices.values_mut() {
        prices.sort_by_key(|price| price.date.last_day());
    }
    let moved = |prices: &[MemoryPrice]| {
        prices.first().map(|price| price.date) != prices.last().map(|price| price.date)
    };
    devices.retain(|_, prices| moved(prices));
    devices
}

/// One observation, where the device has memory or bandwidth to divide by.
pub(super) fn memory_price(device: &Device, price: &Price, as_of: Date) -> Option<MemoryPrice> {
    let divided = |fact: Option<crate::catalog::Fact>| {
        fact.filter(|fact| fact.value > 0.0).map(|fact| price.each().per(fact.value))
    };
    let per_gb = divided(device.memory_nominal_gb);
    let per_gb_s = divided(device.bandwidth_gb_s);
    (per_gb.is_some() || per_gb_s.is_some()).then(|| MemoryPrice {
        device: device.id.clone(),
        name: device.name.clone(),
        class: device.class,
        kind: price.kind,
        covers: price.covers,
        per_gb,
        per_gb_s,
        date: price.date,
        stale: price.is_stale(as_of),
        unverified: price.unverified
            || [device.memory_nominal_gb, device.bandwidth_gb_s]
                .into_iter()
                .flatten()
                .any(|fact| fact.basis == Basis::Unverified),
        source: price.source.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        Catalog::embedded().unwrap()
    }

    #[test]
    fn a_price_is_divided_by_memory_as_sold_and_by_bandwidth() {
        let kinds = memory_prices(&catalog(), Date::parse("2026-11-23").unwrap());
        let card =
            kinds[&PriceKind::StreetNew].iter().find(|price| price.device == "geforce-rtx-5090").unwrap();
        // The newest: 4300 for 32 GB at 1792 GB/s.
        assert_eq!(card.per_gb, Some(Money::usd(134.375)));
        assert!((card.per_gb_s.unwrap().amount - 2.3996).abs() < 1e-3);
        assert_eq!(card.date.to_string(), "2026-09");
    }

    #[test]
    fn each_kind_is_a_list_of_its_own_in_order() {
        for (kind, prices) in memory_prices(&catalog(), Date::parse("2026-11-23").unwrap()) {
            assert!(prices.iter().all(|price| price.kind == kind));
            let amounts: Vec<f64> =
                prices.iter().filter_map(|price| price.per_gb).map(|money| money.amount).collect();
            assert!(amounts.is_sorted());
        }
    }

    #[test]
    fn an_earlier_day_knows_earlier_prices_only() {
        let day = Date::parse("2025-03-04").unwrap();
        let kinds = memory_prices(&catalog(), day);
        let card =
            kinds[&PriceKind::StreetNew].iter().find(|price| price.device == "geforce-rtx-3090").unwrap();
        assert_eq!(card.per_gb, Some(Money::usd(2199.0 / 24.0)));
        assert!(!card.stale);
    }

    #[test]
    fn a_history_has_several_dates_in_order_and_ends_with_the_newest() {
        let day = Date::parse("2026-11-23").unwrap();
        let history = memory_history(&catalog(), PriceKind::StreetNew, day);
        let card = &history["geforce-rtx-5090"];
        assert!(
            card.len() >= 4 && card.windows(2).all(|pair| pair[0].date.last_day() <= pair[1].date.last_day())
        );
        let newest = &memory_prices(&catalog(), day)[&PriceKind::StreetNew];
        let newest = newest.iter().find(|price| price.device == "geforce-rtx-5090");
        assert_eq!(card.last(), newest);
        assert!(!history.contains_key("h200-sxm-141gb"), "one kind only");
        assert!(
            memory_history(&catalog(), PriceKind::StreetNew, Date::parse("2020-01-01").unwrap()).is_empty()
        );
    }

    #[test]
    fn modules_are_stale_sooner_than_cards() {
        let kinds = memory_prices(&catalog(), Date::parse("2026-10-20").unwrap());
        let find = |kind, id: &str| kinds[&kind].iter().find(|price| price.device == id).unwrap().stale;
        assert!(find(PriceKind::Wholesale, "ddr5-rdimm-64gb"));
        assert!(!find(PriceKind::StreetNew, "geforce-rtx-5090"));
    }
}
