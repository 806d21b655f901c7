//! Claims about memory: how it grows, and what it holds.

use super::cells::{Cell, Field};
use crate::compare::{self, Interval, Noise};
use crate::program::State;
use crate::record::{Record, Run};
use crate::workloads::Param;

/// Exponents of the peak bytes over the length, of the workload's cases. The middle is that of the last two
/// lengths, because a constant part bends the short end; the ends hold the line's own interval too.
pub(super) fn growth(run: &Run, noise: &Noise, workload: &str) -> Vec<Cell> {
    let is_of = |case: &str| {
        let mut records = run.records.iter();
        records
            .any(|record| record.workload == workload && format!("{}/{}", record.suite, record.case) == case)
    };
    let cell = |growth: compare::Growth| {
        let bytes = growth.bytes.filter(|_| growth.extent.contains("queries") && is_of(&growth.case))?;
        let (low, high) = (bytes.low.min(bytes.last), bytes.high.max(bytes.last));
        Some(Cell {
            run: run.name.clone(),
            group: growth.case,
            subject: growth.contender.to_string(),
            baseline: format!("{} from {} to {}", growth.extent, growth.range.0, growth.range.1),
            scope: None,
            ratio: Interval { low, centre: bytes.last, high },
            remark: None,
            suspect: false,
        })
    };
    compare::growths(&run.records, noise).into_iter().filter_map(cell).collect()
}

/// Batch and parameters over the measured peak, of cells with this `mode`; with the process's own memory in
/// the peak where `whole`.
pub(super) fn held(field: &Field, mode: &str, whole: bool) -> Vec<Cell> {
    let has_mode =
        |record: &&&Record| matches!(record.point.get("mode"), Some(Param::Text(found)) if found == mode);
    let cell = |record: &&Record| {
        let memory = record.memory.value()?;
        let peak = memory.peak + if whole { memory.baseline } else { 0 };
        let of = |state| record.bytes.get(&state).copied().unwrap_or_default();
        let share = (of(State::Batch) + of(State::Parameter)) as f64 / peak as f64;
        (share.is_finite() && share > 0.0).then(|| Cell {
            run: field.run().to_string(),
            group: record.group.clone(),
            subject: record.contender.to_string(),
            baseline: if whole { "the whole process" } else { "the model's part of it" }.to_string(),
            scope: None,
            ratio: Interval { low: share, centre: share, high: share },
            remark: None,
            suspect: false,
        })
    };
    field.records().iter().filter(has_mode).filter_map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{MemoryPeak, Reading, example};

    fn record(workload: &str, length: u64, peak: u64) -> Record {
        let mut record = example::measured();
        record.workload = workload.to_string();
        record.case = workload.to_string();
        record.point = [("queries".to_string(), Param::Int(length))].into();
        record.memory = Reading::Value(MemoryPeak { baseline: 1 << 20, peak, held: [].into(), driver: None });
        record
    }

    #[test]
    fn exponents_are_of_the_workload_that_was_asked_for() {
        let lengths = [128u64, 256, 512, 1024];
        let square = lengths.map(|length| record("attention_materialised", length, length * length));
        let straight = lengths.map(|length| record("attention", length, 1000 * length));
        let run = Run { records: [square, straight].concat(), ..Run::default() };
        let (own, honest) = (
            growth(&run, &Noise::of(&run.records), "attention_materialised"),
            growth(&run, &Noise::of(&run.records), "attention"),
        );
        let ([own], [honest]) = (own.as_slice(), honest.as_slice()) else { panic!("{own:?} {honest:?}") };
        assert!((own.ratio.centre - 2.0).abs() < 1e-9 && (honest.ratio.centre - 1.0).abs() < 1e-9);
        assert!(own.ratio.low < 2.001 && own.ratio.high > 1.999 && own.baseline.contains("128 to 1024"));
        assert!(growth(&run, &Noise::of(&run.records), "softmax").is_empty());
    }

    #[test]
    fn the_share_is_of_the_peak_with_or_without_the_process() {
        let mut inference = record("bert", 128, 4 << 20);
        inference.point.insert("mode".to_string(), Param::Text("infer".to_string()));
        inference.bytes =
            [(State::Batch, 1 << 20), (State::Parameter, 2 << 20), (State::Activation, 9 << 20)].into();
        let run = Run { records: vec![inference, record("bert", 128, 1)], ..Run::default() };
        let field = Field::of(&run);
        let share = |whole| held(&field, "infer", whole)[0].ratio.centre;
        assert_eq!((share(false), share(true)), (0.75, 0.6));
        assert_eq!(held(&field, "infer", true).len(), 1);
        assert!(held(&field, "train", true).is_empty());
    }
}
