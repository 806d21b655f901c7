//! The findings of all claims from runs and prices.

use super::bytes::{growth, held};
use super::cells::{Cell, Field};
use super::finding::{Finding, Promise, finding};
use super::table::{CLAIMS, Claim, Reach, Test};
use crate::catalog::{Catalog, Date};
use crate::compare::Interval;
use crate::cost::{MemoryRatio, Segment, memory_ratios};
use crate::record::Run;
use crate::units::significant;
use serde::Serialize;

/// One of a claim's two baselines, with what was measured over it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// The baseline, in words.
    pub baseline: &'static str,
    /// What the cell that counts gave; none where no cell was measured.
    pub ratio: Option<Interval>,
    /// That cell.
    pub cell: Option<Cell>,
    /// Least and largest ratio of all cells.
    pub range: Option<(f64, f64)>,
    /// How many cells.
    pub cells: usize,
}

/// A claim with its finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// Short name.
    pub id: &'static str,
    /// What the article says.
    pub sentence: &'static str,
    /// What its source really measured.
    pub source: &'static str,
    /// What it promises.
    pub promise: Promise,
    /// The outcome.
    pub finding: Finding,
    /// Over the claim's own baseline.
    pub own: Side,
    /// Over an honest one.
    pub honest: Side,
    /// What a reader must know of the finding.
    pub reason: Option<String>,
}

/// Judges every claim by `runs`, and by the prices that were known on `as_of`.
pub fn judge(runs: &[Run], catalog: &Catalog, as_of: Date) -> Vec<Judgement> {
    let fields: Vec<(&Run, Field)> = runs.iter().map(|run| (run, Field::of(run))).collect();
    let ratios = memory_ratios(catalog, as_of);
    CLAIMS.iter().map(|claim| one(claim, &fields, &ratios)).collect()
}

fn one(claim: &Claim, fields: &[(&Run, Field)], ratios: &[MemoryRatio]) -> Judgement {
    let [own, honest] = sides(claim, fields, ratios);
    let found = finding(&claim.promise, own.ratio.as_ref(), honest.ratio.as_ref());
    let reason = match claim.test {
        Test::None(why) => Some(why.to_string()),
        Test::Prices => history(ratios),
        _ => reason(claim, found, &own, &honest),
    };
    Judgement {
        id: claim.id,
        sentence: claim.sentence,
        source: claim.source,
        promise: claim.promise,
        finding: found,
        own,
        honest,
        reason,
    }
}

fn sides(claim: &Claim, fields: &[(&Run, Field)], ratios: &[MemoryRatio]) -> [Side; 2] {
    let all = |cells: &dyn Fn(&Run, &Field) -> Vec<Cell>| -> Vec<Cell> {
        fields.iter().flat_map(|(run, field)| cells(run, field)).collect()
    };
    match claim.test {
        Test::Ratio { quantity, subject, own, honest, same, reach } => {
            [(claim.own, own), (claim.honest, honest)].map(|(words, base)| {
                side(words, all(&|_, field| field.cells(quantity, [&subject, &base], same)), reach)
            })
        }
        Test::Growth { own, honest } => {
            [(claim.own, own), (claim.honest, honest)].map(|(words, workload)| {
                side(words, all(&|run, field| growth(run, field.noise(), workload)), Reach::Usual)
            })
        }
        Test::Held { mode } => [(claim.own, false), (claim.honest, true)]
            .map(|(words, whole)| side(words, all(&|_, field| held(field, mode, whole)), Reach::Usual)),
        Test::Prices => {
            let newest = |segment| ratios.iter().rev().find(|ratio| ratio.segment == segment);
            let consumer = newest(Segment::Consumer).into_iter().collect();
            let every = Segment::ALL.into_iter().filter_map(newest).collect();
            [priced(claim.own, consumer), priced(claim.honest, every)]
        }
        Test::None(_) => {
            [side(claim.own, Vec::new(), Reach::Best), side(claim.honest, Vec::new(), Reach::Best)]
        }
    }
}

/// The cell that counts, out of all.
fn side(baseline: &'static str, mut cells: Vec<Cell>, reach: Reach) -> Side {
    cells.sort_by(|a, b| a.ratio.centre.total_cmp(&b.ratio.centre));
    let count = cells.len();
    let centre = |at: usize| cells.get(at).map(|cell| cell.ratio.centre);
    let range = centre(0).zip(centre(count.saturating_sub(1)));
    let place = match reach {
        Reach::Best => count.saturating_sub(1),
        // The lower of two middles: a claim is not helped by a tie.
        Reach::Usual => count.saturating_sub(1) / 2,
    };
    let cell = (count > 0).then(|| cells.swap_remove(place));
    Side { baseline, ratio: cell.as_ref().map(|cell| cell.ratio), cell, range, cells: count }
}

/// All pairs of prices of some segments; the middle is that of the ends' logarithms.
fn priced(baseline: &'static str, ratios: Vec<&MemoryRatio>) -> Side {
    let low = ratios.iter().map(|ratio| ratio.range.0).reduce(f64::min);
    let high = ratios.iter().map(|ratio| ratio.range.1).reduce(f64::max);
    let range = low.zip(high);
    let ratio = range.map(|(low, high)| Interval { low, centre: (low * high).sqrt(), high });
    Side { baseline, ratio, cell: None, range, cells: ratios.len() }
}

/// How far the prices' ratio went in all segments and at all times of the catalogue.
fn history(ratios: &[MemoryRatio]) -> Option<String> {
    let least = ratios.iter().min_by(|a, b| a.range.0.total_cmp(&b.range.0))?;
    let most = ratios.iter().max_by(|a, b| a.range.1.total_cmp(&b.range.1))?;
    let oldest = ratios.iter().map(|ratio| ratio.oldest).min_by_key(|date| date.last_day())?;
    let number = |value| significant(value, 2);
    Some(format!(
        "it was {} for a {} in {} and {} for a {} in {}; the oldest price is of {oldest}",
        number(least.range.0),
        least.segment.label(),
        least.date,
        number(most.range.1),
        most.segment.label(),
        most.date,
    ))
}

fn reason(claim: &Claim, found: Finding, own: &Side, honest: &Side) -> Option<String> {
    let times = |ratio: &Interval| {
        format!(
            "{} ({} to {})",
            significant(ratio.centre, 3),
            significant(ratio.low, 3),
            significant(ratio.high, 3)
        )
    };
    let remark = || own.cell.as_ref().and_then(|cell| cell.remark.clone());
    match (found, &own.ratio, &honest.ratio) {
        (Finding::NotTestable, None, Some(ratio)) => Some(format!(
            "its own baseline, {}, was not measured beside it; over {} it is {}",
            claim.own,
            claim.honest,
            times(ratio)
        )),
        (Finding::NotTestable, ..) => {
            Some(format!("no run that was named holds cells for it: `{}` measures them", claim.run))
        }
        (Finding::NotReproduced, Some(ratio), _) if ratio.high > 1.0 => {
            Some("its interval holds 1, so that no difference is shown".to_string())
        }
        (_, Some(_), None) => Some(format!(
            "over {} it was not measured{}",
            claim.honest,
            remark().map_or(String::new(), |r| format!("; {r}"))
        )),
        _ if own.cell.is_some() && own.cell == honest.cell => {
            let same = "both baselines are one cell here: nothing better was measured beside it";
            Some(remark().map_or(same.to_string(), |remark| format!("{same}; {remark}")))
        }
        _ => remark(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::DeviceKind;
    use crate::record::{Record, example};
    use crate::workloads::Param;

    fn judged(runs: &[Run]) -> Vec<Judgement> {
        judge(runs, &Catalog::embedded().unwrap(), Date::parse("2026-11-23").unwrap())
    }

    fn of(judgements: &[Judgement], id: &str) -> Judgement {
        judgements.iter().find(|judgement| judgement.id == id).unwrap().clone()
    }

    fn record(backend: &str, ns: f64) -> Record {
        let mut record = example::measured();
        record.contender.backend = backend.to_string();
        record.series = vec![example::series(ns)];
        match backend {
            "cpu/naive" => record.contender.lane.threads = 1,
            "cuda/native" => record.device = Some(DeviceKind::Gpu),
            _ => {}
        }
        record
    }

    fn run(records: Vec<Record>) -> Run {
        Run { name: "a run".to_string(), records, ..Run::default() }
    }

    #[test]
    fn two_hundred_times_hangs_on_the_baseline() {
        for (naive, tuned, want) in [
            (Some(300e6), Some(4e6), Finding::BaselineDependent),
            (Some(300e6), Some(250e6), Finding::Reproduced),
            (Some(90e6), Some(4e6), Finding::Partial),
            (Some(0.5e6), Some(0.4e6), Finding::NotReproduced),
            (None, Some(4e6), Finding::NotTestable),
        ] {
            let rows = [("cpu/naive", naive), ("cpu/native", tuned), ("cuda/native", Some(1e6))];
            let records = rows.iter().filter_map(|(backend, ns)| Some(record(backend, (*ns)?)));
            let claim = of(&judged(&[run(records.collect())]), "A2");
            assert_eq!(claim.finding, want, "{claim:?}");
            assert!(claim.honest.ratio.is_some() && claim.honest.cells == 1);
        }
    }

    #[test]
    fn int8_is_judged_by_its_middle_cell_and_its_size_exactly() {
        let product = |workload: &str, m: u64, ns: f64| {
            let mut record = record("cpu/native", ns);
            record.workload = workload.to_string();
            record.group = format!("{workload} {m}");
            record.point.insert("m".to_string(), Param::Int(m));
            record.point.insert("dtype".to_string(), Param::Text("f32".to_string()));
            let bytes = if workload == "gemm" { 4096 } else { 1024 };
            record.bytes = [(crate::program::State::Parameter, bytes)].into();
            record
        };
        let records = [(1, 1.5), (2, 3.0), (3, 5.0)]
            .into_iter()
            .flat_map(|(m, gain)| [product("gemm", m, 6e6), product("gemm_i8", m, 6e6 / gain)]);
        let judgements = judged(&[run(records.collect())]);
        let speed = of(&judgements, "A9");
        assert_eq!(speed.finding, Finding::Partial, "{speed:?}");
        let (least, most) = speed.own.range.unwrap();
        assert!((speed.own.ratio.unwrap().centre - 3.0).abs() < 0.01 && speed.own.cells == 3);
        assert!((least - 1.5).abs() < 0.01 && (most - 5.0).abs() < 0.02);
        let size = of(&judgements, "A9-size");
        assert_eq!((size.finding, size.own.ratio.unwrap().centre), (Finding::Reproduced, 4.0));
        // One library: the honest baseline is no other.
        assert!(size.reason.unwrap().contains("both baselines are one cell"));
    }

    #[test]
    fn without_runs_only_prices_are_judged_and_all_else_says_why() {
        let judgements = judged(&[]);
        assert!(judgements.len() >= 11);
        for claim in &judgements {
            assert!(claim.reason.as_ref().is_some_and(|reason| reason.len() > 20), "{claim:?}");
            assert_eq!(claim.finding == Finding::NotTestable, claim.id != "A1", "{claim:?}");
        }
        let price = of(&judgements, "A1");
        let range = price.own.ratio.unwrap();
        assert!(range.low > 0.0 && range.low < range.high && price.reason.unwrap().contains("oldest price"));
    }

    #[test]
    fn a_price_claim_follows_the_day_it_is_asked_for() {
        let catalog = Catalog::embedded().unwrap();
        let on = |day| of(&judge(&[], &catalog, Date::parse(day).unwrap()), "A1").own.ratio.unwrap();
        assert!(on("2025-07-31").high > on("2026-11-23").high);
    }

    #[test]
    fn a_cpu_beats_a_gpu_only_if_the_whole_interval_says_so() {
        let model =
            |backend: &str, ns: f64| Record { workload: "mlp_block".to_string(), ..record(backend, ns) };
        let gpu = |resident: f64, whole: f64| {
            let mut record = model("cuda/native", resident);
            record.host_memory = Some(false);
            let mut series = example::series(whole);
            series.kind.scope = crate::suite::Scope::EndToEnd;
            record.series.push(series);
            record
        };
        for (resident, whole, want) in [
            (0.5e6, 2e6, Finding::BaselineDependent),
            (1.5e6, 2e6, Finding::Reproduced),
            (0.4e6, 0.5e6, Finding::NotReproduced),
        ] {
            let claim = of(&judged(&[run(vec![model("peer/ort", 1e6), gpu(resident, whole)])]), "A11");
            assert_eq!(claim.finding, want, "{claim:?}");
        }
    }
}
