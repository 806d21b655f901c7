//! Programs of several ops.

use super::layers::{FORM, form};
use super::memory::update;
use super::{Axis, DTYPE, Default, ParamError, Params, Workload, Yield, dtype, int, product};
use crate::ops::{Adamw, Add, BiasAdd, BiasGelu, Gemm, LayerNorm, Op};
use crate::program::{Phase, Program, State, ValueId};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};

/// The feed-forward half of a transformer layer.
pub(super) const MLP_BLOCK: Workload = Workload {
    name: "mlp_block",
    about: "Feed-forward block: layer norm, product, bias and gelu, product, bias, residual sum.",
    axes: &[
        Axis { name: "tokens", about: "rows", default: None },
        Axis { name: "width", about: "elements of a token", default: None },
        Axis { name: "ratio", about: "hidden width over width", default: Some(Default::Int(4)) },
        DTYPE,
        FORM,
    ],
    build: mlp_block,
    yields: |params, _| Yield { unit: "token".to_string(), amount: int(params, "tokens") as f64 },
};

/// The optimizer's share of a training step.
pub(super) const UPDATE_STEP: Workload = Workload {
    name: "update_step",
    about: "AdamW on every weight and bias of a stack of square layers, carried from step to step.",
    axes: &[
        Axis { name: "layers", about: "layers, a weight and a bias each", default: None },
        Axis { name: "width", about: "rows and columns of a weight", default: None },
    ],
    build: update_step,
    yields: |_, _| Yield { unit: "step".to_string(), amount: 1.0 },
};

/// A program under construction, forward steps only.
struct Forward(Program);

impl Forward {
    fn parameter(&mut self, name: &str, shape: &[usize], dtype: DType, fill: Fill) -> ValueId {
        self.0.input(name, ValueSpec::new(shape, dtype), State::Parameter, fill)
    }

    /// A weight whose products with numbers of size 1 have size 1.
    fn weight(&mut self, name: &str, [rows, columns]: [usize; 2], dtype: DType) -> ValueId {
        // A uniform number on [-b, b) has variance b^2 / 3.
        let bound = (3.0 / rows as f64).sqrt();
        self.parameter(name, &[rows, columns], dtype, Fill::Uniform { low: -bound, high: bound })
    }

    fn push(&mut self, op: Op, args: &[ValueId]) -> Result<ValueId, ParamError> {
        Ok(self.0.push(op, args, Phase::Forward, State::Activation)?[0])
    }
}

fn mlp_block(params: &Params) -> Result<Program, ParamError> {
    let (tokens, width, dtype) = (int(params, "tokens"), int(params, "width"), dtype(params));
    let hidden = product(params, &["width", "ratio"])?;
    let mut block = Forward(Program::default());
    let norm = LayerNorm { eps: 1e-5 };
    let x = block.0.input("x", ValueSpec::new(&[tokens, width], dtype), State::Batch, Fill::UNIT);
    let gain = block.parameter("gain", &[width], dtype, Fill::Uniform { low: 0.5, high: 1.5 });
    let shift = block.parameter("shift", &[width], dtype, Fill::UNIT);
    let up = block.weight("up", [width, hidden], dtype);
    let up_bias = block.parameter("up_bias", &[hidden], dtype, Fill::UNIT);
    let down = block.weight("down", [hidden, width], dtype);
    let down_bias = block.parameter("down_bias", &[width], dtype, Fill::UNIT);
    let normal = block.push(Op::LayerNorm(norm), &[x, gain, shift])?;
    let raised = block.push(Op::Gemm(Gemm::plain(dtype)), &[normal, up])?;
    let bent = block.push(Op::BiasGelu(BiasGelu { form: form(params) }), &[raised, up_bias])?;
    let lowered = block.push(Op::Gemm(Gemm::plain(dtype)), &[bent, down])?;
    let shifted = block.push(Op::BiasAdd(BiasAdd {}), &[lowered, down_bias])?;
    let y = block.push(Op::Add(Add {}), &[shifted, x])?;
    let mut program = block.0;
    program.mark(y, "y", State::Activation);
    program.outputs = vec![y];
    Ok(program)
}

fn update_step(params: &Params) -> Result<Program, ParamError> {
    // Each parameter is seven values: a program is data that crosses to every worker.
    const LAYERS: usize = 1000;
    let (layers, width) = (int(params, "layers"), int(params, "width"));
    if layers > LAYERS {
        return Err(ParamError::unusable(params, "layers", format!("at most {LAYERS} are supported")));
    }
    let mut program = Program::default();
    for layer in 0..layers {
        for (name, shape) in [("weight", vec![width, width]), ("bias", vec![width])] {
            let spec = ValueSpec::new(&shape, DType::F32);
            update(&mut program, &format!("{name}{layer}."), Op::Adamw(Adamw::default()), spec)?;
        }
    }
    Ok(program)
}
