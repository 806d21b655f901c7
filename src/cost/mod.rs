//! From records and prices to money. Pure: the day, the prices and the assumptions are arguments.
//!
//! Every figure says what it was made from: a measured rate, a datasheet's, or a price that the user
//! gave. A figure from a datasheet is a bound that no machine reaches and is never called measured.
//!
//! The cost of ownership is built from the bottom up: a [`Bill`] is written off ([`Writeoff`]), [`Power`] is
//! paid by a [`Tariff`], which makes an [`Owned`] machine; beside it stands a [`Rented`] one. With the pace of
//! the work either is an [`Offer`], two of them are a [`Pair`], and a [`Question`] has one number for an answer.
//! A [`Swing`] moves what is not known exactly. `assets/cost.js` computes the same for the page, and both are
//! held to the vectors in `tests/money/vectors.json`.

mod capital;
mod claim;
mod energy;
mod error;
#[cfg(test)]
mod example;
mod machine;
mod memory;
mod offer;
mod owned;
mod pair;
mod quantity;
mod question;
mod rented;
mod swing;
mod work;
mod writeoff;

pub use capital::Bill;
pub use claim::{MemoryRatio, Segment, memory_ratios};
pub use energy::{Power, PowerBasis, Tariff};
pub use error::CostError;
pub use machine::MachinePrice;
pub use memory::{MemoryPrice, memory_history, memory_prices};
pub use offer::{Line, Memory, Offer, Pace, Way};
pub use owned::{MONTH_HOURS, Owned};
pub use pair::{Pair, Side};
pub use quantity::{
    Draw, Duration, Interest, Loss, PerHour, Pue, Seconds, Share, Size, Spacing, Units, Utilisation, Volume,
    Years,
};
pub use question::Question;
pub use rented::{Billing, Contract, Interruptions, Rented};
pub use swing::{Bar, Factor, MOST, Swing};
pub use work::{
    Assumptions, Hourly, HourlyBasis, RateBasis, UnitCost, datasheet_costs, datasheet_seconds, measured_cost,
};
pub use writeoff::Writeoff;
