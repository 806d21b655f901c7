//! Matrix products.

use super::{Axis, Default, ParamError, Params, Workload, Yield, int, text};
use crate::ops::{Gemm, Op};
use crate::program::{Phase, Program, State};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};

/// Axes of a matrix product.
const GEMM_AXES: &[Axis] = &[
    Axis { name: "m", about: "rows of A", default: None },
    Axis { name: "n", about: "columns of B", default: None },
    Axis { name: "k", about: "columns of A", default: None },
    Axis { name: "batch", about: "independent products", default: Some(Default::Int(1)) },
    Axis { name: "dtype", about: "type of A and B", default: Some(Default::OneOf(&["f32", "bf16", "f16"])) },
    Axis { name: "out", about: "type of D", default: Some(Default::OneOf(&["same", "f32"])) },
    Axis {
        name: "b",
        about: "what B is: new data or weights",
        default: Some(Default::OneOf(&["batch", "parameter"])),
    },
    Axis {
        name: "trans",
        about: "operands stored transposed",
        default: Some(Default::OneOf(&["nn", "nt", "tn", "tt"])),
    },
];

/// Dense product of random matrices.
pub(super) const GEMM: Workload = Workload {
    name: "gemm",
    about: "Dense matrix product D = A B.",
    axes: GEMM_AXES,
    build: gemm,
    yields: pflop,
};

/// A PFLOP of arithmetic: what a bare kernel yields.
pub(super) fn pflop(_: &Params, program: &Program) -> Yield {
    Yield { unit: "PFLOP".to_string(), amount: program.work().flops as f64 / 1e15 }
}

fn gemm(params: &Params) -> Result<Program, ParamError> {
    let [m, n, k, batch] = ["m", "n", "k", "batch"].map(|axis| int(params, axis));
    let dtype = match text(params, "dtype") {
        "bf16" => DType::Bf16,
        "f16" => DType::F16,
        _ => DType::F32,
    };
    let output = if text(params, "out") == "f32" { DType::F32 } else { dtype };
    let (trans_a, trans_b) = (text(params, "trans").starts_with('t'), text(params, "trans").ends_with('t'));
    let lead: &[usize] = if batch > 1 { &[batch] } else { &[] };
    let shape = |rows: usize, columns: usize, transposed: bool| {
        let tail = if transposed { [columns, rows] } else { [rows, columns] };
        ValueSpec::new(&[lead, &tail].concat(), dtype)
    };
    let state = if text(params, "b") == "parameter" { State::Parameter } else { State::Batch };
    let mut program = Program::default();
    let a = program.input("a", shape(m, k, trans_a), State::Batch, Fill::natural(dtype));
    let b = program.input("b", shape(k, n, trans_b), state, Fill::natural(dtype));
    let op = Op::Gemm(Gemm { trans_a, trans_b, ..Gemm::plain(output) });
    program.outputs = program.push(op, &[a, b], Phase::Forward, State::Activation)?;
    Ok(program)
}
