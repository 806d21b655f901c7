//! `cutgpu prices`: shows, checks and adds prices.

use super::exit;
use super::market::Market;
use crate::catalog::{self, Catalog, Confidence, Covers, Currency, Date, Per, Price, PriceKind, Severity};
use crate::cost::{self, MemoryPrice};
use crate::host::plain;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `cutgpu prices`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// $/GB and $/(GB/s) of every device, one table a kind of price.
    #[command(after_help = "Example: cutgpu prices list --as-of 2025-07-31")]
    List(ListArgs),
    /// Look for errors that public price data is known to have; exit 1 if there is one.
    #[command(after_help = "Example: cutgpu prices check --prices mine.toml")]
    Check(Shared),
    /// Append a dated price to a file of your own.
    #[command(
        after_help = "Example: cutgpu prices add --device geforce-rtx-5090 --amount 4100 --kind street_new \
                            --covers card --date 2026-11-20 --source 'a shop' --file mine.toml"
    )]
    Add(AddArgs),
}

/// What every verb that reads prices takes.
#[derive(Debug, clap::Args)]
struct Shared {
    #[command(flatten)]
    market: Market,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    shared: Shared,
    /// The article's claim: GPU memory over RAM, by segment and date.
    #[arg(long)]
    claim: bool,
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// Id of the device, as in `cutgpu prices list --json`.
    #[arg(long)]
    device: String,
    /// Amount for one.
    #[arg(long)]
    amount: f64,
    /// USD, EUR or GBP.
    #[arg(long, default_value = "USD", value_parser = word::<Currency>)]
    currency: Currency,
    /// launch_msrp, street_new, used, system_share, list, wholesale, model, cloud_on_demand, cloud_spot, cloud_reserved.
    #[arg(long, value_parser = word::<PriceKind>)]
    kind: PriceKind,
    /// card, chip, module, node_share, instance, system.
    #[arg(long, value_parser = word::<Covers>)]
    covers: Covers,
    /// When it was asked: 2026, 2026-11 or 2026-11-20.
    #[arg(long, value_parser = Date::parse)]
    date: Date,
    /// Who asked it.
    #[arg(long)]
    source: String,
    /// Where: US, EU, ...
    #[arg(long, default_value = "unstated")]
    region: String,
    /// included, excluded, unclear, unstated.
    #[arg(long, default_value = "unstated")]
    vat: String,
    /// File to append to; made if it is not there.
    #[arg(long, value_name = "FILE", default_value = "prices.toml")]
    file: PathBuf,
}

/// Reads a word of one of the catalogue's closed sets; the error lists the set.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(json!(text)).map_err(|error| error.to_string())
}

/// Does what the words ask.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    match &args.verb {
        Verb::List(args) if args.claim => claim(&args.shared),
        Verb::List(args) => list(&args.shared),
        Verb::Check(shared) => check(shared),
        Verb::Add(args) => add(args),
    }
}

fn list(shared: &Shared) -> anyhow::Result<u8> {
    let kinds = cost::memory_prices(&shared.market.catalog()?, shared.market.day());
    let mut out = std::io::stdout().lock();
    if shared.json {
        let rows: Vec<_> = kinds.values().flatten().map(price_json).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        return Ok(exit::OK);
    }
    for (kind, prices) in kinds {
        let per = if kind.is_rent() { " an hour" } else { "" };
        writeln!(out, "{}{per}, as known on {}", kind.label(), shared.market.day())?;
        let mut table =
            super::table::table(&["device", "$/GB", "$/(GB/s)", "covers", "date", "marks", "source"]);
        for price in prices {
            let covers = word_of(&price.covers)?;
            table.add_row(
                [
                    &price.name,
                    &money(price.per_gb),
                    &money(price.per_gb_s),
                    &covers,
                    &price.date.to_string(),
                    &marks(&price),
                    &price.source,
                ]
                .map(|text| plain(text)),
            );
        }
        writeln!(out, "{table}\n")?;
    }
    Ok(exit::OK)
}

fn claim(shared: &Shared) -> anyhow::Result<u8> {
    let ratios = cost::memory_ratios(&shared.market.catalog()?, shared.market.day());
    let mut out = std::io::stdout().lock();
    if shared.json {
        let rows: Vec<_> = ratios.iter().map(|r| json!({
            "segment": r.segment.label(), "date": r.date, "low": r.range.0, "high": r.range.1, "oldest_price": r.oldest,
            "gpu": [r.gpu[0].0, r.gpu[1].0], "gpu_per_gb": [r.gpu[0].1, r.gpu[1].1], "ram_per_gb": [r.ram.0, r.ram.1],
        })).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        return Ok(exit::OK);
    }
    let mut table = super::table::table(&[
        "segment",
        "date",
        "times RAM",
        "cheapest GPU",
        "dearest GPU",
        "RAM $/GB",
        "oldest price",
    ]);
    for r in ratios {
        table.add_row([
            r.segment.label().to_string(),
            r.date.to_string(),
            format!(
                "{} to {}",
                crate::units::significant(r.range.0, 2),
                crate::units::significant(r.range.1, 2)
            ),
            format!("{} ({}/GB)", r.gpu[0].0, r.gpu[0].1),
            format!("{} ({}/GB)", r.gpu[1].0, r.gpu[1].1),
            format!("{} to {}", r.ram.0, r.ram.1),
            r.oldest.to_string(),
        ]);
    }
    writeln!(out, "GPU memory over system RAM, purchase prices per GB (the claim: 10 times)\n{table}")?;
    Ok(exit::OK)
}

fn check(shared: &Shared) -> anyhow::Result<u8> {
    let catalog = shared.market.everything()?;
    let findings = catalog::check(&catalog, shared.market.day());
    let stale = catalog.prices.iter().filter(|price| price.is_stale(shared.market.day())).count();
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let mut out = std::io::stdout().lock();
    if shared.json {
        let rows: Vec<_> = findings.iter().map(|f| json!({
            "severity": format!("{:?}", f.severity).to_lowercase(), "rule": f.rule, "subject": f.subject, "message": f.message,
        })).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&json!({ "findings": rows, "stale": stale }))?)?;
    } else {
        for finding in &findings {
            let severity = format!("{:?}", finding.severity).to_lowercase();
            writeln!(
                out,
                "{severity}: {} ({}): {}",
                plain(&finding.subject),
                finding.rule,
                plain(&finding.message)
            )?;
        }
        let (prices, devices) = (catalog.prices.len(), catalog.devices.len());
        writeln!(
            out,
            "{prices} prices of {devices} devices: {errors} errors, {} warnings; {stale} prices are stale on {}",
            findings.len() - errors,
            shared.market.day()
        )?;
    }
    Ok(if errors > 0 { exit::FAILED } else { exit::OK })
}

fn add(args: &AddArgs) -> anyhow::Result<u8> {
    let price = Price {
        device: args.device.clone(),
        amount: args.amount,
        currency: args.currency,
        kind: args.kind,
        covers: args.covers,
        per: if args.kind.is_rent() { Per::Hour } else { Per::Unit },
        count: 1,
        region: args.region.clone(),
        vat: args.vat.clone(),
        date: args.date,
        method: "user".to_string(),
        confidence: Confidence::Medium,
        unverified: false,
        source: args.source.clone(),
        note: String::new(),
        stated_memory_gb: None,
        stated_host_memory_gb: None,
    };
    let mut catalog = Catalog::embedded()?;
    if catalog.device(&price.device).is_none() {
        let near =
            crate::nearest::nearest(&price.device, catalog.devices.iter().map(|device| device.id.as_str()));
        let hint = near.map(|id| format!(": did you mean `{id}`?")).unwrap_or_default();
        anyhow::bail!("no device has the id `{}`{hint}", plain(&price.device));
    }
    let before = catalog::check(&catalog, Date::today());
    catalog.prices.push(price.clone());
    let new: Vec<_> = catalog::check(&catalog, Date::today())
        .into_iter()
        .filter(|finding| !before.contains(finding))
        .collect();
    for finding in &new {
        eprintln!("{}: {}", plain(&finding.subject), plain(&finding.message));
    }
    if new.iter().any(|finding| finding.severity == Severity::Error) {
        anyhow::bail!("the price was not added");
    }
    catalog::add(&args.file, &price)?;
    eprintln!("added to {}", args.file.display());
    Ok(exit::OK)
}

fn price_json(price: &MemoryPrice) -> serde_json::Value {
    json!({
        "device": price.device, "name": price.name, "class": price.class, "kind": price.kind, "covers": price.covers,
        "per_gb": price.per_gb, "per_gb_s": price.per_gb_s, "date": price.date, "stale": price.stale,
        "unverified": price.unverified, "source": price.source,
    })
}

fn marks(price: &MemoryPrice) -> String {
    let marks = [(price.stale, "stale"), (price.unverified, "unverified")];
    marks.into_iter().filter(|(set, _)| *set).map(|(_, mark)| mark).collect::<Vec<_>>().join(", ")
}

fn money(money: Option<catalog::Money>) -> String {
    money.map_or("-".to_string(), |money| money.to_string())
}

fn word_of<T: serde::Serialize>(value: &T) -> anyhow::Result<String> {
    Ok(serde_json::to_value(value)?.as_str().unwrap_or_default().replace('_', " "))
}
