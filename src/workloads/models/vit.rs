//! ViT-B/16 (Dosovitskiy and others, "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
//! 2020).

use super::attend::Heads;
use super::conv::Conv;
use super::dense::{Bend, Dense, Linear, Norm, Rows, learn_table, table};
use super::layer::{Layer, Layers, Passed, Path, assemble, of_part, passed};
use super::net::Net;
use super::regime::{
    BATCH, LAST, Mode, OPTIMIZER, PARTS, PRECISION, Place, RANK, RECOMPUTE, Regime, mode_axis,
};
use super::transformer::{Block, Order, Style, adapt, blocks};
use super::{check_classes, of_images};
use crate::ops::{Add, EmbeddingGrad, GeluForm, Op, Rearrange};
use crate::program::{Program, ValueId};
use crate::random::Fill;
use crate::tensor::DType;
use crate::workloads::{Axis, Default, ParamError, Params, Workload, int};
use std::rc::Rc;

/// Images to one of a thousand classes.
pub(in crate::workloads) const VIT: Workload = Workload {
    name: "vit",
    about: "ViT-B/16 on images of 224 x 224: inference, training, and what fine-tuning leaves of it.",
    axes: &[
        mode_axis(&["infer", "train", "last", "head", "features", "lora"]),
        BATCH,
        Axis { name: "classes", about: "classes", default: Some(Default::Int(1000)) },
        LAST,
        RANK,
        OPTIMIZER,
        PARTS,
        RECOMPUTE,
        PRECISION,
    ],
    build,
    yields: of_images,
};

/// Extents of a model.
#[derive(Clone, Copy)]
pub(super) struct Config {
    pub(super) style: Style,
    pub(super) heads: usize,
    pub(super) width: usize,
    pub(super) classes: usize,
    /// Rows and columns of an image, and of a patch of it.
    pub(super) image: usize,
    pub(super) patch: usize,
}

impl Config {
    /// B/16.
    pub(super) fn base(classes: usize) -> Self {
        let style = Style { layers: 12, hidden: 3072, form: GeluForm::Erf, eps: 1e-6, order: Order::Pre };
        Self { style, heads: 12, width: 768, classes, image: 224, patch: 16 }
    }

    /// Patches of an image.
    fn patches(&self) -> usize {
        (self.image / self.patch).pow(2)
    }
}

fn build(params: &Params) -> Result<Program, ParamError> {
    check_classes(params)?;
    let config = Config::base(int(params, "classes"));
    let regime = Regime::of(params, config.style.layers, config.width)?;
    program(&config, int(params, "batch"), &regime)
}

/// What makes tokens of images.
#[derive(Clone, Copy)]
struct Stem {
    patches: Conv,
    class: ValueId,
    positions: ValueId,
}

/// Inputs of integers: which rows of the tokens are what.
#[derive(Clone, Copy)]
struct Rowing {
    /// Rows of patches.
    patches: ValueId,
    /// The first row of each image: its class token.
    first: ValueId,
    /// Which class token an image takes: the only one.
    only: ValueId,
    /// Which position each row has.
    positions: ValueId,
}

/// A class token and the products of patches, each with its position.
struct Embedding {
    stem: Stem,
    rowing: Rowing,
    batch: usize,
    patches: usize,
    width: usize,
}

impl Embedding {
    /// From channels of patches to rows of channels.
    fn rows(&self) -> Rearrange {
        let Self { batch, patches, width, .. } = *self;
        let output = vec![batch * patches, width];
        Rearrange { split: vec![batch, width, patches], order: vec![0, 2, 1], output }
    }

    /// Back again.
    fn images(&self) -> Rearrange {
        let Self { batch, patches, width, .. } = *self;
        let side = patches.isqrt();
        let output = vec![batch, width, side, side];
        Rearrange { split: vec![batch, patches, width], order: vec![0, 2, 1], output }
    }
}

impl Layer for Embedding {
    fn forward(&self, net: &mut Net, images: ValueId) -> Result<Passed, ParamError> {
        let Self { stem, rowing, batch, patches, .. } = *self;
        let (rows, places) = (batch * (patches + 1), patches + 1);
        let spread = |net: &mut Net, x, ids| {
            let wide = net.one(Op::EmbeddingGrad(EmbeddingGrad { rows }), &[x, ids])?;
            net.cast(wide, net.dtype)
        };
        let made = stem.patches.forward(net, images)?;
        let made = net.one(Op::Rearrange(self.rows()), &[made])?;
        let made = net.cast(made, net.dtype)?;
        let made = spread(net, made, rowing.patches)?;
        let class = net.rows(stem.class, rowing.only)?;
        let class = spread(net, class, rowing.first)?;
        let both = net.one(Op::Add(Add {}), &[made, class])?;
        let position = net.rows(stem.positions, rowing.positions)?;
        let y = net.one(Op::Add(Add {}), &[both, position])?;
        let images_again = self.images();
        passed(y, move |net, dy| {
            learn_table(net, (stem.positions, places), rowing.positions, dy)?;
            let class = net.rows(dy, rowing.first)?;
            learn_table(net, (stem.class, 1), rowing.only, class)?;
            let made = net.rows(dy, rowing.patches)?;
            let made = net.one(Op::Rearrange(images_again), &[made])?;
            let made = net.cast(made, DType::F32)?;
            stem.patches.backward(net, images, made)
        })
    }
}

/// Declared parameters.
struct Model {
    stem: Stem,
    blocks: Vec<Block>,
    norm: Norm,
}

impl Model {
    fn new(net: &mut Net, config: &Config, heads: Heads, regime: &Regime) -> Self {
        let (width, below) = (config.width, regime.trains(Place::Below));
        let size = [config.patch, config.image];
        let stem = Stem {
            patches: Conv::patches(net, "patches", [3, width], size, below),
            class: table(net, "class", [1, width], below),
            positions: table(net, "positions", [config.patches() + 1, width], below),
        };
        let blocks = blocks(net, &config.style, heads, regime);
        let norm = Norm::new(net, "norm", width, config.style.eps, regime.trains(Place::Above));
        Self { stem, blocks, norm }
    }

    /// Inputs of one part, and its layers up to the normalised class token.
    fn path(
        &self,
        net: &mut Net,
        config: &Config,
        batch: usize,
        name: impl Fn(&str) -> String,
    ) -> (ValueId, Layers) {
        let patches = config.patches();
        let (each, count) = (patches as u32 + 1, patches as u32);
        let images =
            net.batch(&name("images"), &[batch, 3, config.image, config.image], DType::F32, Fill::UNIT);
        let mut ids = |what: &str, ids: usize, [first, run, stride]: [u32; 3]| {
            net.batch(&name(what), &[ids], DType::I32, Fill::Places { first, run, stride })
        };
        let rowing = Rowing {
            patches: ids("rows.patches", batch * patches, [1, count, each]),
            first: ids("rows.class", batch, [0, 1, each]),
            only: ids("class.only", batch, [0, 1, 0]),
            positions: ids("rows.positions", batch * (patches + 1), [0, each, 0]),
        };
        let embedding = Embedding { stem: self.stem, rowing, batch, patches, width: config.width };
        let mut layers: Layers = vec![Rc::new(embedding)];
        layers.extend(self.blocks.iter().map(|block| Rc::new(*block) as Rc<dyn Layer>));
        layers.push(Rc::new(Rows { ids: rowing.first, of: batch * (patches + 1) }));
        layers.push(Rc::new(self.norm));
        (images, layers)
    }
}

/// The program of `batch` images.
pub(super) fn program(config: &Config, batch: usize, regime: &Regime) -> Result<Program, ParamError> {
    let mut net = Net::new(regime.dtype);
    let (width, part) = (config.width, batch / regime.parts);
    let length = config.patches() + 1;
    let heads =
        Heads { batch: part, length, heads: config.heads, depth: width / config.heads, causal: false };
    let mut model = (regime.mode != Mode::Features).then(|| Model::new(&mut net, config, heads, regime));
    let head = Linear::new(&mut net, "head", [width, config.classes], regime.trains(Place::Head));
    if let Some(model) = &mut model {
        adapt(&mut net, &mut model.blocks, regime);
    }
    assemble(net, regime, |net, number| {
        let name = |what: &str| of_part(what, number, regime.parts);
        let (x, mut layers) = match &model {
            Some(model) => model.path(net, config, part, name),
            None => (net.batch(&name("features"), &[part, width], net.dtype, Fill::UNIT), vec![]),
        };
        layers.push(Rc::new(Dense(head, Bend::Nothing)));
        Ok(Path { x, layers, logits: [part, config.classes] })
    })
}
