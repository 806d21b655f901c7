//! The page, its charts and tables: shows, never computes.
//!
//! Records and prices become a [`model::Model`], the model becomes [`scene::Scene`]s, and each scene is
//! drawn once for the page and once for its files.

pub mod charts;
pub mod claims;
pub mod compared;
mod csv;
pub mod draw;
mod html;
pub mod model;
pub mod palette;
pub mod png;
pub mod profile;
pub mod scene;
mod standing;
mod tables;
mod text;
mod what_if;
mod write;

pub use csv::csv;
pub use html::page;
pub use standing::{cases, contenders};
pub use tables::{fewer_bits, laws};
pub use write::{Destination, WriteError, Written, write};
