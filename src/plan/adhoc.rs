//! A plan for one workload named on the command line, without a file.

use super::PlanError;
use crate::suite::{self, Suite, SuiteError};

/// The suite of `workload` at the points of `text`: `m=512,n=512,k=512`, where each value may be any
/// term of a sweep (`m=64..512*2,n==m,k=64`) and several are parted by `|`: `dtype=f32|bf16`.
pub fn ad_hoc(workload: &str, text: &str) -> Result<Suite, PlanError> {
    let mut sweep = Vec::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let Some((axis, values)) = part.split_once('=') else {
            let message = format!("`{part}` sets nothing: write points as m=512,n=512,k=512");
            return Err(PlanError::Request(message));
        };
        let values: Vec<String> = values.split('|').map(|value| quote(value.trim())).collect();
        sweep.push(format!("{} = [{}]", quote(axis.trim()), values.join(", ")));
    }
    // One reader for both: what a suite refuses, the command line refuses with the same words.
    let text = format!(
        "schema = 1\nname = \"adhoc\"\nabout = \"One workload from the command line.\"\n[[case]]\n\
         name = \"{NAME}\"\nworkload = {}\nwhy = \"Asked for on the command line.\"\nsync = [\"batch\", \"each\"]\n\
         packing = [\"plain\", \"packed\"]\nthreads = [1, \"all\"]\nsweep = {{ {} }}\n",
        quote(workload),
        sweep.join(", ")
    );
    let mut suite = suite::parse(&text, "the command line").map_err(on_command_line)?;
    for case in &mut suite.cases {
        case.name = case.workload.replace('_', "-");
    }
    Ok(suite)
}

const NAME: &str = "adhoc";

/// A number as it is, anything else as a TOML string.
fn quote(value: &str) -> String {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse::<u32>() {
        Ok(number) if is_number => number.to_string(),
        _ => toml::Value::String(value.to_string()).to_string(),
    }
}

/// The line of a text that the user never saw helps nobody.
fn on_command_line(error: SuiteError) -> PlanError {
    PlanError::Request(error.message)
}
