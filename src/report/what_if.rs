//! The words of the what-if section. `assets/controls.js` says the same of what the reader turned.

use super::model::JobView;
use super::text::times;
use crate::catalog::Money;
use crate::compare::Interval;
use crate::cost::{Factor, Side, Swing, Way};
use crate::units::significant;

/// One of the figures that compare two candidates.
pub(super) struct Figure {
    /// Which question it answers.
    pub(super) id: &'static str,
    /// The answer.
    pub(super) value: String,
    /// What it is.
    pub(super) label: String,
    /// How sure it is.
    pub(super) note: String,
    /// The numbers behind it.
    pub(super) answer: Option<Interval>,
}

/// `3.10 million`.
pub(super) fn count(value: f64) -> String {
    let scales = [(1e12, " trillion"), (1e9, " billion"), (1e6, " million"), (1e3, " thousand")];
    let found = scales.into_iter().find(|(scale, _)| crate::units::round_to(value, 3) >= *scale);
    let (scale, word) = found.unwrap_or((1.0, ""));
    significant(value / scale, 3) + word
}

/// The plural of a unit; abbreviations have none.
pub(super) fn plural(unit: &str) -> String {
    format!(
        "{unit}{}",
        if unit.chars().all(|letter| letter.is_lowercase() || letter == ' ') { "s" } else { "" }
    )
}

fn with_ends(interval: &Interval, show: impl Fn(f64) -> String) -> String {
    match interval.low == interval.high {
        true => show(interval.centre),
        false => format!("{} ({}–{})", show(interval.centre), show(interval.low), show(interval.high)),
    }
}

impl JobView {
    fn money(&self, amount: f64) -> String {
        Money { amount, currency: self.currency }.to_string()
    }

    /// An amount with its ends.
    pub(super) fn amount(&self, interval: &Interval) -> String {
        with_ends(interval, |amount| self.money(amount))
    }

    /// What so many units cost that the amount is readable.
    pub(super) fn unit_cost(&self, interval: &Interval) -> String {
        self.amount(&interval.times(self.per.0))
    }

    /// `million tokens`, `step`.
    pub(super) fn per_unit(&self) -> String {
        let unit = if self.per.0 > 1.0 { plural(&self.unit) } else { self.unit.clone() };
        format!("{}{unit}", self.per.1)
    }

    pub(super) fn name(&self, side: Side) -> &str {
        let place = if side == Side::A { self.a } else { self.b };
        &self.candidates[place].name
    }

    /// `3.10 million tokens`.
    pub(super) fn volume(&self, volume: f64) -> String {
        format!("{} {}", count(volume), plural(&self.unit))
    }

    /// What a month costs on both sides, and which is cheaper.
    pub(super) fn verdict(&self) -> String {
        let month = |place: usize| self.amount(&self.costs[place].month);
        let (a, b) = (self.name(Side::A), self.name(Side::B));
        let call = match self.duel.cheaper {
            Some(side) => format!("{} is cheaper.", self.name(side)),
            None => "their ranges overlap, so nobody can tell which is cheaper.".to_string(),
        };
        format!(
            "For {} a month, {b} costs {} and {a} {}: {call}",
            self.volume(self.settings.volume),
            month(self.b),
            month(self.a)
        )
    }

    /// From which volume on the second costs no more.
    pub(super) fn break_even(&self) -> String {
        let (a, b) = (self.name(Side::A), self.name(Side::B));
        match self.duel.volume {
            Interval { centre, .. } if centre.is_infinite() => format!("{b} never costs less than {a}"),
            Interval { centre: 0.0, .. } => format!("{b} costs no more than {a} at any volume"),
            Interval { centre, .. } => {
                format!("From {} a month on, {b} costs no more than {a}", self.volume(centre))
            }
        }
    }

    /// Break-even volume and month, the price that flips the ranking, and the worth.
    pub(super) fn figures(&self) -> [Figure; 4] {
        let (a, b) = (self.name(Side::A), self.name(Side::B));
        let duel = &self.duel;
        let volume = |value: f64| if value.is_infinite() { "never".to_string() } else { count(value) };
        let months =
            |value: f64| if value.is_infinite() { "never".to_string() } else { significant(value, 3) };
        let money = |value: f64| if value < 0.0 { "none".to_string() } else { self.money(value) };
        let range = |answer: &Interval, show: &dyn Fn(f64) -> String| {
            format!("{} to {}", show(answer.low), show(answer.high))
        };
        let price = self.candidates[self.b].offer.price().amount * self.settings.price;
        let owned = matches!(self.candidates[self.b].offer.way, Way::Owned(_));
        [
            Figure {
                id: "volume",
                value: volume(duel.volume.centre),
                label: format!("{} a month, from which on {b} costs no more than {a}", plural(&self.unit)),
                note: range(&duel.volume, &volume),
                answer: Some(duel.volume),
            },
            Figure {
                id: "month",
                value: duel.month.map_or("none".to_string(), |month| months(month.centre)),
                label: format!("months until buying {b} has cost less than going on with {a}"),
                note: match &duel.month {
                    Some(month) => range(month, &months),
                    None => format!("{b} is rented: nothing has to be paid back"),
                },
                answer: duel.month,
            },
            Figure {
                id: "flip",
                value: money(duel.flip.centre),
                label: format!(
                    "{} at which a unit costs as much on both",
                    if owned { format!("price of {b}") } else { format!("an hour of {b}") }
                ),
                note: format!("{}; it is {}", range(&duel.flip, &money), self.money(price)),
                answer: Some(duel.flip),
            },
            Figure {
                id: "worth",
                value: times(duel.worth.centre),
                label: format!("worth of {b}: speed-up over price ratio; above 1 it pays"),
                note: range(&duel.worth, &times),
                answer: Some(duel.worth),
            },
        ]
    }
}

/// What moves, and whose: `price, B`.
pub(super) fn factor(swing: &Swing) -> String {
    let what = match swing.factor {
        Factor::Price => "price",
        Factor::Host => "host",
        Factor::Modules => "memory modules",
        Factor::Hosting => "hosting",
        Factor::Kwh => "electricity",
        Factor::Pue => "building's overhead",
        Factor::Busy => "watts at work",
        Factor::Utilisation => "hours with work",
        Factor::Years => "years of use",
        Factor::Loss => "loss of value",
        Factor::Interest => "interest",
        Factor::Seconds => "time of an execution",
        Factor::Volume => "volume",
    };
    match swing.side {
        Some(Side::A) => format!("{what}, A"),
        Some(Side::B) => format!("{what}, B"),
        None => format!("{what}, half to twice"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advise::example;

    #[test]
    fn counts_are_words() {
        for (value, shown) in [
            (0.0, "0"),
            (12.34, "12.3"),
            (999.6, "1.00 thousand"),
            (3.1e6, "3.10 million"),
            (1e18, "1000000 trillion"),
        ] {
            assert_eq!(count(value), shown);
        }
        assert_eq!((plural("token"), plural("PFLOP")), ("tokens".to_string(), "PFLOP".to_string()));
    }

    #[test]
    fn the_verdict_and_the_figures_say_what_was_computed() {
        let job = JobView::new("work", "step", example::candidates()).unwrap();
        let said = job.verdict();
        assert!(said.contains("steps a month") && said.contains(job.name(Side::A)), "{said}");
        let call = match job.duel.cheaper {
            Some(side) => format!("{} is cheaper", job.name(side)),
            None => "nobody can tell".to_string(),
        };
        assert!(said.contains(&call), "{said}");
        let never = Interval { low: 5.0, centre: f64::INFINITY, high: f64::INFINITY };
        let duel = crate::advise::what_if::Duel { volume: never, month: None, ..job.duel.clone() };
        let job = JobView { duel, ..job };
        assert!(job.break_even().contains("never costs less"));
        let [volume, month, ..] = job.figures();
        assert_eq!((volume.value.as_str(), volume.note.as_str()), ("never", "5.00 to never"));
        assert!(month.note.contains("is rented"));
    }
}
