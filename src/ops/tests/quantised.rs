//! 8-bit ops against their definitions, written a second time.

use super::*;
use DType::{F16, F32, I8, I32, U8};

fn quantized(op: Quantize, shape: &[usize], x: &[f64]) -> Vec<Vec<Expected>> {
    let mut case = Case::f32(Op::Quantize(op), &[shape]);
    case.data[0] = x.iter().map(|&x| f64::from(x as f32)).collect();
    case.answer()
}

fn fixed(scale: f64, zero: i32, output: DType) -> Quantize {
    Quantize { granularity: Granularity::Tensor, scale: Some(scale), zero, output }
}

#[test]
fn ties_go_to_even_and_what_is_too_large_saturates() {
    for (op, pairs) in [
        (fixed(0.5, 0, I8), &[(0.25, 0.0), (0.75, 2.0), (-0.25, 0.0), (1.25, 2.0), (-1.75, -4.0)][..]),
        (
            fixed(1.0, 0, I8),
            &[(126.5, 126.0), (127.5, 127.0), (1e9, 127.0), (-128.5, -128.0), (-1e9, -128.0)],
        ),
        (fixed(2.0, 128, U8), &[(1.0, 128.0), (3.0, 130.0), (-256.0, 0.0), (-1e9, 0.0), (1e9, 255.0)]),
        (fixed(0.25, 0, U8), &[(-1.0, 0.0), (0.125, 0.0), (0.375, 2.0), (63.75, 255.0)]),
    ] {
        let x: Vec<f64> = pairs.iter().map(|(x, _)| *x).collect();
        for (got, (x, want)) in quantized(op.clone(), &[pairs.len()], &x)[0].iter().zip(pairs) {
            // A scale that is a power of two rounds nothing, so a tie has one answer.
            assert_eq!((got.value, got.allow), (*want, 0.0), "{x} by {op:?}");
        }
    }
}

#[test]
fn one_step_is_forgiven_next_to_a_tie_and_nowhere_else() {
    let near = |steps: f64| quantized(fixed(0.1, 0, I8), &[1], &[0.1 * steps])[0][0];
    for (steps, allow) in
        [(0.5, 1.0), (100.5, 1.0), (-7.5, 1.0), (0.500_01, 0.0), (100.499, 0.0), (130.5, 0.0)]
    {
        assert_eq!(near(steps).allow, allow, "{steps}");
    }
    let answer = Case::f32(Op::Quantize(Quantize::dynamic(Granularity::Row)), &[&[64, 512]]).answer();
    let forgiven = answer[0].iter().filter(|q| q.allow > 0.0).count();
    assert!(forgiven < answer[0].len() / 1000, "{forgiven} of {}", answer[0].len());
}

#[test]
fn a_computed_scale_is_the_smallest_at_which_nothing_saturates() {
    let (rows, columns) = (3, 96);
    for (op, group) in [
        (Quantize::dynamic(Granularity::Tensor), rows * columns),
        (Quantize::dynamic(Granularity::Row), columns),
        (Quantize::dynamic(Granularity::Block), 32),
        (Quantize { zero: 100, output: U8, ..Quantize::dynamic(Granularity::Row) }, columns),
        (Quantize { zero: 0, output: U8, ..Quantize::dynamic(Granularity::Tensor) }, rows * columns),
    ] {
        let case = Case::f32(Op::Quantize(op.clone()), &[&[rows, columns]]);
        let (q, scales) = (case.values(0), case.values(1));
        assert_eq!(scales.len(), rows * columns / group);
        for (number, (x, q)) in case.data[0].chunks(group).zip(q.chunks(group)).enumerate() {
            let (least, most) =
                (x.iter().copied().fold(0.0, f64::min), x.iter().copied().fold(0.0, f64::max));
            let zero = f64::from(op.zero);
            let scale = match (op.output, op.zero) {
                (U8, 0) => most / 255.0,
                (U8, _) => (most / (255.0 - zero)).max(-least / zero),
                _ => most.max(-least) / 127.0,
            };
            assert!((scales[number] / scale - 1.0).abs() < 1e-12, "{op:?}");
            for (x, q) in x.iter().zip(q).filter(|(x, _)| op.zero > 0 || op.output == I8 || **x > 0.0) {
                assert!(((q - zero) * scale - x).abs() <= 0.5 * scale * (1.0 + 1e-9), "{op:?}: {x} {q}");
            }
        }
    }
}

#[test]
fn nothing_but_zeros_has_a_scale_of_zero() {
    for granularity in [Granularity::Tensor, Granularity::Row, Granularity::Block] {
        let answer = quantized(Quantize::dynamic(granularity), &[1, 32], &[0.0; 32]);
        assert!(answer.iter().flatten().all(|expected| expected.value == 0.0), "{granularity:?}");
    }
}

#[test]
fn stored_scales_of_blocks_are_within_one_rounding_to_f16() {
    let case = Case::f32(Op::Quantize(Quantize::dynamic(Granularity::Block)), &[&[5, 320]]);
    for (expected, block) in case.answer()[1].iter().zip(case.data[0].chunks(32)) {
        let scale = block.iter().fold(0.0, |max: f64, x| max.max(x.abs())) / 127.0;
        let stored = half::f16::from_f32(scale as f32).to_f64();
        assert!((stored - expected.value).abs() <= expected.allow);
        // Of its neighbours in f16 one may be as near, never the second next.
        let second = half::f16::from_bits(half::f16::from_f64(stored).to_bits() + 2).to_f64();
        assert!((second - expected.value).abs() > expected.allow);
    }
}

#[test]
fn dequantize_scales_rows_and_columns() {
    for (rows, columns, bias) in
        [(false, false, false), (true, false, true), (false, true, true), (true, true, false)]
    {
        let scale_a: &[usize] = if rows { &[2, 3] } else { &[] };
        let scale_b: &[usize] = if columns { &[7] } else { &[] };
        let shapes = [&[2, 3, 7][..], scale_a, scale_b, &[7]];
        let op = Op::Dequantize(Dequantize { bias });
        let case = Case::new(op, &shapes[..if bias { 4 } else { 3 }], &[I32, F32, F32, F32]);
        for (index, got) in case.values(0).iter().enumerate() {
            let (row, column) = (index / 7, index % 7);
            let want = case.data[0][index]
                * case.data[1][if rows { row } else { 0 }]
                * case.data[2][if columns { column } else { 0 }]
                + if bias { case.data[3][column] } else { 0.0 };
            assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "{rows} {columns} {index}");
        }
    }
}

#[test]
fn blocks_multiply_with_their_scales() {
    let (m, n, k) = (3, 5, 96);
    for quantized_a in [false, true] {
        let (a, b) = ([m, k], [n, k]);
        let (scales_a, scales_b) = ([m, k / 32], [n, k / 32]);
        let op = Op::GemmQ8(GemmQ8 { quantized_a });
        let case = match quantized_a {
            true => Case::new(op, &[&a, &scales_a, &b, &scales_b], &[I8, F16]),
            false => Case::new(op, &[&a, &b, &scales_b], &[F32, I8, F16]),
        };
        let [b, scales_b] = [case.data.len() - 2, case.data.len() - 1].map(|arg| &case.data[arg]);
        for (index, got) in case.values(0).iter().enumerate() {
            let (i, j) = (index / n, index % n);
            let term = |p: usize| {
                let scale_a = if quantized_a { case.data[1][i * (k / 32) + p / 32] } else { 1.0 };
                scale_a * scales_b[j * (k / 32) + p / 32] * case.data[0][i * k + p] * b[j * k + p]
            };
            let want: f64 = (0..k).rev().map(term).sum();
            assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "{quantized_a} {index}: {got} {want}");
        }
    }
}

#[test]
fn eight_bits_multiply_to_one_percent() {
    // Published for products of normal numbers: 0.8 to 1.6 % in the Frobenius norm; uniform ones, as here,
    // use the range better.
    let (m, n, k) = (8, 8, 768);
    let exact = Case::f32(Op::Gemm(Gemm { trans_b: true, ..Gemm::plain(F32) }), &[&[m, k], &[n, k]]);
    let bits: Vec<Vec<Vec<f64>>> = exact
        .data
        .iter()
        .map(|x| {
            let mut case = Case::f32(Op::Quantize(Quantize::dynamic(Granularity::Block)), &[&[m, k]]);
            case.data[0] = x.clone();
            vec![case.values(0), case.values(1)]
        })
        .collect();
    let op = Op::GemmQ8(GemmQ8 { quantized_a: true });
    let mut case = Case::new(op, &[&[m, k], &[m, k / 32], &[n, k], &[n, k / 32]], &[I8, F16]);
    case.data = bits.concat();
    let (want, got) = (exact.values(0), case.values(0));
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let error =
        square(&mut want.iter().zip(&got).map(|(want, got)| want - got)) / square(&mut want.iter().copied());
    assert!((0.0005..0.01).contains(&error), "{error}");
}
