//! Facts about the machine and its clocks. What needs Linux sits here.

pub mod clock;
mod plain;
pub mod process;
pub mod sched;

pub use plain::plain;
