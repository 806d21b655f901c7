//! Layers on rows: products with a bias, normalisation, tables, dropout.

use super::layer::{Layer, Passed, passed};
use super::net::Net;
use crate::ops::{
    AddLayerNorm, BiasAdd, BiasRelu, ColumnSum, Dropout, Embedding, EmbeddingGrad, LayerNorm, LayerNormGrad,
    LayerNormParamGrad, Op, ReluGrad, Tanh, TanhGrad,
};
use crate::program::ValueId;
use crate::random::Fill;
use crate::workloads::ParamError;

/// Uniform numbers of variance `variance`.
pub(super) fn of_variance(variance: f64) -> Fill {
    // On [-b, b) they have b^2 / 3.
    let bound = (3.0 * variance).sqrt();
    Fill::Uniform { low: -bound, high: bound }
}

/// Small enough to shift an answer, not to drown it.
pub(super) const BIAS: Fill = Fill::Uniform { low: -0.1, high: 0.1 };

/// Rows of tables as language models start with them: a deviation of 0.02.
pub(super) fn table(net: &mut Net, name: &str, shape: [usize; 2], trained: bool) -> ValueId {
    net.parameter(name, &shape, of_variance(0.02 * 0.02), trained)
}

/// x W + bias with W `[in, out]`.
#[derive(Clone, Copy)]
pub(super) struct Linear {
    weight: ValueId,
    pub(super) bias: ValueId,
}

impl Linear {
    pub(super) fn new(net: &mut Net, name: &str, [from, to]: [usize; 2], trained: bool) -> Self {
        let weight = of_variance(1.0 / from as f64);
        Self {
            weight: net.parameter(&format!("{name}.weight"), &[from, to], weight, trained),
            bias: net.parameter(&format!("{name}.bias"), &[to], BIAS, trained),
        }
    }

    /// x W.
    pub(super) fn product(self, net: &mut Net, x: ValueId) -> Result<ValueId, ParamError> {
        net.product(x, self.weight)
    }

    pub(super) fn forward(self, net: &mut Net, x: ValueId) -> Result<ValueId, ParamError> {
        let product = self.product(net, x)?;
        net.one(Op::BiasAdd(BiasAdd {}), &[product, self.bias])
    }

    /// From the gradient of x W + bias.
    pub(super) fn backward(
        self,
        net: &mut Net,
        x: ValueId,
        dy: ValueId,
    ) -> Result<Option<ValueId>, ParamError> {
        if net.moves(self.bias) {
            let gradient = net.one(Op::ColumnSum(ColumnSum {}), &[dy])?;
            net.learn(self.bias, gradient)?;
        }
        if net.moves(self.weight) {
            let gradient = net.product_tn(x, dy)?;
            net.learn(self.weight, gradient)?;
        }
        if net.moves(x) { Ok(Some(net.product_nt(dy, self.weight)?)) } else { Ok(None) }
    }
}

/// What follows a product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bend {
    /// The bias alone.
    Nothing,
    /// Bias and rectifier.
    Relu,
    /// Bias and hyperbolic tangent.
    Tanh,
}

/// A product, its bias, and what follows.
#[derive(Clone, Copy)]
pub(super) struct Dense(pub(super) Linear, pub(super) Bend);

impl Layer for Dense {
    fn forward(&self, net: &mut Net, x: ValueId) -> Result<Passed, ParamError> {
        let Self(linear, bend) = *self;
        let y = match bend {
            Bend::Nothing => linear.forward(net, x)?,
            Bend::Relu => {
                let product = linear.product(net, x)?;
                net.one(Op::BiasRelu(BiasRelu {}), &[product, linear.bias])?
            }
            Bend::Tanh => {
                let flat = linear.forward(net, x)?;
                net.one(Op::Tanh(Tanh {}), &[flat])?
            }
        };
        passed(y, move |net, dy| {
            let dy = match bend {
                Bend::Nothing => dy,
                Bend::Relu => net.one(Op::ReluGrad(ReluGrad {}), &[dy, y])?,
                Bend::Tanh => net.one(Op::TanhGrad(TanhGrad {}), &[dy, y])?,
            };
            linear.backward(net, x, dy)
        })
    }
}

/// Layer normalisation, alone or of a residual sum.
#[derive(Clone, Copy)]
pub(super) struct Norm {
    gain: ValueId,
    bias: ValueId,
    eps: f64,
}

/// What was normalised, the answer, and what the way back needs.
#[derive(Clone, Copy)]
pub(super) struct Normal {
    pub(super) x: ValueId,
    pub(super) y: ValueId,
    mean: ValueId,
    rstd: ValueId,
}

impl Norm {
    pub(super) fn new(net: &mut Net, name: &str, width: usize, eps: f64, trained: bool) -> Self {
        let gain = Fill::Uniform { low: 0.5, high: 1.5 };
        Self {
            gain: net.parameter(&format!("{name}.gain"), &[width], gain, trained),
            bias: net.parameter(&format!("{name}.bias"), &[width], BIAS, trained),
            eps,
        }
    }

    pub(super) fn of(self, net: &mut Net, x: ValueId) -> Result<Normal, ParamError> {
        let op = Op::LayerNorm(LayerNorm { eps: self.eps });
        let made = net.push(op, &[x, self.gain, self.bias])?;
        Ok(Normal { x, y: made[0], mean: made[1], rstd: made[2] })
    }

    /// Of the sum of x and r.
    pub(super) fn of_sum(self, net: &mut Net, x: ValueId, r: ValueId) -> Result<Normal, ParamError> {
        let op = Op::AddLayerNorm(AddLayerNorm { eps: self.eps });
        let made = net.push(op, &[x, r, self.gain, self.bias])?;
        Ok(Normal { x: made[1], y: made[0], mean: made[2], rstd: made[3] })
    }

    /// The gradient of what was normalised.
    pub(super) fn backward(
        self,
        net: &mut Net,
        normal: Normal,
        dy: ValueId,
    ) -> Result<Option<ValueId>, ParamError> {
        let Normal { x, mean, rstd, .. } = normal;
        if net.moves(self.gain) {
            let op = Op::LayerNormParamGrad(LayerNormParamGrad {});
            let made = net.push(op, &[dy, x, mean, rstd])?;
            net.learn(self.gain, made[0])?;
            net.learn(self.bias, made[1])?;
        }
        if !net.moves(x) {
            return Ok(None);
        }
        let op = Op::LayerNormGrad(LayerNormGrad {});
        Ok(Some(net.one(op, &[dy, x, mean, rstd, self.gain])?))
    }
}

impl Layer for Norm {
    fn forward(&self, net: &mut Net, x: ValueId) -> Result<Passed, ParamError> {
        let norm = *self;
        let normal = norm.of(net, x)?;
        passed(normal.y, move |net, dy| norm.backward(net, normal, dy))
    }
}

/// Rows of x by number.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    /// Numbers of rows.
    pub(super) ids: ValueId,
    /// Rows of x.
    pub(super) of: usize,
}

impl Layer for Rows {
    fn forward(&self, net: &mut Net, x: ValueId) -> Result<Passed, ParamError> {
        let Self { ids, of } = *self;
        let y = net.one(Op::Embedding(Embedding {}), &[x, ids])?;
        passed(y, move |net, dy| match net.moves(x) {
            true => {
                let dx = net.one(Op::EmbeddingGrad(EmbeddingGrad { rows: of }), &[dy, ids])?;
                Ok(Some(net.cast(dx, net.dtype)?))
            }
            false => Ok(None),
        })
    }
}

/// Scores of the rows of a table that was also used for something else: x table^T.
#[derive(Clone, Copy)]
pub(super) struct Tied(pub(super) ValueId);

impl Layer for Tied {
    fn forward(&self, net: &mut Net, x: ValueId) -> Result<Passed, ParamError> {
        let Self(table) = *self;
        let y = net.product_nt(x, table)?;
        passed(y, move |net, dy| {
            if net.moves(table) {
                let gradient = net.product_tn(dy, x)?;
                net.learn(table, gradient)?;
            }
            if net.moves(x) { Ok(Some(net.product(dy, table)?)) } else { Ok(None) }
        })
    }
}

/// Dropout by the masks of a step, whose number is an input.
#[derive(Clone, Copy)]
pub(super) struct Dropped {
    pub(super) rate: f64,
    pub(super) seed: u64,
    pub(super) step: ValueId,
}

impl Layer for Dropped {
    fn forward(&self, net: &mut Net, x: ValueId) -> Result<Passed, ParamError> {
        let Self { rate, seed, step } = *self;
        let op = Op::Dropout(Dropout { rate, seed });
        let y = net.one(op.clone(), &[x, step])?;
        passed(y, move |net, dy| match net.moves(x) {
            true => Ok(Some(net.one(op, &[dy, step])?)),
            false => Ok(None),
        })
    }
}

/// Notes the gradient of a table of so many rows.
pub(super) fn learn_table(
    net: &mut Net,
    (table, rows): (ValueId, usize),
    ids: ValueId,
    dy: ValueId,
) -> Result<(), ParamError> {
    if net.moves(table) {
        let gradient = net.one(Op::EmbeddingGrad(EmbeddingGrad { rows }), &[dy, ids])?;
        net.learn(table, gradient)?;
    }
    Ok(())
}
