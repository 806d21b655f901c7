//! Whether a program that came from outside makes sense. Nothing here panics, whatever the numbers are.

use super::{Program, Step, ValueId};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};

/// Why a program cannot run anywhere, in one sentence that names the value or the step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProgramError(pub String);

fn wrong<T>(why: String) -> Result<T, ProgramError> {
    Err(ProgramError(why))
}

impl Program {
    /// Checks what the other methods rely on: ids in range, values written once and before they are
    /// read, shapes that follow from the ops, carried pairs of one kind, sizes that memory can address.
    pub fn validate(&self) -> Result<(), ProgramError> {
        let mut written: Vec<bool> = self.values.iter().map(|value| value.input.is_some()).collect();
        for id in 0..self.values.len() {
            self.validate_value(id)?;
        }
        for (number, step) in self.steps.iter().enumerate() {
            self.validate_step(number, step, &mut written)?;
        }
        if let Some(id) = written.iter().position(|written| !written) {
            return wrong(format!(
                "value {id} ({}) is neither an input nor the result of a step",
                self.values[id].name
            ));
        }
        self.validate_outputs()?;
        self.validate_carries()
    }

    fn validate_value(&self, id: ValueId) -> Result<(), ProgramError> {
        let value = &self.values[id];
        let named = format!("value {id} ({})", value.name);
        let shape = &value.spec.shape;
        if shape.contains(&0) {
            return wrong(format!(
                "{named} has the shape {shape:?}: an extent of zero leaves nothing to compute"
            ));
        }
        if !value.spec.is_addressable() {
            return wrong(format!("{named} has the shape {shape:?}: it is larger than the address space"));
        }
        match value.input {
            Some(fill) => check_fill(fill, &value.spec).or_else(|why| wrong(format!("{named}: {why}"))),
            None => Ok(()),
        }
    }

    fn validate_step(&self, number: usize, step: &Step, written: &mut [bool]) -> Result<(), ProgramError> {
        let named = format!("step {number} ({})", step.op.operation().name());
        if let Some(id) = step.args.iter().find(|&&id| written.get(id) != Some(&true)) {
            return wrong(format!("{named} reads value {id}, which nothing before it has written"));
        }
        let outputs =
            step.op.operation().outputs(&self.specs(&step.args)).map_err(|error| ProgramError(error.0))?;
        if outputs.len() != step.outs.len() {
            return wrong(format!("{named} has {} outputs and names {}", outputs.len(), step.outs.len()));
        }
        self.validate_indices(&named, step)?;
        for (spec, &out) in outputs.iter().zip(&step.outs) {
            match written.get_mut(out) {
                None => return wrong(format!("{named} writes value {out}, which does not exist")),
                Some(true) => return wrong(format!("{named} writes value {out}, which is written already")),
                Some(fresh) => *fresh = true,
            }
            let declared = &self.values[out].spec;
            if declared != spec {
                return wrong(format!("{named} makes {spec:?}, and value {out} is declared as {declared:?}"));
            }
        }
        Ok(())
    }

    /// Numbers that name places are inputs whose fill names no other, so that no kernel reads beyond a value.
    fn validate_indices(&self, named: &str, step: &Step) -> Result<(), ProgramError> {
        let specs = self.specs(&step.args);
        for (arg, &id) in step.args.iter().enumerate() {
            let Some([least, most]) = step.op.operation().indices(&specs, arg) else { continue };
            let value = &self.values[id];
            let numbers = value.input.and_then(|fill| fill.whole_numbers(value.spec.elements()));
            let inside = numbers.is_some_and(|[low, high]| least <= low && high <= most);
            if !inside || self.carries.iter().any(|carry| carry.input == id) {
                let name = &self.values[id].name;
                return wrong(format!(
                    "{named} takes value {id} ({name}) as places: it must be an input that is filled with integers \
                     from {least} to {most}, and stays as it is"
                ));
            }
        }
        Ok(())
    }

    fn validate_outputs(&self) -> Result<(), ProgramError> {
        match self.outputs.iter().find(|&&id| id >= self.values.len()) {
            Some(id) => wrong(format!("the program returns value {id}, which does not exist")),
            None if self.kept().is_empty() => wrong("the program returns and carries nothing".to_string()),
            None => Ok(()),
        }
    }

    fn validate_carries(&self) -> Result<(), ProgramError> {
        let mut used = vec![false; self.values.len()];
        for carry in &self.carries {
            let (Some(produced), Some(input)) =
                (self.values.get(carry.produced), self.values.get(carry.input))
            else {
                return wrong(format!(
                    "value {} or {} of a carried pair does not exist",
                    carry.produced, carry.input
                ));
            };
            if produced.input.is_some() || input.input.is_none() || produced.spec != input.spec {
                return wrong(format!(
                    "{} cannot be carried into {}: a result and an input of one shape and type are wanted",
                    produced.name, input.name
                ));
            }
            for id in [carry.produced, carry.input] {
                if std::mem::replace(&mut used[id], true) {
                    return wrong(format!("{} is carried twice", self.values[id].name));
                }
            }
        }
        Ok(())
    }
}

/// Numbers of a fill that its type can hold.
fn check_fill(fill: Fill, spec: &ValueSpec) -> Result<(), String> {
    let (low, high) = match (fill, fill.whole_numbers(spec.elements())) {
        (Fill::Uniform { low, high }, _) => (low, high),
        (_, numbers) => numbers.map_or((0.0, 0.0), |[low, high]| (low as f64, high as f64)),
    };
    let dtype = spec.dtype;
    let (least, most) = match dtype {
        DType::F64 | DType::F32 | DType::Bf16 => (-1e30, 1e30),
        DType::F16 => (-65504.0, 65504.0),
        DType::F8e4m3 => (-448.0, 448.0),
        DType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        DType::I8 => (-128.0, 127.0),
        DType::U8 => (0.0, 255.0),
    };
    // Also false for NaN.
    if least <= low && low <= high && high <= most {
        return Ok(());
    }
    Err(format!(
        "cannot be filled from {low} to {high}: {} wants numbers from {least} to {most}",
        dtype.name()
    ))
}
