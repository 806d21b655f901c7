use super::factors::Right;
use super::multiply::{Engine, Scratch};
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
        let wide = wide_kernels(isa).map(|kernels| Engine { kernels, ..engine });
        let extents = [
            [1, 1, 1],
            [3, 7, 5],
            [8, 48, 16],
            [14, 32, 16],
            [15, 33, 17],
            [17, 49, 35],
            [141, 40, 1029],
            [600, 100, 33],
            [13, 64, 15],
            [2, 1100, 9],
            [3, 2048, 64],
            [5, 1030, 65],
            [7, 100, 70],
            [8, 1055, 67],
            [9, 1024, 129],
            [10, 1024, 66],
            [11, 1025, 71],
            [13, 1024, 64],
            [16, 1024, 68],
            [20, 1024, 300],
        ];
        // As if B came from memory, whatever its size.
        let far = Engine { blocks: Blocks { last: 0, ..engine.blocks }, ..engine };
        for engine in [engine, far].into_iter().chain(wide) {
            for extents in extents {
                for (trans_a, trans_b) in [(false, false), (true, false), (false, true), (true, true)] {
                    for (alpha, beta) in [(2.0, 1.0), (1.0, 1.0), (1.0, 0.0), (-1.0, 0.5)] {
                        check(&engine, extents, (trans_a, trans_b), (alpha, beta));
                    }
                }
            }
        }
    }
}

fn check(engine: &Engine, extents: [usize; 3], (trans_a, trans_b): (bool, bool), (alpha, beta): (f32, f32)) {
    let [m, n, k] = extents;
    let numbers =
        |len: usize, step: usize| -> Vec<f32> { (0..len).map(|i| (i * step % 17) as f32 - 8.0).collect() };
    let (a, b) = (numbers(m * k, 5), numbers(k * n, 3));
    let matrix_a = Matrix::new(&a, if trans_a { [1, m] } else { [k, 1] });
    let matrix_b = Matrix::new(&b, if trans_b { [1, k] } else { [n, 1] });
    let [mut pack_a, mut pack_b, mut rows] = engine.scratch_lens(extents).map(|len| vec![u32::MAX; len]);
    let mut scratch = Scratch { a: &mut pack_a, b: &mut pack_b, rows: &mut rows };
    // What is not to be read is not a number.
    let mut d = vec![if beta == 0.0 { f32::NAN } else { 1.0 }; m * n];
    let start = d.as_mut_ptr();
    let init = if beta == 0.0 { std::ptr::null() } else { start.cast_const().cast() };
    let target = Target { beta, init, init_stride: n, ..Target::plain(start, n, alpha) };
    engine.multiply::<f32, f32, f32, f32>(matrix_a, &Right::Plain(matrix_b), extents, target, &mut scratch);
    for row in 0..m {
        for column in 0..n {
            let of_a = |i: usize| a[if trans_a { i * m + row } else { row * k + i }];
            let of_b = |i: usize| b[if trans_b { column * k + i } else { i * n + column }];
            let want: f32 = beta + alpha * (0..k).map(|i| of_a(i) * of_b(i)).sum::<f32>();
            let got = d[row * n + column];
            let case = (extents, trans_a, trans_b, alpha, beta, row, column);
            assert_eq!(got, want, "{} {case:?}", engine.isa.name());
        }
    }
}

/// A product of small whole numbers, exact in every arithmetic.
fn check_narrow<LA: Lane, LB: Lane, A: To<LA>, B: To<LB>>(
    engine: &Engine,
    [m, n, k]: [usize; 3],
    (trans_a, trans_b): (bool, bool),
    of_a: fn(i32) -> A,
    of_b: fn(i32) -> B,
    read: fn(u32) -> i32,
) {
    let numbers = |len: usize, step: usize| (0..len).map(move |i| (i * step % 17) as i32 - 8);
    let (a, b): (Vec<i32>, Vec<i32>) = (numbers(m * k, 5).collect(), numbers(k * n, 3).collect());
    let (stored_a, stored_b): (Vec<A>, Vec<B>) =
        (a.iter().map(|x| of_a(*x)).collect(), b.iter().map(|x| of_b(*x)).collect());
    let matrix_a = Matrix::new(&stored_a, if trans_a { [1, m] } else { [k, 1] });
    let matrix_b = Matrix::new(&stored_b, if trans_b { [1, k] } else { [n, 1] });
    let lens = engine.scratch_lens([m, n, k.div_ceil(LA::PER_WORD)]);
    // Not a number wherever nothing was laid out.
    let [mut pack_a, mut pack_b, mut rows] = lens.map(|len| vec![u32::MAX; len]);
    let mut scratch = Scratch { a: &mut pack_a, b: &mut pack_b, rows: &mut rows };
    let mut d = vec![f32::NAN; m * n];
    // The bytes of A stand 8 too high, which the zero point takes back.
    let target = Target { zero: 8, ..Target::plain(d.as_mut_ptr(), n, 1.0) };
    engine.multiply::<LA, LB, A, B>(matrix_a, &Right::Plain(matrix_b), [m, n, k], target, &mut scratch);
    for row in 0..m {
        for column in 0..n {
            let at_a = |i: usize| a[if trans_a { i * m + row } else { row * k + i }];
            let at_b = |i: usize| b[if trans_b { column * k + i } else { i * n + column }];
            let want: i32 = (0..k).map(|i| at_a(i) * at_b(i)).sum();
            let got = read(d[row * n + column].to_bits());
            assert_eq!(got, want, "{} {m} {n} {k} {trans_a} {trans_b} {row} {column}", engine.isa.name());
        }
    }
}

#[test]
fn narrow_numbers_give_the_exact_product_at_every_edge() {
    let sizes = [1, 2, 15, 16, 17, 31, 32, 33, 47];
    let mut extents: Vec<[usize; 3]> = sizes.iter().flat_map(|&m| sizes.map(|n| [m, n, 61])).collect();
    extents.extend((1..=70).map(|k| [19, 35, k]));
    extents.extend([[300, 70, 129], [33, 33, 4200], [290, 40, 4200]]);
    for isa in Isa::here() {
        for trans in [(false, false), (true, false), (false, true), (true, true)] {
            for arithmetic in [Arithmetic::Bytes, Arithmetic::Bf16] {
                let Some(engine) = engine(isa, arithmetic) else { continue };
                extents.iter().for_each(|&extents| check_either(&engine, arithmetic, extents, trans));
                // As if a single panel filled the second cache.
                let small = Engine { blocks: Blocks { second: 0, ..engine.blocks }, ..engine };
                check_either(&small, arithmetic, [70, 130, 200], trans);
            }
        }
    }
}

fn check_either(engine: &Engine, arithmetic: Arithmetic, extents: [usize; 3], trans: (bool, bool)) {
    if arithmetic == Arithmetic::Bytes {
        let of = (|x: i32| (x + 8) as u8, |x: i32| x as i8);
        check_narrow::<u8, i8, u8, i8>(engine, extents, trans, of.0, of.1, |d| d as i32);
    } else {
        let (of, read) = (|x: i32| bf16::from_f32(x as f32), |d: u32| f32::from_bits(d) as i32);
        check_narrow::<bf16, bf16, bf16, bf16>(engine, extents, trans, of, of, read);
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
