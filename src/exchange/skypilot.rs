//! SkyPilot's catalogue: one CSV a cloud, one row an instance and region. Rows become dated prices, which the
//! catalogue's own rules then judge: public price tables are known for slips of a factor of a thousand.

use super::ExchangeError;
use super::csv::rows;
use crate::catalog::{Confidence, Covers, Currency, Date, Per, Price, PriceKind};
use std::collections::BTreeMap;

/// SkyPilot's names of accelerators by the catalogue's device, where one name means one device.
const DEVICES: &[(&str, &str)] = &[
    ("T4", "t4"),
    ("L4", "l4"),
    ("A10", "a10"),
    ("L40S", "l40s"),
    ("V100", "v100-sxm2-16gb"),
    ("V100-32GB", "v100-sxm2-32gb"),
    ("A100", "a100-sxm4-40gb"),
    ("A100-80GB", "a100-pcie-80gb"),
    ("A100-80GB-SXM", "a100-sxm4-80gb"),
    ("H100", "h100-pcie-80gb"),
    ("H100-SXM", "h100-sxm5-80gb"),
    ("H200", "h200-sxm-141gb"),
    ("H200-SXM", "h200-sxm-141gb"),
    ("B200", "b200-180gb"),
    ("MI300X", "instinct-mi300x"),
    ("RTX3090", "geforce-rtx-3090"),
    ("RTX4090", "geforce-rtx-4090"),
    ("RTX5090", "geforce-rtx-5090"),
    ("RTX6000-Ada", "rtx-6000-ada"),
    ("RTXA6000", "rtx-a6000"),
    ("RTXPRO6000", "rtx-pro-6000-blackwell"),
];

/// What a catalogue of SkyPilot holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Offers {
    /// Prices of devices that the catalogue knows.
    pub prices: Vec<Price>,
    /// Rows without one: line of the table, from 1, and why.
    pub rejected: Vec<(usize, String)>,
}

/// Reads a catalogue of `cloud` as it was on `date`: the file itself says neither.
pub fn skypilot(text: &str, cloud: &str, date: Date) -> Result<Offers, ExchangeError> {
    let mut table = rows(text).into_iter();
    let header = table.next().unwrap_or_default();
    let place = |name: &str| header.iter().position(|column| column.trim() == name);
    let columns: BTreeMap<&str, usize> =
        COLUMNS.iter().filter_map(|name| Some((*name, place(name)?))).collect();
    if let Some(missing) = REQUIRED.iter().find(|name| !columns.contains_key(*name)) {
        return Err(ExchangeError::Format {
            tool: "SkyPilot",
            message: format!("its first row has no column {missing}"),
            advice: "take a catalogue such as catalogs/v8/lambda/vms.csv of skypilot-catalog",
        });
    }
    let mut offers = Offers { prices: Vec::new(), rejected: Vec::new() };
    for (number, row) in table.enumerate() {
        let row = Row { columns: &columns, fields: &row };
        match row.prices(cloud, date) {
            Ok(prices) => offers.prices.extend(prices),
            Err(why) => offers.rejected.push((number + 2, why)),
        }
    }
    Ok(offers)
}

const REQUIRED: [&str; 4] = ["InstanceType", "AcceleratorName", "AcceleratorCount", "Price"];

const COLUMNS: [&str; 8] = [
    "InstanceType",
    "AcceleratorName",
    "AcceleratorCount",
    "Price",
    "SpotPrice",
    "Region",
    "MemoryGiB",
    "GpuInfo",
];

struct Row<'a> {
    columns: &'a BTreeMap<&'a str, usize>,
    fields: &'a [String],
}

impl Row<'_> {
    fn text(&self, column: &str) -> &str {
        self.columns.get(column).and_then(|place| self.fields.get(*place)).map_or("", |field| field.trim())
    }

    fn number(&self, column: &str) -> Option<f64> {
        self.text(column).parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The on-demand and the spot price of a row.
    fn prices(&self, cloud: &str, date: Date) -> Result<Vec<Price>, String> {
        let name = self.text("AcceleratorName");
        if name.is_empty() {
            return Err("it has no accelerator".to_string());
        }
        let known = DEVICES.iter().find(|(theirs, _)| *theirs == name);
        let (_, device) = known.ok_or_else(|| format!("the catalogue knows no device called `{name}`"))?;
        let count = self.number("AcceleratorCount").filter(|count| (1.0..=1024.0).contains(count));
        let count = count.ok_or("it has no count of accelerators")? as u32;
        let kinds = [("Price", PriceKind::CloudOnDemand), ("SpotPrice", PriceKind::CloudSpot)];
        let priced = kinds.into_iter().filter_map(|(column, kind)| Some((self.number(column)?, kind)));
        let price = |(amount, kind)| self.price(device, amount, kind, count, cloud, date);
        let prices: Vec<Price> = priced.map(price).collect();
        if prices.is_empty() { Err("it has no price".to_string()) } else { Ok(prices) }
    }

    fn price(
        &self,
        device: &str,
        amount: f64,
        kind: PriceKind,
        count: u32,
        cloud: &str,
        date: Date,
    ) -> Price {
        let region = self.text("Region");
        Price {
            device: device.to_string(),
            amount,
            currency: Currency::Usd,
            kind,
            covers: Covers::Instance,
            per: Per::Hour,
            count,
            region: if region.is_empty() { "unstated".to_string() } else { region.to_string() },
            vat: "excluded".to_string(),
            date,
            method: "catalogue".to_string(),
            confidence: Confidence::Medium,
            unverified: false,
            source: format!("SkyPilot catalogue, {cloud}, {}", self.text("InstanceType")),
            note: String::new(),
            stated_memory_gb: total_memory(self.text("GpuInfo")),
            stated_host_memory_gb: self.number("MemoryGiB"),
        }
    }
}

/// GB of all accelerators, from a column that holds a Python dictionary.
fn total_memory(info: &str) -> Option<f64> {
    let (_, rest) = info.split_once("TotalGpuMemoryInMiB")?;
    let digits: String =
        rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    Some(digits.parse::<f64>().ok()? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Severity, check};

    const SAMPLE: &str = include_str!("../../tests/foreign/skypilot.csv");

    fn day() -> Date {
        Date::parse("2026-09-25").unwrap()
    }

    #[test]
    fn rows_become_dated_rents_of_instances() {
        let offers = skypilot(SAMPLE, "a cloud", day()).unwrap();
        let first = &offers.prices[0];
        assert_eq!((first.device.as_str(), first.amount, first.count), ("h100-sxm5-80gb", 32.0, 8));
        assert_eq!(
            (first.kind, first.covers, first.per),
            (PriceKind::CloudOnDemand, Covers::Instance, Per::Hour)
        );
        assert_eq!((first.stated_memory_gb, first.stated_host_memory_gb), (Some(640.0), Some(1800.0)));
        assert!(offers.prices.iter().any(|price| price.kind == PriceKind::CloudSpot));
        let why: Vec<&str> = offers.rejected.iter().map(|(_, why)| why.as_str()).collect();
        assert_eq!(why, ["it has no accelerator", "the catalogue knows no device called `tpu-v4-8`"]);
    }

    #[test]
    fn the_catalogues_rules_find_what_is_wrong_in_it() {
        let mut catalog = Catalog::embedded().unwrap();
        let before = check(&catalog, day()).len();
        catalog.prices.extend(skypilot(SAMPLE, "a cloud", day()).unwrap().prices);
        let found = check(&catalog, day());
        let errors: Vec<&str> =
            found.iter().filter(|f| f.severity == Severity::Error).map(|f| f.rule).collect();
        assert!(found.len() > before && !errors.is_empty(), "a B200 for a cent an hour is in it: {errors:?}");
    }

    #[test]
    fn every_device_that_is_named_is_in_the_catalogue() {
        let catalog = Catalog::embedded().unwrap();
        for (_, device) in DEVICES {
            assert!(catalog.device(device).is_some(), "{device}");
        }
    }

    #[test]
    fn a_table_without_its_columns_is_refused() {
        let error = skypilot("a,b\n1,2\n", "a cloud", day()).unwrap_err().to_string();
        assert!(error.contains("InstanceType") && error.contains("vms.csv"), "{error}");
        assert!(skypilot("", "a cloud", day()).is_err());
    }
}
