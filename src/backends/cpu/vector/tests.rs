use super::*;
use crate::backends::cpu::float::Float;
use crate::backends::cpu::isa::{Isa, Loops};
use half::{bf16, f16};

/// One result of every method for each lane.
struct Methods<'a>(&'a [f32], &'a [f32], &'a mut Vec<Vec<f32>>);

impl Loops for Methods<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self(x, y, results) = self;
        for (x, y) in x.chunks_exact(V::LANES).zip(y.chunks_exact(V::LANES)) {
            let (a, b) = (V::load(x), V::load(y));
            let mut next = results.iter_mut();
            let mut put = |value: V| {
                let mut lanes = [0.0; MOST_LANES];
                value.store(&mut lanes);
                next.next().unwrap().extend(&lanes[..V::LANES]);
            };
            put(a.add(b));
            put(a.sub(b));
            put(a.mul(b));
            put(a.div(b));
            put(a.max(b));
            put(a.min(b));
            put(a.abs());
            put(a.abs().sqrt());
            put(a.add_bits::<3>(b));
            put(a.quotient(b));
            put(a.multiply_add(b, a));
            put(a.size_up_to(b.abs()));
            put(a.of_whole());
            put(a.where_positive(b, V::splat(3.0)));
        }
    }
}

const ODD: [f32; 16] = [
    0.0,
    -0.0,
    1.0,
    -2.5,
    1e-40,
    -1e-45,
    3.4e38,
    -1e30,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::MIN_POSITIVE,
    0.1,
    7.0,
    -1e-3,
    123.456,
];

fn same(a: f32, b: f32) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

#[test]
fn every_level_computes_what_single_numbers_do() {
    for turn in 0..ODD.len() {
        let (x, mut y) = (ODD, ODD);
        y.rotate_left(turn);
        for isa in Isa::here() {
            let mut results = vec![vec![]; 14];
            isa.run(Methods(&x, &y, &mut results));
            for (lane, (a, b)) in x.into_iter().zip(y).enumerate() {
                let larger = if a > b { a } else { b };
                let smaller = if a < b { a } else { b };
                let shifted = f32::from_bits(a.to_bits().wrapping_add(b.to_bits() << 3));
                let wanted = [a + b, a - b, a * b, a / b, larger, smaller, a.abs(), a.abs().sqrt(), shifted];
                for (method, want) in wanted.into_iter().enumerate() {
                    let got = results[method][lane];
                    assert!(same(got, want), "{isa:?} method {method} of {a} and {b}: {got} {want}");
                }
                let (quotient, want) = (results[9][lane], a / b);
                if (1e-30..=1e30).contains(&b.abs()) && want.is_normal() {
                    assert!((quotient / want - 1.0).abs() < 2.4e-7, "{isa:?} {a} / {b}: {quotient}");
                }
                let (size, want) = (results[11][lane], a.abs().min(b.abs()));
                assert!(size == want || a.is_nan() || b.is_nan(), "{isa:?} {a} up to {b}: {size}");
                assert_eq!(results[12][lane], a.to_bits() as i32 as f32, "{isa:?} {a}");
                assert!(same(results[13][lane], if a > 0.0 { b } else { 3.0 }), "{isa:?} {a} positive");
                let want = f64::from(a) * f64::from(b) + f64::from(a);
                if want.abs() < 1e38 && a.abs() > 1e-30 && b.abs() > 1e-30 {
                    let off = (f64::from(results[10][lane]) - want).abs();
                    assert!(off <= 1.2e-7 * ((a * b).abs() + a.abs()) as f64, "{isa:?} {a} {b}");
                }
            }
        }
    }
}

/// Two registers taken apart and put together again, one after another.
struct Turns<'a>(&'a [f32], &'a mut Vec<f32>, &'a mut usize);

impl Loops for Turns<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self(x, results, lanes) = self;
        let (a, b) = (V::load(x), V::load(&x[V::LANES..]));
        let [low, high] = a.evens(b).interleave(a.odds(b));
        for part in [a.evens(b), a.odds(b), low, high] {
            let mut whole = [0.0; MOST_LANES];
            part.store(&mut whole);
            results.extend(&whole[..V::LANES]);
        }
        *lanes = V::LANES;
    }
}

#[test]
fn lanes_are_taken_in_turn() {
    let x: Vec<f32> = (0..2 * MOST_LANES).map(|lane| lane as f32).collect();
    for isa in Isa::here() {
        let (mut results, mut lanes) = (vec![], 0);
        isa.run(Turns(&x, &mut results, &mut lanes));
        let number = |at: usize| match at / lanes {
            0 => 2 * at,
            1 => 2 * (at - lanes) + 1,
            _ => at - 2 * lanes,
        };
        let want: Vec<f32> = (0..4 * lanes).map(|at| number(at) as f32).collect();
        assert_eq!(results, want, "{isa:?}");
    }
}

struct Rounds<'a, T>(&'a [T], &'a mut [T]);

impl<T: Float> Loops for Rounds<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        for (from, to) in self.0.chunks(V::LANES).zip(self.1.chunks_mut(V::LANES)) {
            T::store_first(T::load_first::<V>(from), to);
        }
    }
}

struct Narrows<'a, T>(&'a [f32], &'a mut [T]);

impl<T: Float> Loops for Narrows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        for (from, to) in self.0.chunks_exact(V::LANES).zip(self.1.chunks_exact_mut(V::LANES)) {
            T::store(V::load(from), to);
        }
    }
}

/// Numbers of 16 bits: all of them where that takes no interpreter.
const STEP: usize = if cfg!(miri) { 257 } else { 1 };

fn check_halves<T: Float + PartialEq + std::fmt::Debug>(from_bits: fn(u16) -> T, of: fn(f32) -> T) {
    let all: Vec<T> = (0..=u16::MAX).step_by(STEP).map(from_bits).collect();
    let high = (0..=u16::MAX).step_by(STEP);
    let wide: Vec<f32> = high
        .flat_map(|high| [0u32, 1, 0x7FFF, 0x8000].map(|low| f32::from_bits((u32::from(high) << 16) | low)))
        .collect();
    let wide = &wide[..wide.len() / MOST_LANES * MOST_LANES];
    let nan = |x: &T| x.to_f32().is_nan();
    for isa in Isa::here() {
        let mut back = vec![of(1.0); all.len()];
        isa.run(Rounds(&all, &mut back));
        assert!(all.iter().zip(&back).all(|(a, b)| a == b || (nan(a) && nan(b))), "{isa:?}");
        let mut narrow = vec![of(1.0); wide.len()];
        isa.run(Narrows(wide, &mut narrow));
        for (x, got) in wide.iter().zip(&narrow) {
            assert!(*got == of(*x) || (nan(got) && x.is_nan()), "{isa:?} {x}: {got:?}");
        }
    }
}

#[test]
fn halves_round_as_the_library_does() {
    check_halves::<bf16>(bf16::from_bits, bf16::from_f32);
    check_halves::<f16>(f16::from_bits, f16::from_f32);
}

struct Parts<'a>(&'a [f32], &'a mut [f32]);

impl Loops for Parts<'_> {
    type Output = [f32; 2];
    #[inline(always)]
    fn run<V: Vector>(self) -> [f32; 2] {
        let count = self.0.len().min(V::LANES);
        let x = V::load_first(&self.0[..count]);
        let (sum, largest) = (x.sum(), x.with_rest(count, f32::NEG_INFINITY).largest());
        x.store_first(&mut self.1[..count]);
        [sum, largest]
    }
}

#[test]
fn a_part_of_a_register_is_that_part_alone() {
    for isa in Isa::here() {
        for len in 0..=4 {
            let x: Vec<f32> = (0..len).map(|i| -1.0 - i as f32).collect();
            let mut to = [9.0; 5];
            let [sum, largest] = isa.run(Parts(&x, &mut to));
            assert_eq!(sum, x.iter().sum::<f32>(), "{isa:?}");
            assert_eq!(largest, if len > 0 { -1.0 } else { f32::NEG_INFINITY }, "{isa:?}");
            assert!(to[..len] == x[..] && to[len..].iter().all(|x| *x == 9.0), "{isa:?}");
        }
    }
}

/// Elements of a table by the low bits of a number.
struct Indices<'a>(&'a [f32; 32], &'a mut [f32]);

impl Loops for Indices<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        for x in self.1.chunks_exact_mut(V::LANES) {
            V::load(x).look_up(self.0).store(x);
        }
    }
}

#[test]
fn the_lowest_bits_look_up() {
    let table: [f32; 32] = std::array::from_fn(|i| i as f32);
    for isa in Isa::here() {
        let mut x: [f32; 64] = std::array::from_fn(|i| 12_582_912.0 + i as f32 - 32.0);
        isa.run(Indices(&table, &mut x));
        assert_eq!(x, std::array::from_fn(|i| (i % 32) as f32), "{isa:?}");
    }
}
