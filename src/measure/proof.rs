//! The answer is right before anything is timed, and still right afterwards.

use super::protocol::Ask;
use super::trial::{Trial, Trouble};
use super::verify::{Answer, Failure, Values, Verifier, check_finite, is_direct};
use crate::host::clock;
use crate::program::ValueId;
use crate::tensor::HostArray;
use crate::units::Nanos;
use std::ops::Range;

/// What is known about a cell's answer: nothing, or what every later execution must leave too.
#[derive(Clone, Debug, Default)]
pub(super) struct Proof(Option<Answer>);

/// The values that a trial's worker holds.
struct Remote<'t, 'a>(&'t mut Trial<'a>);

impl Values for Remote<'_, '_> {
    type Error = Trouble;
    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Trouble> {
        self.0.read(value, set, range)
    }
}

impl From<Failure<Trouble>> for Trouble {
    fn from(failure: Failure<Trouble>) -> Self {
        match failure {
            Failure::Wrong(wrong) => Self::Wrong(wrong.to_string()),
            Failure::Unreadable(trouble) => trouble,
        }
    }
}

impl Trial<'_> {
    /// Once a cell: checks each step of a program of several on what the contender itself fed it.
    pub(super) fn prove_steps(&mut self, verifier: &mut Verifier) -> Result<(), Trouble> {
        if self.proof.0.is_some() || is_direct(&self.cell.program) {
            return Ok(());
        }
        self.load(1, true)?;
        self.ask(&Ask::Verify)?;
        self.prove_set(0, verifier)
    }

    /// Executes once on the buffers that will be timed and checks what they hold; returns how long that
    /// took. Later starts are compared with the first.
    pub(super) fn prove_answer(&mut self, sets: usize, verifier: &mut Verifier) -> Result<Nanos, Trouble> {
        let begin = clock::now();
        self.ask(&Ask::Verify)?;
        let took = Nanos((clock::now() - begin) as f64);
        if self.proof.0.is_none() {
            self.prove_set(0, verifier)?;
        } else {
            self.compare()?;
        }
        let program = &self.cell.program;
        if sets > self.proven_sets && is_direct(program) {
            verifier.check_steps(program, sets - 1, &mut Remote(self))?;
        }
        self.proven_sets = self.proven_sets.max(sets);
        Ok(took)
    }

    /// After timing: what it left is finite, and the buffers still give the right answer.
    pub(super) fn prove_again(&mut self) -> Result<(), Trouble> {
        let program = &self.cell.program;
        check_finite(program, 0, &mut Remote(self))?;
        self.ask(&Ask::Verify)?;
        self.compare()
    }

    fn prove_set(&mut self, set: usize, verifier: &mut Verifier) -> Result<(), Trouble> {
        let program = &self.cell.program;
        let verification = verifier.check_steps(program, set, &mut Remote(self))?;
        self.evidence.verification = Some(verification);
        self.proof.0 = Some(Answer::of(program, set, &mut Remote(self))?);
        Ok(())
    }

    fn compare(&mut self) -> Result<(), Trouble> {
        let program = &self.cell.program;
        let Some(answer) = self.proof.0.take() else { return Ok(()) };
        let same = answer.check(program, &mut Remote(self));
        self.proof.0 = Some(answer);
        Ok(same?)
    }
}
