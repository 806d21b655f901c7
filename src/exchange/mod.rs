//! Other tools' formats: what a run gives them, and what their files give. Pure: text in, text or values out.
//!
//! Imported numbers are others' measurements under others' rules: they are shown with the tool that took them, and
//! never enter a run or a ranking.

mod csv;
mod export;
mod llama_bench;
mod nvbench;
mod proof;
mod pytorch;
mod skypilot;

pub use export::{bencher, github_action};
pub use llama_bench::llama_bench;
pub use nvbench::nvbench;
pub use proof::fell_back;
pub use pytorch::pytorch;
pub use skypilot::{Offers, skypilot};

use serde::Serialize;
use std::collections::BTreeMap;

/// A measurement of another tool, as its file states it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Foreign {
    /// The tool.
    pub tool: &'static str,
    /// What was measured.
    pub name: String,
    /// On what, as far as the file says.
    pub device: String,
    /// Whatever else names the case.
    pub settings: BTreeMap<String, String>,
    /// Unit of the values: `s`, `token/s`.
    pub unit: String,
    /// The values: samples where the file has them, else its mean.
    pub values: Vec<f64>,
    /// Why there are none.
    pub skipped: Option<String>,
}

/// Why a file of another tool cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// It is not of that format.
    #[error("this is no file of {tool}: {message}; {advice}")]
    Format {
        /// The tool whose format was expected.
        tool: &'static str,
        /// What is wrong and where.
        message: String,
        /// How to make one.
        advice: &'static str,
    },
}

/// Parses JSON of `tool`; `advice` says how to make it.
fn json<T: serde::de::DeserializeOwned>(
    text: &str,
    tool: &'static str,
    advice: &'static str,
) -> Result<T, ExchangeError> {
    // Cut short: the message may quote the text.
    let said = |error: serde_json::Error| error.to_string().chars().take(200).collect();
    serde_json::from_str(text).map_err(|error| ExchangeError::Format { tool, message: said(error), advice })
}

/// Values that can be measurements: finite and above zero.
fn sound(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    values.into_iter().filter(|value| value.is_finite() && *value > 0.0).collect()
}
