//! From records to what a model learns from: who took how long for which loads.

use super::kriging::Place;
use super::load::{Load, is_single, loads};
use super::roofs::Roofs;
use crate::backends::{DeviceKind, Packing};
use crate::compare::{Noise, OWN, Word, estimate_with, validity};
use crate::record::{Outcome, Record, Run, Series};
use crate::suite::{Load as Spread, Scope, Sync, point_name};
use crate::workloads::{self, Params};
use std::collections::BTreeMap;

/// Seconds of an execution up to which the probe beside it tells how fast the machine was meanwhile.
const LONGEST: f64 = 0.05;

/// A timed cell of a processor.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// Name of the workload.
    pub workload: String,
    /// The workload at a point: what is left out where a size is.
    pub subject: String,
    /// Who computed, on which machine; family, op and size are the loads' own.
    pub who: Place,
    /// Seconds of one execution.
    pub seconds: f64,
    /// What was computed.
    pub loads: Vec<Load>,
    /// Least seconds by the machine's roofs as its probes found them beside the cell, for each load.
    pub roofs: Vec<f64>,
}

impl Cell {
    /// A single op, once.
    pub(super) fn is_single(&self) -> bool {
        is_single(&self.loads)
    }

    /// Least seconds of all loads together.
    pub(super) fn roof(&self) -> f64 {
        self.loads.iter().zip(&self.roofs).map(|(load, roof)| load.count * roof).sum()
    }

    /// Where load `number` stands.
    pub(super) fn place(&self, number: usize) -> Place {
        at(&self.loads[number].place, &self.who)
    }
}

/// A load's kind and size with who computes it.
pub(super) fn at(load: &Place, who: &Place) -> Place {
    Place { family: load.family.clone(), op: load.op.clone(), size: load.size, ..who.clone() }
}

/// Name of the machine of a run: its processor and cores, which the signature tells apart where the name does not.
pub(super) fn machine(run: &Run) -> String {
    let cpu = run.host.as_ref().map(|host| &host["facts"]["cpu"]);
    let Some(cpu) = cpu.filter(|cpu| !cpu.is_null()) else { return run.name.clone() };
    let model = cpu["model"]["value"].as_str().unwrap_or("a processor");
    format!("{model} {} x{}", cpu["signature"]["value"], cpu["logical"]).replace('"', "")
}

/// Roofs of each run, by its place among `runs`: its own, and where it has none those of the machine's other runs.
pub(super) fn roofs(runs: &[Run]) -> Vec<Roofs> {
    let mut machines: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    for run in runs {
        machines.entry(machine(run)).or_default().extend(&run.records);
    }
    let machines: BTreeMap<String, Roofs> =
        machines.into_iter().map(|(name, records)| (name, Roofs::of(records))).collect();
    runs.iter().map(|run| Roofs::of(&run.records).or(&machines[&machine(run)])).collect()
}

/// Every cell of the runs that may be learnt from.
pub(super) fn cells(runs: &[Run]) -> Vec<Cell> {
    let roofs = roofs(runs);
    let mut programs: BTreeMap<String, Option<Vec<Load>>> = BTreeMap::new();
    let mut found = Vec::new();
    for (run, roofs) in runs.iter().zip(&roofs) {
        let (noise, machine) = (Noise::of(&run.records), machine(run));
        for record in run.records.iter().filter(|record| takes_part(record)) {
            let Some(series) = series(record, Spread::Burst) else { continue };
            if validity(record, Some(series), &noise).word == Word::Invalid {
                continue;
            }
            let subject = subject(&record.workload, &record.point);
            let known = programs.entry(subject.clone()).or_insert_with(|| computed(record));
            let (Some(loads), Some(time)) = (known.clone(), estimate_with(series, &noise.times)) else {
                continue;
            };
            let who = who(record, &machine);
            // Roofs as they were while the cell was sampled: a neighbour slows down both. A probe of some milliseconds
            // says nothing of what lasts far longer.
            let seconds = time.ns.centre * 1e-9;
            let then = if seconds < LONGEST { roofs.then(record, series) } else { 1.0 };
            let least = |load: &Load| Some(load.seconds(roofs, who.threads)? / then);
            let Some(least) = loads.iter().map(least).collect::<Option<Vec<f64>>>() else { continue };
            let workload = record.workload.clone();
            found.push(Cell { workload, subject, who, seconds, loads, roofs: least });
        }
    }
    found
}

/// A workload at a point: `gemm m=512,n=512,k=512`.
pub(super) fn subject(workload: &str, point: &Params) -> String {
    let axes = workloads::find(workload).map_or(&[][..], |workload| workload.axes);
    format!("{workload} {}", point_name(axes, point))
}

/// Timed, on the processor, and something that a user would use: no loops for comparison, no altered kernels.
pub(super) fn takes_part(record: &Record) -> bool {
    let backend = record.contender.backend.as_str();
    let altered = backend.strip_prefix(OWN).is_some_and(|rest| !rest.is_empty());
    let on_processor = matches!(record.device, None | Some(DeviceKind::Cpu));
    record.outcome == Outcome::Measured
        && !record.contender.twin
        && on_processor
        && backend != "cpu/naive"
        && !altered
}

/// The series that stands for a cell: with its data there, executions one after another where that was timed.
pub(super) fn series(record: &Record, load: Spread) -> Option<&Series> {
    let of = |sync| {
        let fits = |series: &&Series| {
            series.kind.load == load && series.kind.scope == Scope::Resident && series.kind.sync == sync
        };
        record.series.iter().find(fits)
    };
    of(Sync::Batch).or_else(|| of(Sync::Each))
}

fn computed(record: &Record) -> Option<Vec<Load>> {
    let program = workloads::find(&record.workload)?.program(&record.point).ok()?;
    Some(loads(&program)).filter(|loads| !loads.is_empty())
}

fn who(record: &Record, machine: &str) -> Place {
    Place {
        backend: record.contender.backend.clone(),
        packed: record.contender.lane.packing == Packing::Packed,
        threads: record.contender.lane.threads,
        machine: machine.to_string(),
        ..Place::default()
    }
}
