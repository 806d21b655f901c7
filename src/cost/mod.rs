//! From records and prices to money. Pure: the day, the prices and the assumptions are arguments.
//!
//! Every figure says what it was made from: a measured rate, a datasheet's, or a price that the user
//! gave. A figure from a datasheet is a bound that no machine reaches and is never called measured.

mod claim;
mod memory;
mod work;

pub use claim::{MemoryRatio, Segment, memory_ratios};
pub use memory::{MemoryPrice, memory_prices};
pub use work::{
    Assumptions, Hourly, HourlyBasis, RateBasis, UnitCost, datasheet_costs, datasheet_seconds, measured_cost,
};
