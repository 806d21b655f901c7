//! From runs to what the page shows.

use super::contest::{Field, Looks, default_baseline};
use super::headline::headline;
use super::rows::{empty, rows};
use super::{Contest, Machine, Model, Options, RunNote, Tally, Versus, money};
use crate::advise::Predictor;
use crate::catalog::Catalog;
use crate::compare::{self, Ceiling, Growth, Narrow, Noise, Policy, Standing, Word};
use crate::date::Date;
use crate::record::{Outcome, Record, Run};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Reads nothing and writes nothing: the model of `runs`, with the prices of `catalog`.
pub fn build(runs: &[Run], catalog: &Catalog, options: &Options) -> Model {
    let machines = machines(runs);
    let looks = Looks::of(runs.iter().flat_map(|run| &run.records));
    let fields: Vec<Vec<Field>> = runs.iter().map(fields).collect();
    let baseline = options.baseline.clone().or_else(|| default_baseline(fields.iter().flatten()));
    let as_of = options.as_of.unwrap_or_else(Date::today);
    // None needs another's answer, and each takes long.
    let ((matrix, claims), (learnt, told)) = rayon::join(
        || rayon::join(|| crate::claims::matrix(runs), || crate::claims::judge(runs, catalog, as_of)),
        || rayon::join(|| Predictor::new(runs), || runs.par_iter().map(Told::of).collect::<Vec<_>>()),
    );
    let mut model = Model {
        version: env!("CARGO_PKG_VERSION").to_string(),
        as_of,
        machines,
        runs: runs.iter().map(note).collect(),
        headline: Default::default(),
        contests: Vec::new(),
        baseline,
        rows: Vec::new(),
        empties: Vec::new(),
        ceilings: Vec::new(),
        standings: Vec::new(),
        narrows: Vec::new(),
        growths: Vec::new(),
        money: Default::default(),
        jobs: Vec::new(),
        claims,
        matrix,
        versus: versus(runs),
        tally: Tally::default(),
    };
    for (number, ((run, fields), told)) in runs.iter().zip(&fields).zip(told).enumerate() {
        add_run(&mut model, number, run, fields, &looks, &told.noise);
        let machine = run.records.first().map_or(0, |record| machine_of(&model, record));
        model.ceilings.extend(told.ceilings.into_iter().map(|ceiling| (machine, ceiling)));
        model.standings.extend(told.standings.into_iter().map(|standing| (machine, standing)));
        model.narrows.extend(told.narrows);
        model.growths.extend(told.growths);
    }
    model.money = money::view(catalog, &model.contests, options, model.as_of);
    model.jobs = super::what_if::jobs(&learnt, &model.contests, catalog, options, model.as_of);
    model.headline = headline(&model.contests, &model.machines, &model.runs, &model.tally, &model.money);
    model
}

/// What the records of a run tell together.
struct Told {
    noise: Noise,
    ceilings: Vec<Ceiling>,
    standings: Vec<Standing>,
    narrows: Vec<Narrow>,
    growths: Vec<Growth>,
}

impl Told {
    fn of(run: &Run) -> Self {
        let noise = Noise::of(&run.records);
        let mut standings = compare::standings(&run.records, &noise);
        standings.retain(|standing| standing.against.is_some());
        Self {
            ceilings: compare::ceilings(&run.records),
            standings,
            narrows: compare::narrows(&run.records, &noise),
            growths: compare::growths(&run.records, &noise),
            noise,
        }
    }
}

/// The second of two runs beside the first.
fn versus(runs: &[Run]) -> Option<Versus> {
    let [a, b] = runs else { return None };
    let outcome = compare::compare_runs(a, b, &Policy::default()).map_err(|error| error.to_string());
    Some(Versus { differences: compare::differences(a, b), outcome })
}

/// Machines by the hash in their records.
fn machines(runs: &[Run]) -> Vec<Machine> {
    let mut machines: Vec<Machine> = Vec::new();
    for run in runs {
        for record in &run.records {
            if machines.iter().all(|machine| machine.id != record.host) {
                machines.push(Machine::of(&record.host, run));
            }
        }
    }
    machines
}

fn machine_of(model: &Model, record: &Record) -> usize {
    model.machines.iter().position(|machine| machine.id == record.host).unwrap_or(0)
}

/// Timed records of each group, repetition and machine, in the order measured.
fn fields(run: &Run) -> Vec<Field<'_>> {
    let mut places: BTreeMap<(&str, u32, &str), usize> = BTreeMap::new();
    let mut fields: Vec<Field> = Vec::new();
    let timed = |record: &&Record| record.outcome == Outcome::Measured && !record.contender.twin;
    for record in run.records.iter().filter(timed) {
        let next = fields.len();
        let place = *places.entry((&record.group, record.repeat, &record.host)).or_insert(next);
        if place == next {
            fields.push(Field { records: Vec::new() });
        }
        fields[place].records.push(record);
    }
    fields
}

fn note(run: &Run) -> RunNote {
    let starts = || run.records.iter().map(|record| record.started.clone());
    RunNote {
        name: run.name.clone(),
        span: run.span.clone().or_else(|| starts().min().zip(starts().max())).unwrap_or_default(),
        records: run.records.len(),
        rejected: run.rejected.iter().map(|line| (line.line, line.why.clone())).collect(),
        floor: compare::floor(&run.records),
        quick: run.records.iter().any(|record| record.quick),
    }
}

fn add_run(model: &mut Model, number: usize, run: &Run, fields: &[Field], looks: &Looks, noise: &Noise) {
    let baseline = model.baseline.clone();
    for field in fields {
        let machine = field.records.first().map_or(0, |record| machine_of(model, record));
        let contests = field.kinds().into_iter().filter_map(|kind| {
            let contest = field.contest(kind, baseline.as_deref(), noise, looks)?;
            Some(Contest { run: number, machine, ..contest })
        });
        model.contests.extend(contests);
        let bases = field.bases(baseline.as_deref());
        for record in &field.records {
            model.rows.extend(rows(record, machine, &bases, noise));
        }
    }
    for record in &run.records {
        model.tally.count(record, noise);
        model.empties.extend(empty(record, machine_of(model, record)));
    }
}

impl Tally {
    fn count(&mut self, record: &Record, noise: &Noise) {
        self.cells += 1;
        match &record.outcome {
            Outcome::Skipped { .. } => self.skipped += 1,
            Outcome::Failed { .. } => self.failed += 1,
            Outcome::Wrong { .. } => self.wrong += 1,
            Outcome::Measured => {
                let words =
                    record.series.iter().map(|series| compare::validity(record, Some(series), noise).word);
                match words.max().unwrap_or(Word::Invalid) {
                    Word::Valid => self.valid += 1,
                    Word::Suspect => self.suspect += 1,
                    Word::Invalid => self.invalid += 1,
                }
            }
        }
    }
}
