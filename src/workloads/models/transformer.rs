//! Layers of transformers.

use super::attend::{Attend, Heads};
use super::dense::{Linear, Norm};
use super::layer::{Layer, Passed, passed};
use super::net::Net;
use super::regime::{Place, Regime};
use crate::ops::{Add, BiasGelu, BiasGeluGrad, GeluForm, Op};
use crate::program::ValueId;
use crate::workloads::ParamError;

/// Two products with gelu between them.
#[derive(Clone, Copy)]
struct Feed {
    up: Linear,
    down: Linear,
    form: GeluForm,
}

impl Feed {
    /// The answer; what enters gelu, without the bias, and what leaves it.
    fn forward(self, net: &mut Net, x: ValueId) -> Result<(ValueId, [ValueId; 2]), ParamError> {
        let flat = self.up.product(net, x)?;
        let bent = net.one(Op::BiasGelu(BiasGelu { form: self.form }), &[flat, self.up.bias])?;
        Ok((self.down.forward(net, bent)?, [flat, bent]))
    }

    fn backward(
        self,
        net: &mut Net,
        x: ValueId,
        [flat, bent]: [ValueId; 2],
        dy: ValueId,
    ) -> Result<Option<ValueId>, ParamError> {
        let Some(dbent) = self.down.backward(net, bent, dy)? else { return Ok(None) };
        let op = Op::BiasGeluGrad(BiasGeluGrad { form: self.form });
        let dflat = net.one(op, &[dbent, flat, self.up.bias])?;
        self.up.backward(net, x, dflat)
    }
}

/// Where the normalisation stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// After each residual sum, as in BERT.
    Post,
    /// Before each branch, as in GPT-2.
    Pre,
}

/// What layers of a model have in common.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// Layers.
    pub(super) layers: usize,
    /// Elements between the two products.
    pub(super) hidden: usize,
    /// The formula of gelu.
    pub(super) form: GeluForm,
    /// Added to variances.
    pub(super) eps: f64,
    /// Where the normalisation stands.
    pub(super) order: Order,
}

/// A layer: attention and two products, each in a branch beside a residual sum.
#[derive(Clone, Copy)]
pub(super) struct Block {
    attend: Attend,
    feed: Feed,
    norms: [Norm; 2],
    order: Order,
}

impl Block {
    fn new(net: &mut Net, name: &str, style: &Style, heads: Heads, trained: bool) -> Self {
        let width = heads.heads * heads.depth;
        let of = |part: &str| format!("{name}.{part}");
        let attend = Attend::new(net, &of("attention"), heads, trained);
        let first = Norm::new(net, &of("norm1"), width, style.eps, trained);
        let up = Linear::new(net, &of("up"), [width, style.hidden], trained);
        let down = Linear::new(net, &of("down"), [style.hidden, width], trained);
        let second = Norm::new(net, &of("norm2"), width, style.eps, trained);
        let feed = Feed { up, down, form: style.form };
        Self { attend, feed, norms: [first, second], order: style.order }
    }

    /// y1 = norm(x + attention(x)); y = norm(y1 + feed(y1)).
    fn post(self, net: &mut Net, x: ValueId) -> Result<Passed, ParamError> {
        let Self { attend, feed, norms: [first, second], .. } = self;
        let (branch, attended) = attend.forward(net, x)?;
        let one = first.of_sum(net, branch, x)?;
        let (branch, fed) = feed.forward(net, one.y)?;
        let two = second.of_sum(net, branch, one.y)?;
        passed(two.y, move |net, dy| {
            let Some(sum) = second.backward(net, two, dy)? else { return Ok(None) };
            let branch = feed.backward(net, one.y, fed, sum)?;
            let Some(dy) = net.residual(one.y, branch, sum)? else { return Ok(None) };
            let Some(sum) = first.backward(net, one, dy)? else { return Ok(None) };
            let branch = attend.backward(net, x, attended, sum)?;
            net.residual(x, branch, sum)
        })
    }

    /// s = x + attention(norm(x)); y = s + feed(norm(s)).
    fn pre(self, net: &mut Net, x: ValueId) -> Result<Passed, ParamError> {
        let Self { attend, feed, norms: [first, second], .. } = self;
        let one = first.of(net, x)?;
        let (branch, attended) = attend.forward(net, one.y)?;
        let two = second.of_sum(net, branch, x)?;
        let (branch, fed) = feed.forward(net, two.y)?;
        let y = net.one(Op::Add(Add {}), &[branch, two.x])?;
        passed(y, move |net, dy| {
            let mut branch = feed.backward(net, two.y, fed, dy)?;
            if let Some(gradient) = branch {
                branch = second.backward(net, two, gradient)?;
            }
            let Some(sum) = net.residual(two.x, branch, dy)? else { return Ok(None) };
            let mut branch = attend.backward(net, one.y, attended, sum)?;
            if let Some(gradient) = branch {
                branch = first.backward(net, one, gradient)?;
            }
            net.residual(x, branch, sum)
        })
    }
}

impl Layer for Block {
    fn forward(&self, net: &mut Net, x: ValueId) -> Result<Passed, ParamError> {
        match self.order {
            Order::Post => self.post(net, x),
            Order::Pre => self.pre(net, x),
        }
    }

    fn is_costly(&self) -> bool {
        true
    }
}

/// Declares the parameters of all layers.
pub(super) fn blocks(net: &mut Net, style: &Style, heads: Heads, regime: &Regime) -> Vec<Block> {
    let block = |number| {
        let trained = regime.trains(Place::Layer(number, style.layers));
        Block::new(net, &format!("layer{number}"), style, heads, trained)
    };
    (0..style.layers).map(block).collect()
}

/// Declares the adapters of all layers. They stand after every other parameter, so that those have the same
/// numbers with adapters and without.
pub(super) fn adapt(net: &mut Net, blocks: &mut [Block], regime: &Regime) {
    let Some(rank) = regime.rank() else { return };
    for (number, block) in blocks.iter_mut().enumerate() {
        block.attend.adapt(net, &format!("layer{number}.attention"), rank);
    }
}

/// Declares what all layers keep of `count` tokens before.
pub(super) fn follow(net: &mut Net, blocks: &mut [Block], count: usize) {
    for (number, block) in blocks.iter_mut().enumerate() {
        block.attend.follow(net, &format!("layer{number}.attention"), count);
    }
}
