//! This project's kernels beside the best of the others: at each point, for each number of threads and each
//! packing, which never share a ranking.
//!
//! The best peer is picked on odd rounds and judged on even ones, like every best ([`best_of`]): of many
//! peers the luckiest would otherwise be taken for the fastest. The ratio pairs the even rounds of both.

use super::best::{Half, best_of, half};
use super::estimate::{Interval, estimate_with};
use super::rate::{Rate, rate};
use super::share::share;
use super::within::{Noise, ratio_paired, series_of};
use crate::backends::{DeviceKind, Lane};
use crate::plan::{Contender, SeriesKind};
use crate::record::{Outcome, Record};
use crate::suite::{Load, Scope};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// This project's own kernels.
pub const OWN: &str = "cpu/native";

/// Loops that nobody would use: no peer.
const NAIVE: &str = "cpu/naive";

/// One contender of a standing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Place {
    /// Who.
    pub contender: Contender,
    /// Nanoseconds of one execution.
    pub time: Interval,
    /// Work over time.
    pub rate: Rate,
    /// Share of what the adjacent probe reached.
    pub share: Option<Interval>,
}

/// What a ratio to the best peer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// The whole 95 % interval is above 1.
    Ahead,
    /// The interval holds 1.
    Level,
    /// The whole interval is below 1.
    Behind,
}

impl Verdict {
    fn of(ratio: &Interval) -> Self {
        match () {
            () if ratio.low > 1.0 => Self::Ahead,
            () if ratio.high < 1.0 => Self::Behind,
            () => Self::Level,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.pad(match self {
            Self::Ahead => "AHEAD",
            Self::Level => "LEVEL",
            Self::Behind => "BEHIND",
        })
    }
}

/// The best peer, and how many times as fast as it our own kernels are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Against {
    /// Picked on odd rounds.
    pub peer: Contender,
    /// Its time over ours, on even rounds: above 1 where ours are faster.
    pub ratio: Interval,
    /// In a word.
    pub verdict: Verdict,
}

/// The processor's contenders at one point and in one lane.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// Id of the group: `suite/case/point`.
    pub group: String,
    /// Name of the suite.
    pub suite: String,
    /// Name of the case.
    pub case: String,
    /// Which repetition, from 0.
    pub repeat: u32,
    /// Threads and packing of all of them.
    pub lane: Lane,
    /// What was timed.
    pub kind: SeriesKind,
    /// Fastest first; over all rounds, so that none is flattered.
    pub places: Vec<Place>,
    /// Who is best of all, our own among them: picked on odd rounds, its time from even ones. This is the
    /// number that stands for the processor.
    pub best: Option<Place>,
    /// Our own beside the best peer; none where one of the two is missing.
    pub against: Option<Against>,
}

/// Every standing of a run, in the order measured: points at which a processor's contenders were timed in short
/// slices under a clock of the host. `noise` is that of these records.
pub fn standings(records: &[Record], noise: &Noise) -> Vec<Standing> {
    let mut places: BTreeMap<(&str, u32, &str, &Lane), usize> = BTreeMap::new();
    let mut fields: Vec<Vec<&Record>> = Vec::new();
    for record in records.iter().filter(|record| takes_part(record)) {
        let name = (record.group.as_str(), record.repeat, record.host.as_str(), &record.contender.lane);
        let next = fields.len();
        let place = *places.entry(name).or_insert(next);
        if place == next {
            fields.push(Vec::new());
        }
        fields[place].push(record);
    }
    let of_field = |field: &Vec<&Record>| -> Vec<Standing> {
        kinds(field).into_iter().filter_map(|kind| standing(field, kind, noise)).collect()
    };
    fields.iter().flat_map(of_field).collect()
}

/// Timed, on the processor, and something that a user would use.
fn takes_part(record: &Record) -> bool {
    let backend = record.contender.backend.as_str();
    let altered = backend.strip_prefix(OWN).is_some_and(|rest| !rest.is_empty());
    let on_processor = matches!(record.device, None | Some(DeviceKind::Cpu));
    let timed = record.outcome == Outcome::Measured && !record.contender.twin;
    timed && on_processor && backend != NAIVE && !altered
}

/// What the records were timed in: on a processor the clocks of the host are one.
fn kinds(field: &[&Record]) -> BTreeSet<SeriesKind> {
    let kinds = field.iter().flat_map(|record| &record.series).map(|series| series.kind);
    kinds.filter(|kind| kind.load == Load::Burst && kind.scope == Scope::Resident).collect()
}

fn standing(field: &[&Record], kind: SeriesKind, noise: &Noise) -> Option<Standing> {
    let first = field.first()?;
    let mut places: Vec<Place> = field.iter().filter_map(|record| place(record, kind, noise)).collect();
    places.sort_by(|a, b| a.time.centre.total_cmp(&b.time.centre));
    (!places.is_empty()).then(|| Standing {
        group: first.group.clone(),
        suite: first.suite.clone(),
        case: first.case.clone(),
        repeat: first.repeat,
        lane: first.contender.lane.clone(),
        kind,
        places,
        best: best(field, kind, noise),
        against: against(field, kind, noise),
    })
}

fn place(record: &Record, kind: SeriesKind, noise: &Noise) -> Option<Place> {
    let series = series_of(record, kind)?;
    let time = estimate_with(series, &noise.times)?.ns;
    Some(Place {
        contender: record.contender.clone(),
        time,
        rate: rate(record, series, &time),
        share: share(record, series, noise),
    })
}

/// The best of some records, picked on odd rounds and with the time of even ones. One alone is not picked
/// and keeps all of its rounds.
fn best(field: &[&Record], kind: SeriesKind, noise: &Noise) -> Option<Place> {
    if let [alone] = field {
        return place(alone, kind, noise);
    }
    let (record, even) = best_of(field.iter().copied(), kind)?;
    place(&Record { series: vec![even], ..record.clone() }, kind, noise)
}

/// Our own against the best peer, on even rounds.
fn against(field: &[&Record], kind: SeriesKind, noise: &Noise) -> Option<Against> {
    let own = field.iter().find(|record| record.contender.backend == OWN)?;
    let peers = field.iter().copied().filter(|record| record.contender.backend != OWN);
    let (peer, peer_even) = best_of(peers, kind)?;
    let own_even = half(series_of(own, kind)?, Half::Even);
    let ratio = ratio_paired(&own_even, &peer_even, noise)?;
    Some(Against { peer: peer.contender.clone(), ratio, verdict: Verdict::of(&ratio) })
}

/// All points of a case in one lane and under one clock.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overall {
    /// Name of the case.
    pub case: String,
    /// Threads and packing.
    pub lane: Lane,
    /// What was timed.
    pub kind: SeriesKind,
    /// Points with a ratio to a peer.
    pub compared: usize,
    /// Geometric mean of their ratios; none of none.
    pub ratio: Option<f64>,
    /// Their least and largest ratio.
    pub range: Option<(f64, f64)>,
    /// Points that are [`Verdict::Behind`].
    pub behind: usize,
    /// Least share of the probe that our own kernels reach at a point.
    pub share: Option<f64>,
}

/// Standings by case, lane and clock, in the order of the first of each.
pub fn overall<'a>(standings: impl IntoIterator<Item = &'a Standing>) -> Vec<Overall> {
    let mut alike: Vec<Vec<&Standing>> = Vec::new();
    let name = |standing: &Standing| (standing.case.clone(), standing.lane.clone(), standing.kind);
    let mut places = BTreeMap::new();
    for standing in standings {
        let place = *places.entry(name(standing)).or_insert(alike.len());
        if place == alike.len() {
            alike.push(Vec::new());
        }
        alike[place].push(standing);
    }
    alike.iter().map(|alike| over(alike)).collect()
}

fn over(alike: &[&Standing]) -> Overall {
    let against = || alike.iter().filter_map(|standing| standing.against.as_ref());
    let ratios: Vec<f64> = against().map(|against| against.ratio.centre).collect();
    let logs = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>();
    let least = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::min);
    let places = alike.iter().flat_map(|standing| &standing.places);
    let own = places.filter(|place| place.contender.backend == OWN);
    Overall {
        case: alike[0].case.clone(),
        lane: alike[0].lane.clone(),
        kind: alike[0].kind,
        compared: ratios.len(),
        ratio: (!ratios.is_empty()).then(|| (logs / ratios.len() as f64).exp()),
        range: least(&mut ratios.iter().copied()).zip(ratios.iter().copied().reduce(f64::max)),
        behind: against().filter(|against| against.verdict == Verdict::Behind).count(),
        share: least(&mut own.filter_map(|place| Some(place.share?.centre))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::Packing;
    use crate::record::example;

    /// A cell that takes `ns` in even rounds and `odd` times that in odd ones.
    fn cell(backend: &str, lane: (usize, Packing), ns: f64, odd: f64) -> Record {
        let mut record = example::measured();
        record.contender.backend = backend.to_string();
        record.contender.lane = Lane { threads: lane.0, packing: lane.1 };
        record.device = Some(DeviceKind::Cpu);
        let mut series = example::series(ns);
        for sample in (1..series.ns.len()).step_by(2) {
            series.ns[sample] *= odd;
        }
        record.series = vec![series];
        record
    }

    const PLAIN: (usize, Packing) = (1, Packing::Plain);

    fn at(group: &str, records: Vec<Record>) -> Vec<Record> {
        records.into_iter().map(|record| Record { group: format!("s/c/{group}"), ..record }).collect()
    }

    #[test]
    fn the_best_peer_is_picked_on_odd_rounds_and_judged_on_even_ones() {
        // In odd rounds the first peer is fastest; in even ones it takes twice as long as we do.
        let run = [
            cell(OWN, PLAIN, 1e6, 1.0),
            cell("cpu/lucky", PLAIN, 2e6, 0.25),
            cell("cpu/steady", PLAIN, 0.9e6, 1.0),
        ];
        let standings = standings(&run, &Noise::of(&run));
        let [standing] = standings.as_slice() else { panic!("{standings:?}") };
        let against = standing.against.as_ref().unwrap();
        assert_eq!(against.peer.backend, "cpu/lucky");
        assert!((against.ratio.centre - 2.0).abs() < 1e-9, "{against:?}");
        assert_eq!(against.verdict, Verdict::Ahead);
        let best = standing.best.as_ref().unwrap();
        assert_eq!(best.contender.backend, "cpu/lucky");
        assert!((best.time.centre / 2e6 - 1.0).abs() < 0.01, "{best:?}");
        assert_eq!(standing.places.len(), 3);
        assert!(standing.places.is_sorted_by_key(|place| place.time.centre as u64));
    }

    #[test]
    fn lanes_and_packings_never_share_a_ranking() {
        let mut run = Vec::new();
        for lane in [PLAIN, (1, Packing::Packed), (2, Packing::Plain), (2, Packing::Packed)] {
            run.extend([cell(OWN, lane, 1e6, 1.0), cell("cpu/other", lane, 1.1e6, 1.0)]);
        }
        let standings = standings(&run, &Noise::of(&run));
        assert_eq!(standings.len(), 4);
        for standing in &standings {
            let lanes: Vec<&Lane> = standing.places.iter().map(|place| &place.contender.lane).collect();
            assert_eq!(lanes, [&standing.lane; 2]);
        }
    }

    #[test]
    fn loops_twins_altered_kernels_and_graphics_processors_are_no_peers() {
        let twin = |mut record: Record| {
            record.contender.twin = true;
            record
        };
        let gpu = Record { device: Some(DeviceKind::Gpu), ..cell("cuda/native", PLAIN, 1e3, 1.0) };
        let failed = Record {
            outcome: Outcome::Skipped { reason: "not here".to_string() },
            ..cell("cpu/mkl", PLAIN, 1e3, 1.0)
        };
        let others = [
            cell("cpu/naive", PLAIN, 1e3, 1.0),
            cell("cpu/native/extra-work", PLAIN, 1e3, 1.0),
            twin(cell("cpu/other", PLAIN, 1e3, 1.0)),
            gpu,
            failed,
        ];
        for other in others {
            let name = other.contender.to_string();
            let standings = standings(&[cell(OWN, PLAIN, 1e6, 1.0), other], &Noise::default());
            assert_eq!(standings[0].places.len(), 1, "{name}");
            assert!(standings[0].against.is_none(), "{name}");
            assert_eq!(standings[0].best.as_ref().unwrap().contender.backend, OWN);
        }
        let alone = standings(&[cell("cpu/other", PLAIN, 1e6, 1.0)], &Noise::default());
        assert!(alone[0].against.is_none() && alone[0].best.is_some());
    }

    #[test]
    fn a_verdict_needs_the_whole_interval_on_one_side() {
        for (low, high, verdict) in
            [(1.001, 1.1, Verdict::Ahead), (0.99, 1.01, Verdict::Level), (0.9, 0.999, Verdict::Behind)]
        {
            assert_eq!(Verdict::of(&Interval { low, centre: (low + high) / 2.0, high }), verdict);
        }
        let unknown = Interval { low: 0.0, centre: 0.5, high: f64::INFINITY };
        assert_eq!(Verdict::of(&unknown), Verdict::Level);
    }

    #[test]
    fn a_case_has_the_geometric_mean_and_counts_who_is_behind() {
        let mut run = at("m=1", vec![cell(OWN, PLAIN, 1e6, 1.0), cell("cpu/other", PLAIN, 4e6, 1.0)]);
        run.extend(at("m=2", vec![cell(OWN, PLAIN, 1e6, 1.0), cell("cpu/other", PLAIN, 0.5e6, 1.0)]));
        run.extend(at("m=3", vec![cell(OWN, PLAIN, 3e6, 1.0)]));
        let overall = overall(&standings(&run, &Noise::of(&run)));
        let [case] = overall.as_slice() else { panic!("{overall:?}") };
        assert_eq!((case.compared, case.behind), (2, 1));
        assert!((case.ratio.unwrap() - 2f64.sqrt()).abs() < 1e-9);
        let (least, largest) = case.range.unwrap();
        assert!((least - 0.5).abs() < 1e-9 && (largest - 4.0).abs() < 1e-9);
        // The slowest of our own has the least share of the same probe.
        let share = |ns: f64| run[0].work.flops as f64 * 1e9 / ns / 3e11;
        assert!((case.share.unwrap() / share(3e6) - 1.0).abs() < 0.01, "{case:?}");
    }
}
