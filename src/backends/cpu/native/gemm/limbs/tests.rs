use super::split::{LIMB, LINE, len};
use super::*;
use crate::backends::cpu::isa::Isa;
use crate::ops::GemmDims;

/// The units, where this processor has them.
fn tiles() -> Option<Isa> {
    let isa = Isa::here().find(|isa| isa.has_tiles());
    if isa.is_none() {
        eprintln!("skipped: this processor has no AMX");
    }
    isa
}

/// D of one product on one thread, cut into blocks.
fn product(
    isa: Isa,
    [a, b]: [Matrix<f32>; 2],
    [m, n, depth]: [usize; 3],
    (terms, c): (Terms, Option<&[f32]>),
    [down, across]: [usize; 2],
) -> Vec<f32> {
    let mut d = vec![f32::NAN; m * n];
    let whole = Parts::new(&mut d);
    let lens = [down * across, len(down, DEPTH), len(across, DEPTH)];
    let scratch = crate::backends::cpu::parts::TeamScratch::new(1, &lens).unwrap();
    // SAFETY: nobody else has the scratch.
    let [sums, to_a, to_b] = unsafe { scratch.of(0) };
    // What is not written is a number, because sums that are none would be added up again.
    [&mut *sums, &mut *to_a, &mut *to_b].into_iter().for_each(|buffer| buffer.fill(1234.5));
    let mut buffers = Buffers { sums, a: words_mut(to_a), b: words_mut(to_b) };
    let one = One { a, b, c, terms, depth, stride: n };
    // SAFETY: the instruction set has the units.
    let _session = unsafe { Session::open() };
    for rows in parts_in(m, down, TILE) {
        for columns in parts_in(n, across, TILE) {
            let block = Block { of: &one, rows: rows.clone(), columns };
            // SAFETY: the session is open.
            unsafe { block.sum(isa, depth.min(5), &mut buffers) };
            isa.run(Out { block, sums: buffers.sums, whole: &whole, start: 0 });
        }
    }
    d
}

fn terms(alpha: f32, beta: f32) -> Terms {
    Terms { alpha, beta, zeros: [0; 2] }
}

#[test]
fn whole_numbers_give_the_exact_product_at_every_edge() {
    let Some(isa) = tiles() else { return };
    let numbers =
        |len: usize, step: usize| -> Vec<f32> { (0..len).map(|i| (i * step % 17) as f32 - 8.0).collect() };
    for [m, n, k] in [
        [1, 1, 1],
        [32, 32, 32],
        [33, 31, 17],
        [15, 70, 16],
        [100, 47, 96],
        [64, 96, 97],
        [70, 130, 255],
        [65, 33, 49],
    ] {
        let (a, b, c) = (numbers(m * k, 5), numbers(k * n, 3), numbers(m * n, 7));
        for (trans_a, trans_b) in [(false, false), (true, false), (false, true), (true, true)] {
            for (alpha, beta) in [(1.0, 0.0), (2.0, 0.0), (-1.0, 0.5)] {
                let matrices = [
                    Matrix::new(&a, if trans_a { [1, m] } else { [k, 1] }),
                    Matrix::new(&b, if trans_b { [1, k] } else { [n, 1] }),
                ];
                let c = (beta != 0.0).then_some(&c[..]);
                let d = product(isa, matrices, [m, n, k], (terms(alpha, beta), c), [64, 64]);
                for row in 0..m {
                    for column in 0..n {
                        let of_a = |i: usize| a[if trans_a { i * m + row } else { row * k + i }];
                        let of_b = |i: usize| b[if trans_b { column * k + i } else { i * n + column }];
                        let sum: f32 = (0..k).map(|i| of_a(i) * of_b(i)).sum();
                        let want = alpha * sum + c.map_or(0.0, |c| beta * c[row * n + column]);
                        let case = (m, n, k, trans_a, trans_b, alpha, row, column);
                        assert_eq!(d[row * n + column], want, "{case:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn errors_are_those_of_f32() {
    let Some(isa) = tiles() else { return };
    let mut state = 1u64;
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let (m, n) = (64, 64);
    // A depth of one shows what a single product errs by: 1 u is left out, and of six sums the last four are rounded at the
    // product's size. A long one shows what sums do. Without the third limb it is 200 u.
    for (k, most) in [(1, 5.0), (32, 3.0), (96, 3.0), (1000, 3.0)] {
        let a: Vec<f32> = (0..m * k).map(|_| number()).collect();
        let b: Vec<f32> = (0..k * n).map(|_| number()).collect();
        let matrices = [Matrix::new(&a, [k, 1]), Matrix::new(&b, [n, 1])];
        let d = product(isa, matrices, [m, n, k], (terms(1.0, 0.0), None), [64, 64]);
        let mut worst = 0f64;
        for (at, d) in d.iter().enumerate() {
            let terms = (0..k).map(|i| f64::from(a[at / n * k + i]) * f64::from(b[i * n + at % n]));
            let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
            worst = worst.max((f64::from(*d) - sum).abs() / size);
        }
        let roundoffs = worst * 2f64.powi(24);
        println!("depth {k}: {roundoffs:.2} u");
        assert!(roundoffs <= most, "{k}: {roundoffs} u");
    }
}

#[test]
fn what_is_no_number_or_very_large_goes_where_it_goes_in_f32() {
    let Some(isa) = tiles() else { return };
    let (m, n, k) = (40, 50, 130);
    let (mut a, mut b) = (vec![1.0f32; m * k], vec![0.5f32; k * n]);
    a[3 * k + 7] = f32::INFINITY;
    a[4 * k + 8] = f32::NAN;
    a[5 * k + 9] = f32::MAX;
    a[39 * k] = f32::NEG_INFINITY;
    b[99 * n + 33] = f32::NAN;
    let matrices = [Matrix::new(&a, [k, 1]), Matrix::new(&b, [n, 1])];
    let d = product(isa, matrices, [m, n, k], (terms(1.0, 0.0), None), [32, 32]);
    for row in 0..m {
        for column in 0..n {
            let want: f32 = match (row, column) {
                (_, 33) | (4, _) => f32::NAN,
                (3, _) => f32::INFINITY,
                (5, _) => f32::MAX / 2.0,
                (39, _) => f32::NEG_INFINITY,
                _ => k as f32 / 2.0,
            };
            let got = d[row * n + column];
            assert!(got == want || got.is_nan() && want.is_nan(), "{row} {column}: {got}, not {want}");
        }
    }
}

/// What the units add up for a row of A and a column of B, from the words that they read.
fn six_products(a: &[u32], b: &[u32], lines: usize, [row, column]: [usize; 2]) -> f64 {
    let halves = |word: u32| [word << 16, word & 0xFFFF_0000].map(|half| f64::from(f32::from_bits(half)));
    let [a, b] =
        [(a, row), (b, column)].map(|(words, at)| &words[at / TILE * lines * LINE..][..lines * LINE]);
    let mut sum = 0.0;
    for (a, b) in a.chunks_exact(LINE).zip(b.chunks_exact(LINE)) {
        for [limb_a, limb_b] in [[0, 0], [0, 1], [1, 0], [1, 1], [0, 2], [2, 0]] {
            for word in 0..16 {
                let a = halves(a[limb_a * LIMB + row % TILE * 16 + word]);
                let b = halves(b[limb_b * LIMB + word * TILE + column % TILE]);
                sum += a[0] * b[0] + a[1] * b[1];
            }
        }
    }
    sum
}

#[test]
fn limbs_lie_where_six_products_find_them_on_every_instruction_set() {
    let numbers = |len: usize, step: u64| -> Vec<f32> {
        (0..len as u64).map(|i| (i * step % 100_003) as f32 / 33_331.0 - 1.5).collect()
    };
    for [m, n, k] in [[1, 1, 1], [33, 31, 17], [47, 70, 50], [64, 32, 96]] {
        // Rows, columns and depth begin after some that are not asked for.
        let first = 3;
        let [all_m, all_n, all_k] = [m, n, k].map(|len| first + len);
        let (a, b) = (numbers(all_m * all_k, 7919), numbers(all_k * all_n, 104_729));
        let lines = k.div_ceil(ELEMENTS);
        for (isa, by_rows) in Isa::here().flat_map(|isa| [true, false].map(|by_rows| (isa, by_rows))) {
            let [a, b] = [
                Matrix::new(&a, if by_rows { [all_k, 1] } else { [1, all_m] }),
                Matrix::new(&b, if by_rows { [all_n, 1] } else { [1, all_k] }),
            ];
            let (mut to_a, mut to_b) = (vec![u32::MAX; len(m, k)], vec![u32::MAX; len(n, k)]);
            let (rows, columns, depths) = (first..first + m, first..first + n, first..first + k);
            isa.run(Left { a, rows: rows.clone(), depths: depths.clone(), to: &mut to_a });
            isa.run(Right { b, columns: columns.clone(), depths: depths.clone(), to: &mut to_b });
            for (row, column) in rows.flat_map(|row| columns.clone().map(move |column| (row, column))) {
                let of = |matrix: Matrix<f32>, at: [usize; 2]| {
                    f64::from(matrix.data[at[0] * matrix.strides[0] + at[1] * matrix.strides[1]])
                };
                let terms = depths.clone().map(|i| of(a, [row, i]) * of(b, [i, column]));
                let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
                let error = (six_products(&to_a, &to_b, lines, [row - first, column - first]) - sum).abs();
                // What is left out: x2 y3, x3 y2 and x3 y3.
                assert!(
                    error <= 2f64.powi(-24) * 1.001 * size,
                    "{isa:?} {m} {n} {k} {row} {column}: {error}"
                );
            }
        }
    }
}

#[test]
fn limbs_add_up_to_their_element_on_every_instruction_set() {
    let elements = [0.0, -0.0, 1.0, -1.0, 1.0 / 3.0, -3e38, 1e-30, 16_777_215.0, -0.1, 65_535.5];
    let a: Vec<f32> = elements.iter().copied().cycle().take(ELEMENTS).collect();
    for isa in Isa::here() {
        let mut to = vec![0; LINE];
        isa.run(Left { a: Matrix::new(&a, [ELEMENTS, 1]), rows: 0..1, depths: 0..ELEMENTS, to: &mut to });
        for (at, x) in a.iter().enumerate() {
            let words = [0, 1, 2].map(|limb| to[limb * LIMB + at % 16]);
            let limbs =
                words.map(|word| f32::from_bits(if at < 16 { word << 16 } else { word & 0xFFFF_0000 }));
            let sum: f64 = limbs.iter().map(|limb| f64::from(*limb)).sum();
            assert_eq!(sum, f64::from(*x), "{} {x}", isa.name());
            assert!(limbs[1].abs() <= 2f32.powi(-8) * x.abs() && limbs[2].abs() <= 2f32.powi(-17) * x.abs());
        }
    }
}

#[test]
fn blocks_are_whole_tiles_and_two_for_each_thread() {
    let dims = |batch, m, n| GemmDims { batch, m, n, k: 64, shared_b: false };
    for (dims, threads, want) in [
        (dims(1, 1024, 768), 2, [512, 384]),
        (dims(1, 1024, 768), 1, [512, 384]),
        (dims(1, 128, 768), 2, [128, 192]),
        (dims(1, 257, 385), 1, [288, 224]),
        (dims(96, 128, 128), 2, [128, 128]),
        (dims(1, 40, 40), 64, [32, 32]),
    ] {
        assert_eq!(block_of(dims, threads), want, "{dims:?} {threads}");
    }
}
