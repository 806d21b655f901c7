//! The order in which contenders take their turns: shuffled in each round, so that drift and the
//! neighbour before it fall on everyone alike, and the same for the same seed.

use crate::random;

/// Value number that keeps the order's random numbers apart from those of inputs.
const ORDER: u64 = u64::MAX;

/// `0..count` in the order for `round` (Fisher and Yates' shuffle).
pub fn order(count: usize, seed: u64, round: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        let bits = random::bits(seed, ORDER, (round << 16) + last as u64);
        // The top 32 bits scaled: biased by less than count / 2^32.
        let other = ((bits >> 32) * (last as u64 + 1)) >> 32;
        order.swap(last, other as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_one_turn_and_every_place_in_time() {
        let mut first = [0; 4];
        for round in 0..4000 {
            let order = order(4, 7, round);
            first[order[0]] += 1;
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
        }
        // 1000 +- 27 each; five of those standard deviations.
        assert!(first.iter().all(|count| (860..1140).contains(count)), "{first:?}");
    }

    #[test]
    fn the_seed_decides() {
        let orders = |seed| (0..8).map(|round| order(5, seed, round)).collect::<Vec<_>>();
        assert_eq!(orders(1), orders(1));
        assert_ne!(orders(1), orders(2));
    }

    #[test]
    fn none_and_one_are_orders_too() {
        assert_eq!(order(0, 1, 1), Vec::<usize>::new());
        assert_eq!(order(1, 1, 1), [0]);
    }
}
