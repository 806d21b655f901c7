//! Prices and costs that the page shows.

use super::{Contest, Entrant, Options};
use crate::catalog::{Catalog, Date, Money, PriceKind};
use crate::cost::{self, Assumptions, Hourly, HourlyBasis, MachinePrice, MemoryPrice, MemoryRatio, UnitCost};
use std::collections::BTreeMap;

impl MachinePrice {
    fn hourly(self, assumptions: &Assumptions, day: Date) -> Hourly {
        let amount = match self {
            // What it draws is not known here, so that energy is left out and the page says so.
            Self::Bought(price) => assumptions.hour_of(Money::usd(price), None),
            Self::Hourly(price) => Money::usd(price / assumptions.utilisation),
        };
        Hourly { amount, basis: HourlyBasis::User, date: day, stale: false }
    }
}

/// What a unit of one workload costs.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkCost {
    /// Name of the workload and point.
    pub subject: String,
    /// Stem for files.
    pub stem: String,
    /// Unit, as many of them as make amounts readable: `PFLOP`, `million tokens`.
    pub unit: String,
    /// Type of the operands.
    pub precision: String,
    /// On this machine, from measured times; empty where the user gave no price.
    pub measured: Vec<UnitCost>,
    /// The times are of a long window alone; else of short slices.
    pub sustained: bool,
    /// Lower bounds from datasheets, by kind of price, cheapest first.
    pub datasheet: BTreeMap<PriceKind, Vec<UnitCost>>,
}

/// All money on the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MoneyView {
    /// $/GB and $/(GB/s), by kind of price.
    pub memory: BTreeMap<PriceKind, Vec<MemoryPrice>>,
    /// What new devices cost in shops over time: those with several dates, oldest first.
    pub history: BTreeMap<String, Vec<MemoryPrice>>,
    /// GPU memory over RAM by segment and date.
    pub ratios: Vec<MemoryRatio>,
    /// $ per unit of work.
    pub work: Vec<WorkCost>,
    /// What turns prices into hourly costs.
    pub assumptions: Assumptions,
    /// What the user said that this machine costs.
    pub machine_price: Option<MachinePrice>,
}

/// Fastest contenders whose cost is shown.
const CONTENDERS: usize = 3;

/// Everything that the catalogue and the contests of one machine say on `as_of`.
pub(super) fn view(catalog: &Catalog, contests: &[Contest], options: &Options, as_of: Date) -> MoneyView {
    let assumptions = Assumptions::default();
    MoneyView {
        memory: cost::memory_prices(catalog, as_of),
        history: cost::memory_history(catalog, PriceKind::StreetNew, as_of),
        ratios: cost::memory_ratios(catalog, as_of),
        work: subjects(contests)
            .into_iter()
            .map(|contest| work_cost(catalog, contest, options, &assumptions, as_of))
            .collect(),
        assumptions,
        machine_price: options.machine_price,
    }
}

/// The largest contest of each unit worth paying for: an arithmetic peak, and what a user waits for.
fn subjects(contests: &[Contest]) -> Vec<&Contest> {
    let mut largest: BTreeMap<&str, &Contest> = BTreeMap::new();
    let is_paid = |contest: &&Contest| {
        contest.machine == 0 && contest.yields.amount > 0.0 && contest.precision() == "f32"
    };
    // A long window tells what the machine sustains, so it counts more than size.
    let order = |contest: &Contest| {
        (contest.entrants.iter().any(|entrant| entrant.sustained.is_some()), contest.work.flops)
    };
    for contest in contests.iter().filter(is_paid) {
        let entry = largest.entry(&contest.yields.unit).or_insert(contest);
        if order(contest) > order(entry) {
            *entry = contest;
        }
    }
    let mut found: Vec<&Contest> = largest
        .into_values()
        .filter(|contest| ["PFLOP", "token", "step"].contains(&contest.yields.unit.as_str()))
        .collect();
    found.sort_by_key(|contest| (contest.yields.unit != "PFLOP", std::cmp::Reverse(contest.work.flops)));
    found.truncate(2);
    found
}

fn work_cost(
    catalog: &Catalog,
    contest: &Contest,
    options: &Options,
    assumptions: &Assumptions,
    as_of: Date,
) -> WorkCost {
    let precision = contest.precision().to_string();
    let (name, scale) = readable_unit(catalog, contest, assumptions, &precision, as_of);
    let unit = (name.as_str(), contest.yields.amount / scale);
    let fastest: Vec<&Entrant> =
        contest.entrants.iter().filter(|entrant| entrant.is_sound()).take(CONTENDERS).collect();
    let sustained = !fastest.is_empty() && fastest.iter().all(|entrant| entrant.sustained.is_some());
    let measured = options.machine_price.map_or(Vec::new(), |price| {
        let hourly = price.hourly(assumptions, as_of);
        let cost = |entrant: &&Entrant| {
            let burst = entrant.time.times(1e-9);
            let time = if sustained { entrant.sustained.unwrap_or(burst) } else { burst };
            let seconds =
                if time.high.is_finite() { [time.low, time.centre, time.high] } else { [time.centre; 3] };
            cost::measured_cost(&entrant.name(), unit.0, unit.1, seconds, &hourly)
        };
        fastest.iter().filter_map(cost).collect()
    });
    WorkCost {
        subject: format!("{} {}", contest.workload, contest.point),
        stem: contest.workload.replace('_', "-"),
        unit: name.clone(),
        datasheet: cost::datasheet_costs(catalog, as_of, assumptions, contest.work, &precision, unit),
        precision,
        measured,
        sustained,
    }
}

/// So many units that the cheapest device's amount is at least a tenth of a cent.
fn readable_unit(
    catalog: &Catalog,
    contest: &Contest,
    assumptions: &Assumptions,
    precision: &str,
    as_of: Date,
) -> (String, f64) {
    let unit = (contest.yields.unit.as_str(), contest.yields.amount);
    let costs = cost::datasheet_costs(catalog, as_of, assumptions, contest.work, precision, unit);
    let least = costs.values().flatten().map(|cost| cost.cost[1].amount).fold(f64::INFINITY, f64::min);
    let scales = [(1.0, ""), (1e3, "thousand "), (1e6, "million "), (1e9, "billion "), (1e12, "trillion ")];
    let (scale, word) = scales.into_iter().find(|(scale, _)| least * scale >= 1e-3).unwrap_or((1.0, ""));
    // Abbreviations have no plural.
    let plural = if scale > 1.0 && unit.0.chars().all(char::is_lowercase) { "s" } else { "" };
    (format!("{word}{}{plural}", unit.0), scale)
}
