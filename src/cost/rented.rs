//! A machine that is rented by the hour, whole or in part: on demand, spot or reserved.

use super::capital::price;
use super::error::CostError;
use super::quantity::{Duration, PerHour, Share, Spacing};
use crate::catalog::Money;
use serde::{Deserialize, Serialize};

/// The contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// Ends when the user says.
    OnDemand,
    /// May be taken away.
    Spot,
    /// Paid for a term.
    Reserved,
}

/// Which hours are paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    /// Hours of work: started for the work and stopped after it.
    Used,
    /// Every hour of the month.
    Whole,
}

/// How often a spot machine is taken away and what that costs in time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interruptions {
    /// Times an hour.
    pub often: PerHour,
    /// Hours that writing a checkpoint takes.
    pub checkpoint: Duration,
    /// Hours between checkpoints; none for the best.
    pub every: Option<Spacing>,
    /// Hours until a new machine works.
    pub restart: Duration,
}

impl Interruptions {
    /// Hours paid for an hour of lasting work: 1 + o/t + l (t/2 + r) with checkpoints of o hours every t, l
    /// interruptions an hour and restarts of r hours. Without t the best, sqrt(2 o / l) (Young, "A first
    /// order approximation to the optimum checkpoint interval", CACM 1974). To first order: good while
    /// interruptions are rare.
    pub fn stretch(&self) -> f64 {
        let (often, checkpoint) = (self.often.get(), self.checkpoint.get());
        let best = (2.0 * checkpoint / often).sqrt();
        let every = self.every.map_or(best, Spacing::get);
        // Neither interruptions nor checkpoints, or checkpoints that cost nothing: only restarts are left.
        let saving = if checkpoint > 0.0 && every.is_finite() { checkpoint / every } else { 0.0 };
        let lost = if often > 0.0 { often * (every / 2.0 + self.restart.get()) } else { 0.0 };
        1.0 + saving + lost
    }
}

/// A rent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rented {
    /// Price of an hour of the whole machine.
    pub hour: Money,
    /// Part of the machine that is rented and that the time of an execution was measured on.
    pub share: Share,
    /// The contract.
    pub contract: Contract,
    /// Which hours are paid.
    pub billing: Billing,
    /// What being taken away costs.
    pub interruptions: Option<Interruptions>,
}

impl Rented {
    /// Price of a paid hour.
    pub fn paid_hour(&self) -> Result<Money, CostError> {
        if self.contract == Contract::Reserved && self.billing == Billing::Used {
            return Err(CostError::ReservedByUse);
        }
        let hour = price("price of an hour", self.hour)?;
        Ok(Money { amount: hour.amount * self.share.get(), ..hour })
    }

    /// Hours that an hour of lasting work takes.
    pub fn stretch(&self) -> f64 {
        self.interruptions.map_or(1.0, |interruptions| interruptions.stretch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::example::rented;

    fn interruptions(numbers: [f64; 4]) -> Interruptions {
        let [often, checkpoint, every, restart] = numbers;
        Interruptions {
            often: PerHour::new(often).unwrap(),
            checkpoint: Duration::new(checkpoint).unwrap(),
            every: (every > 0.0).then(|| Spacing::new(every).unwrap()),
            restart: Duration::new(restart).unwrap(),
        }
    }

    #[test]
    fn being_taken_away_stretches_work() {
        for (numbers, want) in [
            // Every half hour a checkpoint of 0.05 h; taken away once in ten hours; 0.2 h until it works again.
            ([0.1, 0.05, 0.5, 0.2], 1.0 + 0.1 + 0.1 * 0.45),
            // The best interval is one hour.
            ([0.1, 0.05, 0.0, 0.2], 1.0 + 0.05 + 0.1 * 0.7),
            ([0.0, 0.05, 0.0, 0.2], 1.0),
            ([0.0, 0.05, 0.5, 0.2], 1.1),
            ([0.1, 0.0, 0.0, 0.2], 1.02),
        ] {
            let got = interruptions(numbers).stretch();
            assert!((got - want).abs() < 1e-12, "{numbers:?}: {got}");
        }
    }

    #[test]
    fn the_best_interval_is_the_best() {
        let at = |every| interruptions([0.2, 0.1, every, 0.3]).stretch();
        assert!([0.5, 0.9, 1.1, 2.0].iter().all(|&every| at(every) > at(0.0)));
    }

    #[test]
    fn a_part_of_a_machine_costs_its_part_and_a_reserved_one_is_paid_whole() {
        let half = Rented { share: Share::new(0.5).unwrap(), ..rented(3.0) };
        assert_eq!(half.paid_hour(), Ok(Money::usd(1.5)));
        let term = Rented { contract: Contract::Reserved, ..rented(3.0) };
        assert!(term.paid_hour().unwrap_err().to_string().contains("`whole`"));
        assert!(Rented { billing: Billing::Whole, ..term }.paid_hour().is_ok());
        for amount in [0.0, -0.01, f64::INFINITY] {
            assert!(rented(amount).paid_hour().unwrap_err().to_string().contains("price of an hour"));
        }
    }
}
