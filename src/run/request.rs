//! What a user asked for: kept in the run's folder, so that a resumed run continues exactly that.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A run as it was asked for. No paths and no names of people: folders are published.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Name of the suite, or `adhoc`.
    pub suite: String,
    /// Text of the suite.
    pub source: String,
    /// Only these backends; all of the suite's where empty.
    pub backends: Vec<String>,
    /// Only groups whose id contains one of these; all where empty.
    pub only: Vec<String>,
    /// Short windows.
    pub quick: bool,
    /// Seed of inputs and order.
    pub seed: u64,
    /// How often everything is measured.
    pub repeat: u32,
    /// Which part of the groups.
    pub shard: Option<Shard>,
    /// The longest time that the whole run may take, in minutes.
    pub minutes: Option<f64>,
    /// File names of libraries that the user pointed at.
    pub libraries: Vec<String>,
    /// Hash of the build that began it.
    pub build: String,
}

/// One of several equal parts of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which part, from 1.
    pub part: usize,
    /// How many parts there are.
    pub of: usize,
}

impl Shard {
    /// Whether the group with this number in the whole plan belongs to the part.
    pub fn holds(self, number: usize) -> bool {
        number % self.of == self.part - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    /// Reads `2/3`.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((part, of)) if (1..=of).contains(&part) => Ok(Self { part, of }),
            _ => Err(format!("`{text}` is no part of a run: write 1/3, 2/3 or 3/3 for the parts of three")),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_together_are_the_whole_and_share_nothing() {
        for of in 1..5 {
            for number in 0..20 {
                let holders = (1..=of).filter(|&part| Shard { part, of }.holds(number)).count();
                assert_eq!(holders, 1, "group {number} of {of} parts");
            }
        }
    }

    #[test]
    fn what_is_no_part_is_refused() {
        assert_eq!("2/3".parse(), Ok(Shard { part: 2, of: 3 }));
        assert_eq!("2/3".parse::<Shard>().unwrap().to_string(), "2/3");
        for text in ["", "0/3", "4/3", "1/0", "1", "a/b", "1/2/3", "-1/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
