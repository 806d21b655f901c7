//! The answer in sentences, and the few figures that it rests on.

use super::{Basis, Contest, Entrant, Machine, MoneyView, RunNote, Tally};
use crate::compare::{self, LEAST_MARGIN, Word};
use crate::report::text;
use crate::units::significant;

/// What the page says first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headline {
    /// The answer, with its uncertainty.
    pub answer: String,
    /// What must be known beside it.
    pub beside: Vec<String>,
    /// Figures at a glance.
    pub figures: Vec<KeyFigure>,
}

/// One figure at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyFigure {
    /// The number with its unit.
    pub value: String,
    /// What it is.
    pub label: String,
    /// Interval, conditions.
    pub note: String,
    /// What kind of number.
    pub basis: Basis,
    /// Whether the record behind it may be trusted, where there is one.
    pub word: Option<Word>,
}

/// The fastest sound number of contests counted in `unit`; VALID ones come before all others.
fn best<'a>(contests: &'a [Contest], unit: &str, precision: &str) -> Option<(&'a Contest, &'a Entrant)> {
    contests
        .iter()
        .filter(|contest| contest.precision() == precision)
        .flat_map(|contest| contest.best.iter().map(move |entrant| (contest, entrant)))
        .filter(|(_, entrant)| entrant.is_sound() && entrant.rate.unit == unit)
        .max_by(|a, b| {
            // Operations that nobody had to do make no fast machine.
            let order = |(contest, entrant): &(&Contest, &Entrant)| {
                (contest.work.spared == 0, entrant.validity.word == Word::Valid)
            };
            order(a).cmp(&order(b)).then(a.1.rate.value.centre.total_cmp(&b.1.rate.value.centre))
        })
}

/// A share above this is not one of the unit that the probe ran on.
pub(in crate::report) const ABOVE: f64 = 1.01;

/// What a rate is of the measured peak, or why that says nothing.
fn of_peak(
    contest: &Contest,
    entrant: &Entrant,
    text: impl Fn(&compare::Interval) -> String,
) -> Option<String> {
    let is_above = entrant.share.as_ref().is_some_and(|share| share.centre > ABOVE);
    match contest.work.spared {
        0 if is_above && entrant.validity.word == Word::Valid => {
            Some("more than multiply-adds reach, for it is made of products of bf16".to_string())
        }
        0 => entrant.share.as_ref().map(text),
        _ => Some("counted as direct sums, of which less than half are needed".to_string()),
    }
}

/// The fastest sound number at the largest footprint that was measured.
fn best_memory(contests: &[Contest]) -> Option<(&Contest, &Entrant)> {
    let counts_bytes =
        |contest: &&Contest| contest.entrants.first().is_some_and(|entrant| entrant.rate.unit == "B/s");
    let largest = contests.iter().filter(counts_bytes).map(Contest::footprint).max()?;
    contests
        .iter()
        .filter(counts_bytes)
        .filter(|contest| contest.footprint() > largest / 2)
        .flat_map(|contest| contest.best.iter().map(move |entrant| (contest, entrant)))
        .filter(|(_, entrant)| entrant.is_sound())
        .max_by(|(_, a), (_, b)| a.rate.value.centre.total_cmp(&b.rate.value.centre))
}

/// The words for contests of one page.
pub(super) fn headline(
    contests: &[Contest],
    machines: &[Machine],
    runs: &[RunNote],
    tally: &Tally,
    money: &MoneyView,
) -> Headline {
    let arithmetic = best(contests, "FLOP/s", "f32");
    let memory = best_memory(contests);
    let mut beside = Vec::new();
    beside.extend(memory.map(|best| memory_sentence(best, machines)));
    beside.extend(weak_baseline(contests));
    beside.extend(cost_sentence(money));
    beside.extend(trust(tally));
    let figures = arithmetic
        .map(|(contest, entrant)| rate_figure("fastest f32 work", contest, entrant))
        .into_iter()
        .chain(memory.map(|(contest, entrant)| rate_figure("memory traffic", contest, entrant)))
        .chain([floor_figure(runs), trust_figure(tally)])
        .chain(ratio_figure(money))
        .chain(cost_figure(money))
        .collect();
    Headline { answer: answer(arithmetic.or(memory), machines, tally), beside, figures }
}

fn answer(best: Option<(&Contest, &Entrant)>, machines: &[Machine], tally: &Tally) -> String {
    let Some((contest, entrant)) = best else {
        let why = if tally.cells == 0 {
            "The run holds no records"
        } else {
            "No cell gave a number in f32 or in bytes"
        };
        return format!("{why}: there is nothing to answer with.");
    };
    let machine = machines.get(contest.machine).map_or("unknown", |machine| machine.name.as_str());
    let rate = text::interval_with_unit(&entrant.rate.value, entrant.rate.unit);
    let share = of_peak(contest, entrant, |share| {
        format!("{} of the peak measured beside it", text::interval_percent(share))
    });
    let share = share.map_or(String::new(), |share| format!(", {share}"));
    let doubt = match entrant.validity.word {
        Word::Valid => "",
        _ => " This number is suspect.",
    };
    let what = if entrant.rate.unit == "B/s" { "" } else { " in f32" };
    format!("This machine ({machine}) reaches {rate}{what} with {}{share}.{doubt}", entrant.contender.backend)
}

/// What the same work would cost at the best that a datasheet allows.
fn cost_sentence(money: &MoneyView) -> Option<String> {
    let work = money.work.first()?;
    let (kind, there) = work
        .datasheet
        .iter()
        .filter(|(kind, _)| !kind.is_rent())
        .find_map(|(kind, costs)| Some((kind, costs.first()?)))?;
    let here = work.measured.iter().map(|cost| &cost.cost[1]).min_by(|a, b| a.amount.total_cmp(&b.amount));
    let here = match here {
        Some(amount) => format!("costs {amount} here by the price that you gave"),
        None => "has no price here until you say what this machine costs (--machine-price)".to_string(),
    };
    Some(format!(
        "A {} {here}; a {} at its datasheet's peak would need {} (price: {}, {}).",
        work.unit,
        there.name,
        there.cost[1],
        kind.label(),
        there.hourly.date
    ))
}

fn memory_sentence((contest, entrant): (&Contest, &Entrant), machines: &[Machine]) -> String {
    let rate = text::interval_with_unit(&entrant.rate.value, entrant.rate.unit);
    let share = entrant
        .share
        .map_or(String::new(), |share| format!(", {} of the probe", text::interval_percent(&share)));
    let held = machines.get(contest.machine).and_then(|machine| machine.caches_hold(contest.footprint()));
    let [source, doubt] = source(held);
    format!("{source} {rate} to {} ({}){share}{doubt}.", entrant.contender.backend, contest.name())
}

/// What answers for bytes that the caches may hold or not, and what must be said of it.
fn source(held: Option<bool>) -> [&'static str; 2] {
    match held {
        Some(false) => ["Main memory gives", ""],
        Some(true) => {
            ["The caches give", "; nothing was measured that is too large for them, so main memory was not"]
        }
        None => ["Memory gives", "; the size of the caches is unknown, so they may hold it"],
    }
}

/// What a speed-up over plain loops is worth.
fn weak_baseline(contests: &[Contest]) -> Option<String> {
    let naive = |contest: &Contest| contest.entrant(super::contest::NAIVE).and_then(|entrant| entrant.share);
    let (gain, share) = contests
        .iter()
        .filter_map(|contest| Some((contest.entrants.first()?.over_naive?, naive(contest)?)))
        .max_by(|(a, _), (b, _)| a.centre.total_cmp(&b.centre))?;
    let remark = compare::baseline_remark(&share)?;
    Some(format!(
        "Over plain loops on one thread the gain is up to {}, but {remark}.",
        text::interval_times(&gain)
    ))
}

fn trust(tally: &Tally) -> Option<String> {
    let measured = tally.valid + tally.suspect + tally.invalid;
    let doubtful = tally.suspect + tally.invalid;
    (doubtful > 0).then(|| {
        format!(
            "{} of {} timed cells are suspect or invalid; each says why.",
            text::grouped(doubtful),
            text::grouped(measured)
        )
    })
}

fn rate_figure(label: &str, contest: &Contest, entrant: &Entrant) -> KeyFigure {
    let range = text::ends(&entrant.rate.value).map_or("no interval".to_string(), |_| {
        format!("{} (95 %)", text::interval_with_unit(&entrant.rate.value, entrant.rate.unit))
    });
    let share =
        of_peak(contest, entrant, |share| format!("{} of the measured peak", text::percent(share.centre)));
    let share = share.map_or(String::new(), |share| format!("; {share}"));
    KeyFigure {
        value: text::with_unit(entrant.rate.value.centre, entrant.rate.unit),
        label: format!("{label}: {}, {}", contest.name(), entrant.name()),
        note: format!("{range}{share}"),
        basis: Basis::Measured,
        word: Some(entrant.validity.word),
    }
}

fn floor_figure(runs: &[RunNote]) -> KeyFigure {
    let margin = runs.iter().map(|run| run.floor.margin()).fold(LEAST_MARGIN, f64::max);
    let pairs: usize = runs.iter().map(|run| run.floor.pairs).sum();
    let (basis, note) = match pairs {
        0 => (Basis::User, "no twins in the run: the smallest margin that is ever used".to_string()),
        count => (Basis::Measured, format!("from {} of identical contenders", text::plural(count, "pair"))),
    };
    KeyFigure {
        value: format!("±{} %", significant(margin * 100.0, 2)),
        label: "smaller differences are not called differences".to_string(),
        note,
        basis,
        word: None,
    }
}

fn trust_figure(tally: &Tally) -> KeyFigure {
    let measured = tally.valid + tally.suspect + tally.invalid;
    let without = tally.skipped + tally.failed + tally.wrong;
    KeyFigure {
        value: format!("{} of {}", text::grouped(tally.valid), text::grouped(measured)),
        label: "timed cells are VALID".to_string(),
        note: format!(
            "{} skipped, {} failed, {} wrong: {} without a number",
            tally.skipped,
            tally.failed,
            tally.wrong,
            text::plural(without, "cell")
        ),
        basis: Basis::Derived,
        word: None,
    }
}

/// GPU memory over RAM by the newest prices of each segment.
fn ratio_figure(money: &MoneyView) -> Option<KeyFigure> {
    let newest = |segment| money.ratios.iter().rev().find(|ratio| ratio.segment == segment);
    let now: Vec<_> = crate::cost::Segment::ALL.into_iter().filter_map(newest).collect();
    let low = now.iter().map(|ratio| ratio.range.0).reduce(f64::min)?;
    let high = now.iter().map(|ratio| ratio.range.1).reduce(f64::max)?;
    let oldest = now.iter().map(|ratio| ratio.oldest).min()?;
    Some(KeyFigure {
        value: format!("{} to {}×", significant(low, 2), significant(high, 2)),
        label: "what GPU memory costs over RAM, per GB".to_string(),
        note: format!("by segment; prices from {oldest} on"),
        basis: Basis::Datasheet,
        word: None,
    })
}

fn cost_figure(money: &MoneyView) -> Option<KeyFigure> {
    let work = money.work.iter().find(|work| !work.measured.is_empty())?;
    let cheapest = work.measured.iter().min_by(|a, b| a.cost[1].amount.total_cmp(&b.cost[1].amount))?;
    Some(KeyFigure {
        value: cheapest.cost[1].to_string(),
        label: format!("a {} of {} on this machine", work.unit, work.subject),
        note: format!("{}; by the price that the user gave", cheapest.name),
        basis: Basis::User,
        word: None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Machine, source};
    use crate::catalog::Catalog;
    use crate::record::{Record, Run, example};
    use crate::report::model::{self, Options};
    use crate::workloads::Param;

    #[test]
    fn only_what_no_cache_holds_is_called_main_memory() {
        let machine = |last_level| Machine { last_level, ..Machine::of("m", &Run::default()) };
        for (footprint, cache, is_memory) in [
            (3 << 20, Some(32 << 20), false),
            (64, Some(32), false),
            (65, Some(32), true),
            (1 << 40, None, false),
        ] {
            let [words, doubt] = source(machine(cache).caches_hold(footprint));
            assert_eq!(words.contains("Main"), is_memory, "{footprint} beside {cache:?}: {words}");
            assert_eq!(doubt.is_empty(), is_memory, "{footprint} beside {cache:?}: {doubt}");
        }
    }

    #[test]
    fn what_is_fastest_in_fewer_bits_is_not_called_f32() {
        let fast = |workload: &str, dtype: Option<&str>| {
            // Nothing may be faster than the probe beside it.
            let mut series = example::series(5e5);
            series.probe_rate.fill(6e11);
            let mut record = Record { series: vec![series], ..example::measured() };
            record.workload = workload.to_string();
            record.group = format!("matmul/{workload}/512");
            record.case = workload.to_string();
            let dtype = dtype.map(|dtype| ("dtype".to_string(), Param::Text(dtype.to_string())));
            record.point.extend(dtype);
            record
        };
        for (other, is_f32) in [
            (fast("gemm_i8", None), false),
            (fast("linear_q8", None), false),
            (fast("gemm", Some("bf16")), false),
            (fast("gemm", Some("f32")), true),
        ] {
            let name = format!("{} {:?}", other.workload, other.point.get("dtype"));
            let run = Run { records: vec![example::measured(), other], ..Run::default() };
            let found = model::build(&[run], &Catalog::default(), &Options::default()).headline.answer;
            // 2^28 operations in a millisecond, and in half of one.
            assert!(found.contains(if is_f32 { "536 GFLOP/s" } else { "268 GFLOP/s" }), "{name}: {found}");
        }
    }
}
