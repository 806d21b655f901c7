//! Sums of products as the analysis of rounding errors sees them.

/// A sum in f64, and what its rounding errors in a lower precision are measured by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    /// The sum.
    pub value: f64,
    /// Sum of the terms' sizes.
    pub size: f64,
    /// Largest size of a partial sum on the way.
    pub peak: f64,
    /// Number of terms.
    pub terms: usize,
}

impl Sum {
    /// Adds a term.
    pub(super) fn add(&mut self, term: f64) {
        self.value += term;
        self.size += term.abs();
        self.peak = self.peak.max(self.value.abs());
        self.terms += 1;
    }

    /// How far off the sum may be, in roundoffs, added up in any order.
    ///
    /// The a-priori bound of an inner product is k u sum|a||b| (Higham, "Accuracy and Stability of Numerical
    /// Algorithms", §3.1). Errors have random signs: each addition contributes u times the partial sum that it
    /// rounds, and they grow as the root of their number (Higham and Mary, "A New Approach to Probabilistic
    /// Rounding Error Analysis", 2019).
    /// - Terms of random signs keep partial sums near sqrt(k) of a term: of 655,360 plain sums of 128 products, in
    ///   another program, 57 erred by more than 3 u sum|a||b| and the worst by 5.4: 8, for any k.
    /// - Terms that share a sign let partial sums grow to S, and one that outweighs all others, as that of the token
    ///   that is classified in a gradient of weights, keeps them there: k additions to S err by u S sqrt(k / 3) at
    ///   one standard deviation, of which 3.5 sqrt(k) S is six.
    ///
    /// What does not grow with k is what tells a lower precision (tf32 errs by 2^13 u in each factor) from another
    /// order of summation; the root of k does so for any k below a million.
    pub(super) fn roundoffs(&self) -> f64 {
        (8.0 * self.size).max(3.5 * (self.terms as f64).sqrt() * self.peak)
    }
}

/// sum x y.
pub(super) fn dot(x: &[f64], y: &[f64]) -> Sum {
    // Independent lanes, because one chain of additions waits for itself; partial sums are looked at once a block.
    const LANES: usize = 8;
    const BLOCK: usize = 4 * LANES;
    let (mut sums, mut sizes, mut peak) = ([0.0; LANES], [0.0; LANES], 0f64);
    for (x, y) in x.chunks(BLOCK).zip(y.chunks(BLOCK)) {
        for (x, y) in x.chunks(LANES).zip(y.chunks(LANES)) {
            for (lane, (x, y)) in x.iter().zip(y).enumerate() {
                let term = x * y;
                sums[lane] += term;
                sizes[lane] += term.abs();
            }
        }
        peak = peak.max(sums.iter().sum::<f64>().abs());
    }
    Sum { value: sums.iter().sum(), size: sizes.iter().sum(), peak, terms: x.len() }
}

/// sum a(p) b(p, j) for each column j of `b`, whose rows are as long as `columns`.
pub(super) fn row_times_matrix(a: &[f64], b: &[f64], columns: usize) -> Vec<Sum> {
    let [mut sums, mut sizes, mut peaks] = [(); 3].map(|()| vec![0f64; columns]);
    for (x, b) in a.iter().zip(b.chunks_exact(columns)) {
        for (((sum, size), peak), y) in sums.iter_mut().zip(&mut sizes).zip(&mut peaks).zip(b) {
            let term = x * y;
            *sum += term;
            *size += term.abs();
            *peak = peak.max(sum.abs());
        }
    }
    let columns = sums.into_iter().zip(sizes).zip(peaks);
    columns.map(|((value, size), peak)| Sum { value, size, peak, terms: a.len() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(terms: impl Iterator<Item = f64>) -> Sum {
        let mut sum = Sum::default();
        terms.for_each(|term| sum.add(term));
        sum
    }

    #[test]
    fn sums_of_any_length_lose_no_term() {
        for len in [0usize, 1, 7, 8, 9, 17, 40] {
            let x: Vec<f64> = (0..len).map(|i| i as f64 - 3.0).collect();
            let want = plain(x.iter().map(|x| 2.0 * x));
            let got = dot(&x, &vec![2.0; len]);
            assert_eq!((got.value, got.size, got.terms), (want.value, want.size, want.terms));
            assert!(got.peak <= want.peak && got.peak >= want.value.abs());
            let b: Vec<f64> = (0..len).flat_map(|_| [2.0, -1.0, 0.0]).collect();
            let columns = row_times_matrix(&x, &b, 3);
            assert_eq!(columns[0], want);
            assert_eq!(columns[1].value, -want.value / 2.0);
        }
    }

    /// Sums of numbers whose errors are known to be random: worst error of plain sums in f32, in units of what is
    /// allowed.
    fn worst(sums: usize, terms: usize, draw: impl Fn(usize, f64) -> f64) -> f64 {
        let one = |sum: usize| {
            let x: Vec<f32> = (0..terms)
                .map(|term| {
                    draw(term, (crate::random::bits(7, sum as u64, term as u64) >> 11) as f64 / 2f64.powi(53))
                        as f32
                })
                .collect();
            let exact = plain(x.iter().map(|&x| f64::from(x)));
            let got = x.iter().fold(0f32, |sum, x| sum + x);
            let allowed = exact.roundoffs() * f64::from(f32::EPSILON) / 2.0;
            (f64::from(got) - exact.value).abs() / allowed
        };
        (0..sums).map(one).fold(0.0, f64::max)
    }

    #[test]
    fn plain_sums_stay_within_it_whatever_their_signs_and_do_not_waste_it() {
        for (what, draw) in [
            ("random signs", Box::new(|_, x: f64| 2.0 * x - 1.0) as Box<dyn Fn(usize, f64) -> f64>),
            ("one sign", Box::new(|_, x| x)),
            ("mostly one", Box::new(|_, x| x - 0.25)),
            ("one large", Box::new(|term, x| if term == 0 { 1.0 + x } else { x / 1e4 })),
        ] {
            for terms in [16, 128, 1000, 4096] {
                let worst = worst(2000, terms, &draw);
                assert!(worst < 0.8, "{what}, {terms} terms: {worst}");
                assert!(worst > 0.1, "{what}, {terms} terms: {worst} is far below what is allowed");
            }
        }
    }
}
