//! Jobs whose costs the reader can turn.

use super::{Contest, Options};
use crate::advise::what_if::{Costs, Duel, Settings, WhatIf, frontier};
use crate::advise::{Assumptions, Candidate, Demand, Job, Predictor, THIS_MACHINE, answer_by};
use crate::catalog::{Catalog, Currency, Date};
use crate::cost::{CostError, Way};
use std::collections::BTreeMap;

/// Most candidates of a job: the page carries all that its script needs of each.
const CANDIDATES: usize = 10;

/// Units that are worth a job, with the mode of a model where there is one, the most telling first: what a user waits
/// for, then training, then arithmetic.
const KINDS: [(&str, Option<&str>); 6] = [
    ("token", Some("infer")),
    ("image", Some("infer")),
    ("token", Some("train")),
    ("image", Some("train")),
    ("token", None),
    ("PFLOP", None),
];

/// Most jobs of a page.
const JOBS: usize = 3;

/// Months for which the advice is asked; the reader turns the years.
const MONTHS: f64 = 36.0;

/// Powers of ten that the volume can be turned down and up.
const DECADES: f64 = 3.0;

/// Steps of the volume in a power of ten.
const STEPS: f64 = 20.0;

/// A job with its candidates, under the settings that the page opens with.
#[derive(Clone, Debug, PartialEq)]
pub struct JobView {
    /// What is done: `bert, batch 8, length 128`.
    pub subject: String,
    /// What it yields, one of them: `token`.
    pub unit: String,
    /// Candidates, the cheapest unit first.
    pub candidates: Vec<Candidate>,
    /// What is not among them, each a sentence with the reason.
    pub left_out: Vec<String>,
    /// Index of what there is.
    pub a: usize,
    /// Index of what might be better.
    pub b: usize,
    /// What the page opens with.
    pub settings: Settings,
    /// Least and largest volume of a month that can be set, as powers of ten.
    pub ends: (f64, f64),
    /// So many units that their cost is readable, and the word for it: `million `.
    pub per: (f64, &'static str),
    /// Currency of all amounts.
    pub currency: Currency,
    /// What each candidate costs under the settings.
    pub costs: Vec<Costs>,
    /// The two that are compared.
    pub duel: Duel,
}

/// The work of the runs that tells most, with what it costs on every candidate.
pub(super) fn jobs(
    predictor: &Predictor,
    contests: &[Contest],
    catalog: &Catalog,
    options: &Options,
    as_of: Date,
) -> Vec<JobView> {
    let assumptions = Assumptions { machine: options.machine_price, ..Assumptions::default() };
    let view = |contest: &Contest| {
        let demand = Demand { text: String::new(), month: 0.0, unit: None };
        let job = Job::new(&contest.workload, &contest.params, demand, MONTHS).ok()?;
        let found = answer_by(&job, predictor, catalog, &assumptions, as_of).ok()?;
        let mut view = JobView::new(&contest.name(), &found.unit, found.candidates)?;
        view.left_out.extend(found.left_out);
        Some(view)
    };
    telling(contests).into_iter().filter_map(view).take(JOBS).collect()
}

/// The largest contest of each kind on the first machine.
fn telling(contests: &[Contest]) -> Vec<&Contest> {
    let mut largest: BTreeMap<usize, &Contest> = BTreeMap::new();
    for contest in contests.iter().filter(|contest| contest.machine == 0 && contest.yields.amount > 0.0) {
        let mode = contest.params.get("mode").map(ToString::to_string);
        let kind = (contest.yields.unit.as_str(), mode.as_deref());
        let Some(place) = KINDS.iter().position(|known| *known == kind) else { continue };
        let entry = largest.entry(place).or_insert(contest);
        if contest.work.flops > entry.work.flops {
            *entry = contest;
        }
    }
    largest.into_values().collect()
}

impl JobView {
    /// The job, if it has two candidates or more that hold it and whose costs can be computed and compared.
    pub fn new(subject: &str, unit: &str, all: Vec<Candidate>) -> Option<Self> {
        let currency = all.first()?.offer.price().currency;
        let mut settings = settings(&all);
        let mut left_out = Vec::new();
        let mut priced: Vec<(Candidate, Costs)> = Vec::new();
        for candidate in all {
            match costs(&candidate, settings, currency) {
                Ok(costs) => priced.push((candidate, costs)),
                Err(why) => left_out.push(format!("{}: {why}", candidate.name)),
            }
        }
        priced.sort_by(|a, b| a.1.unit.centre.total_cmp(&b.1.unit.centre));
        let (candidates, costs) = chosen(priced, &mut left_out);
        let (a, b) = sides(&candidates)?;
        let open = WhatIf { candidates: &candidates, a, b, settings };
        // Half of what one machine of what there is can do: more is bought only when that is not enough.
        let half = candidates[a].offer.line().ok()?.capacity / 2.0;
        let power = (half.log10() * STEPS).round() / STEPS;
        settings.volume = 10f64.powf(power);
        let duel = WhatIf { settings, ..open }.duel().ok()?;
        let costs_there = |place| WhatIf { settings, ..open }.costs(place).ok();
        let costs_now: Vec<Costs> = (0..costs.len()).filter_map(costs_there).collect();
        let middle = power.round();
        Some(Self {
            subject: subject.to_string(),
            unit: unit.to_string(),
            left_out,
            a,
            b,
            settings,
            ends: (middle - DECADES, middle + DECADES),
            per: readable(&costs_now),
            currency,
            costs: (costs_now.len() == candidates.len()).then_some(costs_now)?,
            duel,
            candidates,
        })
    }

    /// Under settings other than those that the page opens with.
    pub fn under(&self, settings: Settings) -> WhatIf<'_> {
        WhatIf { candidates: &self.candidates, a: self.a, b: self.b, settings }
    }

    /// Under those that it opens with.
    pub fn open(&self) -> WhatIf<'_> {
        self.under(self.settings)
    }
}

/// What the candidates themselves say: the first that was bought for electricity and years.
fn settings(candidates: &[Candidate]) -> Settings {
    let bought = candidates.iter().find_map(|candidate| match candidate.offer.way {
        Way::Owned(owned) => Some((owned.tariff.kwh.amount, owned.writeoff.years.get())),
        Way::Rented(_) => None,
    });
    let (kwh, years) = bought.unwrap_or((0.12, 3.0));
    let utilisation = candidates.first().map_or(1.0, |candidate| candidate.offer.utilisation.get());
    Settings { kwh, utilisation, years, price: 1.0, volume: 0.0 }
}

/// What a candidate costs, or why that cannot be told.
fn costs(candidate: &Candidate, settings: Settings, currency: Currency) -> Result<Costs, String> {
    if candidate.fits() == Some(false) {
        return Err("the job does not fit into its memory".to_string());
    }
    let found = candidate.offer.price().currency;
    if found != currency {
        return Err(CostError::Currencies(currency, found).to_string());
    }
    let alone = std::slice::from_ref(candidate);
    // No index is that of a second one, whose price is turned.
    let of = WhatIf { candidates: alone, a: 0, b: usize::MAX, settings };
    of.costs(0).map_err(|error| error.to_string())
}

/// The machine that measured, whatever nobody beats, and the cheapest of the rest.
fn chosen(priced: Vec<(Candidate, Costs)>, left_out: &mut Vec<String>) -> (Vec<Candidate>, Vec<Costs>) {
    let all: Vec<Costs> = priced.iter().map(|(_, costs)| *costs).collect();
    let best = frontier(&all);
    let is_kept = |place: usize| best.contains(&place) || priced[place].0.device == THIS_MACHINE;
    let mut order: Vec<usize> = (0..priced.len()).collect();
    order.sort_by_key(|place| !is_kept(*place));
    order.truncate(CANDIDATES);
    order.sort_unstable();
    let (mut candidates, mut costs) = (Vec::new(), Vec::new());
    for (place, (candidate, cost)) in priced.into_iter().enumerate() {
        if order.contains(&place) {
            candidates.push(candidate);
            costs.push(cost);
        } else {
            left_out
                .push(format!("{}: dearer than those that are shown, and not the fastest", candidate.name));
        }
    }
    (candidates, costs)
}

/// What there is: this machine where it has a price, else the cheapest. What might be better: the cheapest other
/// device that is bought, since only a purchase has to pay for itself, else the cheapest other.
fn sides(candidates: &[Candidate]) -> Option<(usize, usize)> {
    let a = candidates.iter().position(|candidate| candidate.device == THIS_MACHINE).unwrap_or(0);
    let here = &candidates.get(a)?.device;
    let is_other = |candidate: &Candidate| candidate.device != *here;
    let bought = |candidate: &Candidate| is_other(candidate) && matches!(candidate.offer.way, Way::Owned(_));
    let other = candidates.iter().position(bought).or_else(|| candidates.iter().position(is_other));
    let b = other.or_else(|| (0..candidates.len()).find(|place| *place != a))?;
    Some((a, b))
}

/// A power of a thousand of which the cheapest costs a tenth of a cent or more.
fn readable(costs: &[Costs]) -> (f64, &'static str) {
    let least = costs.iter().map(|costs| costs.unit.centre).fold(f64::INFINITY, f64::min);
    let scales = [(1.0, ""), (1e3, "thousand "), (1e6, "million "), (1e9, "billion "), (1e12, "trillion ")];
    scales.into_iter().find(|(scale, _)| least * scale >= 1e-3).unwrap_or(scales[scales.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advise::example;
    use crate::catalog::Currency;

    #[test]
    fn a_job_opens_with_this_machine_beside_the_cheapest_other() {
        let mut candidates = example::candidates();
        candidates[0].device = THIS_MACHINE.to_string();
        let job = JobView::new("work", "step", candidates).unwrap();
        assert_eq!(job.candidates[job.a].device, THIS_MACHINE);
        assert_ne!(job.candidates[job.b].device, THIS_MACHINE);
        assert!(job.costs.windows(2).all(|pair| pair[0].unit.centre <= pair[1].unit.centre));
        let power = job.settings.volume.log10();
        assert!(job.ends.0 < power && power < job.ends.1);
        assert!((power * STEPS - (power * STEPS).round()).abs() < 1e-9, "a step of the slider");
        let least = job.costs[0].unit.centre * job.per.0;
        assert!((1e-3..1.0).contains(&least), "{least}");
    }

    #[test]
    fn what_cannot_be_compared_is_left_out_with_its_reason() {
        let mut candidates = example::candidates();
        candidates.push(candidates[1].clone());
        candidates.push(candidates[2].clone());
        candidates[1].holds = Some(1);
        if let Way::Rented(rented) = &mut candidates[2].offer.way {
            rented.hour.currency = Currency::Eur;
        }
        let job = JobView::new("work", "step", candidates.clone()).unwrap();
        assert_eq!(job.candidates.len(), 3);
        let said = &job.left_out;
        assert!(said[0].contains("does not fit") && said[1].contains("one currency"), "{said:?}");
        // One candidate is no choice.
        assert_eq!(JobView::new("work", "step", candidates[..2].to_vec()), None);
        assert_eq!(JobView::new("work", "step", Vec::new()), None);
    }

    #[test]
    fn of_many_candidates_the_fastest_and_this_machine_stay() {
        let one = example::candidates().remove(0);
        let slower = |times: u32| {
            let mut candidate = one.clone();
            candidate.device = format!("machine-{times}");
            candidate.offer = candidate.offer.repriced(f64::from(times));
            candidate.swings.clear();
            candidate
        };
        let mut candidates: Vec<Candidate> = (1..=30).map(slower).collect();
        candidates[29].device = THIS_MACHINE.to_string();
        let mut fast = candidates[28].clone();
        fast.device = "fast".to_string();
        fast.offer.pace.seconds = crate::cost::Seconds::new(0.5).unwrap();
        candidates.push(fast);
        let job = JobView::new("work", "step", candidates).unwrap();
        let devices: Vec<&str> = job.candidates.iter().map(|each| each.device.as_str()).collect();
        assert_eq!((devices.len(), job.left_out.len()), (CANDIDATES, 31 - CANDIDATES));
        assert!(devices.contains(&THIS_MACHINE) && devices.contains(&"fast"), "{devices:?}");
    }
}
