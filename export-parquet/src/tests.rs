//! A recorded run, written and read back.

use crate::judged::{Judged, Row, judged, samples};
use crate::{columns, table};
use cutgpu::record::{Run, read};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::collections::BTreeMap;
use std::path::Path;

fn recorded() -> Run {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/2026-11-23-amd-epyc-2c");
    read(&results).unwrap()
}

/// Rows of a file, by column.
fn back(columns: &[&columns::Column], rows: &[Row]) -> Vec<BTreeMap<String, Field>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    table::write(columns, rows, std::fs::File::create(&path).unwrap()).unwrap();
    let file = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let known = file.metadata().file_metadata().key_value_metadata().unwrap();
    assert!(known.iter().any(|pair| pair.key == "cutgpu.columns"));
    let rows = file.get_row_iter(None).unwrap().map(|row| row.unwrap());
    rows.map(|row| row.get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect())
        .collect()
}

#[test]
fn every_series_comes_back_with_its_interval_and_nulls_where_there_is_nothing() {
    let run = recorded();
    let judged: Vec<Judged> = judged(&run);
    let rows: Vec<Row> = judged.iter().map(|judged| Row { judged, sample: 0 }).collect();
    let read = back(&columns::of_series(), &rows);
    let wanted: usize = run.records.iter().map(|record| record.series.len().max(1)).sum();
    assert_eq!(read.len(), wanted);
    let mut timed = 0;
    for (row, judged) in read.iter().zip(&judged) {
        assert_eq!(row["run"], Field::Str(run.name.clone()));
        assert_eq!(row["flops"], Field::Long(judged.record.work.flops as i64));
        assert_eq!(row["energy_j"], Field::Null, "this machine had no energy counter");
        assert!(matches!(row["started"], Field::TimestampMillis(at) if at > 1_700_000_000_000), "{row:?}");
        match &judged.estimate {
            Some(estimate) => {
                timed += 1;
                assert_eq!(row["time_ns"], Field::Double(estimate.ns.centre));
                assert_eq!(row["outcome"], Field::Str("measured".to_string()));
            }
            None => assert_eq!((&row["time_ns"], &row["scope"]), (&Field::Null, &Field::Null)),
        }
    }
    assert!(timed > 50, "{timed}");
}

#[test]
fn every_sample_comes_back() {
    let run = recorded();
    let judged: Vec<Judged> = judged(&run);
    let rows: Vec<Row> = judged.iter().flat_map(samples).collect();
    let read = back(&columns::of_samples(), &rows);
    let all: Vec<f64> = run.records.iter().flat_map(|r| &r.series).flat_map(|s| s.ns.clone()).collect();
    let got: Vec<f64> = read
        .iter()
        .map(|row| match row["ns"] {
            Field::Double(ns) => ns,
            ref other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(got, all);
    assert!(read.iter().all(|row| matches!(row["iters"], Field::Long(iters) if iters > 0)));
}

#[test]
fn a_fleet_without_a_row_is_a_file_that_opens() {
    assert!(back(&columns::of_series(), &[]).is_empty());
}
