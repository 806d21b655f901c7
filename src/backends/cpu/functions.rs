//! f32 formulas that several CPU backends share, over vectors of any width.

use super::vector::{Portable, Vector};
use crate::ops::{Adamw, GeluForm, SgdMomentum, gelu_erf, gelu_tanh};
use std::sync::LazyLock;

/// Adding 1.5 2^23 rounds to a whole number, which then stands in the low bits.
const ROUNDER: f32 = 12_582_912.0;

/// e^x to 2.5e-7 of it, for x up to 88, from -87.3 on, where it ends to be a normal number; below, it
/// falls to 0. No branch, no call.
#[inline(always)]
pub fn exp<V: Vector>(x: V) -> V {
    // At -127 ln 2 the exponent's bits are 0, and so is the result.
    let x = V::splat(-127.0 * std::f32::consts::LN_2).max(V::splat(88.0).min(x));
    if V::LOOKS_UP { exp_of_parts::<V, 32>(x) } else { exp_of_parts::<V, 1>(x) }
}

/// [`exp`] of what is not above 0, to 3e-8 |x| more: that is what the difference of two numbers is off by
/// anyway.
#[inline(always)]
pub fn exp_of_difference<V: Vector>(x: V) -> V {
    if !V::FUSED {
        return exp(x);
    }
    let x = V::splat(-127.0 * std::f32::consts::LN_2).max(x);
    let (parts, rounder) = (if V::LOOKS_UP { 32.0 } else { 1.0 }, V::splat(ROUNDER));
    let shifted = x.multiply_add(V::splat(parts * std::f32::consts::LOG2_E), rounder);
    let r = shifted.sub(rounder).multiply_add(V::splat(-std::f32::consts::LN_2 / parts), x);
    if V::LOOKS_UP { power_and_rest(shifted, r) } else { power_of_rest(shifted, r) }
}

/// 2^(n / 32) e^r, where `shifted` has n in its low bits and |r| <= ln 2 / 64: off by 5.4e-8.
#[inline(always)]
fn power_and_rest<V: Vector>(shifted: V, r: V) -> V {
    let power = shifted.look_up(&POWERS).add_bits::<18>(shifted);
    let series = V::splat(0.5).multiply_add(r, V::splat(1.000_014_7));
    power.mul(r).multiply_add(series, power)
}

/// e^x = 2^(n / PARTS) e^r with n whole and |r| <= ln 2 / 2 / PARTS.
#[inline(always)]
fn exp_of_parts<V: Vector, const PARTS: u32>(x: V) -> V {
    // The first part of ln 2 has so few digits that n times it is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let (parts, rounder) = (PARTS as f32, V::splat(ROUNDER));
    let shifted = x.multiply_add(V::splat(parts * std::f32::consts::LOG2_E), rounder);
    let n = shifted.sub(rounder);
    let r = n.multiply_add(V::splat(-LN2_HIGH / parts), x);
    let r = n.multiply_add(V::splat(-LN2_LOW / parts), r);
    if PARTS == 32 { power_and_rest(shifted, r) } else { power_of_rest(shifted, r) }
}

/// 2^n e^r, where `shifted` has n in its low bits and |r| <= ln 2 / 2: off by 9.2e-8 (minimax).
#[inline(always)]
fn power_of_rest<V: Vector>(shifted: V, r: V) -> V {
    const SERIES: [f32; 6] = [1.0, 0.999_999_7, 0.499_991_5, 0.166_676_36, 0.041_897_93, 0.008_290_315];
    // A factor, because a polynomial below 1 would wrap where the power's bits are 0.
    polynomial(&SERIES, r).mul(V::splat(1.0).add_bits::<23>(shifted))
}

/// 2^(i / 32), less what the number i adds to the bits of the sum n = 32 e + i shifted by 18: what is left
/// of it multiplies by 2^e.
const POWERS: [f32; 32] = {
    const ROOT: f64 = 1.021_897_148_654_116_6;
    let mut powers = [0.0; 32];
    let (mut power, mut i) = (1.0, 0);
    while i < 32 {
        powers[i] = f32::from_bits((power as f32).to_bits() - ((i as u32) << 18));
        (power, i) = (power * ROOT, i + 1);
    }
    powers
};

/// c0 + c1 x + c2 x^2 + ...
#[inline(always)]
fn polynomial<V: Vector, const N: usize>(coefficients: &[f32; N], x: V) -> V {
    let mut sum = V::splat(coefficients[N - 1]);
    for power in (0..N - 1).rev() {
        sum = sum.multiply_add(x, V::splat(coefficients[power]));
    }
    sum
}

/// The Gaussian error linear unit in one of its forms: gelu(x) = max(x, 0) - |x| q(|x|), where q falls from
/// 1/2 to 0.
#[derive(Clone, Copy, Debug)]
pub struct GeluFunction {
    form: GeluForm,
    tail: Tail,
}

/// From here on q is less than 1e-7 in both forms.
const GELU_END: f32 = 5.2;

impl GeluFunction {
    /// In this form.
    pub fn new(form: GeluForm) -> Self {
        static ERF: LazyLock<Tail> = LazyLock::new(|| Tail::of(gelu_erf));
        static TANH: LazyLock<Tail> = LazyLock::new(|| Tail::of(gelu_tanh));
        let tail = match form {
            GeluForm::Erf => *ERF,
            GeluForm::Tanh => *TANH,
        };
        Self { form, tail }
    }

    /// Of each lane, to 4 u |x|.
    #[inline(always)]
    pub fn of<V: Vector>(&self, x: V) -> V {
        let size = x.size_up_to(V::splat(GELU_END));
        let minus_tail = match self.form {
            _ if V::LOOKS_UP => self.tail.at(size),
            GeluForm::Erf => V::splat(0.0).sub(erf_tail(size)),
            GeluForm::Tanh => V::splat(0.0).sub(tanh_tail(size)),
        };
        size.multiply_add(minus_tail, V::splat(0.0).max(x))
    }

    /// Of one number.
    #[inline(always)]
    pub fn of_one(&self, x: f32) -> f32 {
        self.of(Portable::<1>::splat(x)).sum()
    }
}

/// (1 - erf(x / sqrt 2)) / 2 to 1.5e-7: Abramowitz and Stegun, 7.1.26.
#[inline(always)]
fn erf_tail<V: Vector>(x: V) -> V {
    erf_tail_of(x, bell(x))
}

/// The same, where e^(-x^2/2) is known.
#[inline(always)]
fn erf_tail_of<V: Vector>(x: V, bell: V) -> V {
    const HALVES: [f32; 5] = [0.127_414_8, -0.142_248_37, 0.710_706_9, -0.726_576, 0.530_702_7];
    let one = V::splat(1.0);
    let t = one.quotient(x.multiply_add(V::splat(0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2), one));
    t.mul(polynomial(&HALVES, t)).mul(bell)
}

/// e^(-x^2/2)
#[inline(always)]
fn bell<V: Vector>(x: V) -> V {
    exp_of_difference(x.mul(x).mul(V::splat(-0.5)))
}

/// (1 - tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 = 1 / (1 + e^(2 ..)).
#[inline(always)]
fn tanh_tail<V: Vector>(x: V) -> V {
    const TWICE: f32 = 2.0 * 0.797_884_6;
    let one = V::splat(1.0);
    let double = x.mul(x.mul(x).multiply_add(V::splat(0.044_715 * TWICE), V::splat(TWICE)));
    one.quotient(exp(double).add(one))
}

/// The slope of the Gaussian error linear unit in one of its forms: d(|x|) below 0 and 1 - d(|x|) above, where d
/// goes from 1/2 to 0.
#[derive(Clone, Copy, Debug)]
pub struct GeluSlope(pub GeluForm);

/// From here on d is less than 1e-14 in both forms.
const SLOPE_END: f32 = 9.0;

impl GeluSlope {
    /// Of each lane, to the bound of `gelu_grad`.
    #[inline(always)]
    pub fn of<V: Vector>(&self, x: V) -> V {
        let (size, one) = (x.size_up_to(V::splat(SLOPE_END)), V::splat(1.0));
        let d = match self.0 {
            GeluForm::Erf => {
                // q - x phi(x)
                const DENSITY: f32 = 0.398_942_3;
                let bell = bell(size);
                erf_tail_of(size, bell).sub(size.mul(bell).mul(V::splat(DENSITY)))
            }
            GeluForm::Tanh => {
                // q - 2 x q (1 - q) z'(x), because 1 - tanh(z)^2 = 4 q (1 - q)
                const SLOPE: f32 = 0.797_884_6;
                let q = tanh_tail(size);
                let slope = size.mul(size).multiply_add(V::splat(0.134_145 * SLOPE), V::splat(SLOPE));
                q.sub(size.add(size).mul(q.mul(one.sub(q))).mul(slope))
            }
        };
        x.where_positive(one.sub(d), d)
    }

    /// Of one number.
    pub fn of_one(&self, x: f32) -> f32 {
        self.of(Portable::<1>::splat(x)).sum()
    }
}

/// tanh(x) to 5 u of it.
///
/// Up to 0.625 the odd polynomial of the Cephes library's `tanhf` (Moshier), off by 1.3e-7 of it; from there on
/// 1 - 2 / (e^(2x) + 1), whose difference does not cancel.
#[inline(always)]
pub fn tanh<V: Vector>(x: V) -> V {
    const SMALL: f32 = 0.625;
    const ODD: [f32; 5] = [-0.333_332_8, 0.133_314_42, -0.053_739_715, 0.020_639_088, -0.005_704_988_7];
    let (size, one) = (x.abs(), V::splat(1.0));
    let square = size.mul(size);
    let near = square.mul(polynomial(&ODD, square)).multiply_add(size, size);
    // Beyond 10 the answer is 1, and the exponential stays finite.
    let most = V::splat(10.0).min(size);
    let far = one.sub(V::splat(2.0).div(exp(most.add(most)).add(one)));
    let value = V::splat(SMALL).sub(size).where_positive(near, far);
    x.where_positive(value, V::splat(0.0).sub(value))
}

/// The function -q of [`GeluFunction`] as 32 polynomials of degree 3, one around each multiple of 1/6.
///
/// A register costs 11 operations: size, sum and rounding to a piece, four look-ups, three steps of Horner's
/// scheme, max(x, 0), and the last multiply-add.
#[derive(Clone, Copy, Debug)]
struct Tail([[f32; 32]; 4]);

impl Tail {
    const PIECES: f64 = 6.0;

    /// Interpolates at Chebyshev's points: off by max |q''''| / (8 4! 12^4) = 1.4e-7.
    fn of(gelu: fn(f64) -> f64) -> Self {
        let mut table = [[0.0; 32]; 4];
        for piece in 0..32 {
            let q = |r: f64| {
                let x = (f64::from(piece) + r) / Self::PIECES;
                // gelu(-x) = -x q(x), and q is odd about 1/2.
                if x == 0.0 { -0.5 } else { gelu(-x) / x }
            };
            let mut c = about(-f64::from(piece), cubic(q));
            for (power, c) in c.iter_mut().enumerate() {
                *c *= Self::PIECES.powi(power as i32);
            }
            for (row, c) in table.iter_mut().zip(rounded_about(f64::from(piece) / Self::PIECES, c)) {
                row[piece as usize] = c;
            }
        }
        Self(table)
    }

    #[inline(always)]
    fn at<V: Vector>(&self, x: V) -> V {
        let shifted = x.multiply_add(V::splat(Self::PIECES as f32), V::splat(ROUNDER));
        let [c0, c1, c2, c3] = &self.0;
        let sum = shifted.look_up(c3).multiply_add(x, shifted.look_up(c2));
        sum.multiply_add(x, shifted.look_up(c1)).multiply_add(x, shifted.look_up(c0))
    }
}

/// The coefficients of c(x + at).
fn about(at: f64, c: [f64; 4]) -> [f64; 4] {
    let mut sum = [0.0; 4];
    for c in c.into_iter().rev() {
        // sum = sum (x + at) + c
        let times_x = [0.0, sum[0], sum[1], sum[2]];
        sum = std::array::from_fn(|power| times_x[power] + at * sum[power]);
        sum[0] += c;
    }
    sum
}

/// Coefficients in f32 of a polynomial that is wanted near `centre`: what rounding one of them takes away
/// there, those of lower powers give back.
fn rounded_about(centre: f64, mut c: [f64; 4]) -> [f32; 4] {
    let mut rounded = [0.0; 4];
    for power in (0..4).rev() {
        rounded[power] = c[power] as f32;
        let lost = c[power] - f64::from(rounded[power]);
        // x^n is (x - centre)^n, which is next to nothing, and these.
        let mut shifted = [0.0; 4];
        shifted[power] = lost;
        let shifted = about(-centre, shifted);
        for (c, given) in c[..power].iter_mut().zip(shifted) {
            *c -= given;
        }
    }
    rounded
}

/// The coefficients of the polynomial of degree 3 that is `f` at Chebyshev's points of [-1/2, 1/2].
fn cubic(f: impl Fn(f64) -> f64) -> [f64; 4] {
    let points: [f64; 4] =
        std::array::from_fn(|i| 0.5 * (std::f64::consts::PI * (2 * i + 1) as f64 / 8.0).cos());
    // Newton's divided differences, then multiplied out.
    let mut differences = points.map(f);
    for order in 1..4 {
        for i in (order..4).rev() {
            differences[i] = (differences[i] - differences[i - 1]) / (points[i] - points[i - order]);
        }
    }
    let mut c = [0.0; 4];
    for i in (0..4).rev() {
        // c = c (x - point) + difference
        let times_x = [0.0, c[0], c[1], c[2]];
        c = std::array::from_fn(|power| times_x[power] - points[i] * c[power]);
        c[0] += differences[i];
    }
    c
}

/// Output and argument that are one memory in an AdamW step: p, m and v.
pub const ADAMW_IN_PLACE: &[(usize, usize)] = &[(0, 0), (1, 2), (2, 3)];

/// AdamW's settings as the loop wants them.
#[derive(Clone, Copy, Debug)]
pub struct AdamwFactors {
    keep: f32,
    rate: f32,
    beta1: f32,
    beta2: f32,
    one_less_beta1: f32,
    one_less_beta2: f32,
    correct2: f32,
    eps: f32,
}

impl AdamwFactors {
    /// Of one step; everything that does not depend on the data is computed here, in f64.
    pub fn new(op: &Adamw) -> Self {
        let correct = |beta: f64| 1.0 - beta.powf(f64::from(op.step));
        Self {
            keep: (1.0 - op.rate * op.weight_decay) as f32,
            rate: (op.rate / correct(op.beta1)) as f32,
            beta1: op.beta1 as f32,
            beta2: op.beta2 as f32,
            one_less_beta1: (1.0 - op.beta1) as f32,
            one_less_beta2: (1.0 - op.beta2) as f32,
            correct2: (1.0 / correct(op.beta2)) as f32,
            eps: op.eps as f32,
        }
    }

    /// The updated p, m and v.
    ///
    /// A register costs a root and 15 more operations. On Zen 4 with AVX-512 that is 15 cycles, 10 of them the
    /// root's, so in cache arithmetic is the limit: 110 GB/s at 3.7 GHz. Newton's step from a root of 14 digits
    /// instead is 18 cycles, and a division instead of the reciprocal 16.
    #[inline(always)]
    pub fn updated<V: Vector>(&self, p: V, g: V, m: V, v: V) -> [V; 3] {
        let m = V::splat(self.beta1).multiply_add(m, V::splat(self.one_less_beta1).mul(g));
        let v = g.mul(g).multiply_add(V::splat(self.one_less_beta2), V::splat(self.beta2).mul(v));
        let root = v.mul(V::splat(self.correct2)).sqrt().add(V::splat(self.eps));
        // A root of infinity makes no step; here it must stay finite.
        let root = V::splat(1e30).min(root);
        let step = V::splat(-self.rate).mul(m).quotient(root);
        [V::splat(self.keep).multiply_add(p, step), m, v]
    }

    /// The updated p, m and v of one parameter.
    pub fn updated_one(&self, p: f32, g: f32, m: f32, v: f32) -> (f32, f32, f32) {
        let [p, g, m, v] = [p, g, m, v].map(Portable::<1>::splat);
        let [p, m, v] = self.updated(p, g, m, v).map(Portable::sum);
        (p, m, v)
    }
}

/// Output and argument that are one memory in a step with momentum: p and v.
pub const SGD_IN_PLACE: &[(usize, usize)] = &[(0, 0), (1, 2)];

/// The settings of a step with momentum as the loop wants them.
#[derive(Clone, Copy, Debug)]
pub struct SgdFactors {
    rate: f32,
    momentum: f32,
    weight_decay: f32,
}

impl SgdFactors {
    /// Of every step.
    pub fn new(op: &SgdMomentum) -> Self {
        let [rate, momentum, weight_decay] = [op.rate, op.momentum, op.weight_decay].map(|x| x as f32);
        Self { rate, momentum, weight_decay }
    }

    /// The updated p and v.
    #[inline(always)]
    pub fn updated<V: Vector>(&self, p: V, g: V, v: V) -> [V; 2] {
        let decayed = V::splat(self.weight_decay).multiply_add(p, g);
        let v = V::splat(self.momentum).multiply_add(v, decayed);
        [V::splat(-self.rate).multiply_add(v, p), v]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::{Isa, Loops};
    use crate::ops::{gelu_erf_slope, gelu_tanh_slope};

    /// f of every number.
    struct Each<'a, F>(&'a mut [f32], F);

    trait Function {
        fn of<V: Vector>(&self, x: V) -> V;
    }
    struct Exp;
    impl Function for Exp {
        #[inline(always)]
        fn of<V: Vector>(&self, x: V) -> V {
            exp(x)
        }
    }
    struct ExpOfDifference;
    impl Function for ExpOfDifference {
        #[inline(always)]
        fn of<V: Vector>(&self, x: V) -> V {
            exp_of_difference(x)
        }
    }
    /// The way of other levels.
    struct ExpOfParts<const PARTS: u32>;
    impl<const PARTS: u32> Function for ExpOfParts<PARTS> {
        #[inline(always)]
        fn of<V: Vector>(&self, x: V) -> V {
            exp_of_parts::<V, PARTS>(x)
        }
    }
    impl Function for GeluFunction {
        #[inline(always)]
        fn of<V: Vector>(&self, x: V) -> V {
            Self::of(self, x)
        }
    }

    impl<F: Function> Loops for Each<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<V: Vector>(self) {
            for x in self.0.chunks_mut(V::LANES) {
                self.1.of(V::load_first(x)).store_first(x);
            }
        }
    }

    fn each(isa: Isa, x: &[f32], f: impl Function) -> Vec<f32> {
        let mut y = x.to_vec();
        isa.run(Each(&mut y, f));
        y
    }

    #[test]
    fn exponentials_are_right_to_two_units_in_the_last_place() {
        let x: Vec<f32> = (-8730..=8800).map(|i| i as f32 / 100.0).collect();
        for isa in Isa::here() {
            let ways = [each(isa, &x, Exp), each(isa, &x, ExpOfParts::<1>), each(isa, &x, ExpOfParts::<32>)];
            for (x, got) in ways.iter().flat_map(|got| x.iter().zip(got)) {
                let want = f64::from(*x).exp();
                assert!((f64::from(*got) / want - 1.0).abs() < 2.5e-7, "{isa:?} {x}: {got} {want}");
            }
        }
    }

    #[test]
    fn exponentials_of_differences_lose_no_more_than_these_have_lost() {
        let x: Vec<f32> = (-8730..=0).map(|i| i as f32 / 100.0).collect();
        for isa in Isa::here() {
            for (x, got) in x.iter().zip(each(isa, &x, ExpOfDifference)) {
                let (want, allow) = (f64::from(*x).exp(), 2.5e-7 - 3e-8 * f64::from(*x));
                assert!((f64::from(got) / want - 1.0).abs() < allow, "{isa:?} {x}: {got} {want}");
            }
            let y = each(isa, &[-0.0, -1e-40, -88.1, -1e30, f32::NEG_INFINITY, f32::NAN], ExpOfDifference);
            assert_eq!(y[..5], [1.0, 1.0, 0.0, 0.0, 0.0], "{isa:?}");
            assert!(y[5].is_nan(), "{isa:?}");
        }
    }

    #[test]
    fn exponentials_of_extremes_have_their_limits() {
        for isa in Isa::here() {
            let x = [0.0, -0.0, 1e-40, -87.5, -88.0, -88.1, -1e30, f32::NEG_INFINITY, 1e30, f32::NAN];
            let y = each(isa, &x, Exp);
            assert_eq!(y[..3], [1.0; 3], "{isa:?}");
            assert!(y[3..5].iter().all(|y| (0.0..f32::MIN_POSITIVE).contains(y)), "{isa:?} {y:?}");
            assert_eq!(y[5..8], [0.0; 3], "{isa:?}");
            assert!(y[8] > 1e38 && y[8].is_finite() && y[9].is_nan(), "{isa:?} {y:?}");
        }
    }

    #[test]
    fn gelu_is_right_to_the_ops_bound() {
        let x: Vec<f32> = (-10000..=10000).map(|i| i as f32 / 1000.0).collect();
        for isa in Isa::here() {
            for (form, want) in [(GeluForm::Erf, gelu_erf as fn(f64) -> f64), (GeluForm::Tanh, gelu_tanh)] {
                for (x, got) in x.iter().zip(each(isa, &x, GeluFunction::new(form))) {
                    let (want, allow) = (want(f64::from(*x)), 4.0 * 2f64.powi(-24) * f64::from(x.abs()));
                    let got = f64::from(got);
                    assert!((got - want).abs() <= allow + 1e-37, "{isa:?} {form:?} {x}: {got} {want}");
                }
                assert!(GeluFunction::new(form).of_one(f32::NAN).is_nan());
            }
        }
    }

    impl Function for GeluSlope {
        #[inline(always)]
        fn of<V: Vector>(&self, x: V) -> V {
            Self::of(self, x)
        }
    }
    struct TanhFunction;
    impl Function for TanhFunction {
        #[inline(always)]
        fn of<V: Vector>(&self, x: V) -> V {
            tanh(x)
        }
    }

    #[test]
    fn slopes_of_gelu_are_right_to_half_the_ops_bound() {
        let x: Vec<f32> = (-10000..=10000).map(|i| i as f32 / 1000.0).chain([1e30, -1e30]).collect();
        for isa in Isa::here() {
            let forms =
                [(GeluForm::Erf, gelu_erf_slope as fn(f64) -> f64), (GeluForm::Tanh, gelu_tanh_slope)];
            for (form, want) in forms {
                for (x, got) in x.iter().zip(each(isa, &x, GeluSlope(form))) {
                    let want = if x.abs() > 20.0 { f64::from(*x > 0.0) } else { want(f64::from(*x)) };
                    let off = (f64::from(got) - want).abs();
                    assert!(off <= 6.0 * 2f64.powi(-24), "{isa:?} {form:?} {x}: {got} {want}");
                }
            }
        }
    }

    #[test]
    fn tanh_is_right_to_the_ops_bound() {
        let x: Vec<f32> = (-12000..=12000).map(|i| i as f32 / 1000.0).chain([1e30, -1e-30, 0.0]).collect();
        for isa in Isa::here() {
            for (x, got) in x.iter().zip(each(isa, &x, TanhFunction)) {
                let want = f64::from(*x).tanh();
                let off = (f64::from(got) - want).abs();
                assert!(off <= 6.0 * 2f64.powi(-24) * want.abs(), "{isa:?} {x}: {got} {want}");
            }
        }
    }

    #[test]
    fn gelu_of_extremes_has_its_limits() {
        let x = [0.0, 1e-40, 1e30, f32::INFINITY, -1e30];
        for isa in Isa::here() {
            for form in [GeluForm::Erf, GeluForm::Tanh] {
                let y = each(isa, &x, GeluFunction::new(form));
                assert!(y[0] == 0.0 && y[1] < 1e-40 && y[4].abs() < 1e-6, "{isa:?} {form:?} {y:?}");
                assert_eq!(y[2..4], x[2..4], "{isa:?} {form:?}");
            }
        }
    }
}
