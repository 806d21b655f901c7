//! Single layers of a transformer.

use super::{Axis, DTYPE, Default, ParamError, Params, Workload, Yield, dtype, gigabyte, int, product, text};
use crate::ops::{AddLayerNorm, Attention, BiasAdd, Gelu, GeluForm, LayerNorm, Op, Softmax};
use crate::program::{Phase, Program, State, ValueId};
use crate::tensor::ValueSpec;

const ROWS: Axis = Axis { name: "rows", about: "independent rows", default: None };
const COLUMNS: Axis = Axis { name: "columns", about: "elements of a row", default: None };

/// The formula of gelu.
pub(super) const FORM: Axis = Axis {
    name: "form",
    about: "exact by erf, or the usual approximation by tanh",
    default: Some(Default::OneOf(&["erf", "tanh"])),
};

/// Softmax over rows.
pub(super) const SOFTMAX: Workload = Workload {
    name: "softmax",
    about: "Softmax of each row.",
    axes: &[ROWS, COLUMNS, DTYPE],
    build: |params| rows(params, Op::Softmax(Softmax::plain(dtype(params)))),
    yields: gigabyte,
};

/// Layer normalisation over rows.
pub(super) const LAYER_NORM: Workload = Workload {
    name: "layer_norm",
    about: "Layer normalisation of each row, with gain and bias; keeps mean and deviation.",
    axes: &[ROWS, COLUMNS, DTYPE],
    build: |params| rows(params, Op::LayerNorm(LayerNorm { eps: 1e-5 })),
    yields: gigabyte,
};

/// A residual sum and its layer normalisation.
pub(super) const ADD_LAYER_NORM: Workload = Workload {
    name: "add_layer_norm",
    about: "Residual sum and layer normalisation of each row, fused; keeps the sum, mean and deviation.",
    axes: &[ROWS, COLUMNS, DTYPE],
    build: |params| rows(params, Op::AddLayerNorm(AddLayerNorm { eps: 1e-5 })),
    yields: gigabyte,
};

/// A bias added to rows.
pub(super) const BIAS_ADD: Workload = Workload {
    name: "bias_add",
    about: "Adds one bias to each row.",
    axes: &[ROWS, COLUMNS, DTYPE],
    build: |params| rows(params, Op::BiasAdd(BiasAdd {})),
    yields: gigabyte,
};

/// Gelu over rows.
pub(super) const GELU: Workload = Workload {
    name: "gelu",
    about: "Gaussian error linear unit of each element.",
    axes: &[ROWS, COLUMNS, DTYPE, FORM],
    build: |params| rows(params, Op::Gelu(Gelu { form: form(params) })),
    yields: gigabyte,
};

/// Exact attention.
pub(super) const ATTENTION: Workload = Workload {
    name: "attention",
    about: "Exact scaled dot-product attention of all heads.",
    axes: ATTENTION_AXES,
    build: attention,
    yields: tokens,
};

/// Exact attention that stores its scores.
pub(super) const ATTENTION_MATERIALISED: Workload = Workload {
    name: "attention_materialised",
    about: "The same as three steps that store all scores: product, softmax, product.",
    axes: ATTENTION_AXES,
    build: attention_materialised,
    yields: tokens,
};

const ATTENTION_AXES: &[Axis] = &[
    Axis { name: "queries", about: "rows of q in each sequence", default: None },
    Axis { name: "keys", about: "rows of k and v in each sequence", default: Some(Default::Like("queries")) },
    Axis { name: "depth", about: "width of a head", default: Some(Default::Int(64)) },
    Axis { name: "heads", about: "heads", default: Some(Default::Int(1)) },
    Axis { name: "batch", about: "sequences", default: Some(Default::Int(1)) },
    Axis {
        name: "mask",
        about: "which keys a query sees",
        default: Some(Default::OneOf(&["full", "causal"])),
    },
    Axis {
        name: "log_sum_exp",
        about: "also keep each row's log-sum-exp, which the backward pass needs",
        default: Some(Default::OneOf(&["no", "yes"])),
    },
    DTYPE,
];

fn tokens(params: &Params, _: &Program) -> Yield {
    let amount = int(params, "queries") as f64 * int(params, "batch") as f64;
    Yield { unit: "token".to_string(), amount }
}

/// The formula that `form` names.
pub(super) fn form(params: &Params) -> GeluForm {
    if text(params, "form") == "tanh" { GeluForm::Tanh } else { GeluForm::Erf }
}

/// An op on one or two `[rows, columns]` whose further arguments are parameters of one row.
fn rows(params: &Params, op: Op) -> Result<Program, ParamError> {
    let (rows, columns, dtype) = (int(params, "rows"), int(params, "columns"), dtype(params));
    let names: &[&str] = match op {
        Op::LayerNorm(_) => &["x", "gain", "bias"],
        Op::AddLayerNorm(_) => &["x", "residual", "gain", "bias"],
        Op::BiasAdd(_) => &["x", "bias"],
        _ => &["x"],
    };
    let mut program = Program::default();
    let mut args = vec![];
    for (number, name) in names.iter().enumerate() {
        let whole = matches!(*name, "x" | "residual");
        let (shape, state) =
            if whole { (vec![rows, columns], State::Batch) } else { (vec![columns], State::Parameter) };
        let spec = ValueSpec::new(&shape, dtype);
        let fill = op.operation().fill(number, &spec);
        args.push(program.input(*name, spec, state, fill));
    }
    program.outputs = program.push(op, &args, Phase::Forward, State::Activation)?;
    Ok(program)
}

fn attention(params: &Params) -> Result<Program, ParamError> {
    let (mut program, op, args) = attention_inputs(params)?;
    program.outputs = program.push(op, &args, Phase::Forward, State::Activation)?;
    Ok(program)
}

/// The steps of the fused op's expansion, with its outputs.
fn attention_materialised(params: &Params) -> Result<Program, ParamError> {
    let (mut program, op, args) = attention_inputs(params)?;
    let specs = program.specs(&args);
    op.operation().outputs(&specs)?;
    let mut ids = args.to_vec();
    let Some(expansion) = op.operation().expand(&specs) else { return Ok(program) };
    for (step, numbers) in expansion.steps {
        let args: Vec<_> = numbers.iter().map(|&number| ids[number]).collect();
        ids.extend(program.push(step, &args, Phase::Forward, State::Activation)?);
    }
    program.outputs = expansion.outputs.iter().map(|&number| ids[number]).collect();
    Ok(program)
}

/// q, k and v, and the op on them.
fn attention_inputs(params: &Params) -> Result<(Program, Op, [ValueId; 3]), ParamError> {
    let [queries, keys, depth] = ["queries", "keys", "depth"].map(|axis| int(params, axis));
    let lead = product(params, &["batch", "heads"])?;
    let is = |axis, name| text(params, axis) == name;
    let (causal, log_sum_exp) = (is("mask", "causal"), is("log_sum_exp", "yes"));
    let op = Op::Attention(Attention { scale: 1.0 / (depth as f64).sqrt(), causal, log_sum_exp });
    let mut program = Program::default();
    let args = [("q", queries), ("k", keys), ("v", keys)].map(|(name, rows)| {
        let spec = ValueSpec::new(&[lead, rows, depth], dtype(params));
        let fill = op.operation().fill(0, &spec);
        program.input(name, spec, State::Batch, fill)
    });
    Ok((program, op, args))
}
