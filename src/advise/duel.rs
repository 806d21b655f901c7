//! The best processor beside the best graphics card: from which volume and month on the card pays, and what turns that.

use super::Candidate;
use super::answer::THIS_MACHINE;
use super::assumptions::Assumptions;
use super::rank::{Ranked, on};
use crate::catalog::{Catalog, Class, Money};
use crate::compare::Interval;
use crate::cost::{Bar, CostError, Factor, Pair, Question, Side, Swing, Volume, Way, Years};

/// A processor and a graphics card for the same job.
#[derive(Clone, Debug, PartialEq)]
pub struct Duel {
    /// Place of the processor among the candidates.
    pub cpu: usize,
    /// Place of the card.
    pub gpu: usize,
    /// Both: A is the processor, B the card.
    pub pair: Pair,
    /// What is not known exactly, by side.
    pub swings: Vec<Swing>,
    /// How many times as fast the card is.
    pub speed_up: Interval,
    /// Speed-up over price ratio: above 1 the card is worth its price on machines that are as busy as they can be.
    pub worth: Interval,
    /// Units a month from which on the card costs no more; infinite where it always costs more.
    pub volume: Interval,
    /// Months after which buying the card has cost less; none where it is rented.
    pub month: Option<Interval>,
    /// Price of the card, or of its hour, at which a unit costs as much on both; below 0 where it would not as a gift.
    pub flip_price: Money,
    /// What each factor alone does to what the card costs less than the processor over the years, the strongest first.
    pub bars: Vec<Flip>,
}

/// One factor, with what the card saves at either end of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flip {
    /// The factor with its ends; the answers are total of the processor less total of the card.
    pub bar: Bar,
    /// The cheaper of the two is another at one end.
    pub flips: bool,
}

/// The cheapest of either kind; none where one is missing.
pub(super) fn duel(
    candidates: &[Candidate],
    ranks: &[Ranked],
    catalog: &Catalog,
    volume: Volume,
    years: Years,
    assumptions: &Assumptions,
) -> Result<Option<Duel>, CostError> {
    debug_assert_eq!(candidates.len(), ranks.len());
    let class = |candidate: &Candidate| catalog.device(&candidate.device).map(|device| device.class);
    let is_cpu = |candidate: &&Candidate| {
        candidate.device == THIS_MACHINE
            || matches!(class(candidate), Some(Class::CpuServer | Class::CpuDesktop | Class::CpuCloud))
    };
    let is_gpu = |candidate: &&Candidate| class(candidate).is_some_and(Class::is_gpu);
    let (cpu, gpu) = (candidates.iter().position(|c| is_cpu(&c)), candidates.iter().position(|c| is_gpu(&c)));
    let (Some(cpu), Some(gpu)) = (cpu, gpu) else { return Ok(None) };
    let pair = Pair { a: candidates[cpu].offer, b: candidates[gpu].offer, volume, years };
    let mut swings = on(Side::A, &candidates[cpu].swings);
    swings.extend(on(Side::B, &candidates[gpu].swings));
    let spread = |question| pair.spread(question, &swings);
    let month = match pair.b.way {
        Way::Owned(_) => Some(spread(Question::BreakEvenMonth)?),
        Way::Rented(_) => None,
    };
    Ok(Some(Duel {
        cpu,
        gpu,
        pair,
        speed_up: spread(Question::SpeedUp)?,
        worth: spread(Question::Worth)?,
        volume: spread(Question::BreakEvenVolume)?,
        month,
        flip_price: pair.flip_price()?,
        bars: flips(&pair, &swings, assumptions)?,
        swings,
    }))
}

/// What each factor does to the difference of the totals: those that were measured or asked, and those that were taken
/// for granted, half as much and half as much again.
fn flips(pair: &Pair, swings: &[Swing], assumptions: &Assumptions) -> Result<Vec<Flip>, CostError> {
    let shared = |factor, low, high| Swing { factor, side: None, low, high };
    let used = assumptions.utilisation;
    let mut all = swings.to_vec();
    all.extend([
        shared(Factor::Kwh, assumptions.kwh * 0.5, assumptions.kwh * 2.0),
        shared(Factor::Utilisation, used * 0.5, (used * 2.0).min(1.0)),
        shared(Factor::Years, assumptions.years * 0.5, (assumptions.years * 1.5).min(100.0)),
        shared(Factor::Volume, pair.volume.get() * 0.5, (pair.volume.get() * 2.0).min(1e30)),
    ]);
    let saved = |pair: &Pair| -> Result<f64, CostError> {
        Ok(pair.answer(Question::Total(Side::A))? - pair.answer(Question::Total(Side::B))?)
    };
    let centre = saved(pair)?;
    let flip = |swing: &Swing| -> Result<Flip, CostError> {
        let at = |value| saved(&pair.with(swing, value)?);
        let bar = Bar { swing: *swing, low: at(swing.low)?, high: at(swing.high)? };
        let flips = [bar.low, bar.high].iter().any(|end| end.signum() != centre.signum());
        Ok(Flip { bar, flips })
    };
    let mut bars = all.iter().map(flip).collect::<Result<Vec<Flip>, CostError>>()?;
    bars.sort_by(|a, b| b.bar.width().total_cmp(&a.bar.width()));
    Ok(bars)
}
