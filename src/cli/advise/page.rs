//! The answer as text.

use crate::advise::{Answer, Assumptions, Candidate, Duel, Flip, Job, PriceBasis, Ranked};
use crate::catalog::Money;
use crate::cli::table::table;
use crate::compare::Interval;
use crate::cost::{Factor, Side};
use crate::date::Date;
use crate::host::plain;
use crate::suite::point_name;
use crate::units::{Bytes, Nanos, si, significant};
use std::fmt::Write as _;

/// Rows that are shown unless all are wanted.
const ROWS: usize = 12;
/// Bars of what changes the answer.
const BARS: usize = 5;

/// What was asked.
pub(super) struct Asked<'a> {
    pub job: &'a Job,
    pub assumptions: &'a Assumptions,
    pub day: Date,
    pub all: bool,
}

/// Everything that a person reads.
pub(super) fn text(asked: &Asked, answer: &Answer) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}\n", question(asked, answer));
    let _ = writeln!(text, "{}\n", verdict(asked, answer));
    if !answer.candidates.is_empty() {
        let _ = writeln!(text, "{}\n", rows(asked, answer));
    }
    if let Some(duel) = &answer.duel {
        text += &dueling(asked, answer, duel);
    }
    section(&mut text, "note", &answer.notes);
    let first = answer.candidates.first().map_or(&[][..], |candidate| &candidate.assumed);
    section(&mut text, "of the first", first);
    section(&mut text, "left out", &answer.left_out);
    let _ = writeln!(text, "\n{}", granted(asked.assumptions));
    text
}

fn section(text: &mut String, name: &str, sentences: &[String]) {
    for sentence in sentences {
        let _ = writeln!(text, "{name}: {}", plain(sentence));
    }
}

fn question(asked: &Asked, answer: &Answer) -> String {
    let job = asked.job;
    let mut point = job.params.clone();
    if job.batch.is_none() {
        point.remove("batch");
    }
    let point = point_name(job.workload.axes, &point);
    format!(
        "{} ({} {}), {}: {} {}s a month for {} months, prices of {}",
        plain(&job.name),
        job.workload.name,
        if point.is_empty() { "as it is" } else { &point },
        plain(&job.demand.text),
        si(answer.volume.get()).trim(),
        answer.unit,
        significant(job.months, 3),
        asked.day
    )
}

/// Who is cheapest, as far as that can be told.
pub(super) fn verdict(asked: &Asked, answer: &Answer) -> String {
    let first = answer.first();
    let total = |place: usize| {
        format!("{} for {}", named(&answer.candidates[place]), money(asked, &answer.ranks[place].total))
    };
    match first.as_slice() {
        [] => "No answer: nothing that has a price can be shown to do this.".to_string(),
        [alone] => format!("Cheapest: {}.", total(*alone)),
        [best, ..] => format!(
            "Cannot tell which of {} is cheapest: their intervals overlap. At the centre it is {}.",
            first.len(),
            total(*best)
        ),
    }
}

fn named(candidate: &Candidate) -> String {
    plain(&candidate.name)
}

/// An amount with its ends.
fn money(asked: &Asked, interval: &Interval) -> String {
    let amount = |amount| match f64::is_finite(amount) {
        true => Money { amount, currency: asked.assumptions.currency }.to_string(),
        false => "never".to_string(),
    };
    match interval.low == interval.high {
        true => amount(interval.centre),
        false => {
            format!("{} ({} to {})", amount(interval.centre), amount(interval.low), amount(interval.high))
        }
    }
}

fn rows(asked: &Asked, answer: &Answer) -> String {
    let header =
        ["way", "price", "batch", "an execution", "of", "needs / has", "machines", "a million", "in all", ""];
    let mut drawn = table(&header);
    let count = if asked.all { answer.candidates.len() } else { ROWS };
    for (candidate, rank) in answer.candidates.iter().zip(&answer.ranks).take(count) {
        drawn.add_row([
            named(candidate),
            price(&candidate.price),
            candidate.batch.to_string(),
            seconds(&candidate.seconds),
            candidate.time.label().to_string(),
            format!(
                "{} / {}",
                Bytes(candidate.needs),
                candidate.holds.map_or("?".to_string(), |bytes| Bytes(bytes).to_string())
            ),
            significant(rank.machines, 3),
            money(asked, &rank.unit.times(1e6)),
            money(asked, &rank.total),
            mark(rank).to_string(),
        ]);
    }
    let more = answer.candidates.len().saturating_sub(count);
    let rest = if more > 0 { format!("\n{more} dearer ways are not shown: --all") } else { String::new() };
    format!("{drawn}{rest}\na million: {}s, on machines as busy as they can be", answer.unit)
}

fn mark(rank: &Ranked) -> &'static str {
    match (rank.over_budget, rank.surely_dearer) {
        (true, _) => "over the budget",
        (_, true) => "",
        (_, false) => "may be cheapest",
    }
}

pub(super) fn price(basis: &PriceBasis) -> String {
    match basis {
        PriceBasis::User => "yours".to_string(),
        PriceBasis::Catalog { kind, date, stale } => {
            format!("{}, {date}{}", kind.label(), if *stale { ", STALE" } else { "" })
        }
    }
}

fn seconds(interval: &Interval) -> String {
    let shown = |seconds: f64| Nanos::from_seconds(seconds).to_string();
    format!("{} ({} to {})", shown(interval.centre), shown(interval.low), shown(interval.high))
}

/// The best processor beside the best card.
fn dueling(asked: &Asked, answer: &Answer, duel: &Duel) -> String {
    let [cpu, gpu] = [duel.cpu, duel.gpu].map(|place| named(&answer.candidates[place]));
    let mut text = format!("processor or card: {cpu}, or {gpu}\n");
    let _ = writeln!(
        text,
        "  the card is {} times as fast; speed-up over price ratio is {}, {}",
        numbers(&duel.speed_up),
        numbers(&duel.worth),
        worth(&duel.worth)
    );
    let _ = writeln!(
        text,
        "  it costs no more from {} {}s a month on; {} are wanted",
        counts(&duel.volume),
        answer.unit,
        si(answer.volume.get()).trim()
    );
    if let Some(month) = &duel.month {
        let _ = writeln!(text, "  bought, it has paid for itself after {} months", counts(month));
    }
    let flip = duel.flip_price;
    let now = duel.pair.b.price();
    let _ = match flip.amount > 0.0 {
        true => writeln!(text, "  a unit costs as much on both if the card costs {flip} instead of {now}"),
        false => {
            writeln!(text, "  a unit costs more on the card even if the card costs nothing, instead of {now}")
        }
    };
    let _ = writeln!(text, "  what the card saves over the months, as one thing changes:");
    for flip in duel.bars.iter().filter(|flip| flip.bar.width() > 0.0).take(BARS) {
        let _ = writeln!(text, "    {}", bar(asked, flip));
    }
    text + "\n"
}

/// In words, whether a card pays.
pub(super) fn worth(worth: &Interval) -> &'static str {
    match () {
        () if worth.low > 1.0 => "so that it is worth its price on busy machines",
        () if worth.high < 1.0 => "so that it is not worth its price even on busy machines",
        () => "so that nobody can tell whether it is worth its price",
    }
}

fn bar(asked: &Asked, flip: &Flip) -> String {
    let side = match flip.bar.swing.side {
        Some(Side::A) => " of the processor",
        Some(Side::B) => " of the card",
        None => "",
    };
    let amount = |amount| Money { amount, currency: asked.assumptions.currency }.to_string();
    let swing = &flip.bar.swing;
    format!(
        "{}{side} from {} to {}: {} to {}{}",
        factor(swing.factor),
        short(swing.low),
        short(swing.high),
        amount(flip.bar.low),
        amount(flip.bar.high),
        if flip.flips { ", which turns the answer" } else { "" }
    )
}

/// A factor in words.
fn factor(factor: Factor) -> &'static str {
    match factor {
        Factor::Price => "price",
        Factor::Host => "price of the machine around it",
        Factor::Modules => "price of its memory",
        Factor::Hosting => "hosting a month",
        Factor::Kwh => "price of a kWh",
        Factor::Pue => "PUE",
        Factor::Busy => "watts at work",
        Factor::Utilisation => "share of hours with work",
        Factor::Years => "years until it is written off",
        Factor::Loss => "yearly loss of value",
        Factor::Interest => "rate of interest",
        Factor::Seconds => "seconds of an execution",
        Factor::Volume => "units a month",
    }
}

fn short(value: f64) -> String {
    if value.abs() >= 1e4 { si(value).trim().to_string() } else { significant(value, 3) }
}

fn numbers(interval: &Interval) -> String {
    format!("{} ({} to {})", short(interval.centre), short(interval.low), short(interval.high))
}

/// Where infinite means never.
fn counts(interval: &Interval) -> String {
    let count = |value: f64| if value.is_finite() { short(value) } else { "never".to_string() };
    match interval.low == interval.high {
        true => count(interval.centre),
        false => format!("{} ({} to {})", count(interval.centre), count(interval.low), count(interval.high)),
    }
}

/// What was taken for granted.
fn granted(assumptions: &Assumptions) -> String {
    let amount = |value| Money { amount: value, currency: assumptions.currency };
    format!(
        "taken for granted, and changed by an option of that name: kwh {}, pue {}, utilisation {}, years {}, loss {}, \
         interest {}, host {}, hosting {}, all-in {}",
        amount(assumptions.kwh),
        assumptions.pue,
        assumptions.utilisation,
        assumptions.years,
        assumptions.loss,
        assumptions.interest,
        amount(assumptions.host),
        amount(assumptions.hosting),
        assumptions.all_in
    )
}
