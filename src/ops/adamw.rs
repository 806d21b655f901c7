//! One step of AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2).

use super::shapes::{ShapeError, Shapes, run, runs, wide};
use super::{Arg, Expected, Operation, Work};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// From p, g, m, v of one shape to the updated p, m, v:
///
/// m' = beta1 m + (1 - beta1) g; v' = beta2 v + (1 - beta2) g^2;
/// p' = p - rate weight_decay p - rate (m' / (1 - beta1^t)) / (sqrt(v' / (1 - beta2^t)) + eps).
///
/// p, m and v have one type; g may have another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adamw {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Share of p that is subtracted, times the rate.
    pub weight_decay: f64,
    /// Number t of this step, from 1: it corrects the moments' bias towards 0.
    pub step: u32,
    /// A fourth output: p' rounded to bf16 for the next forward pass.
    pub p16: bool,
}

impl Default for Adamw {
    /// The usual settings, at step 10.
    fn default() -> Self {
        Self { rate: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01, step: 10, p16: false }
    }
}

impl Adamw {
    fn check(&self, shapes: &Shapes) -> Result<(), ShapeError> {
        shapes.finite(&[self.rate, self.weight_decay])?;
        let decay = |beta: f64| (0.0..1.0).contains(&beta);
        shapes.require(decay(self.beta1) && decay(self.beta2), "beta1 and beta2 must be in [0, 1)")?;
        shapes.require(self.eps > 0.0 && self.eps.is_finite(), "eps must be a positive number")?;
        shapes.require(self.step >= 1, "steps are counted from 1")
    }

    /// 1 - beta^step.
    fn correction(&self, beta: f64) -> f64 {
        1.0 - beta.powf(f64::from(self.step))
    }

    // Each moment: two products and a sum are rounded, and 1 - beta may be taken from a rounded beta,
    // which is off by u absolute. A bias correction may likewise be 1 - pow(rounded beta, t), where beta's
    // relative error grows t times and pow adds as much: u (2 + 2 t beta^t) absolute. What v' is off by enters the root by its own interval, because v' may be next to 0.
    fn element(&self, p: f64, g: f64, m: f64, v: f64, dtype: DType) -> [Expected; 3] {
        let u = dtype.roundoff();
        let (old_m, new_m) = (self.beta1 * m, (1.0 - self.beta1) * g);
        let (old_v, new_v) = (self.beta2 * v, (1.0 - self.beta2) * g * g);
        let (m, v) = (old_m + new_m, old_v + new_v);
        let m_error = u * (3.0 * (old_m.abs() + new_m.abs()) + g.abs());
        let v_error = u * (3.0 * old_v.abs() + 4.0 * new_v + g * g);
        let (correct1, correct2) = (self.correction(self.beta1), self.correction(self.beta2));
        let correction_terms = |corrected: f64| 2.0 + 2.0 * f64::from(self.step) * (1.0 - corrected);
        let root = |v: f64| (v.max(0.0) / correct2).sqrt() + self.eps;
        let divisor_relative =
            (root(v) - root(v - v_error)) / root(v) + u * (0.5 * correction_terms(correct2) / correct2 + 4.0);
        let update = self.rate * m / correct1 / root(v);
        let update_error = (self.rate * m_error / correct1 / root(v)).abs()
            + update.abs() * (divisor_relative + u * (correction_terms(correct1) / correct1 + 4.0));
        let kept = p - self.rate * self.weight_decay * p;
        let p_error = 3.0 * u * p.abs() + update_error;
        [
            Expected::rounded(kept - update, p_error, p.abs() + update_error / u / 8.0, dtype),
            Expected::rounded(m, m_error, old_m.abs() + new_m.abs() + g.abs(), dtype),
            Expected::rounded(v, v_error, old_v.abs() + new_v + g * g, dtype),
        ]
    }
}

impl Operation for Adamw {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 4)?;
        shapes.all_float()?;
        self.check(&shapes)?;
        let p = &args[0];
        shapes.require(args.iter().all(|arg| arg.shape == p.shape), "p, g, m and v must have one shape")?;
        let wide = p.dtype == wide(p.dtype) && args[2..].iter().all(|moment| moment.dtype == p.dtype);
        shapes.require(wide, "p, m and v must have one type, f32 or f64")?;
        let p16 = self.p16.then(|| ValueSpec::new(&p.shape, DType::Bf16));
        Ok([p.clone(), p.clone(), p.clone()].into_iter().chain(p16).collect())
    }

    // Three operations for m, four for v, and for p two of decay, two corrections, a root, a sum, a
    // quotient, a product and a difference.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let flops = (args[0].elements() as u64).saturating_mul(16);
        Work::of(flops, args, &self.outputs(args).unwrap_or_default())
    }

    fn fill(&self, arg: usize, _: &ValueSpec) -> Fill {
        // The second moment is a mean of squares.
        if arg == 3 { Fill::Uniform { low: 0.0, high: 1.0 } } else { Fill::UNIT }
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        runs(args[0].elements())
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit); 4]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![run(args[0].elements(), unit); if self.p16 { 4 } else { 3 }]
    }

    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let range = run(args[0].spec.elements(), unit);
        let [p, g, m, v] = [0, 1, 2, 3].map(|arg| args[arg].at(range.clone()));
        let mut outputs = vec![vec![]; 3];
        for index in 0..p.len() {
            let element = self.element(p[index], g[index], m[index], v[index], args[0].spec.dtype);
            outputs.iter_mut().zip(element).for_each(|(output, expected)| output.push(expected));
        }
        if self.p16 {
            let narrow = |p: &Expected| Expected::rounded(p.value, p.allow, p.scale, DType::Bf16);
            outputs.push(outputs[0].iter().map(narrow).collect());
        }
        outputs
    }
}
