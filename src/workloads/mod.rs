//! Workloads that a suite may name: a function from parameters to a program. Adding one from existing
//! ops is its function and its row in [`WORKLOADS`].

mod blocks;
mod fit;
mod images;
mod layers;
mod matmul;
mod memory;
mod models;
mod quantised;
#[cfg(test)]
mod tests;

pub use fit::{largest, largest_batch};
pub use models::small;

use crate::nearest::hint;
use crate::ops::ShapeError;
use crate::program::Program;
use crate::tensor::DType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One setting of one parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Param {
    /// An extent or a count.
    Int(u64),
    /// A name: an element type, a state, a mode.
    Text(String),
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// One point of a sweep, e.g. `{m: 64, n: 64, k: 64}`.
pub type Params = BTreeMap<String, Param>;

/// A parameter of a workload.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Name used in suites.
    pub name: &'static str,
    /// What it means, with its unit.
    pub about: &'static str,
    /// Value where a suite gives none; an axis without one must be given.
    pub default: Option<Default>,
}

/// A default or an allowed value of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// An integer.
    Int(u64),
    /// A name, first of those allowed.
    OneOf(&'static [&'static str]),
    /// The integer of another axis, which stands before this one.
    Like(&'static str),
}

/// What one execution is good for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Yield {
    /// Singular name: `token`, `image`, `step`, `PFLOP`, `GB`.
    pub unit: String,
    /// How many of them one execution makes.
    pub amount: f64,
}

/// Why parameters do not make a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// A required axis is absent.
    #[error("workload {workload} needs the parameter `{axis}` ({about})")]
    Missing {
        /// The workload.
        workload: &'static str,
        /// The absent axis.
        axis: &'static str,
        /// What the axis means.
        about: &'static str,
    },
    /// A parameter that the workload does not have.
    #[error("workload {workload} has no parameter `{axis}`{hint} (it has {known})")]
    Unknown {
        /// The workload.
        workload: &'static str,
        /// What was given.
        axis: String,
        /// The nearest name, or nothing.
        hint: String,
        /// The workload's parameters.
        known: String,
    },
    /// A parameter has a value that the workload cannot use.
    #[error("parameter `{axis}` is {value}: {why}")]
    Unusable {
        /// The axis.
        axis: String,
        /// What was given.
        value: String,
        /// What would be right.
        why: String,
    },
    /// The shapes do not fit together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// A named family of programs.
#[derive(Clone, Copy)]
pub struct Workload {
    /// Name used in suites and records.
    pub name: &'static str,
    /// One sentence for `cutgpu list`.
    pub about: &'static str,
    /// Parameters, in the order that names of points show them.
    pub axes: &'static [Axis],
    /// Builds the program at one point; every axis is present.
    pub build: fn(&Params) -> Result<Program, ParamError>,
    /// What one execution yields at this point.
    pub yields: fn(&Params, &Program) -> Yield,
}

impl ParamError {
    fn unusable(params: &Params, axis: &str, why: String) -> Self {
        let value = params.get(axis).map_or_else(String::new, Param::to_string);
        Self::Unusable { axis: axis.to_string(), value, why }
    }
}

/// Every workload, in the order reports show them.
pub const WORKLOADS: &[Workload] = &[
    matmul::GEMM,
    matmul::GEMM_I8,
    quantised::GEMM_Q8,
    images::CONV3X3,
    memory::COPY,
    memory::TRIAD,
    memory::ADD,
    memory::ADAMW,
    memory::SGD_MOMENTUM,
    layers::BIAS_ADD,
    layers::GELU,
    layers::SOFTMAX,
    layers::LAYER_NORM,
    layers::ADD_LAYER_NORM,
    layers::ATTENTION,
    layers::ATTENTION_MATERIALISED,
    quantised::QUANTIZE,
    quantised::DEQUANTIZE,
    quantised::LINEAR,
    quantised::LINEAR_I8,
    quantised::LINEAR_Q8,
    blocks::MLP_BLOCK,
    blocks::UPDATE_STEP,
    models::MLP,
    models::BERT,
    models::GPT2,
    models::VGG16,
    models::VIT,
];

/// The workload called `name`.
pub fn find(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}

/// Type of the operands of the workload called `name`: what the point says, else that of the bytes which the name ends
/// in; what names none computes in f32.
pub fn precision<'a>(name: &'a str, point: &'a Params) -> &'a str {
    match (point.get("dtype"), name.rsplit_once('_')) {
        (Some(Param::Text(dtype)), _) => dtype,
        (_, Some((_, narrow @ ("i8" | "q8")))) => narrow,
        _ => "f32",
    }
}

impl Workload {
    /// `params` with defaults for what is absent; or what is missing, unknown or unusable.
    pub fn complete(&self, params: &Params) -> Result<Params, ParamError> {
        let names = || self.axes.iter().map(|axis| axis.name);
        if let Some(axis) = params.keys().find(|key| names().all(|name| name != key.as_str())) {
            return Err(ParamError::Unknown {
                workload: self.name,
                axis: axis.clone(),
                hint: hint(axis, names()),
                known: names().collect::<Vec<_>>().join(", "),
            });
        }
        let mut complete = Params::new();
        for axis in self.axes {
            let given = params.get(axis.name).cloned();
            let value = given.or_else(|| axis.default_value(&complete)).ok_or(ParamError::Missing {
                workload: self.name,
                axis: axis.name,
                about: axis.about,
            })?;
            complete.insert(axis.name.to_string(), axis.check(value)?);
        }
        Ok(complete)
    }

    /// The program at `params`, completed first.
    pub fn program(&self, params: &Params) -> Result<Program, ParamError> {
        (self.build)(&self.complete(params)?)
    }
}

impl Axis {
    fn default_value(&self, earlier: &Params) -> Option<Param> {
        match self.default? {
            Default::Int(value) => Some(Param::Int(value)),
            Default::OneOf(names) => Some(Param::Text(names[0].to_string())),
            Default::Like(axis) => earlier.get(axis).cloned(),
        }
    }

    /// The value in the axis's own kind: a name may look like a number (`beta = 1`).
    pub fn check(&self, value: Param) -> Result<Param, ParamError> {
        let unusable = |why: String| {
            Err(ParamError::Unusable { axis: self.name.to_string(), value: value.to_string(), why })
        };
        if let Some(Default::OneOf(names)) = self.default {
            let name = value.to_string();
            return match names.contains(&name.as_str()) {
                true => Ok(Param::Text(name)),
                false => unusable(format!(
                    "one of {} is wanted{}",
                    names.join(", "),
                    hint(&name, names.iter().copied())
                )),
            };
        }
        match value {
            Param::Text(_) => unusable("a whole number is wanted".to_string()),
            Param::Int(0) => unusable("a size of zero leaves nothing to compute".to_string()),
            Param::Int(_) => Ok(value),
        }
    }
}

/// Element type of a workload's floating-point values.
const DTYPE: Axis =
    Axis { name: "dtype", about: "element type", default: Some(Default::OneOf(&["f32", "bf16", "f16"])) };

/// The type at the axis `dtype`.
fn dtype(params: &Params) -> DType {
    match text(params, "dtype") {
        "bf16" => DType::Bf16,
        "f16" => DType::F16,
        _ => DType::F32,
    }
}

/// A PFLOP of arithmetic: what a bare kernel yields.
fn pflop(_: &Params, program: &Program) -> Yield {
    Yield { unit: "PFLOP".to_string(), amount: program.work().flops as f64 / 1e15 }
}

/// A GB of compulsory traffic: what a kernel yields that memory bandwidth limits.
fn gigabyte(_: &Params, program: &Program) -> Yield {
    Yield { unit: "GB".to_string(), amount: program.work().bytes() as f64 / 1e9 }
}

/// The integer at `axis`; 0 where it is absent, which no op accepts.
fn int(params: &Params, axis: &str) -> usize {
    match params.get(axis) {
        Some(Param::Int(value)) => usize::try_from(*value).unwrap_or(usize::MAX),
        _ => 0,
    }
}

/// The product of several axes, unless it is beyond the address space.
fn product(params: &Params, axes: &[&str]) -> Result<usize, ParamError> {
    let product = axes.iter().try_fold(1usize, |product, axis| product.checked_mul(int(params, axis)));
    product.ok_or_else(|| {
        let why = format!("{} together are larger than the address space", axes.join(" and "));
        ParamError::unusable(params, axes[0], why)
    })
}

/// The name at `axis`; empty where it is absent.
fn text<'a>(params: &'a Params, axis: &str) -> &'a str {
    match params.get(axis) {
        Some(Param::Text(value)) => value,
        _ => "",
    }
}
