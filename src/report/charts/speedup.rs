//! How many times as fast: over what a user would reach for, and over plain loops.

use super::super::model::{Contest, Entrant, Model, is_named};
use super::super::palette::Role;
use super::super::scene::{Axis, Band, Bar, BarGroup, Bars, Fill, Format, Numbers, Part, Plot, Scale, Scene};
use super::super::text;
use super::{BARS, head, mark, marks, representative, shown_of, source};
use crate::compare::{Interval, LEAST_MARGIN, baseline_remark};

const NAIVE: &str = "cpu/naive";

/// Over the baseline that the user named, or the usual library.
pub(super) fn over_baseline(model: &Model) -> Vec<Scene> {
    let Some(baseline) = model.baseline.as_deref().filter(|name| *name != NAIVE) else { return Vec::new() };
    let gain = |entrant: &Entrant| entrant.speedup;
    chart(model, "speedup", baseline, gain).into_iter().collect()
}

/// Over plain loops on one thread: what headlines like to be made from.
pub(super) fn over_naive(model: &Model) -> Vec<Scene> {
    let gain = |entrant: &Entrant| entrant.over_naive;
    chart(model, "speedup-naive", NAIVE, gain).into_iter().collect()
}

fn chart(
    model: &Model,
    name: &str,
    baseline: &str,
    gain: impl Fn(&Entrant) -> Option<Interval>,
) -> Option<Scene> {
    // Plain loops have a chart of their own; here they would squeeze everything else.
    let is_shown =
        |entrant: &Entrant| entrant.is_sound() && (baseline == NAIVE || entrant.contender.backend != NAIVE);
    let has_gain = |contest: &Contest| {
        contest.entrants.iter().any(|entrant| is_shown(entrant) && gain(entrant).is_some())
    };
    let all = model.contests.iter().filter(|contest| contest.repeat == 0 && has_gain(contest)).count();
    let contests = representative(model, has_gain);
    if contests.is_empty() {
        return None;
    }
    let margin = model.runs.iter().map(|run| run.floor.margin()).fold(LEAST_MARGIN, f64::max);
    let mut table = Numbers {
        columns: ["point", "contender", "speed-up", "share of measured peak", "validity"]
            .map(String::from)
            .into(),
        rows: Vec::new(),
    };
    let mut groups = Vec::new();
    for contest in &contests {
        groups.push(group(model, contest, baseline, &is_shown, &gain, &mut table));
    }
    let about = format!(
        "Speed-up over {baseline}, which is 1×. Each contender at its best number of threads, picked on odd \
         rounds and timed on even ones. Whiskers: 95 % intervals, rounds paired, starts as the unit. The band is \
         ±{} %: differences inside it are none.{}{}",
        crate::units::significant(margin * 100.0, 2),
        shown_of(contests.len(), all),
        marks(&contests)
    );
    Some(Scene {
        name: name.to_string(),
        finding: finding(&contests, baseline, margin, &gain),
        about,
        source: source(model),
        plot: Plot::Bars(Bars {
            axis: Axis {
                label: format!("times as fast as {baseline} (logarithmic)"),
                scale: Scale::Log,
                format: Format::Times,
                include: vec![1.0 - margin, 1.0 + margin],
            },
            origin: Some(1.0),
            groups,
            lines: Vec::new(),
            bands: vec![Band {
                from: 1.0 / (1.0 + margin),
                to: 1.0 + margin,
                label: "no difference".to_string(),
            }],
            legend: Vec::new(),
        }),
        table,
    })
}

fn group(
    model: &Model,
    contest: &Contest,
    baseline: &str,
    is_shown: &impl Fn(&Entrant) -> bool,
    gain: &impl Fn(&Entrant) -> Option<Interval>,
    table: &mut Numbers,
) -> BarGroup {
    let mut bars = Vec::new();
    for entrant in contest.entrants.iter().filter(|entrant| is_shown(entrant)).take(BARS) {
        let is_base = gain(entrant).is_none();
        let value = match gain(entrant) {
            Some(gain) => format!("{}{}", text::interval_times(&gain), mark(entrant)),
            None => "baseline".to_string(),
        };
        table.rows.push(vec![
            head(model, contest),
            entrant.name(),
            value.clone(),
            entrant.share.map_or("unknown".to_string(), |share| text::interval_percent(&share)),
            entrant.validity.word.to_string(),
        ]);
        let until = gain(entrant).map_or(1.0, |gain| gain.centre);
        let role = if is_base { Role::Axis } else { entrant.look.role };
        bars.push(Bar {
            label: entrant.name(),
            value,
            parts: vec![Part { until, role, fill: Fill::Solid }],
            interval: gain(entrant).as_ref().and_then(text::ends),
        });
    }
    BarGroup { label: head(model, contest), note: remark(contest, baseline), bars }
}

/// How good the baseline was: a speed-up over a slow one says little.
fn remark(contest: &Contest, baseline: &str) -> String {
    let named = |entrant: &&Entrant| is_named(&entrant.contender, baseline);
    let share = contest.entrants.iter().find(named).and_then(|entrant| entrant.share);
    share.map_or(String::new(), |share| {
        baseline_remark(&share)
            .unwrap_or_else(|| format!("baseline: {} of the measured peak", text::percent(share.centre)))
    })
}

fn finding(
    contests: &[&Contest],
    baseline: &str,
    margin: f64,
    gain: &impl Fn(&Entrant) -> Option<Interval>,
) -> String {
    let sound = || {
        contests.iter().flat_map(|contest| {
            contest
                .entrants
                .iter()
                .filter(|entrant| entrant.is_sound())
                .map(move |entrant| (*contest, entrant))
        })
    };
    let best = sound()
        .filter_map(|(contest, entrant)| Some((gain(entrant)?, contest, entrant)))
        .max_by(|a, b| a.0.centre.total_cmp(&b.0.centre));
    let Some((top, contest, entrant)) = best else { return format!("Nothing ran beside {baseline}") };
    let beaten = contests
        .iter()
        .filter(|contest| {
            let mut gains = contest.entrants.iter().filter(|e| e.is_sound()).filter_map(gain);
            gains.any(|gain| gain.low > 1.0 + margin && text::is_bounded(&gain))
        })
        .count();
    if beaten == 0 {
        return format!(
            "Nothing is clearly faster than {baseline} at the {} shown",
            text::plural(contests.len(), "point")
        );
    }
    format!(
        "{} is up to {} as fast as {baseline} ({}); something beats it clearly at {beaten} of {}",
        entrant.name().split(',').next().unwrap_or_default(),
        text::times(top.centre),
        contest.case,
        text::plural(contests.len(), "point")
    )
}
