//! Facts about the machine and its clocks. What needs Linux sits here.

pub mod clock;
pub mod process;
pub mod sched;
