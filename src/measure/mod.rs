//! Workers, verification, warm-up, rounds, samples and the rule that ends them. Knows `Loaded`,
//! clocks and processes; no library, no suite, no report.

pub mod evidence;
pub mod protocol;
