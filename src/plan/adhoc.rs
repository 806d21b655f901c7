//! A suite for one workload named on the command line, without a file.

use super::PlanError;
use crate::nearest;
use crate::suite::{self, Suite};
use crate::workloads::{self, WORKLOADS};

/// What messages call the place where an ad hoc suite was written.
pub const COMMAND_LINE: &str = "the command line";

/// The suite of `workload` at the points of `text`; see [`ad_hoc_text`].
pub fn ad_hoc(workload: &str, text: &str) -> Result<Suite, PlanError> {
    // The line of a text that the user never saw helps nobody.
    suite::parse(&ad_hoc_text(workload, text)?, COMMAND_LINE)
        .map_err(|error| PlanError::Request(error.message))
}

/// The text of a suite for `workload` at `text`: `m=512,n=512,k=512`, where each value may be any term
/// of a sweep (`m=64..512*2,n==m,k=64`) and several are parted by `|`: `dtype=f32|bf16`. One reader
/// serves both: what a suite refuses, the command line refuses in the same words.
pub fn ad_hoc_text(workload: &str, text: &str) -> Result<String, PlanError> {
    if workloads::find(workload).is_none() {
        let hint = nearest::hint(workload, WORKLOADS.iter().map(|known| known.name).chain(suite::names()));
        return Err(PlanError::Request(format!(
            "`{workload}` is no suite, no file that ends in .toml and no workload{hint}"
        )));
    }
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    let sweep = parts.map(setting).collect::<Result<Vec<_>, _>>()?;
    let mut twice = sweep.iter().map(|(axis, _)| axis).collect::<Vec<_>>();
    twice.sort();
    if let Some(pair) = twice.windows(2).find(|pair| pair[0] == pair[1]) {
        let message = format!("`{}` is set twice: give several values as 64|128", pair[0]);
        return Err(PlanError::Request(message));
    }
    let sweep: Vec<_> = sweep.iter().map(|(axis, values)| format!("{} = [{values}]", quote(axis))).collect();
    Ok(format!(
        "schema = 1\nname = \"adhoc\"\nabout = \"One workload from the command line.\"\n\n[[case]]\n\
         name = \"{workload}\"\nworkload = \"{workload}\"\nwhy = \"Asked for on the command line.\"\n\
         sync = [\"batch\", \"each\"]\npacking = [\"plain\", \"packed\"]\nthreads = [1, \"all\"]\n\
         memory = true\nsweep = {{ {} }}\n",
        sweep.join(", ")
    ))
}

/// `m=64|128` as the axis and the inside of a TOML list.
fn setting(part: &str) -> Result<(&str, String), PlanError> {
    let (axis, values) = part.split_once('=').ok_or_else(|| {
        PlanError::Request(format!("`{part}` sets nothing: write points as m=512,n=512,k=512"))
    })?;
    let values: Vec<_> = values.split('|').map(|value| quote(value.trim())).collect();
    Ok((axis.trim(), values.join(", ")))
}

fn quote(text: &str) -> String {
    toml::Value::String(text.to_string()).to_string()
}
