use super::multiply::{Engine, Right, Scratch, Target};
use super::words::Arithmetic;
use super::*;
use crate::backends::cpu::isa::Isa;

fn engine(isa: Isa, arithmetic: Arithmetic) -> Option<Engine> {
    let kernels = kernels(isa, arithmetic)?;
    Some(Engine { isa, kernels, blocks: Blocks::of(&crate::host::facts(), &kernels) })
}

#[test]
fn every_edge_and_stride_gives_the_product() {
    for isa in Isa::here() {
        let Some(engine) = engine(isa, Arithmetic::F32) else { panic!("no products of f32") };
        for [m, n, k] in
            [[1, 1, 1], [3, 7, 5], [14, 32, 16], [15, 33, 17], [141, 40, 1029], [13, 64, 15], [2, 1100, 9]]
        {
            for (trans_a, trans_b) in [(false, false), (true, false), (false, true), (true, true)] {
                check(&engine, [m, n, k], trans_a, trans_b);
            }
        }
    }
}

fn check(engine: &Engine, extents: [usize; 3], trans_a: bool, trans_b: bool) {
    let [m, n, k] = extents;
    let numbers =
        |len: usize, step: usize| -> Vec<f32> { (0..len).map(|i| (i * step % 17) as f32 - 8.0).collect() };
    let (a, b) = (numbers(m * k, 5), numbers(k * n, 3));
    let matrix_a = Matrix::new(&a, if trans_a { [1, m] } else { [k, 1] });
    let matrix_b = Matrix::new(&b, if trans_b { [1, k] } else { [n, 1] });
    let [mut pack_a, mut pack_b, mut rows] = engine.scratch_lens(extents).map(|len| vec![u32::MAX; len]);
    let mut scratch = Scratch { a: &mut pack_a, b: &mut pack_b, rows: &mut rows };
    let mut d = vec![1.0; m * n];
    let start = d.as_mut_ptr();
    let target = Target { beta: 1.0, init: start.cast(), init_stride: n, ..Target::plain(start, n, 2.0) };
    engine.multiply::<f32, f32, f32, f32>(matrix_a, &Right::Plain(matrix_b), extents, target, &mut scratch);
    for row in 0..m {
        for column in 0..n {
            let of_a = |i: usize| a[if trans_a { i * m + row } else { row * k + i }];
            let of_b = |i: usize| b[if trans_b { column * k + i } else { i * n + column }];
            let want: f32 = 1.0 + 2.0 * (0..k).map(|i| of_a(i) * of_b(i)).sum::<f32>();
            let got = d[row * n + column];
            assert_eq!(got, want, "{} {extents:?} {trans_a} {trans_b} {row} {column}", engine.isa.name());
        }
    }
}

#[test]
fn threads_are_spread_so_that_little_is_copied() {
    for (threads, rows, columns, want) in [
        (1, 10, 10, (1, 1)),
        (2, 512, 512, (2, 1)),
        (2, 8, 4096, (1, 2)),
        (4, 512, 512, (2, 2)),
        (3, 9, 1, (3, 1)),
    ] {
        assert_eq!(grid(threads, rows, columns), want);
    }
}
