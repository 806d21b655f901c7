//! Bounds of the ops of training against plain code in f32.

use super::precision::{Plain, Round, dot, full, tf32, to_bf16};
use super::*;
use DType::{F32, I32};

/// A sum by pairs.
fn pairwise(x: &[f32]) -> f32 {
    match x {
        [] => 0.0,
        [x] => *x,
        _ => pairwise(&x[..x.len() / 2]) + pairwise(&x[x.len() / 2..]),
    }
}

fn column_sum(rows: usize, round: Round) -> Plain {
    let case = Case::f32(Op::ColumnSum(ColumnSum {}), &[&[rows, 3]]);
    Plain::new(case, round, |inputs| {
        let column = |column| inputs[0].iter().skip(column).step_by(3).copied().collect::<Vec<_>>();
        vec![(0..3).map(|at| pairwise(&column(at))).collect()]
    })
}

/// Numbers of one sign, in blocks of 64.
fn column_sum_of_one_sign(rows: usize) -> Plain {
    let mut case = Case::f32(Op::ColumnSum(ColumnSum {}), &[&[rows, 1]]);
    case.data[0].iter_mut().for_each(|x| *x = x.abs() + 0.5);
    case.data[0].iter_mut().for_each(|x| *x = f64::from(*x as f32));
    Plain::new(case, full, |inputs| {
        let block = |block: &[f32]| block.iter().fold(0.0, |sum, x| sum + x);
        vec![vec![pairwise(&inputs[0].chunks(64).map(block).collect::<Vec<_>>())]]
    })
}

fn embedding_grad(ids: usize) -> Plain {
    let op = Op::EmbeddingGrad(EmbeddingGrad { rows: 2 });
    let mut case = Case::new(op, &[&[ids, 3], &[ids]], &[F32, I32]);
    case.data[0].iter_mut().for_each(|x| *x = x.abs());
    Plain::new(case, full, |inputs| {
        let mut table = vec![0.0; 6];
        for (dy, id) in inputs[0].chunks(3).zip(&inputs[1]) {
            dy.iter().enumerate().for_each(|(at, dy)| table[*id as usize * 3 + at] += dy);
        }
        vec![table]
    })
}

fn cross_entropy(classes: usize, round: Round) -> Plain {
    let case = Case::new(Op::CrossEntropy(CrossEntropy {}), &[&[9, classes], &[9]], &[F32, I32]);
    Plain::new(case, full, move |inputs| {
        let rows = inputs[0].chunks(classes).zip(&inputs[1]);
        let (losses, lse) = rows
            .map(|(x, label)| {
                let x: Vec<f32> = x.iter().map(|x| round(*x)).collect();
                let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let lse = max + x.iter().fold(0.0, |sum, x| sum + (x - max).exp()).ln();
                (if *label < 0.0 { 0.0 } else { lse - x[*label as usize] }, lse)
            })
            .unzip();
        vec![losses, lse]
    })
}

fn cross_entropy_grad(classes: usize, round: Round) -> Plain {
    let op = Op::CrossEntropyGrad(CrossEntropyGrad { scale: 0.1 });
    let case = Case::new(op, &[&[9, classes], &[9], &[9]], &[F32, I32, F32]);
    Plain::new(case, full, move |inputs| {
        let element = |at: usize| {
            let (row, class) = (at / classes, at % classes);
            let hit = if class as f32 == inputs[1][row] { 1.0 } else { 0.0 };
            let dx = 0.1f32 * ((round(inputs[0][at]) - inputs[2][row]).exp() - hit);
            if inputs[1][row] < 0.0 { 0.0 } else { dx }
        };
        vec![(0..9 * classes).map(element).collect()]
    })
}

fn softmax_grad(columns: usize, round: Round) -> Plain {
    let op = Op::SoftmaxGrad(SoftmaxGrad { scale: 0.3 });
    let case = Case::f32(op, &[&[5, columns], &[5, columns]]);
    Plain::new(case, round, move |inputs| {
        let rows = inputs[0].chunks(columns).zip(inputs[1].chunks(columns));
        let dx = rows.flat_map(|(dy, y)| {
            let sum = dot(dy.iter().copied(), y.iter().copied());
            dy.iter().zip(y).map(move |(dy, y)| 0.3f32 * y * (dy - sum)).collect::<Vec<_>>()
        });
        vec![dx.collect()]
    })
}

fn layer_norm_grad(columns: usize, round: Round) -> Plain {
    let shapes: [&[usize]; 5] = [&[5, columns], &[5, columns], &[5], &[5], &[columns]];
    Plain::new(Case::f32(Op::LayerNormGrad(LayerNormGrad {}), &shapes), round, move |inputs| {
        let mut answer = vec![];
        for row in 0..5 {
            let [dy, x] = [0, 1].map(|arg: usize| &inputs[arg][row * columns..][..columns]);
            let (mean, rstd) = (inputs[2][row], inputs[3][row]);
            let g: Vec<f32> = dy.iter().zip(&inputs[4]).map(|(dy, gain)| dy * gain).collect();
            let n: Vec<f32> = x.iter().map(|x| (x - mean) * rstd).collect();
            let of_g = g.iter().fold(0.0, |sum, g| sum + g) / columns as f32;
            let of_gn = dot(g.iter().copied(), n.iter().copied()) / columns as f32;
            answer.extend(g.iter().zip(&n).map(|(g, n)| rstd * (g - of_g - n * of_gn)));
        }
        vec![answer]
    })
}

fn layer_norm_param_grad(rows: usize, round: Round) -> Plain {
    let shapes: [&[usize]; 4] = [&[rows, 3], &[rows, 3], &[rows], &[rows]];
    Plain::new(Case::f32(Op::LayerNormParamGrad(LayerNormParamGrad {}), &shapes), round, move |inputs| {
        let column = |column: usize, f: &dyn Fn(usize, usize) -> f32| {
            pairwise(&(0..rows).map(|row| f(row, row * 3 + column)).collect::<Vec<_>>())
        };
        let gain =
            |row: usize, at: usize| inputs[0][at] * ((inputs[1][at] - inputs[2][row]) * inputs[3][row]);
        let bias = |_: usize, at: usize| inputs[0][at];
        vec![(0..3).map(|at| column(at, &gain)).collect(), (0..3).map(|at| column(at, &bias)).collect()]
    })
}

fn attention_grad(queries: usize, keys: usize, depth: usize, round: Round) -> Plain {
    let scale = 1.0 / (depth as f64).sqrt();
    let op = Op::AttentionGrad(AttentionGrad { scale, causal: false });
    let (of_query, of_key) = ([queries, depth], [keys, depth]);
    let shapes: [&[usize]; 6] = [&of_query, &of_query, &of_key, &of_key, &of_query, &[queries]];
    Plain::new(Case::f32(op, &shapes), round, move |inputs| {
        let [dy, q, k, v, y] = [0, 1, 2, 3, 4].map(|arg: usize| &inputs[arg]);
        let row = |x: &[f32], row: usize| x[row * depth..][..depth].to_vec();
        let of = |x: &[f32], y: &[f32]| dot(x.iter().copied(), y.iter().copied());
        let mut outputs = [queries, keys, keys].map(|rows| vec![0.0; rows * depth]);
        for query in 0..queries {
            let (dy, q) = (row(dy, query), row(q, query));
            let sum = of(&dy, &row(y, query));
            for key in 0..keys {
                let (k, v) = (row(k, key), row(v, key));
                let weight = round((scale as f32 * of(&q, &k) - inputs[5][query]).exp());
                let slope = round(scale as f32 * weight * (of(&dy, &v) - sum));
                for at in 0..depth {
                    outputs[0][query * depth + at] += slope * k[at];
                    outputs[1][key * depth + at] += slope * q[at];
                    outputs[2][key * depth + at] += weight * dy[at];
                }
            }
        }
        outputs.into()
    })
}

fn conv2d_weight_grad(images: usize, round: Round) -> Plain {
    let op = Conv2dWeightGrad { layout: ImageLayout::Nchw, stride: [1, 1], padding: [0, 0], kernel: [3, 3] };
    let case = Case::f32(Op::Conv2dWeightGrad(op), &[&[images, 1, 12, 12], &[images, 1, 14, 14]]);
    Plain::new(case, round, move |inputs| {
        let at = |tap: usize| {
            let terms = (0..images * 144).map(|place| (place / 144, place / 12 % 12, place % 12));
            let x = terms.map(|(image, r, s)| inputs[1][(image * 14 + r + tap / 3) * 14 + s + tap % 3]);
            dot(inputs[0].iter().copied(), x)
        };
        vec![(0..9).map(at).collect()]
    })
}

fn conv2d_input_grad(out: usize, round: Round) -> Plain {
    let op = Conv2dInputGrad { layout: ImageLayout::Nhwc, stride: [1, 1], padding: [0, 0], size: [5, 5] };
    let case = Case::f32(Op::Conv2dInputGrad(op), &[&[1, 5, 5, out], &[out, 3, 1, 1]]);
    Plain::new(case, round, move |inputs| {
        let element = |at: usize| {
            let weights = inputs[1].iter().skip(at % 3).step_by(3).copied();
            dot(inputs[0][at / 3 * out..][..out].iter().copied(), weights)
        };
        vec![(0..75).map(element).collect()]
    })
}

fn tanh(round: Round) -> Plain {
    Plain::new(Case::f32(Op::Tanh(Tanh {}), &[&[10_000]]), round, |inputs| {
        vec![inputs[0].iter().map(|x| x.tanh()).collect()]
    })
}

fn gelu_tanh_grad(round: Round) -> Plain {
    let op = Op::GeluGrad(GeluGrad { form: GeluForm::Tanh });
    Plain::new(Case::f32(op, &[&[10_000], &[10_000]]), round, |inputs| {
        let element = |(dy, x): (&f32, &f32)| {
            let t = (0.797_884_6 * (x + 0.044_715 * x * x * x)).tanh();
            let slope = 0.797_884_6 * (1.0 + 0.134_145 * x * x);
            dy * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope)
        };
        vec![inputs[0].iter().zip(&inputs[1]).map(element).collect()]
    })
}

#[test]
fn plain_f32_is_within_the_bounds() {
    for (what, plain) in [
        ("column sum of one", column_sum(1, full)),
        ("column sum", column_sum(100_003, full)),
        ("column sum of one sign", column_sum_of_one_sign(200_000)),
        ("embedding gradient", embedding_grad(4096)),
        ("cross entropy", cross_entropy(7, full)),
        ("cross entropy of many classes", cross_entropy(30_522, full)),
        ("cross entropy gradient", cross_entropy_grad(1000, full)),
        ("softmax gradient", softmax_grad(17, full)),
        ("long softmax gradient", softmax_grad(16_384, full)),
        ("layer norm gradient of one", layer_norm_grad(1, full)),
        ("layer norm gradient", layer_norm_grad(17, full)),
        ("long layer norm gradient", layer_norm_grad(16_384, full)),
        ("layer norm's parameters", layer_norm_param_grad(17, full)),
        ("layer norm's parameters by many rows", layer_norm_param_grad(50_000, full)),
        ("attention gradient", attention_grad(9, 300, 64, full)),
        ("attention gradient of many queries", attention_grad(500, 7, 16, full)),
        ("weight gradient", conv2d_weight_grad(2, full)),
        ("weight gradient of many images", conv2d_weight_grad(100, full)),
        ("input gradient", conv2d_input_grad(512, full)),
        ("tanh", tanh(full)),
        ("gelu gradient by tanh", gelu_tanh_grad(full)),
    ] {
        let worst = plain.worst();
        assert!(worst.iter().all(|worst| *worst < 0.9), "{what}: {worst:?} of what is allowed");
    }
}

#[test]
fn a_lower_precision_is_not() {
    for (name, round) in [("tf32", tf32 as Round), ("bf16", to_bf16)] {
        for (what, plain) in [
            ("column sum", column_sum(17, round)),
            ("cross entropy", cross_entropy(7, round)),
            ("cross entropy gradient", cross_entropy_grad(1000, round)),
            ("softmax gradient", softmax_grad(17, round)),
            ("layer norm gradient", layer_norm_grad(17, round)),
            ("layer norm's parameters", layer_norm_param_grad(17, round)),
            ("attention gradient", attention_grad(9, 300, 64, round)),
            ("weight gradient", conv2d_weight_grad(2, round)),
            ("input gradient", conv2d_input_grad(512, round)),
            ("tanh", tanh(round)),
            ("gelu gradient by tanh", gelu_tanh_grad(round)),
        ] {
            assert!(plain.worst()[0] > 1.0, "{what} in {name}: {:?} of what is allowed", plain.worst());
        }
    }
}
