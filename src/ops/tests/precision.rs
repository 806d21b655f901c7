//! Bounds against plain code in f32: honest answers are within, lower precisions are not.

use super::*;
use half::bf16;

/// How factors are rounded before arithmetic.
pub(super) type Round = fn(f32) -> f32;

pub(super) fn full(x: f32) -> f32 {
    x
}

pub(super) fn tf32(x: f32) -> f32 {
    f32::from_bits((x.to_bits() + 0x1000) & !0x1FFF)
}

pub(super) fn to_bf16(x: f32) -> f32 {
    bf16::from_f32(x).to_f32()
}

/// What every output should be, with what plain code answers.
pub(super) struct Plain {
    case: Case,
    answers: Vec<Vec<f32>>,
}

impl Plain {
    pub(super) fn new(case: Case, round: Round, code: impl Fn(&[Vec<f32>]) -> Vec<Vec<f32>>) -> Self {
        let inputs: Vec<Vec<f32>> =
            case.data.iter().map(|data| data.iter().map(|&x| round(x as f32)).collect()).collect();
        Self { answers: code(&inputs), case }
    }

    /// The largest error of each output, in parts of what is allowed.
    pub(super) fn worst(&self) -> Vec<f64> {
        let pairs = self.answers.iter().zip(self.case.answer());
        let ratio = |(got, want): (&f32, &Expected)| {
            let error = (f64::from(*got) - want.value).abs();
            if error == 0.0 { 0.0 } else { error / want.allow }
        };
        pairs.map(|(got, want)| got.iter().zip(&want).map(ratio).fold(0.0, f64::max)).collect()
    }
}

pub(super) fn dot(x: impl Iterator<Item = f32>, y: impl Iterator<Item = f32>) -> f32 {
    x.zip(y).fold(0.0, |sum, (x, y)| sum + x * y)
}

fn softmax_row(x: &[f32]) -> (Vec<f32>, f32) {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f32> = x.iter().map(|x| (x - max).exp()).collect();
    let sum = exps.iter().fold(0.0, |sum, exp| sum + exp);
    (exps.iter().map(|exp| exp / sum).collect(), max + sum.ln())
}

fn attention(queries: usize, keys: usize, depth: usize, round: Round) -> Plain {
    let scale = 1.0 / (depth as f64).sqrt();
    let op = Op::Attention(Attention { scale, causal: false, log_sum_exp: true });
    let case = Case::f32(op, &[&[queries, depth], &[keys, depth], &[keys, depth]]);
    Plain::new(case, round, move |inputs| {
        let [q, k, v] = [0, 1, 2].map(|arg| &inputs[arg]);
        let rows = q.chunks(depth).map(|q| {
            let score = |k: &[f32]| scale as f32 * dot(q.iter().copied(), k.iter().copied());
            let (weights, lse) = softmax_row(&k.chunks(depth).map(score).collect::<Vec<_>>());
            let column =
                |c: usize| dot(weights.iter().map(|w| round(*w)), v.iter().skip(c).step_by(depth).copied());
            ((0..depth).map(column).collect::<Vec<_>>(), lse)
        });
        let (o, lse): (Vec<Vec<f32>>, Vec<f32>) = rows.unzip();
        vec![o.concat(), lse]
    })
}

fn softmax(columns: usize, round: Round) -> Plain {
    let case = Case::f32(Op::Softmax(Softmax::plain(DType::F32)), &[&[5, columns]]);
    Plain::new(case, round, |inputs| {
        vec![inputs[0].chunks(columns).flat_map(|row| softmax_row(row).0).collect()]
    })
}

/// Two passes, or E[x^2] - mean^2 in one.
fn layer_norm(columns: usize, round: Round, one_pass: bool) -> Plain {
    let case = Case::f32(Op::LayerNorm(LayerNorm { eps: 1e-5 }), &[&[5, columns], &[columns], &[columns]]);
    Plain::new(case, round, move |inputs| {
        let (mut y, mut means, mut rstds) = (vec![], vec![], vec![]);
        for x in inputs[0].chunks(columns) {
            let n = columns as f32;
            let mean = x.iter().fold(0.0, |sum, x| sum + x) / n;
            let variance = if one_pass {
                x.iter().fold(0.0, |sum, x| sum + x * x) / n - mean * mean
            } else {
                x.iter().fold(0.0, |sum, x| sum + (x - mean) * (x - mean)) / n
            };
            let rstd = 1.0 / (variance + 1e-5).sqrt();
            y.extend((0..columns).map(|i| (x[i] - mean) * rstd * inputs[1][i] + inputs[2][i]));
            means.push(mean);
            rstds.push(rstd);
        }
        vec![y, means, rstds]
    })
}

fn adamw(step: u32, round: Round) -> Plain {
    let op = Adamw { step, ..Adamw::default() };
    let case = Case::f32(Op::Adamw(op), &[&[4096][..]; 4]);
    Plain::new(case, full, move |inputs| {
        // Corrections in f32 throughout, as a kernel may have them.
        let (b1, b2, rate, decay, eps) = (0.9f32, 0.999f32, 1e-3f32, 0.01f32, 1e-8f32);
        let (c1, c2) = (1.0 - b1.powi(step as i32), 1.0 - b2.powi(step as i32));
        let mut outputs = vec![vec![]; 3];
        let elements = (0..4096).map(|i| [0, 1, 2, 3].map(|arg: usize| inputs[arg][i]));
        for [p, g, m, v] in elements {
            let (m, v) = (b1 * m + (1.0 - b1) * round(g), b2 * v + (1.0 - b2) * round(g) * round(g));
            let p = p - rate * decay * p - rate * (m / c1) / ((v / c2).sqrt() + eps);
            [p, m, v].into_iter().zip(&mut outputs).for_each(|(x, output)| output.push(x));
        }
        outputs
    })
}

fn conv2d(channels: usize, round: Round) -> Plain {
    let op = Conv2d { layout: ImageLayout::Nhwc, stride: [1, 1], padding: [0, 0], bias: true };
    let case = Case::f32(Op::Conv2d(op), &[&[1, 6, 6, channels], &[4, channels, 3, 3], &[4]]);
    Plain::new(case, round, move |inputs| {
        let places = (0..4 * 4).flat_map(|place| (0..4).map(move |out| (place / 4, place % 4, out)));
        let sum_at = |(row, column, out): (usize, usize, usize)| {
            let terms = || (0..channels * 9).map(|i| (i / 9, i / 3 % 3, i % 3));
            let x = terms().map(|(c, i, j)| inputs[0][((row + i) * 6 + column + j) * channels + c]);
            dot(x, inputs[1][out * channels * 9..].iter().copied()) + inputs[2][out]
        };
        vec![places.map(sum_at).collect()]
    })
}

/// Weights of 8 bits, widened before the product.
fn gemm_q8(k: usize, round: Round) -> Plain {
    use DType::{F16, F32, I8};
    let op = Op::GemmQ8(GemmQ8 { quantized_a: false });
    let case = Case::new(op, &[&[3, k], &[5, k], &[5, k / 32]], &[F32, I8, F16]);
    Plain::new(case, full, move |inputs| {
        let weight = |at: usize| round(inputs[1][at] * inputs[2][at / 32]);
        let element = |index: usize| {
            let (a, b) = (index / 5 * k, index % 5 * k);
            dot(inputs[0][a..a + k].iter().map(|x| round(*x)), (b..b + k).map(weight))
        };
        vec![(0..15).map(element).collect()]
    })
}

fn dequantize(round: Round) -> Plain {
    use DType::{F32, I32};
    let op = Op::Dequantize(Dequantize { bias: true });
    let case = Case::new(op, &[&[64, 17], &[64], &[17], &[17]], &[I32, F32, F32, F32]);
    Plain::new(case, full, move |inputs| {
        let element = |index: usize| {
            let scale = inputs[1][index / 17] * inputs[2][index % 17];
            round(scale * inputs[0][index]) + inputs[3][index % 17]
        };
        vec![(0..64 * 17).map(element).collect()]
    })
}

fn sgd_momentum(round: Round) -> Plain {
    let case = Case::f32(Op::SgdMomentum(SgdMomentum::default()), &[&[4096][..]; 3]);
    Plain::new(case, full, move |inputs| {
        let mut outputs = vec![vec![]; 2];
        for [p, g, v] in (0..4096).map(|i| [0, 1, 2].map(|arg: usize| inputs[arg][i])) {
            let v = 0.9f32 * v + (round(g) + 1e-4f32 * p);
            [p - 0.1f32 * v, v].into_iter().zip(&mut outputs).for_each(|(x, output)| output.push(x));
        }
        outputs
    })
}

/// Abramowitz and Stegun 7.1.26, which several libraries use.
fn erf_f32(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let poly = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    (1.0 - poly * (-x * x).exp()).copysign(x)
}

fn gelu(form: GeluForm, round: Round) -> Plain {
    let case = Case::f32(Op::Gelu(Gelu { form }), &[&[10_000]]);
    let of = move |x: f32| match form {
        GeluForm::Erf => 0.5 * x * (1.0 + erf_f32(x * std::f32::consts::FRAC_1_SQRT_2)),
        GeluForm::Tanh => 0.5 * x * (1.0 + (0.797_884_6 * (x + 0.044_715 * x * x * x)).tanh()),
    };
    Plain::new(case, round, move |inputs| vec![inputs[0].iter().map(|&x| of(x)).collect()])
}

#[test]
fn plain_f32_is_within_the_bounds() {
    for (what, plain) in [
        ("attention", attention(9, 1000, 64, full)),
        ("attention of one key", attention(3, 1, 7, full)),
        ("long attention", attention(2, 16384, 64, full)),
        ("softmax", softmax(17, full)),
        ("long softmax", softmax(65536, full)),
        ("layer norm", layer_norm(17, full, false)),
        ("layer norm of one", layer_norm(1, full, false)),
        ("long layer norm", layer_norm(16384, full, false)),
        ("layer norm in one pass", layer_norm(1024, full, true)),
        ("adamw at first", adamw(1, full)),
        ("adamw later", adamw(1000, full)),
        ("convolution of few channels", conv2d(3, full)),
        ("convolution of many channels", conv2d(512, full)),
        ("product of blocks", gemm_q8(64, full)),
        ("long product of blocks", gemm_q8(16384, full)),
        ("dequantize", dequantize(full)),
        ("sgd with momentum", sgd_momentum(full)),
        ("gelu by erf", gelu(GeluForm::Erf, full)),
        ("gelu by tanh", gelu(GeluForm::Tanh, full)),
    ] {
        let worst = plain.worst();
        assert!(worst.iter().all(|worst| *worst < 0.9), "{what}: {worst:?} of what is allowed");
    }
}

#[test]
fn a_lower_precision_is_not() {
    for (name, round) in [("tf32", tf32 as Round), ("bf16", to_bf16)] {
        for (what, plain) in [
            ("attention", attention(9, 1000, 64, round)),
            ("long attention", attention(2, 16384, 64, round)),
            ("softmax", softmax(17, round)),
            ("long softmax", softmax(65536, round)),
            ("layer norm", layer_norm(17, round, false)),
            ("long layer norm", layer_norm(16384, round, false)),
            ("adamw", adamw(1000, round)),
            ("convolution", conv2d(512, round)),
            ("product of blocks", gemm_q8(64, round)),
            ("long product of blocks", gemm_q8(16384, round)),
            ("dequantize", dequantize(round)),
            ("sgd with momentum", sgd_momentum(round)),
            ("gelu by erf", gelu(GeluForm::Erf, round)),
            ("gelu by tanh", gelu(GeluForm::Tanh, round)),
        ] {
            assert!(plain.worst()[0] > 1.0, "{what} in {name}: {:?} of what is allowed", plain.worst());
        }
    }
}
