//! What a job costs on each candidate while a reader turns what only the reader knows. `assets/what-if.js` computes the
//! same for the page, and a browser holds it to this.

use super::candidate::Candidate;
use crate::compare::Interval;
use crate::cost::{Bar, CostError, Factor, MOST, Pair, Question, Side, Swing, Volume, Years};

/// What the reader turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Price of a kWh, for every candidate.
    pub kwh: f64,
    /// Share of hours with work, for every candidate.
    pub utilisation: f64,
    /// Years until what was bought is sold.
    pub years: f64,
    /// Factor on the price of the second of the two that are compared.
    pub price: f64,
    /// Units wanted each month.
    pub volume: f64,
}

/// Factors that the settings fix: what a candidate says of their ends is left out.
const TURNED: [Factor; 4] = [Factor::Kwh, Factor::Utilisation, Factor::Years, Factor::Volume];

/// Points of a curve, beside those at which one more machine is bought.
const POINTS: i32 = 48;

/// Machines after which a curve's steps are too small to see.
const STEPS: i32 = 3;

/// Candidates for one job under settings, two of them side by side.
#[derive(Clone, Copy, Debug)]
pub struct WhatIf<'a> {
    /// All of them.
    pub candidates: &'a [Candidate],
    /// Index of what there is.
    pub a: usize,
    /// Index of what might be better.
    pub b: usize,
    /// What the reader turned.
    pub settings: Settings,
}

/// What one candidate costs. Intervals hold every corner of what is not known exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// A unit, on a machine as busy as the settings allow.
    pub unit: Interval,
    /// A month at the volume wanted, on whole machines.
    pub month: Interval,
    /// How many machines that takes.
    pub machines: f64,
    /// Units in an hour of work.
    pub hourly: f64,
}

/// Two candidates side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Duel {
    /// Volume of a month from which on the second costs no more; infinite: never.
    pub volume: Interval,
    /// Months after which buying the second has cost less than going on with the first; none where it is rented.
    pub month: Option<Interval>,
    /// Price of the second, or of its hour, at which a unit costs as much on both.
    pub flip: Interval,
    /// Times as much that a unit costs on the first: above 1 the second pays.
    pub worth: Interval,
    /// Which is cheaper at the volume wanted; none where their intervals overlap.
    pub cheaper: Option<Side>,
    /// What each thing that is not known, or was turned, does to the worth alone, the strongest first.
    pub tornado: Vec<Bar>,
}

impl WhatIf<'_> {
    /// Two candidates under the settings.
    fn pair(&self, places: [usize; 2]) -> Result<Pair, CostError> {
        let Settings { kwh, utilisation, years, price, volume } = self.settings;
        let [a, b] = places.map(|place| {
            let offer = self.candidates[place].offer;
            if place == self.b { offer.repriced(price) } else { offer }
        });
        let mut pair = Pair { a, b, volume: Volume::new(volume)?, years: Years::new(years)? };
        for (factor, value) in
            [(Factor::Kwh, kwh), (Factor::Utilisation, utilisation), (Factor::Years, years)]
        {
            pair = pair.with(&Swing { factor, side: None, low: value, high: value }, value)?;
        }
        Ok(pair)
    }

    /// What is not known of a candidate, as one side of a pair.
    fn swings(&self, place: usize, side: Side) -> Vec<Swing> {
        let own = self.candidates[place].swings.iter().filter(|swing| !TURNED.contains(&swing.factor));
        let placed = own.map(|swing| {
            let moved = swing.factor == Factor::Price && place == self.b;
            let by = if moved { self.settings.price } else { 1.0 };
            Swing { side: Some(side), low: swing.low * by, high: swing.high * by, ..*swing }
        });
        placed.take(MOST / 2).collect()
    }

    /// What a candidate costs.
    pub fn costs(&self, place: usize) -> Result<Costs, CostError> {
        let pair = self.pair([place, place])?;
        let swings = self.swings(place, Side::A);
        Ok(Costs {
            unit: pair.spread(Question::Unit(Side::A), &swings)?,
            month: pair.spread(Question::Month(Side::A), &swings)?,
            machines: pair.answer(Question::Machines(Side::A))?,
            hourly: pair.a.units_an_hour(),
        })
    }

    /// The two that are compared.
    pub fn duel(&self) -> Result<Duel, CostError> {
        let pair = self.pair([self.a, self.b])?;
        let swings = [self.swings(self.a, Side::A), self.swings(self.b, Side::B)].concat();
        let [a, b] = [self.costs(self.a)?.month, self.costs(self.b)?.month];
        Ok(Duel {
            volume: pair.spread(Question::BreakEvenVolume, &swings)?,
            month: pair.spread(Question::BreakEvenMonth, &swings).ok(),
            flip: pair.spread(Question::FlipPrice, &swings)?,
            worth: pair.spread(Question::Worth, &swings)?,
            cheaper: match () {
                () if b.high < a.low => Some(Side::B),
                () if a.high < b.low => Some(Side::A),
                () => None,
            },
            tornado: pair.tornado(Question::Worth, &[swings, self.turned().to_vec()].concat())?,
        })
    }

    /// Half and twice of what the reader turns.
    fn turned(&self) -> [Swing; 3] {
        let Settings { kwh, utilisation, years, .. } = self.settings;
        [
            (Factor::Kwh, kwh, f64::INFINITY),
            (Factor::Utilisation, utilisation, 1.0),
            (Factor::Years, years, 100.0),
        ]
        .map(|(factor, value, most)| Swing {
            factor,
            side: None,
            low: value / 2.0,
            high: f64::min(2.0 * value, most),
        })
    }

    /// Volumes for curves between two powers of ten, those around the next machine of either side among them.
    pub fn volumes(&self, ends: (f64, f64)) -> Result<Vec<f64>, CostError> {
        let pair = self.pair([self.a, self.b])?;
        let even = (0..=POINTS)
            .map(|point| 10f64.powf(ends.0 + (ends.1 - ends.0) * f64::from(point) / f64::from(POINTS)));
        let mut volumes: Vec<f64> = even.collect();
        let (least, most) = (volumes[0], volumes[volumes.len() - 1]);
        for capacity in [pair.a.line()?.capacity, pair.b.line()?.capacity] {
            let steps = (1..=STEPS).flat_map(|count| {
                let full = f64::from(count) * capacity;
                [full * (1.0 - 1e-9), full * (1.0 + 1e-9)]
            });
            volumes.extend(steps.filter(|volume| (least..=most).contains(volume)));
        }
        volumes.sort_by(f64::total_cmp);
        Ok(volumes)
    }

    /// What a unit of a candidate costs in months of these volumes: a month over its volume.
    pub fn curve(&self, place: usize, volumes: &[f64]) -> Result<Vec<Interval>, CostError> {
        let pair = self.pair([place, place])?;
        let swings = self.swings(place, Side::A);
        let at = |volume: &f64| {
            let pair = Pair { volume: Volume::new(*volume)?, ..pair };
            let month = pair.spread(Question::Month(Side::A), &swings)?;
            Ok(month.times(1.0 / volume))
        };
        volumes.iter().map(at).collect()
    }
}

/// Candidates that no other beats in both cost of a unit and speed, by their middles, slowest first.
pub fn frontier(costs: &[Costs]) -> Vec<usize> {
    let beats = |other: &Costs, one: &Costs| {
        let (cheap, fast) = (other.unit.centre <= one.unit.centre, other.hourly >= one.hourly);
        cheap && fast && (other.unit.centre < one.unit.centre || other.hourly > one.hourly)
    };
    let mut left: Vec<usize> =
        (0..costs.len()).filter(|place| !costs.iter().any(|other| beats(other, &costs[*place]))).collect();
    left.sort_by(|a, b| costs[*a].hourly.total_cmp(&costs[*b].hourly));
    left
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;
    use crate::cost::Way;

    const SETTINGS: Settings = Settings { kwh: 0.12, utilisation: 0.5, years: 3.0, price: 1.0, volume: 1e5 };

    fn what_if(candidates: &[Candidate]) -> WhatIf<'_> {
        WhatIf { candidates, a: 0, b: 1, settings: SETTINGS }
    }

    #[test]
    fn what_is_turned_moves_what_it_belongs_to_and_nothing_else() {
        let candidates = example::candidates();
        let base = what_if(&candidates);
        let unit =
            |settings: Settings, place: usize| WhatIf { settings, ..base }.costs(place).unwrap().unit.centre;
        let rented = candidates.iter().position(|each| matches!(each.offer.way, Way::Rented(_))).unwrap();
        for (settings, own, rent, second) in [
            (Settings { kwh: 0.24, ..SETTINGS }, 1, 0, 1),
            (Settings { utilisation: 1.0, ..SETTINGS }, -1, 0, -1),
            (Settings { years: 6.0, ..SETTINGS }, -1, 0, -1),
            (Settings { price: 2.0, ..SETTINGS }, 0, 0, 1),
            (Settings { volume: 7.0, ..SETTINGS }, 0, 0, 0),
        ] {
            for (place, want) in [(0, own), (rented, rent), (1, second)] {
                let moved = unit(settings, place).total_cmp(&unit(SETTINGS, place)) as i32;
                assert_eq!(moved, want, "{settings:?} on {}", candidates[place].name);
            }
        }
    }

    #[test]
    fn at_the_flip_price_the_worth_is_one_and_beyond_the_break_even_the_second_is_cheaper() {
        let candidates = example::candidates();
        let base = what_if(&candidates);
        let duel = base.duel().unwrap();
        let price = duel.flip.centre / candidates[1].offer.price().amount;
        let level = WhatIf { settings: Settings { price, ..SETTINGS }, ..base }.duel().unwrap();
        assert!((level.worth.centre - 1.0).abs() < 1e-9, "{level:?}");
        let at = |volume: f64| WhatIf { settings: Settings { volume, ..SETTINGS }, ..base }.duel().unwrap();
        assert!(duel.volume.low < duel.volume.centre && duel.volume.centre < duel.volume.high, "{duel:?}");
        assert_eq!(at(duel.volume.low * 0.5).cheaper, Some(Side::A));
        assert_eq!(at(duel.volume.centre).cheaper, None, "inside the range nobody can tell");
    }

    #[test]
    fn an_interval_of_what_was_turned_is_not_added_to_it() {
        let mut candidates = example::candidates();
        candidates[0].swings.push(Swing { factor: Factor::Kwh, side: None, low: 0.01, high: 9.0 });
        let with = what_if(&candidates).costs(0).unwrap();
        candidates[0].swings.pop();
        assert_eq!(with, what_if(&candidates).costs(0).unwrap());
    }

    #[test]
    fn a_curve_steps_where_a_machine_is_added() {
        let candidates = example::candidates();
        let base = what_if(&candidates);
        let volumes = base.volumes((2.0, 9.0)).unwrap();
        assert!(volumes.is_sorted() && volumes.len() > POINTS as usize + 1);
        let curve = base.curve(0, &volumes).unwrap();
        let rises = curve.windows(2).filter(|pair| pair[1].centre > pair[0].centre * 1.2).count();
        assert!(rises >= 2, "{rises}");
        assert!(curve.iter().all(|at| at.low <= at.centre && at.centre <= at.high));
    }

    #[test]
    fn nobody_on_the_frontier_is_beaten() {
        let interval = |centre: f64| Interval { low: centre, centre, high: centre };
        let costs = |unit: f64, hourly: f64| Costs {
            unit: interval(unit),
            month: interval(1.0),
            machines: 1.0,
            hourly,
        };
        for (all, want) in [
            (vec![(1.0, 1.0), (2.0, 2.0), (3.0, 1.5)], vec![0, 1]),
            (vec![(1.0, 5.0), (1.0, 2.0)], vec![0]),
            (vec![(2.0, 3.0), (1.0, 1.0)], vec![1, 0]),
            (vec![(1.0, 1.0), (1.0, 1.0)], vec![0, 1]),
            (vec![], vec![]),
        ] {
            let all: Vec<Costs> = all.into_iter().map(|(unit, hourly)| costs(unit, hourly)).collect();
            assert_eq!(frontier(&all), want);
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_with_what_to_do() {
        let candidates = example::candidates();
        for (settings, says) in [
            (Settings { utilisation: 0.0, ..SETTINGS }, "0 is no utilisation"),
            (Settings { years: -1.0, ..SETTINGS }, "time of use"),
            (Settings { price: 0.0, ..SETTINGS }, "no price of"),
            (Settings { volume: f64::NAN, ..SETTINGS }, "volume"),
            (Settings { kwh: -0.1, ..SETTINGS }, "price of a kWh"),
        ] {
            let said = WhatIf { settings, ..what_if(&candidates) }.duel().unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
    }
}
