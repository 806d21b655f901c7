//! Numbers of the cost model that cannot hold what makes no sense: checked when they are made or read.

use super::error::CostError;
use serde::{Deserialize, Serialize};

/// Defines a checked number: its documentation, its name, what messages call it, its test, what it can be.
macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $what:literal, $fits:expr, $want:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            /// The quantity, if the number can be one.
            pub fn new(value: f64) -> Result<Self, CostError> {
                let fits: fn(f64) -> bool = $fits;
                match fits(value) {
                    true => Ok(Self(value)),
                    false => Err(CostError::OutOfRange { what: $what, found: value, want: $want }),
                }
            }

            /// The number.
            pub fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = CostError;
            fn try_from(value: f64) -> Result<Self, CostError> {
                Self::new(value)
            }
        }

        impl From<$name> for f64 {
            fn from(quantity: $name) -> f64 {
                quantity.0
            }
        }
    };
}

quantity!(
    /// Share of all hours in which a machine does this work, or can be given it.
    Utilisation, "utilisation", |x| x > 0.0 && x <= 1.0, "a share of hours above 0 and up to 1"
);
quantity!(
    /// Part of a machine that is paid for: an eighth of a host with eight cards.
    Share, "share of a machine", |x| x > 0.0 && x <= 1.0, "a part above 0 and up to 1"
);
quantity!(
    /// Years of use.
    Years, "time of use in years", |x| x > 0.0 && x <= 100.0, "years above 0 and up to 100"
);
quantity!(
    /// Share of its value that a machine loses each year.
    Loss, "yearly loss of value", |x| (0.0..=1.0).contains(&x), "a share between 0 and 1"
);
quantity!(
    /// Nominal yearly rate of interest, compounded monthly.
    Interest, "yearly rate of interest", |x| (0.0..=10.0).contains(&x), "a rate between 0 and 10 (0.05 is 5 %)"
);
quantity!(
    /// Power of the building over power of its computers.
    Pue, "PUE", |x| (1.0..=10.0).contains(&x), "a ratio between 1 and 10"
);
quantity!(
    /// Power drawn, in watts.
    Draw, "power in watts", |x| (0.0..=1e9).contains(&x), "watts from 0 on"
);
quantity!(
    /// Seconds of one execution.
    Seconds, "time of an execution in seconds", |x| x > 0.0 && x <= 1e12, "seconds above 0"
);
quantity!(
    /// Units of work that one execution yields.
    Units, "number of units of an execution", |x| x > 0.0 && x <= 1e30, "a number above 0"
);
quantity!(
    /// Units of work wanted each month.
    Volume, "volume of units a month", |x| (0.0..=1e30).contains(&x), "a number from 0 on"
);
quantity!(
    /// Something that happens so many times an hour.
    PerHour, "number of interruptions an hour", |x| (0.0..=1e6).contains(&x), "a number from 0 on"
);
quantity!(
    /// A duration in hours.
    Duration, "duration in hours", |x| (0.0..=1e6).contains(&x), "hours from 0 on"
);
quantity!(
    /// Hours between two checkpoints.
    Spacing, "number of hours between checkpoints", |x| x > 0.0 && x <= 1e6, "hours above 0"
);
quantity!(
    /// Memory in GB, or its bandwidth in GB/s.
    Size, "size in GB or GB/s", |x| x > 0.0 && x <= 1e12, "a number above 0"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_each_range_are_in_it_or_not() {
        type Try = fn(f64) -> Result<f64, CostError>;
        let cases: [(&str, Try, &[f64], &[f64]); 5] = [
            ("utilisation", |x| Utilisation::new(x).map(f64::from), &[1e-9, 1.0], &[0.0, -0.1, 1.0001]),
            ("years", |x| Years::new(x).map(f64::from), &[0.5, 100.0], &[0.0, -1.0, 101.0]),
            ("PUE", |x| Pue::new(x).map(f64::from), &[1.0, 1.5], &[0.99, 0.0, 11.0]),
            ("volume", |x| Volume::new(x).map(f64::from), &[0.0, 1e18], &[-1.0]),
            ("loss", |x| Loss::new(x).map(f64::from), &[0.0, 1.0], &[-0.1, 1.1]),
        ];
        for (what, new, good, bad) in cases {
            assert!(good.iter().all(|&x| new(x) == Ok(x)), "{what}");
            for &x in bad.iter().chain(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]) {
                let said = new(x).unwrap_err().to_string();
                assert!(said.contains(what) && said.contains("give "), "{x}: {said}");
            }
        }
    }

    #[test]
    fn what_is_read_is_checked_too() {
        assert_eq!(serde_json::from_str::<Utilisation>("0.5").unwrap().get(), 0.5);
        let said = serde_json::from_str::<Utilisation>("1.2").unwrap_err().to_string();
        assert!(said.contains("1.2 is no utilisation"), "{said}");
    }
}
