//! From ratios with intervals to a finding: the one place that decides.

use crate::compare::Interval;
use serde::Serialize;

/// The outcome of testing a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Finding {
    /// It holds against its own baseline, and against an honest one where there is one.
    #[serde(rename = "REPRODUCED")]
    Reproduced,
    /// The direction is right and the factor smaller.
    #[serde(rename = "PARTIAL")]
    Partial,
    /// It holds against its own baseline only.
    #[serde(rename = "BASELINE-DEPENDENT")]
    BaselineDependent,
    /// Measured, and not so.
    #[serde(rename = "NOT REPRODUCED")]
    NotReproduced,
    /// Nothing here can tell; the reason stands beside it.
    #[serde(rename = "NOT TESTABLE HERE")]
    NotTestable,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.pad(match self {
            Self::Reproduced => "REPRODUCED",
            Self::Partial => "PARTIAL",
            Self::BaselineDependent => "BASELINE-DEPENDENT",
            Self::NotReproduced => "NOT REPRODUCED",
            Self::NotTestable => "NOT TESTABLE HERE",
        })
    }
}

/// What a claim promises.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Promise {
    /// The number claimed.
    pub factor: f64,
    /// Share of it that counts as reached: 0.8 for a factor, since machines differ, and 1 where the claim is
    /// a direction only.
    pub enough: f64,
    /// What the number counts: `times as fast`.
    pub unit: &'static str,
}

impl Promise {
    /// A factor, of which 80 % is enough.
    pub const fn factor(factor: f64, unit: &'static str) -> Self {
        Self { factor, enough: 0.8, unit }
    }

    fn is_kept(&self, ratio: &Interval) -> bool {
        ratio.low >= self.factor * self.enough
    }
}

/// The finding for a promise. `own` is the ratio over the claim's own baseline and `honest` over the best that
/// a user would have instead; whole intervals count, never their middles alone:
///
/// | own | honest | finding |
/// |---|---|---|
/// | kept | kept, or not measured | REPRODUCED |
/// | kept | not kept | BASELINE-DEPENDENT |
/// | above 1, not kept | any | PARTIAL |
/// | holds 1 or is below | any | NOT REPRODUCED |
/// | not measured | kept: a harder test was passed | REPRODUCED |
/// | not measured | not kept, or not measured | NOT TESTABLE HERE |
pub fn finding(promise: &Promise, own: Option<&Interval>, honest: Option<&Interval>) -> Finding {
    match (own, honest) {
        (Some(own), Some(honest)) if promise.is_kept(own) && !promise.is_kept(honest) => {
            Finding::BaselineDependent
        }
        (Some(own), _) if promise.is_kept(own) => Finding::Reproduced,
        (Some(own), _) if own.low > 1.0 => Finding::Partial,
        (Some(_), _) => Finding::NotReproduced,
        (None, Some(honest)) if promise.is_kept(honest) => Finding::Reproduced,
        (None, _) => Finding::NotTestable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(low: f64, high: f64) -> Option<Interval> {
        Some(Interval { low, centre: (low * high).sqrt(), high })
    }

    #[test]
    fn every_row_of_the_rule() {
        let four = Promise::factor(4.0, "times as fast");
        for (own, honest, want) in [
            (ratio(3.2, 3.6), ratio(3.3, 3.4), Finding::Reproduced),
            (ratio(3.2, 3.6), None, Finding::Reproduced),
            (ratio(3.2, 3.6), ratio(1.2, 1.3), Finding::BaselineDependent),
            (ratio(3.2, 3.6), ratio(3.1, 9.0), Finding::BaselineDependent),
            (ratio(3.1, 9.0), ratio(3.3, 3.4), Finding::Partial),
            (ratio(1.1, 1.2), None, Finding::Partial),
            (ratio(0.9, 1.2), None, Finding::NotReproduced),
            (ratio(0.3, 0.4), ratio(0.2, 0.3), Finding::NotReproduced),
            (None, ratio(3.3, 3.4), Finding::Reproduced),
            (None, ratio(1.5, 1.6), Finding::NotTestable),
            (None, None, Finding::NotTestable),
            (ratio(0.0, f64::INFINITY), None, Finding::NotReproduced),
        ] {
            let got = finding(&four, own.as_ref(), honest.as_ref());
            assert_eq!(got, want, "{own:?} {honest:?}");
        }
    }

    #[test]
    fn a_direction_needs_all_of_it() {
        let faster = Promise { factor: 1.0, enough: 1.0, unit: "times as fast" };
        assert_eq!(finding(&faster, ratio(1.0, 1.1).as_ref(), None), Finding::Reproduced);
        assert_eq!(finding(&faster, ratio(0.9, 1.1).as_ref(), None), Finding::NotReproduced);
    }
}
