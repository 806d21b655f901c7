//! One way to get a job done, with everything about it that is not known exactly.

use crate::catalog::{Date, PriceKind};
use crate::compare::Interval;
use crate::cost::{Offer, Pace, Swing};

/// Where the seconds of a candidate come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeBasis {
    /// The job was run on this device and timed.
    Measured,
    /// From roofs that were measured on this device, by the part of a roof that such work reached.
    MeasuredRoofs,
    /// From a datasheet's roofs, by the part of a roof that such work reached elsewhere.
    DatasheetRoofs,
}

impl TimeBasis {
    /// Name for tables and charts. Only the first is a measurement of the job.
    pub fn label(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::MeasuredRoofs => "estimated from measured roofs",
            Self::DatasheetRoofs => "estimated from datasheets",
        }
    }
}

/// Where the price of a candidate comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum PriceBasis {
    /// The user said what this machine costs.
    User,
    /// An observation of the catalogue.
    Catalog {
        /// Kind of price: two kinds never share a ranking without being named.
        kind: PriceKind,
        /// Day of the newest observation used.
        date: Date,
        /// Too old to buy by.
        stale: bool,
    },
}

/// A device bought or rented for a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Id of the catalogue, or `this-machine`.
    pub device: String,
    /// Name for people, with how it is had: `H100 SXM5 80GB, rented on demand`.
    pub name: String,
    /// What it costs and how fast it works, at the centre of everything that swings.
    pub offer: Offer,
    /// Seconds of one execution.
    pub seconds: Interval,
    /// Where they come from.
    pub time: TimeBasis,
    /// Where the price comes from.
    pub price: PriceBasis,
    /// What is not known exactly, with its ends: seconds, price, watts. Sides are set by whoever makes a pair.
    pub swings: Vec<Swing>,
    /// Executions that share one: the batch at which the device does the job.
    pub batch: u64,
    /// Bytes that the job needs at that batch.
    pub needs: u64,
    /// Bytes that the device has for it, where that is known.
    pub holds: Option<u64>,
    /// What was assumed, each a sentence: a share of a host, watts of a datasheet.
    pub assumed: Vec<String>,
}

impl Candidate {
    /// The seconds, and what they yield.
    pub fn pace(&self) -> Pace {
        self.offer.pace
    }

    /// Whether the job fits, where that is known.
    pub fn fits(&self) -> Option<bool> {
        Some(self.needs <= self.holds?)
    }
}
