//! Where a run that ended in no number went wrong.

use super::{Course, Settings, TrainError, Trainer};
use crate::program::ValueId;

/// The first number that was not finite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the loss of step {seen} is no number: {maker} at step {step}, in {value}")]
pub struct NotFinite {
    /// The step whose loss showed it, counted from 1.
    pub seen: usize,
    /// The step that made it, counted from 1.
    pub step: usize,
    /// What made it: an op, or whoever wrote an input.
    pub maker: String,
    /// The value that holds it.
    pub value: String,
}

/// Follows a course, whose loss was no number at `last`, with every value kept, and looks at each of them in the order
/// in which they are made.
pub(super) fn first_not_finite(
    course: &Course,
    settings: &Settings,
    last: usize,
) -> Result<NotFinite, TrainError> {
    let mut trainer = course.start(settings, true)?;
    for step in 0..=last {
        course.step(&mut trainer, step)?;
        if let Some((maker, id)) = first_of_step(&mut trainer)? {
            let value = trainer.program().values[id].name.clone();
            return Ok(NotFinite { seen: last + 1, step: step + 1, maker, value });
        }
    }
    let unseen = "nothing, when the run was followed once more,".to_string();
    Ok(NotFinite { seen: last + 1, step: last + 1, maker: unseen, value: "the losses".to_string() })
}

/// Who made the first value of the last execution that is not finite.
fn first_of_step(trainer: &mut Trainer) -> Result<Option<(String, ValueId)>, TrainError> {
    let inputs = trainer.program().inputs().map(|id| ("an input was written so".to_string(), id));
    let made = trainer.program().steps.iter().enumerate().flat_map(|(number, step)| {
        let maker = format!("op {number} ({}) made the first", step.op.operation().name());
        step.outs.iter().map(move |&id| (maker.clone(), id))
    });
    let in_order: Vec<(String, ValueId)> = inputs.chain(made).collect();
    for (maker, id) in in_order {
        let elements = trainer.read_id(id)?;
        if elements.to_f64(0..elements.len()).iter().any(|x| !x.is_finite()) {
            return Ok(Some((maker, id)));
        }
    }
    Ok(None)
}
