//! The page, its charts and tables: shows, never computes.

pub mod draw;
pub mod palette;
pub mod png;
pub mod scene;
