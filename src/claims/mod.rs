//! The article's claims, tried by the records and prices at hand. Pure.
//!
//! A claim is a row of [`CLAIMS`]: its sentence, what its source measured, its own baseline and an honest one,
//! and which cells test it. [`judge`] looks for those cells and [`finding`](finding()) decides by whole intervals; no
//! finding is written down anywhere. [`matrix`](matrix()) spreads out the one claim that everything hangs on.

mod bytes;
mod cells;
mod finding;
mod judge;
mod matrix;
mod table;
mod who;

pub use cells::{Cell, Quantity};
pub use finding::{Finding, Promise, finding};
pub use judge::{Judgement, Side, judge};
pub use matrix::{BASELINES, Over, Row, matrix};
pub use table::{CLAIMS, Claim, Reach, Test};
pub use who::{Same, Threads, Who};
