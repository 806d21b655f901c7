//! References against formulas that share no code with them.

use super::*;

const SIZES: [usize; 6] = [1, 2, 3, 5, 7, 17];

fn close(got: &[f64], want: &[f64], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "{what}: element {index}: {got} {want}");
    }
}

/// Element (row, column) of a matrix that may be stored transposed.
fn element(data: &[f64], [rows, columns]: [usize; 2], transposed: bool, row: usize, column: usize) -> f64 {
    if transposed { data[column * rows + row] } else { data[row * columns + column] }
}

#[test]
fn gemm_is_the_triple_loop() {
    for (m, n, k) in SIZES.iter().flat_map(|&m| SIZES.iter().flat_map(move |&n| SIZES.map(|k| (m, n, k)))) {
        let (trans_a, trans_b) = (m % 3 == 2, n % 3 == 2);
        let (alpha, beta) = (if k == 3 { -0.5 } else { 1.0 }, if m == 5 { 2.0 } else { 0.0 });
        let op = Gemm { trans_a, trans_b, alpha, beta, ..Gemm::plain(DType::F32) };
        let (a, b) = (if trans_a { [k, m] } else { [m, k] }, if trans_b { [n, k] } else { [k, n] });
        let shapes = [&a[..], &b, &[m, n]];
        let shapes = if beta == 0.0 { &shapes[..2] } else { &shapes };
        let case = Case::f32(Op::Gemm(op), shapes);
        let mut want = vec![0.0; m * n];
        for (index, want) in want.iter_mut().enumerate() {
            let (i, j) = (index / n, index % n);
            let term = |p| {
                element(&case.data[0], [m, k], trans_a, i, p) * element(&case.data[1], [k, n], trans_b, p, j)
            };
            *want = alpha * (0..k).rev().map(term).sum::<f64>();
            *want += if beta == 0.0 { 0.0 } else { beta * case.data[2][index] };
        }
        close(&case.values(0), &want, &format!("{m} {n} {k}"));
    }
}

#[test]
fn batched_gemm_uses_its_own_matrices_and_may_share_b() {
    let (batch, m, n, k) = (3, 2, 5, 7);
    for shared in [false, true] {
        let b: &[usize] = if shared { &[k, n] } else { &[batch, k, n] };
        let case = Case::f32(Op::Gemm(Gemm::plain(DType::F32)), &[&[batch, m, k], b]);
        let want: Vec<f64> = (0..batch * m * n)
            .map(|index| {
                let (matrix, i, j) = (index / (m * n), index / n % m, index % n);
                let b = &case.data[1][if shared { 0 } else { matrix * k * n }..];
                (0..k).map(|p| case.data[0][(matrix * m + i) * k + p] * b[p * n + j]).sum()
            })
            .collect();
        close(&case.values(0), &want, &format!("shared {shared}"));
    }
}

#[test]
fn beta_of_zero_takes_no_c_and_nan_in_it_cannot_spread() {
    let op = Gemm::plain(DType::F32);
    assert_eq!(
        op.outputs(&vec![ValueSpec::new(&[2, 2], DType::F32); 3]).unwrap_err().0.find("takes 2"),
        Some(6)
    );
}

#[test]
fn integer_products_are_exact_at_the_extremes() {
    use DType::{I8, U8};
    let k = 17;
    for (type_of_a, a, zero_a, b, zero_b) in [
        (U8, 255, 0, -128, 0),
        (U8, 255, 0, 127, 0),
        (U8, 0, 255, -128, 127),
        (U8, 255, 128, 127, -128),
        (I8, -128, 0, -128, 0),
        (I8, -128, 127, -128, 127),
        (I8, 127, -128, 127, -5),
    ] {
        let op = Op::GemmI8(GemmI8 { zero_a, zero_b, ..GemmI8::default() });
        let mut case = Case::new(op, &[&[3, k], &[k, 5]], &[type_of_a, I8]);
        case.data[0].fill(f64::from(a));
        case.data[1].fill(f64::from(b));
        let want = i64::from(k as i32) * i64::from(a - zero_a) * i64::from(b - zero_b);
        assert!(case.values(0).iter().all(|value| *value == want as f64), "{a} {b}");
    }
}

#[test]
fn integer_products_are_sums_of_integers() {
    for (m, n, k) in [(1, 1, 1), (2, 3, 5), (7, 5, 17)] {
        let op = Op::GemmI8(GemmI8 { trans_b: true, zero_a: 128, zero_b: -5, ..GemmI8::default() });
        let case = Case::new(op, &[&[m, k], &[n, k]], &[DType::U8, DType::I8]);
        let want: Vec<f64> = (0..m * n)
            .map(|index| {
                let (i, j) = (index / n, index % n);
                let term =
                    |p: usize| (case.data[0][i * k + p] as i64 - 128) * (case.data[1][j * k + p] as i64 + 5);
                (0..k).map(term).sum::<i64>() as f64
            })
            .collect();
        assert_eq!(case.values(0), want);
    }
}

#[test]
fn element_wise_ops_are_their_formulas() {
    for n in SIZES {
        let triad = Case::f32(Op::Triad(Triad { scale: -1.5 }), &[&[n], &[n]]);
        let add = Case::f32(Op::Add(Add {}), &[&[n], &[n]]);
        let bias = Case::f32(Op::BiasAdd(BiasAdd {}), &[&[3, n], &[n]]);
        let both = Case::f32(Op::BiasGelu(BiasGelu { form: GeluForm::Erf }), &[&[3, n], &[n]]);
        let copy = Case::f32(Op::Copy(Copied {}), &[&[n]]);
        for i in 0..n {
            assert_eq!(triad.values(0)[i], triad.data[0][i] - 1.5 * triad.data[1][i]);
            assert_eq!(add.values(0)[i], add.data[0][i] + add.data[1][i]);
            assert_eq!(copy.values(0)[i], copy.data[0][i]);
            for row in 0..3 {
                let at = row * n + i;
                assert_eq!(bias.values(0)[at], bias.data[0][at] + bias.data[1][i]);
                assert_eq!(both.values(0)[at], gelu_erf(both.data[0][at] + both.data[1][i]));
            }
        }
    }
}

#[test]
fn gelu_is_x_times_the_normal_distribution() {
    // The integral of the normal density from 0 to x by Simpson's rule.
    let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let case = Case::f32(Op::Gelu(Gelu { form: GeluForm::Erf }), &[&[17]]);
    let want: Vec<f64> = case.data[0]
        .iter()
        .map(|&x| {
            let (steps, h) = (2000, x / 2000.0);
            let weight = |i| {
                if i == 0 || i == steps {
                    1.0
                } else if i % 2 == 1 {
                    4.0
                } else {
                    2.0
                }
            };
            let integral: f64 = (0..=steps).map(|i| weight(i) * density(f64::from(i) * h)).sum();
            x * (0.5 + integral * h / 3.0)
        })
        .collect();
    close(&case.values(0), &want, "gelu");
}

#[test]
fn softmax_is_its_definition() {
    for (rows, columns) in SIZES.iter().flat_map(|&rows| SIZES.map(|columns| (rows, columns))) {
        for causal in [false, true].into_iter().filter(|causal| !causal || columns >= rows) {
            let op = Softmax { scale: 0.3, causal, log_sum_exp: true, output: DType::F32 };
            let case = Case::f32(Op::Softmax(op), &[&[2, rows, columns]]);
            let exp = |row: usize, column: usize| {
                let hidden = causal && column > row % rows + columns - rows;
                if hidden { 0.0 } else { (0.3 * case.data[0][row * columns + column]).exp() }
            };
            let sums: Vec<f64> = (0..2 * rows).map(|row| (0..columns).map(|c| exp(row, c)).sum()).collect();
            let want: Vec<f64> =
                (0..2 * rows * columns).map(|i| exp(i / columns, i % columns) / sums[i / columns]).collect();
            close(&case.values(0), &want, &format!("{rows} {columns} {causal}"));
            close(&case.values(1), &sums.iter().map(|sum| sum.ln()).collect::<Vec<_>>(), "log-sum-exp");
        }
    }
}

#[test]
fn softmax_survives_large_scores_and_masks_exactly() {
    let mut case = Case::f32(Op::Softmax(Softmax::plain(DType::F32)), &[&[2, 3]]);
    case.data[0] = vec![1e4, -1e4, 1e4, -3e38, -3e38, -3e38];
    let third = 1.0 / 3.0;
    close(&case.values(0), &[0.5, 0.0, 0.5, third, third, third], "large scores");
    let causal = Softmax { causal: true, ..Softmax::plain(DType::F32) };
    let answer = Case::f32(Op::Softmax(causal), &[&[3, 3]]).answer().remove(0);
    for hidden in [1, 2, 5] {
        assert_eq!((answer[hidden].value, answer[hidden].allow), (0.0, 0.0));
    }
    assert_eq!(answer[0].value, 1.0);
}

#[test]
fn layer_norm_has_mean_zero_and_variance_one() {
    for (rows, columns) in SIZES.iter().flat_map(|&rows| SIZES.map(|columns| (rows, columns))) {
        let case =
            Case::f32(Op::LayerNorm(LayerNorm { eps: 1e-5 }), &[&[rows, columns], &[columns], &[columns]]);
        let [x, gain, bias] = [0, 1, 2].map(|arg| &case.data[arg]);
        for row in 0..rows {
            let x = &x[row * columns..][..columns];
            let mean = x.iter().sum::<f64>() / columns as f64;
            // Variance from the squares of all differences, which needs no mean.
            let squares: f64 = x.iter().flat_map(|a| x.iter().map(move |b| (a - b).powi(2))).sum();
            let rstd = (squares / (2 * columns * columns) as f64 + 1e-5).powf(-0.5);
            let want: Vec<f64> = (0..columns).map(|i| (x[i] - mean) * rstd * gain[i] + bias[i]).collect();
            close(&case.values(0)[row * columns..][..columns], &want, "y");
            close(&case.values(1)[row..][..1], &[mean], "mean");
            close(&case.values(2)[row..][..1], &[rstd], "rstd");
        }
    }
}

#[test]
fn add_layer_norm_is_the_layer_norm_of_the_sum() {
    let (rows, columns) = (3, 17);
    let (whole, row) = ([rows, columns], [columns]);
    let fused = Case::f32(Op::AddLayerNorm(AddLayerNorm { eps: 1e-5 }), &[&whole, &whole, &row, &row]);
    let sum: Vec<f64> = fused.data[0].iter().zip(&fused.data[1]).map(|(x, r)| x + r).collect();
    let mut norm = Case::f32(Op::LayerNorm(LayerNorm { eps: 1e-5 }), &[&whole, &row, &row]);
    norm.data = vec![sum.clone(), fused.data[2].clone(), fused.data[3].clone()];
    close(&fused.values(1), &sum, "sum");
    for (output, of_norm) in [(0, 0), (2, 1), (3, 2)] {
        close(&fused.values(output), &norm.values(of_norm), "norm");
    }
}

#[test]
fn attention_is_softmax_of_scores_times_v() {
    for (queries, keys, depth, causal) in
        [(1, 1, 1, true), (3, 5, 2, true), (7, 3, 5, false), (17, 17, 7, true)]
    {
        let op = Attention { scale: 0.7, causal, log_sum_exp: true };
        let case = Case::f32(Op::Attention(op), &[&[2, queries, depth], &[2, keys, depth], &[2, keys, 3]]);
        let [q, k, v] = [0, 1, 2].map(|arg| &case.data[arg]);
        for head in 0..2 {
            for query in 0..queries {
                let score = |key: usize| {
                    let dot =
                        |d| q[(head * queries + query) * depth + d] * k[(head * keys + key) * depth + d];
                    0.7 * (0..depth).map(dot).sum::<f64>()
                };
                let seen = (0..keys).filter(|key| !causal || *key + queries <= query + keys);
                let weights: Vec<(usize, f64)> = seen.map(|key| (key, score(key).exp())).collect();
                let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
                let row = head * queries + query;
                let of = |column: usize| {
                    weights.iter().map(|(key, w)| w * v[(head * keys + key) * 3 + column]).sum::<f64>() / sum
                };
                close(&case.values(0)[row * 3..][..3], &[of(0), of(1), of(2)], "o");
                close(&case.values(1)[row..][..1], &[sum.ln()], "log-sum-exp");
            }
        }
    }
}

#[test]
fn adamw_moves_by_the_rate_at_first_and_decays_apart_from_the_gradient() {
    // At step 1 from zero moments, the corrected moments are g and g^2, so p moves by rate sign(g).
    let op = Adamw { step: 1, eps: 1e-30, ..Adamw::default() };
    let mut case = Case::f32(Op::Adamw(op), &[&[2][..]; 4]);
    case.data = vec![vec![2.0, -1.0], vec![0.25, -4.0], vec![0.0; 2], vec![0.0; 2]];
    close(&case.values(0), &[2.0 - 1e-3 * 0.01 * 2.0 - 1e-3, -1.0 + 1e-3 * 0.01 + 1e-3], "p");
    close(&case.values(1), &[0.1 * 0.25, -0.1 * 4.0], "m");
    close(&case.values(2), &[0.001 * 0.0625, 0.001 * 16.0], "v");
}

#[test]
fn adamw_follows_its_recursion_for_many_steps() {
    // The published update unrolled: moments are weighted sums of all gradients so far.
    let gradients = [0.5, -0.25, 1.0, 0.125, -2.0];
    let [mut p, mut m, mut v] = [1.0, 0.0, 0.0];
    let mut want: f64 = 1.0;
    for t in 1..=gradients.len() {
        let op = Adamw { step: t as u32, rate: 0.01, weight_decay: 0.1, ..Adamw::default() };
        let mut case = Case::f32(Op::Adamw(op), &[&[1][..]; 4]);
        case.data = vec![vec![p], vec![gradients[t - 1]], vec![m], vec![v]];
        [p, m, v] = [0, 1, 2].map(|output| case.values(output)[0]);
        let moment = |beta: f64, power: i32| -> f64 {
            let terms = (0..t).map(|i| beta.powi((t - 1 - i) as i32) * gradients[i].powi(power));
            terms.sum::<f64>() * (1.0 - beta) / (1.0 - beta.powi(t as i32))
        };
        want -= 0.01 * (moment(0.9, 1) / (moment(0.999, 2).sqrt() + 1e-8) + 0.1 * want);
        close(&[p], &[want], &format!("step {t}"));
    }
}

#[test]
fn sgd_momentum_follows_its_recursion_for_many_steps() {
    // Unrolled: the velocity is the sum of all gradients so far, each kept as often as steps followed.
    let gradients = [0.5, -0.25, 1.0, 0.125, -2.0];
    let (op, [mut p, mut v]) = (SgdMomentum { weight_decay: 0.25, ..SgdMomentum::default() }, [1.0, 0.0]);
    let (mut decayed, mut want) = (vec![], 1.0);
    for gradient in gradients {
        let mut case = Case::f32(Op::SgdMomentum(op.clone()), &[&[1][..]; 3]);
        case.data = vec![vec![p], vec![gradient], vec![v]];
        [p, v] = [0, 1].map(|output| case.values(output)[0]);
        decayed.push(gradient + 0.25 * want);
        let kept = |(age, gradient): (usize, &f64)| 0.9f64.powi(age as i32) * gradient;
        let velocity: f64 = decayed.iter().rev().enumerate().map(kept).sum();
        want -= 0.1 * velocity;
        close(&[p, v], &[want, velocity], "p and v");
    }
}
