//! From f32 to 8 bits and the scales that lead back.

use super::expected::specs;
use super::shapes::{ShapeError, Shapes, row, run, runs};
use super::{Arg, Expected, Operation, Work};
use crate::tensor::{DType, ValueSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Elements along the last axis that share a scale in [`Granularity::Block`], as in ggml's Q8_0.
pub const BLOCK: usize = 32;

/// Which elements share a scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// All. The scales are a scalar, f32.
    #[default]
    Tensor,
    /// Each row, e.g. a token. The scales are `[..]`, f32.
    Row,
    /// [`BLOCK`] elements of a row. The scales are `[.., columns / 32]`, f16.
    Block,
}

/// q = round(x / scale) + zero, ties to even, saturated to the range of q's type (QuantizeLinear of ONNX).
///
/// x is f32 `[.., columns]`; q has its shape. A `scale` that is given is one for all. Without it, each is the
/// smallest at which nothing saturates, and the scales are a second output: amax / 127 in i8, whose -128
/// is not used; the larger of max / (255 - zero) and -min / zero in u8. Blocks are ggml's Q8_0: i8, with
/// scales stored in f16 after x was divided by them in f32. Where nothing in a group needs a scale, it
/// is 0 and q is `zero`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantize {
    /// Which elements share a scale.
    pub granularity: Granularity,
    /// The scale, where it was found beforehand (static); none: computed from x (dynamic).
    pub scale: Option<f64>,
    /// The stored number that means 0: 0 for i8; for u8 128 suits both signs, 0 what is never negative.
    pub zero: i32,
    /// Type of q: i8 or u8.
    pub output: DType,
}

impl Quantize {
    /// Dynamic and symmetric, in i8.
    pub fn dynamic(granularity: Granularity) -> Self {
        Self { granularity, scale: None, zero: 0, output: DType::I8 }
    }

    /// The smallest and the largest q.
    pub fn range(&self) -> [i32; 2] {
        if self.output == DType::U8 { [0, 255] } else { [-128, 127] }
    }

    /// Steps of a computed scale below and above zero.
    pub fn room(&self) -> [i32; 2] {
        if self.output == DType::U8 { [self.zero, 255 - self.zero] } else { [127, 127] }
    }

    /// Elements that share a computed scale, of `elements` in rows of `columns`.
    pub fn group(&self, columns: usize, elements: usize) -> usize {
        match self.granularity {
            Granularity::Tensor => elements,
            Granularity::Row => columns,
            Granularity::Block => BLOCK,
        }
    }

    fn check(&self, shapes: &Shapes, x: &ValueSpec) -> Result<(), ShapeError> {
        shapes.require(x.dtype == DType::F32, "takes f32")?;
        let zero = match self.output {
            DType::I8 => self.zero == 0,
            DType::U8 => (0..=255).contains(&self.zero),
            _ => return Err(shapes.wrong("answers in i8 or u8")),
        };
        shapes.require(zero, "the zero point must be 0 in i8, and from 0 to 255 in u8")?;
        if let Some(scale) = self.scale {
            let usable = (scale as f32).is_normal() && scale > 0.0;
            shapes.require(usable, "a given scale must be a positive number")?;
            shapes
                .require(self.granularity == Granularity::Tensor, "a given scale is one for all elements")?;
        }
        if self.granularity == Granularity::Block {
            shapes.require(self.output == DType::I8, "blocks are i8")?;
            shapes.require(x.columns().is_multiple_of(BLOCK), "blocks of 32 must fill the rows")?;
        }
        shapes.require(!x.shape.is_empty(), "takes rows, not a scalar")
    }

    fn scales(&self, x: &ValueSpec) -> ValueSpec {
        let lead = &x.shape[..x.shape.len() - 1];
        match self.granularity {
            Granularity::Tensor => ValueSpec::new(&[], DType::F32),
            Granularity::Row => ValueSpec::new(lead, DType::F32),
            Granularity::Block => ValueSpec::new(&[lead, &[x.columns() / BLOCK]].concat(), DType::F16),
        }
    }

    /// Elements of x in a unit: a run, all that share the scale, or a row of blocks.
    fn unit(&self, x: &ValueSpec, unit: usize) -> Range<usize> {
        match (self.scale, self.granularity) {
            (Some(_), _) => run(x.elements(), unit),
            (None, Granularity::Tensor) => 0..x.elements(),
            (None, _) => row(x.columns(), unit),
        }
    }

    /// The scale of elements that share one.
    fn scale_of(&self, x: &[f64]) -> f64 {
        let [below, above] = self.room().map(f64::from);
        let [min, max] = x.iter().fold([0.0f64; 2], |[min, max], &x| [min.min(x), max.max(x)]);
        let part = |size: f64, room: f64| if room > 0.0 { size / room } else { 0.0 };
        part(-min, below).max(part(max, above))
    }

    // q is exact but where x / scale lies so near to a tie that rounding decides. x / scale gathers the
    // roundings of the scale or of 127, of a reciprocal, and of a product: 4 u; there both neighbours are
    // accepted. A scale that is a power of two rounds nothing, so its ties must go to even.
    fn element(&self, x: f64, scale: f64) -> Expected {
        let [low, high] = self.range().map(f64::from);
        let stored = |x: f64| (x.round_ties_even() + f64::from(self.zero)).clamp(low, high);
        let steps = if scale > 0.0 { x / scale } else { 0.0 };
        let exact = self.scale.is_some_and(|scale| scale.to_bits() << 12 == 0);
        let off = if exact { 0.0 } else { 4.0 * DType::F32.roundoff() * steps.abs() };
        let value = stored(steps);
        let allow = (stored(steps + off) - value).max(value - stored(steps - off));
        Expected { value, allow, scale: value.abs().max(1.0) }
    }
}

impl Operation for Quantize {
    fn name(&self) -> &'static str {
        "quantize"
    }

    fn outputs(&self, args: &[ValueSpec]) -> Result<Vec<ValueSpec>, ShapeError> {
        let shapes = Shapes::new(self.name(), args, 1)?;
        self.check(&shapes, &args[0])?;
        let q = ValueSpec::new(&args[0].shape, self.output);
        let scales = self.scale.is_none().then(|| self.scales(&args[0]));
        Ok([q].into_iter().chain(scales).collect())
    }

    // Each element: a product with the reciprocal scale, a rounding, and the zero point's sum where there is
    // one; a computed scale wants a magnitude and a maximum more.
    fn work(&self, args: &[ValueSpec]) -> Work {
        let each = 2 + u64::from(self.zero != 0) + if self.scale.is_none() { 2 } else { 0 };
        let flops = each.saturating_mul(args[0].elements() as u64);
        Work::of(flops, args, &self.outputs(args).unwrap_or_default())
    }

    fn units(&self, args: &[ValueSpec]) -> usize {
        match (self.scale, self.granularity) {
            (Some(_), _) => runs(args[0].elements()),
            (None, Granularity::Tensor) => 1,
            (None, _) => args[0].rows(),
        }
    }

    fn reads(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        vec![self.unit(&args[0], unit)]
    }

    fn writes(&self, args: &[ValueSpec], unit: usize) -> Vec<Range<usize>> {
        let q = self.unit(&args[0], unit);
        let scales = self.scale.is_none().then(|| {
            let each = q.len() / self.group(args[0].columns(), args[0].elements());
            row(each, unit)
        });
        [q].into_iter().chain(scales).collect()
    }

    // A scale: 127 may be taken as a rounded reciprocal, and the quotient is rounded; then it is stored.
    fn reference(&self, args: &[Arg], unit: usize) -> Vec<Vec<Expected>> {
        let spec = &specs(args)[0];
        let x = args[0].at(self.unit(spec, unit));
        if let Some(scale) = self.scale {
            return vec![x.iter().map(|&x| self.element(x, scale)).collect()];
        }
        let (mut q, mut scales) = (vec![], vec![]);
        let stored = self.scales(spec).dtype;
        for group in x.chunks(self.group(spec.columns(), spec.elements())) {
            let scale = self.scale_of(group);
            q.extend(group.iter().map(|&x| self.element(x, scale)));
            scales.push(Expected::rounded(scale, DType::F32.roundoff() * scale, scale, stored));
        }
        vec![q, scales]
    }
}
