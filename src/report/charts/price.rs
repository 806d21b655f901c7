//! Dated prices of memory: per GB, per GB/s, and the claim that GPU memory costs ten times RAM.

use super::super::model::Model;
use super::super::palette::Role;
use super::super::scene::{
    Axis, Bar, BarGroup, Bars, Fill, Format, Key, Numbers, Part, Plot, Reference, Scale, Scene,
};
use crate::catalog::{Class, Date, Money, PriceKind};
use crate::cost::{MemoryPrice, MemoryRatio};
use crate::units::significant;

/// Kinds that are drawn, each in a chart of its own; the page has a table of all kinds.
const PURCHASE: PriceKind = PriceKind::StreetNew;
const RENT: PriceKind = PriceKind::CloudOnDemand;
/// Most devices of one class.
const DEVICES: usize = 3;
/// Classes in the order of the page, each with its colour.
const CLASSES: [(Class, u8); 8] = [
    (Class::Ram, 2),
    (Class::CpuDesktop, 5),
    (Class::CpuServer, 5),
    (Class::CpuCloud, 5),
    (Class::UnifiedMemory, 3),
    (Class::GpuConsumer, 0),
    (Class::GpuWorkstation, 7),
    (Class::GpuDatacentre, 1),
];

/// $/GB as sold.
pub(super) fn capacity(model: &Model) -> Vec<Scene> {
    let of = |price: &MemoryPrice| price.per_gb;
    [(PURCHASE, "cost-per-gb", "$ per GB as sold"), (RENT, "rent-per-gb", "$ per GB and hour")]
        .into_iter()
        .filter_map(|(kind, name, axis)| prices(model, kind, name, axis, "GB", of))
        .collect()
}

/// $/(GB/s) of peak bandwidth.
pub(super) fn bandwidth(model: &Model) -> Vec<Scene> {
    let of = |price: &MemoryPrice| price.per_gb_s;
    [(PURCHASE, "cost-per-gb-s", "$ per GB/s of peak bandwidth")]
        .into_iter()
        .filter_map(|(kind, name, axis)| prices(model, kind, name, axis, "GB/s", of))
        .collect()
}

fn prices(
    model: &Model,
    kind: PriceKind,
    name: &str,
    axis: &str,
    unit: &str,
    of: impl Fn(&MemoryPrice) -> Option<Money>,
) -> Option<Scene> {
    let mut known: Vec<(&MemoryPrice, Money)> =
        model.money.memory.get(&kind)?.iter().filter_map(|price| Some((price, of(price)?))).collect();
    known.sort_by(|a, b| a.1.amount.total_cmp(&b.1.amount));
    let (first, last) = (known.first()?, known.last()?);
    let oldest = known.iter().map(|(price, _)| price.date).min()?;
    let stale = known.iter().filter(|(price, _)| price.stale).count();
    let groups: Vec<BarGroup> =
        CLASSES.iter().filter_map(|(class, colour)| class_group(*class, *colour, &known)).collect();
    let finding =
        format!("A {unit} costs from {} ({}) to {} ({})", first.1, first.0.name, last.1, last.0.name);
    let about = format!(
        "One kind of price only: {}. The newest price of each device that was known on {}; {stale} of {} are stale \
         (over 90 days old, memory modules over 30). Prices are observations from public sources, peaks and sizes are \
         the makers'; a card needs a host and a processor needs memory, which are not in here.",
        kind.label(),
        model.as_of,
        known.len()
    );
    Some(Scene {
        name: name.to_string(),
        finding,
        about,
        source: source(oldest),
        plot: Plot::Bars(Bars {
            axis: Axis {
                label: format!("{axis}, {}", kind.label()),
                scale: Scale::Linear,
                format: Format::Dollars,
                include: vec![0.0],
            },
            origin: Some(0.0),
            groups,
            lines: Vec::new(),
            bands: Vec::new(),
            legend: vec![
                Key { label: "price and datasheet".to_string(), role: Role::Series(0), fill: Fill::Hatched },
                Key {
                    label: "no source confirms it".to_string(),
                    role: Role::Series(0),
                    fill: Fill::Outline,
                },
            ],
        }),
        table: numbers(&known),
    })
}

fn source(oldest: Date) -> String {
    format!(
        "Not measured: dated public prices and datasheets (catalog/prices.toml, catalog/devices.toml). Oldest price: {oldest}."
    )
}

fn class_group(class: Class, colour: u8, known: &[(&MemoryPrice, Money)]) -> Option<BarGroup> {
    let of_class: Vec<_> = known.iter().filter(|(price, _)| price.class == class).collect();
    let bars: Vec<Bar> = of_class
        .iter()
        .take(DEVICES)
        .map(|(price, money)| Bar {
            label: price.name.clone(),
            value: format!("{money} · {}{}", price.date, marks(price)),
            parts: vec![Part {
                until: money.amount,
                role: Role::Series(colour),
                fill: if price.unverified { Fill::Outline } else { Fill::Hatched },
            }],
            interval: None,
        })
        .collect();
    let left = of_class.len() - bars.len();
    let note = if left > 0 { format!("and {left} dearer in the numbers below") } else { String::new() };
    (!bars.is_empty()).then(|| BarGroup { label: class.label().to_string(), note, bars })
}

fn marks(price: &MemoryPrice) -> String {
    let marks = [(price.stale, " · stale"), (price.unverified, " · unverified")];
    marks.into_iter().filter(|(set, _)| *set).map(|(_, mark)| mark).collect()
}

/// The prices of one kind, cheapest first.
fn numbers(known: &[(&MemoryPrice, Money)]) -> Numbers {
    let row = |(price, money): &(&MemoryPrice, Money)| {
        vec![
            price.name.clone(),
            price.class.label().to_string(),
            money.to_string(),
            price.date.to_string() + &marks(price),
        ]
    };
    Numbers {
        columns: ["device", "class", "amount", "date"].map(String::from).into(),
        rows: known.iter().map(row).collect(),
    }
}

/// How many times RAM the memory of a segment's GPUs cost, over time.
pub(super) fn claim(model: &Model) -> Vec<Scene> {
    let ratios = &model.money.ratios;
    let Some(oldest) = ratios.iter().map(|ratio| ratio.oldest).min() else { return Vec::new() };
    let low = ratios.iter().map(|ratio| ratio.range.0).fold(f64::INFINITY, f64::min);
    let high = ratios.iter().map(|ratio| ratio.range.1).fold(0.0, f64::max);
    let holds = ratios.iter().filter(|ratio| ratio.range.0 <= 10.0 && ratio.range.1 >= 10.0).count();
    let origin = low / 1.5;
    let groups = crate::cost::Segment::ALL.into_iter().filter_map(|segment| {
        let bars: Vec<Bar> = ratios.iter().filter(|ratio| ratio.segment == segment).map(range_bar).collect();
        (!bars.is_empty()).then(|| BarGroup { label: segment.label().to_string(), note: String::new(), bars })
    });
    let plot = Plot::Bars(Bars {
        axis: Axis {
            label: "GPU $/GB over RAM $/GB (logarithmic)".to_string(),
            scale: Scale::Log,
            format: Format::Times,
            include: vec![10.0],
        },
        origin: Some(origin),
        groups: groups.collect(),
        lines: vec![Reference { at: 10.0, label: "the claim: 10×".to_string() }],
        bands: Vec::new(),
        legend: Vec::new(),
    });
    vec![Scene {
        name: "claim-ten-times".to_string(),
        finding: format!(
            "GPU memory cost {} to {}× RAM per GB; the claimed 10× lies inside the range in {holds} of {} cases",
            significant(low, 2),
            significant(high, 2),
            ratios.len()
        ),
        about: "Each bar runs from the cheapest GPU over the dearest RAM to the dearest GPU over the cheapest RAM of one \
                segment, by confirmed purchase prices around one date. Kinds of price may differ between the two sides; \
                the table says which."
            .to_string(),
        source: source(oldest),
        plot,
        table: claim_numbers(ratios),
    }]
}

fn range_bar(ratio: &MemoryRatio) -> Bar {
    let (low, high) = ratio.range;
    Bar {
        label: ratio.date.to_string(),
        value: format!("{} to {}×", significant(low, 2), significant(high, 2)),
        parts: vec![
            Part { until: low, role: Role::Series(0), fill: Fill::Nothing },
            Part { until: high, role: Role::Series(0), fill: Fill::Hatched },
        ],
        interval: None,
    }
}

fn claim_numbers(ratios: &[MemoryRatio]) -> Numbers {
    let kinds = |kinds: &std::collections::BTreeSet<PriceKind>| {
        kinds.iter().map(|kind| kind.label()).collect::<Vec<_>>().join(", ")
    };
    let row = |ratio: &MemoryRatio| {
        vec![
            ratio.segment.label().to_string(),
            ratio.date.to_string(),
            format!("{} to {}×", significant(ratio.range.0, 2), significant(ratio.range.1, 2)),
            ratio.gpu.iter().map(|(name, money)| format!("{name} {money}")).collect::<Vec<_>>().join(" to "),
            format!("{} to {}", ratio.ram.0, ratio.ram.1),
            kinds(&ratio.gpu_kinds),
            kinds(&ratio.ram_kinds),
            ratio.oldest.to_string(),
        ]
    };
    let columns =
        ["segment", "date", "times RAM", "GPU $/GB", "RAM $/GB", "GPU prices", "RAM prices", "oldest price"];
    Numbers { columns: columns.map(String::from).into(), rows: ratios.iter().map(row).collect() }
}
