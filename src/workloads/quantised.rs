//! Layers in 8 bits, alone and with what it takes to get there and back.

use super::matmul::{K, M, N};
use super::{Axis, DTYPE, Default, ParamError, Params, Workload, Yield, dtype, gigabyte, int, pflop, text};
use crate::ops::{BLOCK, BiasAdd, Dequantize, Gemm, GemmI8, GemmQ8, Granularity, Op, Quantize};
use crate::program::{Phase, Program, State, ValueId};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};

/// The scale that was found beforehand for numbers of [-1, 1): 127 steps on each side.
const GIVEN_SCALE: f64 = 1.0 / 127.0;

/// Type of quantised activations.
const A: Axis = Axis { name: "a", about: "type of the 8 bits", default: Some(Default::OneOf(&["u8", "i8"])) };

const MODE: Axis = Axis {
    name: "mode",
    about: "scales of the activations: computed each time, or given beforehand",
    default: Some(Default::OneOf(&["dynamic", "static"])),
};

const ACTIVATIONS: Axis = Axis {
    name: "activations",
    about: "how they enter the product: in f32, or in blocks of 8 bits as the weights are",
    default: Some(Default::OneOf(&["f32", "q8"])),
};

/// From f32 to 8 bits.
pub(super) const QUANTIZE: Workload = Workload {
    name: "quantize",
    about: "Rounds rows of f32 to 8 bits and computes the scales that lead back.",
    axes: &[
        Axis { name: "rows", about: "independent rows", default: None },
        Axis { name: "columns", about: "elements of a row", default: None },
        Axis {
            name: "per",
            about: "what shares a scale: everything, a row, 32 elements",
            default: Some(Default::OneOf(&["tensor", "row", "block"])),
        },
        MODE,
        Axis { default: Some(Default::OneOf(&["i8", "u8"])), ..A },
    ],
    build: quantize,
    yields: gigabyte,
};

/// From integer sums to f32.
pub(super) const DEQUANTIZE: Workload = Workload {
    name: "dequantize",
    about: "Scales exact 32-bit sums back to f32, by row and column, and adds a bias.",
    axes: &[
        Axis { name: "rows", about: "independent rows", default: None },
        Axis { name: "columns", about: "elements of a row", default: None },
    ],
    build: dequantize,
    yields: gigabyte,
};

/// Product with weights in blocks of 8 bits.
pub(super) const GEMM_Q8: Workload = Workload {
    name: "gemm_q8",
    about: "Product with weights of 8 bits in blocks of 32 that share an f16 scale (ggml's Q8_0).",
    axes: &[M, N, K, ACTIVATIONS],
    build: gemm_q8,
    yields: pflop,
};

/// The layer that the others are compared with.
pub(super) const LINEAR: Workload = Workload {
    name: "linear",
    about: "Linear layer y = x W + bias in floating point.",
    axes: &[M, N, K, DTYPE],
    build: linear,
    yields: token,
};

/// The same layer in int8, f32 in and out.
pub(super) const LINEAR_I8: Workload = Workload {
    name: "linear_i8",
    about: "Linear layer in int8 with f32 in and out: quantize, product, dequantize with bias.",
    axes: &[
        M,
        N,
        K,
        MODE,
        Axis {
            name: "per",
            about: "what shares a computed scale of the activations: everything, or a row",
            default: Some(Default::OneOf(&["tensor", "row"])),
        },
        Axis {
            name: "weights",
            about: "scales of the weights: one for all, or one for each column (channel)",
            default: Some(Default::OneOf(&["tensor", "channel"])),
        },
        A,
    ],
    build: linear_i8,
    yields: token,
};

/// The same layer with weights in blocks, f32 in and out.
pub(super) const LINEAR_Q8: Workload = Workload {
    name: "linear_q8",
    about: "Linear layer with weights in blocks of 8 bits, f32 in and out; activations as they are, or quantised too.",
    axes: &[M, N, K, ACTIVATIONS],
    build: linear_q8,
    yields: token,
};

/// A row of x is a token.
fn token(params: &Params, _: &Program) -> Yield {
    Yield { unit: "token".to_string(), amount: int(params, "m") as f64 }
}

/// The op that quantises activations.
fn quantizer(params: &Params) -> Quantize {
    let granularity = match text(params, "per") {
        "row" => Granularity::Row,
        "block" => Granularity::Block,
        _ => Granularity::Tensor,
    };
    let scale = (text(params, "mode") == "static").then_some(GIVEN_SCALE);
    let (zero, output) = if text(params, "a") == "u8" { (128, DType::U8) } else { (0, DType::I8) };
    Quantize { granularity, scale, zero, output }
}

/// A program under construction: a forward pass from one batch to one result.
#[derive(Default)]
struct Layer(Program);

impl Layer {
    fn batch(&mut self, name: &str, shape: &[usize], dtype: DType, fill: Fill) -> ValueId {
        self.0.input(name, ValueSpec::new(shape, dtype), State::Batch, fill)
    }

    fn parameter(&mut self, name: &str, shape: &[usize], dtype: DType, fill: Fill) -> ValueId {
        self.0.input(name, ValueSpec::new(shape, dtype), State::Parameter, fill)
    }

    /// Weights of 8 bits in blocks along k, and their scales.
    fn blocks(&mut self, [n, k]: [usize; 2]) -> [ValueId; 2] {
        let bits = Fill::Integers { low: -127, high: 127 };
        let size = weight_size(k) / 127.0;
        let scales = Fill::Uniform { low: 0.5 * size, high: 1.5 * size };
        let b = self.parameter("w", &[n, k], DType::I8, bits);
        [b, self.parameter("w_scales", &[n, k / BLOCK], DType::F16, scales)]
    }

    fn bias(&mut self, n: usize, dtype: DType) -> ValueId {
        self.parameter("bias", &[n], dtype, Fill::UNIT)
    }

    fn push(&mut self, op: Op, args: &[ValueId]) -> Result<Vec<ValueId>, ParamError> {
        Ok(self.0.push(op, args, Phase::Forward, State::Activation)?)
    }

    /// The program whose answer is `y`.
    fn returning(self, y: &[ValueId]) -> Program {
        Program { outputs: y.to_vec(), ..self.0 }
    }
}

/// Bound of uniform weights whose products with k numbers of size 1 have size 1: such a number on [-b, b)
/// has variance b^2 / 3.
fn weight_size(k: usize) -> f64 {
    (3.0 / k as f64).sqrt()
}

fn extents(params: &Params) -> [usize; 3] {
    ["m", "n", "k"].map(|axis| int(params, axis))
}

fn quantize(params: &Params) -> Result<Program, ParamError> {
    let mut layer = Layer::default();
    let x = layer.batch("x", &[int(params, "rows"), int(params, "columns")], DType::F32, Fill::UNIT);
    let q = layer.push(Op::Quantize(quantizer(params)), &[x])?;
    Ok(layer.returning(&q))
}

fn dequantize(params: &Params) -> Result<Program, ParamError> {
    let (rows, columns) = (int(params, "rows"), int(params, "columns"));
    let op = Op::Dequantize(Dequantize { bias: true });
    let mut layer = Layer::default();
    let fill = |arg, dtype| op.operation().fill(arg, &ValueSpec::new(&[], dtype));
    let args = [
        layer.batch("x", &[rows, columns], DType::I32, fill(0, DType::I32)),
        layer.batch("x_scales", &[rows], DType::F32, fill(1, DType::F32)),
        layer.parameter("w_scales", &[columns], DType::F32, fill(2, DType::F32)),
        layer.bias(columns, DType::F32),
    ];
    let y = layer.push(op, &args)?;
    Ok(layer.returning(&y))
}

fn gemm_q8(params: &Params) -> Result<Program, ParamError> {
    let [m, n, k] = extents(params);
    let quantized_a = text(params, "activations") == "q8";
    let op = Op::GemmQ8(GemmQ8 { quantized_a });
    let mut layer = Layer::default();
    let mut args = if quantized_a {
        let scales = ValueSpec::new(&[m, k / BLOCK], DType::F16);
        let fill = op.operation().fill(1, &scales);
        let bits = layer.batch("x", &[m, k], DType::I8, Fill::Integers { low: -127, high: 127 });
        vec![bits, layer.batch("x_scales", &scales.shape, DType::F16, fill)]
    } else {
        vec![layer.batch("x", &[m, k], DType::F32, Fill::UNIT)]
    };
    args.extend(layer.blocks([n, k]));
    let y = layer.push(op, &args)?;
    Ok(layer.returning(&y))
}

fn linear(params: &Params) -> Result<Program, ParamError> {
    let ([m, n, k], dtype) = (extents(params), dtype(params));
    let size = weight_size(k);
    let mut layer = Layer::default();
    let x = layer.batch("x", &[m, k], dtype, Fill::UNIT);
    let w = layer.parameter("w", &[k, n], dtype, Fill::Uniform { low: -size, high: size });
    let bias = layer.bias(n, dtype);
    let product = layer.push(Op::Gemm(Gemm::plain(dtype)), &[x, w])?;
    let y = layer.push(Op::BiasAdd(BiasAdd {}), &[product[0], bias])?;
    Ok(layer.returning(&y))
}

fn linear_i8(params: &Params) -> Result<Program, ParamError> {
    let [m, n, k] = extents(params);
    let quantize = quantizer(params);
    let product = GemmI8 { zero_a: quantize.zero, ..GemmI8::default() };
    let size = weight_size(k) / 127.0;
    let columns: &[usize] = if text(params, "weights") == "channel" { &[n] } else { &[] };
    let mut layer = Layer::default();
    let x = layer.batch("x", &[m, k], DType::F32, Fill::UNIT);
    let w = layer.parameter("w", &[k, n], DType::I8, Fill::Integers { low: -127, high: 127 });
    let of_columns = Fill::Uniform { low: 0.5 * size, high: 1.5 * size };
    let w_scales = layer.parameter("w_scales", columns, DType::F32, of_columns);
    let bias = layer.bias(n, DType::F32);
    // A scale that the op knows is one that dequantize must be told.
    let given = quantize
        .scale
        .map(|scale| layer.parameter("x_scale", &[], DType::F32, Fill::Uniform { low: scale, high: scale }));
    let q = layer.push(Op::Quantize(quantize), &[x])?;
    let sums = layer.push(Op::GemmI8(product), &[q[0], w])?;
    let x_scales = given.unwrap_or_else(|| q[1]);
    let y = layer.push(Op::Dequantize(Dequantize { bias: true }), &[sums[0], x_scales, w_scales, bias])?;
    Ok(layer.returning(&y))
}

fn linear_q8(params: &Params) -> Result<Program, ParamError> {
    let [m, n, k] = extents(params);
    let quantized_a = text(params, "activations") == "q8";
    let mut layer = Layer::default();
    let x = layer.batch("x", &[m, k], DType::F32, Fill::UNIT);
    let weights = layer.blocks([n, k]);
    let bias = layer.bias(n, DType::F32);
    let mut args = if quantized_a {
        layer.push(Op::Quantize(Quantize::dynamic(Granularity::Block)), &[x])?
    } else {
        vec![x]
    };
    args.extend(weights);
    let product = layer.push(Op::GemmQ8(GemmQ8 { quantized_a }), &args)?;
    let y = layer.push(Op::BiasAdd(BiasAdd {}), &[product[0], bias])?;
    Ok(layer.returning(&y))
}
