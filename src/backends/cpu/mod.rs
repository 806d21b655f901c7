//! Backends on the host's processor.

pub mod buffer;
pub mod naive;
