//! Whether a training step trains: models as programs learn a task and are asked about examples that they have not
//! seen, every backend's losses are held against those of the slow and obvious one, and gradients and parameters
//! against PyTorch's, which builds the same models by itself.
//!
//! A run is a function of its seed and of the number of the step, so that it can be followed once more where it went
//! wrong. What cannot be tried here is left out with its reason, and is never a pass.

mod agree;
mod checks;
mod course;
mod diagnose;
mod digits;
mod exchange;
mod initial;
mod majority;
#[cfg(test)]
mod tests;
mod torch;
mod trainer;

pub use agree::{difference, of_fills};
pub use checks::{Bar, Check, Verdict, check};
pub use course::{Course, Inputs, Run, run};
pub use diagnose::NotFinite;
pub use initial::{Start, initial};
pub use trainer::{Trainer, open};

use crate::accuracy::Missing;
use crate::backends::{Fault, Unsupported};
use crate::program::ExpandError;
use crate::workloads::ParamError;

/// Who computes, and how long the tasks are learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Name of the backend; it runs in this process.
    pub backend: String,
    /// Threads that compute.
    pub threads: usize,
    /// Steps of each task instead of its own number.
    pub steps: Option<usize>,
    /// Of first parameters, examples and their order.
    pub seed: u64,
}

/// Why a run came to no end.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// Something that the check needs is not here: the sentence says what brings it.
    #[error("{0}")]
    Absent(String),
    /// The program does not fit the check.
    #[error("the program has no value called `{0}`")]
    NoValue(String),
    /// A number was not finite.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// The device failed.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A worker or its files failed.
    #[error("{0}")]
    Failed(String),
}

impl From<Unsupported> for TrainError {
    fn from(reason: Unsupported) -> Self {
        Self::Absent(reason.0)
    }
}

impl From<Missing> for TrainError {
    fn from(reason: Missing) -> Self {
        Self::Absent(reason.0)
    }
}

impl From<ExpandError> for TrainError {
    fn from(error: ExpandError) -> Self {
        Self::Absent(error.to_string())
    }
}

impl From<ParamError> for TrainError {
    fn from(error: ParamError) -> Self {
        Self::Failed(error.to_string())
    }
}
