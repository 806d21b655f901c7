//! A workload lowered to a straight line of steps over values. No control flow, no shape inference, no
//! optimisation passes: those would make this a framework.

mod check;
mod expand;
mod interpret;
mod kinds;
mod liveness;

pub use check::ProgramError;
pub use expand::{ExpandError, Expanded};
pub use interpret::whole_reference;
pub use kinds::Kind;
pub use liveness::Liveness;

use crate::ops::{Op, ShapeError, Work};
use crate::random::{self, Fill};
use crate::tensor::{HostArray, Specs, ValueSpec};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::ops::Range;

/// Index into [`Program::values`].
pub type ValueId = usize;

/// What a step reads or writes: hardly ever more than four values.
pub type ValueIds = SmallVec<[ValueId; 4]>;

/// What a value is in the training loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// New data each iteration: what `end_to_end` uploads.
    Batch,
    /// Weights: they stay where they are.
    Parameter,
    /// Results of the forward pass.
    Activation,
    /// Results of the backward pass.
    Gradient,
    /// The optimizer's moments.
    Optimizer,
    /// Scratch that no formula names.
    Workspace,
}

/// What part of the training loop a step belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Batch and parameters to activations.
    Forward,
    /// Activations to gradients.
    Backward,
    /// Gradients to parameters.
    Update,
    /// Between devices.
    Transfer,
}

/// Where a step runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The backend's device.
    #[default]
    Device,
    /// The host beside it.
    Host,
}

/// One value of a program: written once, by the outside world or by one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// Name in messages and memory tables.
    pub name: String,
    /// Shape and type.
    #[serde(flatten)]
    pub spec: ValueSpec,
    /// Role in the training loop.
    pub state: State,
    /// How an input is made; none for the result of a step.
    pub input: Option<Fill>,
}

/// One op applied to values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What to compute.
    #[serde(flatten)]
    pub op: Op,
    /// Values read.
    pub args: ValueIds,
    /// Values written.
    pub outs: ValueIds,
    /// Part of the training loop.
    pub phase: Phase,
    /// Where it runs.
    pub place: Place,
}

/// A value that replaces an input for the next execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carry {
    /// The updated value.
    pub produced: ValueId,
    /// The input it becomes; same spec, so that a backend may update in place.
    pub input: ValueId,
}

/// Values and the steps that make them, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Every value; inputs and results in order of appearance.
    pub values: Vec<Value>,
    /// Computations in execution order.
    pub steps: Vec<Step>,
    /// What the caller wants back, and `end_to_end` downloads. Carried results stay where they are.
    pub outputs: Vec<ValueId>,
    /// What is updated in place.
    pub carries: Vec<Carry>,
}

impl Program {
    /// Declares an input.
    pub fn input(&mut self, name: impl Into<String>, spec: ValueSpec, state: State, fill: Fill) -> ValueId {
        self.values.push(Value { name: name.into(), spec, state, input: Some(fill) });
        self.values.len() - 1
    }

    /// Appends a step on the device; returns its outputs.
    pub fn push(
        &mut self,
        op: Op,
        args: &[ValueId],
        phase: Phase,
        state: State,
    ) -> Result<Vec<ValueId>, ShapeError> {
        let specs = self.specs(args);
        let outputs = op.operation().outputs(&specs)?;
        let (first, step) = (self.values.len(), self.steps.len().to_string());
        for (number, spec) in outputs.into_iter().enumerate() {
            let name = [op.operation().name(), &step, ".", &number.to_string()].concat();
            self.values.push(Value { name, spec, state, input: None });
        }
        let outs = first..self.values.len();
        let step = Step { op, args: args.into(), outs: outs.clone().collect(), phase, place: Place::Device };
        self.steps.push(step);
        Ok(outs.collect())
    }

    /// Names a value and says what it is in the training loop.
    pub fn mark(&mut self, id: ValueId, name: impl Into<String>, state: State) {
        self.values[id].name = name.into();
        self.values[id].state = state;
    }

    /// Declares that `produced` becomes `input` for the next execution.
    pub fn carry(&mut self, produced: ValueId, input: ValueId) {
        self.carries.push(Carry { produced, input });
    }

    /// Specs of several values.
    pub fn specs(&self, ids: &[ValueId]) -> Specs {
        ids.iter().map(|&id| self.values[id].spec.clone()).collect()
    }

    /// Total work on paper.
    pub fn work(&self) -> Work {
        self.steps.iter().fold(Work::default(), |sum, step| sum + self.work_of(step))
    }

    /// Work of one step on paper.
    pub fn work_of(&self, step: &Step) -> Work {
        step.op.operation().work(&self.specs(&step.args))
    }

    /// Ids of the inputs.
    pub fn inputs(&self) -> impl Iterator<Item = ValueId> + '_ {
        (0..self.values.len()).filter(|&id| self.values[id].input.is_some())
    }

    /// Bytes of all values by state, counting a carried pair once.
    pub fn bytes_by_state(&self) -> BTreeMap<State, u64> {
        let mut bytes = BTreeMap::new();
        let mut in_place = vec![false; self.values.len()];
        for carry in &self.carries {
            if let Some(in_place) = in_place.get_mut(carry.produced) {
                *in_place = true;
            }
        }
        for (value, _) in self.values.iter().zip(in_place).filter(|(_, in_place)| !in_place) {
            let sum: &mut u64 = bytes.entry(value.state).or_default();
            *sum = sum.saturating_add(value.spec.bytes());
        }
        bytes
    }

    /// Bytes of all values of `sets` input sets, counting a carried pair once.
    pub fn total_bytes(&self, sets: usize) -> u64 {
        let bytes = self.bytes_by_state().into_values().fold(0u64, u64::saturating_add);
        bytes.saturating_mul(sets as u64)
    }

    /// SHA-256 of the program's JSON, in hexadecimal: programs with one hash compute the same.
    pub fn hash(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Elements of input `id`. `set` tells apart the input sets that a cold measurement cycles through.
    pub fn input_data(&self, id: ValueId, seed: u64, set: usize) -> HostArray {
        self.input_range(id, seed, set, 0..self.values[id].spec.elements())
    }

    /// Elements `range` of [`Self::input_data`].
    pub fn input_range(&self, id: ValueId, seed: u64, set: usize, range: Range<usize>) -> HostArray {
        let Value { spec, input, .. } = &self.values[id];
        let number = (id as u64).wrapping_add((set as u64) << 32);
        random::fill(input.unwrap_or(Fill::UNIT), seed, number, spec.dtype, range)
    }

    /// What an execution leaves for others to see: the outputs, then the carried results.
    pub fn kept(&self) -> Vec<ValueId> {
        let carried = self.carries.iter().map(|carry| carry.produced);
        let mut kept: Vec<ValueId> = vec![];
        for id in self.outputs.iter().copied().chain(carried) {
            if !kept.contains(&id) {
                kept.push(id);
            }
        }
        kept
    }

    /// Whether `id` is an output or a carried result.
    pub fn is_kept(&self, id: ValueId) -> bool {
        self.outputs.contains(&id) || self.carries.iter().any(|carry| carry.produced == id)
    }
}

#[cfg(test)]
mod tests;
