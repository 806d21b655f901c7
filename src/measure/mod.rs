//! Workers, verification, warm-up, rounds, samples and the rule that ends them. Knows `Loaded`,
//! clocks and processes; no library, no suite, no report.

pub mod crash;
pub mod evidence;
mod pipes;
mod process;
pub mod protocol;
pub mod schedule;
pub mod stop;
pub mod worker;
