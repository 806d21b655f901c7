//! From records to ratios with intervals, validity and calls. Pure.

mod best;
mod between;
mod call;
mod environment;
mod estimate;
mod floor;
mod machine;
mod noise;
mod runs;
mod share;
#[cfg(test)]
pub(crate) mod simulate;
mod spread;
mod student;
mod validity;
mod within;

pub use best::{Half, best_of, half};
pub use between::CellId;
pub use call::{Call, holm};
pub use environment::{Difference, differences};
pub use estimate::{ALPHA, Estimate, Interval, Outliers, estimate, estimate_with};
pub use floor::{Floor, LEAST_MARGIN, floor};
pub use machine::Shift;
pub use noise::{Prior, Variance};
pub use runs::{CompareError, Compared, Comparison, Lost, Policy, compare_runs};
pub use share::{WEAK_SHARE, baseline_remark, share};
pub use validity::{Code, POLICY, Reason, Validity, Word, validity};
pub use within::{Noise, ratio_between, ratio_paired, ratio_within, series_of};
