//! Matrix products.

use super::{Axis, Default, ParamError, Params, Workload, dtype, int, pflop, text};
use crate::ops::{Factors, Gemm, GemmI8, Op};
use crate::program::{Phase, Program, State, ValueId};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};

pub(super) const M: Axis = Axis { name: "m", about: "rows of A", default: None };
pub(super) const N: Axis = Axis { name: "n", about: "columns of B", default: None };
pub(super) const K: Axis = Axis { name: "k", about: "columns of A", default: None };
const BATCH: Axis = Axis { name: "batch", about: "independent products", default: Some(Default::Int(1)) };
const B: Axis = Axis {
    name: "b",
    about: "what B is: new data in each product, or weights shared by them",
    default: Some(Default::OneOf(&["batch", "parameter"])),
};
const TRANS: Axis = Axis {
    name: "trans",
    about: "operands stored transposed",
    default: Some(Default::OneOf(&["nn", "nt", "tn", "tt"])),
};

/// Dense product of random matrices.
pub(super) const GEMM: Workload = Workload {
    name: "gemm",
    about: "Dense matrix product D = A B, or A B + C.",
    axes: &[
        M,
        N,
        K,
        BATCH,
        Axis {
            name: "dtype",
            about: "element type; tf32 is f32 whose factors may lose bits, f8e4m3 is OCP's 8 bits",
            default: Some(Default::OneOf(&["f32", "bf16", "f16", "tf32", "f8e4m3"])),
        },
        Axis {
            name: "out",
            about: "type of D: that of A and B (bf16 for 8 bits), or f32",
            default: Some(Default::OneOf(&["same", "f32"])),
        },
        Axis {
            name: "accumulate",
            about: "type that products are added up in: f32, or that of A and B",
            default: Some(Default::OneOf(&["f32", "same"])),
        },
        B,
        TRANS,
        Axis { name: "beta", about: "factor of C", default: Some(Default::OneOf(&["0", "1"])) },
    ],
    build: gemm,
    yields: pflop,
};

/// Product of random 8-bit matrices, as quantised models multiply.
pub(super) const GEMM_I8: Workload = Workload {
    name: "gemm_i8",
    about: "Matrix product of 8-bit integers with exact 32-bit sums.",
    axes: &[
        M,
        N,
        K,
        BATCH,
        Axis { name: "a", about: "type of A; B is i8", default: Some(Default::OneOf(&["u8", "i8"])) },
        Axis {
            name: "zero",
            about: "zero points: none, of A (128 for u8, 3 for i8), or of both (B's is -5)",
            default: Some(Default::OneOf(&["none", "a", "ab"])),
        },
        B,
        TRANS,
    ],
    build: gemm_i8,
    yields: pflop,
};

/// The stored operands, with a batch axis where there is more than one product.
struct Operands {
    program: Program,
    a: ValueId,
    b: ValueId,
    trans_a: bool,
    trans_b: bool,
}

fn operands(params: &Params, types: [DType; 2]) -> Operands {
    let [m, n, k, batch] = ["m", "n", "k", "batch"].map(|axis| int(params, axis));
    let (trans_a, trans_b) = (text(params, "trans").starts_with('t'), text(params, "trans").ends_with('t'));
    let lead: &[usize] = if batch > 1 { &[batch] } else { &[] };
    let spec = |lead: &[usize], [rows, columns]: [usize; 2], transposed, dtype| {
        let tail = if transposed { [columns, rows] } else { [rows, columns] };
        ValueSpec::new(&[lead, &tail].concat(), dtype)
    };
    let weights = text(params, "b") == "parameter";
    let (lead_b, state) = if weights { (&[][..], State::Parameter) } else { (lead, State::Batch) };
    let mut program = Program::default();
    let [fill_a, fill_b] = types.map(Fill::natural);
    let a = program.input("a", spec(lead, [m, k], trans_a, types[0]), State::Batch, fill_a);
    let b = program.input("b", spec(lead_b, [k, n], trans_b, types[1]), state, fill_b);
    Operands { program, a, b, trans_a, trans_b }
}

fn gemm(params: &Params) -> Result<Program, ParamError> {
    let is_byte = text(params, "dtype") == "f8e4m3";
    let (dtype, wide) = if is_byte { (DType::F8e4m3, DType::Bf16) } else { (dtype(params), dtype(params)) };
    let or_f32 = |axis, other| if text(params, axis) == "f32" { DType::F32 } else { other };
    let Operands { mut program, a, b, trans_a, trans_b } = operands(params, [dtype; 2]);
    let factors = if text(params, "dtype") == "tf32" { Factors::Tf32 } else { Factors::Exact };
    let accumulate = or_f32("accumulate", dtype);
    let plain = Gemm { trans_a, trans_b, accumulate, factors, ..Gemm::plain(or_f32("out", wide)) };
    let mut args = vec![a, b];
    let mut op = plain.clone();
    if text(params, "beta") == "1" {
        let [a, b] = [a, b].map(|id| program.values[id].spec.clone());
        let d = crate::ops::Operation::outputs(&plain, &[a, b])?.remove(0);
        let fill = Fill::natural(d.dtype);
        args.push(program.input("c", d, State::Batch, fill));
        op.beta = 1.0;
    }
    program.outputs = program.push(Op::Gemm(op), &args, Phase::Forward, State::Activation)?;
    Ok(program)
}

fn gemm_i8(params: &Params) -> Result<Program, ParamError> {
    let type_of_a = if text(params, "a") == "i8" { DType::I8 } else { DType::U8 };
    let Operands { mut program, a, b, trans_a, trans_b } = operands(params, [type_of_a, DType::I8]);
    let zero = text(params, "zero");
    let zero_a = match (zero, type_of_a) {
        ("none", _) => 0,
        (_, DType::U8) => 128,
        _ => 3,
    };
    let op = GemmI8 { trans_a, trans_b, zero_a, zero_b: if zero == "ab" { -5 } else { 0 } };
    program.outputs = program.push(Op::GemmI8(op), &[a, b], Phase::Forward, State::Activation)?;
    Ok(program)
}
