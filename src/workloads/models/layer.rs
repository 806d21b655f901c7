//! Layers one above the other: forward, and back in reverse.

use super::net::Net;
use super::regime::Regime;
use crate::ops::{CrossEntropy, CrossEntropyGrad, Op, Operation};
use crate::program::{Program, ValueId};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use crate::workloads::ParamError;
use std::rc::Rc;

/// What a layer does with the gradient of its answer: it notes those of its parameters, and gives that of its
/// argument where the argument moves.
pub(super) type Back = Box<dyn FnOnce(&mut Net, ValueId) -> Result<Option<ValueId>, ParamError>>;

/// A layer's answer, and the way back. What the way back needs of the forward pass it holds by its ids.
pub(super) struct Passed {
    pub(super) y: ValueId,
    pub(super) back: Back,
}

/// A layer's answer and its way back.
pub(super) fn passed(
    y: ValueId,
    back: impl FnOnce(&mut Net, ValueId) -> Result<Option<ValueId>, ParamError> + 'static,
) -> Result<Passed, ParamError> {
    Ok(Passed { y, back: Box::new(back) })
}

/// A layer whose parameters are declared.
pub(super) trait Layer {
    /// Appends the steps from x to the answer.
    fn forward(&self, net: &mut Net, x: ValueId) -> Result<Passed, ParamError>;

    /// Whether its insides are worth computing once more where memory is short.
    fn is_costly(&self) -> bool {
        false
    }
}

/// Layers in the order of the forward pass.
pub(super) type Layers = Vec<Rc<dyn Layer>>;

/// Several layers as one that is computed once more as a whole.
pub(super) struct Group(pub(super) Layers);

impl Layer for Group {
    fn forward(&self, net: &mut Net, x: ValueId) -> Result<Passed, ParamError> {
        let (y, backs) = up(net, &self.0, x, false)?;
        passed(y, move |net, dy| down(net, backs, dy))
    }

    fn is_costly(&self) -> bool {
        true
    }
}

/// Appends the forward pass of all layers.
fn up(
    net: &mut Net,
    layers: &[Rc<dyn Layer>],
    x: ValueId,
    recompute: bool,
) -> Result<(ValueId, Vec<Back>), ParamError> {
    let (mut x, mut backs) = (x, vec![]);
    for layer in layers {
        let Passed { y, back } = layer.forward(net, x)?;
        backs.push(if recompute && layer.is_costly() { once_more(layer.clone(), x) } else { back });
        x = y;
    }
    Ok((x, backs))
}

/// The way back through a layer of which only the argument was kept.
fn once_more(layer: Rc<dyn Layer>, x: ValueId) -> Back {
    Box::new(move |net, dy| {
        let passed = net.again(|net| layer.forward(net, x))?;
        (passed.back)(net, dy)
    })
}

/// Appends the backward pass from the top down to where nothing moves.
fn down(net: &mut Net, backs: Vec<Back>, dy: ValueId) -> Result<Option<ValueId>, ParamError> {
    let mut dy = Some(dy);
    for back in backs.into_iter().rev() {
        let Some(gradient) = dy else { break };
        dy = back(net, gradient)?;
    }
    Ok(dy)
}

/// What one part of a batch goes through.
pub(super) struct Path {
    /// What goes into the first layer.
    pub(super) x: ValueId,
    /// Layers, the last of which answers with logits.
    pub(super) layers: Layers,
    /// Rows and classes of the logits.
    pub(super) logits: [usize; 2],
}

/// The program of a model in a regime. `path` declares the inputs of a part of the batch, by its number. Inference
/// returns the logits, training the losses of all rows; their mean is what the gradients are of.
pub(super) fn assemble(
    mut net: Net,
    regime: &Regime,
    path: impl Fn(&mut Net, usize) -> Result<Path, ParamError>,
) -> Result<Program, ParamError> {
    for part in 0..regime.parts {
        let path = path(&mut net, part)?;
        net.turn(false);
        if regime.only_answers() {
            let (logits, _) = up(&mut net, &path.layers, path.x, false)?;
            net.name(logits, &of_part("logits", part, regime.parts));
            net.output(logits);
        } else {
            learn(&mut net, regime, part, path)?;
        }
    }
    net.update(regime.optimizer)?;
    Ok(net.finish())
}

/// Forward pass, loss and backward pass of one part.
fn learn(net: &mut Net, regime: &Regime, part: usize, path: Path) -> Result<(), ParamError> {
    let labels = labels(net, &of_part("labels", part, regime.parts), path.logits);
    let (logits, backs) = up(net, &path.layers, path.x, regime.recompute)?;
    let rows = path.logits[0];
    let made = net.push(Op::CrossEntropy(CrossEntropy {}), &[logits, labels])?;
    net.name(made[0], &of_part("losses", part, regime.parts));
    net.output(made[0]);
    net.turn(true);
    let scale = 1.0 / (rows * regime.parts) as f64;
    let dy = net.one(Op::CrossEntropyGrad(CrossEntropyGrad { scale }), &[logits, labels, made[1]])?;
    down(net, backs, dy)?;
    Ok(())
}

/// The input of labels. It stands before all steps, so that inputs have the same numbers in every regime.
fn labels(net: &mut Net, name: &str, [rows, classes]: [usize; 2]) -> ValueId {
    let specs = [ValueSpec::new(&[rows, classes], DType::F32), ValueSpec::new(&[rows], DType::I32)];
    // A label of -1 is not counted; here all are.
    let high = CrossEntropy {}.indices(&specs, 1).map_or(0, |[_, high]| high);
    net.batch(name, &[rows], DType::I32, Fill::Integers { low: 0, high })
}

/// The name of a value of one of several parts.
pub(super) fn of_part(name: &str, part: usize, parts: usize) -> String {
    if parts == 1 { name.to_string() } else { format!("{name}.{part}") }
}
