//! The attention of a transformer layer, with adapters where they are trained beside it.

use super::dense::{Linear, of_variance};
use super::net::Net;
use crate::ops::{Add, Attention, AttentionGrad, Gemm, Op, PutRows, Rearrange};
use crate::program::ValueId;
use crate::random::Fill;
use crate::workloads::ParamError;

/// How tokens are cut into sequences and heads.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    pub(super) batch: usize,
    pub(super) length: usize,
    pub(super) heads: usize,
    pub(super) depth: usize,
    /// A token sees none after it.
    pub(super) causal: bool,
}

impl Heads {
    /// From tokens `[batch length, parts width]` to so many `[batch heads, length, depth]`.
    fn split(self, parts: usize) -> Op {
        let Self { batch, length, heads, depth, .. } = self;
        let (split, order) = (vec![batch, length, parts, heads, depth], vec![2, 0, 3, 1, 4]);
        Op::Rearrange(Rearrange { split, order, output: vec![batch * heads, length, depth] })
    }

    /// Back again.
    fn merge(self, parts: usize) -> Op {
        let Self { batch, length, heads, depth, .. } = self;
        let (split, order) = (vec![parts, batch, heads, length, depth], vec![1, 3, 0, 2, 4]);
        Op::Rearrange(Rearrange { split, order, output: vec![batch * length, parts * heads * depth] })
    }

    fn scale(self) -> f64 {
        1.0 / (self.depth as f64).sqrt()
    }
}

/// Two products beside a frozen one: x A B.
#[derive(Clone, Copy)]
struct Adapter {
    a: ValueId,
    b: ValueId,
}

impl Adapter {
    fn new(net: &mut Net, name: &str, width: usize, rank: usize) -> Self {
        let a = of_variance(1.0 / width as f64);
        // Training starts from B = 0; numbers of its size after some steps keep the arithmetic honest.
        let b = Fill::Uniform { low: -0.01, high: 0.01 };
        Self {
            a: net.parameter(&format!("{name}.a"), &[width, rank], a, true),
            b: net.parameter(&format!("{name}.b"), &[rank, width], b, true),
        }
    }

    /// x A, and x A B.
    fn forward(self, net: &mut Net, x: ValueId) -> Result<[ValueId; 2], ParamError> {
        let low = net.product(x, self.a)?;
        Ok([low, net.product(low, self.b)?])
    }

    /// From the gradient of x A B; what it means for x is added to `dx`.
    fn backward(
        self,
        net: &mut Net,
        [x, low]: [ValueId; 2],
        dy: ValueId,
        dx: Option<ValueId>,
    ) -> Result<Option<ValueId>, ParamError> {
        let of_b = net.product_tn(low, dy)?;
        net.learn(self.b, of_b)?;
        let dlow = net.product_nt(dy, self.b)?;
        let of_a = net.product_tn(x, dlow)?;
        net.learn(self.a, of_a)?;
        let Some(dx) = dx else { return Ok(None) };
        let added = Gemm { trans_b: true, beta: 1.0, ..Gemm::plain(net.dtype) };
        Ok(Some(net.one(Op::Gemm(added), &[dlow, self.a, dx])?))
    }
}

/// Attention of tokens to each other. Queries, keys and values are one product.
#[derive(Clone, Copy)]
pub(super) struct Attend {
    all: Linear,
    out: Linear,
    heads: Heads,
    /// Beside the projections to queries and values.
    adapters: Option<[Adapter; 2]>,
    /// Where tokens follow others.
    before: Option<Before>,
}

/// Keys and values of the tokens before, `[batch heads, length, depth]`, with room for those of the new ones.
#[derive(Clone, Copy)]
struct Before {
    memories: [ValueId; 2],
    /// Tokens before.
    count: usize,
}

/// What the way back needs.
#[derive(Clone, Copy)]
pub(super) struct Attended {
    parts: [ValueId; 3],
    /// The answer of the heads, and its log-sum-exp where there is a way back.
    made: [ValueId; 2],
    merged: ValueId,
    /// x A of the adapters.
    low: [ValueId; 2],
}

impl Attend {
    pub(super) fn new(net: &mut Net, name: &str, heads: Heads, trained: bool) -> Self {
        let width = heads.heads * heads.depth;
        Self {
            all: Linear::new(net, &format!("{name}.qkv"), [width, 3 * width], trained),
            out: Linear::new(net, &format!("{name}.out"), [width, width], trained),
            heads,
            adapters: None,
            before: None,
        }
    }

    /// Declares adapters of a rank, which are trained.
    pub(super) fn adapt(&mut self, net: &mut Net, name: &str, rank: usize) {
        let width = self.heads.heads * self.heads.depth;
        self.adapters =
            Some(["q", "v"].map(|what| Adapter::new(net, &format!("{name}.{what}"), width, rank)));
    }

    /// Declares what is kept of `count` tokens before.
    pub(super) fn follow(&mut self, net: &mut Net, name: &str, count: usize) {
        let Heads { batch, length, heads, depth, .. } = self.heads;
        let shape = [batch * heads, count + length, depth];
        let memories = ["keys", "values"].map(|what| net.memory(&format!("{name}.{what}"), &shape));
        self.before = Some(Before { memories, count });
    }

    pub(super) fn forward(self, net: &mut Net, x: ValueId) -> Result<(ValueId, Attended), ParamError> {
        let all = self.all.forward(net, x)?;
        let made = net.push(self.heads.split(3), &[all])?;
        let mut parts = [made[0], made[1], made[2]];
        let mut low = [x; 2];
        for (number, adapter) in self.adapters.iter().flatten().enumerate() {
            let [small, delta] = adapter.forward(net, x)?;
            let delta = net.one(self.heads.split(1), &[delta])?;
            parts[2 * number] = net.one(Op::Add(Add {}), &[parts[2 * number], delta])?;
            low[number] = small;
        }
        if let Some(Before { memories, count }) = self.before {
            for (part, memory) in parts[1..].iter_mut().zip(memories) {
                *part = net.one(Op::PutRows(PutRows { at: count }), &[memory, *part])?;
                net.hand_on(*part, memory);
            }
        }
        let log_sum_exp = parts.iter().any(|&part| net.moves(part));
        let op = Attention { scale: self.heads.scale(), causal: self.heads.causal, log_sum_exp };
        let made = net.push(Op::Attention(op), &parts)?;
        let made = [made[0], made.get(1).copied().unwrap_or(made[0])];
        let merged = net.one(self.heads.merge(1), &made[..1])?;
        let y = self.out.forward(net, merged)?;
        Ok((y, Attended { parts, made, merged, low }))
    }

    pub(super) fn backward(
        self,
        net: &mut Net,
        x: ValueId,
        kept: Attended,
        dy: ValueId,
    ) -> Result<Option<ValueId>, ParamError> {
        let Attended { parts: [q, k, v], made: [o, lse], merged, low } = kept;
        let Some(dmerged) = self.out.backward(net, merged, dy)? else { return Ok(None) };
        let dmade = net.one(self.heads.split(1), &[dmerged])?;
        let op = AttentionGrad { scale: self.heads.scale(), causal: self.heads.causal };
        let gradients = net.push(Op::AttentionGrad(op), &[dmade, q, k, v, o, lse])?;
        let all = net.one(self.heads.merge(3), &gradients)?;
        let mut dx = self.all.backward(net, x, all)?;
        for (number, adapter) in self.adapters.iter().flatten().enumerate() {
            let delta = net.one(self.heads.merge(1), &[gradients[2 * number]])?;
            dx = adapter.backward(net, [x, low[number]], delta, dx)?;
        }
        Ok(dx)
    }
}
