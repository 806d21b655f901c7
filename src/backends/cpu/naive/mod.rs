//! Plain loops on one thread: the weak baseline that headlines are made from, and the floor.
//!
//! Each kernel is what a textbook prints: no blocking, no vectors, no threads, f32 arithmetic.

mod activations;
mod attention;
mod conv;
mod gemm;
mod gradients;
mod pool;
mod quantised;
mod rows;
mod streams;
mod update;

use super::buffer::{View, ViewMut};
use super::indices::checked;
use super::loaded::{CpuDevice, Kernel, Library};
use crate::backends::*;
use crate::ops::Op;
use crate::tensor::{DType, ValueSpec};

/// The family.
pub struct Naive;

impl Family for Naive {
    fn id(&self) -> &'static str {
        "cpu/naive"
    }

    fn devices(&self) -> Vec<Found> {
        super::host(self.id(), "plain loops of this program, one thread")
    }

    fn max_threads(&self) -> usize {
        1
    }

    fn supports(&self, lane: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        check_lane(lane)?;
        prepare(step, program).map(drop)
    }

    fn open(&self, _: &str, lane: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        check_lane(lane)?;
        Ok(Box::new(CpuDevice(Loops)))
    }
}

fn check_lane(lane: &Lane) -> Result<(), Unsupported> {
    if lane.threads != 1 || lane.packing != Packing::Plain {
        return Err(Unsupported(format!(
            "cpu/naive runs on one thread and packs nothing; {lane} was asked for"
        )));
    }
    Ok(())
}

struct Loops;

impl Library for Loops {
    fn identity(&self) -> Identity {
        Identity {
            name: "plain loops".to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            origin: "crate".to_string(),
            threads: 1,
            ..Identity::default()
        }
    }

    fn prepare(&self, step: &Step, program: &Program) -> Result<Box<dyn Kernel>, Unsupported> {
        Ok(checked(&step.op, &program.specs(&step.args), prepare(step, program)?))
    }
}

fn prepare(step: &Step, program: &Program) -> Result<Box<dyn Kernel>, Unsupported> {
    let (args, outs) = (program.specs(&step.args).into_vec(), program.specs(&step.outs));
    match &step.op {
        Op::Gemm(op) => gemm::prepare(op, &args, &outs),
        Op::GemmI8(op) => gemm::prepare_i8(op, &args),
        Op::GemmQ8(op) => Ok(quantised::gemm_q8(op, args)),
        Op::Conv2d(op) => conv::prepare(op, args),
        Op::Quantize(op) => Ok(quantised::quantize(op, args)),
        Op::Dequantize(op) => Ok(quantised::dequantize(op, args)),
        Op::Copy(_) => Ok(Plain::boxed((), args, 0, streams::copy)),
        Op::Triad(op) => streams::triad(op, args),
        Op::Add(op) => streams::add(op, args),
        Op::BiasAdd(op) => streams::bias_add(op, args),
        Op::Gelu(op) => streams::gelu(op, args),
        Op::BiasGelu(op) => streams::bias_gelu(op, args),
        Op::Softmax(op) => rows::softmax(op, args),
        Op::LayerNorm(op) => rows::layer_norm(op, args),
        Op::AddLayerNorm(op) => rows::add_layer_norm(op, args),
        Op::Attention(op) => attention::prepare(op, args),
        Op::Adamw(op) => update::adamw(op, &args),
        Op::SgdMomentum(op) => update::sgd_momentum(op, &args),
        _ => prepare_training(step, args),
    }
}

/// The ops that only training needs.
fn prepare_training(step: &Step, args: Vec<ValueSpec>) -> Result<Box<dyn Kernel>, Unsupported> {
    match &step.op {
        Op::Relu(op) => activations::relu(op, args),
        Op::BiasRelu(op) => activations::bias_relu(op, args),
        Op::ReluGrad(op) => activations::relu_grad(op, args),
        Op::Tanh(op) => activations::tanh(op, args),
        Op::TanhGrad(op) => activations::tanh_grad(op, args),
        Op::GeluGrad(op) => activations::gelu_grad(op, args),
        Op::BiasGeluGrad(op) => activations::bias_gelu_grad(op, args),
        Op::Scale(op) => activations::scale(op, args),
        Op::Cast(op) => activations::cast(op, args),
        Op::Dropout(op) => activations::dropout(op, args),
        Op::ColumnSum(op) => gradients::column_sum(op, args),
        Op::ChannelSum(op) => gradients::channel_sum(op, args),
        Op::Embedding(op) => gradients::embedding(op, args),
        Op::EmbeddingGrad(op) => gradients::embedding_grad(op, args),
        Op::CrossEntropy(op) => gradients::cross_entropy(op, args),
        Op::CrossEntropyGrad(op) => gradients::cross_entropy_grad(op, args),
        Op::SoftmaxGrad(op) => gradients::softmax_grad(op, args),
        Op::LayerNormGrad(op) => gradients::layer_norm_grad(op, args),
        Op::LayerNormParamGrad(op) => gradients::layer_norm_param_grad(op, args),
        Op::AttentionGrad(op) => attention::prepare_grad(op, args),
        Op::Conv2dInputGrad(op) => conv::prepare_input_grad(op, args),
        Op::Conv2dWeightGrad(op) => conv::prepare_weight_grad(op, args),
        Op::MaxPool(op) => pool::max_pool(op, args),
        Op::MaxPoolGrad(op) => pool::max_pool_grad(op, args),
        Op::Rearrange(op) => rows::rearrange(op, args),
        Op::PutRows(op) => rows::put_rows(op, args),
        #[allow(unreachable_patterns, reason = "a new op need not touch every backend")]
        other => Err(Unsupported(format!("cpu/naive has no {}", other.operation().name()))),
    }
}

/// What a kernel gets beside its data.
struct Call<'a, O> {
    op: &'a O,
    /// Specs of the arguments.
    specs: &'a [ValueSpec],
    scratch: &'a mut [f32],
}

type Run<O> = fn(Call<O>, &[View], &mut [ViewMut]);

/// A loop over whole arguments.
struct Plain<O> {
    op: O,
    specs: Vec<ValueSpec>,
    scratch: Vec<f32>,
    run: Run<O>,
}

impl<O: 'static> Plain<O> {
    fn boxed(op: O, specs: Vec<ValueSpec>, scratch: usize, run: Run<O>) -> Box<dyn Kernel> {
        Box::new(Self { op, specs, scratch: vec![0.0; scratch], run })
    }

    /// The instance for the type of the first argument.
    fn by_type(
        op: O,
        specs: Vec<ValueSpec>,
        scratch: usize,
        [f32, bf16, f16]: [Run<O>; 3],
    ) -> Result<Box<dyn Kernel>, Unsupported> {
        let run = match specs[0].dtype {
            DType::F32 => f32,
            DType::Bf16 => bf16,
            DType::F16 => f16,
            other => return Err(Unsupported(format!("cpu/naive computes this op not on {}", other.name()))),
        };
        Ok(Self::boxed(op, specs, scratch, run))
    }
}

impl<O> Kernel for Plain<O> {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let call = Call { op: &self.op, specs: &self.specs, scratch: &mut self.scratch };
        (self.run)(call, args, outs);
        Ok(())
    }

    fn workspace(&self) -> Result<u64, Fault> {
        Ok(4 * self.scratch.len() as u64)
    }
}
