//! Input data as a pure function of (seed, value, index), so that any process, in any language, makes
//! the same elements without passing them around.
//!
//! The generator is SplitMix64's output function (Steele, Lea, Flood, "Fast splittable pseudorandom
//! number generators", OOPSLA 2014) over a counter: `bits = mix(key + (index + 1) * GAMMA)` with
//! `key = mix(seed + (value + 1) * GAMMA)`. The top 24 bits make a uniform number that f32 holds exactly.
//! `docs/generator.md` is its description for other languages, with test vectors.

use crate::tensor::{DType, HostArray};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// SplitMix64's odd increment, 2^64 divided by the golden ratio.
pub const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// What an input is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fill", rename_all = "snake_case")]
pub enum Fill {
    /// Uniform in `[low, high)`, then rounded to the value's type.
    // Never constant: a GPU multiplies zeros at a higher clock than noise.
    Uniform {
        /// Smallest value.
        low: f64,
        /// Bound above every value, before rounding.
        high: f64,
    },
    /// Uniform over the integers `low..=high`.
    Integers {
        /// Smallest value.
        low: i64,
        /// Largest value.
        high: i64,
    },
    /// Not random: element i is `first + i / run * stride + i % run`, in whole numbers. Positions in sequences, and
    /// rows that begin them.
    Places {
        /// What element 0 is.
        first: u32,
        /// Elements that count up; 0 is taken as 1.
        run: u32,
        /// Between the starts of neighbouring runs.
        stride: u32,
    },
}

impl Fill {
    /// Uniform in [-1, 1).
    pub const UNIT: Self = Self::Uniform { low: -1.0, high: 1.0 };

    /// The least and the greatest whole number among `elements`; none where they are no whole numbers.
    pub fn whole_numbers(self, elements: usize) -> Option<[i64; 2]> {
        match self {
            Self::Uniform { .. } => None,
            Self::Integers { low, high } => Some([low, high]),
            Self::Places { first, run, stride } => {
                let (last, run) = (elements.saturating_sub(1) as u64, u64::from(run.max(1)));
                let start = (last / run).saturating_mul(u64::from(stride));
                let most = start.saturating_add(last.min(run - 1)).saturating_add(u64::from(first));
                Some([i64::from(first), i64::try_from(most).unwrap_or(i64::MAX)])
            }
        }
    }

    /// Every value of an 8-bit type; [`Self::UNIT`] for the others.
    pub fn natural(dtype: DType) -> Self {
        match dtype {
            DType::I8 => Self::Integers { low: -128, high: 127 },
            DType::U8 => Self::Integers { low: 0, high: 255 },
            DType::I32 => Self::Integers { low: -(1 << 20), high: 1 << 20 },
            DType::F64 | DType::F32 | DType::Bf16 | DType::F16 | DType::F8e4m3 => Self::UNIT,
        }
    }
}

/// 64 random bits for element `index` of value number `value`.
pub fn bits(seed: u64, value: u64, index: u64) -> u64 {
    element(key(seed, value), index)
}

/// Elements `range` of value number `value`, rounded to `dtype`.
pub fn fill(fill: Fill, seed: u64, value: u64, dtype: DType, range: Range<usize>) -> HostArray {
    let key = key(seed, value);
    let place = |index: usize, run: u32, stride: u32| {
        let (index, run) = (index as f64, f64::from(run.max(1)));
        (index / run).floor() * f64::from(stride) + index % run
    };
    let unit = move |index: usize| (element(key, index as u64) >> 40) as f64 / (1u64 << 24) as f64;
    match fill {
        Fill::Uniform { low, high } => {
            HostArray::from_f64(dtype, range.map(|index| low + (high - low) * unit(index)))
        }
        Fill::Integers { low, high } => {
            let count = high as f64 - low as f64 + 1.0;
            HostArray::from_f64(dtype, range.map(|index| low as f64 + (unit(index) * count).floor()))
        }
        Fill::Places { first, run, stride } => {
            HostArray::from_f64(dtype, range.map(|index| f64::from(first) + place(index, run, stride)))
        }
    }
}

/// What all elements of value number `value` share: `bits(seed, value, index) = element(key(seed, value), index)`.
pub fn key(seed: u64, value: u64) -> u64 {
    mix(seed.wrapping_add(value.wrapping_add(1).wrapping_mul(GAMMA)))
}

/// 64 random bits for element `index` of the value that has this key.
#[inline(always)]
pub fn element(key: u64, index: u64) -> u64 {
    mix(key.wrapping_add(index.wrapping_add(1).wrapping_mul(GAMMA)))
}

#[inline(always)]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_function_is_splitmix64() {
        // The first outputs of SplitMix64 from state 0, as published with the algorithm.
        let outputs = [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F];
        for (index, want) in outputs.into_iter().enumerate() {
            assert_eq!(element(0, index as u64), want);
        }
    }

    #[test]
    fn the_published_vectors_hold() {
        let page = include_str!("../docs/generator.md");
        let rows: Vec<Vec<&str>> = page
            .lines()
            .filter(|line| line.starts_with("| ") && !line.contains("seed"))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        assert!(rows.len() >= 6);
        for row in rows {
            let [seed, value, index] = [0, 1, 2].map(|column| row[column].parse::<u64>().unwrap());
            let made = |how, dtype| {
                let start = index as usize;
                fill(how, seed, value, dtype, start..start + 1).to_le_bytes().into_iter().rev()
            };
            let hex = |bytes: &mut dyn Iterator<Item = u8>| bytes.map(|byte| format!("{byte:02x}")).collect();
            let wide = Fill::Uniform { low: -4.0, high: 4.0 };
            let columns: [String; 4] = [
                format!("{:016x}", bits(seed, value, index)),
                hex(&mut made(Fill::UNIT, DType::F32)),
                hex(&mut made(wide, DType::Bf16)),
                hex(&mut made(wide, DType::F16)),
            ];
            assert_eq!(columns, row[3..7]);
            let signed = made(Fill::natural(DType::I8), DType::I8).next().unwrap() as i8;
            assert_eq!(signed.to_string(), row[7]);
        }
    }

    #[test]
    fn a_hostile_fill_cannot_panic() {
        for fill in [
            Fill::Integers { low: i64::MIN, high: i64::MAX },
            Fill::Integers { low: 5, high: -5 },
            Fill::Uniform { low: f64::MAX, high: f64::MIN },
            Fill::Uniform { low: f64::NAN, high: 0.0 },
            Fill::Places { first: u32::MAX, run: 0, stride: u32::MAX },
        ] {
            for dtype in DType::ALL {
                assert_eq!(super::fill(fill, u64::MAX, u64::MAX, dtype, 0..10).len(), 10);
            }
        }
    }

    #[test]
    fn places_count_up_in_runs_and_know_their_ends() {
        let made = |first, run, stride| {
            let how = Fill::Places { first, run, stride };
            (fill(how, 1, 2, DType::I32, 0..6).to_f64(0..6), how.whole_numbers(6))
        };
        assert_eq!(made(0, 3, 0), (vec![0.0, 1.0, 2.0, 0.0, 1.0, 2.0], Some([0, 2])));
        assert_eq!(made(0, 1, 5), (vec![0.0, 5.0, 10.0, 15.0, 20.0, 25.0], Some([0, 25])));
        assert_eq!(made(1, 3, 4), (vec![1.0, 2.0, 3.0, 5.0, 6.0, 7.0], Some([1, 7])));
        let part = fill(Fill::Places { first: 1, run: 3, stride: 4 }, 9, 9, DType::I32, 4..6);
        assert_eq!(part.to_f64(0..2), [6.0, 7.0]);
        assert_eq!(Fill::UNIT.whole_numbers(3), None);
    }

    #[test]
    fn any_range_gives_the_same_elements() {
        let whole = fill(Fill::UNIT, 7, 3, DType::F32, 0..100).to_f64(0..100);
        let part = fill(Fill::UNIT, 7, 3, DType::F32, 40..50).to_f64(0..10);
        assert_eq!(whole[40..50], part);
        assert_ne!(whole, fill(Fill::UNIT, 7, 4, DType::F32, 0..100).to_f64(0..100));
    }

    #[test]
    fn uniform_numbers_cover_the_interval_and_have_its_mean() {
        let values = fill(Fill::UNIT, 1, 0, DType::F64, 0..10_000).to_f64(0..10_000);
        assert!(values.iter().all(|x| (-1.0..1.0).contains(x)));
        // The mean of n uniforms on [-1, 1) has standard deviation 1/sqrt(3 n) = 0.0058.
        assert!((values.iter().sum::<f64>() / 1e4).abs() < 0.03);
    }

    #[test]
    fn integers_reach_both_ends() {
        let values = fill(Fill::natural(DType::I8), 1, 0, DType::I8, 0..10_000).to_f64(0..10_000);
        assert_eq!(values.iter().copied().fold(f64::MAX, f64::min), -128.0);
        assert_eq!(values.iter().copied().fold(f64::MIN, f64::max), 127.0);
    }
}
