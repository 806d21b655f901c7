//! Ratios between contenders of one run, paired by round: what disturbs the machine during a round
//! disturbs both.

use super::estimate::{ALPHA, Centres, Interval, by_start, interval};
use super::noise::{Prior, Variance};
use crate::plan::SeriesKind;
use crate::record::{Record, Series};
use std::collections::{BTreeMap, BTreeSet};

/// How much starts of a run differ, for single times and for ratios; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    /// Of a contender's time.
    pub times: Prior,
    /// Of the ratio of two contenders in the same rounds.
    pub ratios: Prior,
}

impl Noise {
    /// Learns from all cells of a run; ratios from each group's cells over the group's first.
    pub fn of(records: &[Record]) -> Self {
        let times: Vec<Variance> = records
            .iter()
            .flat_map(|record| &record.series)
            .filter_map(|series| Some(centres(series)?.variance()))
            .collect();
        let mut first: BTreeMap<(&str, &str, SeriesKind), &Series> = BTreeMap::new();
        let mut ratios = Vec::new();
        for record in records {
            for series in &record.series {
                let session = (record.group.as_str(), record.started.as_str(), series.kind);
                match first.get(&session) {
                    Some(base) => ratios.extend(paired(base, series).map(|centres| centres.variance())),
                    None => drop(first.insert(session, series)),
                }
            }
        }
        Self { times: Prior::fit(&times), ratios: Prior::fit(&ratios) }
    }
}

/// Centres of a series' starts.
pub(super) fn centres(series: &Series) -> Option<Centres> {
    Centres::of(by_start(series, |sample| series.ns[sample]).values())
}

/// The series of `record` of this kind.
pub fn series_of(record: &Record, kind: SeriesKind) -> Option<&Series> {
    record.series.iter().find(|series| series.kind == kind)
}

/// How many times as long as `base` `other` takes: above 1 where `other` is slower. None where either
/// lacks the series. Rounds are paired where both were measured together.
pub fn ratio_within(base: &Record, other: &Record, kind: SeriesKind, noise: &Noise) -> Option<Interval> {
    let together = base.group == other.group && base.started == other.started;
    let (base, other) = (series_of(base, kind)?, series_of(other, kind)?);
    if together { ratio_paired(base, other, noise) } else { ratio_between(base, other, noise) }
}

/// The ratio of two series whose rounds have nothing in common, as of two runs or two hosts.
pub fn ratio_between(base: &Series, other: &Series, noise: &Noise) -> Option<Interval> {
    let (base, other) = (centres(base)?, centres(other)?);
    let parts = [&base, &other].map(|side| {
        let variance = noise.times.shrink(side.variance());
        Variance { value: variance.value / side.0.len() as f64, df: variance.df }
    });
    let (error, df) = satterthwaite(parts);
    Some(interval(other.mean() - base.mean(), error, df, ALPHA))
}

/// The ratio of two series of one session, paired by round where they share rounds.
pub fn ratio_paired(base: &Series, other: &Series, noise: &Noise) -> Option<Interval> {
    match paired(base, other) {
        Some(pairs) => Some(pairs.interval(&noise.ratios)),
        None => ratio_between(base, other, noise),
    }
}

/// Centres, by start, of log(other / base) of the rounds that both have; none unless every start of
/// either has such a round.
pub(super) fn paired(base: &Series, other: &Series) -> Option<Centres> {
    let key = |series: &Series, sample: usize| (series.start[sample], series.round[sample]);
    let times: BTreeMap<(u32, u32), f64> =
        (0..base.ns.len()).map(|sample| (key(base, sample), base.ns[sample])).collect();
    let pairs = by_start(other, |sample| match times.get(&key(other, sample)) {
        Some(time) => other.ns[sample] / time,
        None => 0.0,
    });
    let distinct = |series: &Series| series.start.iter().collect::<BTreeSet<_>>().len();
    let whole = pairs.len() == distinct(base) && pairs.len() == distinct(other);
    if whole { Centres::of(pairs.values()) } else { None }
}

/// Standard error of a sum of independent parts and its degrees of freedom (Satterthwaite 1946).
pub(super) fn satterthwaite<const N: usize>(parts: [Variance; N]) -> (f64, f64) {
    let sum: f64 = parts.iter().map(|part| part.value).sum();
    if parts.iter().any(|part| part.df <= 0.0) {
        return (sum.sqrt(), 0.0);
    }
    let weights: f64 = parts.iter().map(|part| part.value * part.value / part.df).sum();
    let df = if weights > 0.0 { sum * sum / weights } else { parts.iter().map(|part| part.df).sum() };
    (sum.sqrt(), df)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::simulate::{TYPICAL, World};
    use crate::record::example;

    /// A machine whose speed moves far more than contenders differ by chance.
    const UNSTEADY: World =
        World { start: 0.002, round: 0.003, drift: 0.1, run: 0.0, hidden: 0.0, outliers: 0.0, ..TYPICAL };

    #[test]
    fn pairs_cancel_what_disturbs_both_and_intervals_hold_the_truth() {
        let run = UNSTEADY.run(1, |_, _| 1.0);
        let noise = Noise::of(&run.records);
        let kind = example::series(1.0).kind;
        let groups = run.records.chunks(UNSTEADY.contenders + 1);
        let ratios: Vec<[Interval; 2]> = groups
            .map(|group| {
                let alone = ratio_between(&group[0].series[0], &group[1].series[0], &noise).unwrap();
                [ratio_within(&group[0], &group[1], kind, &noise).unwrap(), alone]
            })
            .collect();
        // The second contender takes twice as long as the first.
        assert!(ratios.iter().all(|[paired, _]| (paired.centre / 2.0 - 1.0).abs() < 0.02));
        let covered = ratios.iter().filter(|[paired, _]| (paired.low..=paired.high).contains(&2.0)).count();
        assert!(covered >= 8, "{covered} of {}", ratios.len());
        assert!(ratios.iter().all(|[p, a]| p.relative_half_width() < a.relative_half_width()));
    }

    #[test]
    fn rounds_of_different_sessions_are_not_paired() {
        let mut records = [example::measured(), example::measured()];
        for (record, factor) in records.iter_mut().zip([1.0, 3.0]) {
            let series = &mut record.series[0];
            // Starts of both differ in the same way.
            series
                .ns
                .iter_mut()
                .zip(&series.start)
                .for_each(|(ns, &start)| *ns *= factor * f64::from(1 + start));
        }
        let kind = records[0].series[0].kind;
        let ratio =
            |records: &[Record; 2]| ratio_within(&records[0], &records[1], kind, &Noise::default()).unwrap();
        assert!(ratio(&records).relative_half_width() < 0.001);
        records[1].started.push_str(" later");
        let unpaired = ratio(&records);
        assert!(unpaired.relative_half_width() > 0.5 && (unpaired.centre - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_kind_that_one_lacks_has_no_ratio() {
        let record = example::measured();
        let kind = SeriesKind { sync: crate::suite::Sync::Each, ..record.series[0].kind };
        assert!(ratio_within(&record, &record, kind, &Noise::default()).is_none());
    }

    #[test]
    fn degrees_of_freedom_are_welch_and_satterthwaites() {
        let part = |value, df| Variance { value, df };
        assert_eq!(satterthwaite([part(1.0, 4.0), part(1.0, 4.0)]), (2f64.sqrt(), 8.0));
        assert_eq!(satterthwaite([part(1.0, 4.0), part(0.0, 9.0)]), (1.0, 4.0));
        assert_eq!(satterthwaite([part(1.0, 4.0), part(1.0, 0.0)]).1, 0.0);
        assert_eq!(satterthwaite([part(1.0, 4.0), part(0.0, f64::INFINITY)]), (1.0, 4.0));
    }
}
