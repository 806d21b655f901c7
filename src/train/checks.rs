//! Every check with its bar, and what came of it.

use super::{Settings, Start, TrainError, agree, digits, majority, run, torch};
use crate::program::Program;
use crate::tensor::HostArray;
use crate::workloads::{self, Param, Params};
use serde::Serialize;
use std::time::Instant;

/// What a measured number must reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bar {
    /// This, or more.
    AtLeast(f64),
    /// This, or less.
    AtMost(f64),
}

impl Bar {
    /// Whether a number reaches it. NaN does not.
    pub fn holds(self, measured: f64) -> bool {
        match self {
            Self::AtLeast(least) => measured >= least,
            Self::AtMost(most) => measured <= most,
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// Name of the check.
    name: &'static str,
    /// What is measured, and why the bar is where it is.
    about: &'static str,
    /// Unit of the number; empty for a ratio.
    unit: &'static str,
    /// What it must reach.
    bar: Bar,
}

/// What a measure gives: a number a row, or why there is none.
pub(super) type Measured = Result<Vec<f64>, TrainError>;

/// Rows that one measure gives.
struct Part {
    rows: &'static [Row],
    measure: fn(&Settings) -> Measured,
}

const fn row(name: &'static str, unit: &'static str, bar: Bar, about: &'static str) -> Row {
    Row { name, about, unit, bar }
}

/// Losses are means of f32 losses, whose logits are sums of up to 1000 rounded products: some 10 u of each. Parameters
/// that differ so much a step drift apart linearly in ten steps, because a step is short. 1e-5 is 170 u.
const LOSSES: Bar = Bar::AtMost(1e-5);
/// Cosine >= 0.99999.
const GRADIENTS: Bar = Bar::AtMost(1e-5);
/// Of the way that a tensor went in ten steps. AdamW divides each gradient by its own size, so that an element whose
/// gradient is nearly all rounding goes as far as the others, and nowhere in particular.
const PARAMETERS: Bar = Bar::AtMost(1e-3);

/// All checks, the quick ones first.
const TABLE: &[Part] = &[
    Part {
        rows: &[row("mlp_losses", "", LOSSES, "losses of 10 steps of two layers beside another backend's")],
        measure: |settings| losses(settings, &mlp()?, Start::He),
    },
    Part {
        rows: &[row("tiny_losses", "", LOSSES, "losses of 10 steps of BERT-Tiny beside another backend's")],
        measure: |settings| losses(settings, &tiny()?, Start::Deviation(0.02)),
    },
    Part {
        rows: &[
            row("mlp_torch_loss", "", LOSSES, "losses of 10 steps of two layers beside PyTorch's"),
            row("mlp_torch_gradients", "", GRADIENTS, "1 - cosine of the worst gradient"),
            row("mlp_torch_parameters", "", PARAMETERS, "distance after 10 steps over the way gone"),
        ],
        measure: |settings| torch::beside(settings, "mlp", mlp()?, Start::He),
    },
    Part {
        rows: &[
            row("tiny_torch_loss", "", LOSSES, "losses of 10 steps of BERT-Tiny beside PyTorch's"),
            row("tiny_torch_gradients", "", GRADIENTS, "1 - cosine of the worst gradient"),
            row("tiny_torch_parameters", "", PARAMETERS, "distance after 10 steps over the way gone"),
        ],
        measure: |settings| torch::beside(settings, "bert", tiny()?, Start::Deviation(0.02)),
    },
    Part {
        rows: &[row("digits_accuracy", "%", Bar::AtLeast(93.0), "two layers on digits they have not seen")],
        measure: |settings| Ok(vec![100.0 * digits::accuracy(settings)?]),
    },
    Part {
        rows: &[row("tiny_accuracy", "%", Bar::AtLeast(99.0), "BERT-Tiny on sentences it has not seen")],
        measure: |settings| Ok(vec![100.0 * majority::accuracy(settings)?]),
    },
];

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "snake_case")]
pub enum Verdict {
    /// The bar is reached.
    Ok,
    /// It is not.
    Short,
    /// Something that the check needs is not here; it was not tried, and proves nothing.
    LeftOut(String),
    /// A number was not finite: who made it, and when.
    Invalid(String),
    /// It could not be finished.
    Failed(String),
}

impl Verdict {
    /// Whether it speaks against what was checked.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::Ok | Self::LeftOut(_))
    }
}

/// A row with what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Name of the check.
    pub name: &'static str,
    /// What was measured.
    pub about: &'static str,
    /// Unit of the number; empty for a ratio.
    pub unit: &'static str,
    /// The number, where there is one.
    pub measured: Option<f64>,
    /// What it must reach.
    pub bar: Bar,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Seconds of the measure, which other rows may share.
    pub seconds: f64,
}

/// Runs every check, and tells each as it is done.
pub fn check<E>(settings: &Settings, mut tell: impl FnMut(&Check) -> Result<(), E>) -> Result<Vec<Check>, E> {
    let mut checks = vec![];
    for part in TABLE {
        for check in part.check(settings) {
            tell(&check)?;
            checks.push(check);
        }
    }
    Ok(checks)
}

impl Part {
    fn check(&self, settings: &Settings) -> Vec<Check> {
        let clock = Instant::now();
        let measured = (self.measure)(settings);
        let seconds = clock.elapsed().as_secs_f64();
        let value = |number: usize| match &measured {
            Ok(values) => values.get(number).copied().ok_or_else(|| Verdict::Failed("no number".to_string())),
            Err(error) => Err(verdict(error)),
        };
        let rows = self.rows.iter().enumerate();
        rows.map(|(number, row)| row.judge(value(number), seconds)).collect()
    }
}

impl Row {
    fn judge(&self, measured: Result<f64, Verdict>, seconds: f64) -> Check {
        let Self { name, about, unit, bar } = *self;
        let (measured, verdict) = match measured {
            Ok(value) if bar.holds(value) => (Some(value), Verdict::Ok),
            Ok(value) => (Some(value), Verdict::Short),
            Err(verdict) => (None, verdict),
        };
        Check { name, about, unit, measured, bar, verdict, seconds }
    }
}

fn verdict(error: &TrainError) -> Verdict {
    match error {
        TrainError::Absent(why) => Verdict::LeftOut(why.clone()),
        TrainError::NotFinite(_) => Verdict::Invalid(error.to_string()),
        _ => Verdict::Failed(error.to_string()),
    }
}

/// Share of rows whose largest score stands at their label.
pub(super) fn right(scores: &HostArray, labels: &[usize]) -> f64 {
    let scores = scores.to_f64(0..scores.len());
    let classes = (scores.len() / labels.len().max(1)).max(1);
    let largest = |row: &[f64]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
    let rows = scores.chunks_exact(classes).zip(labels);
    rows.filter(|(row, label)| largest(row) == Some(**label)).count() as f64 / labels.len() as f64
}

/// Steps over which losses and parameters are compared.
pub(super) const COMPARED: usize = 10;

/// The obvious backend, and the one that is held against it where it is the one under test.
const OBVIOUS: &str = "cpu/naive";
const OTHER: &str = "cpu/native";

fn losses(settings: &Settings, program: &Program, start: Start) -> Measured {
    let course = agree::of_fills(program.clone(), start, settings.seed);
    let other = if settings.backend == OBVIOUS { OTHER } else { OBVIOUS };
    let other = Settings { backend: other.to_string(), threads: 1, ..settings.clone() };
    let wanted = run(&course, &other, COMPARED)?.losses;
    Ok(vec![agree::difference(&run(&course, settings, COMPARED)?.losses, &wanted)?])
}

/// A training step of a workload.
fn program(workload: &str, axes: &[(&str, Param)]) -> Result<Program, TrainError> {
    let mode = ("mode", Param::Text("train".to_string()));
    let axes = axes.iter().cloned().chain([mode]);
    let params: Params = axes.map(|(axis, value)| (axis.to_string(), value)).collect();
    match workloads::find(workload) {
        Some(workload) => Ok(workload.program(&params)?),
        None => Err(TrainError::Absent(format!("this build has no workload called {workload}"))),
    }
}

fn mlp() -> Result<Program, TrainError> {
    program("mlp", &[("batch", Param::Int(16)), ("hidden", Param::Int(32))])
}

fn tiny() -> Result<Program, TrainError> {
    let size = ("size", Param::Text("tiny".to_string()));
    program("bert", &[size, ("batch", Param::Int(4)), ("length", Param::Int(8))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_no_bar_for_nan_and_what_is_left_out_is_no_failure() {
        assert!(Bar::AtLeast(1.0).holds(1.0) && Bar::AtMost(1.0).holds(1.0));
        assert!(!Bar::AtLeast(1.0).holds(f64::NAN) && !Bar::AtMost(1.0).holds(f64::NAN));
        let judged = |measured| TABLE[0].rows[0].judge(measured, 0.0).verdict;
        assert_eq!((judged(Ok(0.0)), judged(Ok(1.0))), (Verdict::Ok, Verdict::Short));
        let absent = verdict(&TrainError::Absent("no torch".to_string()));
        assert!(!judged(Err(absent)).is_failure() && Verdict::Short.is_failure());
        let said = serde_json::to_value(TABLE[0].rows[0].judge(Ok(2.0), 0.5)).unwrap();
        assert_eq!((said["verdict"].as_str(), said["measured"].as_f64()), (Some("short"), Some(2.0)));
    }

    #[test]
    fn a_row_is_right_where_its_largest_score_stands_at_the_label() {
        let scores = HostArray::F32(vec![0.0, 1.0, 3.0, -2.0, f32::NAN, 0.0]);
        assert_eq!(right(&scores, &[1, 1, 0]), 2.0 / 3.0);
        assert_eq!(right(&scores, &[1, 0, 1]), 2.0 / 3.0);
    }
}
