//! Ops that memory bandwidth limits, sized by their footprint.

use super::{Axis, DTYPE, Default, ParamError, Params, Workload, Yield, dtype, gigabyte, int, text};
use crate::ops::{Adamw, Add, Copied, Op, Triad};
use crate::program::{Phase, Program, State};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};

const BYTES: Axis = Axis {
    name: "bytes",
    about: "footprint of all streams together, results included; rounded down to whole elements",
    default: None,
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
    axes: &[
        Axis { about: "footprint of p, g, m and v, and of the bf16 copy of p", ..BYTES },
        Axis {
            name: "p16",
            about: "also write p rounded to bf16",
            default: Some(Default::OneOf(&["no", "yes"])),
        },
    ],
    build: adamw,
    yields: |_, program| {
        let updated = program.values.iter().filter(|value| value.state == State::Gradient);
        let amount = updated.map(|value| value.spec.elements() as f64).sum();
        Yield { unit: "parameter update".to_string(), amount }
    },
};

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
        .map(|name| program.input(name, spec.clone(), State::Batch, Fill::natural(dtype)))
        .collect();
    program.outputs = program.push(op, &args, Phase::Forward, State::Activation)?;
    Ok(program)
}

fn adamw(params: &Params) -> Result<Program, ParamError> {
    let p16 = text(params, "p16") == "yes";
    let elements = elements(params, if p16 { 18 } else { 16 })?;
    let mut program = Program::default();
    let op = Adamw { p16, ..Adamw::default() };
    update(&mut program, "", &op, ValueSpec::new(&[elements], DType::F32))?;
    Ok(program)
}

/// Appends the update of one parameter. p, m and v are carried and stay on the device; only the bf16
/// copy of p, where the op makes one, is an output.
pub(super) fn update(
    program: &mut Program,
    name: &str,
    op: &Adamw,
    spec: ValueSpec,
) -> Result<(), ParamError> {
    use State::{Gradient, Optimizer, Parameter};
    let op_of = Op::Adamw(op.clone());
    let roles = [("p", Parameter), ("g", Gradient), ("m", Optimizer), ("v", Optimizer)];
    let mut args = vec![];
    for (number, (role, state)) in roles.into_iter().enumerate() {
        let fill = op_of.operation().fill(number, &spec);
        args.push(program.input(&format!("{name}{role}"), spec.clone(), state, fill));
    }
    let outs = program.push(op_of, &args, Phase::Update, Parameter)?;
    for (out, input) in [(0, 0), (1, 2), (2, 3)] {
        let (role, state) = roles[input];
        program.mark(outs[out], &format!("{name}{role}'"), state);
        program.carry(outs[out], args[input]);
    }
    program.outputs.extend(&outs[3..]);
    Ok(())
}
