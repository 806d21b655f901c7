//! One step of stochastic gradient descent with momentum, as `torch.optim.SGD` has it: the velocity holds
//! gradients, not steps, and the weights' decay is part of the gradient (PyTorch's documentation of
//! `torch.optim.SGD`, with neither dampening nor Nesterov's form; after Sutskever and others, "On the
//! importance of initialization and momentum in deep learning", 2013).

use super::shapes::{ShapeError, Shapes, run, runs, wide};
use super::{Arg, Expected, Operation, Work};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// From p, g, v of one shape to the updated p, v:
///
/// v' = momentum v + (g + weight_decay p); p' = p - rate v'.
///
/// p and v have one type; g may have another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SgdMomentum {
    /// Learning rate.
    pub rate: f64,
    /// Share of the velocity that is kept.
    pub momentum: f64,
    /// Share of p that is added to the gradient.
    pub weight_decay: f64,
    /// A third output: p' rounded to bf16 for the next forward pass.
    pub p16: bool,
}

impl Default for SgdMomentum {
    /// As residual networks are trained (He and others, "Deep Residual Learning for Image Recognition", 2016).
    fn default() -> Self {
        Self { rate: 0.1, momentum: 0.9, weight_decay: 1e-4, p16: false }
    }
}

impl SgdMomentum {
    // v': each factor may be taken rounded, its product is rounded, and so is the inner sum: 3 u of each
    // term holds that. p': rate and product, and what v' is off by with its own rounding.
    fn element(&self, p: f64, g: f64, v: f64, dtype: DType) -> [Expected; 2] {
        let u = dtype.roundoff();
        let (kept, decay) = (self.momentum * v, self.weight_decay * p);
        let size = kept.abs() + g.abs() + decay.abs();
        let (v, v_error) = (kept + g + decay, 3.0 * u * size);
        let update = self.rate * v;
        let p_error = self.rate.abs() * v_error + 3.0 * u * update.abs();
        [
            Expected::rounded(p - update, p_error, p.abs() + self.rate.abs() * size, dtype),
            Expected::rounded(v, v_error, size, dtype),
        ]
    }
}

impl Operation for SgdMomentum {
    fn name(&self) -> &'static str {
        "sgd_momentum"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 3)?;
        shapes.all_float()?;
        shapes.finite(&[self.rate, self.weight_decay])?;
        shapes.require((0.0..1.0).contains(&self.momentum), "momentum must be in [0, 1)")?;
        let p = &args[0];
        shapes.require(args.iter().all(|arg| arg.shape == p.shape), "p, g and v must have one shape")?;
        let wide = p.dtype == wide(p.dtype) && args[2].dtype == p.dtype;
        shapes.require(wide, "p and v must have one type, f32 or f64")?;
        let p16 = self.p16.then(|| ValueSpec::new(&p.shape, DType::Bf16));
        Ok([p.clone(), p.clone()].into_iter().chain(p16).collect())
    }

    // Two products and two sums for v, a product and a difference for p.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let flops = (args[0].elements() as u64).saturating_mul(6);
        Work::of(flops, args, &self.outputs(args).unwrap_or_default())
    }

    fn fill(&self, _: usize, _: &ValueSpec) -> Fill {
        Fill::UNIT
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        runs(args[0].elements())
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit); 3]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit); if self.p16 { 3 } else { 2 }]
    }

    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let range = run(args[0].spec.elements(), unit);
        let [p, g, v] = [0, 1, 2].map(|arg| args[arg].at(range.clone()));
        let element = |index| self.element(p[index], g[index], v[index], args[0].spec.dtype).into();
        let (p, v): (Vec<_>, Vec<_>) = (0..range.len()).map(element).unzip();
        let narrow = |p: &Expected| Expected::rounded(p.value, p.allow, p.scale, DType::Bf16);
        let p16 = self.p16.then(|| p.iter().map(narrow).collect());
        [p, v].into_iter().chain(p16).collect()
    }
}
