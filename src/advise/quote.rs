//! Prices that a device can be had for: one of each kind, with their spread; what may not be used is left out by name.

use crate::catalog::{
    Catalog, Class, Covers, Currency, Date, Device, Money, Price, PriceKind, Severity, check,
};
use std::collections::{BTreeMap, BTreeSet};

/// Observations older than the newest by more than this say nothing about what the device costs now.
const SPREAD_DAYS: i64 = 365;

/// What a device costs by one kind of price.
#[derive(Clone, Debug)]
pub(super) struct Quote<'a> {
    pub device: &'a Device,
    pub kind: PriceKind,
    /// What the amount buys.
    pub covers: Covers,
    /// The newest observation; the median of several of one day.
    pub centre: Money,
    /// The least and the most that was asked within a year of it.
    pub low: f64,
    pub high: f64,
    /// Day of the newest.
    pub date: Date,
    /// Too old to buy by.
    pub stale: bool,
}

/// Kinds of purchase prices, the one to buy by first: a launch price is asked on one day only, and a used machine is
/// not always there.
const BUYING: &[PriceKind] =
    &[PriceKind::StreetNew, PriceKind::SystemShare, PriceKind::List, PriceKind::Used, PriceKind::LaunchMsrp];
/// Kinds of rents that somebody offers.
const RENTING: &[PriceKind] = &[PriceKind::CloudOnDemand, PriceKind::CloudSpot, PriceKind::CloudReserved];

/// One purchase price and every kind of rent of each device, and a sentence for what was left out.
pub(super) fn quotes<'a>(
    catalog: &'a Catalog,
    as_of: Date,
    currency: Currency,
) -> (Vec<Quote<'a>>, Vec<String>) {
    let (flagged, mut left_out) = flagged(catalog, as_of);
    let mut groups: BTreeMap<(&str, PriceKind), (&Device, Vec<&Price>)> = BTreeMap::new();
    let mut foreign: BTreeMap<Currency, usize> = BTreeMap::new();
    for (device, price) in catalog.known(as_of).filter(|(device, _)| device.class != Class::Ram) {
        if price.unverified || flagged.contains(&subject(price)) || flagged.contains(&device.id) {
            continue;
        }
        if price.currency != currency {
            *foreign.entry(price.currency).or_default() += 1;
            continue;
        }
        groups.entry((&device.id, price.kind)).or_insert((device, Vec::new())).1.push(price);
    }
    for (other, count) in foreign {
        left_out.push(format!(
            "{count} prices in {} are left out: this answer is in {}, and no rate of exchange is assumed; convert \
             them on a day that you name, or ask with --currency {}",
            other.code(),
            currency.code(),
            other.code()
        ));
    }
    let mut quotes: Vec<Quote> = groups
        .into_iter()
        .filter_map(|((_, kind), (device, prices))| quote(device, kind, &prices, as_of))
        .collect();
    let buying = |quote: &Quote| BUYING.iter().position(|kind| *kind == quote.kind);
    let best: BTreeMap<&str, usize> = quotes.iter().fold(BTreeMap::new(), |mut best, quote| {
        if let Some(place) = buying(quote) {
            let entry = best.entry(quote.device.id.as_str()).or_insert(place);
            *entry = place.min(*entry);
        }
        best
    });
    quotes.retain(|quote| {
        RENTING.contains(&quote.kind)
            || buying(quote).is_some_and(|place| best[quote.device.id.as_str()] == place)
    });
    (quotes, left_out)
}

/// As the catalogue's check names a price.
fn subject(price: &Price) -> String {
    format!("{} {} {}", price.device, price.kind.label(), price.date)
}

/// Rows that must not be used, of those known on the day, with a sentence each.
fn flagged(catalog: &Catalog, as_of: Date) -> (BTreeSet<String>, Vec<String>) {
    let known: BTreeSet<String> = catalog.known(as_of).map(|(_, price)| subject(price)).collect();
    let is_device = |subject: &str| catalog.device(subject).is_some();
    let later = catalog.prices.iter().filter(|price| !known.contains(&subject(price)));
    let later = later.filter(|price| catalog.device(&price.device).is_some()).count();
    let mut said = Vec::new();
    let mut flagged = BTreeSet::new();
    for finding in check(catalog, as_of) {
        let concerns = known.contains(&finding.subject) || is_device(&finding.subject);
        if finding.severity == Severity::Error && finding.rule == "unknown_device" {
            said.push(format!("{}: {}", finding.subject, finding.message));
        } else if finding.severity == Severity::Error && concerns && flagged.insert(finding.subject.clone()) {
            said.push(format!("{} is left out: {}", finding.subject, finding.message));
        } else if finding.rule == "host_memory" || finding.rule == "old_series" {
            said.push(format!("{}: {}", finding.subject, finding.message));
        }
    }
    if later > 0 {
        said.push(format!("{later} prices are dated after {as_of} and do not exist yet on that day"));
    }
    (flagged, said)
}

fn quote<'a>(device: &'a Device, kind: PriceKind, prices: &[&Price], as_of: Date) -> Option<Quote<'a>> {
    let newest = prices.iter().map(|price| price.date).max_by_key(|date| date.last_day())?;
    let day = |price: &&&Price| price.date.last_day() == newest.last_day();
    let recent = prices.iter().filter(|price| newest.last_day() - price.date.last_day() <= SPREAD_DAYS);
    let amounts: Vec<f64> = recent.map(|price| price.each().amount).collect();
    let mut latest: Vec<&&Price> = prices.iter().filter(day).collect();
    latest.sort_by(|a, b| a.each().amount.total_cmp(&b.each().amount));
    let middle = latest.get(latest.len() / 2)?;
    Some(Quote {
        device,
        kind,
        covers: middle.covers,
        centre: middle.each(),
        low: amounts.iter().copied().fold(f64::INFINITY, f64::min),
        high: amounts.iter().copied().fold(0.0, f64::max),
        date: newest,
        stale: middle.is_stale(as_of),
    })
}

/// The newest price of a memory module known on the day, and its GB.
pub(super) fn module(
    catalog: &Catalog,
    id: &str,
    as_of: Date,
    currency: Currency,
) -> Option<(Money, f64, Date)> {
    let device = catalog.device(id)?;
    let of = catalog
        .known(as_of)
        .filter(|(known, price)| known.id == id && price.currency == currency && !price.unverified);
    let newest = of.map(|(_, price)| price).max_by_key(|price| price.date.last_day())?;
    Some((newest.each(), device.memory_nominal_gb?.value, newest.date))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day() -> Date {
        Date::parse("2026-11-23").unwrap()
    }

    fn with(rows: &[(&str, f64, &str, &str, &str)]) -> Catalog {
        let mut catalog = Catalog::embedded().unwrap();
        for (device, amount, currency, kind, date) in rows {
            let (covers, per) =
                if kind.starts_with("cloud") { ("node_share", "hour") } else { ("card", "unit") };
            let text = format!(
                "schema = 1\n[[price]]\ndevice = \"{device}\"\namount = {amount}\ncurrency = \"{currency}\"\n\
                 kind = \"{kind}\"\ncovers = \"{covers}\"\nper = \"{per}\"\nregion = \"US\"\nvat = \"unstated\"\n\
                 date = \"{date}\"\nmethod = \"planted\"\nconfidence = \"low\"\nsource = \"a test\"\n"
            );
            catalog.add_prices(&text, "test").unwrap();
        }
        catalog
    }

    #[test]
    fn a_device_has_one_price_to_buy_and_each_kind_of_rent() {
        let catalog = with(&[]);
        let (quotes, _) = quotes(&catalog, day(), Currency::Usd);
        let of = |id: &str| {
            quotes.iter().filter(|quote| quote.device.id == id).map(|quote| quote.kind).collect::<Vec<_>>()
        };
        assert_eq!(
            of("h100-sxm5-80gb"),
            [PriceKind::StreetNew, PriceKind::CloudOnDemand, PriceKind::CloudSpot]
        );
        assert_eq!(of("epyc-9755"), [PriceKind::LaunchMsrp]);
        let rent = quotes
            .iter()
            .find(|quote| quote.device.id == "h100-sxm5-80gb" && quote.kind == PriceKind::CloudOnDemand)
            .unwrap();
        assert!((rent.low, rent.high) == (2.29, 4.29) && rent.low < rent.centre.amount, "{rent:?}");
        assert!(
            quotes.iter().all(|quote| quote.device.class != Class::Ram && quote.low <= quote.centre.amount)
        );
    }

    #[test]
    fn planted_errors_are_left_out_by_name() {
        let catalog = with(&[
            ("b200-180gb", 0.01, "USD", "cloud_on_demand", "2026-03-01"),
            ("t4", -1.0, "USD", "cloud_on_demand", "2026-03-02"),
            ("l4", 0.0, "USD", "street_new", "2026-03-03"),
            ("a10", 1.5, "EUR", "cloud_on_demand", "2026-03-04"),
            ("l40s", 5.0, "USD", "cloud_on_demand", "2027-03-05"),
            ("no-such-card", 5.0, "USD", "street_new", "2026-03-06"),
        ]);
        let (quotes, said) = quotes(&catalog, day(), Currency::Usd);
        for (device, words) in [
            ("b200-180gb", "below 0.05 for any GPU"),
            ("t4", "-1 is no price"),
            ("l4", "0 is no price"),
            ("a10", "1 prices in EUR are left out"),
            ("l40s", "dated after 2026-11-23"),
            ("no-such-card", "no device has the id"),
        ] {
            assert!(said.iter().any(|sentence| sentence.contains(words)), "{device}: {said:?}");
        }
        assert!(quotes.iter().all(|quote| quote.low >= 0.05 && quote.centre.currency == Currency::Usd));
        assert!(quotes.iter().all(|quote| quote.date.first_day() <= day().last_day()));
    }

    #[test]
    fn an_old_price_is_marked_and_one_in_another_currency_is_asked_for() {
        let catalog = with(&[("a10", 1.5, "EUR", "cloud_on_demand", "2025-03-04")]);
        let (quotes, _) = quotes(&catalog, day(), Currency::Eur);
        let [quote] = quotes.as_slice() else { panic!("{quotes:?}") };
        assert!(quote.stale && quote.centre.currency == Currency::Eur);
    }
}
