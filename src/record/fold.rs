//! The visits of a cell as one record: a run comes back to each group several times and writes a record
//! each time, and whoever judges a cell wants all of its starts.

use super::{Conditions, Outcome, Reading, Record, Series, Verification};
use crate::backends::Identity;
use crate::plan::Contender;
use std::collections::BTreeMap;

/// What the visits of one cell share: key, group, contender, host and repetition.
type Cell = (String, String, Contender, String, u32);

/// Starts of missing visits that are made up for; a file that lacks more is no run of ours.
const MOST_MISSING: usize = 10_000;

/// One record for each cell, in the order of their first visits.
///
/// Starts stand behind each other, counted on over the visits. Where a visit failed, was wrong or was
/// skipped, that is what became of the cell, and it has no timing.
pub fn fold(records: Vec<Record>) -> Vec<Record> {
    let mut places: BTreeMap<Cell, usize> = BTreeMap::new();
    let mut cells: Vec<Vec<Record>> = Vec::new();
    for record in records {
        let next = cells.len();
        let (key, group, contender) = (record.key.clone(), record.group.clone(), record.contender.clone());
        let cell = (key, group, contender, record.host.clone(), record.repeat);
        match *places.entry(cell).or_insert(next) {
            place if place == next => cells.push(vec![record]),
            place => cells[place].push(record),
        }
    }
    cells.into_iter().filter_map(one).collect()
}

/// The visits of one cell as one record; none of none.
fn one(mut visits: Vec<Record>) -> Option<Record> {
    visits.sort_by_key(|visit| visit.visit);
    if let Some(end) = visits.iter().position(|visit| visit.outcome != Outcome::Measured) {
        let started = visits[0].started.clone();
        return Some(Record { started, visit: 0, ..visits.swap_remove(end) });
    }
    let starts = visits.iter().flat_map(|visit| &visit.series).map(|series| series.iters.len()).max();
    let mut visits = visits.into_iter();
    let mut whole = visits.next()?;
    let first = whole.visit;
    let mut latencies: Vec<Vec<[f64; 3]>> =
        whole.series.iter().map(|series| series.latency_ns.into_iter().collect()).collect();
    for visit in visits {
        // By the visit's number, so that starts of two contenders bear the same number in the same visit.
        let after = (visit.visit - first) as usize * starts.unwrap_or(0);
        whole.loads.extend(visit.loads);
        whole.interleaved &= visit.interleaved;
        whole.verification = worse(whole.verification, visit.verification);
        whole.conditions = worst(whole.conditions, &visit.conditions);
        whole.identity = noted(whole.identity, visit.identity);
        whole.clock_precision_ns = match (whole.clock_precision_ns, visit.clock_precision_ns) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        for more in visit.series {
            match whole.series.iter().position(|series| series.kind == more.kind) {
                Some(place) => {
                    latencies[place].extend(more.latency_ns);
                    extend(&mut whole.series[place], more, after);
                }
                None => {
                    latencies.push(more.latency_ns.into_iter().collect());
                    whole.series.push(more);
                }
            }
        }
    }
    for (series, latencies) in whole.series.iter_mut().zip(latencies) {
        series.latency_ns = middle(&latencies);
    }
    Some(whole)
}

/// Adds the samples of a later visit, whose first start gets the number `after`.
fn extend(series: &mut Series, more: Series, after: usize) {
    let last = series.iters.last().copied().unwrap_or(1);
    series.iters.resize(after.clamp(series.iters.len(), series.iters.len() + MOST_MISSING), last);
    series.iters.extend(more.iters);
    series.ns.extend(more.ns);
    series.start.extend(more.start.iter().map(|start| start.saturating_add(after as u32)));
    series.round.extend(more.round);
    series.run_delay_ns.extend(more.run_delay_ns);
    series.steal_ns.extend(more.steal_ns);
    series.probe_rate.extend(more.probe_rate);
    series.probe = series.probe.filter(|probe| more.probe == Some(*probe));
    series.discarded = series.discarded.saturating_add(more.discarded);
    series.noisy = series.noisy.saturating_add(more.noisy);
    if series.stop != more.stop {
        series.stop = "budget".to_string();
    }
}

/// The first visit's library, with what later ones noted that it did not.
fn noted(one: Option<Identity>, other: Option<Identity>) -> Option<Identity> {
    let Some(mut one) = one else { return other };
    for (name, note) in other.into_iter().flat_map(|other| other.notes) {
        one.notes.entry(name).or_insert(note);
    }
    Some(one)
}

/// The more thorough check, with the largest error and whatever speaks against either.
fn worse(one: Option<Verification>, other: Option<Verification>) -> Option<Verification> {
    let (Some(one), Some(other)) = (&one, &other) else { return one.or(other) };
    Some(Verification {
        elements: one.elements.max(other.elements),
        complete: one.complete || other.complete,
        worst: one.worst.max(other.worst),
        median_relative: one.median_relative.max(other.median_relative),
        fell_back_precision: one.fell_back_precision || other.fell_back_precision,
        mistrusted: one.mistrusted || other.mistrusted,
    })
}

/// The state of the machine at its worst.
fn worst(one: Conditions, other: &Conditions) -> Conditions {
    fn larger<T: Ord + Clone>(one: Reading<T>, other: &Reading<T>) -> Reading<T> {
        match (one.value(), other.value()) {
            (Some(a), Some(b)) if a < b => other.clone(),
            (None, Some(_)) => other.clone(),
            _ => one,
        }
    }
    Conditions {
        debug_build: one.debug_build || other.debug_build,
        foreign: larger(one.foreign, &other.foreign),
        throttled: larger(one.throttled, &other.throttled),
        power_capped: larger(one.power_capped, &other.power_capped),
        ..one
    }
}

/// The median over visits of each of their quantiles; none of none.
fn middle(visits: &[[f64; 3]]) -> Option<[f64; 3]> {
    let at = |which: usize| {
        let mut values: Vec<f64> = visits.iter().map(|visit| visit[which]).collect();
        values.sort_by(f64::total_cmp);
        (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
    };
    (!visits.is_empty()).then(|| [at(0), at(1), at(2)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::example;

    fn visits(count: u32) -> Vec<Record> {
        (0..count).map(|visit| Record { visit, ..example::measured() }).collect()
    }

    #[test]
    fn starts_of_later_visits_stand_behind_those_of_earlier_ones() {
        let single = example::measured();
        let (samples, starts) = (single.series[0].ns.len(), single.series[0].iters.len());
        let folded = fold(visits(3));
        assert_eq!(folded.len(), 1);
        let series = &folded[0].series[0];
        assert_eq!((series.ns.len(), series.iters.len()), (3 * samples, 3 * starts));
        assert_eq!(series.start[samples], series.start[0] + starts as u32);
        assert_eq!(series.start.iter().max(), Some(&(3 * starts as u32 - 1)));
        assert_eq!(folded[0].loads.len(), 3 * single.loads.len());
        assert_eq!(series.check(), Ok(()));
        assert_eq!(fold(folded.clone()), folded);
        assert_eq!(fold(vec![single.clone()]), [single]);
    }

    #[test]
    fn a_missing_visit_leaves_its_starts_numbers_free_and_the_order_of_lines_is_nothing() {
        let mut records = visits(4);
        records[0].memory = Reading::absent("lost");
        let lost = records.remove(2);
        records.reverse();
        let folded = fold(records).remove(0);
        assert_eq!((folded.visit, &folded.memory), (0, &Reading::absent("lost")));
        let series = &folded.series[0];
        let starts = lost.series[0].iters.len();
        let numbers: Vec<usize> = series.start.iter().map(|start| *start as usize / starts).collect();
        assert!(numbers.is_sorted() && !numbers.contains(&2) && numbers.contains(&3));
        assert_eq!(series.iters.len(), 4 * starts);
    }

    #[test]
    fn a_visit_that_failed_is_what_became_of_the_cell() {
        let mut records = visits(3);
        records[1].outcome = Outcome::Failed { kind: "hang".to_string(), message: "x".to_string() };
        records[1].series.clear();
        let folded = fold(records);
        assert_eq!((folded.len(), folded[0].visit, folded[0].series.len()), (1, 0, 0));
        assert!(matches!(folded[0].outcome, Outcome::Failed { .. }));
    }

    #[test]
    fn repetitions_hosts_and_keys_stay_apart() {
        let mut records = visits(4);
        records[1].repeat = 1;
        records[2].host = "another".to_string();
        records[3].key = "another".to_string();
        assert_eq!(fold(records.clone()), records);
    }

    #[test]
    fn the_worst_of_the_visits_is_told() {
        let mut records = visits(2);
        records[1].conditions.foreign = Reading::Value(3);
        if let Some(verification) = &mut records[1].verification {
            (verification.worst, verification.complete, verification.mistrusted) = (0.99, false, true);
        }
        records[1].clock_precision_ns = Some(1e6);
        if let Some(identity) = &mut records[1].identity {
            identity.notes.insert("fell_back".to_string(), "a reason".to_string());
        }
        records[0].series[0].latency_ns = Some([1.0, 2.0, 3.0]);
        records[1].series[0].latency_ns = Some([2.0, 4.0, 9.0]);
        records[1].series[0].stop = "another".to_string();
        let folded = fold(records).remove(0);
        let verification = folded.verification.unwrap();
        assert_eq!((verification.worst, verification.complete), (0.99, true));
        assert!(verification.mistrusted);
        assert_eq!(folded.clock_precision_ns, Some(1e6));
        assert!(folded.identity.unwrap().notes.contains_key("fell_back"));
        assert_eq!(folded.conditions.foreign.value(), Some(&3));
        assert_eq!(folded.series[0].latency_ns, Some([1.5, 3.0, 6.0]));
        assert_eq!(folded.series[0].stop, "budget");
    }
}
