//! From records to ratios with intervals, validity and calls. Pure.
//!
//! Everything is done on logarithms, so that ratios are differences. The unit of replication is a start, a
//! fresh process, of which a cell has few. Three things make up for that without claiming too much:
//! - cells of a run share a machine, so each cell's spread is learnt from all of them ([`Prior`]);
//! - within a run, contenders are compared round by round ([`ratio_within`]), and what disturbs a round
//!   disturbs both;
//! - so are two contenders of a run told apart ([`compare_contenders`]);
//! - between runs ([`compare_runs`]), the machine's own change is taken out as far as probes and the other
//!   libraries of a group show it, and what then still moves cells from run to run widens all intervals.
//!
//! A change is called only beyond a margin: 2 %, or what twins of one contender differ by ([`floor`]).
//! SLOWER and FASTER are one-sided tests at 5 % over all cells of the comparison (Holm); SAME is a pair of
//! one-sided tests at 5 % that the change lies within the margin; all else is CANNOT TELL. In simulated runs
//! of 40 cells with 3 starts of 6 rounds, a slow-down of 5 % everywhere is called in 99 % of cells when
//! starts differ by 0.4 % and samples by 1 %; in 81 % at 0.7 % and 1 %; in 57 % at 0.4 % and 2 %. Noise that
//! large is answered by more starts. Equal runs are called different in under 5 % of comparisons even then;
//! what breaks that are starts that are misplaced so often (over one in ten) that all of a cell's are.

mod best;
mod between;
mod call;
mod ceiling;
mod centre;
mod contenders;
mod environment;
mod estimate;
mod floor;
mod growth;
mod machine;
mod narrow;
mod noise;
mod peers;
pub mod profile;
mod rate;
mod runs;
mod share;
#[cfg(test)]
pub(crate) mod simulate;
mod spread;
mod standing;
mod student;
mod validity;
mod within;

pub use best::{Half, best_of, half};
pub use between::CellId;
pub use call::{Call, holm};
pub use ceiling::{Ceiling, ceilings, counts_operations};
pub use contenders::compare_contenders;
pub use environment::{Difference, differences};
pub use estimate::{ALPHA, Estimate, Interval, Outliers, estimate, estimate_with};
pub use floor::{Floor, LEAST_MARGIN, floor};
pub use growth::{Exponent, Growth, growths};
pub use machine::Shift;
pub use narrow::{Bound, Narrow, narrows};
pub use noise::{Prior, Variance};
pub use rate::{Rate, rate};
pub use runs::{CompareError, Compared, Comparison, Lost, Policy, compare_runs};
pub use share::{WEAK_SHARE, baseline_remark, share};
pub use standing::{Against, OWN, Overall, Place, Standing, Verdict, overall, standings};
pub use validity::{Code, POLICY, Reason, Validity, Word, validity};
pub use within::{Noise, ratio_between, ratio_paired, ratio_within, series_of};
