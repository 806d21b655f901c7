//! How the price of memory moved: per GB and per GB/s, side by side, since the two point opposite ways.

use super::super::model::Model;
use super::super::scene::{Axis, Format, Look, Numbers, Panel, Plot, Point, Scale, Scene, Series};
use crate::catalog::{Date, Money, PriceKind};
use crate::cost::MemoryPrice;

/// Days of a month, on average over 400 years.
const MONTH: f64 = 30.436_875;

/// Most devices that are drawn; the numbers have all.
const DEVICES: usize = 6;

/// The middle of what a date may mean, in months since 1970 began.
fn months(date: Date) -> f64 {
    (date.first_day() + date.last_day()) as f64 / 2.0 / MONTH
}

/// $/GB and $/(GB/s) of each device that was priced at several dates.
pub(super) fn over_time(model: &Model) -> Vec<Scene> {
    let history = &model.money.history;
    let Some(oldest) = history.values().flatten().map(|price| price.date).min_by_key(|date| date.first_day())
    else {
        return Vec::new();
    };
    let mut drawn: Vec<&Vec<MemoryPrice>> = history.values().collect();
    let far = |prices: &[MemoryPrice]| moved(prices).map_or(0.0, |ratio| ratio.ln().abs());
    drawn.sort_by(|a, b| far(b).total_cmp(&far(a)));
    drawn.truncate(DEVICES);
    let panel = |unit: &str, of: fn(&MemoryPrice) -> Option<Money>| Panel {
        title: format!("$ per {unit}"),
        x: Axis {
            label: "month".to_string(),
            scale: Scale::Linear,
            format: Format::Month,
            include: Vec::new(),
        },
        y: Axis {
            label: format!("$ per {unit}, logarithmic"),
            scale: Scale::Log,
            format: Format::Dollars,
            include: Vec::new(),
        },
        series: drawn.iter().enumerate().filter_map(|(number, prices)| series(number, prices, of)).collect(),
        roofs: Vec::new(),
        bands: Vec::new(),
    };
    let panels = vec![panel("GB", |price| price.per_gb), panel("GB/s", |price| price.per_gb_s)];
    vec![Scene {
        name: "cost-over-time".to_string(),
        finding: finding(model),
        about: format!(
            "Dated prices of new devices in shops, one kind of price only ({}); of {} devices with several dates those that moved most. A price that is \
             too old to buy by on {} says so.",
            PriceKind::StreetNew.label(),
            history.len(),
            model.as_of
        ),
        source: format!(
            "Not measured: dated public prices and datasheets (catalog/prices.toml, catalog/devices.toml). Oldest price: \
             {oldest}."
        ),
        plot: Plot::Panels(panels),
        table: numbers(model),
    }]
}

fn series(number: usize, prices: &[MemoryPrice], of: fn(&MemoryPrice) -> Option<Money>) -> Option<Series> {
    let newest = prices.last()?;
    let point = |price: &MemoryPrice| {
        let is_last = std::ptr::eq(price, newest);
        Some(Point {
            x: months(price.date),
            y: of(price)?.amount,
            interval: None,
            label: if is_last && price.stale { "stale".to_string() } else { String::new() },
        })
    };
    let points: Vec<Point> = prices.iter().filter_map(point).collect();
    (points.len() > 1).then(|| Series {
        label: newest.name.clone(),
        look: Look::series(number),
        joined: true,
        points,
    })
}

/// How many times its first price per GB a device costs by its last.
fn moved(prices: &[MemoryPrice]) -> Option<f64> {
    prices.last()?.per_gb?.ratio(prices.first()?.per_gb?)
}

/// Whose price per GB moved most.
fn finding(model: &Model) -> String {
    let moves = model
        .money
        .history
        .values()
        .filter_map(|prices| Some((moved(prices)?, prices.first()?, prices.last()?)));
    match moves.max_by(|a, b| a.0.ln().abs().total_cmp(&b.0.ln().abs())) {
        Some((ratio, first, last)) => format!(
            "A GB of {} cost {} times as much in {} as in {}",
            last.name,
            crate::units::significant(ratio, 2),
            last.date,
            first.date
        ),
        None => "What memory cost over time".to_string(),
    }
}

fn numbers(model: &Model) -> Numbers {
    let money = |money: Option<Money>| money.map_or(String::new(), |money| money.to_string());
    let row = |price: &MemoryPrice| {
        let stale = if price.stale { " · stale" } else { "" };
        vec![price.name.clone(), format!("{}{stale}", price.date), money(price.per_gb), money(price.per_gb_s)]
    };
    Numbers {
        columns: ["device", "date", "$/GB", "$/(GB/s)"].map(String::from).into(),
        rows: model.money.history.values().flatten().map(row).collect(),
    }
}
