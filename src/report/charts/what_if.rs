//! What the reader can turn, as the page opens: cost against volume, cost against speed, and what moves the answer.
//! `assets/draw.js` draws the same again when something is turned.

use super::super::model::{JobView, Model};
use super::super::palette::Role;
use super::super::scene::{
    Axis, Band, Bar, BarGroup, Bars, Dash, Fill, Format, Look, Marker, Numbers, Panel, Part, Plot, Point,
    Reference, Roof, Scale, Scene, Series,
};
use super::super::text;
use super::super::what_if::{count, factor, plural};
use crate::advise::what_if::{Costs, frontier};
use crate::advise::{PriceBasis, TimeBasis};
use crate::compare::Interval;
use crate::cost::{Bar as Sway, Side};

/// The two sides, in every chart of the section.
const SIDES: [(Side, Look); 2] = [
    (Side::A, Look { role: Role::Series(0), marker: Marker::Disc, dash: Dash::Solid }),
    (Side::B, Look { role: Role::Series(1), marker: Marker::Square, dash: Dash::Dashed }),
];

/// Where times come from, each with its marker: only what was measured is filled.
const BASES: [(TimeBasis, Marker, u8); 3] = [
    (TimeBasis::Measured, Marker::Disc, 0),
    (TimeBasis::MeasuredRoofs, Marker::Ring, 3),
    (TimeBasis::DatasheetRoofs, Marker::Frame, 1),
];

/// Every how many points of a curve have a row in the numbers.
const ROWS: usize = 8;

fn axis(label: String, scale: Scale, format: Format, include: Vec<f64>) -> Axis {
    Axis { label, scale, format, include }
}

fn scenes(model: &Model, scene: impl Fn(&JobView) -> Option<Scene>) -> Vec<Scene> {
    model.jobs.first().and_then(scene).into_iter().collect()
}

/// Where the times and prices of a job come from.
fn source(model: &Model, job: &JobView) -> String {
    let dates = job.candidates.iter().filter_map(|candidate| match candidate.price {
        PriceBasis::Catalog { date, .. } => Some(date),
        PriceBasis::User => None,
    });
    let oldest = dates.min().map_or(String::new(), |date| format!(" Oldest price: {date}."));
    let measured = job.candidates.iter().any(|candidate| candidate.time == TimeBasis::Measured);
    let run = if measured { super::source(model) } else { "No time of this job was measured.".to_string() };
    format!("{run} Other times are estimates; prices are dated observations.{oldest}")
}

/// A unit's cost over the volume of a month, with the break-even as a band.
pub(super) fn against_volume(model: &Model) -> Vec<Scene> {
    scenes(model, |job| {
        let open = job.open();
        let volumes = open.volumes(job.ends).ok()?;
        let curves = [open.curve(job.a, &volumes).ok()?, open.curve(job.b, &volumes).ok()?];
        let end = |number: usize, of: fn(&Interval) -> f64, label: String, dash: Dash| Series {
            label,
            look: Look { dash, ..SIDES[number].1 },
            joined: true,
            points: volumes
                .iter()
                .zip(&curves[number])
                .map(|(x, y)| Point { x: *x, y: of(y) * job.per.0, interval: None, label: String::new() })
                .collect(),
        };
        let lines = |number: usize| {
            let (side, look) = SIDES[number];
            [
                end(number, |at| at.centre, job.name(side).to_string(), look.dash),
                end(number, |at| at.low, String::new(), Dash::Dotted),
                end(number, |at| at.high, String::new(), Dash::Dotted),
            ]
        };
        let band =
            Band { from: job.duel.volume.low, to: job.duel.volume.high, label: "break-even".to_string() };
        let panel = Panel {
            title: String::new(),
            x: axis(format!("{} a month", plural(&job.unit)), Scale::Log, Format::Prefix, Vec::new()),
            y: axis(format!("$ per {}", job.per_unit()), Scale::Log, Format::Dollars, Vec::new()),
            series: [lines(0), lines(1)].concat(),
            roofs: Vec::new(),
            // A break-even below every volume has nothing to show.
            bands: if band.to > volumes[0] { vec![band] } else { Vec::new() },
        };
        let rows = volumes.iter().enumerate().step_by(ROWS).map(|(at, volume)| {
            vec![count(*volume), job.unit_cost(&curves[0][at]), job.unit_cost(&curves[1][at])]
        });
        let names = [job.name(Side::A), job.name(Side::B)].map(str::to_string);
        let volume = format!("{} a month", plural(&job.unit));
        Some(Scene {
            name: "what-if-volume".to_string(),
            finding: job.break_even(),
            about: "What a unit costs when a month brings so many of them, on whole machines: what is owned is paid without \
                    work too, and where one machine is full the next is paid. Dotted: the ends that times, prices and watts \
                    can reach together. The band: where the break-even can lie."
                .to_string(),
            source: source(model, job),
            plot: Plot::Panels(vec![panel]),
            table: Numbers { columns: [vec![volume], names.into()].concat(), rows: rows.collect() },
        })
    })
}

/// A unit's cost over speed: who is beaten by nobody in both.
pub(super) fn against_speed(model: &Model) -> Vec<Scene> {
    scenes(model, |job| {
        let best = frontier(&job.costs);
        let (fastest, cheapest) = (*best.last()?, *best.first()?);
        let point = |place: usize| {
            let costs = &job.costs[place];
            let [low, high] = [costs.unit.low, costs.unit.high].map(|end| end * job.per.0);
            Point {
                x: costs.hourly,
                y: costs.unit.centre * job.per.0,
                interval: Some((low, high)),
                label: job.candidates[place].name.clone(),
            }
        };
        let series = BASES.iter().filter_map(|(basis, marker, colour)| {
            let of = (0..job.candidates.len()).filter(|place| job.candidates[*place].time == *basis);
            let points: Vec<Point> = of.map(point).collect();
            let look = Look { role: Role::Series(*colour), marker: *marker, dash: Dash::Solid };
            let label = basis.label().to_string();
            (!points.is_empty()).then_some(Series { label, look, joined: false, points })
        });
        let line =
            best.iter().map(|place| (job.costs[*place].hourly, job.costs[*place].unit.centre * job.per.0));
        let panel = Panel {
            title: String::new(),
            x: axis(
                format!("{} in an hour of work", plural(&job.unit)),
                Scale::Log,
                Format::Prefix,
                Vec::new(),
            ),
            y: axis(format!("$ per {}", job.per_unit()), Scale::Log, Format::Dollars, Vec::new()),
            series: series.collect(),
            roofs: vec![Roof { label: String::new(), points: line.collect(), measured: false }],
            bands: Vec::new(),
        };
        let row = |(place, costs): (usize, &Costs)| {
            vec![
                job.candidates[place].name.clone(),
                count(costs.hourly),
                job.unit_cost(&costs.unit),
                if best.contains(&place) { "no" } else { "yes" }.to_string(),
            ]
        };
        let columns = [
            "candidate".to_string(),
            format!("{} an hour", plural(&job.unit)),
            format!("$ per {}", job.per_unit()),
            "beaten in both".to_string(),
        ];
        Some(Scene {
            name: "what-if-speed".to_string(),
            finding: match fastest == cheapest {
                true => format!("{} is the cheapest and the fastest", job.candidates[fastest].name),
                false => format!(
                    "{} is the cheapest, {} the fastest; {} of {} are beaten by nobody in both",
                    job.candidates[cheapest].name,
                    job.candidates[fastest].name,
                    best.len(),
                    job.costs.len()
                ),
            },
            about: "Cost and speed on a machine as busy as its hours allow. The dashed line joins those that no other beats in \
                    both. Filled: the job was timed there. Open: estimated, never a measurement. Whiskers: what times, \
                    prices and watts can reach together."
                .to_string(),
            source: source(model, job),
            plot: Plot::Panels(vec![panel]),
            table: Numbers {
                columns: columns.into(),
                rows: job.costs.iter().enumerate().map(row).collect(),
            },
        })
    })
}

/// What each thing that is not known does to the worth alone.
pub(super) fn sensitivities(model: &Model) -> Vec<Scene> {
    scenes(model, |job| {
        let sways: Vec<&Sway> = job.duel.tornado.iter().filter(|sway| sway.width() > 0.0).collect();
        let strongest = sways.first()?;
        let ends = |sway: &Sway| (sway.low.min(sway.high), sway.low.max(sway.high));
        let least =
            sways.iter().map(|sway| ends(sway).0).fold(f64::min(1.0, job.duel.worth.centre), f64::min);
        let shown = |sway: &Sway| format!("{} to {}", text::times(ends(sway).0), text::times(ends(sway).1));
        let bar = |sway: &&Sway| {
            let (low, high) = ends(sway);
            let role = Role::Series(if sway.swing.side == Some(Side::A) { 0 } else { 1 });
            let role = if sway.swing.side.is_none() { Role::Series(6) } else { role };
            Bar {
                label: factor(&sway.swing),
                value: shown(sway),
                parts: vec![
                    Part { until: low, role, fill: Fill::Nothing },
                    Part { until: high, role, fill: Fill::Hatched },
                ],
                interval: None,
            }
        };
        let crossing = sways.iter().filter(|sway| ends(sway).0 < 1.0 && ends(sway).1 > 1.0).count();
        let row = |sway: &&Sway| {
            let plain = |value: f64| crate::units::significant(value, 3);
            vec![factor(&sway.swing), plain(sway.swing.low), plain(sway.swing.high), shown(sway)]
        };
        let plot = Plot::Bars(Bars {
            axis: axis(format!("worth of B, {}", job.name(Side::B)), Scale::Log, Format::Times, vec![1.0]),
            origin: Some(least / 1.1),
            groups: vec![BarGroup {
                label: String::new(),
                note: String::new(),
                bars: sways.iter().map(bar).collect(),
            }],
            lines: vec![
                Reference { at: 1.0, label: "as dear as each other".to_string() },
                Reference { at: job.duel.worth.centre, label: "now".to_string() },
            ],
            bands: Vec::new(),
            legend: Vec::new(),
        });
        Some(Scene {
            name: "what-if-moves".to_string(),
            finding: format!(
                "What moves the answer most: {}; {crossing} of {} alone could turn it",
                factor(&strongest.swing),
                sways.len()
            ),
            about: format!(
                "Each bar moves one thing between its ends and leaves the others: what the worth of B over A becomes. Above \
                 1× a unit is cheaper on {}, below it on {}. Electricity, hours and years are halved and doubled.",
                job.name(Side::B),
                job.name(Side::A)
            ),
            source: source(model, job),
            plot,
            table: Numbers {
                columns: ["what moves", "from", "to", "worth of B"].map(String::from).into(),
                rows: sways.iter().map(row).collect(),
            },
        })
    })
}
