//! SkyPilot's catalogue: one CSV a cloud, one row an instance and region. Rows become dated prices, which the
//! catalogue's own rules then judge: public price tables are known for slips of a factor of a thousand.

use super::ExchangeError;
use super::csv::rows;
use crate::catalog::{Confidence, Covers, Currency, Date, Per, Price, PriceKind};
use std::collections::BTreeMap;

/// SkyPilot's names of accelerators and the catalogue's devices that each may mean: some names leave out whether
/// the card is PCIe or SXM, which differ in speed and price.
const DEVICES: &[(&str, &[&str])] = &[
    ("T4", &["t4"]),
    ("L4", &["l4"]),
    ("A10", &["a10"]),
    ("L40S", &["l40s"]),
    ("V100", &["v100-sxm2-16gb"]),
    ("V100-32GB", &["v100-sxm2-32gb"]),
    ("A100", &["a100-pcie-40gb", "a100-sxm4-40gb"]),
    ("A100-80GB", &["a100-pcie-80gb", "a100-sxm4-80gb"]),
    ("A100-80GB-SXM", &["a100-sxm4-80gb"]),
    ("H100", &["h100-pcie-80gb", "h100-sxm5-80gb"]),
    ("H100-SXM", &["h100-sxm5-80gb"]),
    ("H200", &["h200-sxm-141gb"]),
    ("H200-SXM", &["h200-sxm-141gb"]),
    ("B200", &["b200-180gb"]),
    ("MI300X", &["instinct-mi300x"]),
    ("RTX3090", &["geforce-rtx-3090"]),
    ("RTX4090", &["geforce-rtx-4090"]),
    ("RTX5090", &["geforce-rtx-5090"]),
    ("RTX6000-Ada", &["rtx-6000-ada"]),
    ("RTX-6000-Ada", &["rtx-6000-ada"]),
    ("A6000", &["rtx-a6000"]),
    ("RTXA6000", &["rtx-a6000"]),
    ("RTXPRO6000", &["rtx-pro-6000-blackwell"]),
    ("RTX-PRO-6000", &["rtx-pro-6000-blackwell"]),
];

/// What in an instance's name or in its column about GPUs tells the form of the card. Instances of GCP (a2, a3) and
/// AWS (p4d, p5) are sold with SXM cards only.
const FORMS: [(&str, &str); 6] =
    [("pcie", "pcie"), ("sxm", "sxm"), ("a2-", "sxm"), ("a3-", "sxm"), ("p4d", "sxm"), ("p5", "sxm")];

/// What a catalogue of SkyPilot holds.
#[derive(Clone, Debug, Default, PartialEq)]
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
        let device = self.device(name)?;
        let count = self.number("AcceleratorCount").filter(|count| (1.0..=1024.0).contains(count));
        let count = count.ok_or("it has no count of accelerators")? as u32;
        let kinds = [("Price", PriceKind::CloudOnDemand), ("SpotPrice", PriceKind::CloudSpot)];
        let priced = kinds.into_iter().filter_map(|(column, kind)| Some((self.number(column)?, kind)));
        let price = |(amount, kind)| self.price(device, amount, kind, count, cloud, date);
        let prices: Vec<Price> = priced.map(price).collect();
        if prices.is_empty() { Err("it has no price".to_string()) } else { Ok(prices) }
    }

    /// The catalogue's device of a name.
    fn device(&self, name: &str) -> Result<&'static str, String> {
        let known = DEVICES.iter().find(|(theirs, _)| *theirs == name);
        let (_, may_be) = known.ok_or_else(|| format!("the catalogue knows no device called `{name}`"))?;
        let about = format!("{} {}", self.text("InstanceType"), self.text("GpuInfo")).to_lowercase();
        let form = FORMS.iter().find(|(word, _)| about.contains(word)).map(|(_, form)| *form);
        let chosen =
            may_be.iter().find(|device| may_be.len() == 1 || form.is_some_and(|form| device.contains(form)));
        chosen.copied().ok_or_else(|| {
            format!("`{name}` may be {}, and the row does not tell which", may_be.join(" or "))
        })
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

    const LAMBDA: &str = include_str!("../../tests/foreign/skypilot-lambda.csv");
    const RUNPOD: &str = include_str!("../../tests/foreign/skypilot-runpod.csv");
    const VERDA: &str = include_str!("../../tests/foreign/skypilot-verda.csv");

    fn day() -> Date {
        Date::parse("2026-11-20").unwrap()
    }

    #[test]
    fn rows_become_dated_rents_of_instances() {
        let offers = skypilot(VERDA, "verda", day()).unwrap();
        let all: Vec<_> =
            offers.prices.iter().map(|price| (price.device.as_str(), price.amount, price.count)).collect();
        assert_eq!(all[..3], [("b200-180gb", 4.89, 1), ("b200-180gb", 1.712, 1), ("b200-180gb", 13.69, 8)]);
        let first = &offers.prices[0];
        assert_eq!(
            (first.kind, first.covers, first.per, first.region.as_str()),
            (PriceKind::CloudOnDemand, Covers::Instance, Per::Hour, "FIN-03")
        );
        assert_eq!((first.stated_memory_gb, first.stated_host_memory_gb), (Some(180.0), Some(184.0)));
        assert_eq!(offers.prices[1].kind, PriceKind::CloudSpot);
        for device in ["h200-sxm-141gb", "v100-sxm2-16gb", "rtx-pro-6000-blackwell", "rtx-6000-ada"] {
            assert!(all.iter().any(|(named, ..)| *named == device), "{device}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_a_price_says_why() {
        let offers = skypilot(VERDA, "verda", day()).unwrap();
        let why: Vec<(usize, &str)> =
            offers.rejected.iter().map(|(line, why)| (*line, why.as_str())).collect();
        assert_eq!(
            why,
            [
                (2, "the catalogue knows no device called `B300`"),
                (6, "`H100` may be h100-pcie-80gb or h100-sxm5-80gb, and the row does not tell which"),
                (7, "`A100-80GB` may be a100-pcie-80gb or a100-sxm4-80gb, and the row does not tell which"),
                (11, "it has no accelerator"),
            ]
        );
    }

    #[test]
    fn the_form_of_a_card_is_read_where_the_row_tells_it() {
        for (instance, name, device) in [
            ("gpu-h100-sxm_1gpu-16vcpu-200gb", "H100", "h100-sxm5-80gb"),
            ("gpu_1x_h100_pcie", "H100", "h100-pcie-80gb"),
            ("a2-highgpu-1g", "A100", "a100-sxm4-40gb"),
            ("p4de.24xlarge", "A100-80GB", "a100-sxm4-80gb"),
        ] {
            let text =
                format!("InstanceType,AcceleratorName,AcceleratorCount,Price\n{instance},{name},1,2.5\n");
            let offers = skypilot(&text, "a cloud", day()).unwrap();
            assert_eq!(offers.prices[0].device, device, "{instance}");
        }
        assert!(
            skypilot(RUNPOD, "runpod", day()).unwrap().prices.iter().all(|p| p.device == "a100-pcie-80gb")
        );
    }

    /// Rules that prices break beside the embedded catalogue.
    fn broken(text: &str, cloud: &str) -> Vec<&'static str> {
        let mut catalog = Catalog::embedded().unwrap();
        let before = check(&catalog, day());
        catalog.prices.extend(skypilot(text, cloud, day()).unwrap().prices);
        let errors = check(&catalog, day()).into_iter().filter(|found| found.severity == Severity::Error);
        errors.filter(|found| !before.contains(found)).map(|found| found.rule).collect()
    }

    #[test]
    fn the_catalogues_rules_find_what_is_wrong_in_public_tables() {
        assert_eq!(broken(VERDA, "verda"), Vec::<&str>::new());
        let runpod = broken(RUNPOD, "runpod");
        assert!(runpod.contains(&"memory_total") && runpod.contains(&"spot_price"), "{runpod:?}");
        assert_eq!(broken(LAMBDA, "lambda"), ["memory_total", "memory_total"]);
        let cent = broken(&VERDA.replace(",4.89,", ",0.01,"), "verda");
        assert!(cent.contains(&"rent_floor") && cent.contains(&"spot_price"), "{cent:?}");
        for (amount, rule) in [("-4.89", "not_positive"), ("0", "not_positive"), ("4890", "rent_ceiling")] {
            let found = broken(&VERDA.replace(",4.89,", &format!(",{amount},")), "verda");
            assert!(found.contains(&rule), "{amount}: {found:?}");
        }
    }

    #[test]
    fn every_device_that_is_named_is_in_the_catalogue() {
        let catalog = Catalog::embedded().unwrap();
        for device in DEVICES.iter().flat_map(|(_, devices)| *devices) {
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
