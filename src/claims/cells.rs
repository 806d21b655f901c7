//! The cells that test a claim: each of its subjects beside the best of a baseline at the same point.

use super::who::{Key, Same, Who};
use crate::compare::{self, Half, Interval, Noise, Word};
use crate::plan::SeriesKind;
use crate::program::State;
use crate::record::{Outcome, Record, Run, Series};
use crate::suite::{Load, Scope};
use crate::workloads::Param;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Time of one execution, with its interval.
    Time,
    /// Bytes of the parameters, on paper.
    Parameters,
    /// Peak bytes of a fresh process, read once.
    Peak,
}

/// A subject beside its baseline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// Name of the run.
    pub run: String,
    /// Group of the subject.
    pub group: String,
    /// The subject.
    pub subject: String,
    /// What it is compared with.
    pub baseline: String,
    /// What the clock covered; none where no clock ran.
    pub scope: Option<Scope>,
    /// The baseline's quantity over the subject's: above 1 where the subject is better.
    pub ratio: Interval,
    /// Where the baseline was so slow that the ratio says little.
    pub remark: Option<String>,
    /// Whether one of the two times is SUSPECT.
    pub suspect: bool,
}

/// Records of a run that can be compared, with what else is needed of it.
pub(super) struct Field<'a> {
    run: &'a str,
    records: Vec<&'a Record>,
    noise: Noise,
    known: RefCell<Known>,
}

/// A series, by the address of its record and by its clock.
type Place = (*const Record, SeriesKind);

/// What was worked out of series: every claim asks again, and it takes long.
#[derive(Default)]
struct Known {
    words: HashMap<Place, Word>,
    halves: HashMap<Place, Option<Picked>>,
}

/// How a series is picked and then reported: nanoseconds of its odd rounds, and its even rounds.
#[derive(Clone)]
struct Picked {
    odd: f64,
    even: Rc<Series>,
}

impl<'a> Field<'a> {
    /// What was measured and checked in `run`, without what is INVALID.
    pub(super) fn of(run: &'a Run) -> Self {
        let noise = Noise::of(&run.records);
        let counts = |record: &&Record| {
            let word = compare::validity(record, None, &noise).word;
            record.outcome == Outcome::Measured && !record.contender.twin && word != Word::Invalid
        };
        let records = run.records.iter().filter(counts).collect();
        Self { run: &run.name, records, noise, known: RefCell::default() }
    }

    /// How much its starts differ.
    pub(super) fn noise(&self) -> &Noise {
        &self.noise
    }

    /// Name of the run.
    pub(super) fn run(&self) -> &'a str {
        self.run
    }

    /// The records, without twins.
    pub(super) fn records(&self) -> &[&'a Record] {
        &self.records
    }

    /// Every subject beside the best that fits `base`, under each clock that both have.
    pub(super) fn cells(&self, quantity: Quantity, [subject, base]: [&Who; 2], same: Same) -> Vec<Cell> {
        let subjects: Vec<&Record> =
            self.records.iter().filter(|record| subject.fits(record, None)).copied().collect();
        let mut index: BTreeMap<Key, Vec<&Record>> =
            subjects.iter().filter_map(|record| Some((same.key(record)?, Vec::new()))).collect();
        if index.is_empty() {
            return Vec::new();
        }
        for record in &self.records {
            if let Some(together) = same.key(record).and_then(|key| index.get_mut(&key)) {
                together.push(record);
            }
        }
        let of_subject = |record: &&Record| -> Vec<Cell> {
            let together = same.key(record).and_then(|key| index.get(&key)).map_or(&[][..], Vec::as_slice);
            let fits = |other: &&&Record| !std::ptr::eq(**other, *record) && base.fits(other, Some(*record));
            let others: Vec<&Record> = together.iter().filter(fits).copied().collect();
            match quantity {
                Quantity::Time => self.timed(record, &others, subject.scope.or(base.scope)),
                Quantity::Parameters => self.counted(record, &others, parameters),
                Quantity::Peak => self.counted(record, &others, peak),
            }
        };
        subjects.iter().flat_map(of_subject).collect()
    }

    fn timed(&self, subject: &Record, others: &[&Record], scope: Option<Scope>) -> Vec<Cell> {
        let all = others.iter().copied().chain([subject]).flat_map(|record| &record.series);
        let fits = |kind: &SeriesKind| {
            kind.load == Load::Burst
                && kind.scope != Scope::Device
                && scope.is_none_or(|scope| scope == kind.scope)
        };
        let kinds: BTreeSet<SeriesKind> = all.map(|series| series.kind).filter(fits).collect();
        kinds.into_iter().filter_map(|kind| self.beside(subject, others, kind)).collect()
    }

    /// The subject beside the fastest of the others under one clock.
    fn beside(&self, subject: &Record, others: &[&Record], kind: SeriesKind) -> Option<Cell> {
        let series = self.sound(subject, kind)?;
        let (base, base_series) = self.fastest(others, kind)?;
        let together = base.group == subject.group && base.started == subject.started;
        let ratio = match together {
            true => compare::ratio_paired(series, &base_series, &self.noise),
            false => compare::ratio_between(series, &base_series, &self.noise),
        };
        let share = compare::share(base, &base_series, &self.noise);
        let remark = share.and_then(|share| compare::baseline_remark(&share));
        let doubtful = |record| self.judged(record, kind).is_some_and(|(_, word)| word == Word::Suspect);
        let suspect = doubtful(subject) || doubtful(base);
        Some(Cell { remark, suspect, ..self.cell(subject, base, Some(kind.scope), ratio?) })
    }

    /// Picked on odd rounds and reported from even ones, unless there is nothing to pick.
    fn fastest<'b>(&self, others: &[&'b Record], kind: SeriesKind) -> Option<(&'b Record, Rc<Series>)> {
        let timed: Vec<(&Record, &Series)> =
            others.iter().filter_map(|record| Some((*record, self.sound(record, kind)?))).collect();
        if let [(record, series)] = timed.as_slice() {
            return Some((*record, Rc::new((*series).clone())));
        }
        let picked = timed.into_iter().filter_map(|(record, series)| {
            let Picked { odd, even } = self.picked(record, series, kind)?;
            Some((odd, record, even))
        });
        let reported = picked.filter(|(_, _, even)| !even.ns.is_empty());
        reported.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, record, even)| (record, even))
    }

    fn picked(&self, record: &Record, series: &Series, kind: SeriesKind) -> Option<Picked> {
        let work = || {
            let odd = compare::estimate(&compare::half(series, Half::Odd))?.ns.centre;
            Some(Picked { odd, even: Rc::new(compare::half(series, Half::Even)) })
        };
        let place = (std::ptr::from_ref(record), kind);
        self.known.borrow_mut().halves.entry(place).or_insert_with(work).clone()
    }

    /// The series under `kind` that a conclusion may rest on.
    fn sound<'b>(&self, record: &'b Record, kind: SeriesKind) -> Option<&'b Series> {
        self.judged(record, kind).filter(|(_, word)| *word != Word::Invalid).map(|(series, _)| series)
    }

    /// The series under `kind`, and whether it may be trusted. What lies in host memory needs no transfer, so
    /// that its resident series stands for end to end as well.
    fn judged<'b>(&self, record: &'b Record, kind: SeriesKind) -> Option<(&'b Series, Word)> {
        let stands_for = kind.scope == Scope::EndToEnd && record.host_memory == Some(true);
        let resident = SeriesKind { scope: Scope::Resident, ..kind };
        let stand_in = || stands_for.then(|| compare::series_of(record, resident)).flatten();
        let series = compare::series_of(record, kind).or_else(stand_in)?;
        let word = || compare::validity(record, Some(series), &self.noise).word;
        let place = (std::ptr::from_ref(record), kind);
        Some((series, *self.known.borrow_mut().words.entry(place).or_insert_with(word)))
    }

    fn counted(&self, subject: &Record, others: &[&Record], count: fn(&Record) -> Option<f64>) -> Vec<Cell> {
        let least = others.iter().filter_map(|record| Some((count(record)?, *record)));
        let least = least.min_by(|a, b| a.0.total_cmp(&b.0));
        let cell = |(base, record): (f64, &Record)| {
            let ratio = base / count(subject)?;
            let exact = Interval { low: ratio, centre: ratio, high: ratio };
            Some(self.cell(subject, record, None, exact))
        };
        least.and_then(cell).into_iter().collect()
    }

    fn cell(&self, subject: &Record, base: &Record, scope: Option<Scope>, ratio: Interval) -> Cell {
        Cell {
            run: self.run.to_string(),
            group: subject.group.clone(),
            subject: subject.contender.to_string(),
            baseline: match (dtype(base), dtype(subject)) {
                (Some(theirs), ours) if Some(theirs) != ours => format!("{} in {theirs}", base.contender),
                _ => base.contender.to_string(),
            },
            scope,
            ratio,
            remark: None,
            suspect: false,
        }
    }
}

/// Type of the operands, where the point names one.
pub(super) fn dtype(record: &Record) -> Option<&str> {
    match record.point.get("dtype") {
        Some(Param::Text(name)) => Some(name),
        _ => None,
    }
}

/// Bytes of the parameters; of the factors where both are new each time.
fn parameters(record: &Record) -> Option<f64> {
    let of = |state| record.bytes.get(&state).copied().filter(|bytes| *bytes > 0);
    of(State::Parameter).or_else(|| of(State::Batch)).map(|bytes| bytes as f64)
}

fn peak(record: &Record) -> Option<f64> {
    record.memory.value().map(|memory| memory.peak as f64).filter(|peak| *peak > 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::who::{GPU, NAIVE, TUNED};
    use super::*;
    use crate::backends::DeviceKind;
    use crate::record::example;

    fn record(backend: &str, ns: f64) -> Record {
        let mut record = example::measured();
        record.contender.backend = backend.to_string();
        record.contender.lane.threads = if backend == "cpu/naive" { 1 } else { 2 };
        record.series = vec![example::series(ns)];
        record
    }

    fn run(records: Vec<Record>) -> Run {
        Run { name: "a run".to_string(), records, ..Run::default() }
    }

    fn gpu(ns: [f64; 2]) -> Record {
        let mut record = record("cuda/native", ns[0]);
        record.device = Some(DeviceKind::Gpu);
        record.host_memory = Some(false);
        let mut whole = example::series(ns[1]);
        whole.kind.scope = Scope::EndToEnd;
        record.series.push(whole);
        record
    }

    const POINT: Same = Same::Except(&[]);

    #[test]
    fn a_ratio_is_over_the_fastest_that_fits() {
        let run = run(vec![
            record("cpu/naive", 80e6),
            record("cpu/openblas", 4e6),
            record("cpu/native", 5e6),
            gpu([1e6, 2e6]),
        ]);
        let field = Field::of(&run);
        let cells = field.cells(Quantity::Time, [&GPU, &TUNED], POINT);
        let [resident, whole] = cells.as_slice() else { panic!("{cells:?}") };
        assert!((resident.ratio.centre - 4.0).abs() < 0.02 && resident.baseline.starts_with("cpu/openblas"));
        assert_eq!((resident.scope, whole.scope), (Some(Scope::Resident), Some(Scope::EndToEnd)));
        assert!((whole.ratio.centre - 2.0).abs() < 0.02, "a transfer is in the card's time alone");
        let naive = field.cells(Quantity::Time, [&GPU, &NAIVE], POINT);
        assert!((naive[0].ratio.centre - 80.0).abs() < 0.5);
        assert!(naive[0].remark.as_ref().unwrap().contains("slow"), "{naive:?}");
    }

    #[test]
    fn what_no_conclusion_may_rest_on_is_left_out() {
        let mut debug = record("cpu/native", 1e6);
        debug.conditions.debug_build = true;
        let mut twin = record("cpu/native", 1e6);
        twin.contender.twin = true;
        let run = run(vec![debug, twin, record("cpu/naive", 8e6)]);
        for quantity in [Quantity::Time, Quantity::Peak] {
            assert!(Field::of(&run).cells(quantity, [&TUNED, &NAIVE], POINT).is_empty());
        }
    }

    #[test]
    fn a_cell_says_that_a_time_of_it_is_suspect() {
        let suspect = |noisy: [u32; 2]| {
            let records = [("cpu/native", 1e6, noisy[0]), ("cpu/naive", 8e6, noisy[1])];
            let records = records.map(|(backend, ns, noisy)| {
                let mut record = record(backend, ns);
                record.series[0].noisy = noisy;
                record
            });
            Field::of(&run(records.into())).cells(Quantity::Time, [&TUNED, &NAIVE], POINT)[0].suspect
        };
        assert_eq!([[0, 0], [2, 0], [0, 2]].map(suspect), [false, true, true]);
    }

    #[test]
    fn other_points_are_no_baseline() {
        let mut other = record("cpu/naive", 8e6);
        other.point.clear();
        let run = run(vec![other, record("cpu/native", 1e6)]);
        let field = Field::of(&run);
        assert!(field.cells(Quantity::Time, [&TUNED, &NAIVE], POINT).is_empty());
    }

    #[test]
    fn bytes_are_counted_without_a_clock() {
        let bytes =
            |record: Record, count: u64| Record { bytes: [(State::Parameter, count)].into(), ..record };
        let run = run(vec![bytes(record("cpu/naive", 1.0), 4096), bytes(record("cpu/native", 1.0), 1024)]);
        let cells = Field::of(&run).cells(Quantity::Parameters, [&TUNED, &NAIVE], POINT);
        assert_eq!((cells[0].ratio.low, cells[0].ratio.high, cells[0].scope), (4.0, 4.0, None));
        let peaks = Field::of(&run).cells(Quantity::Peak, [&TUNED, &NAIVE], POINT);
        assert_eq!(peaks[0].ratio.centre, 1.0);
    }
}
