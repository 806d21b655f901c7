//! Two contenders of one run, cell by cell. Their rounds are paired, so what disturbs a round disturbs both:
//! far smaller differences can be told than between two runs.

use super::between::CellId;
use super::call::{call, holm};
use super::estimate::{ALPHA, Centres, interval};
use super::floor::floor_paired;
use super::noise::Prior;
use super::runs::{CompareError, Compared, Comparison, Policy, doubts, lost};
use super::spread::p_value;
use super::within::{Noise, paired};
use crate::plan::Contender;
use crate::record::{Outcome, Record, Run, Series};
use std::collections::BTreeMap;

/// Series of a cell, by the session in which they were taken.
type Sessions<'a> = BTreeMap<(u32, &'a str), &'a Series>;

/// Compares the backend `other` of a run with its backend `base`, each lane with the same lane. The same
/// name twice compares each twin with its first copy.
pub fn compare_contenders(
    run: &Run,
    [base, other]: [&str; 2],
    policy: &Policy,
) -> Result<Comparison, CompareError> {
    let of = |backend: &str, twin: bool| -> Vec<&Record> {
        let is_it = |record: &&Record| record.contender.backend == backend && record.contender.twin == twin;
        run.records.iter().filter(is_it).collect()
    };
    let records = [of(base, false), of(other, base == other)];
    let [cells, others] = [&records[0], &records[1]].map(|records| cells(records, policy));
    let pairs: Vec<(CellId, Centres)> = cells
        .iter()
        .filter_map(|(id, sessions)| {
            let centres = centres(sessions, others.get(id)?)?;
            let contender = Contender { backend: other.to_string(), ..id.contender.clone() };
            Some((CellId { contender, ..id.clone() }, centres))
        })
        .collect();
    if pairs.is_empty() {
        let (a, b) = (base.to_string(), other.to_string());
        return Err(CompareError::NothingTogether { run: run.name.clone(), a, b });
    }
    let floor = floor_paired(&run.records);
    let margin = policy.margin.max(floor.value);
    let lost = lost(cells.keys().filter(|id| !others.contains_key(id)), records[1].iter().copied());
    let alone = [cells.len() - pairs.len() - lost.len(), others.len() - pairs.len()];
    let mut compared = judge(pairs, margin);
    let noise = Noise::of(&run.records);
    let doubts =
        [&records[0], &records[1]].map(|records| doubts(records.iter().copied(), &noise, policy.load));
    for cell in &mut compared {
        let of = |backend: &str| {
            let contender = Contender { backend: backend.to_string(), ..cell.id.contender.clone() };
            CellId { contender, ..cell.id.clone() }
        };
        if doubts[0].noisy.contains(&of(base)) || doubts[1].noisy.contains(&of(other)) {
            cell.call = cell.call.on_a_noisy_host();
        }
    }
    let unknown = compared.iter().filter(|cell| cell.call == super::Call::CannotTell).count() + lost.len();
    Ok(Comparison {
        runs: [base.to_string(), other.to_string()],
        alone,
        unknown: unknown as f64 / (compared.len() + lost.len()) as f64,
        cells: compared,
        lost,
        doubts: doubts.map(|side| side.reasons),
        floor,
        margin,
        between_runs: 0.0,
        machine: Vec::new(),
        max_unknown: policy.max_unknown,
    })
}

/// Measured series by cell; all cells bear the name of no backend, so that two backends' can be matched.
fn cells<'a>(records: &[&'a Record], policy: &Policy) -> BTreeMap<CellId, Sessions<'a>> {
    let mut cells: BTreeMap<CellId, Sessions> = BTreeMap::new();
    for record in records.iter().filter(|record| record.outcome == Outcome::Measured) {
        let contender =
            Contender { backend: String::new(), lane: record.contender.lane.clone(), twin: false };
        let wanted = |series: &&Series| policy.load.is_none_or(|only| only == series.kind.load);
        for series in record.series.iter().filter(wanted) {
            let id = CellId { group: record.group.clone(), contender: contender.clone(), kind: series.kind };
            cells.entry(id).or_default().insert((record.repeat, &record.started), series);
        }
    }
    cells
}

/// Log-ratios by start, over all sessions that both have.
fn centres(first: &Sessions, second: &Sessions) -> Option<Centres> {
    let together = first.iter().filter_map(|(session, base)| paired(base, second.get(session)?));
    let centres: Vec<f64> = together.flat_map(|centres| centres.0).collect();
    (!centres.is_empty()).then_some(Centres(centres))
}

/// Calls of all pairs, by one-sided tests against the margin under Holm's correction.
fn judge(pairs: Vec<(CellId, Centres)>, margin: f64) -> Vec<Compared> {
    let variances: Vec<_> = pairs.iter().map(|(_, centres)| centres.variance()).collect();
    let prior = Prior::fit(&variances);
    let errors = pairs.iter().zip(&variances).map(|((_, centres), own)| {
        let variance = prior.shrink(*own);
        ((variance.value / centres.0.len() as f64).sqrt(), variance.df)
    });
    let errors: Vec<(f64, f64)> = errors.collect();
    let p_values = pairs.iter().zip(&errors);
    let p_values = p_values.map(|((_, c), &(error, df))| p_value(c.mean(), error, df, margin.ln_1p()));
    let corrected = holm(&p_values.collect::<Vec<_>>());
    let cells = pairs.into_iter().zip(errors).zip(corrected);
    cells
        .map(|(((id, centres), (error, df)), p)| {
            let ratio = interval(centres.mean(), error, df, 2.0 * ALPHA);
            Compared { id, ratio, uncorrected: ratio.centre, p, call: call(&ratio, p, margin) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Call;
    use crate::compare::simulate::{TYPICAL, World};

    /// A machine whose speed moves by a tenth while a run lasts.
    const UNSTEADY: World = World { groups: 20, drift: 0.1, run: 0.1, rounds: 20, ..TYPICAL };

    /// The run with the second contender as fast as the first, but for `factor`.
    fn run(seed: u64, factor: f64) -> Run {
        UNSTEADY.run(seed, |_, contender| if contender == 1 { factor / 2.0 } else { 1.0 })
    }

    fn calls(run: &Run, names: [&str; 2]) -> Comparison {
        compare_contenders(run, names, &Policy::default()).unwrap()
    }

    #[test]
    fn five_percent_is_told_where_the_machine_moves_by_ten() {
        let (mut found, mut cells) = (0, 0);
        for seed in 0..5 {
            let comparison = calls(&run(seed, 1.05), ["cpu/0", "cpu/1"]);
            assert_eq!(comparison.count(Call::Faster), 0);
            (found, cells) = (found + comparison.count(Call::Slower), cells + comparison.cells.len());
        }
        assert_eq!(cells, 100);
        assert!(found >= 90, "{found}");
    }

    #[test]
    fn equal_contenders_and_twins_are_not_told_apart() {
        let mut different = 0;
        for seed in 0..25 {
            for names in [["cpu/0", "cpu/1"], ["cpu/0", "cpu/0"]] {
                let comparison = calls(&run(seed, 1.0), names);
                assert_eq!(comparison.cells.len(), 20);
                different += comparison.count(Call::Slower) + comparison.count(Call::Faster);
            }
        }
        assert!(different <= 10, "{different} of 1000");
    }

    #[test]
    fn contenders_that_never_met_are_named() {
        let text =
            compare_contenders(&run(1, 1.0), ["cpu/0", "cpu/9"], &Policy::default()).unwrap_err().to_string();
        assert!(text.contains("cpu/9") && text.contains("run 1"), "{text}");
    }
}
