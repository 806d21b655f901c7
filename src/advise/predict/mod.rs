//! How long a program takes on a machine where it was not run, and how far such predictions may be trusted.
//!
//! On a machine that was measured: t = sum over loads of max(flops / F, bytes / B) / share, with F and B from the probes
//! beside the samples, and shares learnt from the cells of the runs. On another one: the datasheet's roofs.

mod cell;
mod datasheet;
mod kriging;
mod load;
mod model;
mod programs;
mod roofs;
mod splits;

pub use datasheet::{BANDWIDTH, BEST_PRODUCTS};
pub use splits::{Held, MACHINES, Split, Splits, machines, splits};

use super::TimeBasis;
use crate::backends::DeviceKind;
use crate::catalog::Device;
use crate::compare::{Interval, Noise, OWN, Word, best_of, estimate_with, validity};
use crate::program::Program;
use crate::record::{Outcome, Record, Run};
use crate::suite::Load as Spread;
use crate::units::significant;
use crate::workloads::Params;
use kriging::Place;
use load::{Load, is_single, loads};
use model::{Fitted, Model};
use roofs::Roofs;
use std::collections::BTreeSet;

/// Factor that a prediction may be off where no cell shows how far: no better than a guess.
const UNKNOWN: f64 = 3.0;

/// Standard deviations that nine of ten values are within.
const NINE_OF_TEN: f64 = 1.645;

/// A program at one point, as predictions need it.
pub(super) struct Task {
    point: Params,
    loads: Vec<Load>,
}

impl Task {
    pub(super) fn new(point: Params, program: &Program) -> Self {
        Self { point, loads: loads(program) }
    }
}

/// Seconds of one execution with where they come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Timed {
    pub seconds: Interval,
    pub basis: TimeBasis,
    /// What stands behind them, a sentence.
    pub note: String,
}

/// What some runs say about seconds.
pub struct Predictor<'a> {
    /// Runs of the machine of the first run, and whether there are any.
    here: Vec<&'a Run>,
    runs: &'a [Run],
    roofs: Option<Roofs>,
    machine: String,
    model: Option<Model>,
    /// What was left out and guessed, of single ops and of programs.
    like: [Vec<Splits>; 2],
    learnt: BTreeSet<String>,
}

impl<'a> Predictor<'a> {
    /// Learns from runs, of which the first names the machine at hand.
    pub fn new(runs: &'a [Run]) -> Self {
        let cells = cell::cells(runs);
        let fitted = Fitted::of(&cells);
        let splits: Vec<Splits> = fitted.as_ref().map_or(Vec::new(), |fitted| {
            [Split::Size, Split::Workload].map(|split| splits::of(split, &cells, fitted)).into()
        });
        let like =
            [false, true].map(|is_program| splits.iter().map(|split| split.like(is_program)).collect());
        let machine = runs.first().map(cell::machine).unwrap_or_default();
        let here: Vec<&Run> = runs.iter().filter(|run| cell::machine(run) == machine).collect();
        let roofs = runs.first().and_then(|_| cell::roofs(runs).into_iter().next());
        let learnt = cells.iter().map(|cell| cell.workload.clone()).collect();
        Self { here, runs, roofs, machine, model: fitted.map(|fitted| fitted.model), like, learnt }
    }

    /// Whether any run was given.
    pub(super) fn has_machine(&self) -> bool {
        !self.here.is_empty()
    }

    /// Bytes of its memory, less what the system keeps; none where the runs do not say.
    pub(super) fn memory(&self) -> Option<u64> {
        let facts = |run: &&Run| run.host.as_ref()?["facts"]["memory"]["total"]["value"].as_f64();
        let total = self.here.iter().find_map(facts)?;
        Some((0.9 * total) as u64)
    }

    /// Seconds on the machine at hand: measured where the job was run there, else from its roofs.
    pub(super) fn here(&self, workload: &str, task: &Task) -> Result<Timed, String> {
        if let Some(timed) = self.measured(workload, task) {
            return Ok(timed);
        }
        let (Some(model), Some(roofs)) = (&self.model, &self.roofs) else {
            return Err("no run measured an op alone: `make bench` does".to_string());
        };
        let who = Place {
            backend: OWN.to_string(),
            threads: roofs.threads(),
            machine: self.machine.clone(),
            ..Place::default()
        };
        let guessed = model.seconds(workload, &task.loads, &who, roofs);
        let guessed = guessed.ok_or("its runs have no probe of what the job needs: `make bench` has")?;
        let (deviations, note) = self.error(workload, task);
        let seconds = guessed.seconds;
        let factor = match deviations {
            Some(deviations) => (deviations * guessed.doubt).exp(),
            None => UNKNOWN.max((NINE_OF_TEN * guessed.doubt).exp()),
        };
        let seconds = Interval { low: seconds / factor, centre: seconds, high: seconds * factor };
        Ok(Timed { seconds, basis: TimeBasis::MeasuredRoofs, note })
    }

    /// Within how many of the model's standard deviations predictions of such a workload were when it was left out, none
    /// where too few were; and in words.
    fn error(&self, workload: &str, task: &Task) -> (Option<f64>, String) {
        let is_program = !is_single(&task.loads);
        let wanted = if self.learnt.contains(workload) { Split::Size } else { Split::Workload };
        let like = &self.like[usize::from(is_program)];
        let first = like.iter().filter(|split| split.split == wanted);
        let found = first.chain(like).find_map(|split| Some((split, split.deviations()?)));
        let Some((split, deviations)) = found else {
            let note =
                "seconds are estimated from measured roofs, and too few cells show how far off they may be";
            return (None, format!("{note}: taken as a factor of {UNKNOWN} at least"));
        };
        // Whoever leaves out a size knows less of a workload that is not there at all.
        let (deviations, doubled) = match split.split < wanted {
            true => (2.0 * deviations, ", doubled since the workload was never measured"),
            false => (deviations, ""),
        };
        let note = format!(
            "seconds are estimated from measured roofs; with {}, estimates of {} were off by {} in the median and by {} at \
             most in nine of ten cells; the interval is {} of the model's standard deviations{doubled}",
            split.split.label(),
            if is_program { "programs" } else { "single ops" },
            model::percent(split.median()),
            model::percent(split.p90()),
            significant(deviations, 2)
        );
        (Some(deviations), note)
    }

    /// The best contender that ran the job on the machine at hand, where one did.
    fn measured(&self, workload: &str, task: &Task) -> Option<Timed> {
        let records = self.here.iter().flat_map(|run| &run.records).filter(|record| cell::takes_part(record));
        best(records, workload, task, &Noise::default())
    }

    /// Seconds on a device of the catalogue: measured where a run has its card, else by its datasheet.
    pub(super) fn on(&self, device: &Device, workload: &str, task: &Task) -> Result<Timed, String> {
        let is_it = |record: &&Record| {
            record.device == Some(DeviceKind::Gpu)
                && record.outcome == Outcome::Measured
                && record.identity.as_ref().is_some_and(|identity| device.is_named(&identity.name))
        };
        let records = self.runs.iter().flat_map(|run| &run.records).filter(is_it);
        if let Some(timed) = best(records, workload, task, &Noise::default()) {
            return Ok(timed);
        }
        let note = "seconds are estimated from a datasheet, by the shares of such peaks that public measurements reached";
        let seconds = datasheet::seconds(device, &task.loads)?;
        Ok(Timed { seconds, basis: TimeBasis::DatasheetRoofs, note: note.to_string() })
    }
}

/// The best trustworthy record of the job: in a long window where one was kept, else in short slices.
fn best<'a>(
    records: impl Iterator<Item = &'a Record>,
    workload: &str,
    task: &Task,
    noise: &Noise,
) -> Option<Timed> {
    let of: Vec<&Record> =
        records.filter(|record| record.workload == workload && record.point == task.point).collect();
    for load in [Spread::Sustained, Spread::Burst] {
        let sound = |record: &&&Record| {
            let series = cell::series(record, load);
            series.is_some() && validity(record, series, noise).word != Word::Invalid
        };
        let sound: Vec<&Record> = of.iter().filter(sound).copied().collect();
        let kinds: BTreeSet<_> =
            sound.iter().filter_map(|record| Some(cell::series(record, load)?.kind)).collect();
        let picked = |kind| {
            let (record, series) = match sound.as_slice() {
                [alone] => (*alone, cell::series(alone, load)?.clone()),
                many => best_of(many.iter().copied(), kind)?,
            };
            Some((record, estimate_with(&series, &noise.times)?.ns.times(1e-9)))
        };
        let found = kinds.into_iter().filter_map(picked).min_by(|a, b| a.1.centre.total_cmp(&b.1.centre));
        if let Some((record, seconds)) = found {
            let window = match load {
                Spread::Sustained => "a long window",
                Spread::Burst => "short slices, since no long window was measured",
            };
            let note = format!("measured with {} in {window}", record.contender);
            // A single start has no interval of its own.
            let wide = |end: f64, other: f64| if end.is_finite() && end > 0.0 { end } else { other };
            let seconds = Interval {
                low: wide(seconds.low, seconds.centre / 1.2),
                high: wide(seconds.high, seconds.centre * 1.2),
                ..seconds
            };
            return Some(Timed { seconds, basis: TimeBasis::Measured, note });
        }
    }
    None
}
