//! BERT with a classifier of sentences (Devlin and others, "BERT: Pre-training of Deep Bidirectional Transformers for
//! Language Understanding", 2018), in the sizes of google-research/bert.

use super::attend::Heads;
use super::dense::{Bend, Dense, Linear, Norm, Rows, learn_table, table};
use super::layer::{Layer, Layers, Passed, Path, assemble, of_part, passed};
use super::net::Net;
use super::regime::{
    BATCH, LAST, Mode, OPTIMIZER, PARTS, PRECISION, Place, RANK, RECOMPUTE, Regime, mode_axis,
};
use super::transformer::{Block, Order, Style, adapt, blocks};
use super::{check_length, of_tokens, sequence};
use crate::ops::{Add, GeluForm, Op};
use crate::program::{Program, ValueId};
use crate::random::Fill;
use crate::tensor::DType;
use crate::workloads::{Axis, Default, ParamError, Params, Workload, int, product, text};
use std::rc::Rc;

/// Sentences to one of two classes.
pub(in crate::workloads) const BERT: Workload = Workload {
    name: "bert",
    about: "BERT with a classifier of two classes: inference, training, and what fine-tuning leaves of it.",
    axes: &[
        Axis {
            name: "size",
            about: "layers and width: tiny 2/128, mini 4/256, small 4/512, medium 8/512, base 12/768, large 24/1024, \
                    3-layer 3/768, 6-layer 6/768 as DistilBERT has",
            default: Some(Default::OneOf(&[
                "base", "tiny", "mini", "small", "medium", "large", "3-layer", "6-layer",
            ])),
        },
        mode_axis(&["infer", "train", "last", "head", "features", "lora"]),
        BATCH,
        Axis { name: "length", about: "tokens of a sequence, at most 512", default: None },
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
    pub(super) kinds: usize,
    pub(super) classes: usize,
}

impl Config {
    /// Of a size's name. Heads are 64 wide and the feed-forward layers four times the width.
    pub(super) fn of(size: &str) -> Self {
        let (layers, width) = match size {
            "tiny" => (2, 128),
            "mini" => (4, 256),
            "small" => (4, 512),
            "medium" => (8, 512),
            "large" => (24, 1024),
            "3-layer" => (3, 768),
            "6-layer" => (6, 768),
            _ => (12, 768),
        };
        let style = Style { layers, hidden: 4 * width, form: GeluForm::Erf, eps: 1e-12, order: Order::Post };
        Self { style, heads: width / 64, width, vocabulary: 30522, positions: 512, kinds: 2, classes: 2 }
    }
}

fn build(params: &Params) -> Result<Program, ParamError> {
    let config = Config::of(text(params, "size"));
    let regime = Regime::of(params, config.style.layers, config.width)?;
    product(params, &["batch", "length"])?;
    check_length(params, config.positions)?;
    program(&config, [int(params, "batch"), int(params, "length")], &regime)
}

/// Tables of the embedding: of words, positions, kinds.
#[derive(Clone, Copy)]
struct Tables {
    words: ValueId,
    positions: ValueId,
    kinds: ValueId,
    norm: Norm,
}

/// Rows of three tables, added up and normalised.
struct Embedding {
    tables: Tables,
    rows: [usize; 3],
    positions: ValueId,
    kinds: ValueId,
}

impl Layer for Embedding {
    fn forward(&self, net: &mut Net, ids: ValueId) -> Result<Passed, ParamError> {
        let Self { tables, rows, positions, kinds } = *self;
        let word = net.rows(tables.words, ids)?;
        let kind = net.rows(tables.kinds, kinds)?;
        let position = net.rows(tables.positions, positions)?;
        let both = net.one(Op::Add(Add {}), &[word, kind])?;
        let normal = tables.norm.of_sum(net, both, position)?;
        passed(normal.y, move |net, dy| {
            let Some(sum) = tables.norm.backward(net, normal, dy)? else { return Ok(None) };
            learn_table(net, (tables.words, rows[0]), ids, sum)?;
            learn_table(net, (tables.positions, rows[1]), positions, sum)?;
            learn_table(net, (tables.kinds, rows[2]), kinds, sum)?;
            Ok(None)
        })
    }
}

/// Declared parameters.
struct Model {
    tables: Tables,
    blocks: Vec<Block>,
    pooler: Linear,
}

impl Model {
    fn new(net: &mut Net, config: &Config, heads: Heads, regime: &Regime) -> Self {
        let Config { style, width, .. } = config;
        let (below, above) = (regime.trains(Place::Below), regime.trains(Place::Above));
        let mut of = |name: &str, rows| table(net, &format!("embedding.{name}"), [rows, *width], below);
        let words = of("words", config.vocabulary);
        let positions = of("positions", config.positions);
        let kinds = of("kinds", config.kinds);
        let norm = Norm::new(net, "embedding.norm", *width, style.eps, below);
        let blocks = blocks(net, style, heads, regime);
        let pooler = Linear::new(net, "pooler", [*width, *width], above);
        Self { tables: Tables { words, positions, kinds, norm }, blocks, pooler }
    }

    /// Inputs of one part, and its layers up to the pooled first token.
    fn path(
        &self,
        net: &mut Net,
        config: &Config,
        heads: Heads,
        name: impl Fn(&str) -> String,
    ) -> (ValueId, Layers) {
        let tokens = heads.batch * heads.length;
        let mut ids = |what, fill| net.batch(&name(what), &[tokens], DType::I32, fill);
        let below = |rows: usize| Fill::Integers { low: 0, high: rows as i64 - 1 };
        let words = ids("words", below(config.vocabulary));
        let kinds = ids("kinds", below(config.kinds));
        let positions = ids("positions", sequence(0, heads.length));
        let first = Fill::Places { first: 0, run: 1, stride: heads.length as u32 };
        let first = net.batch(&name("first"), &[heads.batch], DType::I32, first);
        let rows = [config.vocabulary, config.positions, config.kinds];
        let mut layers: Layers = vec![Rc::new(Embedding { tables: self.tables, rows, positions, kinds })];
        layers.extend(self.blocks.iter().map(|block| Rc::new(*block) as Rc<dyn Layer>));
        layers.push(Rc::new(Rows { ids: first, of: tokens }));
        layers.push(Rc::new(Dense(self.pooler, Bend::Tanh)));
        (words, layers)
    }
}

/// The program of `batch` sequences of `length` tokens, which the position table has.
pub(super) fn program(
    config: &Config,
    [batch, length]: [usize; 2],
    regime: &Regime,
) -> Result<Program, ParamError> {
    let mut net = Net::new(regime.dtype);
    let part = batch / regime.parts;
    let heads =
        Heads { batch: part, length, heads: config.heads, depth: config.width / config.heads, causal: false };
    let live = regime.mode != Mode::Features;
    let mut model = live.then(|| Model::new(&mut net, config, heads, regime));
    let head =
        Linear::new(&mut net, "classifier", [config.width, config.classes], regime.trains(Place::Head));
    if let Some(model) = &mut model {
        adapt(&mut net, &mut model.blocks, regime);
    }
    assemble(net, regime, |net, number| {
        let name = |what: &str| of_part(what, number, regime.parts);
        let (x, mut layers) = match &model {
            Some(model) => model.path(net, config, heads, name),
            // The pooler ends in a hyperbolic tangent.
            None => (net.batch(&name("features"), &[part, config.width], net.dtype, Fill::UNIT), vec![]),
        };
        layers.push(Rc::new(Dense(head, Bend::Nothing)));
        Ok(Path { x, layers, logits: [part, config.classes] })
    })
}
