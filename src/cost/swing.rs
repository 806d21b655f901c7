//! How far an answer moves when what goes into it does: intervals and tornadoes.

use super::error::CostError;
use super::offer::{Offer, Way};
use super::pair::{Pair, Side};
use super::quantity::{Draw, Interest, Loss, Pue, Seconds, Utilisation, Volume, Years};
use super::question::Question;
use crate::compare::Interval;
use serde::{Deserialize, Serialize};

/// Most factors that swing together: their corners are all tried.
pub const MOST: usize = 12;

/// Something that is not known exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    /// Price of the device, or of a rented hour: shops and providers differ.
    Price,
    /// Price of the machine around it.
    Host,
    /// Price of its memory modules.
    Modules,
    /// Hosting of a month.
    Hosting,
    /// Price of a kWh.
    Kwh,
    /// Overhead of the building.
    Pue,
    /// Watts at work.
    Busy,
    /// Share of hours with work.
    Utilisation,
    /// Years until it is sold.
    Years,
    /// Yearly loss of value.
    Loss,
    /// Rate of interest.
    Interest,
    /// Seconds of an execution: the measured interval.
    Seconds,
    /// Units wanted each month.
    Volume,
}

/// A factor with its ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swing {
    /// What moves.
    pub factor: Factor,
    /// On which side; none for both at once, as the price of a kWh does.
    pub side: Option<Side>,
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// What one factor alone does to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bar {
    /// The factor with its ends.
    pub swing: Swing,
    /// Answer at the lower end.
    pub low: f64,
    /// Answer at the upper end.
    pub high: f64,
}

impl Bar {
    /// How far the answer moves; an answer that is never at both ends does not.
    pub fn width(&self) -> f64 {
        if self.low == self.high { 0.0 } else { (self.high - self.low).abs() }
    }
}

impl Pair {
    /// The answer with the ends that it can reach when every factor is anywhere within its own: all corners
    /// are tried. A bound, not a probability: measurement and prices are at their worst together.
    pub fn spread(&self, question: Question, swings: &[Swing]) -> Result<Interval, CostError> {
        if swings.len() > MOST {
            return Err(CostError::TooManySwings(swings.len()));
        }
        let centre = self.answer(question)?;
        let mut interval = Interval { low: centre, centre, high: centre };
        for corner in 0..1u32 << swings.len() {
            let mut pair = *self;
            for (place, swing) in swings.iter().enumerate() {
                pair = pair.with(swing, if corner >> place & 1 == 0 { swing.low } else { swing.high })?;
            }
            let answer = pair.answer(question)?;
            interval.low = interval.low.min(answer);
            interval.high = interval.high.max(answer);
        }
        Ok(interval)
    }

    /// What each factor alone does to the answer, the strongest first.
    pub fn tornado(&self, question: Question, swings: &[Swing]) -> Result<Vec<Bar>, CostError> {
        let bar = |swing: &Swing| {
            let at = |value| self.with(swing, value)?.answer(question);
            Ok(Bar { swing: *swing, low: at(swing.low)?, high: at(swing.high)? })
        };
        let mut bars = swings.iter().map(bar).collect::<Result<Vec<Bar>, CostError>>()?;
        bars.sort_by(|a, b| b.width().total_cmp(&a.width()));
        Ok(bars)
    }

    /// The same with a factor at `value`. An offer that has no such factor stays as it is.
    pub fn with(&self, swing: &Swing, value: f64) -> Result<Self, CostError> {
        if swing.factor == Factor::Volume {
            return Ok(Self { volume: Volume::new(value)?, ..*self });
        }
        let mut pair = *self;
        if swing.side != Some(Side::B) {
            pair.a = pair.a.with(swing.factor, value)?;
        }
        if swing.side != Some(Side::A) {
            pair.b = pair.b.with(swing.factor, value)?;
        }
        Ok(pair)
    }
}

impl Offer {
    fn with(mut self, factor: Factor, value: f64) -> Result<Self, CostError> {
        match (factor, &mut self.way) {
            (Factor::Seconds, _) => self.pace.seconds = Seconds::new(value)?,
            (Factor::Utilisation, _) => self.utilisation = Utilisation::new(value)?,
            (Factor::Price, Way::Rented(rented)) => rented.hour.amount = value,
            (_, Way::Rented(_)) | (Factor::Volume, _) => {}
            (Factor::Price, Way::Owned(owned)) => owned.bill.device.amount = value,
            (Factor::Host, Way::Owned(owned)) => owned.bill.host.amount = value,
            (Factor::Modules, Way::Owned(owned)) => owned.bill.modules.amount = value,
            (Factor::Hosting, Way::Owned(owned)) => owned.hosting.amount = value,
            (Factor::Kwh, Way::Owned(owned)) => owned.tariff.kwh.amount = value,
            (Factor::Pue, Way::Owned(owned)) => owned.tariff.pue = Pue::new(value)?,
            (Factor::Years, Way::Owned(owned)) => owned.writeoff.years = Years::new(value)?,
            (Factor::Loss, Way::Owned(owned)) => owned.writeoff.loss = Loss::new(value)?,
            (Factor::Interest, Way::Owned(owned)) => owned.writeoff.interest = Interest::new(value)?,
            (Factor::Busy, Way::Owned(owned)) => {
                let busy = Draw::new(value)?;
                owned.power.iter_mut().for_each(|power| power.busy = busy);
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::example;

    fn pair() -> Pair {
        Pair {
            a: example::renting(2.0),
            b: example::buying(),
            volume: Volume::new(1e6).unwrap(),
            years: Years::new(3.0).unwrap(),
        }
    }

    fn swing(factor: Factor, side: Option<Side>, low: f64, high: f64) -> Swing {
        Swing { factor, side, low, high }
    }

    #[test]
    fn an_interval_holds_every_corner_and_its_middle() {
        let swings = [
            swing(Factor::Seconds, Some(Side::B), 0.9, 1.2),
            swing(Factor::Price, Some(Side::B), 15_000.0, 30_000.0),
        ];
        let unit = pair().spread(Question::Unit(Side::B), &swings).unwrap();
        // 0.60 an hour without the device, which adds 20,000 / 26,280.
        let at = |price: f64, seconds: f64| (0.6 + (price + 6280.0) / 26_280.0) * seconds / 3600.0;
        assert!((unit.low - at(15_000.0, 0.9)).abs() < 1e-12);
        assert!((unit.high - at(30_000.0, 1.2)).abs() < 1e-12);
        assert!((unit.centre - at(20_000.0, 1.0)).abs() < 1e-12);
    }

    #[test]
    fn a_tornado_puts_first_what_moves_most_and_keeps_what_moves_nothing() {
        let swings = [
            swing(Factor::Kwh, None, 0.3, 0.5),
            swing(Factor::Host, Some(Side::A), 1.0, 2.0),
            swing(Factor::Years, Some(Side::B), 2.0, 5.0),
        ];
        let bars = pair().tornado(Question::Unit(Side::B), &swings).unwrap();
        let order: Vec<Factor> = bars.iter().map(|bar| bar.swing.factor).collect();
        assert_eq!(order, [Factor::Years, Factor::Kwh, Factor::Host]);
        assert!(bars[0].low > bars[0].high && bars[1].low < bars[1].high && bars[2].width() == 0.0);
    }

    #[test]
    fn a_factor_of_both_moves_both() {
        let both = swing(Factor::Utilisation, None, 0.5, 1.0);
        let pair = pair().with(&both, 0.5).unwrap();
        assert!(pair.a.utilisation.get() == 0.5 && pair.b.utilisation.get() == 0.5);
        let one = pair.with(&Swing { side: Some(Side::A), ..both }, 0.25).unwrap();
        assert!(one.a.utilisation.get() == 0.25 && one.b.utilisation.get() == 0.5);
    }

    #[test]
    fn an_answer_may_be_never_at_one_end() {
        let rent = swing(Factor::Price, Some(Side::A), 0.2, 3.0);
        let spread = pair().spread(Question::BreakEvenVolume, &[rent]).unwrap();
        assert!(spread.low.is_finite() && spread.high == f64::INFINITY);
        let bars = pair().tornado(Question::BreakEvenVolume, &[rent]).unwrap();
        assert_eq!(bars[0].width(), f64::INFINITY);
    }

    #[test]
    fn an_end_that_makes_no_sense_and_too_many_factors_are_refused() {
        let bad = swing(Factor::Utilisation, None, 0.0, 0.5);
        assert!(
            pair().spread(Question::Worth, &[bad]).unwrap_err().to_string().contains("0 is no utilisation")
        );
        let many = [swing(Factor::Pue, None, 1.1, 1.2); MOST + 1];
        assert!(pair().spread(Question::Worth, &many).unwrap_err().to_string().contains("13 factors"));
    }
}
