//! From a job, measurements and prices to advice: what can hold it, how long it takes there, what that costs.
//! Pure: the day, the prices and the records are arguments.

mod answer;
mod assumptions;
mod candidate;
mod demand;
mod duel;
#[cfg(test)]
pub(crate) mod example;
mod fit;
mod job;
mod offer;
pub mod predict;
mod quote;
mod rank;
pub mod what_if;

pub use answer::{AdviseError, Answer, THIS_MACHINE, answer, answer_by};
pub use assumptions::Assumptions;
pub use candidate::{Candidate, PriceBasis, TimeBasis};
pub use demand::Demand;
pub use duel::{Duel, Flip};
pub use fit::Fit;
pub use job::{Job, JobError, Unit};
pub use predict::Predictor;
pub use rank::Ranked;
