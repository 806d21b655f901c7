//! A network of two layers on images of digits.

use super::dense::{Bend, Dense, Linear};
use super::layer::{Layers, Path, assemble, of_part};
use super::net::Net;
use super::of_images;
use super::regime::{BATCH, LAST, Mode, OPTIMIZER, PARTS, Place, Regime, mode_axis};
use crate::program::Program;
use crate::random::Fill;
use crate::tensor::DType;
use crate::workloads::{Axis, Default, ParamError, Workload, int};
use std::rc::Rc;

/// MNIST's pixels to its ten digits.
pub(in crate::workloads) const MLP: Workload = Workload {
    name: "mlp",
    about: "A network of two layers on images of digits: inference, training, and what fine-tuning leaves of it.",
    axes: &[
        mode_axis(&["infer", "train", "last", "head", "features"]),
        BATCH,
        Axis { name: "hidden", about: "elements between the layers", default: Some(Default::Int(128)) },
        LAST,
        OPTIMIZER,
        PARTS,
    ],
    build: |params| {
        let hidden = int(params, "hidden");
        let regime = Regime::of(params, LAYERS, hidden)?;
        program([784, hidden, 10], int(params, "batch"), &regime)
    },
    yields: of_images,
};

const LAYERS: usize = 2;

/// The program of `batch` rows through layers of these extents.
pub(super) fn program(
    [pixels, hidden, classes]: [usize; 3],
    batch: usize,
    regime: &Regime,
) -> Result<Program, ParamError> {
    let mut net = Net::new(regime.dtype);
    let part = batch / regime.parts;
    let first = (regime.mode != Mode::Features)
        .then(|| Linear::new(&mut net, "first", [pixels, hidden], regime.trains(Place::Layer(0, LAYERS))));
    let second = Linear::new(&mut net, "second", [hidden, classes], regime.trains(Place::Head));
    assemble(net, regime, |net, number| {
        let (name, columns) = if first.is_some() { ("pixels", pixels) } else { ("features", hidden) };
        let fill = Fill::Uniform { low: 0.0, high: 1.0 };
        let x = net.batch(&of_part(name, number, regime.parts), &[part, columns], DType::F32, fill);
        let mut layers: Layers = vec![];
        if let Some(first) = first {
            layers.push(Rc::new(Dense(first, Bend::Relu)));
        }
        layers.push(Rc::new(Dense(second, Bend::Nothing)));
        Ok(Path { x, layers, logits: [part, classes] })
    })
}
