//! The answer to a job: every way to have it done, the cheapest first, and how sure that is.

use super::assumptions::{Assumptions, Terms};
use super::duel::{Duel, duel};
use super::fit::{Batch, Fit, Refusal, batches, cheapest, largest};
use super::job::{Job, JobError};
use super::offer::{Had, Room, had, machine, offer, room};
use super::predict::{Predictor, Timed};
use super::quote::{Quote, quotes};
use super::rank::{Ranked, rank};
use super::{Candidate, PriceBasis};
use crate::catalog::{Catalog, Class, Date, Device, mixed_kinds};
use crate::cost::{CostError, Volume, Years};
use crate::nearest::hint;
use crate::record::Run;
use crate::units::{Bytes, significant};
use std::collections::BTreeMap;

/// Id of the machine that measured.
pub const THIS_MACHINE: &str = "this-machine";

/// Why there is no answer at all.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AdviseError {
    /// The job makes no sense.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A number makes no sense.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// A device that is not in the catalogue.
    #[error(
        "no device has the id `{id}`{hint}; `cutgpu prices list --json` shows them, and --devices adds some"
    )]
    Device {
        /// What was asked for.
        id: String,
        /// The nearest id, or nothing.
        hint: String,
    },
}

impl From<crate::workloads::ParamError> for AdviseError {
    fn from(error: crate::workloads::ParamError) -> Self {
        Self::Job(error.into())
    }
}

/// All that is said to a job.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Name of the unit that is counted, singular.
    pub unit: String,
    /// Units wanted each month.
    pub volume: Volume,
    /// For how long.
    pub years: Years,
    /// Every way to have the job done, the cheapest first at the centre.
    pub candidates: Vec<Candidate>,
    /// What each candidate costs and how sure its place is, in the same order.
    pub ranks: Vec<Ranked>,
    /// What each device holds, in the order of the catalogue.
    pub memory: Vec<Fit>,
    /// The best processor beside the best graphics card; none where one of the two is missing.
    pub duel: Option<Duel>,
    /// Devices and prices that have no place in the ranking, each a sentence with the reason.
    pub left_out: Vec<String>,
    /// What the reader must know of the answer as a whole, each a sentence.
    pub notes: Vec<String>,
}

impl Answer {
    /// Places of the candidates of which none is surely dearer than another: the answer, if it is one alone.
    pub fn first(&self) -> Vec<usize> {
        (0..self.candidates.len()).filter(|&place| !self.ranks[place].surely_dearer).collect()
    }
}

/// Everything that the steps towards an answer share.
struct Desk<'a> {
    job: &'a Job,
    assumptions: &'a Assumptions,
    terms: Terms,
    as_of: Date,
    batches: Vec<Batch>,
    predictor: &'a Predictor<'a>,
}

/// What can do `job`, what that costs, and how sure it is: by the records of `runs`, whose first names the machine at
/// hand, and by the prices that were known on `as_of`.
pub fn answer(
    job: &Job,
    runs: &[Run],
    catalog: &Catalog,
    assumptions: &Assumptions,
    as_of: Date,
) -> Result<Answer, AdviseError> {
    answer_by(job, &Predictor::new(runs), catalog, assumptions, as_of)
}

/// The same by what was learnt of runs already: several jobs share it.
pub fn answer_by(
    job: &Job,
    predictor: &Predictor,
    catalog: &Catalog,
    assumptions: &Assumptions,
    as_of: Date,
) -> Result<Answer, AdviseError> {
    let terms = assumptions.terms()?;
    let (volume, years) = (Volume::new(job.demand.month)?, Years::new(job.months / 12.0)?);
    if let Some(latency) = job.latency.filter(|latency| !(*latency > 0.0 && latency.is_finite())) {
        return Err(JobError::Latency(latency).into());
    }
    known(job, catalog)?;
    let desk = Desk { job, assumptions, terms, as_of, batches: batches(job)?, predictor };
    let (quotes, mut left_out) = quotes(catalog, as_of, terms.currency);
    let mut candidates = Vec::new();
    let mut memory = Vec::new();
    desk.at_hand(&mut candidates, &mut left_out)?;
    for device in catalog.devices.iter().filter(|device| desk.is_wanted(device)) {
        let room = room(device, catalog, as_of, &terms);
        memory.push(desk.fit(device, &room));
        let of: Vec<&Quote> = quotes.iter().filter(|quote| quote.device.id == device.id).collect();
        desk.device(device, &room, &of, &mut candidates, &mut left_out)?;
    }
    let ranks = rank(&mut candidates, volume, years, job.budget)?;
    let duel = duel(&candidates, &ranks, catalog, volume, years, assumptions)?;
    let mut answer = Answer {
        unit: job.unit.name().to_string(),
        volume,
        years,
        candidates,
        ranks,
        memory,
        duel,
        left_out,
        notes: job.assumed.clone(),
    };
    desk.notes(&mut answer);
    Ok(answer)
}

/// Every device that was asked for is known.
fn known(job: &Job, catalog: &Catalog) -> Result<(), AdviseError> {
    let ids = || catalog.devices.iter().map(|device| device.id.as_str()).chain([THIS_MACHINE]);
    match job.devices.iter().find(|id| ids().all(|known| known != id.as_str())) {
        Some(id) => Err(AdviseError::Device { id: id.clone(), hint: hint(id, ids()) }),
        None => Ok(()),
    }
}

impl Desk<'_> {
    fn is_wanted(&self, device: &Device) -> bool {
        let asked = &self.job.devices;
        device.class != Class::Ram && (asked.is_empty() || asked.contains(&device.id))
    }

    /// The machine that measured, where it has a price.
    fn at_hand(
        &self,
        candidates: &mut Vec<Candidate>,
        left_out: &mut Vec<String>,
    ) -> Result<(), AdviseError> {
        let asked = &self.job.devices;
        if !(asked.is_empty() || asked.iter().any(|id| id == THIS_MACHINE)) {
            return Ok(());
        }
        if !self.predictor.has_machine() {
            left_out.push("this machine is left out: no run was given; `make bench` makes one".to_string());
            return Ok(());
        }
        let Some(price) = self.assumptions.machine else {
            left_out.push(
                "this machine is left out: nobody says what it costs; --machine-price 1500 or 0.25/h does"
                    .to_string(),
            );
            return Ok(());
        };
        let holds = self.predictor.memory();
        match cheapest(&self.batches, holds, self.job.latency, |task| {
            self.predictor.here(self.job.workload.name, task)
        }) {
            Err(refusal) => left_out.push(self.refused("this machine", holds, &refusal)),
            Ok((batch, timed)) => {
                let had = machine(price, self.assumptions, &self.terms)?;
                let made = self.candidate(
                    (THIS_MACHINE, "this machine", None),
                    &had,
                    batch,
                    &timed,
                    holds,
                    PriceBasis::User,
                )?;
                candidates.push(made);
            }
        }
        Ok(())
    }

    /// A device of the catalogue, by each of its prices.
    fn device(
        &self,
        device: &Device,
        room: &Room,
        quotes: &[&Quote],
        candidates: &mut Vec<Candidate>,
        left_out: &mut Vec<String>,
    ) -> Result<(), AdviseError> {
        if quotes.is_empty() {
            left_out.push(format!(
                "{} is left out: no usable price of it was known on {}",
                device.name, self.as_of
            ));
            return Ok(());
        }
        let Some(holds) = room.bytes else {
            left_out.push(format!("{}: cannot tell: nobody confirms how much memory it has", device.name));
            return Ok(());
        };
        match cheapest(&self.batches, Some(holds), self.job.latency, |task| {
            self.predictor.on(device, self.job.workload.name, task)
        }) {
            Err(refusal) => left_out.push(self.refused(&device.name, Some(holds), &refusal)),
            Ok((batch, timed)) => {
                for quote in quotes {
                    let had = had(quote, room, self.assumptions, &self.terms)?;
                    let price =
                        PriceBasis::Catalog { kind: quote.kind, date: quote.date, stale: quote.stale };
                    let of = (device.id.as_str(), device.name.as_str(), Some(device));
                    candidates.push(self.candidate(of, &had, batch, &timed, Some(holds), price)?);
                }
            }
        }
        Ok(())
    }

    fn candidate(
        &self,
        (id, name, device): (&str, &str, Option<&Device>),
        had: &Had,
        batch: &Batch,
        timed: &Timed,
        holds: Option<u64>,
        price: PriceBasis,
    ) -> Result<Candidate, AdviseError> {
        let (offer, swings) = offer(had, device, &timed.seconds, batch.units, &self.terms)?;
        let mut assumed = vec![timed.note.clone()];
        assumed.extend(had.assumed.clone());
        Ok(Candidate {
            device: id.to_string(),
            name: format!("{name}, {}", had.how),
            offer,
            seconds: timed.seconds,
            time: timed.basis,
            price,
            swings,
            batch: batch.count,
            needs: batch.needs,
            holds,
            assumed,
        })
    }

    /// What a device holds, at the batch that was asked for or the smallest.
    fn fit(&self, device: &Device, room: &Room) -> Fit {
        let needs = self.batches.first().map_or_else(BTreeMap::new, |batch| batch.states.clone());
        let largest = room.bytes.and_then(|bytes| largest(self.job, bytes));
        Fit { device: device.id.clone(), name: device.name.clone(), holds: room.bytes, needs, largest }
    }

    /// Why a device has no batch.
    fn refused(&self, name: &str, holds: Option<u64>, refusal: &Refusal) -> String {
        match refusal {
            Refusal::Unknown(why) => format!("{name}: cannot tell how long it takes: {why}"),
            Refusal::Latency(quickest) => format!(
                "{name} is too slow: an execution takes at least {} s and {} s are allowed",
                significant(*quickest, 3),
                significant(self.job.latency.unwrap_or_default(), 3)
            ),
            Refusal::Memory => {
                let needs = self.batches.first().map_or(0, |batch| batch.needs);
                let fits = holds.and_then(|bytes| largest(self.job, bytes));
                let most =
                    fits.map_or(String::new(), |batch| format!("; the largest batch that fits is {batch}"));
                format!(
                    "{name} is too small: {} are needed and it holds {}{most}",
                    Bytes(needs),
                    Bytes(holds.unwrap_or(0))
                )
            }
        }
    }

    /// What the reader must know of the whole.
    fn notes(&self, answer: &mut Answer) {
        let volume = self.job.demand.month;
        if volume == 0.0 {
            answer
                .notes
                .push("no work is wanted: what is left is what machines cost that stand idle".to_string());
        }
        let machines = answer.ranks.iter().map(|rank| rank.machines).fold(f64::INFINITY, f64::min);
        if machines.is_finite() && machines > 10_000.0 {
            answer.notes.push(format!(
                "so much work takes at least {} machines: nobody has prices for so many, and those of one do not hold",
                significant(machines, 3)
            ));
        }
        if !answer.memory.is_empty() && answer.memory.iter().all(|fit| fit.fits() == Some(false)) {
            answer.notes.push(self.fits_nowhere(answer));
        }
        let bought = answer.candidates.iter().filter_map(|candidate| match &candidate.price {
            PriceBasis::Catalog { kind, .. } if !kind.is_rent() => Some(*kind),
            _ => None,
        });
        if let Some(mixed) = mixed_kinds(&bought.collect()) {
            answer.notes.push(format!("of what is bought, {}", mixed.message));
        }
        if answer.candidates.is_empty() {
            answer.notes.push(
                "nothing that has a price can be shown to do this: see what was left out, and why"
                    .to_string(),
            );
        }
    }

    /// Bytes by state, and the largest device.
    fn fits_nowhere(&self, answer: &Answer) -> String {
        let Some(first) = self.batches.first() else { return String::new() };
        let states: Vec<String> = first
            .states
            .iter()
            .map(|(state, bytes)| {
                format!(
                    "{} {}",
                    serde_json::to_value(state)
                        .ok()
                        .and_then(|word| Some(word.as_str()?.to_string()))
                        .unwrap_or_default(),
                    Bytes(*bytes)
                )
            })
            .collect();
        let most = answer.memory.iter().max_by_key(|fit| fit.holds.unwrap_or(0));
        let (name, holds) = most.map_or(("nothing", 0), |fit| (fit.name.as_str(), fit.holds.unwrap_or(0)));
        let largest = most.and_then(|fit| fit.largest);
        let fits = largest.map_or("not even a batch of 1 fits there".to_string(), |batch| {
            format!("a batch of {batch} fits there")
        });
        format!(
            "it fits on none of these devices: {} are needed ({}), and the largest, {name}, holds {}; {fits}",
            Bytes(first.needs),
            states.join(", "),
            Bytes(holds)
        )
    }
}
