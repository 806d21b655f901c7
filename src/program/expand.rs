//! Fused ops in smaller steps, for a backend that lacks them.

use super::{Program, State, Step, Value, ValueId, ValueIds};
use crate::ops::Expansion;

/// A program whose every step the asked backend supports.
#[derive(Clone, Debug, PartialEq)]
pub struct Expanded {
    /// Values keep their ids, and so their random elements; what the expansions add comes after them.
    pub program: Program,
    /// Names of the ops that were expanded, one for each step.
    pub names: Vec<String>,
}

/// A step that neither runs nor expands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{op}: {why}")]
pub struct ExpandError {
    /// Name of the op.
    pub op: &'static str,
    /// Why the backend does not run it, or why its expansion does not fit.
    pub why: String,
}

impl Program {
    /// Expands every step that `supports` refuses until what is left is supported. `supports` gives the
    /// backend's reason; the step's values are those of the program it is given.
    pub fn expand_for(
        &self,
        supports: impl Fn(&Step, &Program) -> Result<(), String>,
    ) -> Result<Expanded, ExpandError> {
        // Most backends lack most ops, and say so before anything is copied.
        let refused = self.steps.iter().find_map(|step| Some((step, supports(step, self).err()?)));
        if let Some((step, why)) = refused {
            let op = step.op.operation();
            if op.expand(&self.specs(&step.args)).is_none() {
                return Err(ExpandError { op: op.name(), why });
            }
        }
        let Self { values, outputs, carries, .. } = self;
        let (values, outputs, carries) = (values.clone(), outputs.clone(), carries.clone());
        let program = Program { values, steps: Vec::with_capacity(self.steps.len()), outputs, carries };
        let mut built = Expanded { program, names: vec![] };
        for step in &self.steps {
            built.add(step.clone(), &supports)?;
        }
        Ok(built)
    }
}

impl Expanded {
    fn add(
        &mut self,
        step: Step,
        supports: &impl Fn(&Step, &Program) -> Result<(), String>,
    ) -> Result<(), ExpandError> {
        let Err(why) = supports(&step, &self.program) else {
            self.program.steps.push(step);
            return Ok(());
        };
        let op = step.op.operation();
        let Some(expansion) = op.expand(&self.program.specs(&step.args)) else {
            return Err(ExpandError { op: op.name(), why });
        };
        self.names.push(op.name().to_string());
        for smaller in self.steps_of(&step, &expansion)? {
            self.add(smaller, supports)?;
        }
        Ok(())
    }

    /// The steps of an expansion, on values of the program.
    fn steps_of(&mut self, fused: &Step, expansion: &Expansion) -> Result<Vec<Step>, ExpandError> {
        let mut ids = fused.args.clone();
        let mut steps = vec![];
        for (op, args) in &expansion.steps {
            let args: ValueIds = args.iter().map(|&number| ids[number]).collect();
            let outputs = op.operation().outputs(&self.program.specs(&args));
            let outputs =
                outputs.map_err(|error| ExpandError { op: fused.op.operation().name(), why: error.0 })?;
            let mut outs = ValueIds::new();
            for spec in outputs {
                let output = expansion.outputs.iter().position(|&number| number == ids.len());
                let id = output.map_or_else(
                    || self.scratch(op.operation().name(), spec),
                    |position| fused.outs[position],
                );
                ids.push(id);
                outs.push(id);
            }
            steps.push(Step { op: op.clone(), args, outs, ..fused.clone() });
        }
        Ok(steps)
    }

    fn scratch(&mut self, op: &str, spec: crate::tensor::ValueSpec) -> ValueId {
        let id = self.program.values.len();
        self.program.values.push(Value {
            name: format!("{op}.{id}"),
            spec,
            state: State::Workspace,
            input: None,
        });
        id
    }
}
