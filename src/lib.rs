//! cutgpu measures and prices how much GPU a machine-learning workload really needs.
//!
//! Modules stand in layers, and imports point down this list only:
//! [`cli`], [`report`], [`claims`], [`advise`], [`cost`], [`exchange`], [`catalog`], [`compare`], [`run`], [`record`], [`measure`], [`plan`],
//! [`suite`], [`train`], [`accuracy`], [`backends`], [`host`], [`workloads`], [`program`], [`ops`], [`random`], [`tensor`], [`float8`], [`date`], [`nearest`],
//! [`units`].

pub mod accuracy;
pub mod advise;
pub mod backends;
pub mod catalog;
pub mod claims;
pub mod cli;
pub mod compare;
pub mod cost;
pub mod date;
pub mod exchange;
pub mod float8;
pub mod host;
pub mod measure;
pub mod nearest;
pub mod ops;
pub mod plan;
pub mod program;
pub mod random;
pub mod record;
pub mod report;
pub mod run;
pub mod suite;
pub mod tensor;
pub mod train;
pub mod units;
pub mod workloads;
