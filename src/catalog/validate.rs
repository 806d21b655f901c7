//! Errors that public price data is known to have, each found by a rule.
//!
//! The rules come from faults seen in published trackers: memory in the wrong unit, a total that was not
//! multiplied, a GPU at a cent an hour, host and GPU memory exchanged, a price that covers something
//! else, an empty series, one die's memory for two, sparse rates beside dense ones, kinds of prices
//! mixed, a date left out, and a GPU row that ran on the CPU.

use super::Catalog;
use super::price::{Covers, Per, Price, PriceKind};
use super::spec::{Class, Device};
use crate::date::Date;
use std::collections::{BTreeMap, BTreeSet};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Warning,
    /// The row must not be used.
    Error,
}

/// A row of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// A device, by its place.
    Device(usize),
    /// A price, by its place.
    Price(usize),
    /// No single one.
    None,
}

/// One thing that is wrong with the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Short name of the rule.
    pub rule: &'static str,
    /// The row by name: a device's id, a price's device and date.
    pub subject: String,
    /// The row.
    pub row: Row,
    /// What is wrong and what to do.
    pub message: String,
}

/// Least plausible rent of a GPU an hour.
const RENT_FLOOR: f64 = 0.05;
/// Most plausible rent of a GPU an hour: several times the dearest offer of 2026.
const RENT_CEILING: f64 = 100.0;
/// Largest plausible factor between a price and the median of its peers.
const PEER_FACTOR: f64 = 5.0;
/// Largest plausible memory of one accelerator or unified computer, and the smallest, in GB.
const MEMORY_GB: std::ops::RangeInclusive<f64> = 4.0..=512.0;
/// Days after which a whole series is too old.
const SERIES_DAYS: i64 = 365;

/// Everything that is wrong on the day `today`.
pub fn check(catalog: &Catalog, today: Date) -> Vec<Finding> {
    let mut found = Vec::new();
    for (place, device) in catalog.devices.iter().enumerate() {
        let mut own = Vec::new();
        device_rules(device, &mut own);
        found.extend(own.into_iter().map(|finding| Finding { row: Row::Device(place), ..finding }));
    }
    for (place, price) in catalog.prices.iter().enumerate() {
        let mut own = Vec::new();
        price_rules(catalog, price, today, &mut own);
        found.extend(own.into_iter().map(|finding| finding.at(place)));
    }
    spot_below_on_demand(catalog, &mut found);
    near_the_median(catalog, &mut found);
    counted_prices_scale(catalog, &mut found);
    host_is_not_gpu_memory(catalog, &mut found);
    series_is_alive(catalog, today, &mut found);
    found
}

impl Finding {
    /// The same of a price.
    fn at(self, price: usize) -> Self {
        Self { row: Row::Price(price), ..self }
    }
}

fn error(rule: &'static str, subject: &str, message: String) -> Finding {
    Finding { severity: Severity::Error, rule, subject: subject.to_string(), row: Row::None, message }
}

fn warning(rule: &'static str, subject: &str, message: String) -> Finding {
    Finding { severity: Severity::Warning, rule, subject: subject.to_string(), row: Row::None, message }
}

fn name(price: &Price) -> String {
    format!("{} {} {}", price.device, price.kind.label(), price.date)
}

fn device_rules(device: &Device, found: &mut Vec<Finding>) {
    let id = device.id.as_str();
    let memory = device.memory_nominal_gb.map(|fact| fact.value);
    if let Some(gb) = memory
        && (device.class.is_gpu() || device.class == Class::UnifiedMemory)
        && !MEMORY_GB.contains(&gb)
    {
        found.push(error(
            "memory_range",
            id,
            format!("{gb} GB for one device: was it given in MiB or as 0?"),
        ));
    }
    for (what, fact) in
        [("memory", device.memory_nominal_gb), ("bandwidth", device.bandwidth_gb_s), ("watts", device.watts)]
    {
        if fact.is_some_and(|fact| !(fact.value.is_finite() && fact.value > 0.0)) {
            found.push(error("not_positive", id, format!("{what} must be a number above 0")));
        }
    }
    if memory.is_none() && (device.class.is_gpu() || device.class == Class::UnifiedMemory) {
        found.push(warning(
            "incomplete",
            id,
            "without memory neither what fits nor $/GB can be told".to_string(),
        ));
    }
    if device.watts.is_none() && !matches!(device.class, Class::Ram | Class::CpuCloud) {
        found.push(warning("incomplete", id, "without watts its electricity has no price".to_string()));
    }
    if let Some(second) = &device.second_source {
        let pairs = [
            ("memory", memory, second.memory_nominal_gb),
            ("bandwidth", device.bandwidth_gb_s.map(|fact| fact.value), second.bandwidth_gb_s),
        ];
        for (what, here, there) in pairs {
            if let (Some(here), Some(there)) = (here, there)
                && (here / there - 1.0).abs() > 0.05
            {
                let message =
                    format!("{what} is {here} here and {there} in {}: settle which is right", second.source);
                found.push(error("sources_differ", id, message));
            }
        }
    }
    rate_rules(device, found);
}

fn rate_rules(device: &Device, found: &mut Vec<Finding>) {
    let id = device.id.as_str();
    let mut seen = BTreeMap::new();
    for rate in &device.rates {
        let known = ["f64", "f32", "tf32", "f16", "bf16", "f8e4m3", "i8", "i32"];
        if !known.contains(&rate.precision.as_str()) || !known.contains(&rate.accumulate.as_str()) {
            found.push(error(
                "rate_named",
                id,
                format!("rate {} over {}: unknown type", rate.precision, rate.accumulate),
            ));
        }
        if !["dense", "2:4"].contains(&rate.sparsity.as_str()) {
            found.push(error("rate_named", id, format!("sparsity `{}`: write dense or 2:4", rate.sparsity)));
        }
        let key = (rate.precision.clone(), rate.accumulate.clone());
        if let Some((sparsity, value)) = seen.insert(key, (rate.sparsity.clone(), rate.value)) {
            let doubled = (rate.value / value - 2.0).abs() < 0.05 || (value / rate.value - 2.0).abs() < 0.05;
            if sparsity == rate.sparsity || !doubled {
                let message =
                    format!("{} is listed twice: one is sparse or accumulates otherwise", rate.precision);
                found.push(error("rate_mixed", id, message));
            }
        }
    }
}

fn price_rules(catalog: &Catalog, price: &Price, today: Date, found: &mut Vec<Finding>) {
    let subject = name(price);
    let mut wrong = |rule, message| found.push(error(rule, &subject, message));
    let Some(device) = catalog.device(&price.device) else {
        return wrong(
            "unknown_device",
            format!("no device has the id `{}`: add it to the devices first", price.device),
        );
    };
    if !(price.amount.is_finite() && price.amount > 0.0) {
        wrong("not_positive", format!("{} is no price", price.amount));
    }
    if price.count == 0 {
        wrong("not_positive", "a price for 0 devices".to_string());
    }
    if price.source.trim().is_empty() {
        wrong("no_source", "a price without a source: say who asked it".to_string());
    }
    if price.date.first_day() > today.last_day() {
        wrong("future", "the date lies in the future".to_string());
    }
    if price.kind.is_rent() != (price.per == Per::Hour) {
        wrong("covers", format!("{} is priced per {:?}", price.kind.label(), price.per).to_lowercase());
    }
    if !covers_fit(price, device) {
        wrong(
            "covers",
            format!(
                "a {} price of a {} cannot cover a {:?}",
                price.kind.label(),
                device.class.label(),
                price.covers
            ),
        );
    }
    if price.per == Per::Hour && device.class.is_gpu() && price.each().amount < RENT_FLOOR {
        wrong(
            "rent_floor",
            format!("{} an hour is below {RENT_FLOOR} for any GPU: a placeholder?", price.each()),
        );
    }
    if price.per == Per::Hour && device.class.is_gpu() && price.each().amount > RENT_CEILING {
        wrong(
            "rent_ceiling",
            format!(
                "{} an hour is above {RENT_CEILING} for any GPU: for a month, or for several?",
                price.each()
            ),
        );
    }
    if let (Some(stated), Some(fact)) = (price.stated_memory_gb, device.memory_nominal_gb) {
        let total = fact.value * f64::from(price.count);
        if (stated / total - 1.0).abs() > 0.05 {
            wrong(
                "memory_total",
                format!("states {stated} GB for {} x {} GB: total or one device?", price.count, fact.value),
            );
        }
    }
}

/// Whether what is covered can be bought or rented that way.
fn covers_fit(price: &Price, device: &Device) -> bool {
    match price.covers {
        Covers::Card => device.class.is_gpu() && price.per == Per::Unit,
        Covers::NodeShare => device.class.is_gpu(),
        Covers::Chip => {
            matches!(device.class, Class::CpuServer | Class::CpuDesktop) && price.per == Per::Unit
        }
        Covers::Module => device.class == Class::Ram && price.per == Per::Unit,
        Covers::Instance => price.per == Per::Hour && device.class != Class::Ram,
        Covers::System => price.per == Per::Unit && device.class != Class::Ram,
    }
}

fn spot_below_on_demand(catalog: &Catalog, found: &mut Vec<Finding>) {
    for (place, spot) in
        catalog.prices.iter().enumerate().filter(|(_, price)| price.kind == PriceKind::CloudSpot)
    {
        let same_offer = |price: &&Price| {
            price.kind == PriceKind::CloudOnDemand
                && price.device == spot.device
                && price.source == spot.source
                && price.covers == spot.covers
                && price.currency == spot.currency
        };
        if catalog.prices.iter().filter(same_offer).any(|price| spot.each().amount >= price.each().amount) {
            let message = "spot is not below on demand: one was copied from the other".to_string();
            found.push(error("spot_price", &name(spot), message).at(place));
        }
    }
}

/// Compares each price with the median of the same device, kind and cover; a group of three or more.
fn near_the_median(catalog: &Catalog, found: &mut Vec<Finding>) {
    let mut groups: BTreeMap<_, Vec<(usize, &Price)>> = BTreeMap::new();
    for (place, price) in catalog.prices.iter().enumerate() {
        let group = (&price.device, price.kind, price.covers, price.currency);
        groups.entry(group).or_default().push((place, price));
    }
    for group in groups.into_values().filter(|group| group.len() >= 3) {
        let mut amounts: Vec<f64> = group.iter().map(|(_, price)| price.each().amount).collect();
        amounts.sort_by(f64::total_cmp);
        let median = amounts[amounts.len() / 2];
        for (place, price) in group {
            let factor = price.each().amount / median;
            if !(1.0 / PEER_FACTOR..=PEER_FACTOR).contains(&factor) {
                let message = format!(
                    "{} is {} times the median of its peers, {median}",
                    price.each(),
                    crate::units::significant(factor, 2)
                );
                found.push(error("peers", &name(price), message).at(place));
            }
        }
    }
}

/// A price for several devices of one source must grow with their number.
fn counted_prices_scale(catalog: &Catalog, found: &mut Vec<Finding>) {
    for (place, many) in catalog.prices.iter().enumerate().filter(|(_, price)| price.count > 1) {
        let single = |price: &&Price| {
            price.count == 1
                && price.device == many.device
                && price.kind == many.kind
                && price.source == many.source
                && price.covers == many.covers
                && price.currency == many.currency
        };
        if catalog
            .prices
            .iter()
            .filter(single)
            .any(|price| many.amount < 0.5 * price.amount * f64::from(many.count))
        {
            let message = format!(
                "{} for {} costs about one: it was not multiplied, or leaves the GPUs out",
                many.amount, many.count
            );
            found.push(error("not_scaled", &name(many), message).at(place));
        }
    }
}

fn host_is_not_gpu_memory(catalog: &Catalog, found: &mut Vec<Finding>) {
    let mut sources: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for price in &catalog.prices {
        if let (Some(gpu), Some(host)) = (price.stated_memory_gb, price.stated_host_memory_gb) {
            let (rows, equal) = sources.entry(&price.source).or_default();
            *rows += 1;
            *equal += usize::from(gpu == host);
        }
    }
    for (source, (rows, equal)) in sources {
        if equal == rows {
            let message = format!("host memory equals GPU memory in all {rows} rows: the column was copied");
            found.push(error("host_memory", source, message));
        }
    }
}

fn series_is_alive(catalog: &Catalog, today: Date, found: &mut Vec<Finding>) {
    match catalog.prices.iter().map(|price| price.date).max_by_key(|date| date.last_day()) {
        None => found.push(error("empty", "prices", "there is no price at all".to_string())),
        Some(newest) if newest.age_days(today) > SERIES_DAYS => {
            let message = format!("the newest price is of {newest}: every answer in money is out of date");
            found.push(warning("old_series", "prices", message));
        }
        Some(_) => {}
    }
}

/// What a reader must know of a ranking that rests on prices of these kinds, if there are several.
pub fn mixed_kinds(kinds: &BTreeSet<PriceKind>) -> Option<Finding> {
    let names: Vec<_> = kinds.iter().map(|kind| kind.label()).collect();
    let message = || format!("prices of {} kinds stand side by side: {}", names.len(), names.join(", "));
    (names.len() > 1).then(|| warning("mixed_kinds", "ranking", message()))
}

/// Why a row that claims a GPU was probably run on the CPU: its decode rate does not exceed the same
/// host's CPU rate, or lies below a fifth of what reading the weights once per token allows.
///
/// `rate` and `cpu_rate` are tokens a second; `memory` is the card's bytes a second and the bytes of the weights, where
/// both are known. The first is an error; the second a warning, because a small model is bound by other things.
pub fn gpu_proof(
    subject: &str,
    rate: f64,
    cpu_rate: Option<f64>,
    memory: Option<(f64, f64)>,
) -> Option<Finding> {
    if cpu_rate.is_some_and(|cpu| rate <= cpu) {
        return Some(error(
            "fell_back",
            subject,
            format!("{rate} tokens/s is no more than the same host's CPU makes"),
        ));
    }
    let (bandwidth, weights) = memory?;
    let share = rate * weights / bandwidth;
    (share < 0.2).then(|| {
        let percent = share * 100.0;
        let message = format!(
            "{rate} tokens/s is {percent:.0} % of what its bandwidth allows: a part of it may have run on the CPU"
        );
        warning("fell_back", subject, message)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::catalog) const DEVICES: &str = r#"
schema = 1
[[device]]
id = "card"
name = "Card"
vendor = "Maker"
class = "gpu_datacentre"
memory_nominal_gb = { value = 80, basis = "datasheet" }
bandwidth_gb_s = { value = 2000, basis = "datasheet" }
watts = { value = 300, basis = "datasheet" }
rates = [{ precision = "f16", accumulate = "f32", sparsity = "dense", value = 300, basis = "datasheet" }]
"#;

    /// A price with changes.
    pub(in crate::catalog) fn price(changes: &[(&str, &str)]) -> String {
        let mut fields = BTreeMap::from([
            ("device", "\"card\""),
            ("amount", "2.5"),
            ("currency", "\"USD\""),
            ("kind", "\"cloud_on_demand\""),
            ("covers", "\"node_share\""),
            ("per", "\"hour\""),
            ("region", "\"US\""),
            ("vat", "\"excluded\""),
            ("date", "\"2026-10-01\""),
            ("method", "\"list\""),
            ("confidence", "\"high\""),
            ("source", "\"provider\""),
        ]);
        fields.extend(changes.iter().copied());
        let lines: Vec<_> = fields.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        format!("[[price]]\n{}\n", lines.join("\n"))
    }

    fn rules_of(devices: &str, prices: &[String]) -> Vec<&'static str> {
        let mut catalog = Catalog::default();
        catalog.add_devices(devices, "devices").unwrap();
        catalog.add_prices(&format!("schema = 1\n{}", prices.concat()), "prices").unwrap();
        check(&catalog, Date::parse("2026-11-23").unwrap()).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_right_catalogue_has_no_finding() {
        assert!(rules_of(DEVICES, &[price(&[])]).is_empty());
    }

    #[test]
    fn each_planted_error_is_found() {
        let spot = [("kind", "\"cloud_spot\"")];
        let cases: Vec<(&str, String, Vec<String>)> = vec![
            ("memory_range", DEVICES.replace("value = 80", "value = 0.078"), vec![price(&[])]),
            ("memory_range", DEVICES.replace("value = 80", "value = 0"), vec![price(&[])]),
            ("spot_price", DEVICES.into(), vec![price(&[]), price(&spot)]),
            ("memory_total", DEVICES.into(), vec![price(&[("count", "8"), ("amount", "20"), ("stated_memory_gb", "80")])]),
            ("rent_floor", DEVICES.into(), vec![price(&[("amount", "0.01")])]),
            ("rent_ceiling", DEVICES.into(), vec![price(&[("amount", "1825")])]),
            ("peers", DEVICES.into(), vec![price(&[]), price(&[]), price(&[("amount", "0.3")])]),
            ("host_memory", DEVICES.into(), vec![price(&[("stated_memory_gb", "80"), ("stated_host_memory_gb", "80")])]),
            ("covers", DEVICES.into(), vec![price(&[("covers", "\"card\"")])]),
            ("not_scaled", DEVICES.into(), vec![price(&[]), price(&[("count", "8")])]),
            ("empty", DEVICES.into(), vec![]),
            ("old_series", DEVICES.into(), vec![price(&[("date", "\"2024-10-01\"")])]),
            (
                "sources_differ",
                format!("{DEVICES}second_source = {{ bandwidth_gb_s = 3900, source = \"other\" }}\n"),
                vec![price(&[])],
            ),
            (
                "rate_mixed",
                DEVICES.replace("rates = [", "rates = [{ precision = \"f16\", accumulate = \"f32\", sparsity = \"dense\", value = 600, basis = \"datasheet\" },"),
                vec![price(&[])],
            ),
            ("rate_named", DEVICES.replace("\"dense\"", "\"\""), vec![price(&[])]),
            ("no_source", DEVICES.into(), vec![price(&[("source", "\" \"")])]),
            ("future", DEVICES.into(), vec![price(&[("date", "\"2026-12-01\"")])]),
            ("not_positive", DEVICES.into(), vec![price(&[("amount", "-3")])]),
            ("not_positive", DEVICES.into(), vec![price(&[("amount", "nan")])]),
            ("not_positive", DEVICES.into(), vec![price(&[("count", "0")])]),
            ("not_positive", DEVICES.into(), vec![price(&[("amount", "0")])]),
            ("not_positive", DEVICES.into(), vec![price(&[("amount", "inf")])]),
            ("unknown_device", DEVICES.into(), vec![price(&[("device", "\"cart\"")])]),
            ("incomplete", without(DEVICES, "watts"), vec![price(&[])]),
            ("incomplete", without(DEVICES, "memory_nominal_gb"), vec![price(&[])]),
            ("not_positive", DEVICES.replace("value = 300, basis = \"datasheet\" }\n", "value = -1, basis = \"datasheet\" }\n"), vec![price(&[])]),
        ];
        for (rule, devices, prices) in cases {
            let found = rules_of(&devices, &prices);
            assert!(found.contains(&rule), "{rule} was planted, {found:?} were found");
        }
    }

    /// A file without the line of one field.
    fn without(text: &str, field: &str) -> String {
        text.lines().filter(|line| !line.starts_with(field)).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn currencies_are_never_set_against_each_other() {
        let euro = ("currency", "\"EUR\"");
        let spot = price(&[("kind", "\"cloud_spot\""), ("amount", "9"), euro]);
        let eight = price(&[("count", "8"), ("amount", "3"), euro]);
        let far = [price(&[]), price(&[]), price(&[("amount", "50"), euro])];
        assert_eq!(rules_of(DEVICES, &[price(&[]), spot]), Vec::<&str>::new());
        assert_eq!(rules_of(DEVICES, &[price(&[]), eight]), Vec::<&str>::new());
        assert_eq!(rules_of(DEVICES, &far), Vec::<&str>::new());
    }

    #[test]
    fn a_price_without_a_date_is_no_price() {
        let undated =
            price(&[]).lines().filter(|line| !line.starts_with("date")).collect::<Vec<_>>().join("\n");
        let error = Catalog::default().add_prices(&format!("schema = 1\n{undated}"), "prices").unwrap_err();
        assert!(error.to_string().contains("date"), "{error}");
    }

    #[test]
    fn kinds_do_not_mix_in_one_ranking_unsaid() {
        let found = |kinds: &[PriceKind]| mixed_kinds(&kinds.iter().copied().collect());
        let said = found(&[PriceKind::StreetNew, PriceKind::LaunchMsrp]).unwrap();
        assert!(said.message.contains(PriceKind::LaunchMsrp.label()) && said.rule == "mixed_kinds");
        assert_eq!(found(&[PriceKind::StreetNew, PriceKind::StreetNew]), None);
    }

    #[test]
    fn a_gpu_that_ran_on_the_cpu_is_found() {
        // 7B weights at four bits are 4.1 GB; 2 TB/s allow 488 tokens/s.
        let proof = |rate, cpu| gpu_proof("row", rate, cpu, Some((2e12, 4.1e9))).map(|finding| finding.rule);
        assert_eq!(proof(202.0, Some(80.0)), None);
        assert_eq!(proof(33.2, None), Some("fell_back"));
        assert_eq!(proof(150.0, Some(160.0)), Some("fell_back"));
        assert_eq!(gpu_proof("row", 1.0, None, None), None);
    }
}
