//! GPT-2 small (Radford and others, "Language Models are Unsupervised Multitask Learners", 2019; hparams of
//! openai/gpt-2).

use super::attend::Heads;
use super::dense::{Norm, Rows, Tied, learn_table, table};
use super::layer::{Layer, Layers, Passed, Path, assemble, of_part, passed};
use super::net::Net;
use super::regime::{
    BATCH, LAST, Mode, OPTIMIZER, PARTS, PRECISION, Place, RANK, RECOMPUTE, Regime, mode_axis,
};
use super::transformer::{Order, Style, adapt, blocks, follow};
use super::{check_length, of_tokens, sequence};
use crate::ops::{Add, GeluForm, Op};
use crate::program::{Program, ValueId};
use crate::random::Fill;
use crate::tensor::DType;
use crate::workloads::{Axis, Default, ParamError, Params, Workload, int, product};
use std::rc::Rc;

/// The next token of each.
pub(in crate::workloads) const GPT2: Workload = Workload {
    name: "gpt2",
    about: "GPT-2: scores of the token after a prompt or after one more token, training, fine-tuning.",
    axes: &[
        // Its output layer is its input table: there is no head to train alone.
        mode_axis(&["infer", "decode", "train", "last", "lora"]),
        BATCH,
        Axis {
            name: "length",
            about: "tokens of a sequence, the new one of mode=decode among them, at most 1024",
            default: None,
        },
        Axis {
            name: "layers",
            about: "12 small, 24 medium, 36 large, 48 XL",
            default: Some(Default::Int(12)),
        },
        Axis {
            name: "width",
            about: "768 small, 1024 medium, 1280 large, 1600 XL: heads of 64",
            default: Some(Default::Int(768)),
        },
        LAST,
        RANK,
        OPTIMIZER,
        PARTS,
        RECOMPUTE,
        PRECISION,
    ],
    build,
    yields: of_tokens,
};

/// Extents of a model.
#[derive(Clone, Copy)]
pub(super) struct Config {
    pub(super) style: Style,
    pub(super) heads: usize,
    pub(super) width: usize,
    pub(super) vocabulary: usize,
    pub(super) positions: usize,
}

impl Config {
    /// Heads are 64 wide and the feed-forward layers four times the width.
    pub(super) fn of(layers: usize, width: usize) -> Self {
        let (form, order) = (GeluForm::Tanh, Order::Pre);
        let style = Style { layers, hidden: 4 * width, form, eps: 1e-5, order };
        Self { style, heads: width / HEAD, width, vocabulary: 50257, positions: 1024 }
    }
}

/// Width of a head.
const HEAD: usize = 64;
/// Most layers: each is many steps of the program.
const LAYERS: usize = 256;
/// Widest.
const WIDTH: usize = 1 << 16;

fn build(params: &Params) -> Result<Program, ParamError> {
    let [layers, width] = ["layers", "width"].map(|axis| int(params, axis));
    if layers > LAYERS {
        return Err(ParamError::unusable(params, "layers", format!("at most {LAYERS} are supported")));
    }
    if !width.is_multiple_of(HEAD) || width > WIDTH {
        let why = format!("a multiple of {HEAD} up to {WIDTH} is wanted");
        return Err(ParamError::unusable(params, "width", why));
    }
    let config = Config::of(layers, width);
    let regime = Regime::of(params, config.style.layers, config.width)?;
    product(params, &["batch", "length"])?;
    check_length(params, config.positions)?;
    program(&config, [int(params, "batch"), int(params, "length")], &regime)
}

/// Rows of the tables of tokens and positions, added up.
struct Embedding {
    tables: [ValueId; 2],
    rows: [usize; 2],
    positions: ValueId,
}

impl Layer for Embedding {
    fn forward(&self, net: &mut Net, ids: ValueId) -> Result<Passed, ParamError> {
        let Self { tables: [words, places], rows, positions } = *self;
        let word = net.rows(words, ids)?;
        let place = net.rows(places, positions)?;
        let y = net.one(Op::Add(Add {}), &[word, place])?;
        passed(y, move |net, dy| {
            learn_table(net, (words, rows[0]), ids, dy)?;
            learn_table(net, (places, rows[1]), positions, dy)?;
            Ok(None)
        })
    }
}

/// The program of `batch` sequences of `length` tokens, which the position table has. Inference scores the token
/// after each sequence; decoding does the same for a sequence of which all but the last token are known by the keys
/// and values that they left, and leaves its own; training, as always, scores the one after each token.
pub(super) fn program(
    config: &Config,
    [batch, length]: [usize; 2],
    regime: &Regime,
) -> Result<Program, ParamError> {
    let Config { style, width, vocabulary, positions: places, .. } = *config;
    let mut net = Net::new(regime.dtype);
    let part = batch / regime.parts;
    let decodes = regime.mode == Mode::Decode;
    let (before, length) = if decodes { (length - 1, 1) } else { (0, length) };
    let heads = Heads { batch: part, length, heads: config.heads, depth: width / config.heads, causal: true };
    let below = regime.trains(Place::Below);
    let tables = [("words", vocabulary), ("positions", places)]
        .map(|(name, rows)| table(&mut net, name, [rows, width], below));
    let mut blocks = blocks(&mut net, &style, heads, regime);
    let norm = Norm::new(&mut net, "norm", width, style.eps, regime.trains(Place::Above));
    adapt(&mut net, &mut blocks, regime);
    if decodes {
        follow(&mut net, &mut blocks, before);
    }
    assemble(net, regime, |net, number| {
        let name = |what: &str| of_part(what, number, regime.parts);
        let tokens = part * length;
        let below = Fill::Integers { low: 0, high: vocabulary as i64 - 1 };
        let x = net.batch(&name("tokens"), &[tokens], DType::I32, below);
        let positions = net.batch(&name("places"), &[tokens], DType::I32, sequence(before, length));
        let mut layers: Layers = vec![Rc::new(Embedding { tables, rows: [vocabulary, places], positions })];
        layers.extend(blocks.iter().map(|block| Rc::new(*block) as Rc<dyn Layer>));
        let last_only = regime.mode == Mode::Infer;
        if last_only {
            let last = Fill::Places { first: length as u32 - 1, run: 1, stride: length as u32 };
            let ids = net.batch(&name("last"), &[part], DType::I32, last);
            layers.push(Rc::new(Rows { ids, of: tokens }));
        }
        layers.push(Rc::new(norm));
        layers.push(Rc::new(Tied(tables[0])));
        Ok(Path { x, layers, logits: [if last_only { part } else { tokens }, vocabulary] })
    })
}
