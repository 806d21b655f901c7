//! This program's own kernels: one source for each, compiled for AVX-512, AVX2 and plain code and
//! chosen when the program runs, on one pool of exactly as many threads as the lane has.

mod activations;
mod attention;
mod conv;
mod gemm;
mod gemv;
mod pool;
mod q8;
mod rows;
mod scratch;
mod streams;
mod update;

use super::indices::checked;
use super::isa::Isa;
use super::loaded::{CpuDevice, Kernel, Library, is_packable};
use super::pool::Pool;
use crate::backends::*;
use crate::host::{self, Facts};
use crate::ops::Op;
use crate::tensor::ValueSpec;
use scratch::{Scratches, SharedScratch};
use std::rc::Rc;

/// Environment variable: the share of their work that products, element-wise ops and AdamW steps do a second
/// time, e.g. `0.05`, in the backend `cpu/native/extra-work` that it brings. The answers stay the same; a
/// comparison must call it slower.
pub const EXTRA_WORK: &str = "CUTGPU_EXTRA_WORK";

/// The backend that does extra work.
const SLOW: &str = "cpu/native/extra-work";

/// The family.
pub struct Native;

impl Family for Native {
    fn id(&self) -> &'static str {
        "cpu/native"
    }

    fn devices(&self) -> Vec<Found> {
        let mut devices = super::host(self.id(), "this program's own kernels");
        if std::env::var_os(EXTRA_WORK).is_some() {
            devices.extend(super::host(SLOW, "the same, with extra work in some kernels"));
        }
        devices
    }

    fn packings(&self) -> &'static [Packing] {
        &[Packing::Packed, Packing::Plain]
    }

    fn supports(&self, lane: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        check_lane(lane)?;
        let (pool, extra) = (Rc::new(Pool::alone()), Extra(0.0));
        let (isa, packing) = (Isa::PORTABLE, lane.packing);
        let team = Team { scratches: Scratches::new(0), pool, isa, packing, extra, facts: None };
        prepare(&team, step, program).map(drop)
    }

    fn open(&self, backend: &str, lane: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        check_lane(lane)?;
        let pool = Pool::new(lane.threads)
            .map_err(|error| Unsupported(format!("cannot start {} threads: {error}", lane.threads)))?;
        let facts = host::facts();
        let isa = Isa::chosen()?;
        let extra = if backend == SLOW { Extra::from_environment()? } else { Extra(0.0) };
        let (pool, packing, facts) = (Rc::new(pool), lane.packing, Some(Rc::new(facts)));
        let team = Team { scratches: Scratches::new(pool.threads()), pool, isa, packing, extra, facts };
        Ok(Box::new(CpuDevice(Kernels { team })))
    }
}

fn check_lane(lane: &Lane) -> Result<(), Unsupported> {
    if lane.threads == 0 {
        return Err(Unsupported(format!("cpu/native has no lane {lane}: it needs a thread")));
    }
    Ok(())
}

/// Who computes, and how.
#[derive(Clone)]
struct Team {
    pool: Rc<Pool>,
    isa: Isa,
    packing: Packing,
    extra: Extra,
    /// The machine; none where only is asked what there is: nothing will be computed then, and nothing is
    /// allocated for it.
    facts: Option<Rc<Facts>>,
    /// Memory that the steps of a load have in common.
    scratches: Rc<Scratches>,
}

impl Team {
    /// Buffers of `lens` f32 for each thread.
    fn scratch(&self, lens: &[usize]) -> SharedScratch {
        self.scratches.ask(lens, 0)
    }

    /// Whether `bytes` are more than the last level of cache holds, as far as it is known.
    fn exceeds_caches(&self, bytes: u64) -> bool {
        let last = self.facts.as_ref().and_then(|facts| facts.last_level_bytes());
        last.is_some_and(|last| bytes > last.0)
    }

    /// Bytes of a core's first cache, if known.
    fn first_cache(&self) -> Option<usize> {
        usize::try_from(self.facts.as_ref()?.cache(1)?.bytes.0).ok()
    }

    /// What multiplies this kind of words.
    fn engine(&self, arithmetic: gemm::Arithmetic) -> Result<gemm::Engine, Unsupported> {
        let isa = self.isa;
        let absent =
            || Unsupported(format!("cpu/native has no products of {arithmetic:?} on {}", isa.name()));
        Ok(self.engine_of(gemm::kernels(isa, arithmetic).ok_or_else(absent)?))
    }

    /// What multiplies f32 by wide tiles, where the processor has registers for them. It takes an A that lies
    /// in memory.
    fn wide_engine(&self) -> Option<gemm::Engine> {
        gemm::wide_kernels(self.isa).map(|kernels| self.engine_of(kernels))
    }

    fn engine_of(&self, kernels: gemm::Kernels) -> gemm::Engine {
        let blocks = match &self.facts {
            Some(facts) => gemm::Blocks::of(facts, &kernels),
            None => gemm::Blocks::usual(&kernels),
        };
        gemm::Engine { isa: self.isa, kernels, blocks: blocks.shared_by(self.pool.threads()) }
    }
}

/// The share of the rows that is computed a second time.
#[derive(Clone, Copy, Debug)]
struct Extra(f64);

impl Extra {
    fn from_environment() -> Result<Self, Unsupported> {
        let Ok(text) = std::env::var(EXTRA_WORK) else { return Ok(Self(0.0)) };
        match text.parse() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Self(share)),
            _ => Err(Unsupported(format!("{EXTRA_WORK} is `{text}`; a share from 0 to 1 is wanted"))),
        }
    }

    /// How many of `rows`.
    fn of(self, rows: usize) -> usize {
        (rows as f64 * self.0).round() as usize
    }
}

struct Kernels {
    team: Team,
}

impl Library for Kernels {
    fn identity(&self) -> Identity {
        let isa = self.team.isa;
        let told = [("isa", isa.name())].into_iter().chain(isa.narrow_instructions());
        let mut notes: BTreeMap<_, _> =
            told.map(|(note, text)| (note.to_string(), text.to_string())).collect();
        if isa.has_tiles() {
            let unit = "large products: tdpbf16ps (AMX), in three limbs of bf16; else multiply-adds";
            notes.insert(F32_UNIT.to_string(), unit.to_string());
        }
        let cores: Vec<String> = self.team.pool.cores().iter().map(usize::to_string).collect();
        if !cores.is_empty() {
            notes.insert("processors".to_string(), cores.join(","));
        }
        if self.team.extra.0 > 0.0 {
            notes.insert("extra_work".to_string(), self.team.extra.0.to_string());
        }
        Identity {
            name: "cutgpu kernels".to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            origin: "crate".to_string(),
            threads: self.team.pool.threads(),
            notes,
            ..Identity::default()
        }
    }

    fn prepare(&self, step: &Step, program: &Program) -> Result<Box<dyn Kernel>, Unsupported> {
        let kernel = prepare(&self.team, step, program)?;
        Ok(checked(&step.op, &program.specs(&step.args), kernel))
    }
}

fn prepare(team: &Team, step: &Step, program: &Program) -> Result<Box<dyn Kernel>, Unsupported> {
    let args = program.specs(&step.args);
    let packs = || team.packing == Packing::Packed && is_packable(program, step.args[1]);
    match &step.op {
        Op::Gemm(op) => gemm::prepare(team, op, &args, packs()),
        Op::GemmI8(op) => gemm::prepare_i8(team, op, &args, packs()),
        Op::Quantize(op) => rows::quantize(team, op, &args[0]),
        Op::Dequantize(op) => rows::dequantize(team, op, &args),
        Op::GemmQ8(op) => q8::prepare(team, op, &args),
        Op::Copy(_) => streams::copy(team, &args[0]),
        Op::Triad(op) => streams::triad(team, op, &args[0]),
        Op::Add(_) => streams::add(team, &args[0]),
        Op::BiasAdd(_) => streams::bias_add(team, &args),
        Op::Gelu(op) => streams::gelu(team, op.form, &args[0]),
        Op::BiasGelu(op) => streams::bias_gelu(team, op.form, &args),
        Op::Softmax(op) => rows::softmax(team, op, &args[0]),
        Op::LayerNorm(op) => rows::layer_norm(team, op, &args[0]),
        Op::AddLayerNorm(op) => rows::add_layer_norm(team, op, &args[0]),
        Op::Conv2d(op) => conv::prepare(team, op, &args, packs()),
        Op::Attention(op) => attention::prepare(team, op, &args),
        Op::Adamw(op) => update::adamw(team, op, &args),
        Op::SgdMomentum(op) => update::sgd_momentum(team, op, &args),
        _ => prepare_training(team, step, &args),
    }
}

/// The ops that only training needs.
fn prepare_training(team: &Team, step: &Step, args: &[ValueSpec]) -> Result<Box<dyn Kernel>, Unsupported> {
    match &step.op {
        Op::Relu(_) => activations::relu(team, &args[0]),
        Op::BiasRelu(_) => activations::bias_relu(team, args),
        Op::ReluGrad(_) => activations::relu_grad(team, &args[0]),
        Op::Tanh(_) => activations::tanh(team, &args[0]),
        Op::TanhGrad(_) => activations::tanh_grad(team, &args[0]),
        Op::GeluGrad(op) => activations::gelu_grad(team, op.form, &args[0]),
        Op::BiasGeluGrad(op) => activations::bias_gelu_grad(team, op.form, &args[0]),
        Op::Scale(op) => activations::scale(team, op, &args[0]),
        Op::Cast(op) => activations::cast(team, args[0].dtype, op.output, &args[0]),
        Op::Dropout(op) => activations::dropout(team, op, &args[0]),
        Op::ColumnSum(op) => rows::column_sum(team, op, &args[0]),
        Op::ChannelSum(op) => rows::channel_sum(team, op, &args[0]),
        Op::Embedding(op) => rows::embedding(team, op, &args[0]),
        Op::EmbeddingGrad(op) => rows::embedding_grad(team, op, &args[0]),
        Op::CrossEntropy(op) => rows::cross_entropy(team, op, &args[0]),
        Op::CrossEntropyGrad(op) => rows::cross_entropy_grad(team, op, &args[0]),
        Op::SoftmaxGrad(op) => rows::softmax_grad(team, op, args),
        Op::LayerNormGrad(op) => rows::layer_norm_grad(team, op, &args[1]),
        Op::LayerNormParamGrad(op) => rows::layer_norm_param_grad(team, op, &args[1]),
        Op::AttentionGrad(op) => attention::prepare_grad(team, op, args),
        Op::Conv2dInputGrad(op) => conv::prepare_input_grad(team, op, args),
        Op::Conv2dWeightGrad(op) => conv::prepare_weight_grad(team, op, args),
        Op::MaxPool(op) => pool::max_pool(team, op, &args[0]),
        Op::MaxPoolGrad(op) => pool::max_pool_grad(team, op, &args[1]),
        Op::Rearrange(op) => rows::rearrange(team, op, args),
        Op::PutRows(op) => rows::put_rows(team, op, args),
        #[allow(unreachable_patterns, reason = "a new op need not touch every backend")]
        other => Err(Unsupported(format!("cpu/native has no {}", other.operation().name()))),
    }
}
