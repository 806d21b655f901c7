//! `host.json`: the machine that measured and the builds that did.

use crate::host::{Build, Facts};
use crate::measure::peaks::Peaks;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The machine of a run. Records name it by its hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Hash of the facts.
    pub hash: String,
    /// What the machine is.
    pub facts: Facts,
    /// Measured ceilings; empty where none were measured.
    #[serde(default)]
    pub peaks: Peaks,
    /// Builds that measured, by hash.
    pub builds: BTreeMap<String, Build>,
}
