//! "Up to 200 times" as a matrix: op x size x precision x clock, over three baselines of a processor. The same
//! for the processor itself, which shows how much of the factor is no graphics card at all.

use super::cells::{Cell, Field, Quantity};
use super::table::{ANY_PRECISION, VECTORS};
use super::who::{GPU, NAIVE, TUNED, Threads, Who};
use crate::compare::Interval;
use crate::record::{Record, Run};
use crate::suite::Scope;
use crate::workloads::{self, Param};
use serde::Serialize;
use std::collections::BTreeMap;

/// The baselines, weakest first: their names in the order of [`Row::over`].
pub const BASELINES: [&str; 3] = ["plain loops, one thread", "tuned, one thread", "tuned, all cores"];

const BASES: [Who; 3] =
    [NAIVE, Who { threads: Threads::One, ..TUNED }, Who { threads: Threads::All, ..TUNED }];

/// A factor over one baseline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Over {
    /// Who that was.
    pub baseline: String,
    /// How many times as fast.
    pub ratio: Interval,
    /// Where the baseline was so slow that the factor says little.
    pub remark: Option<String>,
}

/// One subject at one point under one clock.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the run.
    pub run: String,
    /// Kind of operation: `gemm`, `gemv`, `softmax`.
    pub op: String,
    /// The point.
    pub size: String,
    /// Who computed.
    pub subject: String,
    /// Whether that is a graphics card.
    pub gpu: bool,
    /// Type of the operands.
    pub precision: String,
    /// What the clock covered.
    pub scope: Option<Scope>,
    /// Over each of [`BASELINES`]; none where that was not measured beside it.
    pub over: [Option<Over>; 3],
}

/// Every row that `runs` tell of: graphics cards first, then the best of the processor on all cores.
pub fn matrix(runs: &[Run]) -> Vec<Row> {
    let fields: Vec<Field> = runs.iter().map(Field::of).collect();
    let cards = fields.iter().flat_map(|field| rows(field, &Who { workloads: VECTORS, ..GPU }, true));
    let cores = Who { workloads: VECTORS, threads: Threads::All, ..TUNED };
    let processors = fields.iter().flat_map(|field| best(rows(field, &cores, false)));
    cards.chain(processors).collect()
}

fn rows(field: &Field, subject: &Who, gpu: bool) -> Vec<Row> {
    let of: BTreeMap<(&str, String), &Record> = field
        .records()
        .iter()
        .map(|record| ((record.group.as_str(), record.contender.to_string()), *record))
        .collect();
    let mut rows: BTreeMap<(String, String, Option<Scope>), Row> = BTreeMap::new();
    // A processor on all cores is no baseline of itself.
    let columns = if gpu { BASES.len() } else { BASES.len() - 1 };
    for (column, base) in BASES.iter().enumerate().take(columns) {
        for cell in field.cells(Quantity::Time, [subject, base], ANY_PRECISION) {
            let Some(record) = of.get(&(cell.group.as_str(), cell.subject.clone())) else { continue };
            let key = (cell.group.clone(), cell.subject.clone(), cell.scope);
            let row = rows.entry(key).or_insert_with(|| empty(record, &cell, gpu));
            row.over[column] = Some(Over { baseline: cell.baseline, ratio: cell.ratio, remark: cell.remark });
        }
    }
    rows.into_values().collect()
}

fn empty(record: &Record, cell: &Cell, gpu: bool) -> Row {
    let is_row = record.workload == "gemm" && record.point.get("m") == Some(&Param::Int(1));
    Row {
        run: cell.run.clone(),
        op: if is_row { "gemv" } else { &record.workload }.to_string(),
        size: record.group.rsplit('/').next().unwrap_or_default().to_string(),
        subject: cell.subject.clone(),
        gpu,
        precision: workloads::precision(&record.workload, &record.point).to_string(),
        scope: cell.scope,
        over: [None, None, None],
    }
}

/// Of each point and clock the row that is furthest above the weakest baseline it has.
fn best(rows: Vec<Row>) -> Vec<Row> {
    let mut best: BTreeMap<(String, String, String, Option<Scope>), Row> = BTreeMap::new();
    let factor = |row: &Row| row.over.iter().flatten().next().map_or(0.0, |over| over.ratio.centre);
    for row in rows {
        let key = (row.op.clone(), row.size.clone(), row.precision.clone(), row.scope);
        let entry = best.entry(key).or_insert_with(|| row.clone());
        if factor(&row) > factor(entry) {
            *entry = row;
        }
    }
    best.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::DeviceKind;
    use crate::record::example;

    fn record(backend: &str, threads: usize, dtype: &str, ns: f64) -> Record {
        let mut record = example::measured();
        record.contender.backend = backend.to_string();
        record.contender.lane.threads = threads;
        record.point.insert("dtype".to_string(), Param::Text(dtype.to_string()));
        record.group = format!("matmul/square/m=512,dtype={dtype}");
        record.series = vec![example::series(ns)];
        record.device = Some(if backend.starts_with("cuda") { DeviceKind::Gpu } else { DeviceKind::Cpu });
        record
    }

    #[test]
    fn a_card_stands_over_three_baselines_and_the_processor_over_two() {
        let records = vec![
            record("cpu/naive", 1, "f32", 64e6),
            record("cpu/native", 1, "f32", 8e6),
            record("cpu/native", 2, "f32", 4e6),
            record("cpu/openblas", 2, "f32", 5e6),
            record("cuda/native", 1, "bf16", 1e6),
        ];
        let rows = matrix(&[Run { records, ..Run::default() }]);
        let [card, processor] = rows.as_slice() else { panic!("{rows:#?}") };
        let factors = |row: &Row| row.over.clone().map(|over| over.map(|over| over.ratio.centre.round()));
        assert_eq!(factors(card), [Some(64.0), Some(8.0), Some(4.0)]);
        assert_eq!((card.precision.as_str(), card.gpu), ("bf16", true));
        assert!(card.over[2].as_ref().unwrap().baseline.contains("in f32"), "{card:?}");
        assert_eq!(factors(processor), [Some(16.0), Some(2.0), None]);
        assert!(processor.subject.starts_with("cpu/native"));
    }

    #[test]
    fn one_row_of_a_product_is_a_kind_of_its_own() {
        let one = |backend: &str, threads| {
            let mut record = record(backend, threads, "f32", 1e6);
            record.point.insert("m".to_string(), Param::Int(1));
            record
        };
        let rows =
            matrix(&[Run { records: vec![one("cpu/native", 1), one("cpu/native", 2)], ..Run::default() }]);
        assert_eq!((rows[0].op.as_str(), rows[0].precision.as_str()), ("gemv", "f32"));
        assert!(matrix(&[]).is_empty());
    }
}
