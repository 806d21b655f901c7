//! A model's program under construction: values, steps, and what is trained.

use super::regime::Optimizer;
use crate::ops::{Add, Cast, Embedding, Gemm, Op};
use crate::program::{Phase, Program, State, Step, ValueId};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use crate::workloads::ParamError;
use crate::workloads::memory::optimize;
use std::collections::BTreeMap;

/// Steps are appended in the order of execution. Every value knows whether it *moves*: whether it depends on a
/// parameter that is trained. A gradient with respect to a value that does not move is never asked for.
pub(super) struct Net {
    program: Program,
    /// Type of activations and of what products take.
    pub(super) dtype: DType,
    /// Parameters in that type, where they have been asked for.
    casts: BTreeMap<ValueId, ValueId>,
    moves: Vec<bool>,
    /// Parameters that are trained, with their gradients so far.
    trained: Vec<(ValueId, Option<ValueId>)>,
    part: Part,
}

/// What part of the training loop the next steps belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The forward pass.
    Forward,
    /// A piece of the forward pass that the backward pass computes once more.
    Again,
    /// The backward pass.
    Backward,
}

impl Part {
    fn phase(self) -> Phase {
        if self == Self::Forward { Phase::Forward } else { Phase::Backward }
    }

    fn state(self) -> State {
        if self == Self::Backward { State::Gradient } else { State::Activation }
    }
}

impl Net {
    /// Nothing yet. Parameters are f32; where `dtype` is another, steps take them cast to it (Micikevicius and
    /// others, "Mixed Precision Training", 2017).
    pub(super) fn new(dtype: DType) -> Self {
        // A training step has some thousand values.
        let program = Program {
            values: Vec::with_capacity(2048),
            steps: Vec::with_capacity(1024),
            ..Program::default()
        };
        let casts = BTreeMap::new();
        Self { program, dtype, casts, moves: vec![], trained: vec![], part: Part::Forward }
    }

    /// An input that each execution brings anew.
    pub(super) fn batch(&mut self, name: &str, shape: &[usize], dtype: DType, fill: Fill) -> ValueId {
        self.declare(name, ValueSpec::new(shape, dtype), State::Batch, fill)
    }

    /// A parameter, f32.
    pub(super) fn parameter(&mut self, name: &str, shape: &[usize], fill: Fill, trained: bool) -> ValueId {
        let id = self.declare(name, ValueSpec::new(shape, DType::F32), State::Parameter, fill);
        self.moves[id] = trained;
        if trained {
            self.trained.push((id, None));
        }
        id
    }

    /// An activation that executions hand on: what was made of the tokens before.
    pub(super) fn memory(&mut self, name: &str, shape: &[usize]) -> ValueId {
        let spec = ValueSpec::new(shape, self.dtype);
        self.declare(name, spec, State::Activation, Fill::natural(self.dtype))
    }

    /// `made` is what `memory` is in the next execution.
    pub(super) fn hand_on(&mut self, made: ValueId, memory: ValueId) {
        let name = [&self.program.values[memory].name, "'"].concat();
        self.program.mark(made, name, State::Activation);
        self.program.carry(made, memory);
    }

    fn declare(&mut self, name: &str, spec: ValueSpec, state: State, fill: Fill) -> ValueId {
        let id = self.program.input(name, spec, state, fill);
        self.moves.push(false);
        id
    }

    /// Appends a step, which takes parameters in the type of activations. Convolutions know f32 alone.
    pub(super) fn push(&mut self, op: Op, args: &[ValueId]) -> Result<Vec<ValueId>, ParamError> {
        if self.dtype == DType::F32 || matches!(op, Op::Conv2d(_) | Op::Conv2dInputGrad(_)) {
            return self.append(op, args);
        }
        let args = args.iter().map(|&id| self.in_type(id)).collect::<Result<Vec<_>, _>>()?;
        self.append(op, &args)
    }

    fn in_type(&mut self, id: ValueId) -> Result<ValueId, ParamError> {
        if !self.is_parameter(id) {
            return Ok(id);
        }
        if let Some(&cast) = self.casts.get(&id) {
            return Ok(cast);
        }
        let cast = self.cast(id, self.dtype)?;
        self.casts.insert(id, cast);
        Ok(cast)
    }

    /// A value in another type; itself where it has that.
    pub(super) fn cast(&mut self, id: ValueId, output: DType) -> Result<ValueId, ParamError> {
        if self.program.values[id].spec.dtype == output {
            return Ok(id);
        }
        Ok(self.append(Op::Cast(Cast { output }), &[id])?[0])
    }

    fn append(&mut self, op: Op, args: &[ValueId]) -> Result<Vec<ValueId>, ParamError> {
        let outs = self.program.push(op, args, self.part.phase(), self.part.state())?;
        let moves = args.iter().any(|&id| self.moves[id]);
        self.moves.resize(self.program.values.len(), moves);
        Ok(outs)
    }

    /// Appends a step; its first output.
    pub(super) fn one(&mut self, op: Op, args: &[ValueId]) -> Result<ValueId, ParamError> {
        Ok(self.push(op, args)?[0])
    }

    /// Rows of a table by their ids; those of a parameter in the type of activations. They are cast once they are taken: a
    /// step needs few rows of a large table, and rounding does not care.
    pub(super) fn rows(&mut self, table: ValueId, ids: ValueId) -> Result<ValueId, ParamError> {
        let rows = self.append(Op::Embedding(Embedding {}), &[table, ids])?[0];
        if self.is_parameter(table) { self.cast(rows, self.dtype) } else { Ok(rows) }
    }

    /// Whether it is an input that stays from one execution to the next.
    fn is_parameter(&self, id: ValueId) -> bool {
        let value = &self.program.values[id];
        value.input.is_some() && value.state == State::Parameter
    }

    /// x W.
    pub(super) fn product(&mut self, x: ValueId, weight: ValueId) -> Result<ValueId, ParamError> {
        self.one(Op::Gemm(Gemm::plain(self.dtype)), &[x, weight])
    }

    /// A^T B in f32: the gradient of a weight, from what it was multiplied with and the gradient of their product.
    pub(super) fn product_tn(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, ParamError> {
        self.one(Op::Gemm(Gemm { trans_a: true, ..Gemm::plain(DType::F32) }), &[a, b])
    }

    /// A B^T: the gradient of what a weight was multiplied with.
    pub(super) fn product_nt(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, ParamError> {
        self.one(Op::Gemm(Gemm { trans_b: true, ..Gemm::plain(self.dtype) }), &[a, b])
    }

    /// Whether a value depends on a parameter that is trained, or is one.
    pub(super) fn moves(&self, id: ValueId) -> bool {
        self.moves[id]
    }

    /// Notes a gradient of a parameter. Several are added up: the uses of a shared one, the parts of a batch.
    pub(super) fn learn(&mut self, parameter: ValueId, gradient: ValueId) -> Result<(), ParamError> {
        let Some(at) = self.trained.iter().position(|(id, _)| *id == parameter) else { return Ok(()) };
        let sum = match self.trained[at].1 {
            Some(before) => self.one(Op::Add(Add {}), &[before, gradient])?,
            None => gradient,
        };
        self.trained[at].1 = Some(sum);
        Ok(())
    }

    /// The gradient of `x`, which went into a residual sum and into a branch beside it.
    pub(super) fn residual(
        &mut self,
        x: ValueId,
        branch: Option<ValueId>,
        sum: ValueId,
    ) -> Result<Option<ValueId>, ParamError> {
        match branch {
            _ if !self.moves(x) => Ok(None),
            Some(branch) => Ok(Some(self.one(Op::Add(Add {}), &[branch, sum])?)),
            None => Ok(Some(sum)),
        }
    }

    /// From here on the steps are the forward pass, or the backward pass.
    pub(super) fn turn(&mut self, backward: bool) {
        self.part = if backward { Part::Backward } else { Part::Forward };
    }

    /// Steps of the forward pass, appended once more to the backward pass.
    pub(super) fn again<T>(&mut self, steps: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.part, Part::Again);
        let made = steps(self);
        self.part = before;
        made
    }

    /// Names a value.
    pub(super) fn name(&mut self, id: ValueId, name: &str) {
        self.program.values[id].name = name.to_string();
    }

    /// Declares a value that the caller wants back.
    pub(super) fn output(&mut self, id: ValueId) {
        self.program.outputs.push(id);
    }

    /// Appends the update of every parameter that has a gradient.
    pub(super) fn update(&mut self, optimizer: Optimizer) -> Result<(), ParamError> {
        for (parameter, gradient) in std::mem::take(&mut self.trained) {
            let Some(gradient) = gradient else { continue };
            let name = [&self.program.values[parameter].name, "."].concat();
            self.program.mark(gradient, [&name, "grad"].concat(), State::Gradient);
            optimize(&mut self.program, optimizer.op(), [parameter, gradient], &name)?;
        }
        self.moves.resize(self.program.values.len(), false);
        Ok(())
    }

    /// The program, without the steps whose results nobody reads: a layer that is computed once more for its
    /// insides, a gradient that stops at a frozen layer.
    pub(super) fn finish(self) -> Program {
        let Program { mut values, steps, outputs, carries } = self.program;
        let mut wanted = vec![false; values.len()];
        outputs.iter().chain(carries.iter().map(|carry| &carry.produced)).for_each(|&id| wanted[id] = true);
        let mut kept: Vec<Step> = Vec::with_capacity(steps.len());
        for step in steps.into_iter().rev() {
            if step.outs.iter().any(|&id| wanted[id]) {
                step.args.iter().for_each(|&id| wanted[id] = true);
                kept.push(step);
            }
        }
        kept.reverse();
        let mut stays: Vec<bool> = values.iter().map(|value| value.input.is_some()).collect();
        kept.iter().flat_map(|step| &step.outs).for_each(|&id| stays[id] = true);
        let ids: Vec<ValueId> = stays
            .iter()
            .scan(0, |next, stays| {
                let id = *next;
                *next += usize::from(*stays);
                Some(id)
            })
            .collect();
        let renamed = |id: &mut ValueId| *id = ids[*id];
        kept.iter_mut().flat_map(|step| step.args.iter_mut().chain(&mut step.outs)).for_each(renamed);
        let mut stays = stays.into_iter();
        values.retain(|_| stays.next() == Some(true));
        let mut program = Program { values, steps: kept, outputs, carries };
        program.outputs.iter_mut().for_each(renamed);
        program
            .carries
            .iter_mut()
            .flat_map(|carry| [&mut carry.produced, &mut carry.input])
            .for_each(renamed);
        program
    }
}
