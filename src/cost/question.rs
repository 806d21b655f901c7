//! What can be asked of two offers, each answer one number.

use super::error::CostError;
use super::offer::{Offer, Way};
use super::owned::Owned;
use super::pair::{Pair, Side};
use crate::catalog::Money;
use serde::{Deserialize, Serialize};

/// A question about one side, or about both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// What it costs to buy.
    Capital(Side),
    /// Share of the price that it is sold for in the end.
    Resale(Side),
    /// Loss of value and interest of a month.
    CapitalMonth(Side),
    /// An hour of the calendar at its utilisation, owned.
    OwnedHour(Side),
    /// An hour of work at its utilisation.
    BusyHour(Side),
    /// A unit of work at its utilisation.
    Unit(Side),
    /// A month at the volume wanted, on whole machines.
    Month(Side),
    /// How many machines that takes.
    Machines(Side),
    /// All that is paid over the years.
    Total(Side),
    /// Price over GB of memory: of the purchase, or of an hour.
    PerGb(Side),
    /// Price over GB/s of bandwidth: it points the other way, so the two are shown together.
    PerGbS(Side),
    /// Least monthly volume at which B costs no more.
    BreakEvenVolume,
    /// Months until buying B has cost less than going on with A.
    BreakEvenMonth,
    /// How many times as fast B is.
    SpeedUp,
    /// How many times as much an hour of work on B costs.
    PriceRatio,
    /// Speed-up over price ratio.
    Worth,
    /// Price of B's device, or of its hour, at which the ranking flips.
    FlipPrice,
}

impl Pair {
    /// The answer: an amount in the offers' currency, a number or a share. Infinite means never.
    pub fn answer(&self, question: Question) -> Result<f64, CostError> {
        use Question as Q;
        let amount = |money: Result<Money, CostError>| money.map(|money| money.amount);
        match question {
            Q::Capital(side) => amount(self.owned(side, "a purchase price")?.bill.total()),
            Q::Resale(side) => Ok(self.owned(side, "a resale value")?.writeoff.resale()),
            Q::CapitalMonth(side) => amount(self.owned(side, "a month's loss of value")?.capital_month()),
            Q::OwnedHour(side) => {
                amount(self.owned(side, "an owned hour")?.hour(self.side(side).utilisation))
            }
            Q::BusyHour(side) => amount(self.side(side).busy_hour()),
            Q::Unit(side) => amount(self.side(side).unit()),
            Q::Month(side) => amount(self.side(side).month(self.volume)),
            Q::Machines(side) => Ok(self.side(side).line()?.machines(self.volume.get())),
            Q::Total(side) => amount(self.total(side)),
            Q::PerGb(side) => Ok(self.side(side).per_memory()?[0]),
            Q::PerGbS(side) => Ok(self.side(side).per_memory()?[1]),
            Q::BreakEvenVolume => self.break_even_volume(),
            Q::BreakEvenMonth => self.break_even_month(),
            Q::SpeedUp => Ok(self.speed_up()),
            Q::PriceRatio => self.price_ratio(),
            Q::Worth => self.worth(),
            Q::FlipPrice => amount(self.flip_price()),
        }
    }

    fn owned(&self, side: Side, what: &'static str) -> Result<&Owned, CostError> {
        match &self.side(side).way {
            Way::Owned(owned) => Ok(owned),
            Way::Rented(_) => Err(CostError::Missing { what, lacks: "what it costs to buy" }),
        }
    }
}

impl Offer {
    /// Price over GB and over GB/s, with everything that the machine needs: whole platforms, not bare cards.
    fn per_memory(&self) -> Result<[f64; 2], CostError> {
        let what = "a price of memory";
        let memory = self.memory.ok_or(CostError::Missing { what, lacks: "its GB and GB/s" })?;
        let price = match &self.way {
            Way::Owned(owned) => owned.bill.total()?,
            Way::Rented(rented) => rented.paid_hour()?,
        };
        Ok([memory.gb, memory.gb_s].map(|size| price.amount / size.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::example;
    use crate::cost::offer::Memory;
    use crate::cost::quantity::{Size, Volume, Years};

    fn pair() -> Pair {
        let size = |value| Size::new(value).unwrap();
        let memory = Some(Memory { gb: size(24.0), gb_s: size(1008.0) });
        Pair {
            a: example::renting(2.0),
            b: Offer { memory, ..example::buying() },
            volume: Volume::new(3_000_000.0).unwrap(),
            years: Years::new(2.0).unwrap(),
        }
    }

    #[test]
    fn questions_about_one_side_are_answered_from_its_own_numbers() {
        use Question as Q;
        for (question, want) in [
            (Q::Capital(Side::B), 26_280.0),
            (Q::Resale(Side::B), 0.0),
            (Q::CapitalMonth(Side::B), 730.0),
            (Q::OwnedHour(Side::B), 1.6),
            (Q::BusyHour(Side::A), 2.0),
            (Q::Unit(Side::A), 2.0 / 3600.0),
            (Q::Machines(Side::B), 2.0),
            (Q::Month(Side::A), 3e6 / 1800.0),
            (Q::Total(Side::A), 24.0 * 3e6 / 1800.0),
            (Q::PerGb(Side::B), 1095.0),
            (Q::PerGbS(Side::B), 26_280.0 / 1008.0),
            (Q::SpeedUp, 1.0),
            (Q::PriceRatio, 0.8),
        ] {
            let got = pair().answer(question).unwrap();
            assert!((got - want).abs() <= 1e-9 * want, "{question:?}: {got}, not {want}");
        }
    }

    #[test]
    fn what_an_offer_cannot_answer_says_what_is_missing() {
        for (question, says) in [
            (Question::Capital(Side::A), "what it costs to buy"),
            (Question::OwnedHour(Side::A), "an owned hour"),
            (Question::PerGb(Side::A), "its GB and GB/s"),
        ] {
            let said = pair().answer(question).unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn questions_are_written_as_words() {
        let read = |text| serde_json::from_str::<Question>(text).unwrap();
        assert_eq!(read("\"worth\""), Question::Worth);
        assert_eq!(read("{\"per_gb_s\":\"b\"}"), Question::PerGbS(Side::B));
    }
}
