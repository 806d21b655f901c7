//! The page, its charts and tables: shows, never computes.
