//! Two layers from pixels to digits, in f32 and in 8 bits.

use super::digits::{CLASSES, Digits, PIXELS};
use super::tensor::{Tensor, apply};
use crate::ops::{BiasAdd, BiasGelu, Dequantize, Gelu, GeluForm, Gemm, GemmI8, Granularity, Op, Quantize};
use crate::tensor::DType;
use serde::Serialize;

/// Width of the layer between.
pub(super) const HIDDEN: usize = 128;

/// How the products of a network are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// In f32.
    F32,
    /// In int8: scales of activations found beforehand, one of the weights.
    StaticTensor,
    /// The same with one scale for each channel of the weights.
    StaticChannel,
    /// In int8: scales of activations computed for each image, one of the weights.
    DynamicTensor,
    /// The same with one scale for each channel of the weights.
    DynamicChannel,
}

impl Scheme {
    /// Every scheme, f32 first.
    pub const ALL: [Self; 5] =
        [Self::F32, Self::StaticTensor, Self::StaticChannel, Self::DynamicTensor, Self::DynamicChannel];

    /// Which weights share a scale.
    fn weights(self) -> Granularity {
        match self {
            Self::StaticChannel | Self::DynamicChannel => Granularity::Row,
            Self::F32 | Self::StaticTensor | Self::DynamicTensor => Granularity::Tensor,
        }
    }

    /// The op that quantises activations whose largest magnitude was `amax` in calibration.
    fn activations(self, amax: f64) -> Quantize {
        match self {
            Self::DynamicTensor | Self::DynamicChannel => Quantize::dynamic(Granularity::Row),
            _ => Quantize { scale: Some(amax / 127.0), ..Quantize::dynamic(Granularity::Tensor) },
        }
    }
}

/// A layer: weights `[out, in]` and a bias `[out]`.
#[derive(Clone, Debug)]
struct Linear {
    weights: Tensor,
    bias: Tensor,
}

impl Linear {
    fn new([out, depth]: [usize; 2], weights: &[f32], bias: &[f32]) -> Self {
        let wide = |data: &[f32]| data.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        Self {
            weights: Tensor::new(&[out, depth], DType::F32, wide(weights)),
            bias: Tensor::new(&[out], DType::F32, wide(bias)),
        }
    }

    /// x W^T without the bias, in f32.
    fn product(&self, x: &Tensor) -> Tensor {
        let gemm = Gemm { trans_b: true, ..Gemm::plain(DType::F32) };
        apply(Op::Gemm(gemm), &[x, &self.weights]).remove(0)
    }

    /// x W^T + bias with both factors in 8 bits, as the workload `linear_i8` has it.
    fn in_8_bits(&self, x: &Tensor, scheme: Scheme, amax: f64) -> Tensor {
        let quantize = scheme.activations(amax);
        let given = quantize.scale.map(|scale| Tensor::new(&[], DType::F32, [scale]));
        let x = apply(Op::Quantize(quantize), &[x]);
        let weights = apply(Op::Quantize(Quantize::dynamic(scheme.weights())), &[&self.weights]);
        let product = GemmI8 { trans_b: true, ..GemmI8::default() };
        let sums = apply(Op::GemmI8(product), &[&x[0], &weights[0]]);
        let x_scale = given.as_ref().unwrap_or_else(|| &x[1]);
        let dequantize = Op::Dequantize(Dequantize { bias: true });
        apply(dequantize, &[&sums[0], x_scale, &weights[1], &self.bias]).remove(0)
    }

    fn bytes(&self, scheme: Scheme) -> u64 {
        let elements = self.weights.spec.elements() as u64;
        match (scheme, scheme.weights()) {
            (Scheme::F32, _) => 4 * elements,
            (_, Granularity::Row) => elements + 4 * self.weights.spec.shape[0] as u64,
            _ => elements + 4,
        }
    }
}

/// gelu(pixels W1^T + bias1) W2^T + bias2: the largest of ten numbers is the answer.
#[derive(Clone, Debug)]
pub struct Network {
    first: Linear,
    second: Linear,
}

const FORM: GeluForm = GeluForm::Erf;

impl Network {
    /// Of weights `[128, 784]` and `[10, 128]`, each with a bias.
    pub(super) fn new(first: (&[f32], &[f32]), second: (&[f32], &[f32])) -> Self {
        Self {
            first: Linear::new([HIDDEN, PIXELS], first.0, first.1),
            second: Linear::new([CLASSES, HIDDEN], second.0, second.1),
        }
    }

    /// Largest magnitudes of what enters each layer, over `images`.
    pub fn calibrate(&self, images: &Digits) -> [f64; 2] {
        let x = pixels(images);
        [x.amax(), self.hidden(&x).amax()]
    }

    /// The digit that each image is taken for. `amax` is what [`Self::calibrate`] found.
    pub fn answers(&self, scheme: Scheme, amax: [f64; 2], images: &Digits) -> Vec<usize> {
        let x = pixels(images);
        let scores = match scheme {
            Scheme::F32 => {
                let product = self.second.product(&self.hidden(&x));
                apply(Op::BiasAdd(BiasAdd {}), &[&product, &self.second.bias]).remove(0)
            }
            _ => {
                let raised = self.first.in_8_bits(&x, scheme, amax[0]);
                let bent = apply(Op::Gelu(Gelu { form: FORM }), &[&raised]).remove(0);
                self.second.in_8_bits(&bent, scheme, amax[1])
            }
        };
        scores.data.chunks_exact(CLASSES).map(largest).collect()
    }

    /// Bytes of the weights and their scales.
    pub fn weight_bytes(&self, scheme: Scheme) -> u64 {
        self.first.bytes(scheme) + self.second.bytes(scheme)
    }

    fn hidden(&self, x: &Tensor) -> Tensor {
        let product = self.first.product(x);
        apply(Op::BiasGelu(BiasGelu { form: FORM }), &[&product, &self.first.bias]).remove(0)
    }
}

fn pixels(images: &Digits) -> Tensor {
    Tensor::new(&[images.len(), PIXELS], DType::F32, images.pixels.iter().map(|&x| f64::from(x)))
}

/// Number of the largest score.
fn largest(scores: &[f64]) -> usize {
    (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0)
}
