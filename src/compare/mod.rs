//! From records to ratios with intervals, validity and calls. Pure.

mod best;
mod estimate;
mod floor;
mod noise;
mod share;
#[cfg(test)]
pub(crate) mod simulate;
mod student;
mod validity;
mod within;

pub use best::{Half, best_of, half};
pub use estimate::{ALPHA, Estimate, Interval, Outliers, estimate, estimate_with};
pub use floor::{Floor, LEAST_MARGIN, floor};
pub use noise::{Prior, Variance};
pub use share::{WEAK_SHARE, baseline_remark, share};
pub use validity::{Code, POLICY, Reason, Validity, Word, validity};
pub use within::{Noise, ratio, ratio_within, series_of};
