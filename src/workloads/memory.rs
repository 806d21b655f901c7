//! Ops that memory bandwidth limits, sized by their footprint.

use super::{Axis, DTYPE, Default, ParamError, Params, Workload, Yield, dtype, gigabyte, int, text};
use crate::ops::{Adamw, Add, Copied, Op, SgdMomentum, Triad};
use crate::program::{Phase, Program, State, Value, ValueId};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};

const BYTES: Axis = Axis {
    name: "bytes",
    about: "footprint of all streams together, results included; rounded down to whole elements",
    default: None,
};

const P16: Axis = Axis {
    name: "p16",
    about: "also write p rounded to bf16",
    default: Some(Default::OneOf(&["no", "yes"])),
};

/// y = x.
pub(super) const COPY: Workload = Workload {
    name: "copy",
    about: "Copies an array: two streams.",
    axes: &[BYTES, DTYPE],
    build: |params| streams(params, Op::Copy(Copied {}), 1),
    yields: gigabyte,
};

/// a = b + 3 c.
pub(super) const TRIAD: Workload = Workload {
    name: "triad",
    about: "a = b + 3 c: three streams, as in STREAM.",
    axes: &[BYTES, DTYPE],
    build: |params| streams(params, Op::Triad(Triad { scale: 3.0 }), 2),
    yields: gigabyte,
};

/// z = x + y.
pub(super) const ADD: Workload = Workload {
    name: "add",
    about: "Adds two arrays, as a residual connection does: three streams.",
    axes: &[BYTES, DTYPE],
    build: |params| streams(params, Op::Add(Add {}), 2),
    yields: gigabyte,
};

/// One optimizer step on one parameter.
pub(super) const ADAMW: Workload = Workload {
    name: "adamw",
    about: "One AdamW step that updates p, m and v in place: four streams read, three written.",
    axes: &[Axis { about: "footprint of p, g, m and v, and of the bf16 copy of p", ..BYTES }, P16],
    build: |params| optimizer(params, 16, |p16| Op::Adamw(Adamw { p16, ..Adamw::default() })),
    yields: updates,
};

/// One optimizer step with a single moment.
pub(super) const SGD_MOMENTUM: Workload = Workload {
    name: "sgd_momentum",
    about: "One step of gradient descent with momentum that updates p and v in place: three streams read, two written.",
    axes: &[Axis { about: "footprint of p, g and v, and of the bf16 copy of p", ..BYTES }, P16],
    build: |params| {
        optimizer(params, 12, |p16| Op::SgdMomentum(SgdMomentum { p16, ..SgdMomentum::default() }))
    },
    yields: updates,
};

/// How many parameters one execution updates.
fn updates(_: &Params, program: &Program) -> Yield {
    let updated = program.values.iter().filter(|value| value.state == State::Gradient);
    let amount = updated.map(|value| value.spec.elements() as f64).sum();
    Yield { unit: "parameter update".to_string(), amount }
}

/// Elements of each stream where one element of all streams together takes `each` bytes.
fn elements(params: &Params, each: usize) -> Result<usize, ParamError> {
    match int(params, "bytes") / each {
        0 => Err(ParamError::unusable(params, "bytes", format!("one element takes {each} bytes"))),
        elements => Ok(elements),
    }
}

/// An op of `inputs` arrays and one result, all alike.
fn streams(params: &Params, op: Op, inputs: usize) -> Result<Program, ParamError> {
    let dtype = dtype(params);
    let spec = ValueSpec::new(&[elements(params, (inputs + 1) * dtype.size())?], dtype);
    let mut program = Program::default();
    let args: Vec<_> = ["x", "y"][..inputs]
        .iter()
        .map(|name| program.input(*name, spec.clone(), State::Batch, Fill::natural(dtype)))
        .collect();
    program.outputs = program.push(op, &args, Phase::Forward, State::Activation)?;
    Ok(program)
}

/// An optimizer's step whose p, gradient and state take `each` bytes an element.
fn optimizer(params: &Params, each: usize, op: fn(bool) -> Op) -> Result<Program, ParamError> {
    let p16 = text(params, "p16") == "yes";
    let elements = elements(params, if p16 { each + 2 } else { each })?;
    let mut program = Program::default();
    update(&mut program, "", op(p16), ValueSpec::new(&[elements], DType::F32))?;
    Ok(program)
}

/// Appends the update of one parameter by an optimizer's op; the parameter and its gradient are inputs.
pub(super) fn update(program: &mut Program, name: &str, op: Op, spec: ValueSpec) -> Result<(), ParamError> {
    let mut input = |number: usize, role: &str, state| {
        let fill = op.operation().fill(number, &spec);
        program.input([name, role].concat(), spec.clone(), state, fill)
    };
    let pair = [input(0, "p", State::Parameter), input(1, "g", State::Gradient)];
    optimize(program, op, pair, name)
}

/// Appends the update of p by its gradient g. The op's arguments are p, g and its state, which is made here; p and
/// the state are carried and stay on the device; only the bf16 copy of p, where the op makes one, is an output.
pub(super) fn optimize(
    program: &mut Program,
    op: Op,
    [p, g]: [ValueId; 2],
    name: &str,
) -> Result<(), ParamError> {
    let spec = program.values[p].spec.clone();
    let state: &[&str] = match op {
        Op::Adamw(_) => &["m", "v"],
        Op::SgdMomentum(_) => &["v"],
        _ => &[],
    };
    let mut args = vec![p, g];
    for (number, role) in state.iter().enumerate() {
        let fill = op.operation().fill(2 + number, &spec);
        args.push(program.input([name, role].concat(), spec.clone(), State::Optimizer, fill));
    }
    let outs = program.push(op, &args, Phase::Update, State::Parameter)?;
    let updated = args.iter().copied().filter(|id| *id != g);
    for (&out, input) in outs.iter().zip(updated) {
        let Value { name, state, .. } = &program.values[input];
        let (name, state) = ([name, "'"].concat(), *state);
        program.mark(out, name, state);
        program.carry(out, input);
    }
    program.outputs.extend(&outs[args.len() - 1..]);
    Ok(())
}
