//! Workers, verification, warm-up, rounds, samples and the rule that ends them. Knows `Loaded`,
//! clocks and processes; no library, no suite, no report.

pub mod crash;
pub mod evidence;
pub mod group;
pub mod memory;
pub mod overhead;
pub mod peaks;
pub mod peer;
mod phases;
mod pipes;
pub(crate) mod probe;
mod process;
pub mod profile;
mod proof;
pub mod protocol;
mod rounds;
pub mod schedule;
#[cfg(test)]
mod scripted;
pub mod serve;
pub mod settings;
pub mod staff;
pub mod stop;
mod tally;
mod trial;
mod turn;
pub mod verify;
mod warm;
mod watch;
pub mod worker;
