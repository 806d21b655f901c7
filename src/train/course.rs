//! A training run as a function of the step.

use super::diagnose::first_not_finite;
use super::{Settings, TrainError, Trainer};
use crate::program::Program;
use crate::tensor::HostArray;
use std::collections::BTreeMap;

/// Elements by the name of their input.
pub type Inputs = BTreeMap<String, HostArray>;

/// What a training step is fed with. The same course can be followed again, step by step.
pub struct Course<'a> {
    /// The training step. Its outputs are the losses of its examples.
    pub program: Program,
    /// What stands in the inputs before the first step: parameters and the optimizer's moments.
    pub initial: Inputs,
    /// What stands in them from this step on, counted from 0: the batch.
    pub batch: Box<dyn Fn(usize) -> Inputs + 'a>,
}

/// What came of a course.
pub struct Run {
    /// Mean loss of each step's batch, before its update.
    pub losses: Vec<f64>,
    /// The program as the last step left it.
    pub trainer: Trainer,
}

impl Course<'_> {
    /// The program with its first parameters; see [`Trainer::new`].
    pub fn start(&self, settings: &Settings, keep_all: bool) -> Result<Trainer, TrainError> {
        let mut trainer = Trainer::new(settings, &self.program, keep_all)?;
        write(&mut trainer, &self.initial)?;
        Ok(trainer)
    }

    /// One step, with its batch.
    pub fn step(&self, trainer: &mut Trainer, step: usize) -> Result<(), TrainError> {
        write(trainer, &(self.batch)(step))?;
        trainer.execute()
    }
}

fn write(trainer: &mut Trainer, inputs: &Inputs) -> Result<(), TrainError> {
    inputs.iter().try_for_each(|(name, elements)| trainer.write(name, elements))
}

/// Follows a course for so many steps. Where a loss is not finite, the course is followed once more with every value
/// kept, and the error names the step and the op that made the first number that is not.
pub fn run(course: &Course, settings: &Settings, steps: usize) -> Result<Run, TrainError> {
    let mut trainer = course.start(settings, false)?;
    let mut losses = Vec::with_capacity(steps);
    for step in 0..steps {
        course.step(&mut trainer, step)?;
        let loss = trainer.mean_output()?;
        if !loss.is_finite() {
            drop(trainer);
            return Err(first_not_finite(course, settings, step)?.into());
        }
        losses.push(loss);
    }
    Ok(Run { losses, trainer })
}
