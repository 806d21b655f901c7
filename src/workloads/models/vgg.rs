//! VGG16 (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014,
//! configuration D).

use super::conv::{Conv, Pool, Rectified, Reordered};
use super::dense::{Bend, Dense, Dropped, Linear};
use super::layer::{Group, Layer, Layers, Path, assemble, of_part};
use super::net::Net;
use super::regime::{BATCH, LAST, Mode, OPTIMIZER, PARTS, Place, RECOMPUTE, Regime, mode_axis};
use super::{check_classes, of_images};
use crate::ops::Rearrange;
use crate::program::Program;
use crate::random::Fill;
use crate::tensor::DType;
use crate::workloads::{Axis, Default, ParamError, Params, Workload, int, text};
use std::rc::Rc;

/// Images to one of a thousand classes.
pub(in crate::workloads) const VGG16: Workload = Workload {
    name: "vgg16",
    about: "VGG16: inference, training, and what fine-tuning leaves of it.",
    axes: &[
        mode_axis(&["infer", "train", "last", "head", "features"]),
        BATCH,
        Axis {
            name: "image",
            about: "rows and columns of an image, a multiple of 32 up to 1024",
            default: Some(Default::Int(224)),
        },
        Axis { name: "classes", about: "classes", default: Some(Default::Int(1000)) },
        Axis {
            name: "dropout",
            about: "drop half of what enters the last two layers while training",
            default: Some(Default::OneOf(&["no", "yes"])),
        },
        LAST,
        OPTIMIZER,
        PARTS,
        RECOMPUTE,
    ],
    build,
    yields: of_images,
};

/// Extents of a model.
#[derive(Clone)]
pub(super) struct Config {
    /// Channels of the convolutions between two pools.
    pub(super) stages: Vec<Vec<usize>>,
    /// Elements of the two layers before the last.
    pub(super) hidden: usize,
    pub(super) classes: usize,
    /// Rows and columns of an image.
    pub(super) image: usize,
    pub(super) dropout: bool,
}

impl Config {
    /// Configuration D.
    pub(super) fn d(image: usize, classes: usize, dropout: bool) -> Self {
        let stages = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)];
        let stages = stages.map(|(channels, layers)| vec![channels; layers]).to_vec();
        Self { stages, hidden: 4096, classes, image, dropout }
    }

    /// Layers with weights.
    fn layers(&self) -> usize {
        self.stages.iter().map(Vec::len).sum::<usize>() + 3
    }
}

fn build(params: &Params) -> Result<Program, ParamError> {
    let image = int(params, "image");
    if !image.is_multiple_of(32) || image > 1024 {
        let why = "five pools want a multiple of 32, and 1024 is the most".to_string();
        return Err(ParamError::unusable(params, "image", why));
    }
    check_classes(params)?;
    let config = Config::d(image, int(params, "classes"), text(params, "dropout") == "yes");
    let regime = Regime::of(params, config.layers(), config.hidden)?;
    program(&config, int(params, "batch"), &regime)
}

/// Declares all parameters; the layers of each stage, and the three last ones.
fn declare(net: &mut Net, config: &Config, regime: &Regime) -> (Vec<Rc<dyn Layer>>, [Linear; 2]) {
    let layers = config.layers();
    let (mut number, mut channels, mut size) = (0, 3, config.image);
    let mut stages: Layers = vec![];
    for widths in &config.stages {
        let mut stage: Layers = vec![];
        for &width in widths {
            let trained = regime.trains(Place::Layer(number, layers));
            let conv = Conv::same(net, &format!("conv{number}"), [channels, width], size, trained);
            stage.push(Rc::new(Rectified(conv)));
            (channels, number) = (width, number + 1);
        }
        stage.push(Rc::new(Pool));
        stages.push(Rc::new(Group(stage)));
        size /= 2;
    }
    let mut linear = |from| {
        let trained = regime.trains(Place::Layer(number, layers));
        number += 1;
        Linear::new(net, &format!("fc{number}"), [from, config.hidden], trained)
    };
    let hidden = [linear(channels * size * size), linear(config.hidden)];
    (stages, hidden)
}

/// The program of `batch` images.
pub(super) fn program(config: &Config, batch: usize, regime: &Regime) -> Result<Program, ParamError> {
    let mut net = Net::new(regime.dtype);
    let part = batch / regime.parts;
    let body = (regime.mode != Mode::Features).then(|| declare(&mut net, config, regime));
    let head = Linear::new(
        &mut net,
        &format!("fc{}", config.layers()),
        [config.hidden, config.classes],
        regime.trains(Place::Head),
    );
    let (pools, channels) =
        (config.stages.len(), config.stages.last().map_or(3, |stage| stage[stage.len() - 1]));
    let size = config.image >> pools;
    assemble(net, regime, |net, number| {
        let name = |what: &str| of_part(what, number, regime.parts);
        let head: Rc<dyn Layer> = Rc::new(Dense(head, Bend::Nothing));
        let logits = [part, config.classes];
        let Some((stages, hidden)) = &body else {
            let features = Fill::Uniform { low: 0.0, high: 2.0 };
            let x = net.batch(&name("features"), &[part, config.hidden], DType::F32, features);
            return Ok(Path { x, layers: vec![head], logits });
        };
        let x = net.batch(&name("images"), &[part, 3, config.image, config.image], DType::F32, Fill::UNIT);
        let step = (config.dropout && regime.mode != Mode::Infer)
            .then(|| net.batch(&name("step"), &[1], DType::I32, Fill::Integers { low: 0, high: 1 << 20 }));
        let mut layers: Layers = stages.clone();
        let (image, row) = ([part, channels, size, size], [part, channels * size * size]);
        let elements = row[0].saturating_mul(row[1]);
        let (there, back) = (Rearrange::reshape(elements, &row), Rearrange::reshape(elements, &image));
        layers.push(Rc::new(Reordered { there, back }));
        for (seed, linear) in hidden.iter().enumerate() {
            layers.push(Rc::new(Dense(*linear, Bend::Relu)));
            if let Some(step) = step {
                let seed = (2 * number + seed) as u64;
                layers.push(Rc::new(Dropped { rate: 0.5, seed, step }));
            }
        }
        layers.push(head);
        Ok(Path { x, layers, logits })
    })
}
