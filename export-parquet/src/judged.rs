//! Series with what cutgpu concludes from them: interval and validity are computed, never recorded.

use cutgpu::compare::{self, Estimate, Noise, Validity};
use cutgpu::record::{Record, Run, Series};

/// A series of a run; a cell that has none stands by itself, with why.
pub(crate) struct Judged<'a> {
    /// The run that it belongs to.
    pub run: &'a Run,
    /// The cell.
    pub record: &'a Record,
    /// Its samples; none for a cell that was not timed.
    pub series: Option<&'a Series>,
    /// Time of an execution; none without samples.
    pub estimate: Option<Estimate>,
    /// May it be trusted?
    pub validity: Validity,
}

/// A row of a table: a series, or one of its samples.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    /// The series.
    pub judged: &'a Judged<'a>,
    /// Which sample; 0 in a table of series.
    pub sample: usize,
}

/// Every series of a run, judged by the noise of that run.
pub(crate) fn judged(run: &Run) -> Vec<Judged<'_>> {
    let noise = Noise::of(&run.records);
    let mut all = Vec::new();
    for record in &run.records {
        if record.series.is_empty() {
            let validity = compare::validity(record, None, &noise);
            all.push(Judged { run, record, series: None, estimate: None, validity });
        }
        for series in &record.series {
            let validity = compare::validity(record, Some(series), &noise);
            let estimate = compare::estimate_with(series, &noise.times);
            all.push(Judged { run, record, series: Some(series), estimate, validity });
        }
    }
    all
}

/// The samples of a series.
pub(crate) fn samples<'a>(judged: &'a Judged<'a>) -> impl Iterator<Item = Row<'a>> {
    let count = judged.series.map_or(0, |series| series.ns.len());
    (0..count).map(move |sample| Row { judged, sample })
}
