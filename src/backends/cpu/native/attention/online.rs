//! The online softmax, down the columns of a block of scores.

use crate::backends::cpu::functions::exp_of_difference;
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::vector::Vector;

/// A score that nobody sees, and what is known of no score: not above any number, and not infinite, because
/// the difference of two infinities is no number.
pub(super) const MASKED: f32 = f32::MIN;

/// What is known of each query so far.
pub(super) struct Online<'a> {
    /// Largest score, [`MASKED`] at first.
    pub(super) max: &'a mut [f32],
    /// Sum of exponentials of scores less the largest.
    pub(super) sum: &'a mut [f32],
    /// What the answers so far are multiplied by: 1 where the largest score stays.
    pub(super) factor: &'a mut [f32],
}

/// Replaces the scores of a block by their exponentials and brings the queries up to date. Whether any
/// factor is not 1.
pub(super) struct Update<'a, 'b> {
    /// `[key][query]`.
    pub(super) scores: &'a mut [f32],
    pub(super) online: &'a mut Online<'b>,
}

impl Loops for Update<'_, '_> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector>(self) -> bool {
        let columns = self.online.max.len();
        let mut moved = false;
        for at in (0..columns).step_by(V::LANES) {
            let old = V::load(&self.online.max[at..]);
            let max = column_max(self.scores, columns, at, old);
            let added = column_exp(self.scores, columns, at, max);
            let factor = exp_of_difference(old.sub(max));
            factor.mul(V::load(&self.online.sum[at..])).add(added).store(&mut self.online.sum[at..]);
            max.store(&mut self.online.max[at..]);
            factor.store(&mut self.online.factor[at..]);
            moved |= self.online.factor[at..at + V::LANES].iter().any(|factor| *factor != 1.0);
        }
        moved
    }
}

/// Chains that hide the latency of an operation.
const CHAINS: usize = 4;

#[inline(always)]
fn column_max<V: Vector>(scores: &[f32], columns: usize, at: usize, start: V) -> V {
    let mut chains = [start; CHAINS];
    let mut blocks = scores.chunks_exact(CHAINS * columns);
    for rows in &mut blocks {
        for (chain, row) in chains.iter_mut().zip(rows.chunks_exact(columns)) {
            *chain = V::load(&row[at..]).max(*chain);
        }
    }
    for row in blocks.remainder().chunks_exact(columns) {
        chains[0] = V::load(&row[at..]).max(chains[0]);
    }
    chains[0].max(chains[1]).max(chains[2].max(chains[3]))
}

/// Replaces a column by its exponentials; returns their sum.
#[inline(always)]
fn column_exp<V: Vector>(scores: &mut [f32], columns: usize, at: usize, max: V) -> V {
    let mut chains = [V::splat(0.0); CHAINS];
    let mut blocks = scores.chunks_exact_mut(CHAINS * columns);
    for rows in &mut blocks {
        for (chain, row) in chains.iter_mut().zip(rows.chunks_exact_mut(columns)) {
            let weight = exp_of_difference(V::load(&row[at..]).sub(max));
            weight.store(&mut row[at..]);
            *chain = chain.add(weight);
        }
    }
    for row in blocks.into_remainder().chunks_exact_mut(columns) {
        let weight = exp_of_difference(V::load(&row[at..]).sub(max));
        weight.store(&mut row[at..]);
        chains[0] = chains[0].add(weight);
    }
    chains[0].add(chains[1]).add(chains[2].add(chains[3]))
}

/// Multiplies each column of `[row][query]` by its factor.
pub(super) struct Scale<'a> {
    pub(super) rows: &'a mut [f32],
    pub(super) factors: &'a [f32],
}

impl Loops for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        for row in self.rows.chunks_exact_mut(self.factors.len()) {
            for (x, factor) in row.chunks_exact_mut(V::LANES).zip(self.factors.chunks_exact(V::LANES)) {
                V::load(x).mul(V::load(factor)).store(x);
            }
        }
    }
}

/// Multiplies everything by one factor.
pub(super) struct ScaleAll<'a>(pub(super) &'a mut [f32], pub(super) f32);

impl Loops for ScaleAll<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let factor = V::splat(self.1);
        for x in self.0.chunks_exact_mut(V::LANES) {
            V::load(x).mul(factor).store(x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;
    use crate::backends::cpu::vector::MOST_LANES;

    /// Weights and sums of one query in every column, its scores in blocks.
    fn softmax(isa: Isa, blocks: &[&[f32]]) -> (Vec<f32>, f32) {
        let (mut max, mut sum, mut factor) = ([MASKED; MOST_LANES], [0.0; MOST_LANES], [0.0; MOST_LANES]);
        let mut online = Online { max: &mut max, sum: &mut sum, factor: &mut factor };
        let mut weights: Vec<f32> = vec![];
        for block in blocks {
            let mut scores: Vec<f32> = block.iter().flat_map(|score| [*score; MOST_LANES]).collect();
            let moved = isa.run(Update { scores: &mut scores, online: &mut online });
            assert!(moved || online.factor.iter().all(|factor| *factor == 1.0));
            let mut rows: Vec<f32> = weights.iter().flat_map(|weight| [*weight; MOST_LANES]).collect();
            isa.run(Scale { rows: &mut rows, factors: online.factor });
            weights = rows.into_iter().step_by(MOST_LANES).collect();
            weights.extend(scores.iter().step_by(MOST_LANES));
        }
        assert!(sum.iter().all(|x| x.to_bits() == sum[0].to_bits()), "{isa:?}: columns differ");
        (weights, sum[0])
    }

    #[test]
    fn blocks_together_are_the_whole_also_of_extreme_scores() {
        let cases: [(&[&[f32]], &[f32]); 6] = [
            (&[&[0.0, 1.0, 2.0], &[3.0, -1.0], &[0.5]], &[0.0, 1.0, 2.0, 3.0, -1.0, 0.5]),
            (&[&[5.0; 9], &[-5.0; 3]], &[5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, -5.0, -5.0, -5.0]),
            // Lower than any usual mask.
            (&[&[-1e35, -1e35]], &[-1e35, -1e35]),
            (&[&[-1e35], &[1e35]], &[-1e35, 1e35]),
            (&[&[f32::NEG_INFINITY, 0.0], &[MASKED]], &[f32::NEG_INFINITY, 0.0, MASKED]),
            (&[&[f32::NEG_INFINITY], &[1e-40]], &[f32::NEG_INFINITY, 1e-40]),
        ];
        for isa in Isa::here() {
            for (blocks, scores) in cases {
                let (weights, sum) = softmax(isa, blocks);
                let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let wanted: Vec<f64> =
                    scores.iter().map(|x| (f64::from(*x) - f64::from(max)).exp()).collect();
                let total: f64 = wanted.iter().sum();
                assert!((f64::from(sum) / total - 1.0).abs() < 1e-6, "{isa:?} {scores:?}: {sum} {total}");
                for (got, want) in weights.iter().zip(&wanted) {
                    assert!((f64::from(*got) - want).abs() < 1e-6, "{isa:?} {scores:?}: {got} {want}");
                }
            }
        }
    }

    #[test]
    fn no_visible_number_is_no_answer() {
        for isa in Isa::here() {
            let (_, sum) = softmax(isa, &[&[f32::NAN, 0.0]]);
            assert!(sum.is_nan(), "{isa:?}");
        }
    }
}
