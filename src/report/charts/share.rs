//! Share of what the machine was measured to give at that moment.

use super::super::model::{ABOVE, Contest, Entrant, Model};
use super::super::scene::{
    Axis, Bar, BarGroup, Bars, Fill, Format, Numbers, Part, Plot, Reference, Scale, Scene,
};
use super::super::text;
use super::{BARS, head, mark, marks, representative, shown_of, source};
use crate::compare::{Interval, Word};

/// Bars of shares, point by point.
pub(super) fn share(model: &Model) -> Vec<Scene> {
    let has_share = |contest: &Contest| shares(contest).next().is_some();
    let all = model.contests.iter().filter(|contest| contest.repeat == 0 && has_share(contest)).count();
    let contests = representative(model, has_share);
    let best = contests
        .iter()
        .flat_map(|contest| {
            shares(contest).map(move |(entrant, share)| (*contest, entrant, used(contest, &share)))
        })
        .max_by(|a, b| (a.2 <= ABOVE).cmp(&(b.2 <= ABOVE)).then(a.2.total_cmp(&b.2)));
    let Some((contest, entrant, top)) = best else { return Vec::new() };
    let finding = format!(
        "Up to {} of what the machine was measured to give is used ({}, {})",
        text::percent(top),
        entrant.contender.backend,
        contest.case
    );
    let about = format!(
        "Rate over the rate of a probe that ran just before each sample on as many threads: multiply-adds in \
         registers for arithmetic, streams of the same footprint for memory. A share of the machine as it was then, \
         not of a datasheet. Whiskers: 95 % intervals.{}{}{}",
        may_be_above(&contests),
        shown_of(contests.len(), all),
        marks(&contests)
    );
    let mut table = Numbers {
        columns: ["point", "contender", "share", "rate"].map(String::from).into(),
        rows: Vec::new(),
    };
    let groups = contests.iter().map(|contest| group(model, contest, &mut table)).collect();
    let plot = Plot::Bars(Bars {
        axis: Axis {
            label: "share of the measured peak".to_string(),
            scale: Scale::Linear,
            format: Format::Percent,
            include: vec![1.0],
        },
        origin: Some(0.0),
        groups,
        lines: vec![Reference { at: 1.0, label: "the probe beside it".to_string() }],
        bands: Vec::new(),
        legend: Vec::new(),
    });
    vec![Scene { name: "share".to_string(), finding, about, source: source(model), plot, table }]
}

/// The part of a share that is work which somebody has to do.
fn used(contest: &Contest, share: &Interval) -> f64 {
    let work = contest.work;
    if work.spared == 0 { share.centre } else { share.centre * work.least_flops() as f64 / work.flops as f64 }
}

/// What explains shares above one, where there are any or may be.
pub(super) fn may_be_above(contests: &[&Contest]) -> String {
    let mut reasons = String::new();
    if contests.iter().any(|contest| contest.work.spared > 0) {
        reasons.push_str(
            " Of a convolution the operations of the direct sums count: by 3 x 3 it may be above its roof, because \
             minimal filtering needs 4 in 9 of them.",
        );
    }
    let is_above = |contest: &&&Contest| {
        let mut used = shares(contest).filter(|(entrant, _)| entrant.validity.word == Word::Valid);
        contest.work.spared == 0 && used.any(|(_, share)| share.centre > ABOVE)
    };
    if contests.iter().any(|contest| is_above(&contest)) {
        reasons.push_str(
            " What is above the f32 roof has made its f32 products of six products of bf16 each, on a unit that is more \
             than six times as fast.",
        );
    }
    reasons
}

fn shares(contest: &Contest) -> impl Iterator<Item = (&Entrant, Interval)> {
    let sound = contest.entrants.iter().filter(|entrant| entrant.is_sound());
    sound.filter_map(|entrant| Some((entrant, entrant.share?)))
}

fn group(model: &Model, contest: &Contest, table: &mut Numbers) -> BarGroup {
    let mut bars = Vec::new();
    for (entrant, share) in shares(contest).take(BARS) {
        let value = format!("{}{}", text::interval_percent(&share), mark(entrant));
        table.rows.push(vec![
            head(model, contest),
            entrant.name(),
            value.clone(),
            text::interval_with_unit(&entrant.rate.value, entrant.rate.unit),
        ]);
        bars.push(Bar {
            label: entrant.name(),
            value,
            parts: vec![Part { until: share.centre, role: entrant.look.role, fill: Fill::Solid }],
            interval: text::ends(&share),
        });
    }
    BarGroup { label: head(model, contest), note: String::new(), bars }
}
