//! What a device is.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How far a fact may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// From the maker, or a table made from its papers.
    Datasheet,
    /// Computed from facts; the source says how.
    Derived,
    /// Entered by the user.
    User,
    /// No source confirmed it: never printed as a fact.
    Unverified,
}

/// A number with its basis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// The number, in the unit that the field's name says.
    pub value: f64,
    /// How far it may be trusted.
    pub basis: Basis,
}

/// Market segment of a device; the article's price claim is computed for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Gaming card.
    GpuConsumer,
    /// Workstation card.
    GpuWorkstation,
    /// Data-centre accelerator.
    GpuDatacentre,
    /// A whole computer whose memory CPU and GPU share.
    UnifiedMemory,
    /// Server processor, without memory.
    CpuServer,
    /// Desktop processor, without memory.
    CpuDesktop,
    /// A rented machine without a GPU.
    CpuCloud,
    /// Memory modules.
    Ram,
}

impl Class {
    /// Whether the device is a graphics processor with memory of its own.
    pub fn is_gpu(self) -> bool {
        matches!(self, Self::GpuConsumer | Self::GpuWorkstation | Self::GpuDatacentre)
    }

    /// Name for tables and charts.
    pub fn label(self) -> &'static str {
        match self {
            Self::GpuConsumer => "consumer GPU",
            Self::GpuWorkstation => "workstation GPU",
            Self::GpuDatacentre => "data-centre GPU",
            Self::UnifiedMemory => "unified-memory computer",
            Self::CpuServer => "server CPU",
            Self::CpuDesktop => "desktop CPU",
            Self::CpuCloud => "cloud CPU",
            Self::Ram => "RAM",
        }
    }
}

/// Peak arithmetic rate. Two rates compare only if accumulation and sparsity are the same: marketing
/// doubles the figure for each of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Type of the operands: `f32`, `f16`, `bf16`, `i8`.
    pub precision: String,
    /// Type the products are added up in.
    pub accumulate: String,
    /// `dense` or `2:4`.
    pub sparsity: String,
    /// 10^12 operations a second; a multiply-add counts as two.
    pub value: f64,
    /// How far it may be trusted.
    pub basis: Basis,
}

/// A device that can be bought or rented.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Key that prices name.
    pub id: String,
    /// Name as sold.
    pub name: String,
    /// Maker, or provider of a rented machine.
    pub vendor: String,
    /// Market segment.
    pub class: Class,
    /// GB as sold: divides prices. Absent for a processor without memory.
    pub memory_nominal_gb: Option<Fact>,
    /// Bytes that programs can have, for fitting.
    pub memory_bytes: Option<Fact>,
    /// Peak memory bandwidth, 10^9 bytes a second.
    pub bandwidth_gb_s: Option<Fact>,
    /// Board or package power.
    pub watts: Option<Fact>,
    /// Peak arithmetic rates.
    #[serde(default)]
    pub rates: Vec<Rate>,
    /// Where the facts are from.
    #[serde(default)]
    pub source: String,
    /// What another source says, to be compared.
    pub second_source: Option<SecondSource>,
}

/// Facts of the same device from elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondSource {
    /// GB as sold.
    pub memory_nominal_gb: Option<f64>,
    /// Peak memory bandwidth, 10^9 bytes a second.
    pub bandwidth_gb_s: Option<f64>,
    /// Who says so.
    pub source: String,
}

impl Device {
    /// Whether a driver's name of a card is this device's: every word of the device with a digit in it is in the name,
    /// and the way the card is plugged in does not contradict.
    pub fn is_named(&self, name: &str) -> bool {
        let words = |text: &str| -> BTreeSet<String> {
            text.to_lowercase()
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .map(str::to_string)
                .collect()
        };
        let (ours, theirs) = (words(&self.name), words(name));
        let socket = |words: &BTreeSet<String>| match () {
            () if words.iter().any(|word| word.starts_with("sxm") || word == "hbm3" || word == "hbm3e") => {
                Some("sxm")
            }
            () if words.contains("pcie") => Some("pcie"),
            () => None,
        };
        let telling = |word: &&String| {
            word.chars().any(|c| c.is_ascii_digit()) && !word.starts_with("sxm") && !word.ends_with("gb")
        };
        let size = |words: &BTreeSet<String>| words.iter().find(|word| word.ends_with("gb")).cloned();
        let agree = |a: Option<String>, b: Option<String>| a.is_none() || b.is_none() || a == b;
        let mut telling = ours.iter().filter(telling).peekable();
        telling.peek().is_some()
            && telling.all(|word| theirs.contains(word))
            && agree(size(&ours), size(&theirs))
            && socket(&ours).zip(socket(&theirs)).is_none_or(|(ours, theirs)| ours == theirs)
    }

    /// Dense rate of `precision`, in operations a second; a fact without confirmation is passed over.
    pub fn rate(&self, precision: &str) -> Option<&Rate> {
        let fits = |rate: &&Rate| {
            rate.precision == precision && rate.sparsity == "dense" && rate.basis != Basis::Unverified
        };
        self.rates.iter().find(fits)
    }
}
