//! Contenders at one point, each at its best number of threads, and what they are compared with.

use super::rows::usable;
use super::{Contest, Entrant};
use crate::backends::{DeviceKind, FAMILIES, Family, Packing};
use crate::compare::{self, Interval, Noise};
use crate::plan::{Contender, SeriesKind};
use crate::record::{Record, Series};
use crate::report::palette::SERIES;
use crate::report::scene::{DASHES, Look};
use crate::report::text;
use crate::suite::{Load, Scope, Sync};
use std::collections::{BTreeMap, BTreeSet};

/// The loops that headlines like to be made from.
pub(super) const NAIVE: &str = "cpu/naive";

/// What a user would reach for, best known first: the default baseline is the first of them that most
/// contests have.
const USUAL: [&str; 11] = [
    "cpu/openblas",
    "cpu/mkl",
    "cpu/onednn",
    "cpu/blis",
    "peer/numpy",
    "peer/torch",
    "peer/torch-compiled",
    "peer/ort",
    "peer/ort-tuned",
    "cpu/gemm",
    "cpu/matrixmultiply",
];

/// This project's own kernels.
const NATIVE: &str = "cpu/native";

/// Number of the series whose colour is grey.
const GREY: usize = 6;

/// Backend with its packing: lanes of different packing never share a ranking.
pub(super) fn entry_name(contender: &Contender) -> String {
    match contender.lane.packing {
        Packing::Plain => contender.backend.clone(),
        Packing::Packed => format!("{} packed", contender.backend),
    }
}

/// The looks of all contenders, the same in every chart.
pub(super) struct Looks(BTreeMap<String, Look>);

impl Looks {
    /// Backends in the order of their families; plain loops are grey wherever they appear.
    pub(super) fn of<'a>(records: impl Iterator<Item = &'a Record>) -> Self {
        let place = |backend: &str| {
            let is_of = |family: &&dyn Family| {
                backend == family.id() || backend.starts_with(&format!("{}/", family.id()))
            };
            FAMILIES.iter().position(is_of).unwrap_or(FAMILIES.len())
        };
        let names: BTreeSet<(usize, &str)> =
            records.map(|record| (place(&record.contender.backend), &*record.contender.backend)).collect();
        let coloured = names.into_iter().filter(|(_, name)| *name != NAIVE).map(|(_, name)| name.to_string());
        let numbers = (0..).filter(|number| number % usize::from(SERIES) != GREY);
        let mut looks: BTreeMap<String, Look> =
            coloured.zip(numbers).map(|(name, number)| (name, Look::series(number))).collect();
        looks.insert(NAIVE.to_string(), Look::series(GREY));
        Self(looks)
    }

    pub(super) fn of_contender(&self, contender: &Contender) -> Look {
        let look = self.0.get(&contender.backend).copied().unwrap_or(Look::series(0));
        match contender.lane.packing {
            Packing::Plain => look,
            // The backend's colour, another dash.
            Packing::Packed => {
                let place = DASHES.iter().position(|dash| *dash == look.dash).unwrap_or(0);
                Look { dash: DASHES[(place + 1) % DASHES.len()], ..look }
            }
        }
    }
}

/// The baseline's cell of a group under each clock.
pub(super) type Bases<'a> = BTreeMap<SeriesKind, (&'a Record, &'a Series)>;

/// A group's timed records, without twins.
pub(super) struct Field<'a> {
    pub(super) records: Vec<&'a Record>,
}

impl<'a> Field<'a> {
    /// What is compared: throughput in short slices where there is one, under each clock of the host
    /// and each temperature.
    pub(super) fn kinds(&self) -> Vec<SeriesKind> {
        let all: BTreeSet<SeriesKind> = self
            .records
            .iter()
            .flat_map(|record| &record.series)
            .map(|series| series.kind)
            .filter(|kind| kind.scope != Scope::Device && kind.load == Load::Burst)
            .collect();
        let batched: Vec<SeriesKind> = all.iter().copied().filter(|kind| kind.sync == Sync::Batch).collect();
        if batched.is_empty() { all.into_iter().collect() } else { batched }
    }

    /// The series of a record under `kind`. What lies in host memory needs no transfer, so that its
    /// resident series stands for end to end as well.
    fn series(record: &'a Record, kind: SeriesKind) -> Option<&'a Series> {
        let exact = compare::series_of(record, kind);
        let stands_for = kind.scope == Scope::EndToEnd && record.host_memory == Some(true);
        let resident = SeriesKind { scope: Scope::Resident, ..kind };
        if stands_for { exact.or_else(|| compare::series_of(record, resident)) } else { exact }
    }

    /// Lanes of one backend and packing.
    fn lanes(&self) -> BTreeMap<(String, Packing), Vec<&'a Record>> {
        let mut lanes: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
        for record in &self.records {
            let key = (record.contender.backend.clone(), record.contender.lane.packing);
            lanes.entry(key).or_default().push(record);
        }
        lanes
    }

    /// All that computes on one kind of device in one packing.
    fn devices(&self) -> BTreeMap<(Option<DeviceKind>, Packing), Vec<&'a Record>> {
        let mut devices: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
        for record in &self.records {
            devices.entry((record.device, record.contender.lane.packing)).or_default().push(record);
        }
        devices
    }

    /// The baseline's cell under every clock that the group was timed with.
    pub(super) fn bases(&self, baseline: Option<&str>) -> Bases<'a> {
        let series = self.records.iter().flat_map(|record| &record.series);
        let kinds: BTreeSet<SeriesKind> = series.map(|series| series.kind).collect();
        kinds.into_iter().filter_map(|kind| Some((kind, self.base(baseline?, kind)?))).collect()
    }

    /// The record that `wanted` (a backend, perhaps with its lane) names; of several lanes the fastest.
    fn base(&self, wanted: &str, kind: SeriesKind) -> Option<(&'a Record, &'a Series)> {
        let is_wanted = |record: &&&Record| is_named(&record.contender, wanted);
        let named: Vec<&Record> = self.records.iter().filter(is_wanted).copied().collect();
        let timed = named.into_iter().filter_map(|record| Some((record, Self::series(record, kind)?)));
        let mean = |series: &Series| compare::estimate(series).map_or(f64::INFINITY, |time| time.ns.centre);
        timed.min_by(|a, b| mean(a.1).total_cmp(&mean(b.1)))
    }

    /// The contest under `kind`; none unless somebody was timed.
    pub(super) fn contest(
        &self,
        kind: SeriesKind,
        baseline: Option<&str>,
        noise: &Noise,
        looks: &Looks,
    ) -> Option<Contest> {
        let bases = [baseline, Some(NAIVE)].map(|name| self.base(name?, kind));
        let mut entrants: Vec<Entrant> = self
            .lanes()
            .into_values()
            .filter_map(|lanes| entrant(&lanes, kind, bases, noise, looks))
            .collect();
        entrants.sort_by(|a, b| a.time.centre.total_cmp(&b.time.centre));
        let best =
            self.devices().into_values().filter_map(|all| entrant(&all, kind, bases, noise, looks)).collect();
        let first = self.records.first()?;
        (!entrants.is_empty()).then(|| Contest {
            run: 0,
            machine: 0,
            repeat: first.repeat,
            suite: first.suite.clone(),
            case: first.case.clone(),
            workload: first.workload.clone(),
            point: text::point(first),
            params: first.point.clone(),
            kind,
            work: first.work,
            yields: first.yields.clone(),
            bytes: first.bytes.clone(),
            entrants,
            best,
        })
    }
}

/// Whether `wanted` names the contender: whole, with its lane, or by the backend alone, which means its plain
/// lanes.
pub(in crate::report) fn is_named(contender: &Contender, wanted: &str) -> bool {
    let plain = contender.lane.packing == Packing::Plain;
    contender.to_string() == wanted || (plain && contender.backend == wanted)
}

/// The best of several records, picked on odd rounds and reported from even ones; a single one is not
/// picked and keeps all of its rounds.
fn entrant(
    lanes: &[&Record],
    kind: SeriesKind,
    bases: [Option<(&Record, &Series)>; 2],
    noise: &Noise,
    looks: &Looks,
) -> Option<Entrant> {
    let timed: Vec<(&Record, &Series)> =
        lanes.iter().filter_map(|record| Some((*record, Field::series(record, kind)?))).collect();
    let (record, series) = match timed.as_slice() {
        [] => return None,
        [(record, series)] => (*record, (*series).clone()),
        [(first, whole), ..] => {
            compare::best_of(timed.iter().map(|lane| lane.0), whole.kind).unwrap_or((first, (*whole).clone()))
        }
    };
    let estimate = usable(compare::estimate_with(&series, &noise.times)?.ns)?;
    let speedup = |base: Option<(&Record, &Series)>| -> Option<Interval> {
        let (base, base_series) = base.filter(|(base, _)| base.contender != record.contender)?;
        // Clocks differ only where one side's resident series stands for end to end.
        debug_assert_eq!(base.group, record.group);
        compare::ratio_paired(&series, base_series, noise)
    };
    let sustained = record.series.iter().find(|other| other.kind.load == Load::Sustained);
    Some(Entrant {
        contender: record.contender.clone(),
        look: looks.of_contender(&record.contender),
        time: estimate,
        sustained: sustained
            .and_then(|series| usable(compare::estimate_with(series, &noise.times)?.ns))
            .map(|time| time.times(1e-9)),
        rate: compare::rate(record, &series, &estimate),
        share: compare::share(record, &series, noise),
        speedup: speedup(bases[0]),
        over_naive: speedup(bases[1]),
        validity: compare::validity(record, Some(&series), noise),
        memory: record.memory.clone(),
        phases: record.phases.clone(),
    })
}

/// What speed-ups are over unless the user says: of the usual libraries the one that most groups with a
/// choice have; this project's own kernels and plain loops only where there is no other.
pub(super) fn default_baseline<'a>(fields: impl Iterator<Item = &'a Field<'a>>) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for field in fields {
        let backends: BTreeSet<&str> =
            field.records.iter().map(|record| record.contender.backend.as_str()).collect();
        if backends.len() > 1 {
            backends.into_iter().for_each(|backend| *counts.entry(backend).or_default() += 1);
        }
    }
    let usual = USUAL.iter().rev().filter_map(|name| Some((*counts.get(name)?, *name)));
    let best = usual.max_by_key(|(count, _)| *count).map(|(_, name)| name);
    let last = [NATIVE, NAIVE].into_iter().find(|name| counts.contains_key(name));
    best.or(last).map(str::to_string)
}
