//! Files of a profile: a trace for Perfetto and speedscope, folded stacks, a flame graph, and the training loop
//! drawn.

mod flame;
mod stacks;
mod trace;
mod training_loop;

pub use flame::flame;
pub use stacks::stacks;
pub use trace::trace;
pub use training_loop::{TrainingLoop, training_loops};

use crate::program::Phase;

/// The word for a phase.
pub(crate) fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Forward => "forward",
        Phase::Backward => "backward",
        Phase::Update => "update",
        Phase::Transfer => "transfer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::profile::{Limit, Spent};
    use crate::ops::Work;

    /// A product and two sums.
    pub(super) fn example() -> Vec<Spent> {
        let spent = |phase, op: &str, what: &str, ns| Spent {
            phase,
            op: op.to_string(),
            what: what.to_string(),
            steps: 1,
            ns,
            work: Work { flops: 10, bytes_read: 20, bytes_written: 30, spared: 0 },
            least_ns: Some(ns / 2.0),
            limit: Some(Limit::Memory),
        };
        vec![
            spent(Phase::Forward, "gemm", "h", 6000.0),
            spent(Phase::Forward, "add", "y", 25.0),
            spent(Phase::Backward, "add", "dx", 10.0),
        ]
    }
}
