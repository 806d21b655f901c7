//! Leaving out what the rules call an error: a row that must not be used must not be ranked either.

use super::Catalog;
use super::validate::{Finding, Row, Severity, check};
use crate::date::Date;
use std::collections::BTreeSet;

/// Takes out devices and prices that must not be used, those before `from` apart, which are not the user's; says why.
pub fn leave_out_wrong(catalog: &mut Catalog, from: (usize, usize), today: Date) -> Vec<Finding> {
    let wrong = |catalog: &Catalog, is: fn(Row) -> Option<usize>, from: usize| -> Vec<Finding> {
        let errors = check(catalog, today).into_iter().filter(|finding| finding.severity == Severity::Error);
        errors.filter(|finding| is(finding.row).is_some_and(|place| place >= from)).collect()
    };
    // Devices first: a price of a device that is gone is one of an unknown device.
    let mut said = wrong(catalog, Row::device, from.0);
    let gone: BTreeSet<Row> = said.iter().map(|finding| finding.row).collect();
    keep(&mut catalog.devices, |place| !gone.contains(&Row::Device(place)));
    said.extend(wrong(catalog, Row::price, from.1));
    let gone: BTreeSet<Row> = said.iter().map(|finding| finding.row).collect();
    keep(&mut catalog.prices, |place| !gone.contains(&Row::Price(place)));
    said
}

fn keep<T>(rows: &mut Vec<T>, good: impl Fn(usize) -> bool) {
    let mut place = 0..;
    rows.retain(|_| place.next().is_none_or(&good));
}

impl Row {
    fn device(self) -> Option<usize> {
        if let Self::Device(place) = self { Some(place) } else { None }
    }

    fn price(self) -> Option<usize> {
        if let Self::Price(place) = self { Some(place) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::validate::tests::{DEVICES, price};

    #[test]
    fn a_price_grows_stale_after_90_days_and_is_kept() {
        let mut catalog = Catalog::default();
        catalog.add_devices(DEVICES, "devices").unwrap();
        catalog.add_prices(&format!("schema = 1\n{}", price(&[])), "prices").unwrap();
        for (day, stale) in
            [("2026-10-01", false), ("2026-12-30", false), ("2026-12-31", true), ("2027-10-01", true)]
        {
            assert_eq!(catalog.prices[0].is_stale(Date::parse(day).unwrap()), stale, "{day}");
        }
        let year = Date::parse("2027-10-02").unwrap();
        assert!(leave_out_wrong(&mut catalog, (0, 0), year).is_empty());
        assert_eq!(catalog.prices.len(), 1);
    }

    #[test]
    fn wrong_rows_of_the_user_are_left_out_with_their_reasons() {
        let mut catalog = Catalog::default();
        let zero = DEVICES
            .replace("schema = 1", "")
            .replace("\"card\"", "\"odd\"")
            .replace("value = 80", "value = 0");
        catalog.add_devices(&format!("{DEVICES}{zero}"), "devices").unwrap();
        let rows = [
            price(&[("amount", "0.01")]),
            price(&[]),
            price(&[("amount", "0.01")]),
            price(&[("device", "\"odd\"")]),
            price(&[("amount", "2.6")]),
            price(&[("date", "\"2026-12-24\"")]),
        ];
        catalog.add_prices(&format!("schema = 1\n{}", rows.concat()), "prices").unwrap();
        let said = leave_out_wrong(&mut catalog, (0, 1), Date::parse("2026-11-23").unwrap());
        let amounts: Vec<f64> = catalog.prices.iter().map(|price| price.amount).collect();
        // The first is not the user's.
        assert_eq!(amounts, [0.01, 2.5, 2.6]);
        assert_eq!(catalog.devices.len(), 1);
        let rules: BTreeSet<&str> = said.iter().map(|finding| finding.rule).collect();
        let wanted = ["future", "memory_range", "not_positive", "peers", "rent_floor", "unknown_device"];
        assert_eq!(rules.into_iter().collect::<Vec<_>>(), wanted);
    }
}
