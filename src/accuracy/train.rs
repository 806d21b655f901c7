//! Training by the textbook: minibatches, backpropagation, gradient descent with momentum. The same seed gives
//! the same network on every machine that adds f32 numbers alike.

use super::digits::{CLASSES, Digits, PIXELS};
use super::network::{HIDDEN, Network};
use crate::ops::{erf, gelu_erf};
use crate::random;

/// How long and how fast to learn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Passes over all images.
    pub epochs: usize,
    /// Images of one step.
    pub batch: usize,
    /// Learning rate.
    pub rate: f32,
    /// Share of the velocity that is kept.
    pub momentum: f32,
    /// Of first weights and of the order of images.
    pub seed: u64,
}

impl Default for Training {
    /// Enough for the test accuracy to stop growing.
    fn default() -> Self {
        Self { epochs: 12, batch: 32, rate: 0.05, momentum: 0.9, seed: 1 }
    }
}

/// Weights `[out, in]` and bias of a layer, with gradients and velocities.
struct Layer {
    depth: usize,
    /// Weights, then the bias.
    values: Vec<f32>,
    gradient: Vec<f32>,
    velocity: Vec<f32>,
}

impl Layer {
    /// Uniform weights of variance 2 / in (He and others, 2015), no bias.
    fn new(out: usize, depth: usize, seed: u64, number: u64) -> Self {
        let bound = (6.0 / depth as f64).sqrt();
        let fill = random::Fill::Uniform { low: -bound, high: bound };
        let weights = random::fill(fill, seed, number, crate::tensor::DType::F32, 0..out * depth);
        let mut values: Vec<f32> = weights.to_f64(0..out * depth).iter().map(|&x| x as f32).collect();
        values.resize(out * depth + out, 0.0);
        let zeros = vec![0.0; values.len()];
        Self { depth, values, gradient: zeros.clone(), velocity: zeros }
    }

    fn parts(&self) -> (&[f32], &[f32]) {
        let out = self.values.len() / (self.depth + 1);
        self.values.split_at(out * self.depth)
    }

    /// y = W x + bias.
    fn forward(&self, x: &[f32], y: &mut [f32]) {
        let (weights, bias) = self.parts();
        for ((y, row), bias) in y.iter_mut().zip(weights.chunks_exact(self.depth)).zip(bias) {
            *y = dot(row, x) + bias;
        }
    }

    /// Adds what `dy` at the answer to `x` means for weights and bias.
    fn learn(&mut self, x: &[f32], dy: &[f32]) {
        let (weights, bias) = self.gradient.split_at_mut(dy.len() * self.depth);
        for ((row, bias), dy) in weights.chunks_exact_mut(self.depth).zip(bias).zip(dy) {
            row.iter_mut().zip(x).for_each(|(gradient, x)| *gradient += dy * x);
            *bias += dy;
        }
    }

    /// dx = W^T dy.
    fn backward(&self, dy: &[f32], dx: &mut [f32]) {
        dx.fill(0.0);
        for (row, dy) in self.parts().0.chunks_exact(self.depth).zip(dy) {
            dx.iter_mut().zip(row).for_each(|(dx, weight)| *dx += dy * weight);
        }
    }

    /// One step down the mean gradient of `count` images.
    fn update(&mut self, count: usize, settings: &Training) {
        let state = self.gradient.iter_mut().zip(&mut self.velocity).zip(&mut self.values);
        for ((gradient, velocity), value) in state {
            *velocity = settings.momentum * *velocity + *gradient / count as f32;
            *value -= settings.rate * *velocity;
            *gradient = 0.0;
        }
    }
}

/// In lanes, so that the loop becomes a vector's.
fn dot(x: &[f32], y: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0f32; LANES];
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in x.iter().zip(y) {
        (0..LANES).for_each(|lane| sums[lane] += x[lane] * y[lane]);
    }
    let rest: f32 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

/// d gelu / dx = Phi(x) + x phi(x), with the normal distribution and its density.
fn slope(x: f32) -> f32 {
    let x = f64::from(x);
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)) + x * density) as f32
}

/// Scores to probabilities less the truth: the gradient of the cross entropy.
fn miss(scores: &mut [f32], label: usize) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - max).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
    scores[label] -= 1.0;
}

/// The network that `settings` make of `digits`.
pub fn train(digits: &Digits, settings: &Training) -> Network {
    let mut first = Layer::new(HIDDEN, PIXELS, settings.seed, 0);
    let mut second = Layer::new(CLASSES, HIDDEN, settings.seed, 1);
    let (mut raised, mut bent, mut scores) = ([0f32; HIDDEN], [0f32; HIDDEN], [0f32; CLASSES]);
    let mut back = [0f32; HIDDEN];
    let mut order: Vec<usize> = (0..digits.len()).collect();
    for epoch in 0..settings.epochs {
        order.sort_by_key(|&image| random::bits(settings.seed, 2 + epoch as u64, image as u64));
        for batch in order.chunks(settings.batch.max(1)) {
            for &image in batch {
                let x = digits.image(image);
                first.forward(x, &mut raised);
                bent.iter_mut().zip(&raised).for_each(|(y, x)| *y = gelu_erf(f64::from(*x)) as f32);
                second.forward(&bent, &mut scores);
                miss(&mut scores, digits.labels[image]);
                second.learn(&bent, &scores);
                second.backward(&scores, &mut back);
                back.iter_mut().zip(&raised).for_each(|(dy, x)| *dy *= slope(*x));
                first.learn(x, &back);
            }
            first.update(batch.len(), settings);
            second.update(batch.len(), settings);
        }
    }
    Network::new(first.parts(), second.parts())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_of_gelu_is_its_difference_quotient() {
        for i in -40..=40 {
            let (x, h) = (f64::from(i) / 10.0, 1e-5);
            let quotient = (gelu_erf(x + h) - gelu_erf(x - h)) / (2.0 * h);
            assert!((f64::from(slope(x as f32)) - quotient).abs() < 1e-6, "{x}");
        }
    }

    #[test]
    fn gradients_are_difference_quotients_of_the_loss() {
        let (x, label) = ([0.5f32, -1.0, 0.25], 1);
        let mut layer = Layer::new(2, 3, 5, 0);
        let loss = |layer: &Layer| {
            let mut scores = [0f32; 2];
            layer.forward(&x, &mut scores);
            scores.iter().map(|&score| f64::from(score).exp()).sum::<f64>().ln() - f64::from(scores[label])
        };
        let mut scores = [0f32; 2];
        layer.forward(&x, &mut scores);
        miss(&mut scores, label);
        layer.learn(&x, &scores);
        for index in 0..layer.values.len() {
            let h = 1e-2f32;
            let (gradient, value) = (layer.gradient[index], layer.values[index]);
            let at = |layer: &mut Layer, value| {
                layer.values[index] = value;
                loss(layer)
            };
            let quotient = (at(&mut layer, value + h) - at(&mut layer, value - h)) / (2.0 * f64::from(h));
            layer.values[index] = value;
            assert!((quotient - f64::from(gradient)).abs() < 1e-3, "{index}: {quotient} {gradient}");
        }
    }
}
