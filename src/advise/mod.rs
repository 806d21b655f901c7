//! From a job, measurements and prices to advice: what can hold it, how long it takes there, what that costs.
//! Pure: the day, the prices and the records are arguments.

mod candidate;
#[cfg(test)]
pub(crate) mod example;
pub mod what_if;

pub use candidate::{Candidate, PriceBasis, TimeBasis};
