//! A workload lowered to a straight line of steps over values. No control flow, no shape inference, no
//! optimisation passes: those would make this a framework.

use crate::ops::{Op, ShapeError, Work};
use crate::random::{self, Fill};
use crate::tensor::{HostArray, ValueSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// Index into [`Program::values`].
pub type ValueId = usize;

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
    pub args: Vec<ValueId>,
    /// Values written.
    pub outs: Vec<ValueId>,
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
    /// What the caller wants back.
    pub outputs: Vec<ValueId>,
    /// What is updated in place.
    pub carries: Vec<Carry>,
}

impl Program {
    /// Declares an input.
    pub fn input(&mut self, name: &str, spec: ValueSpec, state: State, fill: Fill) -> ValueId {
        self.values.push(Value { name: name.to_string(), spec, state, input: Some(fill) });
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
        let first = self.values.len();
        for (number, spec) in outputs.into_iter().enumerate() {
            let name = format!("{}{}.{number}", op.operation().name(), self.steps.len());
            self.values.push(Value { name, spec, state, input: None });
        }
        let outs: Vec<ValueId> = (first..self.values.len()).collect();
        self.steps.push(Step { op, args: args.to_vec(), outs: outs.clone(), phase, place: Place::Device });
        Ok(outs)
    }

    /// Declares that `produced` becomes `input` for the next execution.
    pub fn carry(&mut self, produced: ValueId, input: ValueId) {
        self.carries.push(Carry { produced, input });
    }

    /// Specs of several values.
    pub fn specs(&self, ids: &[ValueId]) -> Vec<ValueSpec> {
        ids.iter().map(|&id| self.values[id].spec.clone()).collect()
    }

    /// Total work on paper.
    pub fn work(&self) -> Work {
        self.steps
            .iter()
            .fold(Work::default(), |sum, step| sum + step.op.operation().work(&self.specs(&step.args)))
    }

    /// Ids of the inputs.
    pub fn inputs(&self) -> impl Iterator<Item = ValueId> + '_ {
        (0..self.values.len()).filter(|&id| self.values[id].input.is_some())
    }

    /// Bytes of all values by state, counting a carried pair once.
    pub fn bytes_by_state(&self) -> BTreeMap<State, u64> {
        let mut bytes = BTreeMap::new();
        let in_place = |id| self.carries.iter().any(|carry| carry.produced == id);
        for (_, value) in self.values.iter().enumerate().filter(|(id, _)| !in_place(*id)) {
            let sum: &mut u64 = bytes.entry(value.state).or_default();
            *sum = sum.saturating_add(value.spec.bytes());
        }
        bytes
    }

    /// Elements of input `id`. `set` tells apart the input sets that a cold measurement cycles through.
    pub fn input_data(&self, id: ValueId, seed: u64, set: usize) -> HostArray {
        self.input_range(id, seed, set, 0..self.values[id].spec.elements())
    }

    /// Elements `range` of [`Self::input_data`].
    pub fn input_range(&self, id: ValueId, seed: u64, set: usize, range: Range<usize>) -> HostArray {
        let Value { spec, input, .. } = &self.values[id];
        let number = id as u64 + ((set as u64) << 32);
        random::fill(input.unwrap_or(Fill::UNIT), seed, number, spec.dtype, range)
    }

    /// Whether a later execution sees what `id` holds: the value is an output or carried.
    pub fn is_kept(&self, id: ValueId) -> bool {
        self.outputs.contains(&id) || self.carries.iter().any(|carry| carry.produced == id)
    }
}
